//! Addresses and ports of a host.

use std::net::{Ipv4Addr, SocketAddr};

use crate::cache::free_port;
use crate::error::SandboxError;
use crate::hosts::{HOSTS, Role};

/// One host's name, address and ports.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) address: Ipv4Addr,
    pub(crate) ssh: u16,
    pub(crate) database: u16,
    pub(crate) backend: u16,
    pub(crate) frontend: u16,
    /// Where its database listens: here, or on another host.
    pub(crate) data_at: SocketAddr,
    /// Where the page finds the back end: here, or on another host.
    pub(crate) backend_at: SocketAddr,
}

impl Plan {
    /// Every port of this host.
    pub(crate) fn ports(&self) -> [u16; 4] {
        [self.ssh, self.database, self.backend, self.frontend]
    }

    /// Where one of the ports is.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        (self.address, port).into()
    }

    /// A host that needs no other. Its ports are those of ssh, of the database, of the back end and of the page.
    pub(crate) fn on(name: &'static str, role: Role, address: Ipv4Addr, ports: [u16; 4]) -> Self {
        let [ssh, database, backend, frontend] = ports;
        Plan {
            name,
            role,
            address,
            ssh,
            database,
            backend,
            frontend,
            data_at: (address, database).into(),
            backend_at: (address, backend).into(),
        }
    }

    /// Tells hosts that lack a database or a back end where those are.
    pub(crate) fn link(plans: &mut [Self]) {
        let find = |role: Role| plans.iter().find(|plan| plan.role == role);
        let data = find(Role::Database).map(|plan| plan.data_at);
        let backend = find(Role::Backend).map(|plan| plan.backend_at);
        for plan in plans {
            plan.data_at = data.unwrap_or(plan.data_at);
            if plan.role != Role::Backend {
                plan.backend_at = backend.unwrap_or(plan.backend_at);
            }
        }
    }

    /// Ports of 127.0.0.1 for every host, in the order of [`HOSTS`].
    pub(crate) fn all() -> Result<Vec<Self>, SandboxError> {
        let mut taken = Vec::new();
        HOSTS
            .into_iter()
            .map(|name| {
                let mut port = || free_port(&mut taken);
                let ports = [port()?, port()?, port()?, port()?];
                Ok(Self::on(name, Role::Whole, Ipv4Addr::LOCALHOST, ports))
            })
            .collect()
    }
}

/// A port of this address that nobody listens on: the usual one, or another when something has the usual one everywhere.
pub(crate) fn usual_port(address: Ipv4Addr, usual: u16) -> Result<u16, SandboxError> {
    if std::net::TcpListener::bind((address, usual)).is_ok() {
        return Ok(usual);
    }
    free_port(&mut Vec::new())
}
