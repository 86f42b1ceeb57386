//! A real sshd on a loopback port, for tests. It has its own keys, files and home in a temporary folder, lets the
//! present user in, and is ended by process id.

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{SshConfig, SshHost};

pub(crate) const SSHD: &str = "/usr/sbin/sshd";

pub(crate) struct Sshd {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) port: u16,
    child: Child,
}

impl Sshd {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// With further lines of `sshd_config`.
    pub(crate) fn with(options: &str) -> Self {
        Self::prepared(options, |_| {})
    }

    /// With further files in its folder: the keys are there already, `host_KIND` its own and `id` the user's. `{at}` in the
    /// options is that folder.
    pub(crate) fn prepared(options: &str, prepare: impl FnOnce(&Path)) -> Self {
        assert!(
            Path::new(SSHD).exists(),
            "{SSHD} is missing: this test needs a real sshd (apt-get install openssh-server)"
        );
        let dir = tempfile::tempdir().unwrap();
        for kind in ["ed25519", "ecdsa", "rsa"] {
            keygen(&dir.path().join(format!("host_{kind}")), kind);
        }
        keygen(&dir.path().join("id"), "ed25519");
        std::fs::copy(
            dir.path().join("id.pub"),
            dir.path().join("authorized_keys"),
        )
        .unwrap();
        prepare(dir.path());
        let options = options.replace("{at}", &dir.path().display().to_string());
        if rustix::process::getuid().is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            if let Some(child) = run(dir.path(), port, &options) {
                let sshd = Self { dir, port, child };
                sshd.record(&sshd.line("ed25519"));
                return sshd;
            }
        }
        panic!(
            "sshd did not start: {}",
            std::fs::read_to_string(dir.path().join("log")).unwrap_or_default()
        );
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The known-hosts line for one of the host's keys.
    pub(crate) fn line(&self, kind: &str) -> String {
        let public = std::fs::read_to_string(self.path(&format!("host_{kind}.pub"))).unwrap();
        format!("[127.0.0.1]:{} {public}", self.port)
    }

    /// Makes this the whole known-hosts file.
    pub(crate) fn record(&self, text: &str) {
        std::fs::write(self.path("known_hosts"), text).unwrap();
    }

    /// The `Host` block of an ssh configuration that leads here.
    pub(crate) fn block(&self, alias: &str, more: &str) -> String {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let dir = self.dir.path().display();
        format!(
            "Host {alias}\n HostName 127.0.0.1\n Port {}\n User {}\n UserKnownHostsFile {dir}/known_hosts\n \
             GlobalKnownHostsFile none\n IdentityFile {dir}/id\n{more}\n",
            self.port,
            String::from_utf8_lossy(&user).trim()
        )
    }

    pub(crate) fn config(&self, more: &str) -> SshConfig {
        let file = self.path("ssh_config");
        std::fs::write(&file, self.block("box", more)).unwrap();
        let mut config = SshConfig::new("box", "box");
        config.config_file = Some(file);
        config.connect_timeout = Duration::from_mins(1);
        config
    }

    pub(crate) fn host(&self) -> SshHost {
        SshHost::new(self.config(" IdentitiesOnly yes\n IdentityAgent none"))
    }

    /// The processes that serve one connection each.
    pub(crate) fn connections(&self) -> Vec<u32> {
        children(self.child.id())
    }

    /// Cuts all connections as a crash would: nothing is said, the commands run on.
    pub(crate) fn cut(&self) {
        for pid in self.connections() {
            signal(pid, Signal::KILL);
        }
    }

    /// What logins here have started, told by their home; after a cut they belong to nobody.
    fn left_behind(&self) -> Vec<u32> {
        let home = format!("HOME={}\0", self.dir.path().display());
        let ours = |pid: &u32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .windows(home.len())
                .any(|part| part == home.as_bytes())
        };
        processes().into_iter().filter(ours).collect()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.cut();
        for pid in self.left_behind() {
            signal(pid, Signal::KILL);
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn run(dir: &Path, port: u16, options: &str) -> Option<Child> {
    let at = dir.display();
    let mut text = format!(
        "ListenAddress 127.0.0.1:{port}\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nAuthorizedKeysFile {at}/authorized_keys\n\
         MaxStartups 100\nLogLevel VERBOSE\nSetEnv HOME={at}\n{options}\n"
    );
    for kind in ["ed25519", "ecdsa", "rsa"] {
        writeln!(text, "HostKey {at}/host_{kind}").unwrap();
    }
    std::fs::write(dir.join("sshd_config"), text).unwrap();
    let mut child = Command::new(SSHD)
        .args(["-D", "-e", "-f"])
        .arg(dir.join("sshd_config"))
        .stdin(Stdio::null())
        .stderr(std::fs::File::create(dir.join("log")).unwrap())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_mins(1);
    while Instant::now() < until {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(child);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(child.kill());
    drop(child.wait());
    None
}

pub(crate) fn keygen(path: &Path, kind: &str) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", "", "-C", "test", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // Gone already is fine.
    let _gone = kill_process(pid, signal);
}

fn processes() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .collect()
}

pub(crate) fn children(parent: u32) -> Vec<u32> {
    let alive_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let mut fields = stat
            .rsplit_once(')')
            .map_or("", |(_, tail)| tail)
            .split_ascii_whitespace();
        !matches!(fields.next(), Some("Z") | None) && fields.next() == Some(&parent.to_string())
    };
    processes().into_iter().filter(alive_child).collect()
}
