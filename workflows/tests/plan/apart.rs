//! A database on a host of its own, and health as a list of questions.

use serde_json::{Value, json};

use super::path::{plan_of, why_not};
use super::*;

fn apart(more: &str) -> String {
    let table = "[env.prod.database]\n";
    config().replace(
        table,
        &format!("{table}ssh = \"dapdb\"\nbackup_dir = \"/srv/dumps\"\n{more}"),
    )
}

fn step<'a>(plan: &'a Plan, key: &str) -> &'a Value {
    let (_, node) = plan.node(key).unwrap_or_else(|| panic!("no {key}"));
    &node.params
}

/// Every value under a key of this name, at any depth.
fn all<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get(name));
            map.values().for_each(|inner| all(inner, name, found));
        }
        Value::Array(list) => list.iter().for_each(|inner| all(inner, name, found)),
        _ => {}
    }
}

#[test]
fn a_database_on_a_host_of_its_own_is_asked_backed_up_and_guarded_there_and_nowhere_else() {
    let plan = plan_of(&apart(""));
    let of = |host: &str| {
        let keys = plan.nodes.iter().map(|node| node.key.as_str());
        let keys = keys.filter_map(|key| key.strip_prefix(host)?.strip_prefix('/'));
        keys.collect::<Vec<_>>()
    };
    assert_eq!(
        of("prod/database"),
        [
            "lease",
            "lease-rest",
            "lease-again",
            "preflight",
            "lease-release"
        ]
    );
    for node in &plan.nodes {
        assert!(registry().load(node).is_ok(), "{}", node.key);
        for name in ["db", "from", "of", "frozen_elsewhere"] {
            let mut found = Vec::new();
            all(&node.params, name, &mut found);
            for db in found.into_iter().filter(|db| db["host"].is_string()) {
                assert_ne!(db["host"], "prod", "{}: {db}", node.key);
            }
        }
        if node.kind.starts_with("pg.") && node.key.starts_with("prod/") {
            assert!(
                node.params
                    .to_string()
                    .contains("\"host\":\"prod/database\""),
                "{}",
                node.key
            );
        }
    }
    for key in [
        "gate/backup-fresh",
        "prod/preflight",
        "prod/database/preflight",
    ] {
        let params = step(&plan, key);
        let rule = params.get("rule").or(params.get("backup"));
        assert_eq!(rule.expect("a rule")["host"], "prod/database", "{key}");
    }
    assert_eq!(
        step(&plan, "schema/migration-safety")["host"],
        "prod/database"
    );
    assert_eq!(step(&plan, "prod/backup")["dir"], "/srv/dumps");
    assert_eq!(step(&plan, "prod/baseline")["dir"], "/srv/dumps");
    assert_eq!(step(&plan, "prod/code")["backups"], "/data/dap/backups");
    assert_eq!(step(&plan, "gate/roster")["host"], "prod");
    assert_eq!(
        step(&plan, "gate/machines")["hosts"]
            .as_object()
            .map(|hosts| hosts.keys().map(String::as_str).collect::<Vec<_>>()),
        Some(vec!["prod", "prod/database", "stage", "test"])
    );
}

#[test]
fn the_environments_lease_lies_beside_the_database_and_the_script_looks_at_that_of_its_own_host() {
    let plan = plan_of(&apart(""));
    let (lease, own) = (
        step(&plan, "prod/database/lease"),
        step(&plan, "prod/lease"),
    );
    assert_eq!(
        (&lease["host"], &lease["db"]["host"], &lease["locks"]),
        (
            &json!("prod/database"),
            &json!("prod/database"),
            &json!(true)
        )
    );
    assert_eq!(
        (&own["host"], &own["dir"], &own["db"], &own["locks"]),
        (
            &json!("prod"),
            &json!("/data/dap/flow"),
            &Value::Null,
            &json!(false)
        )
    );
    let at = |key: &str| plan.node(key).unwrap_or_else(|| panic!("no {key}")).0;
    assert!(
        at("prod/database/lease") < at("prod/lease"),
        "the database's first"
    );
    assert!(at("prod/lease-rest") < at("prod/database/lease-rest"));
    assert!(at("prod/database/lease-again") < at("prod/lease-again"));
    assert!(at("prod/lease-release") < at("prod/database/lease-release"));
    let deploy = step(&plan, "prod/deploy");
    assert_eq!(deploy["lease"], json!({"output": "prod/lease-again"}));
    assert_eq!(deploy["frozen_elsewhere"]["host"], "prod/database");
    assert_eq!(
        step(&plan, "prod/baseline")["restore_if_started"],
        "prod/deploy"
    );
    let beside = json!({"output": "prod/database/lease-again"});
    for key in ["prod/maintenance", "prod/writable", "prod/baseline"] {
        let watchdog = &step(&plan, key)["watchdog"];
        assert_eq!(watchdog["lease"], beside, "{key}");
        // A timer that does not see the script run waits as long as it may take.
        assert_eq!(watchdog["seconds"], 600 + 30 * 60, "{key}");
    }
    assert_eq!(step(&plan, "prod/preflight")["room"], Value::Null);
    assert!(step(&plan, "prod/database/preflight")["room"].is_object());
    assert!(step(&plan, "prod/database/preflight")["code"].is_null());
    let usual = plan_of(&config());
    assert_eq!(step(&usual, "prod/maintenance")["watchdog"]["seconds"], 600);
}

#[test]
fn before_production_the_database_is_frozen_again_on_its_host_when_the_script_starts() {
    let text = apart("").replace("[env.prod.database]", "[env.x.database]");
    let text = text.replace(
        "[env.test.database]\n",
        "[env.test.database]\nssh = \"dapdb\"\n",
    );
    let text = text.replace(
        "[env.x.database]\nssh = \"dapdb\"\nbackup_dir = \"/srv/dumps\"\n",
        "[env.prod.database]\n",
    );
    let plan = plan_of(&text);
    let deploy = step(&plan, "test/deploy");
    assert_eq!(deploy["freeze"]["db"]["host"], "test/database");
    assert_eq!(deploy["lease"], json!({"output": "test/lease"}));
    assert_eq!(step(&plan, "test/take-back")["to"]["host"], "test/database");
}

#[test]
fn what_cannot_be_meant_of_a_databases_host_is_refused_with_its_key() {
    let worker = "[[env.prod.host]]\nname = \"database\"\nssh = \"dapworker\"\n";
    let twice = "[[env.prod.host]]\nname = \"worker\"\nssh = \"dapdb\"\n";
    for (text, why) in [
        (
            apart("") + worker,
            "`env.prod.host`: `database` is the name of the database's own host",
        ),
        (
            apart("") + twice,
            "the host `dapdb` is named twice: for `prod/database` and for `prod/worker`",
        ),
        (
            apart("").replace("dapdb", "dapprod"),
            "the host `dapprod` is named twice: for `prod` and for `prod/database`",
        ),
        (
            apart("").replace("dapdb", "-oProxyCommand=x"),
            "`env.prod.database.ssh` must name a host",
        ),
        (
            apart("").replace("/srv/dumps", "srv/dumps"),
            "`env.prod.database.backup_dir` must be an absolute path",
        ),
        (
            apart("").replace("ssh = \"dapdb\"\n", ""),
            "`env.prod.database.backup_dir` is of a host of its own, and `ssh` names none",
        ),
        (apart("sssh = \"x\"\n"), "unknown field `sssh`"),
    ] {
        let said = why_not(&text);
        assert!(said.contains(why), "{why}: {said}");
    }
}

fn asked(health: &str) -> String {
    config().replace(
        "health = \"https://prod.example.org/health\"",
        &format!("health = {health}"),
    )
}

#[test]
fn health_as_a_list_asks_pages_ports_and_commands_from_here_or_from_the_host() {
    let list = "[{ url = \"https://x.example.org/up\", text = \"UP\" }, { url = \"http://127.0.0.1:4000/health\", from = \"host\", pointer = \"/ready\", value = true },\n\
                { port = 6379, from = \"host\" }, { port = 443, address = \"x.example.org\", timeout_seconds = 3 }, { command = [\"./smoke\", \"a b\"], from = \"host\", says = \"fine\" }]";
    let plan = plan_of(&asked(list));
    let check = &step(&plan, "prod/health")["check"];
    assert_eq!(check.as_array().map(Vec::len), Some(5));
    assert_eq!(check[0]["body"]["text"], "UP");
    assert_eq!(
        (&check[1]["via_host"], &check[1]["body"]["json"]),
        (&json!("prod"), &json!({"pointer": "/ready", "value": true}))
    );
    assert_eq!(
        (&check[2]["address"], &check[2]["via_host"]),
        (&json!("127.0.0.1"), &json!("prod"))
    );
    assert_eq!(
        (
            &check[3]["via_host"],
            &check[3]["own_host"],
            &check[3]["timeout_seconds"]
        ),
        (&Value::Null, &json!("prod"), &json!(3))
    );
    assert_eq!(
        (&check[4]["command"], &check[4]["says"]),
        (&json!(["./smoke", "a b"]), &json!("fine"))
    );
    assert_eq!(
        &step(&plan, "prod/watch")["health"],
        check,
        "it is watched, too"
    );
    let (_, node) = plan.node("prod/health").expect("a step");
    assert!(registry().load(node).is_ok());
    let one = plan_of(&asked("[{ url = \"https://prod.example.org/health\" }]"));
    let usual = plan_of(&config());
    assert_eq!(
        step(&one, "prod/health"),
        step(&usual, "prod/health"),
        "a list of one page is that page"
    );
}

#[test]
fn a_question_that_cannot_be_meant_is_refused_with_its_entry() {
    for (health, why) in [
        ("[]", "`env.prod.health` asks nothing"),
        ("7", "expected the URL of a page, or a list of questions"),
        ("\"ftp://x\"", "`env.prod.health` must be the URL of a page"),
        (
            "[{ url = \"http://x/\" }, { }]",
            "entry 2: exactly one of `url`, `port` and `command`",
        ),
        (
            "[{ url = \"http://x/\", port = 1 }]",
            "entry 1: exactly one of `url`, `port` and `command`",
        ),
        (
            "[{ port = 5432 }]",
            "entry 1: `address` must say where the port is",
        ),
        (
            "[{ port = 0, from = \"host\" }]",
            "`port` must be between 1 and 65535",
        ),
        ("[{ port = 70000, from = \"host\" }]", "70000"),
        (
            "[{ port = 1, address = \"-x\" }]",
            "`address` must be a name",
        ),
        (
            "[{ port = 1, address = \"x\", text = \"y\" }]",
            "`text` says nothing of a `port`",
        ),
        ("[{ command = [] }]", "`command` must be a program"),
        (
            "[{ command = [\"x\"], status = 200 }]",
            "`status` says nothing of a `command`",
        ),
        (
            "[{ url = \"http://x/\", text = \"\" }]",
            "every answer holds an empty one",
        ),
        (
            "[{ url = \"http://x/\", timeout_seconds = 0 }]",
            "`timeout_seconds` must be between 1 and 300",
        ),
        (
            "[{ url = \"http://x/\", form = \"host\" }]",
            "unknown field `form`",
        ),
        (
            "[{ url = \"http://x/\" }]\nhealth_from = \"host\"",
            "`env.prod.health_from` is for a single page",
        ),
    ] {
        let said = why_not(&asked(health));
        assert!(said.contains(why), "{health}: {said}");
    }
    let worker = "[[env.prod.host]]\nname = \"worker\"\nssh = \"dapworker\"\nhealth = [{ command = [\"true\"] }]\n";
    let said = why_not(&(config() + worker));
    assert!(
        said.contains("`health`, entry 1, is answered by the machine where flow runs"),
        "{said}"
    );
}
