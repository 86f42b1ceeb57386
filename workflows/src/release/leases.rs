//! The lease of an environment, and of its own host where its database is on another.
//!
//! The lease beside the database keeps releases apart, whatever a project's configuration says. Where the database has a host of
//! its own, the application's has one too, in its `flow_dir`, like a further host: every command on a host looks at the lease
//! there in the same call. The database's is taken first and given back last.

use flow_engine::planner::{Out, Planner};
use flow_steps::means::lease::Lease;

use super::Before;
use super::parts::Release;
use crate::config::Place;

/// What was taken.
pub(super) struct Leases {
    /// Beside the database.
    pub(super) database: Out<Lease>,
    /// On the application's own host, where the database is on another.
    own: Option<Out<Lease>>,
}

impl Leases {
    /// That of the application's own host.
    pub(super) fn application(&self) -> &Out<Lease> {
        self.own.as_ref().unwrap_or(&self.database)
    }
}

pub(super) fn taken(p: &mut Planner, r: &Release, at: &Place) -> Leases {
    let store = at.database_host();
    let database = p.step(&store.key("lease"), r.lease(at));
    let apart = at.env.apart.is_some();
    Leases {
        database,
        own: apart.then(|| p.step(&at.key("lease"), r.lease_of_host(at))),
    }
}

/// After the wait for people.
pub(super) fn again(p: &mut Planner, r: &Release, at: &Place) -> Leases {
    let store = at.database_host();
    let database = p.step(&store.key("lease-again"), r.again(r.lease(at)));
    let apart = at.env.apart.is_some();
    let own = || r.again(r.lease_of_host(at));
    Leases {
        database,
        own: apart.then(|| p.step(&at.key("lease-again"), own())),
    }
}

/// Of test or staging, once people have looked at it.
pub(super) fn left(p: &mut Planner, r: &Release, at: &Place, leases: &Leases) {
    if let Some(own) = &leases.own {
        p.step(&at.key("lease-release"), r.leave(at, own));
    }
    let store = at.database_host();
    p.step(
        &store.key("lease-release"),
        r.leave(&store, &leases.database),
    );
}

/// While people sign.
pub(super) fn rest(p: &mut Planner, r: &Release, at: &Place, leases: &Leases) {
    given_back(p, r, at, ("lease-rest", leases));
}

/// At the end.
pub(super) fn give_back(p: &mut Planner, r: &Release, at: &Place, leases: &Leases) {
    given_back(p, r, at, ("lease-release", leases));
}

fn given_back(p: &mut Planner, r: &Release, at: &Place, (step, leases): (&str, &Leases)) {
    if let Some(own) = &leases.own {
        p.step(&at.key(step), r.release_lease(at, own));
    }
    let store = at.database_host();
    p.step(&store.key(step), r.release_lease(&store, &leases.database));
}

/// The database's own host at the last moment: its machine, its lease, its room.
pub(super) fn preflight(p: &mut Planner, r: &Release, before: &Before, earlier: &[&str]) {
    let prod = r.production();
    if prod.env.apart.is_some() {
        let store = prod.database_host();
        let checks = r.preflight(&store, &before.leases.database, None, earlier);
        p.step(&store.key("preflight"), checks);
    }
}
