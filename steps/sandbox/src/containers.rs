//! A host in namespaces of its own: an overlay of this machine's files as its root, its own name, sshd and docker daemon,
//! on the usual ports of a loopback address of its own.
//!
//! Nothing of it is in this machine's mount table, and killing its first process is a power cut: the kernel then ends
//! whatever runs in its process namespace, containers and their shims too. Only empty cgroups remain, named after the
//! sandbox; [`crate::cgroups::remove_cgroups`] finds them.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cgroups::CGROUP;
use crate::clock::Deadline;
use crate::error::{Doing, SandboxError};
use crate::files::{folder, random_bytes, write};
use crate::ground::{CONTAINER, Ground};
use crate::hosts::Role;
use crate::kit::{Kit, unshare};
use crate::plan::Plan;
use crate::process::{FIRST, Identity, MARK, children_of, end_of};

/// The database image's name inside the hosts.
const TAG: &str = "flow-postgres";

impl Ground {
    /// The variables that say where things are on the host.
    pub(crate) fn own_places(&self) -> Vec<(&'static str, String)> {
        vec![
            ("HOME", "/root".to_owned()),
            ("PATH", self.tools.path()),
            ("PM2_HOME", "/root/.pm2".to_owned()),
            ("FLOW_STATE_DIR", "/root/.flow".to_owned()),
        ]
    }

    pub(crate) fn lay_out_container(&self, plan: &Plan, kit: &Kit) -> Result<(), SandboxError> {
        let root = self.host(plan.name);
        for (name, mode) in [("layer", 0o700), ("root", 0o700), ("docker", 0o711)] {
            folder(&root.join(name), mode)?;
        }
        let lib = root.join("lib");
        let scripts = [
            ("host-root.sh", include_str!("../files/host-root.sh")),
            ("host-init.sh", include_str!("../files/host-init.sh")),
            (
                "host-database.sh",
                include_str!("../files/host-database.sh"),
            ),
        ];
        for (name, text) in scripts {
            write(&lib.join(name), text, 0o755)?;
        }
        let database = format!(
            "CONTAINER={CONTAINER} TAG={TAG} PORT={} LISTEN={} POSTGRES_UID={} POSTGRES_GID={} PG_BIN='{}'\n",
            plan.database,
            plan.address,
            self.postgres.uid,
            self.postgres.gid,
            self.tools.postgres.display(),
        );
        write(&lib.join("database.env"), &database, 0o644)?;
        write(
            &root.join("root/.gitconfig"),
            "[safe]\n\tdirectory = *\n[advice]\n\tdetachedHead = false\n",
            0o600,
        )?;
        if plan.role == Role::Frontend {
            self.lay_out_unit(plan, &root.join("root"))?;
        }
        let etc = root.join("etc");
        // A machine's network is not the sandbox's to change.
        let daemon = format!(
            "{{\"iptables\":false,\"ip6tables\":false,\"ip-forward\":false,\"ip-masq\":false,\"bridge\":\"none\",\
             \"cgroup-parent\":\"/{CGROUP}{}-{}\"}}\n",
            self.id, plan.name
        );
        write(&etc.join("daemon.json"), &daemon, 0o644)?;
        let machine = u128::from_ne_bytes(random_bytes()?);
        write(&etc.join("machine-id"), &format!("{machine:032x}\n"), 0o444)?;
        let names = (11..).zip(self.layout.hosts()).fold(
            String::from("127.0.0.1 localhost\n"),
            |text, (last, name)| format!("{text}{} {name}.dap.test {name}\n", kit.address(last)),
        );
        write(&etc.join("hosts"), &names, 0o644)?;
        let sshd = format!(
            "HostKey /etc/ssh/ssh_host_ed25519_key\nAuthorizedKeysFile /etc/ssh/authorized_keys\nStrictModes no\n\
             UsePAM no\nSubsystem sftp internal-sftp\n{}",
            self.sshd_lines(plan),
        );
        write(&etc.join("sshd_config"), &sshd, 0o600)
    }

    /// The page as a service of the user's systemd, with what it finds in its environment.
    fn lay_out_unit(&self, plan: &Plan, home: &Path) -> Result<(), SandboxError> {
        let units = home.join(".config/systemd/user");
        folder(&units, 0o755)?;
        let unit = include_str!("../files/dap-frontend.service");
        write(&units.join("dap-frontend.service"), unit, 0o644)?;
        let env = self.env(plan);
        let lines = env
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\"\n"));
        write(
            &home.join("dap.env"),
            &lines.collect::<Vec<_>>().concat(),
            0o600,
        )
    }

    /// Makes the namespaces; returns when the host's first process is in place.
    pub(crate) fn boot(&self, plan: &Plan, kit: &Kit) -> Result<Child, SandboxError> {
        let root = self.host(plan.name);
        let log = root.join("log/boot.log");
        let out = fs::File::create(&log).doing(|| format!("cannot write {}", log.display()))?;
        let err = out
            .try_clone()
            .doing(|| format!("cannot write {}", log.display()))?;
        let mut child = unshare()
            .arg("/bin/bash")
            .arg(root.join("lib/host-root.sh"))
            .env_clear()
            .env("PATH", self.tools.path())
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .env("NAME", plan.name)
            .env("ROLE", plan.role.word())
            .env("SLICE", format!("{CGROUP}{}-{}.slice", self.id, plan.name))
            .env("HERE", &root)
            .env("ORIGIN", self.dir.join("origin.git"))
            .env("NPM", &self.cache.npm)
            .env("IMAGE", &kit.image)
            .env("SSHD", &self.tools.sshd)
            .env(MARK, format!("{}.{}", self.id, plan.name))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .doing(|| format!("cannot start {}", plan.name))?;
        let run = self.dir.join("run");
        if let Some(identity) = Identity::of(child.id()) {
            identity.record(&run.join(plan.name))?;
        }
        let until = Deadline::after(Duration::from_mins(1));
        loop {
            let first = children_of(child.id()).into_iter().next();
            if let Some(identity) = first.and_then(Identity::of) {
                identity.record(&run.join(format!("{}{FIRST}", plan.name)))?;
                let line = fs::read(format!("/proc/{}/cmdline", identity.pid)).unwrap_or_default();
                if line.ends_with(b"/run/host-init.sh\0") {
                    return Ok(child);
                }
            }
            let ended = child.try_wait().ok().flatten();
            if ended.is_some() || until.is_over() {
                child.kill().ok();
                child.wait().ok();
                return Err(SandboxError::Command {
                    what: format!("booting {}", plan.name),
                    status: ended.map_or("not done after 20 s".to_owned(), |end| end.to_string()),
                    stderr: end_of(&fs::read_to_string(&log).unwrap_or_default()),
                });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The first process of the host's namespaces, while it lives.
    pub(crate) fn first_process(&self, plan: &Plan) -> Option<u32> {
        let file = self.dir.join("run").join(format!("{}{FIRST}", plan.name));
        let known = Identity::read(&file)?;
        (Identity::of(known.pid) == Some(known)).then_some(known.pid)
    }

    /// A command in the host's namespaces.
    pub(crate) fn enter(
        &self,
        plan: &Plan,
        folder: &Path,
        program: &str,
    ) -> Result<Command, SandboxError> {
        let first = self.first_process(plan);
        let first = first.ok_or_else(|| SandboxError::Command {
            what: format!("running `{program}` on {}", plan.name),
            status: "not started".to_owned(),
            stderr: "the host is switched off".to_owned(),
        })?;
        let mut command = Command::new("nsenter");
        command
            .args(["--mount", "--uts", "--ipc", "--pid", "--target"])
            .arg(first.to_string())
            .args(["bash", "-c", "cd \"$0\" && exec \"$@\""])
            .arg(folder)
            .arg(program);
        Ok(command)
    }
}
