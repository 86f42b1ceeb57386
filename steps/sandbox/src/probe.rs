//! Looks at what listens on a loopback address.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::hosts::Role;
use crate::plan::Plan;

/// Whether something at this address begins to talk like this.
pub(crate) fn greets(at: SocketAddr, beginning: &[u8]) -> bool {
    let limit = Duration::from_secs(2);
    let talk = || {
        let mut stream = TcpStream::connect_timeout(&at, limit)?;
        stream.set_read_timeout(Some(limit))?;
        let mut told = vec![0; beginning.len()];
        stream.read_exact(&mut told)?;
        Ok::<_, std::io::Error>(told == beginning)
    };
    talk().unwrap_or(false)
}

/// Whether `/health` at this address answers 200.
pub(crate) fn healthy(at: SocketAddr) -> bool {
    let limit = Duration::from_secs(2);
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&at, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut told = [0; 12];
        stream.read_exact(&mut told)?;
        Ok::<_, std::io::Error>(told == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// Whether what people ask on this host answers; false for a host on which they ask nothing.
pub(crate) fn answers(plan: &Plan) -> bool {
    match plan.role {
        Role::Whole | Role::Frontend => healthy(plan.at(plan.frontend)),
        Role::Backend => healthy(plan.at(plan.backend)),
        Role::Worker | Role::Database => false,
    }
}
