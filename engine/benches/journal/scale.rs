//! How time grows with the length of a run.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use flow_engine::record::{Payload, Record};
use flow_engine::run::Run;
use flow_engine::step::Resources;

use crate::measure::{flow, median, milliseconds, rounds};
use crate::{common, history};

/// Records of a step: it starts, notes how far it is, and is done.
const PER_STEP: u32 = 10;

/// One run of so many records: opening the journal and taking the run over, and exporting it.
pub(crate) fn run(dir: &Path, records: u32) -> String {
    let state = dir.join(format!("scale-{records}"));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::create_dir_all(&state).expect("a folder");
    std::fs::set_permissions(&state, mode).expect("its rights");
    let journal = state.join("journal");
    let runtime = common::runtime();
    runtime.block_on(history::append(&common::open(&journal), 0, of(records)));
    let resumed = median((0..rounds(5)).map(|_| {
        let start = Instant::now();
        let opened = common::open(&journal);
        let engine = common::engine(&opened, Resources::default());
        let taken = runtime.block_on(engine.resume(&common::id(0)));
        taken.expect("it resumes");
        let took = milliseconds(start.elapsed());
        drop(Arc::into_inner(opened));
        took
    }));
    let exported = match flow() {
        Some(flow) => median((0..rounds(3)).map(|n| export(&flow, &state, n))),
        None => runtime.block_on(read(&journal)),
    };
    std::fs::remove_dir_all(&state).expect("it can be removed");
    format!("scale records={records} resume_ms={resumed:.0} export_ms={exported:.0}")
}

fn of(records: u32) -> Vec<Record> {
    let steps = records / PER_STEP;
    let plan = common::plan(u64::from(steps) + 1);
    let mut all = vec![Record::Created {
        plan: Payload::Inline(plan.to_json()),
        by: common::by(),
        reason: "bench".into(),
        request: None,
    }];
    for step in 0..steps {
        all.push(Record::Started { step, attempt: 1 });
        for n in 2..PER_STEP {
            let note = Payload::Inline(format!("{{\"at\":{n}}}").into_bytes());
            all.push(Record::Noted { step, note });
        }
        let output = Payload::Inline(b"null".to_vec());
        all.push(Record::Done { step, output });
    }
    all
}

fn export(flow: &Path, state: &Path, n: usize) -> f64 {
    let file = state.join(format!("export-{n}.json"));
    let start = Instant::now();
    let done = Command::new(flow)
        .arg("--state")
        .arg(state)
        .args(["export", "latest", "-o"])
        .arg(file)
        .output();
    let done = done.expect("it starts");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    milliseconds(start.elapsed())
}

/// Without the binary: what an export reads.
async fn read(journal: &Path) -> f64 {
    let start = Instant::now();
    let journal = common::open(journal);
    let entries = Run::entries(&*journal, &common::id(0)).await;
    assert!(!entries.expect("it is read").is_empty());
    milliseconds(start.elapsed())
}
