//! Who is let in, and who is believed.

use std::process::Command as Process;

use super::agent::Agent;
use super::*;
use crate::means::host::testing::keygen;

fn ok() -> Command {
    Command::script("echo ok")
}

async fn refusal(sshd: &Sshd) -> String {
    match sshd.host().run(&ok()).await {
        Err(HostError::HostKey { file, why, .. }) => {
            assert!(file.contains("known_hosts"), "{file}");
            why
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_its_fingerprint_and_nothing_is_added() {
    let sshd = Sshd::start();
    sshd.record("");
    let why = refusal(&sshd).await;
    assert!(
        why.contains("SHA256:") && why.contains("ssh-keyscan"),
        "{why}"
    );
    assert_eq!(
        std::fs::read_to_string(sshd.path("known_hosts")).unwrap(),
        ""
    );
}

#[tokio::test]
async fn a_changed_key_is_refused() {
    let sshd = Sshd::start();
    let other = Sshd::start();
    let key = std::fs::read_to_string(other.path("host_ed25519.pub")).unwrap();
    sshd.record(&format!("[127.0.0.1]:{} {key}", sshd.port));
    let why = refusal(&sshd).await;
    assert!(
        why.contains("CHANGED") && why.contains("ssh-keygen -R"),
        "{why}"
    );
}

#[tokio::test]
async fn a_revoked_key_is_refused_even_when_it_is_also_on_record() {
    let sshd = Sshd::start();
    let line = sshd.line("ed25519");
    sshd.record(&format!("{line}@revoked {line}"));
    assert!(refusal(&sshd).await.contains("@revoked"));
    sshd.record(&format!(
        "@revoked * {}\n{line}",
        line.split_once(' ').unwrap().1.trim()
    ));
    assert!(refusal(&sshd).await.contains("@revoked"));
}

#[tokio::test]
async fn hashed_lines_patterns_and_other_kinds_of_key_are_found() {
    let sshd = Sshd::start();
    for kind in ["rsa", "ecdsa", "ed25519"] {
        sshd.record(&sshd.line(kind));
        assert_eq!(sshd.host().run(&ok()).await.unwrap(), "ok", "{kind}");
    }
    let hashed = Process::new("ssh-keygen")
        .args(["-H", "-f"])
        .arg(sshd.path("known_hosts"))
        .output()
        .unwrap();
    assert!(hashed.status.success());
    assert!(
        std::fs::read_to_string(sshd.path("known_hosts"))
            .unwrap()
            .starts_with("|1|")
    );
    assert_eq!(sshd.host().run(&ok()).await.unwrap(), "ok");
    let (_, key) = sshd
        .line("ed25519")
        .split_once(' ')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    sshd.record(&format!("[127.0.0.*]:{} {key}", sshd.port));
    assert_eq!(sshd.host().run(&ok()).await.unwrap(), "ok");
    sshd.record(&format!("@cert-authority * {key}"));
    assert!(refusal(&sshd).await.contains("no key is on record"));
}

#[tokio::test]
async fn a_key_on_record_for_another_port_does_not_count() {
    let sshd = Sshd::start();
    sshd.record(
        &sshd
            .line("ed25519")
            .replace(&format!("[127.0.0.1]:{}", sshd.port), "127.0.0.1"),
    );
    assert!(refusal(&sshd).await.contains("no key is on record"));
}

#[tokio::test]
async fn eight_other_keys_in_the_agent_do_not_lock_us_out() {
    let sshd = Sshd::start();
    let agent = Agent::start(sshd.dir.path());
    for n in 0..8 {
        let junk = sshd.path(&format!("junk{n}"));
        keygen(&junk, "ed25519");
        agent.add(&junk);
    }
    agent.add(&sshd.path("id"));
    let socket = agent.socket.display();
    // The configured file names the right key among the nine.
    let named = SshHost::new(sshd.config(&format!(" IdentityAgent {socket}")));
    assert_eq!(named.run(&ok()).await.unwrap(), "ok");
    assert_eq!(sshd.log().matches("Failed publickey").count(), 0);
    // No file at all: sshd hangs up after six, and the rest is tried on the next connection.
    std::fs::rename(sshd.path("id"), sshd.path("away")).unwrap();
    std::fs::rename(sshd.path("id.pub"), sshd.path("away.pub")).unwrap();
    let walked = SshHost::new(sshd.config(&format!(" IdentityAgent {socket}")));
    assert_eq!(walked.run(&ok()).await.unwrap(), "ok");
}

#[tokio::test]
async fn every_kind_and_format_of_key_file_works() {
    let sshd = Sshd::start();
    for (kind, format) in [
        ("rsa", "PEM"),
        ("rsa", "RFC4716"),
        ("ecdsa", "PEM"),
        ("ecdsa", "RFC4716"),
    ] {
        let path = sshd.path(&format!("{kind}-{format}"));
        let status = Process::new("ssh-keygen")
            .args(["-q", "-t", kind, "-m", format, "-N", "", "-f"])
            .arg(&path)
            .status()
            .unwrap();
        assert!(status.success());
        std::fs::copy(
            path.with_file_name(format!("{kind}-{format}.pub")),
            sshd.path("authorized_keys"),
        )
        .unwrap();
        std::fs::copy(&path, sshd.path("id")).unwrap();
        drop(std::fs::remove_file(sshd.path("id.pub")));
        assert_eq!(
            sshd.host().run(&ok()).await.unwrap(),
            "ok",
            "{kind} {format}"
        );
    }
}

#[tokio::test]
async fn an_encrypted_key_names_the_agent() {
    let sshd = Sshd::start();
    let status = Process::new("ssh-keygen")
        .args(["-q", "-p", "-N", "secret", "-f"])
        .arg(sshd.path("id"))
        .status()
        .unwrap();
    assert!(status.success());
    let error = sshd.host().run(&ok()).await.unwrap_err();
    assert!(
        matches!(&error, HostError::Auth { why, .. } if why.contains("ssh-add")),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let sshd = Sshd::start();
    let config = sshd.config("");
    drop(sshd);
    let error = SshHost::new(config).run(&ok()).await.unwrap_err();
    assert!(
        matches!(
            error,
            HostError::Unreachable { .. } | HostError::Config { .. }
        ),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_host_is_gone_through_and_the_inner_key_is_checked() {
    let outer = Sshd::start();
    let inner = Sshd::start();
    let file = inner.path("ssh_config");
    let text = format!(
        "{}{}",
        outer.block("gate", " IdentityAgent none"),
        inner.block("box", " IdentityAgent none\n ProxyJump gate")
    );
    std::fs::write(&file, text).unwrap();
    let mut config = SshConfig::new("box", "box");
    config.config_file = Some(file);
    let host = SshHost::new(config.clone());
    let from = host
        .run(&Command::script("echo ${SSH_CONNECTION##* }"))
        .await
        .unwrap();
    assert_eq!(from, inner.port.to_string());
    assert_eq!(outer.connections().len(), 1, "nobody went around the gate");
    let big = host
        .output(&Command::script("head -c 5000000 /dev/zero"))
        .await
        .unwrap();
    assert_eq!(big.stdout.len(), 5_000_000);
    outer.cut();
    assert_eq!(host.run(&ok()).await.unwrap(), "ok");
    inner.record("");
    assert!(matches!(
        SshHost::new(config.clone()).run(&ok()).await,
        Err(HostError::HostKey { .. })
    ));
    inner.record(&inner.line("ed25519"));
    outer.record("");
    assert!(SshHost::new(config).run(&ok()).await.is_err());
}
