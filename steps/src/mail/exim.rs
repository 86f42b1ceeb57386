//! A real mail server on loopback, for tests: STARTTLS and TLS ports that want a login, and one plain port.

use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(super) struct Exim {
    process: Child,
    pub(super) folder: tempfile::TempDir,
    pub(super) starttls: u16,
    pub(super) implicit: u16,
    pub(super) plain: u16,
}

/// How long the server may take to listen or to deliver. Wide: other tests keep the disk busy.
const PATIENCE: Duration = Duration::from_secs(90);

const CONFIG: &str = r"
primary_hostname = mail.flow.test
spool_directory = @DIR@/spool
log_file_path = @DIR@/log-%slog
pid_file_path = @DIR@/exim.pid
domainlist local_domains = example.org
local_interfaces = 127.0.0.1
daemon_smtp_ports = @STARTTLS@ : @IMPLICIT@ : @PLAIN@
tls_on_connect_ports = @IMPLICIT@
tls_advertise_hosts = ${if eq{$received_port}{@PLAIN@}{}{*}}
tls_certificate = @DIR@/cert.pem
tls_privatekey = @DIR@/key.pem
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
host_lookup =
rfc1413_hosts =
deliver_drop_privilege = true
never_users =
keep_environment =
acl_smtp_mail = acl_mail
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
begin acl
acl_mail:
  deny condition = ${if and{{!eq{$received_port}{@PLAIN@}}{eq{$authenticated_id}{}}}}
       message = 530 5.7.0 Authentication required
  accept
acl_rcpt:
  defer local_parts = defer
        message = 4.2.1 mailbox busy, try again later
  deny local_parts = reject
       message = 5.1.1 no such user
  accept domains = +local_domains
  deny message = 5.7.1 relay not permitted
acl_data:
  accept
begin routers
local:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  directory = @DIR@/inbox
  envelope_to_add
  maildir_format
  create_directory
begin retry
*  *  F,1h,1m
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{flow}}{eq{$auth3}{correct-horse}}}}
  server_set_id = $auth2
";

fn run(program: &str, args: &[&str], folder: &Path) {
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .output();
    let output = output.unwrap_or_else(|e| panic!("{program} cannot be started: {e}"));
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn certificates(folder: &Path) {
    let new = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ];
    let req = |args: &[&str]| run("openssl", &[&["req"][..], &new[..], args].concat(), folder);
    for ca in ["ca", "other"] {
        let (key, cert) = (format!("{ca}.key"), format!("{ca}.pem"));
        req(&[
            "-x509",
            "-days",
            "2",
            "-subj",
            &format!("/CN={ca}"),
            "-keyout",
            &key,
            "-out",
            &cert,
        ]);
    }
    req(&[
        "-subj",
        "/CN=localhost",
        "-keyout",
        "key.pem",
        "-out",
        "leaf.csr",
    ]);
    let extensions = "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n";
    std::fs::write(folder.join("leaf.ext"), extensions).expect("written");
    let sign = "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile leaf.ext -out cert.pem";
    run("openssl", &sign.split(' ').collect::<Vec<_>>(), folder);
}

/// A port nobody listens on now, below the range the system hands out by itself: what another test asks the system for
/// cannot be this one. No two calls in one process give the same.
pub(super) fn free_port() -> u16 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    for _ in 0..1000 {
        let place = std::process::id() * 31 + CALLS.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + u16::try_from(place % 12_000).expect("below 12,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port among 1,000");
}

impl Exim {
    pub(super) fn start() -> Exim {
        let program = ["/usr/sbin/exim4", "/usr/sbin/exim"]
            .into_iter()
            .find(|p| Path::new(p).exists());
        let program = program.expect(
            "this test needs exim: apt-get install -y --no-install-recommends exim4-daemon-light",
        );
        let folder = tempfile::tempdir().expect("a folder");
        certificates(folder.path());
        let (starttls, implicit, plain) = (free_port(), free_port(), free_port());
        let dir = folder.path().display().to_string();
        let config = CONFIG
            .replace("@DIR@", &dir)
            .replace("@STARTTLS@", &starttls.to_string())
            .replace("@IMPLICIT@", &implicit.to_string())
            .replace("@PLAIN@", &plain.to_string());
        std::fs::create_dir(folder.path().join("spool")).expect("made");
        if rustix::process::geteuid().is_root() {
            run("chown", &["-R", "Debian-exim:", &dir], folder.path());
        }
        // Written after the change of owner: exim refuses a configuration that another user could have changed.
        std::fs::write(folder.path().join("exim.conf"), config).expect("written");
        let process = Command::new(program)
            .arg("-C")
            .arg(folder.path().join("exim.conf"))
            .args(["-bdf", "-q1m"])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("stderr")).expect("made"))
            .spawn()
            .expect("exim starts");
        let exim = Exim {
            process,
            folder,
            starttls,
            implicit,
            plain,
        };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", plain)).is_err() {
            assert!(
                began.elapsed() < PATIENCE,
                "exim does not listen: {}",
                exim.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        exim
    }

    pub(super) fn ca(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn log(&self) -> String {
        let read =
            |name| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("stderr") + &read("log-mainlog") + &read("log-paniclog")
    }

    /// The mails that arrived, once there are `count`.
    pub(super) fn inbox(&self, count: usize) -> Vec<String> {
        let began = Instant::now();
        loop {
            let entries = std::fs::read_dir(self.folder.path().join("inbox/new"));
            let files: Vec<_> = entries
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.path())
                .collect();
            if files.len() >= count {
                let read = |path: PathBuf| std::fs::read_to_string(path).expect("a mail");
                return files.into_iter().map(read).collect();
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{} of {count} mails: {}",
                files.len(),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Exim {
    /// Ends the server and its children: one that outlived it would write its log into a folder that is gone. Shows that
    /// log beside a failure.
    #[expect(
        clippy::print_stderr,
        reason = "the test runner shows it with the test that failed"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the mail server said: {}", self.log());
        }
        let group = i32::try_from(self.process.id()).ok();
        if let Some(group) = group.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.process.wait();
    }
}
