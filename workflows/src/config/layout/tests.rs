use super::*;
use crate::config::Config;

const CORE_TEXT: &str = r#"
[env.test]
ssh = "one"
[env.prod]
ssh = "two"
"#;

fn layout(text: &str) -> Layout {
    Layout {
        text: text.to_owned(),
        file: "flow.toml".to_owned(),
    }
}

/// What the file says as values, without the places.
fn value(text: &str) -> toml::Table {
    let layout = layout(text);
    let section: toml::Table = layout.section(RELEASE).expect("a section");
    section
}

#[test]
fn the_older_layout_says_the_same_as_the_newer_one() {
    let older = "data = \"d.toml\"\n[app]\nname = \"a\"\n[gates]\nfree_mib = 7\n[lint.levels]\nx = \"note\"\n";
    let newer = "[release]\ndata = \"d.toml\"\n[release.app]\nname = \"a\"\n[release.gates]\nfree_mib = 7\n[release.lint.levels]\nx = \"note\"\n";
    assert_eq!(value(older), value(newer));
    for text in [older, newer] {
        assert_eq!(layout(text).has(RELEASE), Ok(true), "{text}");
        assert_eq!(layout(text).refuse_others(&[RELEASE]), Ok(()), "{text}");
    }
    assert_eq!(layout(CORE_TEXT).has(RELEASE), Ok(false));
}

#[test]
fn both_layouts_an_unknown_section_and_a_misspelt_one_are_refused_with_their_place() {
    let refused = |text: &str| {
        let layout = layout(text);
        let said = layout.refuse_others(&[RELEASE, "announce"]);
        said.expect_err("is refused").to_string()
    };
    let lines = [
        refused("[release.app]\nname = \"a\"\n\n[gates]\nfree_mib = 7\n"),
        refused("data = \"d\"\n[release.app]\nname = \"a\"\n"),
        refused("[env.prod]\nssh = \"x\"\n[relase.app]\nname = \"a\"\n"),
        refused("[gatez]\nfree_mib = 7\n"),
        refused("[anounce]\nwords = \"x\"\n"),
        refused("[zzz]\nwords = \"x\"\n"),
        refused("[app\n"),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r"
    flow.toml:4:2: [gates] stands on the top level, and there is a [release]: write [release.gates]
    flow.toml:1:1: `data` stands on the top level, and there is a [release]: write it in [release]
    flow.toml:3:2: `relase` is no key of the core and the section of no workflow of this program; did you mean `release`?
    flow.toml:1:2: `gatez` is no key of the core and the section of no workflow of this program; did you mean `[release.gates]`?
    flow.toml:1:2: `anounce` is no key of the core and the section of no workflow of this program; did you mean `announce`?
    flow.toml:1:2: `zzz` is no key of the core and the section of no workflow of this program; there are: env, path, ssh, mail, people, release, announce
    flow.toml:1:5: unclosed table, expected `]`
    ");
}

#[test]
fn what_is_wrong_in_a_section_is_named_with_its_own_line_in_either_layout() {
    let of = |text: &str| {
        layout(text)
            .release::<Config>()
            .expect_err("is refused")
            .to_string()
    };
    let older = of("[gates]\nfree_gib = 7\n");
    let newer = of("[release.gates]\nfree_gib = 7\n");
    assert!(
        older.starts_with("flow.toml:2:1: unknown field `free_gib`"),
        "{older}"
    );
    assert_eq!(older, newer);
    let misplaced = of("[release.env.prod]\nssh = \"x\"\n");
    assert!(
        misplaced.contains("`env` belongs to no workflow"),
        "{misplaced}"
    );
    let none = layout(CORE_TEXT).section::<Named>("announce");
    let none = none.err().map(|e| e.to_string()).unwrap_or_default();
    assert_eq!(
        none,
        "flow.toml: there is no section [announce]: missing field `words`"
    );
}

#[derive(Debug, serde::Deserialize)]
struct Named {
    #[expect(dead_code, reason = "only whether it is there is asked")]
    words: String,
}

#[test]
fn an_environment_that_only_says_how_it_is_reached_is_enough_for_the_core_and_a_misspelt_key_is_not()
 {
    let core = layout(CORE_TEXT).core().expect("a core");
    assert_eq!(core.env["prod"].ssh, "two");
    let more = format!("{CORE_TEXT}app_dri = \"/x\"\n");
    let why = layout(&more).core().expect_err("is refused").to_string();
    assert!(
        why.starts_with("flow.toml:6:1: unknown field `app_dri`"),
        "{why}"
    );
}
