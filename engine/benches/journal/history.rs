//! W3.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow_engine::clock::{Clock as _, SystemClock};
use flow_engine::codec;
use flow_engine::journal::sled::{OpenOptions, SledJournal, prepare};
use flow_engine::journal::{Append, Journal as _};
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::record::{Entry, Payload, Record, Verdict};
use flow_engine::retention;
use flow_engine::step::Resources;

use crate::common::{self, Nothing, Said, Says};
use crate::measure::{flow, median, milliseconds, peak_memory, rounds};

const FINISHED: u64 = 10_000;
const STEPS: u32 = 20;
const INTERRUPTED: u32 = 1000;
/// Runs sealed at a time, as a busy year would.
const SEALED_AT_ONCE: u64 = 1000;

/// Makes the folder when it is not there, then takes it up in fresh processes, each on the folder as the one before
/// left it: the interrupted run goes on by one step and is left again.
pub(crate) fn run(base: &Path) -> String {
    let state = base.join("flow-bench-w3-state");
    if !state.join("complete").exists() {
        make(&state);
    }
    let (mut opened, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..rounds(15) {
        let copy = base.join(format!("flow-bench-w3-{}", std::process::id()));
        copy_all(&state.join("journal"), &copy);
        let (ms, mb) = resumed(&copy);
        std::fs::remove_dir_all(&copy).expect("it can be removed");
        opened.push(ms);
        memory.push(mb);
    }
    let status = flow().map_or_else(String::new, |flow| {
        format!(
            " status_ms={:.0} list_ms={:.0}",
            timed(&flow, &state, "status"),
            timed(&flow, &state, "list")
        )
    });
    format!(
        "W3 open_ms={:.0} rss_mb={:.0}{status}",
        median(opened.into_iter()),
        median(memory.into_iter()),
    )
}

/// Milliseconds from the start of a process to the effect of the next step, and the most memory it used.
fn resumed(journal: &Path) -> (f64, f64) {
    let exe = std::env::current_exe().expect("it has a path");
    let start = Instant::now();
    let mut child = Command::new(exe)
        .arg("--resume-w3")
        .arg(journal)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    output.read_line(&mut line).expect("it says so");
    let took = start.elapsed();
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("it ends");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(line.trim(), "effect");
    (milliseconds(took), rest.trim().parse().expect("a number"))
}

/// The process that is timed.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
pub(crate) fn child(journal: &Path) {
    let runtime = common::runtime();
    let journal = common::open(journal);
    let resources = Resources::default().with(Said::new());
    let engine = common::engine(&journal, resources.clone());
    runtime.block_on(async {
        let (driver, _handle) = engine.resume(&common::id(0)).await.expect("it resumes");
        let seen = resources.get::<Said>().expect("it is there");
        let driving = tokio::spawn(driver.drive());
        while seen.get().is_none() {
            tokio::task::yield_now().await;
        }
        println!("effect");
        driving.await.expect("no panic").expect("it drives");
    });
    println!("{}", peak_memory());
}

fn timed(flow: &Path, state: &Path, verb: &str) -> f64 {
    let took = |_| {
        let start = Instant::now();
        let done = Command::new(flow)
            .arg("--state")
            .arg(state)
            .arg(verb)
            .stdout(Stdio::null())
            .status();
        assert!(done.expect("it starts").success());
        milliseconds(start.elapsed())
    };
    median((0..rounds(15)).map(took))
}

fn copy_all(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(done.expect("cp starts").success());
    // Or the first sync of what is timed would write the copy to the disk.
    let done = Command::new("sync").arg("-f").arg(to).status();
    assert!(done.expect("sync starts").success());
}

/// Through the real journal, in large batches; sealed as the driver would, only more at once.
fn make(state: &Path) {
    let _old = std::fs::remove_dir_all(state);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::create_dir_all(state).expect("a folder");
    std::fs::set_permissions(state, mode).expect("its rights");
    let dir = state.join("journal");
    let runtime = common::runtime();
    let (finished, interrupted) = (common::plan(u64::from(STEPS)), interrupted_plan());
    runtime.block_on(async {
        let mut journal = common::open(&dir);
        append(&journal, 0, records(&interrupted, INTERRUPTED, false)).await;
        for n in 1..=FINISHED {
            append(&journal, n, records(&finished, STEPS, true)).await;
            if n % SEALED_AT_ONCE == 0 {
                seal(Arc::into_inner(journal).expect("nobody else has it")).await;
                journal = common::open(&dir);
            }
        }
    });
    std::fs::write(state.join("complete"), "").expect("a mark");
}

/// The last step is the one whose effect is waited for.
fn interrupted_plan() -> Plan {
    let mut planner = common::planner();
    planner.phase("all", "all", OnFailure::Park, |p| {
        for n in 0..INTERRUPTED {
            p.step(&format!("all/{n}"), Nothing);
        }
        p.step("all/last", Says);
    });
    planner.finish().expect("a plan")
}

fn records(plan: &Plan, done: u32, finished: bool) -> Vec<Record> {
    let mut records = vec![
        Record::Created {
            plan: Payload::Inline(plan.to_json()),
            by: common::by(),
            reason: "bench".into(),
            request: None,
        },
        Record::Acquired {
            holder: "bench".into(),
            version: "bench".into(),
        },
    ];
    for step in 0..done {
        let output = Payload::Inline(b"null".to_vec());
        records.push(Record::Started { step, attempt: 1 });
        records.push(Record::Done { step, output });
    }
    if finished {
        let verdict = Verdict::Completed;
        records.push(Record::Finished { verdict });
        let last = records.len() as u64 - 1;
        records.extend([0, last].map(|notice| Record::Sent { notice }));
    }
    records
}

/// Appends a whole run in one batch.
pub(crate) async fn append(journal: &SledJournal, n: u64, records: Vec<Record>) {
    let mut bodies = Vec::new();
    for mut record in records {
        if let Some(payload) = record.payload_mut()
            && let Payload::Inline(bytes) = payload
            && bytes.len() > Payload::INLINE_MAX
        {
            *payload = Payload::Object(journal.put(bytes).await.expect("it is stored"));
        }
        let at = SystemClock.now();
        bodies.push(codec::encode(&Entry { at, record }).expect("it encodes"));
    }
    let batch = Append {
        run: common::id(n),
        first_seq: 0,
        epoch: 1,
        bodies,
    };
    journal.append(batch).await.expect("it is written");
}

async fn seal(journal: SledJournal) {
    let runs = retention::live(&journal).await.expect("they load");
    let picked = retention::sealable(&runs, SystemClock.now(), Duration::ZERO);
    let picked = prepare(&journal, &picked).await.expect("they are read");
    let options = OpenOptions::default();
    let mut upkeep = journal.upkeep(&options).expect("it is idle");
    upkeep.seal(&picked).expect("it seals");
    upkeep.compact().expect("it compacts");
}
