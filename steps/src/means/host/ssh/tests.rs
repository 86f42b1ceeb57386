//! Against a real sshd.

use std::time::Instant;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::means::host::testing::Sshd;
use crate::means::host::{Exit, HostExt as _};

mod agent;
mod certificates;
mod greeting;
mod routes;
mod trust;

#[tokio::test]
async fn arguments_variables_and_secrets_arrive_as_they_were() {
    let sshd = Sshd::start();
    let host = sshd.host();
    let nasty = [
        "",
        " ",
        "'",
        "\"",
        "\\",
        "$HOME",
        "`id`",
        "a\nb",
        "*",
        "ü€🚢",
        "-n",
        "a'b\\'c",
        "!x",
        "~",
    ];
    let command = Command::script("printf '%s|' \"$@\"; printf '%s %s:' \"$A\" \"$B\"; cat")
        .arg("sh")
        .args(nasty)
        .env("A", "it's")
        .secret_env("B", "p w'\\$ ")
        .stdin(Stdin::Bytes(Bytes::from_static(b"input\n")));
    let output = host.output(&command).await.unwrap();
    let want = format!("{}|it's p w'\\$ :input\n", nasty.join("|"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), want);
}

#[tokio::test]
async fn a_secret_is_in_no_process_list() {
    let sshd = Sshd::start();
    let host = sshd.host();
    let command = Command::script(
        "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; printf %s \"$PW\" | wc -c",
    )
    .secret_env("PW", "zebra-9131");
    let seen = host.run(&command).await.unwrap();
    assert!(!seen.contains("zebra-9131"));
    assert!(seen.ends_with("10"), "the variable itself was there");
}

#[tokio::test]
async fn statuses_and_signals_are_told_apart() {
    let sshd = Sshd::start();
    let host = sshd.host();
    assert_eq!(
        host.output(&Command::script("exit 3")).await.unwrap().exit,
        Exit::Code(3)
    );
    assert_eq!(
        host.output(&Command::script("kill -9 $$"))
            .await
            .unwrap()
            .exit,
        Exit::Signal("KILL".into())
    );
    assert_eq!(
        host.output(&Command::new("/no/such/program"))
            .await
            .unwrap()
            .exit,
        Exit::Code(127)
    );
    let error = host
        .run(&Command::script("echo because >&2; exit 4"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`sh` on host `box` exited with 4: because"
    );
}

#[tokio::test]
async fn six_megabytes_of_errors_do_not_block_the_output() {
    let sshd = Sshd::start();
    let command = Command::script("head -c 6000000 /dev/zero >&2; echo end");
    let output = sshd.host().output(&command).await.unwrap();
    assert_eq!(
        (output.stderr.len(), &output.stdout[..]),
        (6_000_000, &b"end\n"[..])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_commands_share_one_connection_even_beyond_the_session_limit() {
    let sshd = Sshd::start();
    let host = Arc::new(sshd.host());
    let mut tasks = Vec::new();
    for n in 0..20 {
        let host = Arc::clone(&host);
        tasks.push(tokio::spawn(async move {
            host.run(&Command::script("sleep 0.2; echo \"$0\"").arg(n.to_string()))
                .await
        }));
    }
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap().unwrap(), n.to_string());
    }
    assert_eq!(sshd.connections().len(), 1);
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1);
}

/// 50 MiB that differ everywhere.
fn data() -> Bytes {
    let mut state = 1_u32;
    let bytes = (0..50 * 1024 * 1024).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    bytes.collect()
}

async fn both_ways(sshd: &Sshd) {
    let host = Arc::new(sshd.host());
    let data = data();
    let want = Sha256::digest(&data);
    let command = Command::new("cat").stdin(Stdin::Piped);
    let mut process = host.spawn(&command).await.unwrap();
    let stdin = process.stdin.take().unwrap();
    // Errors and other commands go on at the same time: partial packets of one channel must not hurt another.
    let busy = {
        let host = Arc::clone(&host);
        tokio::spawn(async move {
            for _ in 0..20 {
                assert_eq!(
                    host.run(&Command::script("head -c 100000 /dev/zero | wc -c"))
                        .await
                        .unwrap(),
                    "100000"
                );
            }
        })
    };
    let feeder = tokio::spawn(async move {
        for at in (0..data.len()).step_by(100_000) {
            stdin
                .send(data.slice(at..data.len().min(at + 100_000)))
                .await
                .unwrap();
        }
    });
    let mut hash = Sha256::new();
    while let Some(chunk) = process.stdout.recv().await {
        hash.update(&chunk);
    }
    feeder.await.unwrap();
    busy.await.unwrap();
    assert_eq!(process.wait().await.unwrap(), Exit::Code(0));
    assert_eq!(hash.finalize(), want);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_megabytes_go_up_and_come_down_unchanged() {
    both_ways(&Sshd::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_renegotiated_in_the_middle_of_it() {
    both_ways(&Sshd::with("RekeyLimit 8M")).await;
}

#[tokio::test]
async fn a_slow_process_slows_the_sender() {
    let sshd = Sshd::start();
    let host = sshd.host();
    let command = Command::script("sleep 1; wc -c").stdin(Stdin::Piped);
    let mut process = host.spawn(&command).await.unwrap();
    let stdin = process.stdin.take().unwrap();
    let (mut sent, begun) = (0_usize, Instant::now());
    while begun.elapsed() < Duration::from_millis(500) {
        let chunk = Bytes::from(vec![7; 65_536]);
        if tokio::time::timeout(Duration::from_millis(100), stdin.send(chunk))
            .await
            .is_ok()
        {
            sent += 65_536;
        }
        assert!(sent < 16 << 20, "nothing holds the sender back");
    }
    drop(stdin);
    let mut out = Vec::new();
    while let Some(chunk) = process.stdout.recv().await {
        out.extend_from_slice(&chunk);
    }
    assert_eq!(String::from_utf8_lossy(&out).trim(), sent.to_string());
}

#[tokio::test]
async fn a_slow_reader_slows_the_process_and_loses_nothing() {
    let sshd = Sshd::start();
    let host = sshd.host();
    let mut process = host
        .spawn(&Command::script("head -c 20000000 /dev/zero"))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(process.exit.try_recv().is_err());
    let mut got = 0;
    while let Some(chunk) = process.stdout.recv().await {
        got += chunk.len();
    }
    assert_eq!(got, 20_000_000);
    assert!(process.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_cut_is_an_unknown_outcome_and_the_next_command_connects_anew() {
    let sshd = Sshd::start();
    let host = sshd.host();
    let process = host
        .spawn(&Command::script("echo up; sleep 20; exit 0"))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    sshd.cut();
    let begun = Instant::now();
    assert!(matches!(process.wait().await, Err(HostError::Lost { .. })));
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "noticed before the command would have ended"
    );
    assert_eq!(
        host.run(&Command::script("echo again")).await.unwrap(),
        "again"
    );
}

#[tokio::test]
async fn a_connection_cut_while_idle_is_replaced_unseen() {
    let sshd = Sshd::start();
    let host = sshd.host();
    for n in 0..3 {
        assert_eq!(
            host.run(&Command::script("echo ok")).await.unwrap(),
            "ok",
            "round {n}"
        );
        sshd.cut();
    }
}

#[tokio::test]
async fn a_machine_that_falls_silent_is_given_up() {
    let sshd = Sshd::start();
    let mut config = sshd.config(" IdentitiesOnly yes\n IdentityAgent none");
    config.keepalive = Duration::from_secs(2);
    let host = SshHost::new(config);
    let process = host.spawn(&Command::script("sleep 60")).await.unwrap();
    let frozen = sshd.connections();
    for pid in &frozen {
        crate::means::host::testing::signal(*pid, rustix::process::Signal::STOP);
    }
    let begun = Instant::now();
    assert!(matches!(process.wait().await, Err(HostError::Lost { .. })));
    assert!(begun.elapsed() > Duration::from_secs(4) && begun.elapsed() < Duration::from_secs(40));
}

#[tokio::test]
async fn a_silent_command_is_not_taken_for_a_silent_machine() {
    let sshd = Sshd::start();
    let mut config = sshd.config(" IdentitiesOnly yes\n IdentityAgent none");
    config.keepalive = Duration::from_secs(2);
    let host = SshHost::new(config);
    assert_eq!(
        host.run(&Command::script("sleep 8; echo end"))
            .await
            .unwrap(),
        "end"
    );
}

#[tokio::test]
async fn a_deadline_ends_the_waiting_and_not_the_connection() {
    let sshd = Sshd::start();
    let host = sshd.host();
    let begun = Instant::now();
    let slow = Command::script("sleep 20").deadline(Duration::from_millis(400));
    assert!(matches!(
        host.run(&slow).await,
        Err(HostError::Deadline { .. })
    ));
    assert!(begun.elapsed() < Duration::from_secs(15));
    assert_eq!(host.run(&Command::script("echo ok")).await.unwrap(), "ok");
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1);
}

#[tokio::test]
async fn a_command_takes_milliseconds() {
    let sshd = Sshd::start();
    let host = sshd.host();
    host.run(&Command::new("true")).await.unwrap();
    let begun = Instant::now();
    for _ in 0..20 {
        host.run(&Command::new("true")).await.unwrap();
    }
    let each = begun.elapsed() / 20;
    assert!(each < Duration::from_millis(60), "{each:?}");
}
