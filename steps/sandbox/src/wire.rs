//! A network between an operator and a host that can go away and come back.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Doing, SandboxError};
use crate::files::write;
use crate::sandbox::Sandbox;

/// A way to a host's sshd that can be cut, for whoever goes by [`Wire::ssh_config`]. It ends with the value.
#[derive(Debug)]
pub struct Wire {
    port: u16,
    shared: Arc<WireState>,
    config: PathBuf,
}

#[derive(Debug, Default)]
struct WireState {
    dark: AtomicBool,
    over: AtomicBool,
    cut: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl WireState {
    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hang_up(&self) {
        for stream in self.open().drain(..) {
            stream.shutdown(Shutdown::Both).ok();
            self.cut.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Sandbox {
    /// Lays a wire to a host; `dir` gets the ssh configuration that goes by it, and the host's key for its address.
    ///
    /// # Errors
    /// [`SandboxError::Unknown`] for a host that is not there, [`SandboxError::Io`].
    pub fn wire(&self, host: &str, dir: &Path) -> Result<Wire, SandboxError> {
        let plan = self.plan(host)?;
        let server = plan.at(plan.ssh);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .doing(|| "cannot listen for a wire".to_owned())?;
        let port = listener
            .local_addr()
            .doing(|| "cannot tell a wire's port".to_owned())?
            .port();
        let read = |path: &Path| {
            fs::read_to_string(path).doing(|| format!("cannot read {}", path.display()))
        };
        let text = read(self.ssh_config())?;
        let known_file = self.ssh_config().with_file_name("known_hosts");
        let known = read(&known_file)?;
        let theirs = format!("[{}]:{} ", server.ip(), server.port());
        let bare = format!("{} ", server.ip());
        let key = known
            .lines()
            .find_map(|line| {
                line.strip_prefix(&theirs)
                    .or_else(|| line.strip_prefix(&bare))
            })
            .ok_or_else(|| SandboxError::Unknown {
                kind: "host key",
                name: host.to_owned(),
            })?;
        let own_known = dir.join("known_hosts");
        write(
            &own_known,
            &format!("{known}[127.0.0.1]:{port} {key}\n"),
            0o600,
        )?;
        let block = format!("Host {host}\n");
        let (before, after) = text.split_once(&block).unwrap_or((&text, ""));
        let after = after
            .replacen(
                &format!("HostName {}", server.ip()),
                "HostName 127.0.0.1",
                1,
            )
            .replacen(
                &format!("Port {}", server.port()),
                &format!("Port {port}"),
                1,
            );
        let config = dir.join("ssh_config");
        let all = format!("{before}{block}{after}");
        let all = all.replace(
            &known_file.display().to_string(),
            &own_known.display().to_string(),
        );
        write(&config, &all, 0o600)?;
        let shared = Arc::new(WireState::default());
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || listen(listener, port, server, &theirs));
        Ok(Wire {
            port,
            shared,
            config,
        })
    }
}

impl Wire {
    /// As [`Sandbox::ssh_config`], but by this wire.
    pub fn ssh_config(&self) -> &Path {
        &self.config
    }

    /// The port of 127.0.0.1 it begins at.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections were cut so far.
    pub fn broken(&self) -> usize {
        self.shared.cut.load(Ordering::SeqCst)
    }

    /// Cuts what is open and refuses what is new, for so long. Blocks meanwhile.
    pub fn cut(&self, how_long: Duration) {
        self.shared.dark.store(true, Ordering::SeqCst);
        self.shared.hang_up();
        std::thread::sleep(how_long);
        self.shared.hang_up();
        self.shared.dark.store(false, Ordering::SeqCst);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.shared.hang_up();
    }
}

fn listen(listener: TcpListener, port: u16, server: SocketAddr, shared: &Arc<WireState>) {
    let mut listener = Some(listener);
    while !shared.over.load(Ordering::SeqCst) {
        if shared.dark.load(Ordering::SeqCst) {
            // Nobody listens: the kernel refuses.
            listener = None;
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        if listener.is_none() {
            listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok();
        }
        let Some(ear) = &listener else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        ear.set_nonblocking(true).ok();
        match ear.accept() {
            Ok((near, _)) => {
                carry(&near, server, shared).ok();
            }
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn carry(near: &TcpStream, server: SocketAddr, shared: &Arc<WireState>) -> std::io::Result<()> {
    near.set_nonblocking(false)?;
    let far = TcpStream::connect(server)?;
    for (from, to) in [(near, &far), (&far, near)] {
        shared.open().push(from.try_clone()?);
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        std::thread::spawn(move || {
            let mut bytes = [0; 16 * 1024];
            while let Ok(n @ 1..) = from.read(&mut bytes) {
                if to.write_all(&bytes[..n]).is_err() {
                    break;
                }
            }
            to.shutdown(Shutdown::Both).ok();
        });
    }
    Ok(())
}
