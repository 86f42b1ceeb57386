//! The sandbox as a whole: up, looked at, broken on purpose, down.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::cache::{Cache, free_port};
use crate::cgroups::remove_cgroups;
use crate::claim::{claim, clear, clear_shared_memory};
use crate::error::SandboxError;
use crate::files::{folder, remove};
use crate::ground::Ground;
use crate::host::Host;
use crate::hosts::Role;
use crate::keys::{self, Person};
use crate::ledger::LedgerLine;
use crate::mail::{self, Mail, Smtp};
use crate::options::{Isolation, Options};
use crate::origin;
use crate::plan::Plan;
use crate::probe::{answers, greets};
use crate::process::{run, wait_until};
use crate::ssh;
use crate::tools::{Tools, User};

/// Running hosts, a mail server and a repository to deploy from. Ends with the value.
#[derive(Debug)]
pub struct Sandbox {
    pub(crate) ground: Ground,
    plans: Vec<Plan>,
    hosts: Vec<Host>,
    explanation: String,
    ssh_config: PathBuf,
    commits: BTreeMap<String, String>,
    people: Vec<Person>,
    smtp: Smtp,
    keep: bool,
    pub(crate) children: Mutex<Vec<Child>>,
    ended: bool,
    pub(crate) held: Option<fs::File>,
}

impl Sandbox {
    /// Starts a sandbox in this folder, which is created or holds an earlier sandbox.
    ///
    /// What an earlier one left behind, even one that crashed, is ended and removed first. A warm start takes a few
    /// seconds; the first on a machine about half a minute more. `progress` is told what is going on, in words.
    ///
    /// # Errors
    /// [`SandboxError`]; whatever had been started is stopped again.
    pub fn up(
        dir: &Path,
        options: &Options,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, SandboxError> {
        let wanted = options.wanted()?;
        let wanted = options.layout.isolation(wanted)?;
        let tools = Tools::find()?;
        let (dir, held) = claim(dir)?;
        let postgres = User::first_of(&tools, &["postgres", "nobody"])?;
        let store = options.cache();
        let cache = Cache::ready(&store, &tools, postgres, progress)?;
        let ground = Ground {
            dir,
            id: String::new(),
            tools,
            cache,
            postgres,
            pause: options.deploy_pause.unwrap_or(Duration::from_millis(500)),
            layout: options.layout,
            kit: None,
        };
        let why = match wanted {
            Some(Isolation::Plain) => "as was asked for.".to_owned(),
            _ => match Self::up_in_containers(&ground, &store, options.keep, progress) {
                Ok(sandbox) => return Ok(sandbox.holding(held)),
                Err(why) if wanted.is_none() => {
                    progress(&format!("hosts in containers do not work here: {why}"));
                    clear(&ground.dir)?;
                    format!("because hosts in containers do not work here: {why}.")
                }
                Err(why) => {
                    return Err(SandboxError::Isolation(format!(
                        "hosts in containers, which were asked for, do not work here: {why}"
                    )));
                }
            },
        };
        progress(&format!("starting {} hosts", ground.layout.number()));
        let explanation = format!("Plain processes on loopback ports, {why}");
        Ok(Self::attempt(ground, options.keep, explanation)?.holding(held))
    }

    pub(crate) fn start(
        ground: Ground,
        keep: bool,
        explanation: String,
    ) -> Result<Self, SandboxError> {
        let dir = ground.dir.clone();
        for (name, mode) in [
            ("run", 0o700),
            ("ssh", 0o700),
            ("people", 0o700),
            ("hosts", 0o711),
        ] {
            folder(&dir.join(name), mode)?;
        }
        let plans = match &ground.kit {
            Some(kit) => kit.plans(ground.layout)?,
            None => Plan::all()?,
        };
        let smtp_port = free_port(&mut plans.iter().flat_map(Plan::ports).collect())?;
        let commits = origin::create(&dir.join("origin.git"))?;
        let client = keys::generate(&dir.join("ssh/client"), "client")?;
        for plan in &plans {
            ground.lay_out(plan, &client)?;
        }
        let ssh_config = ssh::client_files(&ground, &plans)?;
        let mut children = Vec::new();
        let (people, smtp) = std::thread::scope(|scope| {
            let building: Vec<_> = plans
                .iter()
                .map(|plan| scope.spawn(|| ground.build(plan)))
                .collect();
            let people = keys::people(&dir.join("people"));
            let mail = mail::start(&dir, &ground.id, smtp_port, &ground.tools);
            let built: Vec<_> = building
                .into_iter()
                .map(|host| host.join().expect("building a host does not panic"))
                .collect();
            let (smtp, child) = mail?;
            children.push(child);
            for host in built {
                children.push(host?);
            }
            Ok::<_, SandboxError>((people?, smtp))
        })?;
        let sandbox = Self {
            hosts: plans.iter().map(|plan| ground.describe(plan)).collect(),
            explanation,
            ground,
            plans,
            ssh_config,
            commits,
            people,
            smtp,
            keep,
            children: Mutex::new(children),
            ended: false,
            held: None,
        };
        for plan in &sandbox.plans {
            Self::wait_for(plan)?;
        }
        wait_until(
            "the mail server's greeting",
            Duration::from_secs(90),
            || greets(([127, 0, 0, 1], smtp_port).into(), b"220"),
        )?;
        Ok(sandbox)
    }

    pub(crate) fn wait_for(plan: &Plan) -> Result<(), SandboxError> {
        let limit = Duration::from_secs(90);
        wait_until(&format!("ssh to {}", plan.name), limit, || {
            greets(plan.at(plan.ssh), b"SSH-")
        })?;
        if matches!(plan.role, Role::Worker | Role::Database) {
            return Ok(());
        }
        wait_until(&format!("the application of {}", plan.name), limit, || {
            answers(plan)
        })
    }

    /// Which kind this is.
    pub fn isolation(&self) -> Isolation {
        match self.ground.kit {
            Some(_) => Isolation::Containers,
            None => Isolation::Plain,
        }
    }

    /// One or two sentences for people: which kind was taken, and why the better one was not.
    pub fn explanation(&self) -> &str {
        &self.explanation
    }

    /// The folder everything lies in.
    pub fn dir(&self) -> &Path {
        &self.ground.dir
    }

    /// An ssh configuration with the aliases `test`, `stage` and `prod`, strict about host keys.
    pub fn ssh_config(&self) -> &Path {
        &self.ssh_config
    }

    /// `ssh -F … host`, ready for a remote command as further arguments.
    pub fn ssh(&self, host: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F")
            .arg(&self.ssh_config)
            .args(["-o", "BatchMode=yes", host]);
        ssh
    }

    /// All hosts, in the order of [`Layout::hosts`](crate::Layout::hosts).
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// One host.
    ///
    /// # Errors
    /// [`SandboxError::Unknown`].
    pub fn host(&self, name: &str) -> Result<&Host, SandboxError> {
        let found = self.hosts.iter().find(|host| host.name == name);
        found.ok_or_else(|| SandboxError::Unknown {
            kind: "host",
            name: name.to_owned(),
        })
    }

    /// How to hand in mail.
    pub fn smtp(&self) -> &Smtp {
        &self.smtp
    }

    /// Where the mail server puts what it took.
    pub fn maildir(&self) -> PathBuf {
        self.ground.dir.join("mail/maildir")
    }

    /// Every mail taken so far, oldest first.
    ///
    /// # Errors
    /// [`SandboxError::Io`] when one cannot be read.
    pub fn mails(&self) -> Result<Vec<Mail>, SandboxError> {
        mail::read(&self.maildir())
    }

    /// The bare repository the hosts deploy from.
    pub fn origin(&self) -> PathBuf {
        self.ground.dir.join("origin.git")
    }

    /// The sha of a commit of the demo application, which is also a branch of [`Sandbox::origin`]:
    ///
    /// * `current`: deployed on all three hosts at the start; also `main`
    /// * `good`: adds a column that may be empty
    /// * `lost-rows`: its deploy deletes three customers, on prod only
    /// * `bad-migration`: drops a column
    /// * `health`: answers 503 on `/health`, on prod only
    /// * `drift`: its `schema.prisma` has a table and a column that no migration makes
    ///
    /// # Errors
    /// [`SandboxError::Unknown`].
    pub fn commit(&self, name: &str) -> Result<&str, SandboxError> {
        let found = self.commits.get(name).map(String::as_str);
        found.ok_or_else(|| SandboxError::Unknown {
            kind: "commit",
            name: name.to_owned(),
        })
    }

    /// Those who sign off, played by the demo.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// The public keys of [`Sandbox::people`], as `ssh-keygen -Y verify` reads them.
    pub fn allowed_signers(&self) -> PathBuf {
        self.ground.dir.join("people/allowed_signers")
    }

    /// Runs SQL on a host's database, not by ssh, and returns unaligned rows without a heading, trimmed.
    ///
    /// # Errors
    /// [`SandboxError::Command`] when it fails or the database is down.
    pub fn sql(&self, host: &str, query: &str) -> Result<String, SandboxError> {
        let mut psql = self.ground.psql(self.plan(host)?)?;
        psql.args(["-A", "-t", "-c", query]);
        Ok(run(&format!("SQL on {host}"), &mut psql)?.trim().to_owned())
    }

    /// What the release script wrote down about its deploys on a host. Empty before the first.
    ///
    /// # Errors
    /// [`SandboxError::Unknown`] for a host that is not there.
    pub fn ledger(&self, host: &str) -> Result<Vec<LedgerLine>, SandboxError> {
        let text =
            fs::read_to_string(self.host(host)?.data_here.join("ledger")).unwrap_or_default();
        Ok(text.lines().filter_map(LedgerLine::parse).collect())
    }

    /// The ids of all processes that belong to this sandbox.
    pub fn processes(&self) -> Vec<u32> {
        self.ground.scope(None).members().into_iter().collect()
    }

    /// Ends everything this sandbox started, also what was started on its hosts, and removes its folder unless it is kept.
    ///
    /// # Errors
    /// [`SandboxError`] when a process would not end or a file cannot be removed.
    pub fn down(mut self) -> Result<(), SandboxError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), SandboxError> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        // A folder that is kept is left as a shut-down leaves it; one that goes needs no goodbye in its containers.
        if self.keep || self.ground.kit.is_none() {
            std::thread::scope(|scope| {
                for plan in &self.plans {
                    scope.spawn(|| self.ground.database(plan, "stop").ok());
                }
            });
        }
        self.ground.scope(None).end(Duration::from_millis(300))?;
        self.bury();
        clear_shared_memory(&self.ground.dir);
        remove_cgroups(&self.ground.id);
        if self.keep {
            Ok(())
        } else {
            remove(&self.ground.dir)
        }
    }

    /// Takes note of our own children's ends, so that none stays a zombie.
    pub(crate) fn bury(&self) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }

    pub(crate) fn plan(&self, host: &str) -> Result<&Plan, SandboxError> {
        let found = self.plans.iter().find(|plan| plan.name == host);
        found.ok_or_else(|| SandboxError::Unknown {
            kind: "host",
            name: host.to_owned(),
        })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(%error, "the sandbox did not end cleanly");
        }
    }
}
