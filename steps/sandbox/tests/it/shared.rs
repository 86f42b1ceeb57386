//! One sandbox for all tests that run at the same time, and a lock for each host that a test changes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use flow_sandbox::{Isolation, Options, Sandbox, SandboxError};
use tempfile::TempDir;

use crate::KIND;

/// A sandbox and its folder. The sandbox ends first.
pub(crate) struct Shared {
    pub(crate) sandbox: Sandbox,
    _dir: TempDir,
}

static LIVING: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
static HOSTS: [Mutex<()>; 3] = [Mutex::new(()), Mutex::new(()), Mutex::new(())];

/// The sandbox that other tests use now, or a new one of this program's kind. It ends with its last user.
///
/// `None` on a machine where that kind cannot work, once it is proved that the other is taken and the reason given.
pub(crate) fn sandbox() -> Option<Arc<Shared>> {
    if !works() {
        return None;
    }
    let mut living = LIVING.lock().unwrap_or_else(PoisonError::into_inner);
    Some(living.upgrade().unwrap_or_else(|| {
        let dir = short_dir();
        let sandbox = Sandbox::up(&dir.path().join("s"), &options(), &mut |_| ())
            .expect("the sandbox starts");
        assert_eq!(sandbox.isolation(), KIND);
        let new = Arc::new(Shared { sandbox, _dir: dir });
        *living = Arc::downgrade(&new);
        new
    }))
}

/// Of this program's kind, whatever the environment asks for.
pub(crate) fn options() -> Options {
    Options {
        isolation: Some(KIND),
        ..Options::default()
    }
}

/// Whether this program's kind can work here, by a look of its own that owes nothing to the sandbox's code.
pub(crate) fn works() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| KIND == Isolation::Plain || containers_work() || fell_back())
}

/// Makes namespaces and an overlay, starts a docker daemon and runs a container in it.
pub(crate) fn containers_work() -> bool {
    let dir = short_dir();
    let look = Command::new("timeout")
        .args([
            "60",
            "unshare",
            "--mount",
            "--uts",
            "--ipc",
            "--pid",
            "--fork",
            "--kill-child",
        ])
        .args(["bash", "-c", include_str!("look.sh")])
        .arg(dir.path())
        .stdin(Stdio::null())
        .output()
        .expect("timeout runs");
    look.status.success()
}

/// Always false; fails when the plain kind was not taken instead or the reason not given.
fn fell_back() -> bool {
    let dir = short_dir();
    let sandbox = dir.path().join("s");
    let refused = Sandbox::up(&sandbox, &options(), &mut |_| ());
    assert!(
        matches!(refused, Err(SandboxError::Isolation(_))),
        "{refused:?}"
    );
    let free = Options::default();
    let taken = Sandbox::up(&sandbox, &free, &mut |_| ()).expect("the other kind starts");
    assert_eq!(taken.isolation(), Isolation::Plain);
    let told = taken.explanation();
    assert!(told.contains("containers do not work here: "), "{told}");
    false
}

/// Holds a host while a test changes it.
pub(crate) fn alone_on(host: &str) -> MutexGuard<'static, ()> {
    let at = flow_sandbox::HOSTS
        .iter()
        .position(|name| *name == host)
        .expect("a host of the sandbox");
    HOSTS[at].lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder whose path is short enough for sockets.
pub(crate) fn short_dir() -> TempDir {
    tempfile::Builder::new()
        .prefix("fs")
        .rand_bytes(5)
        .tempdir_in("/tmp")
        .expect("a temporary folder")
}

/// Runs a line of shell on a host by ssh.
pub(crate) fn ssh(sandbox: &Sandbox, host: &str, line: &str) -> Output {
    sandbox.ssh(host).arg(line).output().expect("ssh runs")
}

/// As [`ssh`], and it must succeed; standard output without the last line break.
pub(crate) fn ssh_ok(sandbox: &Sandbox, host: &str, line: &str) -> String {
    let output = ssh(sandbox, host, line);
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .expect("UTF-8")
        .trim_end()
        .to_owned()
}

/// One HTTP request; status and body. Status 0 when nobody listens, as while an application restarts.
pub(crate) fn http(base: &str, path: &str, body: Option<&str>) -> (u16, String) {
    let address = base.strip_prefix("http://").expect("an http address");
    let Ok(mut stream) = TcpStream::connect(address) else {
        return (0, String::new());
    };
    stream
        .set_read_timeout(Some(Duration::from_mins(1)))
        .expect("a time limit");
    let (method, body) = body.map_or(("GET", ""), |body| ("POST", body));
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the request is sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    (
        head.split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a status"),
        body.to_owned(),
    )
}

/// Asks until the answer is yes, for at most 90 s.
pub(crate) fn eventually(what: &str, mut yes: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(90);
    while !yes() {
        assert!(Instant::now() < until, "{what} within 90 s");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Processes of this machine that name a text in their command line or environment, by a look of their own that owes
/// nothing to the sandbox's code.
pub(crate) fn mentioning(text: &str) -> String {
    let script = r#"for p in /proc/[0-9]*; do [ "$p" = /proc/$$ ] && continue
        if tr '\0' '\n' < $p/environ 2>/dev/null | grep -v '^WANTED=' | grep -qF "$WANTED" || tr '\0' ' ' < $p/cmdline 2>/dev/null | grep -qF "$WANTED" || readlink $p/cwd | grep -qF "$WANTED"; then
        echo "${p#/proc/} $(tr '\0' ' ' < $p/cmdline 2>/dev/null)"; fi; done 2>/dev/null"#;
    let output = Command::new("bash")
        .args(["-c", script])
        .env("WANTED", text)
        .output()
        .expect("bash runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Whether a process runs; one that has ended and waits to be buried does not.
pub(crate) fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
