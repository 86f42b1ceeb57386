//! Under whose lease what happens, and what the deploy script is handed.

use super::*;

/// The machine a step acts on, as its parameters say.
fn machine(node: &flow_engine::plan::Node) -> Option<&str> {
    let host = node
        .params
        .get("host")
        .or_else(|| node.params["db"].get("host"));
    host.and_then(|host| host.as_str())
}

#[test]
fn every_step_that_acts_on_an_environment_and_every_undo_comes_under_its_lease() {
    for workflow in ["release", "promote"] {
        let plan = planned(workflow);
        let place = |key: &str| plan.node(key).map(|(place, _)| place);
        let mut seen = 0;
        for (at, node) in (0u32..).zip(&plan.nodes) {
            let Some(name) = machine(node) else { continue };
            let acts = node.effect == Effect::Changes || node.undo.is_some();
            let of_lease = node.key.contains("/lease");
            if !acts || of_lease || node.key == "stage/rollback-rehearsal" {
                continue;
            }
            seen += 1;
            let taken = place(&format!("{name}/lease")).expect("a lease");
            let last = place(&format!("{name}/lease-release")).expect("its end");
            assert!(taken < at && at < last, "{workflow}: {}", node.key);
            // While people sign nobody has it, and nothing acts.
            let (rest, again) = (place("prod/lease-rest"), place("prod/lease-again"));
            let between = name == "prod" && Some(at) > rest && Some(at) < again;
            assert!(!between, "{workflow}: {}", node.key);
        }
        assert!(seen > 8, "{workflow}: {seen}");
    }
}

#[test]
fn nobody_is_kept_out_of_production_while_people_sign() {
    let plan = planned("release");
    let place = |key: &str| plan.node(key).unwrap_or_else(|| panic!("no {key}")).0;
    for role in ["developer", "qa", "devops", "tech-lead"] {
        let sign = place(&format!("signoff/{role}"));
        assert!(place("prod/lease-rest") < sign && sign < place("prod/lease-again"));
    }
    for gate in [
        "gate/promotion",
        "gate/migrations",
        "gate/unique-safe",
        "prod/preflight",
    ] {
        assert!(place("prod/lease-again") < place(gate) && place(gate) < place("prod/maintenance"));
    }
}

#[test]
fn the_deploy_script_meets_on_test_and_staging_what_it_will_meet_in_production() {
    let plan = planned("release");
    let node = |key: &str| plan.node(key).unwrap_or_else(|| panic!("no {key}"));
    for env in ["test", "stage", "prod"] {
        let (frozen, _) = node(&format!("{env}/maintenance"));
        let (deployed, deploy) = node(&format!("{env}/deploy"));
        let (writable, _) = node(&format!("{env}/writable"));
        assert!(frozen < deployed && deployed < writable);
        assert_eq!(deploy.params["may_migrate"], true);
        assert!(deploy.params["lease"]["output"].is_string(), "{deploy:?}");
    }
}

#[test]
fn a_secret_of_the_deploy_is_in_the_plan_by_name_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = project();
    let path = dir.path().join("token");
    std::fs::write(&path, "battery-staple\n").expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
    let more = "[env.prod.deploy_env]\nTOKEN = \"file:token\"\nMODE = \"plain\"\n";
    std::fs::write(dir.path().join("flow.toml"), config() + more).expect("a file");
    let setup = setup(&dir);
    let commit = setup.commit("HEAD").expect("a commit");
    let plan = setup.plan("release", &commit).expect("a plan");
    let deploy = &plan.node("prod/deploy").expect("a deploy").1.params;
    let name = format!("file:{}", path.display());
    assert_eq!(deploy["env"]["TOKEN"], name.as_str());
    assert_eq!(deploy["env"]["MODE"], "plain");
    let preflight = &plan.node("prod/preflight").expect("a preflight").1.params;
    assert_eq!(preflight["secrets"], serde_json::json!([name]));
    let json = String::from_utf8(plan.to_json()).expect("text");
    assert!(!json.contains("battery-staple"));
}
