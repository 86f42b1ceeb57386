//! Certificates of machines and of users, made by `ssh-keygen -s`.

use std::path::Path;
use std::process::Command as Process;

use super::agent::Agent;
use super::*;
use crate::means::host::testing::keygen;

/// Signs a public key; `KEY-cert.pub` lies beside it then.
fn sign(authority: &Path, key: &Path, options: &[&str]) {
    let status = Process::new("ssh-keygen")
        .args(["-q", "-I", "test", "-s"])
        .arg(authority)
        .args(options)
        .arg(key.with_extension("pub"))
        .status()
        .unwrap();
    assert!(status.success());
}

const MACHINE: [&str; 4] = ["-h", "-n", "127.0.0.1", "-V"];

/// A machine that shows a certificate for one kind of its keys, and has only its authority on record.
fn certified(kind: &str, signed: &[&str]) -> Sshd {
    let sshd = Sshd::prepared(
        &format!("HostCertificate {{at}}/host_{kind}-cert.pub"),
        |dir| {
            keygen(&dir.join("ca"), "ed25519");
            sign(&dir.join("ca"), &dir.join(format!("host_{kind}")), signed);
        },
    );
    sshd.record(&authority(&sshd, "127.0.0.1"));
    sshd
}

/// The line that believes the machine's authority, for machines of this pattern.
fn authority(sshd: &Sshd, pattern: &str) -> String {
    let key = std::fs::read_to_string(sshd.path("ca.pub")).unwrap();
    format!("@cert-authority {pattern} {key}")
}

async fn refusal(host: &SshHost) -> String {
    match host.run(&Command::script("echo ok")).await {
        Err(HostError::HostKey { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

async fn accepted(host: &SshHost) -> String {
    let answer = host.run(&Command::script("echo ok")).await;
    answer.unwrap_or_else(|e| e.to_string())
}

#[tokio::test]
async fn a_machine_whose_key_an_authority_on_record_has_certified_is_believed() {
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let sshd = certified(kind, &[&MACHINE[..], &["-1d:+1d"]].concat());
        assert_eq!(accepted(&sshd.host()).await, "ok", "{kind}");
        sshd.record(&authority(&sshd, "127.0.0.*,!127.0.0.2"));
        assert_eq!(accepted(&sshd.host()).await, "ok", "{kind}");
        sshd.record(&authority(&sshd, &format!("[127.0.0.1]:{}", sshd.port)));
        assert_eq!(accepted(&sshd.host()).await, "ok", "{kind}");
        sshd.record(&authority(&sshd, "127.0.0.2,*.example.org"));
        let why = refusal(&sshd.host()).await;
        assert!(why.contains("no key is on record"), "{kind}: {why}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_over_or_for_another_machine_or_for_users_is_refused() {
    for (signed, said) in [
        (["-h", "-n", "127.0.0.1", "-V", "-2d:-1d"], "it expired 20"),
        (["-h", "-n", "127.0.0.1", "-V", "+1d:+2d"], "is valid from"),
        (
            ["-h", "-n", "127.0.0.10,*", "-V", "-1d:+1d"],
            "for 127.0.0.10, *, not",
        ),
    ] {
        let sshd = certified("ed25519", &signed);
        let why = refusal(&sshd.host()).await;
        assert!(why.contains(said), "{said}: {why}");
        // The plain key on record does not heal it: ssh refuses this too.
        sshd.record(&format!(
            "{}{}",
            authority(&sshd, "*"),
            sshd.line("ed25519")
        ));
        let why = refusal(&sshd.host()).await;
        assert!(why.contains(said), "{said}: {why}");
    }
    let nameless = certified("ed25519", &["-h", "-V", "-1d:+1d"]);
    let why = refusal(&nameless.host()).await;
    assert!(why.contains("every machine"), "{why}");
}

#[tokio::test]
async fn an_authority_that_is_not_on_record_certifies_nothing() {
    let sshd = certified("ed25519", &[&MACHINE[..], &["-1d:+1d"]].concat());
    keygen(&sshd.path("other"), "ed25519");
    let other = std::fs::read_to_string(sshd.path("other.pub")).unwrap();
    sshd.record(&format!("@cert-authority * {other}"));
    let why = refusal(&sshd.host()).await;
    assert!(why.contains("not on record either"), "{why}");
    // The plain key inside counts as before.
    sshd.record(&format!(
        "@cert-authority * {other}{}",
        sshd.line("ed25519")
    ));
    assert_eq!(accepted(&sshd.host()).await, "ok");
    // An authority's own key is no machine's key.
    let own = std::fs::read_to_string(sshd.path("host_ed25519.pub")).unwrap();
    sshd.record(&format!("@cert-authority * {own}"));
    let why = refusal(&sshd.host()).await;
    assert!(why.contains("no key is on record"), "{why}");
}

#[tokio::test]
async fn a_revoked_authority_or_key_is_refused_in_spite_of_its_certificate() {
    let sshd = certified("ed25519", &[&MACHINE[..], &["-1d:+1d"]].concat());
    let ca = std::fs::read_to_string(sshd.path("ca.pub")).unwrap();
    let own = std::fs::read_to_string(sshd.path("host_ed25519.pub")).unwrap();
    for revoked in [&ca, &own] {
        sshd.record(&format!("{}@revoked * {revoked}", authority(&sshd, "*")));
        let why = refusal(&sshd.host()).await;
        assert!(why.contains("@revoked"), "{why}");
    }
    sshd.record(&authority(&sshd, "*"));
    let list = sshd.path("revoked").display().to_string();
    let listing = || {
        SshHost::new(sshd.config(&format!(
            " IdentitiesOnly yes\n IdentityAgent none\n RevokedHostKeys {list}"
        )))
    };
    for revoked in [&ca, &own] {
        std::fs::write(&list, format!("# list\n{revoked}")).unwrap();
        let why = refusal(&listing()).await;
        assert!(why.contains("(RevokedHostKeys)"), "{why}");
    }
    for key in ["ca.pub", "host_ed25519.pub"] {
        let status = Process::new("ssh-keygen")
            .args(["-q", "-k", "-f", &list])
            .arg(sshd.path(key))
            .status()
            .unwrap();
        assert!(status.success());
        let why = refusal(&listing()).await;
        assert!(why.contains("is revoked there"), "{why}");
    }
    keygen(&sshd.path("stranger"), "ed25519");
    std::fs::copy(sshd.path("stranger.pub"), &list).unwrap();
    assert_eq!(accepted(&listing()).await, "ok");
    std::fs::write(&list, "what is this").unwrap();
    assert!(refusal(&listing()).await.contains("cannot be told"));
    std::fs::remove_file(&list).unwrap();
    assert!(refusal(&listing()).await.contains("cannot be told"));
}

#[tokio::test]
async fn a_certificate_that_was_altered_after_it_was_signed_is_refused() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let dir = tempfile::tempdir().unwrap();
    for key in ["ca", "host"] {
        keygen(&dir.path().join(key), "ed25519");
    }
    sign(
        &dir.path().join("ca"),
        &dir.path().join("host"),
        &[&MACHINE[..], &["-1d:+1d"]].concat(),
    );
    let text = std::fs::read_to_string(dir.path().join("host-cert.pub")).unwrap();
    let mut fields = text.split(' ');
    let blob = STANDARD.decode(fields.nth(1).unwrap()).unwrap();
    let ca = std::fs::read_to_string(dir.path().join("ca.pub")).unwrap();
    let known_hosts = dir.path().join("known_hosts");
    std::fs::write(&known_hosts, format!("@cert-authority * {ca}")).unwrap();
    let check = |name: &str, algorithms: &str, blob: &[u8]| {
        let to = super::super::config::Resolved {
            hostname: name.to_owned(),
            port: 22,
            known_hosts: vec![known_hosts.clone()],
            algorithms: super::super::config::Algorithms {
                authority: algorithms.to_owned(),
                ..Default::default()
            },
            ..Default::default()
        };
        let record = super::super::known::look_up("box", &to).unwrap();
        record.check("box", blob).map_err(|e| e.to_string())
    };
    assert_eq!(check("127.0.0.1", "ssh-ed25519", &blob), Ok(()));
    let why = check("127.0.0.1", "rsa-sha2-512", &blob).unwrap_err();
    assert!(why.contains("CASignatureAlgorithms"), "{why}");
    // Another machine's name, of the same length.
    let at = blob
        .windows(9)
        .position(|part| part == b"127.0.0.1")
        .unwrap();
    let mut altered = blob.clone();
    altered[at + 8] = b'2';
    let why = check("127.0.0.2", "ssh-ed25519", &altered).unwrap_err();
    assert!(why.contains("its signature is wrong"), "{why}");
    for end in 0..blob.len() {
        assert_eq!(
            super::super::certificate::parse(&blob[..end]),
            None,
            "{end}"
        );
    }
}

/// A machine that lets nobody in but users an authority has certified.
fn for_certified_users() -> (Sshd, String) {
    let user = Process::new("id").arg("-un").output().unwrap().stdout;
    let user = String::from_utf8(user).unwrap().trim().to_owned();
    let sshd = Sshd::prepared("TrustedUserCAKeys {at}/ca.pub", |dir| {
        keygen(&dir.join("ca"), "ed25519");
        std::fs::write(dir.join("authorized_keys"), "").unwrap();
    });
    (sshd, user)
}

#[tokio::test]
async fn a_user_s_certificate_opens_with_its_key_file_or_from_the_agent() {
    let (sshd, user) = for_certified_users();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = sshd.path(&format!("me-{kind}"));
        keygen(&key, kind);
        let config = |more: &str| {
            let text = sshd
                .block("box", more)
                .replace("/id\n", &format!("/me-{kind}\n"));
            let file = sshd.path("ssh_config");
            std::fs::write(&file, text).unwrap();
            let mut config = SshConfig::new("box", "box");
            config.config_file = Some(file);
            SshHost::new(config)
        };
        let alone = " IdentitiesOnly yes\n IdentityAgent none";
        let refused = config(alone).run(&Command::script("echo ok")).await;
        assert!(
            matches!(refused, Err(HostError::Auth { .. })),
            "{kind}: {refused:?}"
        );
        // Beside the key file.
        sign(&sshd.path("ca"), &key, &["-n", &user, "-V", "-1d:+1d"]);
        assert_eq!(accepted(&config(alone)).await, "ok", "{kind}");
        // From the agent, which takes the certificate that lies beside the key.
        let agent = Agent::start(sshd.dir.path());
        agent.add(&key);
        let away = sshd.path(&format!("away-{kind}"));
        let beside = sshd.path(&format!("me-{kind}-cert.pub"));
        std::fs::rename(&key, &away).unwrap();
        let socket = agent.socket.display();
        let only = format!(" IdentitiesOnly yes\n IdentityAgent {socket}");
        let said = accepted(&config(&only)).await;
        if kind == "rsa" {
            // With the key file beside it, it works; without, the refusal says what to do.
            assert!(said.contains("have an ed25519"), "{said}");
            std::fs::copy(&away, &key).unwrap();
            assert_eq!(accepted(&config(&only)).await, "ok", "{kind} agent");
        } else {
            assert_eq!(said, "ok", "{kind} agent");
        }
        drop(agent);
        std::fs::remove_file(sshd.path("agent")).ok();
        std::fs::rename(&away, &key).unwrap();
        // Elsewhere, by name.
        let elsewhere = sshd.path(&format!("team-{kind}.pub"));
        std::fs::rename(&beside, &elsewhere).unwrap();
        let named = format!("{alone}\n CertificateFile {}", elsewhere.display());
        assert_eq!(accepted(&config(&named)).await, "ok", "{kind} by name");
        assert!(
            config(alone)
                .run(&Command::script("echo ok"))
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn a_user_s_certificate_that_is_over_is_named_in_the_refusal() {
    let (sshd, user) = for_certified_users();
    sign(
        &sshd.path("ca"),
        &sshd.path("id"),
        &["-n", &user, "-V", "-2d:-1d"],
    );
    let error = sshd.host().run(&Command::script("echo ok")).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("id-cert.pub") && error.contains(", expired 20"),
        "{error}"
    );
}
