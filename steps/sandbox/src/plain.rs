//! A host made of processes of this machine: sshd, `PostgreSQL` and pm2 on loopback ports, all files in the sandbox.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::error::{Doing, SandboxError};
use crate::files::{folder, write};
use crate::ground::{CONTAINER, Ground};
use crate::plan::Plan;
use crate::process::{Identity, MARK};
use crate::tools::Tools;

impl Ground {
    /// The variables that say where things are on the host.
    pub(crate) fn plain_places(&self, plan: &Plan) -> Vec<(&'static str, String)> {
        let root = self.host(plan.name);
        let inside = |name: &str| root.join(name).display().to_string();
        vec![
            ("HOME", inside("home")),
            ("PATH", format!("{}:{}", inside("bin"), self.tools.path())),
            ("TMPDIR", inside("tmp")),
            ("PM2_HOME", inside("pm2")),
            // The hosts are one machine, and what runs here must leave nothing on it.
            ("FLOW_STATE_DIR", inside("flow")),
        ]
    }

    pub(crate) fn plain_command(&self, plan: &Plan, folder: &Path, program: &str) -> Command {
        let own = self.host(plan.name).join("bin").join(program);
        let mut command = Command::new(if own.exists() {
            own.as_os_str()
        } else {
            program.as_ref()
        });
        command.current_dir(folder);
        command
    }

    pub(crate) fn lay_out_plain(&self, plan: &Plan) -> Result<(), SandboxError> {
        let root = self.host(plan.name);
        for (name, mode) in [("bin", 0o755), ("home", 0o700), ("tmp", 0o700)] {
            folder(&root.join(name), mode)?;
        }
        write(
            &root.join("bin/docker"),
            include_str!("../files/docker"),
            0o755,
        )?;
        write(
            &root.join("lib/database"),
            include_str!("../files/database"),
            0o755,
        )?;
        write(
            &root.join("home/.gitconfig"),
            "[safe]\n\tdirectory = *\n[advice]\n\tdetachedHead = false\n",
            0o600,
        )?;
        // sshd starts a shell in the real home folder, whatever HOME says.
        write(&root.join("home/.bashrc"), "cd \"$HOME\"\n", 0o600)?;
        let pm2 = root.join("bin/pm2");
        std::os::unix::fs::symlink(self.cache.npm.join("node_modules/.bin/pm2"), &pm2)
            .doing(|| format!("cannot link {}", pm2.display()))?;
        let mut words = self.tools.unprivileged(self.postgres, &self.dir);
        for word in &mut words {
            *word = format!("'{word}'");
        }
        let env = format!(
            "CONTAINER={CONTAINER}\nPORT={}\nPGPASSWORD={}\nPG_BIN='{}'\nAS=({})\n",
            plan.database,
            self.cache.password,
            self.tools.postgres.display(),
            words.join(" "),
        );
        write(&root.join("etc/database.env"), &env, 0o600)?;
        self.sshd_config(plan)
    }

    fn sshd_config(&self, plan: &Plan) -> Result<(), SandboxError> {
        let root = self.host(plan.name);
        let etc = root.join("etc");
        let text = format!(
            "HostKey \"{}\"\nAuthorizedKeysFile \"{}\"\nStrictModes no\nUsePAM {}\nSubsystem sftp internal-sftp -d \"{}\"\n{}",
            etc.join("ssh_host_ed25519_key").display(),
            etc.join("authorized_keys").display(),
            if locked(&self.tools) { "yes" } else { "no" },
            root.join("home").display(),
            self.sshd_lines(plan),
        );
        write(&etc.join("sshd_config"), &text, 0o600)
    }

    /// Starts the host's sshd; the caller waits for it.
    pub(crate) fn sshd(&self, plan: &Plan) -> Result<Child, SandboxError> {
        let root = self.host(plan.name);
        if self.tools.root && !Path::new("/run/sshd").is_dir() {
            // Compiled into sshd, which does not start as root without it.
            folder(Path::new("/run/sshd"), 0o755)?;
        }
        let child = Command::new(&self.tools.sshd)
            .arg("-D")
            .arg("-f")
            .arg(root.join("etc/sshd_config"))
            .arg("-E")
            .arg(root.join("log/sshd.log"))
            .env_clear()
            .env("PATH", self.tools.path())
            .env(MARK, format!("{}.{}", self.id, plan.name))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .doing(|| format!("cannot start sshd of {}", plan.name))?;
        if let Some(identity) = Identity::of(child.id()) {
            identity.record(&self.dir.join("run").join(plan.name))?;
        }
        Ok(child)
    }
}

/// Whether sshd would refuse this process's user as locked unless PAM decides.
fn locked(tools: &Tools) -> bool {
    let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
    let line = shadow
        .lines()
        .find(|line| line.split(':').next() == Some(tools.login.as_str()));
    line.and_then(|line| line.split(':').nth(1))
        .is_some_and(|word| word.starts_with('!'))
}
