//! Mail against a real exim4, and what each mail says.

use crate::means::secret::SecretError;
use crate::means::secret::Secrets;
use std::io::Read as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow_engine::outbox::DeliveryError;

use super::exim::{Exim, free_port};
use super::*;
use crate::means::host::Secret;

mod hanging_up;
mod words;

struct Given(&'static str);

impl Secrets for Given {
    fn resolve(&self, name: &str) -> Result<Secret, SecretError> {
        assert_eq!(name, "env:MAIL_PASSWORD");
        Ok(Secret(self.0.into()))
    }
}

fn settings(exim: &Exim, to: &[&str]) -> MailSettings {
    MailSettings {
        host: "localhost".into(),
        port: exim.starttls,
        tls: Tls::Starttls,
        user: Some("flow".into()),
        password: Some("env:MAIL_PASSWORD".into()),
        from: "Release <flow@example.org>".into(),
        to: to.iter().map(|t| (*t).to_owned()).collect(),
        ca_file: Some(exim.ca("ca.pem")),
    }
}

fn mailer(settings: MailSettings, password: &'static str) -> Mailer {
    // Wider than the usual limit: the other tests of this crate can keep a small machine's disk busy that long.
    let mailer = Mailer::new(settings, Arc::new(Given(password))).expect("good settings");
    mailer.with_limit(Duration::from_secs(90))
}

const RIGHT: &str = "correct-horse";

fn a_mail(number: u32) -> Mail {
    Mail {
        subject: "[prod] r-1 started ✓".into(),
        body: "Line one\n.\nLine äöü\n".into(),
        message_id: format!("<r-1.{number}@flow.example.org>"),
        thread: Some("<r-1.0@flow.example.org>".into()),
    }
}

fn never(result: Result<(), DeliveryError>) -> String {
    match result {
        Err(DeliveryError::Never(why)) => why,
        other => panic!("not refused for good: {other:?}"),
    }
}

fn later(result: Result<(), DeliveryError>) -> String {
    match result {
        Err(DeliveryError::Later(why)) => why,
        other => panic!("not to be tried again: {other:?}"),
    }
}

#[tokio::test]
async fn mail_arrives_over_starttls_and_over_tls_with_its_stable_message_id() {
    let exim = Exim::start();
    let team = ["A Dev <dev@example.org>", "qa@example.org"];
    mailer(settings(&exim, &team), RIGHT)
        .send(&a_mail(3))
        .await
        .expect("sent");
    let mails = exim.inbox(2);
    for mail in &mails {
        for line in [
            "Message-ID: <r-1.3@flow.example.org>",
            "In-Reply-To: <r-1.0@flow.example.org>",
            "Auto-Submitted: auto-generated",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(mail.contains(line), "{line} is not in {mail}");
        }
        assert!(
            mail.contains("with esmtpsa"),
            "not encrypted with login: {mail}"
        );
        assert!(mail.contains("dev@example.org") && mail.contains("qa@example.org"));
    }
    let mut implicit = settings(&exim, &["dev@example.org"]);
    (implicit.port, implicit.tls) = (exim.implicit, Tls::Implicit);
    mailer(implicit, RIGHT)
        .send(&a_mail(0))
        .await
        .expect("sent");
    let mut plain = settings(&exim, &["dev@example.org"]);
    (plain.port, plain.tls, plain.user, plain.password) = (exim.plain, Tls::None, None, None);
    mailer(plain, RIGHT).send(&a_mail(0)).await.expect("sent");
    assert!(
        exim.inbox(4)
            .iter()
            .filter(|m| m.contains("In-Reply-To"))
            .count()
            == 2
    );
}

#[tokio::test]
async fn a_refused_address_does_not_keep_the_others_from_their_mail_and_nobody_gets_it_twice() {
    let exim = Exim::start();
    let team = mailer(
        settings(&exim, &["reject@example.org", "qa@example.org"]),
        RIGHT,
    );
    team.send(&a_mail(1)).await.expect("one was reached");
    let deferred = mailer(
        settings(&exim, &["dev@example.org", "defer@example.org"]),
        RIGHT,
    );
    for _ in 0..3 {
        later(deferred.send(&a_mail(2)).await);
    }
    let mails = exim.inbox(2);
    assert_eq!(
        mails
            .iter()
            .filter(|m| m.contains("Envelope-to: dev@example.org"))
            .count(),
        1
    );
    assert_eq!(mails.len(), 2);
}

#[tokio::test]
async fn answers_of_the_server_are_told_apart() {
    let exim = Exim::start();
    let to = |to| settings(&exim, &[to]);
    let why = never(
        mailer(to("dev@example.org"), "wrong-staple")
            .send(&a_mail(1))
            .await,
    );
    assert!(
        why.contains("535") && !why.contains("wrong-staple"),
        "{why}"
    );
    let why = later(
        mailer(to("defer@example.org"), RIGHT)
            .send(&a_mail(1))
            .await,
    );
    assert!(
        why.contains("451") && why.contains("try again later"),
        "{why}"
    );
    let why = never(
        mailer(to("reject@example.org"), RIGHT)
            .send(&a_mail(1))
            .await,
    );
    assert!(why.contains("550") && why.contains("no such user"), "{why}");
    let mut closed = to("dev@example.org");
    closed.port = free_port();
    let why = later(mailer(closed, RIGHT).send(&a_mail(1)).await);
    assert!(why.contains("was not reached"), "{why}");
}

#[tokio::test]
async fn an_untrusted_server_gets_neither_password_nor_mail() {
    let exim = Exim::start();
    for (tls, port) in [
        (Tls::Starttls, exim.starttls),
        (Tls::Implicit, exim.implicit),
    ] {
        let mut other = settings(&exim, &["dev@example.org"]);
        (other.tls, other.port, other.ca_file) = (tls, port, Some(exim.ca("other.pem")));
        let why = later(mailer(other, RIGHT).send(&a_mail(1)).await);
        assert!(
            why.contains("is not trusted") && why.contains("set `ca` in [mail]"),
            "{why}"
        );
        let mut name = settings(&exim, &["dev@example.org"]);
        (name.tls, name.port, name.host) = (tls, port, "127.0.0.2".into());
        later(mailer(name, RIGHT).send(&a_mail(1)).await);
    }
    let mut stripped = settings(&exim, &["dev@example.org"]);
    stripped.port = exim.plain;
    let why = never(mailer(stripped, RIGHT).send(&a_mail(1)).await);
    assert!(why.contains("STARTTLS is not supported"), "{why}");
    assert!(!exim.log().contains("A=plain"), "{}", exim.log());
}

#[tokio::test]
async fn a_silent_server_is_given_up_after_the_own_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let silent = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().expect("a caller");
        let _ = peer.read(&mut [0; 64]);
    });
    let settings = MailSettings {
        host: "127.0.0.1".into(),
        port,
        tls: Tls::None,
        user: None,
        password: None,
        from: "flow@example.org".into(),
        to: vec!["dev@example.org".into()],
        ca_file: None,
    };
    let began = Instant::now();
    let mailer = mailer(settings, RIGHT).with_limit(Duration::from_secs(1));
    let why = later(mailer.send(&a_mail(1)).await);
    assert!(
        began.elapsed() < Duration::from_secs(12) && why.contains("did not answer within 1 s"),
        "{why}"
    );
    silent.join().expect("ends when the connection is dropped");
}

#[tokio::test]
async fn a_probe_logs_in_and_sends_nothing() {
    let exim = Exim::start();
    let found = mailer(settings(&exim, &["dev@example.org"]), RIGHT)
        .probe()
        .await
        .expect("works");
    assert_eq!(
        found,
        format!(
            "localhost:{} answers, encrypted by STARTTLS, login accepted",
            exim.starttls
        )
    );
    let wrong = mailer(settings(&exim, &["dev@example.org"]), "wrong-staple")
        .probe()
        .await;
    assert!(matches!(wrong, Err(DeliveryError::Never(_))), "{wrong:?}");
    assert!(
        exim.inbox(0).is_empty() && !exim.log().contains("<="),
        "{}",
        exim.log()
    );
}

#[test]
fn settings_that_would_leak_or_inject_are_refused() {
    let good = MailSettings {
        host: "127.0.0.1".into(),
        port: 25,
        tls: Tls::None,
        user: None,
        password: None,
        from: "flow@example.org".into(),
        to: vec!["dev@example.org".into()],
        ca_file: None,
    };
    let judge = |change: fn(&mut MailSettings)| {
        let mut settings = good.clone();
        change(&mut settings);
        Mailer::new(settings, Arc::new(Given(RIGHT))).err()
    };
    assert_eq!(judge(|_| ()), None);
    assert!(matches!(
        judge(|s| s.host = "mail.example.org".into()),
        Some(SettingsError::NotLoopback(_))
    ));
    assert!(matches!(
        judge(|s| s.host = "127.0.0.1.example.org".into()),
        Some(SettingsError::NotLoopback(_))
    ));
    let login = judge(|s| (s.user, s.password) = (Some("u".into()), Some("env:P".into())));
    assert_eq!(login, Some(SettingsError::PlainPassword));
    let half = judge(|s| (s.tls, s.user) = (Tls::Starttls, Some("u".into())));
    assert_eq!(half, Some(SettingsError::HalfALogin));
    assert_eq!(judge(|s| s.to.clear()), Some(SettingsError::Recipients));
    for bad in [
        "dev@example.org\r\nBcc: x@example.org",
        "a@b.test, c@d.test",
        "",
        "dev",
    ] {
        let settings = MailSettings {
            to: vec![bad.into()],
            ..good.clone()
        };
        assert!(
            matches!(
                Mailer::new(settings, Arc::new(Given(RIGHT))),
                Err(SettingsError::Address(_))
            ),
            "{bad:?}"
        );
    }
    let ca = judge(|s| (s.tls, s.ca_file) = (Tls::Starttls, Some("/nonexistent".into())));
    assert!(matches!(ca, Some(SettingsError::Ca { .. })));
}

/// Which mails the server took, by recipient.
fn taken(exim: &Exim, who: &str) -> usize {
    let to = format!("Envelope-to: {who}@example.org");
    exim.inbox(0)
        .iter()
        .filter(|mail| mail.contains(&to))
        .count()
}

#[tokio::test]
async fn an_address_that_is_deferred_or_refused_keeps_the_mail_from_nobody() {
    let exim = Exim::start();
    let team = [
        "defer@example.org",
        "reject@example.org",
        "dev@example.org",
        "qa@example.org",
    ];
    let reached = exim.folder.path().join("reached-by-flow");
    let why = later(
        mailer(settings(&exim, &team), RIGHT)
            .remembering(reached.clone())
            .send(&a_mail(1))
            .await,
    );
    exim.inbox(2);
    assert!(
        why.starts_with("2 of 4 have it; defer@example.org: ")
            && why.contains("reject@example.org: "),
        "{why}"
    );
    // Another process tries again: whoever has it is left out, and a new mail reaches them.
    let second = mailer(settings(&exim, &team), RIGHT).remembering(reached);
    later(second.send(&a_mail(1)).await);
    later(second.send(&a_mail(2)).await);
    exim.inbox(4);
    assert_eq!((taken(&exim, "dev"), taken(&exim, "qa")), (2, 2));
}
