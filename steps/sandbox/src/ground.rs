//! What the hosts of a sandbox share, whichever way they are kept apart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use crate::cache::Cache;
use crate::error::SandboxError;
use crate::files::{copy, folder, write};
use crate::hosts::{Layout, Role};
use crate::kit::Kit;
use crate::origin::git;
use crate::plan::Plan;
use crate::probe::greets;
use crate::process::{MARK, Scope, run, run_with};
use crate::tools::{Tools, User};

/// What every host of a sandbox shares.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) dir: PathBuf,
    pub(crate) id: String,
    pub(crate) tools: Tools,
    pub(crate) cache: Cache,
    pub(crate) postgres: User,
    pub(crate) pause: Duration,
    pub(crate) layout: Layout,
    /// What hosts in containers need; `None` when they are plain processes.
    pub(crate) kit: Option<Arc<Kit>>,
}

/// The container's name, as production has it.
pub(crate) const CONTAINER: &str = "supabase_db_DAP";
/// The role that owns the database and all in it, and is no superuser: the application's and the release's.
pub(crate) const OWNER: &str = "dap";

impl Ground {
    /// The processes of one host, or of all and the mail server.
    pub(crate) fn scope(&self, host: Option<&str>) -> Scope {
        Scope {
            dir: self.dir.clone(),
            id: self.id.clone(),
            host: host.map(str::to_owned),
        }
    }

    /// The folder of one host.
    pub(crate) fn host(&self, name: &str) -> PathBuf {
        self.dir.join("hosts").join(name)
    }

    /// The host's data folder, as a command on the host names it.
    pub(crate) fn data(&self, plan: &Plan) -> PathBuf {
        match self.kit {
            Some(_) => PathBuf::from("/data/dap"),
            None => self.host(plan.name).join("data/dap"),
        }
    }

    /// Where the database's files lie, as this process names it.
    fn cluster(&self, plan: &Plan) -> PathBuf {
        let root = self.host(plan.name);
        match self.kit {
            Some(_) => root.join("data/postgres"),
            None => root.join("pgdata"),
        }
    }

    /// Every variable a process of this host has.
    pub(crate) fn env(&self, plan: &Plan) -> BTreeMap<String, String> {
        let password = &self.cache.password;
        let url = format!("postgresql://{OWNER}:{password}@{}/postgres", plan.data_at);
        let settings = self.data(plan).join("settings.json");
        let mut pairs = vec![
            ("LANG", "C.UTF-8".to_owned()),
            ("DAP_HOST", plan.name.to_owned()),
            ("DAP_ADDRESS", plan.address.to_string()),
            ("DAP_BACKEND_PORT", plan.backend_at.port().to_string()),
            ("DAP_FRONTEND_PORT", plan.frontend.to_string()),
            ("DAP_SETTINGS", settings.display().to_string()),
            ("DATABASE_URL", url),
            ("DEPLOY_PAUSE", self.pause.as_secs_f64().to_string()),
            // Nothing here asks the network for news.
            ("CHECKPOINT_DISABLE", "1".to_owned()),
            ("PRISMA_HIDE_UPDATE_MESSAGE", "1".to_owned()),
            (MARK, format!("{}.{}", self.id, plan.name)),
        ];
        if plan.role != Role::Whole {
            pairs.push(("DAP_PROCESSES", plan.role.processes().join(",")));
            pairs.push(("DAP_BACKEND_ADDRESS", plan.backend_at.ip().to_string()));
        }
        if plan.role == Role::Frontend {
            pairs.push(("DAP_SUPERVISOR", "systemd".to_owned()));
            pairs.push(("XDG_RUNTIME_DIR", "/run/user/0".to_owned()));
        }
        pairs.extend(match self.kit {
            Some(_) => self.own_places(),
            None => self.plain_places(plan),
        });
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// A command on the host, in its environment and in this folder of it.
    pub(crate) fn command(
        &self,
        plan: &Plan,
        folder: &Path,
        program: &str,
    ) -> Result<Command, SandboxError> {
        let mut command = match self.kit {
            Some(_) => self.enter(plan, folder, program)?,
            None => self.plain_command(plan, folder, program),
        };
        command.env_clear().envs(self.env(plan));
        Ok(command)
    }

    /// `psql` on the host's database, with errors that count.
    pub(crate) fn psql(&self, plan: &Plan) -> Result<Command, SandboxError> {
        let mut psql = self.command(plan, Path::new("/"), "docker")?;
        psql.args(["exec", "-i", CONTAINER, "psql", "-X", "-q"]);
        psql.args(["-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres"]);
        Ok(psql)
    }

    /// Makes what the host's files are before it is switched on.
    pub(crate) fn lay_out(&self, plan: &Plan, authorized: &str) -> Result<(), SandboxError> {
        let root = self.host(plan.name);
        folder(&root, 0o711)?;
        for (name, mode) in [("lib", 0o755), ("log", 0o755), ("etc", 0o700)] {
            folder(&root.join(name), mode)?;
        }
        folder(&root.join("data/dap/backups"), 0o755)?;
        write(
            &root.join("etc/authorized_keys"),
            &format!("{authorized}\n"),
            0o600,
        )?;
        // Only production lacks the address that the commit `health` asks for.
        let settings = if plan.name == "prod" {
            "{}\n"
        } else {
            "{ \"licenseService\": \"http://licenses.example.org\" }\n"
        };
        write(&root.join("data/dap/settings.json"), settings, 0o644)?;
        match &self.kit {
            Some(kit) => self.lay_out_container(plan, kit),
            None => self.lay_out_plain(plan),
        }
    }

    /// Switches the host on and fills it; the application runs when this returns, and may not answer yet.
    pub(crate) fn build(&self, plan: &Plan) -> Result<Child, SandboxError> {
        let child = std::thread::scope(|scope| {
            let files = scope.spawn(|| {
                if plan.role.has_code() {
                    self.check_out(plan)
                } else {
                    Ok(())
                }
            });
            let child = if plan.role.has_database() {
                self.fill_database(plan)
            } else {
                self.power_on(plan)
            };
            files.join().expect("checking out does not panic")?;
            child
        })?;
        self.start_application(plan)?;
        Ok(child)
    }

    /// Boots the host: sshd, and where hosts have one, their docker daemon. The process lives as long as the host.
    pub(crate) fn power_on(&self, plan: &Plan) -> Result<Child, SandboxError> {
        match &self.kit {
            Some(kit) => self.boot(plan, kit),
            None => self.sshd(plan),
        }
    }

    /// Whether the host is on.
    pub(crate) fn powered(&self, plan: &Plan) -> bool {
        match self.kit {
            Some(_) => self.first_process(plan).is_some(),
            None => greets(plan.at(plan.ssh), b"SSH-"),
        }
    }

    /// Starts the database and waits until it answers; nothing to do when it runs.
    pub(crate) fn start_database(&self, plan: &Plan) -> Result<(), SandboxError> {
        self.database(plan, "start")
    }

    /// `start`, `stop` or `kill`.
    pub(crate) fn database(&self, plan: &Plan, verb: &str) -> Result<(), SandboxError> {
        let script = match self.kit {
            Some(_) => PathBuf::from("/run/host-database.sh"),
            None => self.host(plan.name).join("lib/database"),
        };
        let mut command = self.command(plan, Path::new("/"), "bash")?;
        run(
            &format!("database {verb} on {}", plan.name),
            command.arg(script).arg(verb),
        )
        .map(drop)
    }

    fn fill_database(&self, plan: &Plan) -> Result<Child, SandboxError> {
        let cluster = self.cluster(plan);
        copy(&self.cache.cluster, &cluster, false)?;
        if self.kit.is_some() {
            // As in production's image: who is inside the container needs no password.
            let rules = "local all all trust\nhost all all 127.0.0.0/8 scram-sha-256\n";
            write(&cluster.join("pg_hba.conf"), rules, 0o644)?;
        }
        let child = self.power_on(plan)?;
        self.start_database(plan)?;
        // A database of its own is production's.
        let content = match plan.role {
            Role::Database => "prod",
            _ => plan.name,
        };
        run_with(
            &format!("filling the database of {}", plan.name),
            &mut self.psql(plan)?,
            crate::data::seed(content).as_bytes(),
        )?;
        let mut psql = self.psql(plan)?;
        psql.args(["-v", &format!("password={}", self.cache.password)]);
        run_with(
            &format!("giving the database of {} to its owner", plan.name),
            &mut psql,
            include_bytes!("../files/owner.sql"),
        )?;
        Ok(child)
    }

    fn check_out(&self, plan: &Plan) -> Result<(), SandboxError> {
        let app = self.host(plan.name).join("data/dap/app");
        let origin = self.dir.join("origin.git");
        run(
            &format!("cloning the application on {}", plan.name),
            git().args(["clone", "--quiet"]).arg(&origin).arg(&app),
        )?;
        if self.kit.is_some() {
            let mut remote = git();
            remote.arg("-C").arg(&app);
            remote.args(["remote", "set-url", "origin", "/srv/git"]);
            run("naming the repository as the host does", &mut remote)?;
        }
        copy(
            &self.cache.npm.join("node_modules"),
            &app.join("node_modules"),
            true,
        )
    }

    /// Starts the application's processes, as a host's boot does; bounded by the caller's wait for its health.
    pub(crate) fn start_application(&self, plan: &Plan) -> Result<(), SandboxError> {
        let app = self.data(plan).join("app");
        if plan.role == Role::Database {
            return Ok(());
        }
        if plan.role == Role::Frontend {
            let mut bash = self.command(plan, Path::new("/"), "bash")?;
            bash.args(["-c", include_str!("../files/start-frontend.sh")]);
            return run(&format!("starting the page on {}", plan.name), &mut bash).map(drop);
        }
        let mut pm2 = self.command(plan, &app, "pm2")?;
        pm2.args(["startOrRestart", "ecosystem.config.js", "--silent"]);
        run(
            &format!("starting the application on {}", plan.name),
            &mut pm2,
        )
        .map(drop)
    }

    /// The lines of `sshd_config` that are the same everywhere.
    pub(crate) fn sshd_lines(&self, plan: &Plan) -> String {
        // One line: of several SetEnv, sshd takes the first.
        let env: Vec<String> = self
            .env(plan)
            .iter()
            .map(|(name, value)| format!(" \"{name}={value}\""))
            .collect();
        format!(
            "Port {}\nListenAddress {}\nPidFile none\nUseDNS no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nPrintMotd no\nPrintLastLog no\n\
             MaxStartups 100\nMaxSessions 100\nClientAliveInterval 15\nClientAliveCountMax 3\nSetEnv{}\n",
            plan.ssh,
            plan.address,
            env.concat(),
        )
    }
}
