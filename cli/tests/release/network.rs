//! The operator's network goes away and comes back, in each step of phases 5 and 6.
//!
//! Between `flow` and production's sshd lies a wire of this test's own. A cut refuses connections and breaks open ones.
//! It lasts 2 s here, so that the sweep is cheap; `FLOW_CUT_SECONDS=30` is the same with the outage the protocol speaks of.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::kills::assert_each_deploy_happened_once;
use crate::world::World;

/// Steps of phases 5 and 6 that speak to production.
const STEPS: [&str; 11] = [
    "prod/preflight",
    "prod/maintenance",
    "prod/baseline",
    "prod/deploy",
    "prod/migrations",
    "prod/restarted",
    "prod/integrity",
    "prod/online",
    "prod/writable",
    "prod/smoke",
    "prod/watch",
];

/// A way to a server that can be cut.
struct Wire {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    dark: AtomicBool,
    over: AtomicBool,
    cut: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hang_up(&self) {
        for stream in self.open().drain(..) {
            let _closed_already = stream.shutdown(Shutdown::Both);
            self.cut.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Wire {
    fn to(server: SocketAddr) -> Wire {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || listen(listener, port, server, &theirs));
        Wire { port, shared }
    }

    /// Cuts what is open, refuses what is new, for so long.
    fn cut(&self, how_long: Duration) {
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

fn listen(listener: TcpListener, port: u16, server: SocketAddr, shared: &Arc<Shared>) {
    let mut listener = Some(listener);
    while !shared.over.load(Ordering::SeqCst) {
        if shared.dark.load(Ordering::SeqCst) {
            // Nobody listens: the kernel refuses.
            listener = None;
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        let ear = listener.get_or_insert_with(|| {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the same port again")
        });
        ear.set_nonblocking(true).expect("a listener may not block");
        match ear.accept() {
            Ok((near, _)) => carry(&near, server, shared),
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn carry(near: &TcpStream, server: SocketAddr, shared: &Arc<Shared>) {
    near.set_nonblocking(false).expect("a stream may block");
    let far = TcpStream::connect(server).expect("the server listens");
    let both = [(near, &far), (&far, near)];
    for (from, to) in both {
        shared.open().push(from.try_clone().expect("a handle"));
        let (mut from, mut to) = (
            from.try_clone().expect("a handle"),
            to.try_clone().expect("a handle"),
        );
        std::thread::spawn(move || {
            let mut bytes = [0; 16 * 1024];
            while let Ok(n @ 1..) = from.read(&mut bytes) {
                if to.write_all(&bytes[..n]).is_err() {
                    break;
                }
            }
            let _closed_already = to.shutdown(Shutdown::Both);
        });
    }
}

/// Leads `flow`, and nobody else, to production over a wire.
fn wired(world: &World) -> Wire {
    let config = world.sandbox.ssh_config();
    let text = std::fs::read_to_string(config).expect("the ssh configuration");
    let (before, prod) = text.split_once("Host prod\n").expect("production's part");
    let field = |name: &str, text: &str| -> String {
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.trim().strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name}"))
            .trim()
            .to_owned()
    };
    let (address, port) = (field("HostName ", prod), field("Port ", prod));
    let wire = Wire::to(format!("{address}:{port}").parse().expect("an address"));
    let known_file = field("UserKnownHostsFile ", &text);
    let known = std::fs::read_to_string(&known_file).expect("known hosts");
    let theirs = format!("[{address}]:{port} ");
    let key = known.lines().find_map(|line| line.strip_prefix(&theirs));
    let key = key.expect("production's key");
    let own_known = world.path("known_hosts");
    let line = format!("[127.0.0.1]:{} {key}\n", wire.port);
    std::fs::write(&own_known, known.clone() + &line).expect("writes");
    let prod = prod
        .replacen(&format!("HostName {address}"), "HostName 127.0.0.1", 1)
        .replacen(&format!("Port {port}"), &format!("Port {}", wire.port), 1)
        .replace(&known_file, &own_known.display().to_string());
    let own = world.path("ssh_config");
    std::fs::write(&own, format!("{before}Host prod\n{prod}")).expect("writes");
    let settings = world.project.join("flow.toml");
    let text = std::fs::read_to_string(&settings).expect("flow.toml");
    let text = text.replace(&config.display().to_string(), &own.display().to_string());
    std::fs::write(&settings, text).expect("writes");
    wire
}

fn how_long() -> Duration {
    let seconds = std::env::var("FLOW_CUT_SECONDS").ok();
    Duration::from_secs(seconds.map_or(2, |s| s.parse().expect("a number")))
}

#[test]
fn a_network_that_goes_away_in_each_step_of_production_rolls_nothing_back() {
    let mut world = World::new();
    let wire = wired(&world);
    let mut driver = world.start("release", "good");
    let mut left: BTreeSet<&str> = STEPS.into();
    let shared = Arc::clone(&wire.shared);
    world.until(
        "a cut in each step",
        &mut driver,
        &["prod/smoke"],
        |world, driver| {
            let said = driver.said();
            let begun = |step: &&&str| {
                let waits = format!(" {step} waits for ");
                said.contains(&format!(" {step} started (")) || said.contains(&waits)
            };
            if let Some(step) = left.iter().find(begun).copied() {
                left.remove(step);
                wire.cut(how_long());
            }
            let only_watch = left.len() == 1 && left.contains("prod/watch");
            let _ = world;
            (left.is_empty() || only_watch).then_some(())
        },
    );
    // What comes after the smoke test begins once that is answered.
    world.until("the watch", &mut driver, &[], |_, driver| {
        driver
            .said()
            .contains(" prod/watch started (")
            .then_some(())
    });
    wire.cut(how_long());
    let code = world.finish(&mut driver);
    let said = world.said();
    assert!(
        !said.contains("undoing everything"),
        "something was rolled back"
    );
    assert_eq!(code, 0, "it ended with {code}");
    assert!(said.contains(" got no answer: "), "no step noticed a cut");
    assert!(
        shared.cut.load(Ordering::SeqCst) >= STEPS.len(),
        "nothing was cut"
    );
    assert_eq!(world.status()["state"], "completed");
    let run = world.run();
    assert_each_deploy_happened_once(&world, &run);
    world.assert_online();
    assert_eq!(world.databases(), ["postgres"]);
}
