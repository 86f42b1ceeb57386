//! The release protocol, top to bottom. It reads like the checklist it executes.
//!
//! Up to phase 4 a failure parks the run: production has not been touched. From phase 5 on a failure undoes everything,
//! newest first; the order of the steps is chosen so that this **is** the protocol's rollback procedure.

use flow_engine::plan::OnFailure::{Park, Rollback};
use flow_engine::planner::{Out, Planner};
use flow_steps::code::Snapshot;
use flow_steps::deploy::Deployed;
use flow_steps::drift::DriftReport;
use flow_steps::lease::Lease;
use flow_steps::people::items::{PROD_SMOKE, STAGE_FEATURES, TEST_FEATURES};
use flow_steps::pg::{Backup, Expectation};
use flow_steps::pm2::ProcessList;
use flow_steps::schema::Checked;

pub use parts::Release;

mod parts;

/// The version of the protocol this workflow follows.
pub const PROTOCOL: &str = "1.0.0";

/// What production was before anything changed.
struct Before {
    lease: Out<Lease>,
    processes: Out<ProcessList>,
    code: Out<Snapshot>,
    backup: Out<Backup>,
    shape: Out<Expectation>,
}

/// Production right after the deploy: what ran the release, and what to go back to.
struct After {
    script: Out<Deployed>,
    baseline: Out<Backup>,
}

/// What staging ran after its deploy: a process that the release removed there may go in production too.
type OnStage = Out<ProcessList>;

/// What phase 1 found out, and what is asked again later.
struct Schema {
    checked: Out<Checked>,
    drift: Out<DriftReport>,
}

/// The whole protocol: test, staging, production.
pub fn release(p: &mut Planner, r: &Release) {
    let schema = p.phase("schema", "Phase 1: schema compatibility", Park, |p| {
        starter(p, r);
        places(p, r);
        p.step("gate/data-policy", r.data_policy());
        schema(p, r)
    });
    let drift = &schema.drift;
    p.phase("test", "Phase 2: test environment", Park, |p| {
        test(p, r, drift);
    });
    let on_stage = p.phase("stage", "Phase 3: staging", Park, |p| stage(p, r, drift));
    let earlier = ["schema", "test", "stage", "prepare"];
    production(p, r, (&schema, Some(&on_stage)), &earlier);
}

/// Production only, for a commit that passed test and staging in an earlier run. The gate that says so comes first, and
/// is judged again right before production is touched.
pub fn promote(p: &mut Planner, r: &Release) {
    p.phase("rules", "Rule 1: test and staging first", Park, |p| {
        starter(p, r);
        p.step("gate/earlier-run", r.promotion());
    });
    let schema = p.phase("schema", "Phase 1: schema compatibility", Park, |p| {
        places(p, r);
        schema(p, r)
    });
    production(p, r, (&schema, None), &["rules", "schema", "prepare"]);
}

fn production(
    p: &mut Planner,
    r: &Release,
    (schema, on_stage): (&Schema, Option<&OnStage>),
    earlier: &[&str],
) {
    let before = p.phase(
        "prepare",
        "Phase 4: rollback preparation and sign-off",
        Park,
        |p| prepare(p, r),
    );
    let after = p.phase("deploy", "Phase 5: production deployment", Rollback, |p| {
        gates(p, r, &before, &schema.checked, earlier);
        deploy(p, r, &before)
    });
    p.phase(
        "verify",
        "Phase 6: post-deployment verification",
        Rollback,
        |p| verify(p, r, &before, &after, on_stage),
    );
    p.phase("finish", "Afterwards", Park, |p| {
        p.step("prod/drift", r.drift_after("prod", &schema.drift));
        p.step("prod/lease-release", r.release_lease(&before.lease));
    });
}

fn starter(p: &mut Planner, r: &Release) {
    if let Some(starter) = r.starter() {
        p.step("gate/starter", starter);
    }
}

fn places(p: &mut Planner, r: &Release) {
    p.step("gate/machines", r.machines());
    p.step("gate/roster", r.keys());
    p.step("gate/rights", r.rights());
}

fn schema(p: &mut Planner, r: &Release) -> Schema {
    let checked = p.step("schema/migration-safety", r.migration_safety());
    p.step("schema/migration-review", r.migration_review(&checked));
    p.step("schema/unique-safe", r.unique_safe(&checked));
    if let Some(replay) = r.replay(&checked) {
        p.step("schema/replay", replay);
    }
    let drift = p.step("schema/drift", r.drift());
    p.step("schema/nullable-access", r.nullable_access());
    p.step("schema/enum-usage", r.enum_usage());
    Schema { checked, drift }
}

fn test(p: &mut Planner, r: &Release, drift: &Out<DriftReport>) {
    let lease = p.step("test/lease", r.lease("test"));
    p.step("test/take-back", r.take_back());
    let shape = p.step("test/shape", r.expected_shape("test"));
    p.step("test/maintenance", r.freeze("test", &lease));
    let before = p.step("test/counts-before", r.state_to_compare("test"));
    p.step("test/deploy", r.deploy("test", &lease));
    p.step("test/migrations-applied", r.migrations_applied("test"));
    p.step("test/drift", r.drift_after("test", drift));
    p.step("test/counts-after", r.counts_match("test", &before, &shape));
    p.step("test/health", r.health("test"));
    p.step("test/writable", r.thaw("test", None, &lease));
    p.step(
        "test/features",
        r.checklist("Features on test", &TEST_FEATURES, "qa", None),
    );
    p.step("test/unchanged", r.in_place("test"));
    p.step("test/lease-release", r.leave("test", &lease));
}

fn stage(p: &mut Planner, r: &Release, drift: &Out<DriftReport>) -> OnStage {
    let lease = p.step("stage/lease", r.lease("stage"));
    p.step("stage/copy-prod", r.copy_production());
    let shape = p.step("stage/shape", r.expected_shape("stage"));
    let processes = p.step("stage/processes", r.processes_seen("stage"));
    p.step("stage/maintenance", r.freeze("stage", &lease));
    let before = p.step("stage/counts-before", r.state_to_compare("stage"));
    let script = p.step("stage/deploy", r.deploy("stage", &lease));
    p.step("stage/migrations-applied", r.migrations_applied("stage"));
    p.step("stage/drift", r.drift_after("stage", drift));
    let restarted = p.step("stage/restarted", r.restarted("stage", &processes, &script));
    p.step("stage/counts", r.counts_match("stage", &before, &shape));
    p.step("stage/health", r.health("stage"));
    p.step("stage/writable", r.thaw("stage", None, &lease));
    p.step(
        "stage/features",
        r.checklist(
            "Features on staging with production's data",
            &STAGE_FEATURES,
            "qa",
            None,
        ),
    );
    p.step("stage/unchanged", r.in_place("stage"));
    p.step("stage/lease-release", r.leave("stage", &lease));
    restarted
}

fn prepare(p: &mut Planner, r: &Release) -> Before {
    let lease = p.step("prod/lease", r.lease("prod"));
    p.step("prod/state", r.state_to_restore());
    let processes = p.step("prod/processes", r.processes());
    let code = p.step("prod/code", r.code());
    let backup = p.step("prod/backup", r.backup());
    p.step("prod/backup-verified", r.restore_proof(&backup));
    let shape = p.step("prod/shape", r.expected_shape("prod"));
    p.step("stage/rollback-rehearsal", r.rehearsal());
    // Signing may take days: nobody else is kept out meanwhile, and what was recorded is looked at again afterwards.
    p.step("prod/lease-rest", r.release_lease(&lease));
    p.parallel("sign-offs", |p| {
        for role in r.roles() {
            p.step(&format!("signoff/{role}"), r.sign_off(role));
        }
    });
    let lease = p.step("prod/lease-again", r.lease_again());
    let processes = p.step("prod/running", r.processes_now(&processes));
    Before {
        lease,
        processes,
        code,
        backup,
        shape,
    }
}

/// What held when it was checked may not hold after days of signing.
fn gates(p: &mut Planner, r: &Release, before: &Before, checked: &Out<Checked>, earlier: &[&str]) {
    p.step("gate/promotion", r.promotion());
    p.step("gate/backup-fresh", r.backup_fresh());
    p.step("gate/migrations", r.migrations_again(checked));
    p.step("gate/unique-safe", r.unique_safe(checked));
    p.step(
        "prod/preflight",
        r.preflight(&before.lease, &before.code, earlier),
    );
}

fn deploy(p: &mut Planner, r: &Release, before: &Before) -> After {
    p.step("prod/notify", r.notify());
    p.step("prod/maintenance", r.freeze("prod", &before.lease));
    let baseline = p.step("prod/baseline", r.baseline(&before.backup, &before.lease));
    let script = p.step("prod/deploy", r.deploy_production(&before.lease));
    p.step("prod/migrations", r.migrations_applied("prod"));
    After { script, baseline }
}

fn verify(
    p: &mut Planner,
    r: &Release,
    before: &Before,
    after: &After,
    on_stage: Option<&OnStage>,
) {
    let processes = &before.processes;
    // Side by side: nobody can write meanwhile, and each of them waits for something of its own.
    let restarted = p.parallel("evidence", |p| {
        let restarted = p.step(
            "prod/restarted",
            r.restarted_in_production(processes, &after.script, on_stage),
        );
        p.step("prod/health", r.health("prod"));
        p.step(
            "prod/integrity",
            r.integrity(&after.baseline, &before.shape),
        );
        restarted
    });
    p.step("prod/online", r.online(processes, &restarted));
    p.step(
        "prod/writable",
        r.thaw("prod", Some(&after.baseline), &before.lease),
    );
    let mark = p.step("prod/reconnect", r.reconnect());
    p.step(
        "prod/smoke",
        r.checklist(
            "Smoke test on production",
            &PROD_SMOKE,
            "qa",
            Some(r.smoke_minutes()),
        ),
    );
    p.step("prod/watch", r.watch(&restarted, &mark));
}
