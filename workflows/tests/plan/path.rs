//! Environments as the team has them.

use super::*;

/// The protocol's configuration with other names, in that order.
fn named(path: &[&str], more: &str) -> String {
    let list: Vec<String> = path.iter().map(|name| format!("\"{name}\"")).collect();
    let mut text = format!("path = [{}]\n", list.join(", "));
    text += &config_of(path);
    text + more
}

pub(super) fn plan_of(text: &str) -> Plan {
    let dir = project();
    std::fs::write(dir.path().join("flow.toml"), text).expect("a file");
    let setup = setup(&dir);
    let commit = setup.commit("HEAD").expect("a commit");
    setup.plan("release", &commit).expect("a plan")
}

pub(super) fn why_not(text: &str) -> String {
    refused(|_| text.to_owned())
}

#[test]
fn a_path_of_four_names_is_planned_in_its_order_and_its_last_name_is_production() {
    let plan = plan_of(&named(&["qa", "uat", "canary", "live"], ""));
    assert_eq!(plan.environment, "live");
    let titles: Vec<&str> = plan.phases.iter().map(|p| p.title.as_str()).collect();
    insta::assert_snapshot!(titles.join("\n"), @r"
    Phase 1: schema compatibility
    Phase 2: qa
    Phase 3: uat
    Phase 4: canary
    Phase 5: rollback preparation and sign-off
    Phase 6: production deployment
    Phase 7: post-deployment verification
    Afterwards
    ");
    let keys: Vec<&str> = plan.nodes.iter().map(|node| node.key.as_str()).collect();
    assert!(
        !keys.iter().any(|key| ["test/", "stage/", "prod/"]
            .iter()
            .any(|env| key.starts_with(env))),
        "{keys:?}"
    );
    for (kind, expected) in [
        ("pg.copy-safe", &["canary/copy-prod"][..]),
        ("pg.rehearsal", &["canary/rollback-rehearsal"]),
        ("pg.baseline", &["live/baseline"]),
    ] {
        let found = plan.nodes.iter().filter(|node| node.kind == kind);
        let found: Vec<&str> = found.map(|node| node.key.as_str()).collect();
        assert_eq!(found, expected, "{kind}");
    }
    for node in plan
        .nodes
        .iter()
        .filter(|node| node.key.starts_with("live/"))
    {
        assert_ne!(node.params["host"], "prod", "{}", node.key);
    }
    let (_, gate) = plan.node("gate/promotion").expect("rule 1");
    assert_eq!(
        gate.params["rule"]["phases"],
        serde_json::json!(["qa", "uat", "canary"])
    );
    let changes = plan.nodes.iter().filter(|node| {
        plan.phase_of(node).on_failure == OnFailure::Rollback && node.effect == Effect::Changes
    });
    assert!(
        changes
            .into_iter()
            .all(|node| node.key.starts_with("live/"))
    );
}

/// Every name of a host, a database or a folder of the default plan, spelled otherwise, is the plan of the other names: nothing
/// in the steps is called `prod` by itself.
#[test]
fn other_names_change_names_and_nothing_else() {
    let other = plan_of(&named(&["qa", "mirror", "live"], ""));
    let usual = plan_of(&config());
    let renamed = |text: &str| {
        let mut text = text.to_owned();
        for (name, usual) in [("live", "prod"), ("mirror", "stage"), ("qa", "test")] {
            text = text
                .replace(&format!("\"{name}\""), &format!("\"{usual}\""))
                .replace(&format!("\"{name}/"), &format!("\"{usual}/"))
                .replace(&format!("https://{name}."), &format!("https://{usual}."));
        }
        text
    };
    let params = |plan: &Plan| {
        let all = plan.nodes.iter().map(|node| {
            let mut params = node.params.clone();
            // The temporary folder, and the title people read.
            for own in ["repo", "title", "code", "who"] {
                params.as_object_mut().map(|map| map.remove(own));
            }
            for nested in ["of", "pending", "safety"] {
                if let Some(map) = params.get_mut(nested).and_then(|v| v.as_object_mut()) {
                    map.remove("repo");
                }
            }
            format!("\"{}\" {} {params}", node.key, node.kind)
        });
        all.collect::<Vec<_>>()
    };
    let (other, usual) = (params(&other), params(&usual));
    assert_eq!(other.len(), usual.len());
    for (other, usual) in other.iter().zip(usual) {
        // `qa` is a role, too.
        assert_eq!(renamed(other), usual.replace("\"qa\"", "\"test\""));
    }
}

#[test]
fn an_environment_says_what_its_rows_are() {
    let copies = |more: &str| {
        let plan = plan_of(&named(&["qa", "uat", "live"], more));
        let keys = plan.nodes.iter().map(|node| node.key.clone());
        let keys = keys.filter(|key| key.ends_with("/copy-prod") || key.ends_with("rehearsal"));
        let (_, rights) = plan.node("gate/rights").expect("rights");
        let asked = rights.params["dbs"].as_array().expect("a list").clone();
        let asked: Vec<String> = asked.iter().map(|db| db["host"].to_string()).collect();
        (keys.collect::<Vec<_>>().join(" "), asked.join(" "))
    };
    let with = |env: &str, data: &str| {
        let text = named(&["qa", "uat", "live"], "");
        text.replace(
            &format!("[env.{env}]\n"),
            &format!("[env.{env}]\ndata = \"{data}\"\n"),
        )
    };
    assert_eq!(
        copies(""),
        (
            "uat/copy-prod uat/rollback-rehearsal".into(),
            "\"live\" \"uat\"".into()
        )
    );
    let own = plan_of(&with("uat", "own"));
    assert!(own.node("uat/take-back").is_some() && own.node("uat/copy-prod").is_none());
    assert!(own.node("uat/rollback-rehearsal").is_some());
    let both = plan_of(&with("qa", "copy"));
    assert!(both.node("qa/copy-prod").is_some() && both.node("uat/copy-prod").is_some());
    let (_, shape) = both.node("live/shape").expect("a shape");
    assert_eq!(shape.params["at"]["host"], "uat");
    let said = why_not(&with("live", "copy"));
    assert!(said.contains("`env.live.data`: it is production"), "{said}");
}

#[test]
fn a_path_and_environments_that_do_not_belong_together_are_one_refusal_that_names_the_place() {
    let four = ["qa", "uat", "live"];
    let said = why_not(&named(&four, "").replace("path = [\"qa\", ", "path = [\"qs\", "));
    assert!(
        said.contains("`path` names `qs`, but there is no [env.qs]; there are: live, qa, uat"),
        "{said}"
    );
    let said = why_not(&named(&four, "").replace("\"uat\", \"live\"]", "\"live\"]"));
    assert!(
        said.contains("[env.uat] is in no `path`: write path = [\"qa\", \"live\"] with it"),
        "{said}"
    );
    let said = why_not(&named(&four, "").replace("[\"qa\", ", "[\"qa\", \"qa\", "));
    assert!(said.contains("`path` names `qa` twice"), "{said}");
    let said = why_not(&(named(&four, "") + "[env.qa]\nssh = \"x\"\n"));
    assert!(said.contains("duplicate key"), "{said}");
    let said = why_not(&named(&["live"], ""));
    assert!(
        said.contains("must name an environment before production"),
        "{said}"
    );
    for wrong in ["gate", "signoff", "prepare"] {
        let said = why_not(&named(&[wrong, "live"], ""));
        assert!(said.contains("must not be called"), "{said}");
    }
    let said = why_not(&named(&["Q_A", "live"], ""));
    assert!(
        said.contains("`Q_A` is no name of an environment"),
        "{said}"
    );
    let said = why_not(&named(&four, "").replace("dapqa", "daplive"));
    assert!(
        said.contains("`env.live.ssh` must be another host than that of `qa`"),
        "{said}"
    );
    let said = why_not(&config().replace("[env.stage", "[env.staging"));
    assert!(
        said.contains("`path` names `stage`, but there is no [env.stage]"),
        "{said}"
    );
}

#[test]
fn a_name_that_nobody_configured_is_never_production() {
    let dir = project();
    let setup = setup(&dir);
    let order = setup.config.order().expect("it was checked");
    assert_eq!(order.production.name, "prod");
    let all = order.before.iter().chain([&order.production]);
    let found = all.filter(|place| place.is_production).count();
    assert_eq!(found, 1);
    assert!(
        !setup
            .config
            .environments()
            .iter()
            .any(|(name, _)| *name == "prodd")
    );
}

#[test]
fn a_team_words_its_own_checklists_and_without_them_the_protocols_are_asked() {
    let own = "[[env.live.checklist]]\ntitle = \"Orders\"\nrole = \"devops\"\nminutes = 15\n\
               items = [{ key = \"order\", text = \"Place an order\" }, { key = \"mail\", text = \"The mail came\", required = false }]\n\
               [[env.live.checklist]]\nname = \"billing\"\ntitle = \"Billing\"\nitems = [{ key = \"pay\", text = \"Pay\" }]\n";
    let plan = plan_of(&named(&["qa", "uat", "live"], own));
    let list = |key: &str| {
        plan.node(key)
            .unwrap_or_else(|| panic!("no {key}"))
            .1
            .params
            .clone()
    };
    assert_eq!(
        list("qa/features")["items"].as_array().map(Vec::len),
        Some(9)
    );
    assert_eq!(list("uat/features")["items"][0]["key"], "customers");
    let smoke = list("live/smoke");
    assert_eq!(smoke["title"], "Orders (dap)");
    assert_eq!(
        (&smoke["who"], &smoke["deadline_minutes"]),
        (&"devops".into(), &15.into())
    );
    assert_eq!(smoke["items"][1]["required"], false);
    let billing = list("live/smoke-billing");
    assert_eq!(
        (&billing["who"], &billing["deadline_minutes"]),
        (&"qa".into(), &60.into())
    );
    for (right, wrong, why) in [
        (
            "role = \"devops\"",
            "role = \"nobody\"",
            "the role `nobody` must sign, but nobody holds it",
        ),
        (
            "key = \"mail\"",
            "key = \"order\"",
            "two items have the key `order`",
        ),
        (
            "\"Place an order\"",
            "\"Place\\nan order\"",
            "one line of at most",
        ),
        (
            "name = \"billing\"\n",
            "",
            "only one of them may be without a `name`",
        ),
        (
            "[{ key = \"pay\", text = \"Pay\" }]",
            "[]",
            "it must have 1 to 100 items, not 0",
        ),
        (
            "minutes = 15",
            "minutes = 0",
            "`minutes` must be at least 1",
        ),
        (
            "text = \"Pay\"",
            "text = \"Pay\", required = false",
            "it would decide nothing",
        ),
        (
            "key = \"pay\"",
            "key = \"Pay!\"",
            "the key of an item must be",
        ),
    ] {
        let dir = project();
        let text = named(&["qa", "uat", "live"], &own.replace(right, wrong));
        std::fs::write(dir.path().join("flow.toml"), text).expect("a file");
        let said = Setup::load(&dir.path().join("flow.toml"))
            .expect_err(wrong)
            .to_string();
        assert!(said.contains(why), "{wrong}: {said}");
    }
}
