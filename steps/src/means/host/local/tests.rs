use std::time::{Duration, Instant};

use super::*;
use crate::means::host::HostExt as _;

fn host() -> Local {
    Local::new("here")
}

#[tokio::test]
async fn both_streams_and_the_status_come_back() {
    let output = host()
        .output(&Command::script("echo out; echo err >&2; exit 3"))
        .await
        .unwrap();
    assert_eq!(output.exit, Exit::Code(3));
    assert_eq!(
        (&output.stdout[..], &output.stderr[..]),
        (&b"out\n"[..], &b"err\n"[..])
    );
}

#[tokio::test]
async fn a_signal_is_not_a_status() {
    let output = host().output(&Command::script("kill -9 $$")).await.unwrap();
    assert_eq!(output.exit, Exit::Signal("KILL".into()));
    let error = host()
        .run(&Command::script("echo why >&2; kill -9 $$"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`sh` on host `here` was ended by signal KILL: why"
    );
}

#[tokio::test]
async fn a_process_that_takes_too_long_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let late = dir.path().join("late");
    let command = Command::script("(sleep 1; touch \"$0\") & sleep 30")
        .arg(late.to_str().unwrap())
        .deadline(Duration::from_millis(200));
    let started = Instant::now();
    assert!(matches!(
        host().output(&command).await,
        Err(HostError::Deadline { .. })
    ));
    assert!(started.elapsed() < Duration::from_secs(20));
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert!(!late.exists());
}

#[tokio::test]
async fn six_megabytes_of_errors_do_not_block_the_output() {
    let output = host()
        .output(&Command::script("head -c 6000000 /dev/zero >&2; echo end"))
        .await
        .unwrap();
    assert_eq!(output.stderr.len(), 6_000_000);
    assert_eq!(output.stdout, b"end\n");
}

#[tokio::test]
async fn more_than_the_limit_is_an_error_not_a_cut() {
    let error = host()
        .output(&Command::script("head -c 17000000 /dev/zero"))
        .await
        .unwrap_err();
    assert!(matches!(error, HostError::TooMuch { .. }));
}

#[tokio::test]
async fn what_is_piped_in_comes_out_and_ends() {
    let mut process = host()
        .spawn(&Command::new("cat").stdin(Stdin::Piped))
        .await
        .unwrap();
    let stdin = process.stdin.take().unwrap();
    stdin.send(Bytes::from_static(b"one ")).await.unwrap();
    stdin.send(Bytes::from_static(b"two")).await.unwrap();
    drop(stdin);
    let mut all = Vec::new();
    while let Some(chunk) = process.stdout.recv().await {
        all.extend_from_slice(&chunk);
    }
    assert_eq!(all, b"one two");
    assert!(process.wait().await.unwrap().success());
}

#[tokio::test]
async fn variables_folder_and_bytes_arrive() {
    let command = Command::script("printf %s \"$A$B:$PWD:\"; cat")
        .env("A", "1")
        .secret_env("B", "2")
        .cwd("/")
        .stdin(Stdin::Bytes(Bytes::from_static(b"body")));
    assert_eq!(host().run(&command).await.unwrap(), "12:/:body");
}

#[tokio::test]
async fn a_missing_program_or_folder_was_never_started() {
    for command in [
        Command::new("/no/such"),
        Command::new("true").cwd("/no/such"),
    ] {
        assert!(matches!(
            host().spawn(&command).await,
            Err(HostError::Spawn { .. })
        ));
    }
}

#[tokio::test]
async fn this_machine_has_an_identity() {
    let identity = host().identity().await.unwrap();
    assert_eq!(identity.machine_id.len(), 32);
    assert_eq!(identity, host().identity().await.unwrap());
}
