//! The release protocol, top to bottom. It reads like the checklist it executes.
//!
//! Up to phase 4 a failure parks the run: production has not been touched. From phase 5 on a failure undoes everything,
//! newest first; the order of the steps is chosen so that this **is** the protocol's rollback procedure.

use flow_engine::plan::OnFailure::{Park, Rollback};
use flow_engine::planner::{Key, Out, Planner};
use flow_steps::drift::DriftReport;
use flow_steps::means::reports::code::{Deployed, Snapshot};
use flow_steps::means::reports::migrations::Checked;
use flow_steps::pg::{Backup, Expectation};
use flow_steps::pm2::ProcessList;
use hosts::HostBefore;

use crate::config::{Data, Place};

use leases::Leases;
pub use parts::Release;
use parts::{BASELINE, DEPLOY, Phase, RUNNING, WRITABLE};

pub(crate) mod checklists;
mod hosts;
mod leases;
mod parts;

/// The version of the protocol this workflow follows.
pub const PROTOCOL: &str = "1.0.0";

/// Steps of production that earlier ones name: what is undone only once they have begun, or looked for in their records.
struct Ahead {
    deploy: Key,
    baseline: Key,
    writable: Key,
}

impl Ahead {
    fn reserve(p: &mut Planner, prod: &Place) -> Ahead {
        Ahead {
            deploy: p.reserve(&prod.key(DEPLOY)),
            baseline: p.reserve(&prod.key(BASELINE)),
            writable: p.reserve(&prod.key(WRITABLE)),
        }
    }
}

/// What production was before anything changed.
struct Before<'a> {
    ahead: Ahead,
    leases: Leases,
    /// The same of each further host.
    hosts: Vec<HostBefore<'a>>,
    processes: Out<ProcessList>,
    code: Out<Snapshot>,
    backup: Out<Backup>,
    shape: Out<Expectation>,
}

/// Production right after the deploy: what ran the release, and what to go back to.
struct After {
    script: Out<Deployed>,
    /// The scripts of the further hosts, in their order.
    hosts: Vec<Out<Deployed>>,
    baseline: Out<Backup>,
}

/// What staging ran after its deploy: a process that the release removed there may go in production too.
type OnStage = Out<ProcessList>;

/// What phase 1 found out, and what is asked again later.
struct Schema {
    checked: Out<Checked>,
    drift: Out<DriftReport>,
}

/// The whole protocol: the environments before production in their order, production.
pub fn release(p: &mut Planner, r: &Release) {
    let schema = p.phase("schema", "Phase 1: schema compatibility", Park, |p| {
        starter(p, r);
        places(p, r);
        p.step("gate/data-policy", r.data_policy());
        schema(p, r)
    });
    let mut on_stage = None;
    for at in r.before_production() {
        let seen = p.phase(at.name, &r.title(at), Park, |p| match at.data {
            Data::Own => {
                with_its_own_data(p, r, at, &schema.drift);
                None
            }
            Data::Copy => Some(with_productions_data(p, r, at, &schema.drift)),
        });
        on_stage = seen.or(on_stage);
    }
    let mut earlier = vec!["schema"];
    earlier.extend(r.before_production().iter().map(|at| at.name));
    production(p, r, (&schema, on_stage.as_ref()), &earlier);
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
    production(p, r, (&schema, None), &["rules", "schema"]);
}

fn production(
    p: &mut Planner,
    r: &Release,
    (schema, on_stage): (&Schema, Option<&OnStage>),
    earlier: &[&str],
) {
    let prod = r.production();
    let title = |phase, words| r.numbered(phase, words);
    let preparation = title(Phase::Prepare, "rollback preparation and sign-off");
    let before = p.phase("prepare", &preparation, Park, |p| prepare(p, r));
    let deployment = title(Phase::Deploy, "production deployment");
    let after = p.phase("deploy", &deployment, Rollback, |p| {
        gates(p, r, &before, &schema.checked, earlier);
        deploy(p, r, &before)
    });
    let verification = title(Phase::Verify, "post-deployment verification");
    p.phase("verify", &verification, Rollback, |p| {
        verify(p, r, &before, &after, on_stage);
    });
    p.phase("finish", "Afterwards", Park, |p| {
        p.step(&prod.key("drift"), r.drift_after(prod, &schema.drift));
        hosts::give_back(p, r, &before);
        leases::give_back(p, r, prod, &before.leases);
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

/// On test: the rows that are there stay.
fn with_its_own_data(p: &mut Planner, r: &Release, at: &Place, drift: &Out<DriftReport>) {
    let leases = leases::taken(p, r, at);
    let lease = &leases.database;
    let hosts = hosts::leased(p, r, at);
    p.step(&at.key("take-back"), r.take_back(at));
    let shape = p.step(&at.key("shape"), r.expected_shape(at));
    let writable = p.reserve(&at.key(WRITABLE));
    let freeze = r.freeze(at, lease, Some(&writable));
    p.step(&at.key("maintenance"), freeze.clone());
    let before = p.step(&at.key("counts-before"), r.state_to_compare(at));
    let own = leases.application();
    p.step(&at.key("deploy"), r.deploy(at, own, Some(&freeze)));
    hosts::rehearsed(p, r, &hosts, (at, &freeze));
    p.step(&at.key("migrations-applied"), r.migrations_applied(at));
    p.step(&at.key("drift"), r.drift_after(at, drift));
    p.step(&at.key("counts-after"), r.counts_match(at, &before, &shape));
    p.step(&at.key("health"), r.health(at));
    hosts::healthy(p, r, at);
    p.step(writable.as_str(), r.thaw(at, None, lease));
    checklists(p, r, at);
    p.step(&at.key("unchanged"), r.in_place(at));
    hosts::left(p, r, &hosts);
    leases::left(p, r, at, &leases);
}

/// On staging: production's rows are copied there first.
fn with_productions_data(
    p: &mut Planner,
    r: &Release,
    at: &Place,
    drift: &Out<DriftReport>,
) -> OnStage {
    let leases = leases::taken(p, r, at);
    let lease = &leases.database;
    let hosts = hosts::leased(p, r, at);
    p.step(&at.key("copy-prod"), r.copy_production(at));
    let shape = p.step(&at.key("shape"), r.expected_shape(at));
    let processes = p.step(&at.key("processes"), r.processes_seen(at));
    let seen = hosts::seen(p, r, at);
    let writable = p.reserve(&at.key(WRITABLE));
    let freeze = r.freeze(at, lease, Some(&writable));
    p.step(&at.key("maintenance"), freeze.clone());
    let before = p.step(&at.key("counts-before"), r.state_to_compare(at));
    let own = leases.application();
    let script = p.step(&at.key("deploy"), r.deploy(at, own, Some(&freeze)));
    let scripts = hosts::rehearsed(p, r, &hosts, (at, &freeze));
    p.step(&at.key("migrations-applied"), r.migrations_applied(at));
    p.step(&at.key("drift"), r.drift_after(at, drift));
    let restarted = p.step(&at.key("restarted"), r.restarted(at, &processes, &script));
    hosts::restarted(p, r, &seen, &scripts);
    p.step(&at.key("counts"), r.counts_match(at, &before, &shape));
    p.step(&at.key("health"), r.health(at));
    hosts::healthy(p, r, at);
    p.step(writable.as_str(), r.thaw(at, None, lease));
    checklists(p, r, at);
    p.step(&at.key("unchanged"), r.in_place(at));
    hosts::left(p, r, &hosts);
    leases::left(p, r, at, &leases);
    restarted
}

/// What people look at, each list by its role.
fn checklists(p: &mut Planner, r: &Release, at: &Place) {
    let lists = r.checklists(at);
    let plan = |p: &mut Planner| {
        for (step, list) in lists.clone() {
            p.step(&at.key(&step), list);
        }
    };
    match lists.len() {
        1 => plan(p),
        _ => p.parallel("checklists", plan),
    }
}

fn prepare<'a>(p: &mut Planner, r: &'a Release) -> Before<'a> {
    let (prod, proving) = (r.production(), r.proving());
    let leases = leases::taken(p, r, prod);
    let of_hosts = hosts::leased(p, r, prod);
    let ahead = Ahead::reserve(p, prod);
    p.step(&prod.key("state"), r.state_to_restore(&ahead));
    let records = hosts::recorded(p, r, prod);
    let processes = p.step(&prod.key("processes"), r.processes(prod, &ahead.deploy));
    let code = p.step(&prod.key("code"), r.code(prod, &ahead.deploy));
    let backup = p.step(&prod.key("backup"), r.backup());
    p.step(&prod.key("backup-verified"), r.restore_proof(&backup));
    let shape = p.step(&prod.key("shape"), r.expected_shape(prod));
    p.step(&proving.key("rollback-rehearsal"), r.rehearsal());
    // Signing may take days: nobody else is kept out meanwhile, and what was recorded is looked at again afterwards.
    hosts::rest(p, r, &of_hosts);
    leases::rest(p, r, prod, &leases);
    p.parallel("sign-offs", |p| {
        for role in r.roles() {
            p.step(&format!("signoff/{role}"), r.sign_off(role));
        }
    });
    let leases = leases::again(p, r, prod);
    let processes = p.step(&prod.key(RUNNING), r.processes_now(prod, &processes));
    Before {
        ahead,
        leases,
        hosts: hosts::again(p, r, records),
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
    let prod = r.production();
    leases::preflight(p, r, before, earlier);
    p.step(
        &prod.key("preflight"),
        r.preflight(
            prod,
            before.leases.application(),
            Some(&before.code),
            earlier,
        ),
    );
    hosts::preflight(p, r, before, earlier);
}

fn deploy(p: &mut Planner, r: &Release, before: &Before) -> After {
    let prod = r.production();
    p.step(&prod.key("notify"), r.notify());
    p.step(
        &prod.key("maintenance"),
        r.freeze(prod, &before.leases.database, None),
    );
    let baseline = p.step(
        before.ahead.baseline.as_str(),
        r.baseline(&before.backup, &before.leases.database, &before.ahead),
    );
    let script = p.step(
        before.ahead.deploy.as_str(),
        r.deploy_production(prod, before.leases.application(), &before.ahead),
    );
    let hosts = hosts::deployed(p, r, before);
    p.step(&prod.key("migrations"), r.migrations_applied(prod));
    After {
        script,
        hosts,
        baseline,
    }
}

fn verify(
    p: &mut Planner,
    r: &Release,
    before: &Before,
    after: &After,
    on_stage: Option<&OnStage>,
) {
    let prod = r.production();
    let processes = &before.processes;
    // Side by side: nobody can write meanwhile, and each of them waits for something of its own.
    let (restarted, on_hosts) = p.parallel("evidence", |p| {
        let restarted = p.step(
            &prod.key("restarted"),
            r.restarted_in_production(processes, &after.script, on_stage),
        );
        p.step(&prod.key("health"), r.health(prod));
        p.step(
            &prod.key("integrity"),
            r.integrity(&after.baseline, &before.shape),
        );
        (restarted, hosts::evidence(p, r, before, after))
    });
    p.step(&prod.key("online"), r.online(prod, processes, &restarted));
    hosts::online(p, r, before, &on_hosts);
    p.step(
        before.ahead.writable.as_str(),
        r.thaw(prod, Some(&after.baseline), &before.leases.database),
    );
    let mark = p.step(
        &prod.key("reconnect"),
        r.reconnect(prod, &before.ahead.writable),
    );
    let marks = hosts::reconnected(p, r, before);
    checklists(p, r, prod);
    hosts::watched(p, before, |p| {
        p.step(&prod.key("watch"), r.watch(prod, &restarted, &mark));
        for ((host, restarted), mark) in before.hosts.iter().zip(&on_hosts).zip(&marks) {
            p.step(&host.at.key("watch"), r.watch(&host.at, restarted, mark));
        }
    });
}
