//! The further hosts of an environment: the same steps as on its own host, but for the database, which is not there.
//!
//! They are deployed after the environment's own host, which runs the migration, wave by wave; undoing takes them in reverse. Each has a
//! lease of its own, so that every command there looks at it in the same call.

use flow_engine::planner::{Key, Out, Planner};
use flow_steps::means::lease::Lease;
use flow_steps::means::read_only::freeze::Freeze;
use flow_steps::means::reports::code::{Deployed, Snapshot};
use flow_steps::pm2::ProcessList;
use flow_steps::watch::Mark;

use super::parts::{DEPLOY, RUNNING, Release};
use super::{After, Before};
use crate::config::Place;

/// A further host under its lease.
pub(super) type Leased<'a> = Vec<(Place<'a>, Out<Lease>)>;

/// What was recorded of a further host of production before people signed.
pub(super) struct Recorded<'a> {
    at: Place<'a>,
    deploy: Key,
    processes: Out<ProcessList>,
    code: Out<Snapshot>,
}

/// What a further host of production was before anything changed.
pub(super) struct HostBefore<'a> {
    pub(super) at: Place<'a>,
    pub(super) lease: Out<Lease>,
    deploy: Key,
    processes: Out<ProcessList>,
    code: Out<Snapshot>,
}

pub(super) fn leased<'a>(p: &mut Planner, r: &Release, at: &Place<'a>) -> Leased<'a> {
    let hosts = at.hosts().into_iter();
    hosts
        .map(|host| (host, p.step(&host.key("lease"), r.lease_of_host(&host))))
        .collect()
}

/// What runs there before a deploy, to compare with afterwards.
pub(super) fn seen<'a>(
    p: &mut Planner,
    r: &Release,
    at: &Place<'a>,
) -> Vec<(Place<'a>, Out<ProcessList>)> {
    let hosts = at.hosts().into_iter();
    hosts
        .map(|host| {
            (
                host,
                p.step(&host.key("processes"), r.processes_seen(&host)),
            )
        })
        .collect()
}

/// The deploy before production.
pub(super) fn rehearsed(
    p: &mut Planner,
    r: &Release,
    hosts: &Leased,
    (at, freeze): (&Place, &Freeze),
) -> Vec<Out<Deployed>> {
    by_wave(p, at, hosts, |p, (host, lease)| {
        p.step(&host.key(DEPLOY), r.deploy_host(host, lease, freeze))
    })
}

/// Runs `plan` for each host, those of one wave side by side.
fn by_wave<T, U>(
    p: &mut Planner,
    at: &Place,
    hosts: &[T],
    plan: impl Fn(&mut Planner, &T) -> U,
) -> Vec<U> {
    let mut rest = hosts;
    let mut all = Vec::new();
    for (n, wave) in at.waves().iter().enumerate() {
        let (now, later) = rest.split_at(wave.len().min(rest.len()));
        rest = later;
        let mut each = |p: &mut Planner| all.extend(now.iter().map(|host| plan(p, host)));
        if now.len() > 1 {
            p.parallel(&format!("wave-{}", n + 1), each);
        } else {
            each(p);
        }
    }
    all
}

pub(super) fn restarted(
    p: &mut Planner,
    r: &Release,
    hosts: &[(Place, Out<ProcessList>)],
    scripts: &[Out<Deployed>],
) {
    for ((host, before), script) in hosts.iter().zip(scripts) {
        p.step(&host.key("restarted"), r.restarted(host, before, script));
    }
}

/// Those that answer for their health.
pub(super) fn healthy(p: &mut Planner, r: &Release, at: &Place) {
    for host in at.hosts().iter().filter(|host| host.has_health) {
        p.step(&host.key("health"), r.health(host));
    }
}

pub(super) fn left(p: &mut Planner, r: &Release, hosts: &Leased) {
    for (host, lease) in hosts {
        p.step(&host.key("unchanged"), r.in_place(host));
        p.step(&host.key("lease-release"), r.leave(host, lease));
    }
}

/// Undone after the environment's own host: its code and processes are back by then.
pub(super) fn recorded<'a>(p: &mut Planner, r: &Release, at: &Place<'a>) -> Vec<Recorded<'a>> {
    let record = |host: Place<'a>| {
        let deploy = p.reserve(&host.key(DEPLOY));
        Recorded {
            processes: p.step(&host.key("processes"), r.processes(&host, &deploy)),
            code: p.step(&host.key("code"), r.code(&host, &deploy)),
            deploy,
            at: host,
        }
    };
    at.hosts().into_iter().map(record).collect()
}

pub(super) fn rest(p: &mut Planner, r: &Release, hosts: &Leased) {
    for (host, lease) in hosts {
        p.step(&host.key("lease-rest"), r.release_lease(host, lease));
    }
}

pub(super) fn again<'a>(
    p: &mut Planner,
    r: &Release,
    records: Vec<Recorded<'a>>,
) -> Vec<HostBefore<'a>> {
    let before = |Recorded {
                      at,
                      deploy,
                      processes,
                      code,
                  }: Recorded<'a>| HostBefore {
        lease: p.step(&at.key("lease-again"), r.again(r.lease_of_host(&at))),
        processes: p.step(&at.key(RUNNING), r.processes_now(&at, &processes)),
        deploy,
        code,
        at,
    };
    records.into_iter().map(before).collect()
}

pub(super) fn preflight(p: &mut Planner, r: &Release, before: &Before, earlier: &[&str]) {
    for HostBefore {
        at, lease, code, ..
    } in &before.hosts
    {
        p.step(
            &at.key("preflight"),
            r.preflight(at, lease, Some(code), earlier),
        );
    }
}

pub(super) fn deployed(p: &mut Planner, r: &Release, before: &Before) -> Vec<Out<Deployed>> {
    by_wave(p, r.production(), &before.hosts, |p, host| {
        let HostBefore {
            at, lease, deploy, ..
        } = host;
        p.step(
            deploy.as_str(),
            r.deploy_production(at, lease, &before.ahead),
        )
    })
}

pub(super) fn evidence(
    p: &mut Planner,
    r: &Release,
    before: &Before,
    after: &After,
) -> Vec<Out<ProcessList>> {
    let hosts = before.hosts.iter().zip(&after.hosts);
    let all = hosts.map(|(HostBefore { at, processes, .. }, script)| {
        let key = at.key("restarted");
        let restarted = p.step(&key, r.restarted(at, processes, script));
        if at.has_health {
            p.step(&at.key("health"), r.health(at));
        }
        restarted
    });
    all.collect()
}

pub(super) fn online(
    p: &mut Planner,
    r: &Release,
    before: &Before,
    restarted: &[Out<ProcessList>],
) {
    for (HostBefore { at, processes, .. }, restarted) in before.hosts.iter().zip(restarted) {
        p.step(&at.key("online"), r.online(at, processes, restarted));
    }
}

pub(super) fn reconnected(p: &mut Planner, r: &Release, before: &Before) -> Vec<Out<Mark>> {
    let hosts = before.hosts.iter();
    hosts
        .map(|HostBefore { at, .. }| {
            p.step(
                &at.key("reconnect"),
                r.reconnect(at, &before.ahead.writable),
            )
        })
        .collect()
}

/// All hosts are watched at once.
pub(super) fn watched(p: &mut Planner, before: &Before, plan: impl FnOnce(&mut Planner)) {
    if before.hosts.is_empty() {
        plan(p);
    } else {
        p.parallel("watch", plan);
    }
}

pub(super) fn give_back(p: &mut Planner, r: &Release, before: &Before) {
    for HostBefore { at, lease, .. } in &before.hosts {
        p.step(&at.key("lease-release"), r.release_lease(at, lease));
    }
}
