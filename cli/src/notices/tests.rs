use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use flow_engine::clock;
use flow_engine::driver::Stop;
use flow_engine::journal::Journal;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;
use flow_engine::record::ParkReason;
use flow_engine::registry::Registry;
use flow_engine::step::{Cx, Step, StepError};
use flow_workflows::workflow::Workflows;
use serde::{Deserialize, Serialize};

use super::*;
use crate::args::Global;
use crate::testing;

/// Changes production and cannot be undone; with `fails` it fails itself.
#[derive(Serialize, Deserialize)]
struct Stuck {
    fails: bool,
}

#[async_trait]
impl Step for Stuck {
    const KIND: &'static str = "test.stuck";
    type Output = ();

    fn summary(&self) -> String {
        "changes `prod`".into()
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("cannot".into())
    }

    async fn run(&self, _: &Cx) -> Result<(), StepError> {
        if self.fails {
            return Err(StepError::fail("broken"));
        }
        Ok(())
    }

    async fn undo(&self, _: &Cx, _: Option<()>) -> Result<String, StepError> {
        Err(StepError::fail("the disk is full"))
    }
}

/// Leaves a run whose rollback stopped, and whose driver could tell nobody.
async fn left(state: &State) {
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    planner.fact("commit", "0123456789abcdef0123456789abcdef01234567");
    planner.fact("contact-1", "Anna +00 555");
    planner.phase("prod", "Production", OnFailure::Rollback, |p| {
        p.step("prod/change", Stuck { fails: false });
        p.step("prod/again", Stuck { fails: true });
    });
    let (journal, _) = SledJournal::open(&state.journal(), &OpenOptions::default()).expect("opens");
    let engine = testing::engine(Arc::new(journal), Registry::default().with::<Stuck>());
    let new = testing::new_of("r-stuck", planner.finish().expect("plans"));
    let (driver, _handle) = engine.start(new).await.expect("starts");
    let (_, stop) = driver.drive().await.expect("drives");
    assert!(
        matches!(stop, Stop::Parked(ParkReason::UndoFailed { .. })),
        "{stop:?}"
    );
}

/// A mail server on loopback that takes everything. What it took, as it came.
fn mail_server() -> (u16, Arc<Mutex<String>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let taken = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&taken);
    std::thread::spawn(move || {
        for peer in listener.incoming().flatten() {
            let mut out = peer.try_clone().expect("the same");
            let mut say = |text: &str| out.write_all(text.as_bytes()).is_ok();
            say("220 ready\r\n");
            let mut data = false;
            for line in BufReader::new(peer).lines().map_while(Result::ok) {
                keep.lock().expect("whole").extend([line.as_str(), "\n"]);
                if data && line != "." {
                    continue;
                }
                let begins = line.starts_with("DATA");
                say(if begins {
                    "354 go on\r\n"
                } else {
                    "250 fine\r\n"
                });
                data = begins;
            }
        }
    });
    (port, taken)
}

fn configure(dir: &Path, port: u16) {
    let mut config = format!(
        "[app]\nname = \"demo\"\nmigrations = \"m\"\n[signoff]\nroles = [\"qa\"]\nwaived_by = \"qa\"\n\
         [mail]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nfrom = \"flow@example.org\"\n\
         to = [\"team@example.org\"]\n"
    );
    for name in ["test", "stage", "prod"] {
        config += &[
            &format!("[env.{name}]\nssh = \"{name}\"\napp_dir = \"/srv/app\"\n"),
            "backup_dir = \"/srv/b\"\nflow_dir = \"/srv/f\"\ndeploy = [\"./d\"]\n",
            "health = \"https://app.example.org/\"\ndatabase = { user = \"p\", name = \"p\" }\n",
        ]
        .concat();
    }
    let key = "AAAAC3NzaC1lZDI1NTE5AAAAIMbzZQrdrlrAyEiJXiDHmv+e9F+YoONDjpdNAJo8a/Cu";
    let people = format!("[[roles.qa]]\nname = \"qa\"\nkey = \"ssh-ed25519 {key}\"\n");
    for (file, text) in [
        ("flow.toml", config),
        ("flow.people.toml", people),
        ("flow.data.toml", "[tables]\n".into()),
    ] {
        std::fs::write(dir.join(file), text).expect("writes");
    }
}

fn untold_topics(run: &Run) -> usize {
    run.notices.iter().filter(|n| is_untold(n)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_stopped_is_told_by_a_later_command_once_the_mail_server_is_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let state = State {
        dir: dir.path().join(".flow"),
    };
    state.create().expect("a folder");
    left(&state).await;
    let runs = untold(&state, clock::system().now()).await.expect("known");
    assert_eq!(runs.len(), 1);
    let said = loud(&runs[0], &Holders::new(), Some("no route"));
    assert!(
        said.contains("!! NOBODY WAS TOLD BY MAIL that run r-stuck to prod")
            && said.contains("no route")
            && said.contains("contact-1: Anna +00 555"),
        "{said}"
    );
    // One of two addresses has it: somebody was told.
    let numbers: Vec<u64> = {
        let notices = runs[0].notices.iter().filter(|n| is_untold(n));
        notices.map(|n| n.id).collect()
    };
    let file = dir.path().join("mails");
    let id = numbers.last().expect("a notice");
    let line = format!("<r-stuck.{id}@flow.example.org> qa@example.org\n");
    std::fs::write(&file, line).expect("writes");
    let holders = flow_steps::mail::holders(&file, &runs[0].id);
    let said = loud(
        &runs[0],
        &holders,
        Some("1 of 2 have it; defer@example.org: later"),
    );
    assert!(
        said.contains("!! NOT EVERYBODY WAS TOLD BY MAIL that run r-stuck")
            && said.contains("told: qa@example.org")
            && said.contains("defer@example.org"),
        "{said}"
    );
    let world = view::beside::Beside {
        mailed: holders,
        ..Default::default()
    };
    let driver = crate::driver::Driver::Nobody;
    let status = view::text::status_beside(&runs[0], &driver, &world, clock::system().now());
    assert!(
        status.contains("notices are not delivered to everybody:"),
        "{status}"
    );
    let session = || {
        let global = Global {
            config: Some(dir.path().join("flow.toml")),
            state: Some(state.dir.clone()),
            ..Global::default()
        };
        Session::new(Arc::new(testing::registry()), Workflows::shipped(), global)
    };
    // Nobody listens there: nothing is told, and that fails nothing.
    configure(dir.path(), 1);
    tell(&session()).await;
    assert_eq!(
        untold(&state, clock::system().now())
            .await
            .expect("known")
            .len(),
        1
    );

    let (port, taken) = mail_server();
    configure(dir.path(), port);
    tell(&session()).await;
    assert_eq!(
        untold(&state, clock::system().now())
            .await
            .expect("known")
            .len(),
        0
    );
    let taken = taken.lock().expect("whole").clone();
    assert!(taken.contains("ROLLBACK INCOMPLETE"), "{taken}");
    let (journal, _) = SledJournal::open(&state.journal(), &OpenOptions::default()).expect("opens");
    let journal: Arc<dyn Journal> = Arc::new(journal);
    let run = Run::load(&*journal, &"r-stuck".parse().expect("an id")).await;
    assert_eq!(untold_topics(&run.expect("loads")), 0);
}
