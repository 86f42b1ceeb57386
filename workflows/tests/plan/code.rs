//! Where the code is type-checked: in one folder, or in several.

use serde_json::json;

use super::path::{plan_of, why_not};
use super::*;

fn with(code: &str) -> String {
    let config = config();
    let key = "migrations = ";
    assert!(config.contains(key), "{config}");
    config.replacen(key, &format!("code = {code}\n{key}"), 1)
}

#[test]
fn each_folder_of_the_code_is_checked_with_packages_of_its_own() {
    let plan = plan_of(&with(r#"["backend", "apps/worker/"]"#));
    for key in ["schema/nullable-access", "schema/enum-usage"] {
        let (_, node) = plan.node(key).expect("planned");
        let code = &node.params["code"];
        assert_eq!(code["folder"], "backend");
        let further = code["further"].as_array().expect("a list");
        assert_eq!(further.len(), 1);
        assert_eq!(further[0]["folder"], "apps/worker");
        let modules = further[0]["node_modules"].as_str().expect("a path");
        assert!(modules.ends_with("/apps/worker/node_modules"), "{modules}");
        assert!(registry().load(node).is_ok());
    }
}

#[test]
fn one_folder_is_planned_as_it_always_was() {
    let plan = plan_of(&with(r#""backend""#));
    let (_, node) = plan.node("schema/enum-usage").expect("planned");
    assert_eq!(node.params["code"]["folder"], "backend");
    assert_eq!(node.params["code"].get("further"), None);
    let list = plan_of(&with(r#"["backend"]"#));
    let (_, same) = list.node("schema/enum-usage").expect("planned");
    let of = |params: &serde_json::Value| params["code"]["folder"].clone();
    assert_eq!(of(&same.params), json!("backend"));
}

#[test]
fn folders_that_cannot_be_meant_are_refused_with_the_key_and_the_reason() {
    for (code, why) in [
        ("[]", "it must name 1 to 8 folders, not 0"),
        (
            r#"["backend", "../other"]"#,
            "`../other` is no folder inside the repository",
        ),
        (
            r#"["./backend"]"#,
            "`./backend` is no folder inside the repository",
        ),
        (
            r#"["backend", "backend/"]"#,
            "`backend` and `backend` are one folder",
        ),
        (
            r#"["apps", "apps/web"]"#,
            "`apps/web` and `apps` are one folder, or one lies in the other",
        ),
        (
            r#"["", "web"]"#,
            "`web` and `` are one folder, or one lies in the other",
        ),
        ("7", "a folder inside the repository, or a list of them"),
    ] {
        let said = why_not(&with(code));
        assert!(said.contains(why), "{code}: {said}");
    }
    let both =
        with(r#"["backend", "worker"]"#).replacen("code = ", "node_modules = \"n\"\ncode = ", 1);
    let said = why_not(&both);
    assert!(
        said.contains("with several folders `node_modules` stands for none of them"),
        "{said}"
    );
}
