//! Values that are well-formed and cannot be meant: each is refused before anything is planned.

use super::path::why_not;
use super::*;

/// The configuration with one text in place of another, in production where it is everywhere.
fn with(old: &str, new: &str) -> String {
    let config = config();
    let (before, prod) = config.split_once("[env.prod]").expect("production");
    if prod.contains(old) {
        return format!("{before}[env.prod]{}", prod.replacen(old, new, 1));
    }
    assert!(config.contains(old), "no {old}");
    config.replacen(old, new, 1)
}

/// With more in production's own table.
fn production(more: &str) -> String {
    with("flow_dir = ", &format!("{more}\nflow_dir = "))
}

#[test]
fn values_that_cannot_be_meant_are_refused_with_the_key_and_what_would_do() {
    let deploy = "deploy = [\"./release.sh\", \"{commit}\"]";
    let health = "health = \"https://prod.example.org/health\"";
    for (text, said) in [
        (
            with("ssh = \"dapprod\"", "ssh = \" \""),
            "`env.prod.ssh` must name a host, not ` `",
        ),
        (
            with("ssh = \"dapprod\"", "ssh = \"a\\nb\""),
            "must name a host, not `a\\nb`",
        ),
        (
            with(deploy, "deploy = [\"\"]"),
            "`env.prod.deploy` names no program",
        ),
        (
            with(deploy, "deploy = [\"a\", \"b\\u0000\"]"),
            "without control characters",
        ),
        (
            production("deploy_minutes = 0"),
            "`env.prod.deploy_minutes` must be between 1 and 1440, not 0",
        ),
        (
            production("deploy_minutes = 9223372036854775807"),
            "must be between 1 and 1440",
        ),
        (
            with(health, "health = \"http://\""),
            "`env.prod.health` must be the URL of a page",
        ),
        (
            with(health, "health = \"https://a.example.org/\\n\""),
            "`env.prod.health` must be the URL of a page",
        ),
        (
            with(
                health,
                "health = [{ command = [\"a\"], from = \"host\", says = \"\" }]",
            ),
            "`says` must be a text",
        ),
        (
            with("name = \"postgres\"", "name = \"\""),
            "`env.prod.database.name` must be the name of a database",
        ),
        (
            with("user = \"postgres\"", "user = \"\""),
            "`env.prod.database.user` must name a role",
        ),
        (
            with("name = \"postgres\"", "name = \"template1\""),
            "`env.prod.database.maintenance` must be another database",
        ),
        (
            production("deploy_env = { TOKEN = \"env:\" }"),
            "`TOKEN`: `env:` names nothing",
        ),
        (
            production("deploy_env = { TOKEN = \"evn:FOO\" }"),
            "did you mean `env:`?",
        ),
        (
            format!("{}\n[watch]\npatterns = [\"(\"]\n", config()),
            "`watch.patterns`: `(` is no regular expression",
        ),
        (
            format!("{}\n[signoff]\nroles = [\"qa\", \"qa\"]\n", config()),
            "`signoff.roles` names `qa` twice",
        ),
    ] {
        let why = why_not(&text);
        assert!(why.contains(said), "{said}: {why}");
    }
}

#[test]
fn a_health_that_the_machine_of_flow_would_answer_is_refused_unless_all_may_be_one_machine() {
    let health = "health = \"https://prod.example.org/health\"";
    for here in [
        "health = \"http://127.0.0.1:3000/health\"",
        "health = [{ url = \"http://localhost:3000/\" }]",
        "health = [{ command = [\"true\"] }]",
    ] {
        let why = why_not(&with(health, here));
        assert!(why.contains("`env.prod`"), "{why}");
        assert!(why.contains("the machine where flow runs"), "{why}");
        let one = format!(
            "{}\n[gates]\ndistinct_machines = false\n",
            with(health, here)
        );
        super::path::plan_of(&one);
    }
    super::path::plan_of(&with(
        health,
        "health = \"http://127.0.0.1:3000/health\"\nhealth_from = \"host\"",
    ));
}

#[test]
fn a_password_in_an_address_is_refused_and_not_shown() {
    let health = "health = \"https://prod.example.org/health\"";
    let why = why_not(&with(
        health,
        "health = \"https://me:hunter2@prod.example.org/\"",
    ));
    assert!(why.contains("without a user name or password"), "{why}");
    assert!(!why.contains("hunter2"), "{why}");
}
