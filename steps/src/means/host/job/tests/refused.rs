//! Killed, fenced, redirected, torn: what must not pass for an outcome.

use super::*;

#[tokio::test]
async fn a_dead_wrapper_leaves_orphans_and_then_nothing_is_known() {
    let rig = Rig::new();
    let spec = rig.spec("orphan", "sleep 30; echo never");
    launch(&*rig.host, &spec).await.unwrap();
    assert_eq!(rig.probe(&spec).await, Probe::Running { log_len: 0 });
    signal(Rig::start(&spec), Signal::KILL);
    let Probe::Orphaned { pids } = rig
        .until(&spec, |p| matches!(p, Probe::Orphaned { .. }))
        .await
    else {
        panic!()
    };
    assert!(!pids.is_empty());
    for pid in pids {
        signal(pid, Signal::KILL);
    }
    rig.until(&spec, |p| *p == Probe::Lost).await;
}

#[tokio::test]
async fn a_zombie_is_not_alive() {
    let rig = Rig::new();
    // A dead child of this session, whose living parent has left the session and never asks for it.
    let script = "perl -MPOSIX -e 'exit if !fork; POSIX::setsid(); sleep 30' & echo $!; sleep 30";
    let spec = rig.spec("zombie", script);
    launch(&*rig.host, &spec).await.unwrap();
    rig.until(
        &spec,
        |p| matches!(p, Probe::Running { log_len } if *log_len > 1),
    )
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let log = read_log(&*rig.host, &spec, 0, 100).await.unwrap();
    let parent = String::from_utf8_lossy(&log).trim().parse().unwrap();
    signal(Rig::start(&spec), Signal::KILL);
    let Probe::Orphaned { pids } = rig
        .until(&spec, |p| matches!(p, Probe::Orphaned { .. }))
        .await
    else {
        panic!()
    };
    assert!(!pids.contains(&parent));
    for pid in pids {
        signal(pid, Signal::KILL);
    }
    rig.until(&spec, |p| *p == Probe::Lost).await;
    signal(parent, Signal::KILL);
}

#[tokio::test]
async fn a_wrapper_that_is_told_to_end_stays_to_record_the_result() {
    let rig = Rig::new();
    let spec = rig.spec("term", "sleep 1; exit 6");
    launch(&*rig.host, &spec).await.unwrap();
    signal(Rig::start(&spec), Signal::TERM);
    assert!(matches!(
        rig.until(&spec, |p| !matches!(p, Probe::Running { .. }))
            .await,
        Probe::Done { code: 6, .. }
    ));
}

#[tokio::test]
async fn an_ended_job_is_ended_kindly_first_and_orphans_too() {
    let rig = Rig::new();
    let spec = rig.spec(
        "kind",
        "trap 'echo bye; exit 9' TERM; while :; do sleep 0.1; done",
    );
    launch(&*rig.host, &spec).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let end = kill(&*rig.host, &spec, Duration::from_secs(3))
        .await
        .unwrap();
    assert!(matches!(end, Probe::Done { code: 9, .. }), "{end:?}");
    let again = kill(&*rig.host, &spec, Duration::from_secs(3))
        .await
        .unwrap();
    assert_eq!(again, end);

    let deaf = rig.spec("deaf", "trap '' TERM; while :; do sleep 0.1; done");
    launch(&*rig.host, &deaf).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let end = kill(&*rig.host, &deaf, Duration::from_secs(1))
        .await
        .unwrap();
    assert!(matches!(end, Probe::Done { code: 137, .. }), "{end:?}");

    let orphan = rig.spec("left", "sleep 30");
    launch(&*rig.host, &orphan).await.unwrap();
    signal(Rig::start(&orphan), Signal::KILL);
    rig.until(&orphan, |p| matches!(p, Probe::Orphaned { .. }))
        .await;
    assert_eq!(
        kill(&*rig.host, &orphan, Duration::from_secs(1))
            .await
            .unwrap(),
        Probe::Lost
    );
}

#[tokio::test]
async fn an_older_epoch_is_refused_and_a_newer_one_is_remembered() {
    let rig = Rig::new();
    let mut spec = rig.spec("a", "true");
    launch(&*rig.host, &spec).await.unwrap();
    (spec.step, spec.epoch) = ("b".into(), 2);
    let error = launch(&*rig.host, &spec).await.unwrap_err();
    assert!(
        matches!(error, JobError::Fenced { seen: 3, ours: 2 }),
        "{error}"
    );
    assert_eq!(rig.probe(&spec).await, Probe::Absent);
    spec.epoch = 12;
    assert_eq!(launch(&*rig.host, &spec).await.unwrap(), Launch::Started);
    (spec.step, spec.epoch) = ("c".into(), 11);
    assert!(matches!(
        launch(&*rig.host, &spec).await,
        Err(JobError::Fenced { seen: 12, ours: 11 })
    ));
    // Damage is not taken for "none seen".
    std::fs::write(format!("{}/{}/epoch", rig.base(), spec.run), "").unwrap();
    assert!(matches!(
        launch(&*rig.host, &spec).await,
        Err(JobError::Refused { .. })
    ));
    assert_eq!(rig.probe(&spec).await, Probe::Absent);
}

#[tokio::test]
async fn an_epoch_survives_a_reboot_and_a_power_cut_in_its_writing() {
    let rig = Rig::new();
    let mut spec = rig.spec("a", "true");
    launch(&*rig.host, &spec).await.unwrap();
    rig.until(&spec, done).await;
    let at = |name: &str| format!("{}/{}/{name}", rig.base(), spec.run);
    // The machine was restarted, and the power went while a newer epoch was being written.
    std::fs::write(format!("{}/start", spec.folder()), "1 another-boot\n").unwrap();
    std::fs::remove_file(format!("{}/rc", spec.folder())).unwrap();
    std::fs::write(at("epoch.new"), "").unwrap();
    std::fs::remove_file(at("epoch.lock")).unwrap();
    assert_eq!(rig.probe(&spec).await, Probe::LostByReboot);
    (spec.step, spec.epoch) = ("b".into(), 2);
    assert!(matches!(
        launch(&*rig.host, &spec).await,
        Err(JobError::Fenced { seen: 3, ours: 2 })
    ));
    spec.epoch = 3;
    assert_eq!(launch(&*rig.host, &spec).await.unwrap(), Launch::Started);
    spec.step = "c".into();
    spec.epoch = 4;
    assert_eq!(launch(&*rig.host, &spec).await.unwrap(), Launch::Started);
    assert_eq!(std::fs::read_to_string(at("epoch")).unwrap(), "4\n");
}

#[tokio::test]
async fn a_job_is_launched_only_under_its_own_runs_lease_and_no_newer_process_s() {
    let rig = Rig::new();
    let lease = rig.dir.path().join("lease");
    let mut spec = rig.spec("a", "true");
    spec.lease = Some(lease.to_str().unwrap().to_owned());
    let write = |text: String| std::fs::write(lease.join("held"), text).unwrap();
    let held = |run: &str, epoch: u64| crate::means::lease::store::Held {
        run: run.into(),
        holder: "process 1 on \"b\",\"epoch\":1,x".into(),
        epoch,
        since: flow_engine::clock::Timestamp(7),
    };
    let json = |run: &str, epoch| serde_json::to_string(&held(run, epoch)).unwrap();
    let nobody = launch(&*rig.host, &spec).await;
    assert!(
        matches!(nobody, Err(JobError::NotLeased { held_by: None, .. })),
        "{nobody:?}"
    );
    std::fs::create_dir(&lease).unwrap();
    let nobody = launch(&*rig.host, &spec).await;
    assert!(
        matches!(nobody, Err(JobError::NotLeased { held_by: None, .. })),
        "{nobody:?}"
    );
    for other in ["r-two", "run-11", "run"] {
        write(json(other, 1));
        let refused = launch(&*rig.host, &spec).await;
        let Err(JobError::NotLeased { held_by, .. }) = refused else {
            panic!("{other}: {refused:?}");
        };
        assert_eq!(held_by.as_deref(), Some(other));
    }
    write(json("run-1", 4));
    let fenced = launch(&*rig.host, &spec).await;
    assert!(
        matches!(fenced, Err(JobError::Fenced { seen: 4, ours: 3 })),
        "{fenced:?}"
    );
    write("{}".into());
    let damaged = launch(&*rig.host, &spec).await;
    assert!(
        matches!(damaged, Err(JobError::Refused { .. })),
        "{damaged:?}"
    );
    assert_eq!(rig.probe(&spec).await, Probe::Absent);
    for (step, epoch) in [("b", 3), ("c", 2)] {
        write(json("run-1", epoch));
        spec.step = step.into();
        assert_eq!(launch(&*rig.host, &spec).await.unwrap(), Launch::Started);
        rig.until(&spec, done).await;
    }
}

#[tokio::test]
async fn another_machine_is_refused_by_every_call() {
    let rig = Rig::new();
    let mut spec = rig.spec("a", "true");
    spec.expect_machine_id = Some(rig.host.identity().await.unwrap().machine_id);
    assert_eq!(launch(&*rig.host, &spec).await.unwrap(), Launch::Started);
    (spec.step, spec.expect_machine_id) = ("b".into(), Some("0".repeat(32)));
    assert!(matches!(
        launch(&*rig.host, &spec).await,
        Err(JobError::WrongHost { .. })
    ));
    assert!(matches!(
        probe(&*rig.host, &spec).await,
        Err(JobError::WrongHost { .. })
    ));
    assert!(!std::path::Path::new(&spec.folder()).exists());
}

#[tokio::test]
async fn a_result_that_could_not_be_written_is_no_result() {
    let rig = Rig::new();
    let spec = rig.spec("full", "true");
    launch(&*rig.host, &spec).await.unwrap();
    rig.until(&spec, done).await;
    for torn in ["", "0", "0 ", "0\n", "x 3\n", "0 x\n", "0 3"] {
        std::fs::write(format!("{}/rc", spec.folder()), torn).unwrap();
        assert_eq!(
            rig.until(&spec, |p| !done(p)).await,
            Probe::Lost,
            "{torn:?}"
        );
    }
    std::fs::write(format!("{}/start", spec.folder()), "1 another-boot\n").unwrap();
    assert_eq!(rig.probe(&spec).await, Probe::LostByReboot);
}

#[tokio::test]
async fn a_job_that_is_ended_before_it_began_never_begins() {
    let rig = Rig::new();
    let spec = rig.spec("first", "true");
    launch(&*rig.host, &spec).await.unwrap();
    rig.until(&spec, done).await;
    // What a launch leaves whose wrapper is slow: a claim with everything in it.
    for (step, stopped) in [("late", true), ("control", false)] {
        let ledger = rig.dir.path().join(step);
        let late = rig.spec(step, "");
        std::fs::create_dir(late.folder()).unwrap();
        let at = |name: &str| format!("{}/{name}", late.folder());
        std::fs::copy(format!("{}/job.sh", spec.folder()), at("job.sh")).unwrap();
        std::fs::write(at("env"), "").unwrap();
        std::fs::write(at("script"), format!("echo ran >'{}'", ledger.display())).unwrap();
        assert_eq!(rig.probe(&late).await, Probe::Claimed);
        if stopped {
            let old = JobSpec {
                epoch: 2,
                ..late.clone()
            };
            let fenced = kill(&*rig.host, &old, Duration::from_secs(1)).await;
            assert!(matches!(fenced, Err(JobError::Fenced { .. })), "{fenced:?}");
            for _ in 0..2 {
                let end = kill(&*rig.host, &late, Duration::from_secs(1)).await;
                assert_eq!(end.unwrap(), Probe::Never);
            }
        }
        let name = format!("{step}.1");
        let job = at("job.sh");
        let wrap = crate::means::host::Command::new("sh")
            .args([&job, "", "wrap", &rig.base(), &late.run, &name])
            .args(["", "sh", "022", ""]);
        rig.host.output(&wrap).await.unwrap();
        assert_eq!(ledger.exists(), !stopped);
        assert_eq!(rig.probe(&late).await == Probe::Never, stopped);
    }
}
