//! Login shells that print, or that end, before they run what they were asked to.

use super::*;

/// A machine whose user has this `~/.bashrc`; bash reads it for sshd, too.
fn noisy(bashrc: &str) -> Sshd {
    let sshd = Sshd::start();
    std::fs::write(sshd.path(".bashrc"), bashrc).unwrap();
    sshd
}

#[tokio::test]
async fn what_a_bashrc_prints_is_in_no_answer_and_is_told() {
    let sshd = noisy("echo Welcome; printf 'no newline'; echo warned >&2\n");
    let host = sshd.host();
    assert_eq!(host.greeting(), None);
    let command = Command::script("cat; echo; echo no >&2; exit 3")
        .stdin(Stdin::Bytes(Bytes::from_static(b"input")));
    let output = host.output(&command).await.unwrap();
    assert_eq!(
        (&output.stdout[..], &output.stderr[..], output.exit),
        (&b"input\n"[..], &b"no\n"[..], Exit::Code(3))
    );
    assert!(host.greeting().is_some(), "it is told");
    let identity = host.identity().await.unwrap();
    assert_eq!(identity.machine_id.len(), 32);
}

#[tokio::test]
async fn a_shell_that_ends_in_its_bashrc_has_run_nothing_whatever_its_status() {
    let sshd = noisy("echo only for people; exit 0\n");
    let error = sshd.host().run(&Command::new("true")).await.unwrap_err();
    assert!(matches!(error, HostError::Spawn { .. }), "{error}");
    let words = error.to_string();
    assert!(words.contains("before it ran anything"), "{words}");
    assert!(words.contains("only for people"), "{words}");
}

#[tokio::test]
async fn an_answer_that_was_led_elsewhere_is_unknown_and_not_empty() {
    let sshd = noisy("exec > /dev/null\n");
    let error = sshd.host().run(&Command::new("true")).await.unwrap_err();
    assert!(matches!(error, HostError::Lost { .. }), "{error}");
}
