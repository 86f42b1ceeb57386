//! Further hosts of an environment.

use super::path::{plan_of, why_not};
use super::*;

const TWO: &str = "[[env.prod.host]]\nname = \"web-2\"\nssh = \"dapweb2\"\nrole = \"backend\"\nhealth = \"http://127.0.0.1:4000/health\"\nhealth_from = \"host\"\n\
                   [[env.prod.host]]\nname = \"worker\"\nssh = \"dapworker\"\nprocesses = [\"dap-worker\"]\napp_dir = \"/srv/worker\"\n";

fn with(more: &str) -> String {
    config() + more
}

fn keys<'a>(plan: &'a Plan, host: &str) -> Vec<&'a str> {
    let keys = plan.nodes.iter().map(|node| node.key.as_str());
    keys.filter_map(|key| key.strip_prefix(host)?.strip_prefix('/'))
        .collect()
}

#[test]
fn a_further_host_of_production_goes_through_every_step_but_those_of_the_database() {
    let plan = plan_of(&with(TWO));
    insta::assert_snapshot!(keys(&plan, "prod/web-2").join("\n"), @r"
    lease
    processes
    code
    lease-rest
    lease-again
    running
    preflight
    deploy
    restarted
    health
    online
    reconnect
    watch
    lease-release
    ");
    let worker = keys(&plan, "prod/worker");
    assert!(!worker.contains(&"health"), "it answers nobody: {worker:?}");
    for key in worker {
        let (_, node) = plan
            .node(&format!("prod/worker/{key}"))
            .expect("it is there");
        assert_eq!(node.params["host"], "prod/worker", "{key}");
        assert!(registry().load(node).is_ok(), "{key}");
    }
    let (_, deploy) = plan.node("prod/worker/deploy").expect("a deploy");
    assert_eq!(deploy.params["cwd"], "/srv/worker");
    assert_eq!(deploy.params["frozen_elsewhere"]["host"], "prod");
    let (_, own) = plan.node("prod/deploy").expect("a deploy");
    assert!(
        own.params.get("frozen_elsewhere").is_none(),
        "its start looks"
    );
    let stop = &deploy.params["stop_on_undo"];
    assert_eq!(
        stop["application"]["processes"],
        serde_json::json!(["dap-worker"])
    );
    assert_eq!(stop["look"]["baseline"], "prod/baseline");
    let (_, processes) = plan.node("prod/worker/processes").expect("its processes");
    assert!(processes.params["health"].is_null());
    assert_eq!(processes.params["restart_if_started"], "prod/worker/deploy");
    let (_, machines) = plan.node("gate/machines").expect("the machines");
    let asked = machines.params["hosts"].as_object().expect("a map").keys();
    assert_eq!(
        asked.collect::<Vec<_>>(),
        ["prod", "prod/web-2", "prod/worker", "stage", "test"]
    );
}

/// The protocol's rollback: stop everywhere, restore, then code and processes of each host.
#[test]
fn undoing_stops_every_host_before_the_restore_and_puts_each_back_after_it() {
    let plan = plan_of(&with(TWO));
    let place = |key: &str| plan.node(key).unwrap_or_else(|| panic!("no {key}")).0;
    let undone = [
        "prod/worker/deploy",
        "prod/web-2/deploy",
        "prod/deploy",
        "prod/baseline",
        "prod/code",
        "prod/processes",
        "prod/worker/code",
        "prod/worker/processes",
        "prod/web-2/code",
        "prod/web-2/processes",
        "prod/state",
        "prod/worker/lease",
        "prod/web-2/lease",
        "prod/lease",
    ];
    let places: Vec<u32> = undone.iter().map(|key| place(key)).collect();
    assert!(places.is_sorted_by(|a, b| a > b), "{places:?}");
    let (_, watch) = plan.node("prod/watch").expect("a watch");
    let (_, other) = plan.node("prod/worker/watch").expect("a watch");
    assert_eq!((&watch.group, other.group.is_some()), (&other.group, true));
}

#[test]
fn hosts_are_deployed_in_their_order_and_those_of_one_wave_side_by_side() {
    let hosts = |given: [(&str, &str); 3]| {
        let host = |(name, more): (&str, &str)| {
            format!("[[env.stage.host]]\nname = \"{name}\"\nssh = \"dap{name}\"\n{more}\n")
        };
        let plan = plan_of(&with(&given.map(host).concat()));
        let deploys = plan
            .nodes
            .iter()
            .filter(|node| node.kind == "deploy.script");
        let deploys = deploys.filter(|node| node.key.starts_with("stage/"));
        let lines =
            deploys.map(|node| format!("{} {}", node.key, node.group.as_deref().unwrap_or("-")));
        lines.collect::<Vec<_>>().join("\n")
    };
    let ordered = hosts([("c", "order = 2"), ("a", ""), ("b", "")]);
    assert_eq!(
        ordered,
        "stage/deploy -\nstage/a/deploy -\nstage/b/deploy -\nstage/c/deploy -"
    );
    let waves = hosts([
        ("c", "wave = 2"),
        ("a", "wave = 1\norder = 2"),
        ("b", "wave = 1"),
    ]);
    assert_eq!(
        waves,
        "stage/deploy -\nstage/b/deploy wave-1\nstage/a/deploy wave-1\nstage/c/deploy -"
    );
}

#[test]
fn before_production_a_further_host_is_deployed_while_the_database_is_frozen() {
    let more = TWO.replace("env.prod", "env.test");
    let plan = plan_of(&with(&more));
    assert_eq!(
        keys(&plan, "test/web-2"),
        ["lease", "deploy", "health", "unchanged", "lease-release"]
    );
    let (_, deploy) = plan.node("test/web-2/deploy").expect("a deploy");
    assert_eq!(deploy.params["freeze"]["db"]["host"], "test");
    assert_eq!(deploy.params["freeze"]["ended_by"], "test/writable");
    assert_eq!(plan_of(&config()).nodes.len() + 5 + 4, plan.nodes.len());
}

#[test]
fn a_host_that_is_named_twice_is_refused_with_both_places() {
    let said = why_not(&with(&TWO.replace("dapworker", "dapweb2")));
    assert!(
        said.contains("the host `dapweb2` is named twice: for `prod/web-2` and for `prod/worker`"),
        "{said}"
    );
    for (alias, other) in [("dapprod", "prod"), ("dapstage", "stage")] {
        let said = why_not(&with(&TWO.replace("dapworker", alias)));
        let expected =
            format!("the host `{alias}` is named twice: for `{other}` and for `prod/worker`");
        assert!(said.contains(&expected), "{said}");
    }
    let both = TWO.to_owned() + &TWO.replace("env.prod", "env.test");
    let said = why_not(&with(&both));
    assert!(
        said.contains("the host `dapweb2` is named twice: for `test/web-2` and for `prod/web-2`"),
        "{said}"
    );
    for (right, wrong, why) in [
        ("\"worker\"", "\"web-2\"", "two are called `web-2`"),
        ("\"worker\"", "\"Worker\"", "`Worker` is no name of a host"),
        (
            "role =",
            "wave = 1\nrole =",
            "one of `web-2` and `worker` has a `wave`",
        ),
        (
            "health_from = \"host\"\n",
            "",
            "`health` leads to the machine where flow runs: write health_from",
        ),
        ("role =", "rolle =", "unknown field `rolle`"),
        (
            "/srv/worker",
            "srv/worker",
            "`env.prod/worker.app_dir` must be an absolute path",
        ),
        (
            "dapworker",
            "-oProxyCommand=x",
            "`env.prod/worker.ssh` must name a host",
        ),
    ] {
        let said = why_not(&with(&TWO.replace(right, wrong)));
        assert!(said.contains(why), "{wrong}: {said}");
    }
}

#[test]
fn what_a_healthy_application_answers_and_who_asks_is_the_teams_to_say() {
    let check = |more: &str| {
        let text = config().replace(
            "health = \"https://prod",
            &format!("{more}\nhealth = \"https://prod"),
        );
        let plan = plan_of(&text);
        plan.node("prod/health").expect("a health step").1.params["check"].clone()
    };
    let usual = check("");
    assert_eq!(
        usual["body"]["json"],
        serde_json::json!({"pointer": "/status", "value": "ok"})
    );
    assert_eq!(
        (&usual["status"], usual["via_host"].is_null()),
        (&200.into(), true)
    );
    let text = check("healthy = { status = 204, text = \"UP\" }\nhealth_from = \"host\"");
    assert_eq!(
        (&text["body"]["text"], &text["status"]),
        (&"UP".into(), &204.into())
    );
    assert_eq!(text["via_host"], "prod");
    let typed = check("healthy = { pointer = \"/checks/0/up\", value = true }");
    assert_eq!(
        typed["body"]["json"],
        serde_json::json!({"pointer": "/checks/0/up", "value": true})
    );
    for (wrong, why) in [
        ("{ text = \"\" }", "every answer holds an empty one"),
        (
            "{ text = \"UP\", value = 1 }",
            "either `text` or `pointer` and `value`",
        ),
        ("{ pointer = \"status\" }", "`pointer` must begin with `/`"),
        (
            "{ status = 20 }",
            "`status` must be the status of an answer",
        ),
        ("{ state = 200 }", "unknown field `state`"),
    ] {
        let text = config().replace(
            "health = \"https://prod",
            &format!("healthy = {wrong}\nhealth = \"https://prod"),
        );
        let said = why_not(&text);
        assert!(said.contains(why), "{wrong}: {said}");
    }
}

#[test]
fn a_timer_that_does_not_see_the_scripts_of_further_hosts_waits_as_long_as_one_may_take() {
    let on_test = TWO.replace("[[env.prod.host]]", "[[env.test.host]]");
    for (at, more) in [("prod", TWO), ("test", on_test.as_str())] {
        let plan = plan_of(&with(more));
        for step in ["maintenance", "writable"] {
            for env in ["test", "prod"] {
                let unseen = if env == at { 30 * 60 } else { 0 };
                let (_, node) = plan.node(&format!("{env}/{step}")).expect("it is there");
                let seconds = &node.params["watchdog"]["seconds"];
                assert_eq!(seconds, 600 + unseen, "{env}/{step} with hosts of {at}");
            }
        }
    }
}
