//! A process that is killed at any moment: what it was told is durable is there.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod journal_support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::journal::{Append, Journal};
use journal_support::{body, run};

const DIR: &str = "FLOW_TEST_JOURNAL";
const RUNS: [&str; 3] = ["a", "b", "c"];
const KILLS: u32 = 20;

fn options() -> OpenOptions {
    OpenOptions {
        segment_bytes: 32 << 10,
        checkpoint_every: Duration::from_millis(20),
        ..OpenOptions::default()
    }
}

/// The child: appends to three runs at once and says what was acknowledged, until it is killed. Without the
/// variable it is no child and has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_appends_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else {
        return;
    };
    let (journal, report) = SledJournal::open(&dir, &options()).unwrap();
    say(&format!("REPAIRED {}", report.repaired.len()));
    let journal = std::sync::Arc::new(journal);
    let writers = RUNS.map(|name| {
        let journal = std::sync::Arc::clone(&journal);
        tokio::spawn(async move {
            let head = journal.head(&run(name)).await.unwrap();
            for seq in head.map_or(0, |h| h.seq + 1)..1_000_000 {
                let bodies = vec![body(name, seq)];
                let (run, first_seq, epoch) = (run(name), seq, 1);
                let batch = Append {
                    run,
                    first_seq,
                    epoch,
                    bodies,
                };
                journal.append(batch).await.unwrap();
                say(&format!("ACK {name} {seq}"));
            }
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

/// Lets a child run for a while, kills it, and returns the last number it acknowledged in each run.
fn killed_after(dir: &Path, time: Duration) -> BTreeMap<String, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child_that_appends_until_it_is_killed",
            "--nocapture",
        ])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut acknowledged = BTreeMap::new();
        for line in out.lines() {
            let line = line.unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["ACK", name, seq] => {
                    // The last line may have been cut by the kill.
                    acknowledged.extend(seq.parse::<u64>().map(|seq| (name.to_owned(), seq)));
                }
                ["REPAIRED", count] => assert_eq!(count, "0", "a kill is no damage"),
                _ => {}
            }
        }
        acknowledged
    });
    std::thread::sleep(time);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[tokio::test]
async fn every_acknowledged_record_is_there_after_each_of_many_kills() {
    let dir = tempfile::tempdir().unwrap();
    let mut total = 0;
    for round in 0..KILLS {
        let mut random = [0u8; 1];
        getrandom::fill(&mut random).unwrap();
        // The first few are killed while they open, the others while they write.
        let time = Duration::from_millis(u64::from(round) * 12 + u64::from(random[0]));
        // A second child recovers from the first kill and is killed too before anybody looks.
        let mut acknowledged = killed_after(dir.path(), time);
        if round % 2 == 1 {
            acknowledged.extend(killed_after(dir.path(), time / 2));
        }
        let (journal, report) = SledJournal::open(dir.path(), &options()).unwrap();
        assert_eq!(report.repaired, [], "round {round}: a kill is no damage");
        total = 0;
        for name in RUNS {
            let records = journal.read(&run(name)).await.unwrap();
            for (seq, record) in (0..).zip(&records) {
                assert_eq!(record.body, body(name, seq), "round {round}: {name} {seq}");
            }
            if let Some(last) = acknowledged.get(name) {
                let there = records.len() as u64;
                assert!(
                    there > *last,
                    "round {round}: {name} {last} of {there} is lost"
                );
            }
            total += records.len();
        }
    }
    assert!(
        total > 300,
        "only {total} records: the kills came too early to tell anything"
    );
}
