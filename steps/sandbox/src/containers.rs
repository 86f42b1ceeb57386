//! A host in namespaces of its own: an overlay of this machine's files as its root, its own name, sshd and docker daemon,
//! on the usual ports of a loopback address of its own.
//!
//! Nothing of it is in this machine's mount table, and killing its first process is a power cut: the kernel then ends
//! whatever runs in its process namespace, containers and their shims too. Only empty cgroups remain, named after the
//! sandbox; [`remove_cgroups`] finds them.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Doing, SandboxError};
use crate::files::{folder, random_bytes, write};
use crate::ground::{CONTAINER, Ground, Plan, below, usual_port};
use crate::image;
use crate::process::{FIRST, Identity, MARK, children_of, end_of, run_within};
use crate::sandbox::HOSTS;
use crate::tools::{Tools, which};

/// What all hosts in containers of a sandbox need.
#[derive(Debug)]
pub(crate) struct Kit {
    /// The two middle numbers of 127.x.y.0, the sandbox's addresses.
    block: [u8; 2],
    /// What `docker import` takes.
    image: PathBuf,
    /// Keeps other sandboxes from choosing the same block while the hosts are not yet up.
    _reserved: TcpListener,
}

/// The database image's name inside the hosts.
const TAG: &str = "flow-postgres";

/// All cgroups of a sandbox's containers begin with this and its id.
const CGROUP: &str = "flow-sandbox-";

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

    fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.block[0], self.block[1], last)
    }

    /// Where the hosts are, for people.
    pub(crate) fn addresses(&self) -> String {
        format!("{} to {}", self.address(11), self.address(13))
    }

    /// Addresses and ports for every host, in the order of [`HOSTS`].
    pub(crate) fn plans(&self) -> Result<Vec<Plan>, SandboxError> {
        (11..)
            .zip(HOSTS)
            .map(|(last, name)| {
                let address = self.address(last);
                Ok(Plan {
                    name,
                    address,
                    ssh: usual_port(address, 22)?,
                    database: usual_port(address, 5432)?,
                    backend: usual_port(address, 4000)?,
                    frontend: usual_port(address, 8080)?,
                })
            })
            .collect()
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

fn unshare() -> Command {
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
        let names = (11..).zip(HOSTS).fold(
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
        let until = Instant::now() + Duration::from_mins(1);
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
            if ended.is_some() || Instant::now() > until {
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

/// Removes the empty cgroups that the containers of a sandbox left; nothing to do when there are none.
///
/// The kernel takes a moment to notice that the last process of one has ended, so this tries for two seconds.
pub(crate) fn remove_cgroups(id: &str) {
    if id.len() < 16 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return;
    }
    let until = Instant::now() + Duration::from_secs(2);
    loop {
        let left = cgroups(id);
        for path in &left {
            remove_tree(path);
        }
        if left.iter().all(|path| !path.exists()) || Instant::now() > until {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The sandbox's topmost cgroups, in every hierarchy.
fn cgroups(id: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let name = format!("{CGROUP}{id}");
    let inside = |dir: &Path| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let own = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|found| found.as_encoded_bytes().starts_with(name.as_bytes()))
    };
    // With version 1 there is one folder for each controller, with version 2 only the root.
    let tops = inside(root);
    let below = tops.iter().flat_map(|top| inside(top));
    below.chain(tops.clone()).filter(own).collect()
}

fn remove_tree(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    // Its files are the kernel's and go with it.
    fs::remove_dir(cgroup).ok();
}
