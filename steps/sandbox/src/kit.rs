//! What hosts in containers need of this machine, and whether it is there.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::SandboxError;
use crate::files::{folder, random_bytes};
use crate::hosts::Layout;
use crate::image;
use crate::plan::{Plan, usual_port};
use crate::process::run_within;
use crate::tools::{Tools, which};

/// What all hosts in containers of a sandbox need.
#[derive(Debug)]
pub(crate) struct Kit {
    /// The two middle numbers of 127.x.y.0, the sandbox's addresses.
    pub(crate) block: [u8; 2],
    /// What `docker import` takes.
    pub(crate) image: PathBuf,
    /// Keeps other sandboxes from choosing the same block while the hosts are not yet up.
    _reserved: TcpListener,
}

/// What must be installed: program, and the package that has it in Debian.
const PROGRAMS: [(&str, &str); 8] = [
    ("dockerd", "docker.io"),
    ("docker", "docker.io or docker-cli"),
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("pivot_root", "mount"),
    ("tar", "tar"),
];

/// Tries in `dir` what a host's root is made of, in namespaces of its own.
const TRIAL: &str = "set -e
mount --make-rprivate /
mount -t tmpfs tmpfs \"$0\"
mkdir \"$0/upper\" \"$0/work\" \"$0/root\"
mount -t overlay overlay -o \"lowerdir=/,upperdir=$0/upper,workdir=$0/work\" \"$0/root\"
mount -t proc proc \"$0/root/proc\"
mount --rbind /sys \"$0/root/sys\"
touch \"$0/root/etc/written\"
hostname trial";

impl Kit {
    /// Looks whether hosts in containers can work here, and makes what they need; else why they cannot, in words.
    ///
    /// Whether the docker daemon and a container really start shows only when they do.
    pub(crate) fn find(
        dir: &Path,
        cache: &Path,
        tools: &Tools,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, String> {
        if !tools.root {
            return Err("they need root".to_owned());
        }
        if let Some((program, package)) = PROGRAMS.iter().find(|(name, _)| which(name).is_none()) {
            return Err(format!(
                "`{program}` is not installed (Debian's package {package})"
            ));
        }
        let trial = dir.join("trial");
        let mut unshare = unshare();
        unshare.args(["bash", "-c", TRIAL]).arg(&trial);
        let limit = Duration::from_mins(1);
        folder(&trial, 0o700)
            .and_then(|()| run_within("making namespaces and an overlay", &mut unshare, b"", limit))
            .map_err(|error| error.to_string())?;
        fs::remove_dir(&trial).map_err(|error| error.to_string())?;
        let (block, reserved) = reserve().map_err(|error| error.to_string())?;
        let image = image::ready(cache, tools, progress).map_err(|error| error.to_string())?;
        Ok(Self {
            block,
            image,
            _reserved: reserved,
        })
    }

    pub(crate) fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.block[0], self.block[1], last)
    }

    /// Where the hosts are, for people.
    pub(crate) fn addresses(&self, layout: Layout) -> String {
        let last = (11..)
            .zip(layout.hosts())
            .last()
            .map_or(11, |(last, _)| last);
        format!("{} to {}", self.address(11), self.address(last))
    }

    /// Addresses and ports for every host, in the order of the layout.
    pub(crate) fn plans(&self, layout: Layout) -> Result<Vec<Plan>, SandboxError> {
        let plans = (11..).zip(layout.hosts()).map(|(last, name)| {
            let address = self.address(last);
            let mut ports = [22, 5432, 4000, 8080];
            for port in &mut ports {
                *port = usual_port(address, *port)?;
            }
            Ok(Plan::on(name, layout.role(name), address, ports))
        });
        let mut plans = plans.collect::<Result<Vec<Plan>, SandboxError>>()?;
        Plan::link(&mut plans);
        Ok(plans)
    }
}

/// Chooses a block of addresses on which nothing listens.
fn reserve() -> Result<([u8; 2], TcpListener), SandboxError> {
    for _ in 0..200 {
        // 127.0.y.z is what people and other programs choose by hand.
        let block = [64 + below(64)?, random_bytes::<1>()?[0]];
        let listening = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        // Little-endian hexadecimal: 127.x.y.z is ZZYYXX7F.
        if listening.contains(&format!("{:02X}{:02X}7F:", block[1], block[0])) {
            continue;
        }
        if let Ok(reserved) = TcpListener::bind((Ipv4Addr::new(127, block[0], block[1], 1), 1)) {
            return Ok((block, reserved));
        }
    }
    Err(SandboxError::Timeout {
        what: "finding a free block of loopback addresses".to_owned(),
        seconds: 0,
    })
}

pub(crate) fn unshare() -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args([
        "--mount",
        "--uts",
        "--ipc",
        "--pid",
        "--fork",
        "--kill-child",
    ]);
    unshare
}

/// A random number below `limit`.
fn below(limit: u8) -> Result<u8, SandboxError> {
    Ok(random_bytes::<1>()?[0] % limit)
}
