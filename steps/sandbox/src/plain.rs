//! A host made of processes of this machine: sshd, `PostgreSQL` and pm2 on loopback ports, all files in the sandbox.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cache::{Cache, free_port};
use crate::error::{Doing, SandboxError};
use crate::files::{copy, folder, write};
use crate::origin::git;
use crate::process::{Identity, MARK, run, run_with};
use crate::sandbox::HOSTS;
use crate::tools::{Tools, User};

/// What every host of a sandbox shares.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) dir: PathBuf,
    pub(crate) id: String,
    pub(crate) tools: Tools,
    pub(crate) cache: Cache,
    pub(crate) postgres: User,
    pub(crate) pause: Duration,
}

/// One host's name and ports.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) ssh: u16,
    pub(crate) database: u16,
    pub(crate) backend: u16,
    pub(crate) frontend: u16,
}

impl Plan {
    /// Every port of this host.
    pub(crate) fn ports(&self) -> [u16; 4] {
        [self.ssh, self.database, self.backend, self.frontend]
    }

    /// Ports for every host, in the order of [`HOSTS`].
    pub(crate) fn all() -> Result<Vec<Self>, SandboxError> {
        let mut taken = Vec::new();
        HOSTS
            .into_iter()
            .map(|name| {
                let mut port = || free_port(&mut taken);
                Ok(Plan {
                    name,
                    ssh: port()?,
                    database: port()?,
                    backend: port()?,
                    frontend: port()?,
                })
            })
            .collect()
    }
}

/// The container's name, as production has it.
pub(crate) const CONTAINER: &str = "supabase_db_DAP";

impl Ground {
    /// The folder of one host.
    pub(crate) fn host(&self, name: &str) -> PathBuf {
        self.dir.join("hosts").join(name)
    }

    /// Every variable a process of this host has.
    pub(crate) fn env(&self, plan: &Plan) -> BTreeMap<String, String> {
        let root = self.host(plan.name);
        let inside = |name: &str| root.join(name).display().to_string();
        let password = &self.cache.password;
        let url = format!(
            "postgresql://postgres:{password}@127.0.0.1:{}/postgres",
            plan.database
        );
        let pairs = [
            ("HOME", inside("home")),
            ("PATH", format!("{}:{}", inside("bin"), self.tools.path())),
            ("TMPDIR", inside("tmp")),
            ("PM2_HOME", inside("pm2")),
            ("LANG", "C.UTF-8".to_owned()),
            ("DAP_HOST", plan.name.to_owned()),
            ("DAP_ADDRESS", "127.0.0.1".to_owned()),
            ("DAP_BACKEND_PORT", plan.backend.to_string()),
            ("DAP_FRONTEND_PORT", plan.frontend.to_string()),
            ("DAP_SETTINGS", inside("data/dap/settings.json")),
            ("DATABASE_URL", url),
            ("DEPLOY_PAUSE", self.pause.as_secs_f64().to_string()),
            // Nothing here asks the network for news.
            ("CHECKPOINT_DISABLE", "1".to_owned()),
            ("PRISMA_HIDE_UPDATE_MESSAGE", "1".to_owned()),
            (MARK, format!("{}.{}", self.id, plan.name)),
        ];
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// A command in the host's environment.
    pub(crate) fn command(&self, plan: &Plan, program: &str) -> Command {
        let env = self.env(plan);
        let own = self.host(plan.name).join("bin").join(program);
        let mut command = Command::new(if own.exists() {
            own.as_os_str()
        } else {
            program.as_ref()
        });
        command
            .env_clear()
            .envs(env)
            .current_dir(self.host(plan.name).join("home"));
        command
    }

    /// Makes the host's files and starts it with the application running; `sshd` is started by [`Ground::sshd`].
    pub(crate) fn build(&self, plan: &Plan, authorized: &str) -> Result<(), SandboxError> {
        self.lay_out(plan, authorized)?;
        self.sshd_config(plan)?;
        std::thread::scope(|scope| {
            let database = scope.spawn(|| self.fill_database(plan));
            self.check_out(plan)?;
            database
                .join()
                .expect("filling the database does not panic")
        })?;
        self.start_application(plan)
    }

    fn lay_out(&self, plan: &Plan, authorized: &str) -> Result<(), SandboxError> {
        let root = self.host(plan.name);
        folder(&root, 0o711)?;
        for (name, mode) in [
            ("bin", 0o755),
            ("lib", 0o755),
            ("log", 0o755),
            ("etc", 0o700),
            ("home", 0o700),
            ("tmp", 0o700),
        ] {
            folder(&root.join(name), mode)?;
        }
        folder(&root.join("data/dap/backups"), 0o755)?;
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
            &root.join("etc/authorized_keys"),
            &format!("{authorized}\n"),
            0o600,
        )?;
        write(
            &root.join("home/.gitconfig"),
            "[safe]\n\tdirectory = *\n[advice]\n\tdetachedHead = false\n",
            0o600,
        )?;
        // sshd starts a shell in the real home folder, whatever HOME says.
        write(&root.join("home/.bashrc"), "cd \"$HOME\"\n", 0o600)?;
        // Only production lacks the address that the commit `health` asks for.
        let settings = if plan.name == "prod" {
            "{}\n"
        } else {
            "{ \"licenseService\": \"http://licenses.example.org\" }\n"
        };
        write(&root.join("data/dap/settings.json"), settings, 0o644)?;
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
        write(&root.join("etc/database.env"), &env, 0o600)
    }

    fn sshd_config(&self, plan: &Plan) -> Result<(), SandboxError> {
        let root = self.host(plan.name);
        let etc = root.join("etc");
        // One line: of several SetEnv, sshd takes the first.
        let env: Vec<String> = self
            .env(plan)
            .iter()
            .map(|(name, value)| format!(" \"{name}={value}\""))
            .collect();
        let env = env.concat();
        let text = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey \"{}\"\nPidFile none\nAuthorizedKeysFile \"{}\"\n\
             StrictModes no\nUsePAM {}\nUseDNS no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\nPrintMotd no\nPrintLastLog no\nMaxStartups 100\nMaxSessions 100\n\
             ClientAliveInterval 15\nClientAliveCountMax 3\nSubsystem sftp internal-sftp -d \"{}\"\nSetEnv{env}\n",
            plan.ssh,
            etc.join("ssh_host_ed25519_key").display(),
            etc.join("authorized_keys").display(),
            if locked(&self.tools) { "yes" } else { "no" },
            root.join("home").display(),
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

    /// Starts the database and waits until it answers; nothing to do when it runs.
    pub(crate) fn start_database(&self, plan: &Plan) -> Result<(), SandboxError> {
        self.database(plan, "start")
    }

    /// `start`, `stop` or `kill`.
    pub(crate) fn database(&self, plan: &Plan, verb: &str) -> Result<(), SandboxError> {
        let script = self.host(plan.name).join("lib/database");
        let mut command = self.command(plan, "bash");
        run(
            &format!("database {verb} on {}", plan.name),
            command.arg(script).arg(verb),
        )
        .map(drop)
    }

    fn fill_database(&self, plan: &Plan) -> Result<(), SandboxError> {
        copy(
            &self.cache.cluster,
            &self.host(plan.name).join("pgdata"),
            false,
        )?;
        self.start_database(plan)?;
        let mut psql = self.command(plan, "docker");
        psql.args([
            "exec",
            "-i",
            CONTAINER,
            "psql",
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-d",
            "postgres",
        ]);
        run_with(
            &format!("filling the database of {}", plan.name),
            &mut psql,
            crate::data::seed(plan.name).as_bytes(),
        )
        .map(drop)
    }

    fn check_out(&self, plan: &Plan) -> Result<(), SandboxError> {
        let app = self.host(plan.name).join("data/dap/app");
        let mut clone = git();
        clone
            .args(["clone", "--quiet"])
            .arg(self.dir.join("origin.git"))
            .arg(&app);
        run(
            &format!("cloning the application on {}", plan.name),
            &mut clone,
        )?;
        copy(
            &self.cache.npm.join("node_modules"),
            &app.join("node_modules"),
            true,
        )
    }

    /// Starts the application's processes, as a host's boot does; bounded by the caller's wait for its health.
    pub(crate) fn start_application(&self, plan: &Plan) -> Result<(), SandboxError> {
        let app = self.host(plan.name).join("data/dap/app");
        let mut pm2 = self.command(plan, "pm2");
        pm2.current_dir(app)
            .args(["startOrRestart", "ecosystem.config.js", "--silent"]);
        run(
            &format!("starting the application on {}", plan.name),
            &mut pm2,
        )
        .map(drop)
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
