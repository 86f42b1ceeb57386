//! The same question after days of signing.

use super::*;

#[tokio::test]
async fn migrations_that_were_applied_or_changed_since_they_were_signed_stop_the_release() {
    let rig = Rig::new();
    let notes = "ALTER TABLE \"Task\" ADD COLUMN \"notes\" TEXT;\n";
    rig.migration("20250201000000_notes", notes);
    let safety = rig.step();
    let (run, _) = rig.run(safety.clone()).await;
    let checked: Checked = output(&run, "prep/safety");
    let again = MigrationsAgain {
        safety,
        checked: checked.clone().into(),
    };
    let ask = async || {
        let plan = plan(
            |p| {
                p.step("gate/migrations", again.clone());
            },
            |p| {
                p.step("prod/say", Say::new(1));
            },
        );
        let bench = Bench::new(|| Registry::default().with::<MigrationsAgain>());
        bench.start("r-one", plan).await
    };
    let (run, _) = ask().await;
    let now: Vec<Pending> = output(&run, "gate/migrations");
    assert_eq!(now, checked.pending);
    let init = ("20250101000000_init", INIT, true, false);
    for (rows, word) in [
        (
            vec![init, ("20250201000000_notes", notes, true, false)],
            "20250201000000_notes is applied by now",
        ),
        (
            vec![init, ("20250201000000_notes", notes, false, false)],
            "20250201000000_notes",
        ),
        (
            vec![init, ("20250115000000_other", "SELECT 1;", true, false)],
            "20250115000000_other",
        ),
        (vec![], "20250101000000_init is pending and was not checked"),
    ] {
        rig.applied(&rows);
        let (run, stop) = ask().await;
        assert_eq!(
            stop,
            Stop::Parked(ParkReason::Refused { step: 0 }),
            "{word}"
        );
        let message = failure(&run, "gate/migrations").message;
        assert!(message.contains(word), "{message}");
    }
}
