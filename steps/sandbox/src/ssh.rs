//! What an ssh client needs to reach the hosts.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::error::SandboxError;
use crate::files::write;
use crate::ground::Ground;
use crate::keys;
use crate::plan::Plan;

/// Makes the hosts' keys, the list of known hosts and the client's configuration.
pub(crate) fn client_files(ground: &Ground, plans: &[Plan]) -> Result<PathBuf, SandboxError> {
    let (mut known, mut config) = (String::new(), String::new());
    for plan in plans {
        let public = keys::generate(
            &ground.host(plan.name).join("etc/ssh_host_ed25519_key"),
            plan.name,
        )?;
        // The usual port has no place in the list of known hosts.
        match plan.ssh {
            22 => writeln!(known, "{} {public}", plan.address),
            port => writeln!(known, "[{}]:{port} {public}", plan.address),
        }
        .expect("writing to a String cannot fail");
        write!(
            config,
            "Host {}\n  HostName {}\n  Port {}\n",
            plan.name, plan.address, plan.ssh
        )
        .expect("writing to a String cannot fail");
    }
    let ssh = ground.dir.join("ssh");
    let (known_hosts, key) = (ssh.join("known_hosts"), ssh.join("client"));
    write(&known_hosts, &known, 0o600)?;
    write!(
        config,
        "Host *\n  User {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  \
         GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n",
        ground.tools.login,
        key.display(),
        known_hosts.display()
    )
    .expect("writing to a String cannot fail");
    let file = ssh.join("config");
    write(&file, &config, 0o600)?;
    Ok(file)
}
