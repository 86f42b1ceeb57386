//! What an ssh client needs to reach the hosts.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::error::SandboxError;
use crate::files::write;
use crate::keys;
use crate::plain::{Ground, Plan};

/// Makes the hosts' keys, the list of known hosts and the client's configuration.
pub(crate) fn client_files(ground: &Ground, plans: &[Plan]) -> Result<PathBuf, SandboxError> {
    let (mut known, mut config) = (String::new(), String::new());
    for plan in plans {
        let public = keys::generate(
            &ground.host(plan.name).join("etc/ssh_host_ed25519_key"),
            plan.name,
        )?;
        writeln!(known, "[127.0.0.1]:{} {public}", plan.ssh)
            .expect("writing to a String cannot fail");
        write!(
            config,
            "Host {}\n  HostName 127.0.0.1\n  Port {}\n",
            plan.name, plan.ssh
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
