//! What a gate sees of the past: runs that were put away count like any other, and only those it asks about are read.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use flow_engine::clock::SystemClock;
use flow_engine::driver::{Engine, NewRun, Stop};
use flow_engine::event::Observers;
use flow_engine::journal::sled::{OpenOptions, SledJournal, prepare};
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;
use flow_engine::record::Verdict;
use flow_engine::registry::Registry;
use flow_engine::run::Run;
use flow_engine::signal::Actor;
use flow_engine::step::{Cx, Resources, Step, StepError};

/// Names the other runs of a commit.
#[derive(Serialize, Deserialize)]
struct Gate {
    commit: String,
}

#[async_trait]
impl Step for Gate {
    const KIND: &'static str = "test.gate";
    type Output = Vec<String>;

    fn summary(&self) -> String {
        "looks at the past".into()
    }

    async fn run(&self, cx: &Cx) -> Result<Vec<String>, StepError> {
        let others = cx.other_runs(|r| r.commit == self.commit).await?;
        Ok(others.iter().map(|run| run.id.to_string()).collect())
    }
}

fn open(dir: &Path) -> SledJournal {
    SledJournal::open(dir, &OpenOptions::default()).unwrap().0
}

/// A run of a commit, over, whose only step asked for the other runs of `asks`; what that said.
async fn run(dir: &Path, id: &str, commit: &str, asks: &str) -> Result<Vec<String>, String> {
    let journal = Arc::new(open(dir));
    let engine = Engine {
        journal: Arc::clone(&journal) as _,
        registry: Arc::new(Registry::default().with::<Gate>()),
        resources: Resources::default(),
        clock: Arc::new(SystemClock),
        observers: Observers::default(),
        notifier: None,
        version: "test".into(),
        wait_for_people: false,
    };
    let mut planner = Planner::new("release", "1", id, "flow test");
    planner.fact("commit", commit);
    planner.phase("a", "the only phase", OnFailure::Park, |p| {
        let commit = asks.to_owned();
        p.step("a/gate", Gate { commit })
    });
    let new = NewRun {
        id: id.parse().unwrap(),
        plan: planner.finish().unwrap(),
        by: Actor {
            name: "me".into(),
            from: "here".into(),
        },
        reason: String::new(),
        request: None,
    };
    let (driver, _handle) = engine.start(new).await.unwrap();
    let (run, stop) = driver.drive().await.unwrap();
    match stop {
        Stop::Finished(Verdict::Completed) => {
            Ok(serde_json::from_str(run.output("a/gate").unwrap()).unwrap())
        }
        other => Err(format!("{other:?} {:?}", run.steps[0].failure)),
    }
}

/// Puts finished runs away and takes them out of the live store.
async fn put_away(dir: &Path, ids: &[&str]) {
    let journal = open(dir);
    let mut runs = Vec::new();
    for id in ids {
        runs.push(Run::load(&journal, &id.parse().unwrap()).await.unwrap());
    }
    let runs: Vec<&Run> = runs.iter().collect();
    let picked = prepare(&journal, &runs).await.unwrap();
    assert_eq!(picked.len(), ids.len());
    let mut upkeep = journal.upkeep(&OpenOptions::default()).unwrap();
    upkeep.seal(&picked).unwrap();
    upkeep.compact().unwrap();
}

async fn two_commits(dir: &Path) {
    for (id, commit) in [("r-1", "aaa"), ("r-2", "bbb"), ("r-3", "aaa")] {
        run(dir, id, commit, "none").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_put_away_is_seen_like_any_other_and_one_that_is_not_asked_for_is_not() {
    let dir = tempfile::tempdir().unwrap();
    two_commits(dir.path()).await;
    for away in [&[][..], &["r-1", "r-2"], &["r-3"]] {
        if !away.is_empty() {
            put_away(dir.path(), away).await;
        }
        let id = format!("r-ask-{}", away.len());
        let seen = run(dir.path(), &id, "ccc", "aaa").await;
        assert_eq!(seen.unwrap(), ["r-1", "r-3"], "{away:?} put away");
        let seen = run(dir.path(), &format!("{id}-b"), "ddd", "bbb").await;
        assert_eq!(seen.unwrap(), ["r-2"], "{away:?} put away");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_runs_that_were_put_away_only_those_asked_for_are_read() {
    let dir = tempfile::tempdir().unwrap();
    two_commits(dir.path()).await;
    for id in ["r-1", "r-2", "r-3"] {
        put_away(dir.path(), &[id]).await;
    }
    // The second file has r-2 and nothing else.
    let file = dir.path().join("archive/arc-00000002.arc");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let seen = run(dir.path(), "r-4", "ccc", "aaa").await;
    assert_eq!(seen.unwrap(), ["r-1", "r-3"]);
    let refused = run(dir.path(), "r-5", "ccc", "bbb").await.unwrap_err();
    for words in ["the journal's past runs cannot be read", "r-2"] {
        assert!(refused.contains(words), "no `{words}`: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_does_not_see_itself() {
    let dir = tempfile::tempdir().unwrap();
    let seen = run(dir.path(), "r-1", "aaa", "aaa").await;
    assert_eq!(seen.unwrap(), [] as [String; 0]);
}
