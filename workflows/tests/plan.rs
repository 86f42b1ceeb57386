//! What the workflows plan, as a person would check it against the protocol.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use flow_engine::plan::{Effect, OnFailure, Plan};
use flow_workflows::config::ConfigError;
use flow_workflows::registry::registry;
use flow_workflows::setup::{Setup, SetupError};
use tempfile::TempDir;

#[path = "plan/apart.rs"]
mod apart;
#[path = "plan/code.rs"]
mod code;
#[path = "plan/conformance.rs"]
mod conformance;
#[path = "plan/hosts.rs"]
mod hosts;
#[path = "plan/lease.rs"]
mod lease;
#[path = "plan/names.rs"]
mod names;
#[path = "plan/path.rs"]
mod path;
#[path = "plan/refusals.rs"]
mod refusals;
#[path = "plan/simulation.rs"]
mod simulation;

const KEYS: [&str; 4] = [
    "AAAAC3NzaC1lZDI1NTE5AAAAIMbzZQrdrlrAyEiJXiDHmv+e9F+YoONDjpdNAJo8a/Cu",
    "AAAAC3NzaC1lZDI1NTE5AAAAIAKG7oPV1FxvG9jmgGVnAOvF3qrrklcReRxulp5kEOBH",
    "AAAAC3NzaC1lZDI1NTE5AAAAIJROlpyE2OS7Gw0sx4s6qh+QfONZerrYMVrzs7Kd+S21",
    "AAAAC3NzaC1lZDI1NTE5AAAAIBakb7YjF2c6buH4N4R0NcN7X8KLmktavK2vw1sCkAiw",
];

fn config() -> String {
    config_of(&["test", "stage", "prod"])
}

fn config_of(environments: &[&str]) -> String {
    let mut text = String::from("[app]\nname = \"dap\"\nmigrations = \"prisma/migrations\"\n");
    for env in environments {
        write!(
            text,
            "[env.{env}]\nssh = \"dap{env}\"\napp_dir = \"/data/dap/app\"\nbackup_dir = \"/data/dap/backups\"\n\
             flow_dir = \"/data/dap/flow\"\ndeploy = [\"./release.sh\", \"{{commit}}\"]\n\
             health = \"https://{env}.example.org/health\"\n\
             [env.{env}.database]\nexec = [\"docker\", \"exec\", \"-i\", \"db\"]\nuser = \"postgres\"\nname = \"postgres\"\n"
        )
        .expect("a string");
    }
    text
}

fn people() -> String {
    let roles = ["developer", "qa", "devops", "tech-lead"]
        .into_iter()
        .zip(KEYS);
    let person =
        |(role, key)| format!("[[roles.{role}]]\nname = \"{role}\"\nkey = \"ssh-ed25519 {key}\"\n");
    roles.map(person).collect()
}

fn git(dir: &Path, args: &[&str]) {
    let me = [
        "-c",
        "user.name=test",
        "-c",
        "user.email=test@example.org",
        "-c",
        "init.defaultBranch=main",
    ];
    let status = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(me)
        .args(args)
        // Two projects have one commit, whichever second each is made in.
        .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
        .output()
        .expect("git runs")
        .status;
    assert!(status.success(), "git {args:?}");
}

/// A repository with one migration and the three files.
fn project() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let at = dir.path();
    let migration = at.join("prisma/migrations/20260101000000_init");
    std::fs::create_dir_all(&migration).expect("a folder");
    let files = [
        (
            migration.join("migration.sql"),
            "CREATE TABLE a (id int);".to_owned(),
        ),
        (at.join("flow.toml"), config()),
        (at.join("flow.people.toml"), people()),
        (
            at.join("flow.data.toml"),
            "[tables.a]\nid = \"keep\"\n".to_owned(),
        ),
    ];
    for (path, text) in files {
        std::fs::write(path, text).expect("a file");
    }
    git(at, &["init", "-q"]);
    git(at, &["add", "prisma", "flow.people.toml"]);
    git(at, &["commit", "-q", "-m", "First"]);
    dir
}

fn setup(dir: &TempDir) -> Setup {
    Setup::load(&dir.path().join("flow.toml")).expect("it loads")
}

fn planned(workflow: &str) -> Plan {
    let dir = project();
    let setup = setup(&dir);
    let commit = setup.commit("HEAD").expect("a commit");
    setup.plan(workflow, &commit).expect("a plan")
}

/// Key, what a failure leads to, and what undoes it.
fn outline(plan: &Plan) -> String {
    let mut text = String::new();
    for node in &plan.nodes {
        let failure = match plan.phase_of(node).on_failure {
            OnFailure::Park => "parks",
            OnFailure::Rollback => "rolls back",
        };
        let undo = node.undo.as_deref().unwrap_or("-");
        let asks = node
            .answered_by
            .as_ref()
            .map(|who| format!(" asks {who};"))
            .unwrap_or_default();
        writeln!(text, "{:<26} {failure};{asks} undo: {undo}", node.key).expect("a string");
    }
    text
}

#[test]
fn a_release_follows_the_protocol_in_its_order() {
    insta::assert_snapshot!(outline(&planned("release")));
}

#[test]
fn a_promotion_asks_for_the_earlier_run_before_anything_else() {
    insta::assert_snapshot!(outline(&planned("promote")));
}

#[test]
fn undoing_a_release_in_reverse_is_the_protocols_rollback_procedure() {
    let plan = planned("release");
    let place = |key: &str| plan.node(key).unwrap_or_else(|| panic!("no {key}")).0;
    let procedure = [
        "prod/deploy",
        "prod/baseline",
        "prod/code",
        "prod/processes",
        "prod/state",
    ];
    let places: Vec<u32> = procedure.iter().map(|key| place(key)).collect();
    assert!(
        places.is_sorted_by(|a, b| a > b),
        "stop, restore, revert, restart, verify: {places:?}"
    );
    assert!(
        place("prod/lease") < place("prod/state"),
        "the lease is held to the very end"
    );
    assert!(
        place("prod/maintenance") < place("prod/baseline"),
        "the decisive backup is taken while nobody writes"
    );
}

#[test]
fn the_freeze_is_the_first_step_that_counts_as_a_change_of_production() {
    for workflow in ["release", "promote"] {
        let plan = planned(workflow);
        let changes = plan.nodes.iter().filter(|node| {
            let rolls_back = plan.phase_of(node).on_failure == OnFailure::Rollback;
            rolls_back && node.effect == Effect::Changes
        });
        let changes: Vec<&str> = changes.map(|node| node.key.as_str()).collect();
        let expected = ["maintenance", "baseline", "deploy", "integrity", "writable"];
        assert_eq!(changes, expected.map(|step| format!("prod/{step}")));
    }
}

#[test]
fn staging_too_proves_that_its_processes_were_restarted_by_the_deploy() {
    let plan = planned("release");
    let node = |key: &str| plan.node(key).unwrap_or_else(|| panic!("no {key}"));
    let (restarted, proof) = node("stage/restarted");
    assert_eq!(proof.kind, node("prod/restarted").1.kind);
    assert_eq!(proof.params["host"], "stage");
    let (before, _) = node("stage/processes");
    let (deploy, _) = node("stage/deploy");
    assert!(before < deploy && deploy < restarted);
}

#[test]
fn every_planned_step_can_be_read_back_and_is_in_the_documentation() {
    let documentation = include_str!("../../docs/protocol.md");
    for workflow in ["release", "promote"] {
        for node in &planned(workflow).nodes {
            if let Err(e) = registry().load(node) {
                panic!("{}: {e}", node.key);
            }
            let role_is_configured = node.key.starts_with("signoff/");
            let named = documentation.contains(&format!("`{}`", node.key));
            assert!(
                named || role_is_configured,
                "docs/protocol.md does not name `{}`",
                node.key
            );
        }
    }
}

#[test]
fn planning_the_same_twice_gives_the_same_digest() {
    let dir = project();
    let setup = setup(&dir);
    let commit = setup.commit("HEAD").expect("a commit");
    let digests = [0, 1].map(|_| setup.plan("release", &commit).expect("a plan").digest());
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_plan_holds_no_secret_and_no_password_name_is_resolved_while_planning() {
    let dir = project();
    let path = dir.path().join("flow.toml");
    let mail = "[mail]\nhost = \"127.0.0.1\"\nuser = \"flow\"\npassword = \"env:FLOW_TEST_NO_SUCH\"\n\
                from = \"flow@example.org\"\nto = [\"team@example.org\"]\n";
    std::fs::write(&path, config() + mail).expect("a file");
    let setup = setup(&dir);
    let commit = setup.commit("HEAD").expect("a commit");
    let json =
        String::from_utf8(setup.plan("release", &commit).expect("a plan").to_json()).expect("text");
    assert!(!json.contains("FLOW_TEST_NO_SUCH"));
}

fn refused(change: impl Fn(String) -> String) -> String {
    let dir = project();
    let path = dir.path().join("flow.toml");
    std::fs::write(&path, change(config())).expect("a file");
    let error = Setup::load(&path).expect_err("it is refused");
    assert!(
        matches!(error, SetupError::Config(ConfigError::Invalid { .. })),
        "{error:?}"
    );
    error
        .to_string()
        .replace(&dir.path().display().to_string(), "")
}

#[test]
fn a_wrong_configuration_is_refused_with_line_and_key() {
    let unknown = refused(|text| text.replace("migrations =", "migration ="));
    assert!(
        unknown.starts_with("/flow.toml:3:1: unknown field `migration`"),
        "{unknown}"
    );
    let missing = refused(|text| text.replacen("health", "#", 1));
    assert!(missing.contains("missing field `health`"), "{missing}");
    let type_ =
        refused(|text| text.replacen("deploy = [\"./release.sh\", \"{commit}\"]", "deploy = 5", 1));
    assert!(
        type_.contains(":9:10: invalid type: integer `5`"),
        "{type_}"
    );
    let relative = refused(|text| text.replacen("/data/dap/app", "../app", 1));
    assert!(
        relative.contains("`env.test.app_dir` must be an absolute path"),
        "{relative}"
    );
    let same = refused(|text| text.replace("dapprod", "dapstage"));
    assert!(
        same.contains("`env.prod.ssh` must be another host"),
        "{same}"
    );
    let option = refused(|text| text.replace("daptest", "-oProxyCommand=x"));
    assert!(
        option.contains("`env.test.ssh` must name a host"),
        "{option}"
    );
}

#[test]
fn a_variable_of_the_deploy_that_would_get_another_value_or_none_is_refused() {
    for (variable, said) in [
        ("FLOW_COMMIT = \"x\"", "`FLOW_COMMIT` is flow's own"),
        ("PATH = \"/opt/bin\"", "`PATH` is flow's own"),
        ("\"A B\" = \"x\"", "`A B` is not a variable name"),
    ] {
        let said_of_it = refused(|text| format!("{text}[env.prod.deploy_env]\n{variable}\n"));
        let expected = format!("`env.prod.deploy_env`: {said}");
        assert!(said_of_it.contains(&expected), "{said_of_it}");
    }
}

#[test]
fn a_program_for_a_secret_is_planned_by_name_in_the_projects_folder_and_runs_only_when_it_is_used()
{
    let dir = project();
    let more = "[env.prod.deploy_env]\nTOKEN = \"command:touch asked\"\n\
                [mail]\nhost = \"127.0.0.1\"\nuser = \"flow\"\npassword = \"command:touch asked\"\n\
                from = \"flow@example.org\"\nto = [\"team@example.org\"]\n";
    std::fs::write(dir.path().join("flow.toml"), config() + more).expect("a file");
    let setup = setup(&dir);
    let commit = setup.commit("HEAD").expect("a commit");
    let plan = setup.plan("release", &commit).expect("a plan");
    let _masked = setup.masked();
    let (_, deploy) = plan.node("prod/deploy").expect("a deploy");
    let here = dir.path().display();
    let name = format!("command:{{\"in\":\"{here}\",\"run\":[\"touch\",\"asked\"]}}");
    assert_eq!(deploy.params["env"]["TOKEN"], name.as_str());
    let (_, preflight) = plan.node("prod/preflight").expect("a preflight");
    assert_eq!(preflight.params["secrets"][0], name.as_str());
    assert!(!dir.path().join("asked").exists(), "nobody used it");
    for place in [
        "[env.prod.deploy_env]\nTOKEN",
        "[mail]\nhost = \"h\"\nfrom = \"a\"\nto = []\npassword",
    ] {
        let said = refused(|text| format!("{text}{place} = \"command:cat x | head -1\"\n"));
        assert!(said.contains("has `|`, but no shell reads it"), "{said}");
        assert!(
            said.contains("deploy_env`: `TOKEN`: ") || said.contains("`mail.password`: "),
            "{said}"
        );
    }
}

#[test]
fn a_role_that_must_sign_needs_somebody() {
    let dir = project();
    let people = people().replace("roles.devops", "roles.operations");
    std::fs::write(dir.path().join("flow.people.toml"), people).expect("a file");
    let error = Setup::load(&dir.path().join("flow.toml")).expect_err("nobody is devops");
    assert!(
        error
            .to_string()
            .contains("the role `devops` must sign, but nobody holds it"),
        "{error}"
    );
}

#[test]
fn a_revision_that_is_no_commit_or_looks_like_an_option_is_refused() {
    let dir = project();
    let setup = setup(&dir);
    for rev in ["nowhere", "--all", "HEAD:prisma", "a\nb", ""] {
        assert!(
            matches!(setup.commit(rev), Err(SetupError::NoCommit { .. })),
            "{rev:?}"
        );
    }
    assert!(matches!(
        setup.plan("nothing", "HEAD"),
        Err(SetupError::NoWorkflow { .. })
    ));
}

#[test]
fn every_secret_the_configuration_names_is_masked_and_one_that_is_not_there_is_no_error() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = project();
    let secret = |name: &str, value: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, value).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
    };
    secret("mail-password", "correct-horse\n");
    secret("deploy-token", "battery-staple\n");
    let mut text = config();
    text += "[env.prod.deploy_env]\nTOKEN = \"file:deploy-token\"\nMODE = \"plain-value\"\nGONE = \"env:FLOW_NO_SUCH\"\n\
             [mail]\nhost = \"smtp.example.org\"\nuser = \"flow\"\npassword = \"file:mail-password\"\n\
             from = \"flow@example.org\"\nto = [\"team@example.org\"]\n";
    std::fs::write(dir.path().join("flow.toml"), text).expect("a file");
    let masked = setup(&dir).masked();
    assert_eq!(
        masked.apply("correct-horse battery-staple plain-value"),
        "•••• •••• plain-value"
    );
}
