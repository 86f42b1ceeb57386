//! From a name to an authenticated session. All of it blocks, on the thread that will own the connection.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ssh2::{MethodType, Session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Handle;

use super::auth::{self, Attempt, Outcome};
use super::config::{self, Resolved};
use super::known::{self, Record};
use super::proxy::Proxy;
use super::tokens::listed;
use super::{SshConfig, SshHost};
use crate::means::host::local::CHUNK;
use crate::means::host::{HostError, Process};

/// Connections tried in turn while the machine hangs up after some refused keys.
const ROUNDS: usize = 8;
/// Jump hosts behind jump hosts; more is a loop in the configuration.
const DEPTH: u8 = 8;

/// An authenticated session and its socket.
pub(super) struct Connected {
    pub(super) session: Session,
    pub(super) socket: OwnedFd,
    /// What carries it, when that is a command; ends with it.
    pub(super) proxy: Option<Proxy>,
}

/// All that is needed to connect.
pub(super) struct Dialer {
    pub(super) config: SshConfig,
    pub(super) extra: Vec<String>,
    pub(super) via: Option<Arc<SshHost>>,
    pub(super) depth: u8,
    pub(super) runtime: Handle,
}

impl Dialer {
    /// Connects, checks the host key, then authenticates; in this order, so that a false machine learns nothing.
    pub(super) fn connect(mut self) -> Result<Connected, HostError> {
        let until = Instant::now() + self.config.connect_timeout;
        let to = config::resolve(&self.config, &self.extra)?;
        self.find_jumps(&to)?;
        let record = known::look_up(&self.config.name, &to)?;
        let mut attempt = Attempt::default();
        for _ in 0..ROUNDS {
            let connected = self.trusted(&to, &record, until)?;
            match auth::authenticate(&connected.session, &to, &mut attempt) {
                Outcome::Accepted => return Ok(connected),
                Outcome::HungUp => {}
                Outcome::Refused => break,
            }
        }
        if let Some(key) = &attempt.suspect {
            return Err(self.unreachable(format!("it hung up before it had judged {key}")));
        }
        Err(HostError::Auth {
            host: self.config.name.clone(),
            user: to.user,
            why: attempt.story.join("; "),
        })
    }

    fn unreachable(&self, why: String) -> HostError {
        HostError::Unreachable {
            host: self.config.name.clone(),
            why,
        }
    }

    /// The chain of hosts a `ProxyJump` names, each reached through the one before.
    fn find_jumps(&mut self, to: &Resolved) -> Result<(), HostError> {
        // In a list, only the first hop may have jump hosts of its own, as with ssh.
        if self.via.is_some() || to.jumps.is_empty() {
            return Ok(());
        }
        if self.depth >= DEPTH {
            let why = format!("its ProxyJump leads through more than {DEPTH} machines");
            return Err(HostError::Config {
                host: self.config.name.clone(),
                why,
            });
        }
        for hop in &to.jumps {
            let (alias, extra) = split_hop(hop).map_err(|why| HostError::Config {
                host: self.config.name.clone(),
                why,
            })?;
            let config = SshConfig {
                name: format!("{} via {alias}", self.config.name),
                alias,
                ..self.config.clone()
            };
            self.via = Some(Arc::new(SshHost::hop(
                config,
                extra,
                self.via.take(),
                self.depth + 1,
            )));
        }
        Ok(())
    }

    /// A session with a machine that has proved to be the one on record.
    fn trusted(
        &self,
        to: &Resolved,
        record: &Record,
        until: Instant,
    ) -> Result<Connected, HostError> {
        let preference = record.preference(&self.config.name)?;
        let first = self.handshake(to, preference.as_deref(), until);
        match (first, preference) {
            (Ok(connected), _) => {
                record.check(&self.config.name, &self.shown(&connected)?)?;
                Ok(connected)
            }
            // The machine may have no key of a kind on record any more: let it show what it has, to say so.
            (Err(HandshakeError::Protocol(why)), Some(_)) => {
                let any = self.handshake(to, None, until);
                let any = any.map_err(|e| self.unreachable(e.words()))?;
                record.check(&self.config.name, &self.shown(&any)?)?;
                Err(self.unreachable(why))
            }
            (Err(e), _) => Err(self.unreachable(e.words())),
        }
    }

    /// The host key, or the certificate, as it travelled. libssh2 has proved that the machine holds its private half.
    fn shown(&self, connected: &Connected) -> Result<Vec<u8>, HostError> {
        let blob = connected.session.host_key().map(|(blob, _)| blob.to_vec());
        blob.ok_or_else(|| self.unreachable("it showed no host key".to_owned()))
    }

    fn handshake(
        &self,
        to: &Resolved,
        preference: Option<&str>,
        until: Instant,
    ) -> Result<Connected, HandshakeError> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(HandshakeError::Network(
                "no time left to connect".to_owned(),
            ));
        }
        let at = |e: &ssh2::Error| format!("{}:{}: {}", to.hostname, to.port, e.message());
        let mut session = Session::new().map_err(|e| HandshakeError::Protocol(at(&e)))?;
        session.set_timeout(u32::try_from(left.as_millis()).unwrap_or(u32::MAX));
        prefer(&session, to, preference)?;
        let mut proxy = None;
        let socket = match (&self.via, &to.proxy) {
            (Some(via), _) => self.through(via, to)?,
            (None, Some(line)) => {
                let started = Proxy::start(line);
                let (socket, started) = started.map_err(|e| {
                    HandshakeError::Network(format!("its ProxyCommand could not be started: {e}"))
                })?;
                proxy = Some(started);
                socket
            }
            (None, None) => OwnedFd::from(tcp(to, left)?),
        };
        session.set_tcp_stream(
            socket
                .try_clone()
                .map_err(|e| HandshakeError::Network(e.to_string()))?,
        );
        if let Err(e) = session.handshake() {
            let why = at(&e);
            return Err(HandshakeError::Protocol(match &mut proxy {
                Some(proxy) => format!("{why}; {}", proxy.words()),
                None => why,
            }));
        }
        Ok(Connected {
            session,
            socket,
            proxy,
        })
    }

    /// A connection from the machine before this one, as a socket: libssh2 wants a file descriptor.
    fn through(&self, via: &Arc<SshHost>, to: &Resolved) -> Result<OwnedFd, HandshakeError> {
        let network = |e: std::io::Error| HandshakeError::Network(e.to_string());
        let (ours, theirs) = UnixStream::pair().map_err(network)?;
        theirs.set_nonblocking(true).map_err(network)?;
        let process = self
            .runtime
            .block_on(via.tunnel(&to.hostname, to.port))
            .map_err(|e| HandshakeError::Network(e.to_string()))?;
        let _inside = self.runtime.enter();
        let theirs = tokio::net::UnixStream::from_std(theirs).map_err(network)?;
        // The host must outlive the tunnel: its connection ends when nobody holds it.
        self.runtime.spawn(pump(process, theirs, Arc::clone(via)));
        Ok(ours.into())
    }
}

enum HandshakeError {
    /// Nobody answers there, or there is no way.
    Network(String),
    /// Somebody, but no agreement.
    Protocol(String),
}

impl HandshakeError {
    fn words(self) -> String {
        match self {
            Self::Network(why) | Self::Protocol(why) => why,
        }
    }
}

/// What may be agreed on: for the host key what is on record, for the rest what the configuration names.
fn prefer(session: &Session, to: &Resolved, host_keys: Option<&str>) -> Result<(), HandshakeError> {
    let allowed = &to.algorithms;
    let signatures = allowed.user_key.as_ref().map(|list| {
        let both = ["rsa-sha2-512", "rsa-sha2-256"].into_iter();
        let certified = |name: &str| format!("{name}-cert-v01@openssh.com");
        let listed = both.filter(|name| listed(list, name) || listed(list, &certified(name)));
        listed.collect::<Vec<_>>().join(",")
    });
    let signatures = signatures.as_deref().filter(|list| !list.is_empty());
    let (ciphers, macs) = (allowed.ciphers.as_deref(), allowed.macs.as_deref());
    for (method, name, list) in [
        (MethodType::HostKey, "HostKeyAlgorithms", host_keys),
        (
            MethodType::Kex,
            "KexAlgorithms",
            allowed.key_exchange.as_deref(),
        ),
        (MethodType::SignAlgo, "PubkeyAcceptedAlgorithms", signatures),
        (MethodType::CryptCs, "Ciphers", ciphers),
        (MethodType::CryptSc, "Ciphers", ciphers),
        (MethodType::MacCs, "MACs", macs),
        (MethodType::MacSc, "MACs", macs),
    ] {
        let Some(list) = list else { continue };
        session.method_pref(method, list).map_err(|e| {
            HandshakeError::Network(format!(
                "none of its {name} ({list}) is known here: {}",
                e.message()
            ))
        })?;
    }
    Ok(())
}

fn tcp(to: &Resolved, left: Duration) -> Result<TcpStream, HandshakeError> {
    let at = format!("{}:{}", to.hostname, to.port);
    let addresses = (to.hostname.as_str(), to.port)
        .to_socket_addrs()
        .map_err(|e| HandshakeError::Network(format!("{at}: {e}")))?;
    let mut why = "the name has no address".to_owned();
    let wanted =
        |address: &std::net::SocketAddr| to.only_ipv4.is_none_or(|ipv4| address.is_ipv4() == ipv4);
    for address in addresses.filter(wanted) {
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                // Small packets go out at once; a failure costs only speed.
                drop(stream.set_nodelay(true));
                return Ok(stream);
            }
            Err(e) => why = e.to_string(),
        }
    }
    Err(HandshakeError::Network(format!("{at}: {why}")))
}

/// `[user@]host[:port]` as `ProxyJump` has it; ssh itself makes that of a URI.
fn split_hop(hop: &str) -> Result<(String, Vec<String>), String> {
    let mut extra = Vec::new();
    let (user, rest) = hop
        .rsplit_once('@')
        .map_or((None, hop), |(user, rest)| (Some(user), rest));
    if let Some(user) = user {
        extra.extend(["-l".to_owned(), user.to_owned()]);
    }
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, tail)) => (host, tail.strip_prefix(':')),
        None => match rest.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (rest, None),
        },
    };
    if let Some(port) = port {
        port.parse::<u16>()
            .map_err(|_| format!("the ProxyJump `{hop}` has no valid port"))?;
        extra.extend(["-p".to_owned(), port.to_owned()]);
    }
    Ok((host.to_owned(), extra))
}

async fn pump(mut process: Process, socket: tokio::net::UnixStream, via: Arc<SshHost>) {
    let (mut read, mut write) = socket.into_split();
    let stdin = process.stdin.take();
    let up = async move {
        while let Some(stdin) = &stdin {
            let mut buffer = bytes::BytesMut::with_capacity(CHUNK);
            match read.read_buf(&mut buffer).await {
                Ok(n) if n > 0 && stdin.send(buffer.freeze()).await.is_ok() => {}
                _ => break,
            }
        }
    };
    let down = async {
        while let Some(bytes) = process.stdout.recv().await {
            if write.write_all(&bytes).await.is_err() {
                break;
            }
        }
    };
    // Either end closing ends both: an ssh connection that is half closed is of no use.
    tokio::select! {
        () = up => {}
        () = down => {}
    }
    drop(via);
}
