//! A log that could be read in part only is not called fine.

use flow_engine::codec;
use flow_engine::journal::{Append, Journal as _};
use flow_engine::record::{Entry, Payload, Record};

use super::*;
use crate::means::notes::ScriptNotes;
use crate::means::reach::testing::run_id;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_became_shorter_is_for_a_person_to_judge() {
    let rig = Rig::new();
    let log = rig.path("jobs/r-one/prep_deploy.1/log");
    let script = format!(
        "echo Error: this was said; echo and more, and more than is left; sleep 4; : > {log}; echo fine"
    );
    let (run, stop) = rig.bench.start("r-one", only(rig.deploy(&script))).await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::Unknown { .. })),
        "{stop:?}"
    );
    let message = failure(&run, "prep/deploy").message;
    assert!(
        message.contains("of which 5 could be searched for errors: it has become shorter"),
        "{message}"
    );
    let (_, stop) = rig.settle(true).await;
    assert_eq!(stop, DONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_longer_than_what_is_judged_is_for_a_person_to_judge() {
    let rig = Rig::new();
    let go = rig.path("go");
    let script = format!("until [ -e {go} ]; do sleep 0.2; done; echo fine");
    let plan = only(rig.deploy(&script));
    let a_moment = Duration::from_secs(3);
    rig.bench.crash_after("r-one", plan, a_moment).await;
    // A hole of that length, of which all was shown.
    let length = 257 << 20;
    let log = rig.path("jobs/r-one/prep_deploy.1/log");
    let log = std::fs::File::options().write(true).open(log).unwrap();
    log.set_len(length).unwrap();
    let kept = ScriptNotes {
        attempt: 1,
        launched: 1,
        offset: length,
        ..ScriptNotes::default()
    };
    let note = Payload::Inline(serde_json::to_vec(&kept).unwrap());
    let run = Run::load(&*rig.bench.journal, &run_id("r-one")).await;
    let entry = Entry {
        at: run.unwrap().updated,
        record: Record::Noted { step: 0, note },
    };
    let head = rig.bench.journal.head(&run_id("r-one")).await;
    let head = head.unwrap().unwrap();
    let append = Append {
        run: run_id("r-one"),
        first_seq: head.seq + 1,
        epoch: head.epoch,
        bodies: vec![codec::encode(&entry).unwrap()],
    };
    rig.bench.journal.append(append).await.unwrap();
    std::fs::write(go, "").unwrap();
    let (run, stop) = rig.bench.resume("r-one").await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::Unknown { .. })),
        "{stop:?}"
    );
    let message = failure(&run, "prep/deploy").message;
    let judged = "of which 268435456 could be searched for errors: so much is not judged";
    assert!(message.contains(judged), "{message}");
}
