use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use flow_sandbox::Smtp;

use crate::shared::{eventually, sandbox};

/// A conversation through `openssl s_client`, which speaks STARTTLS and checks the certificate.
struct Dialog {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Dialog {
    fn open(smtp: &Smtp) -> Self {
        let mut child = Command::new("timeout")
            .args([
                "20",
                "openssl",
                "s_client",
                "-quiet",
                "-starttls",
                "smtp",
                "-verify_return_error",
                "-verify_ip",
                &smtp.host,
            ])
            .args([
                "-connect",
                &format!("{}:{}", smtp.host, smtp.port),
                "-CAfile",
            ])
            .arg(&smtp.ca)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let input = child.stdin.take().expect("a pipe");
        Self {
            output: BufReader::new(child.stdout.take().expect("a pipe")),
            input,
            child,
        }
    }

    fn say(&mut self, line: &str) -> String {
        write!(self.input, "{line}\r\n").expect("the server listens");
        self.answer()
    }

    /// The last line of an answer; empty when the server hung up.
    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).expect("readable") == 0
                || line.as_bytes().get(3) != Some(&b'-')
            {
                return line;
            }
        }
    }
}

impl Drop for Dialog {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn login(user: &str, password: &str) -> String {
    let mut coder = Command::new("openssl")
        .args(["base64", "-A"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    write!(coder.stdin.take().expect("a pipe"), "\0{user}\0{password}").expect("written");
    String::from_utf8(coder.wait_with_output().expect("ends").stdout).expect("base64")
}

#[test]
fn mail_sent_with_starttls_and_a_password_arrives() {
    let Some(shared) = sandbox() else {
        return;
    };
    let smtp = shared.sandbox.smtp();
    let password = std::fs::read_to_string(&smtp.password_file).expect("a password");
    let mut dialog = Dialog::open(smtp);
    assert!(dialog.say("EHLO client.test").starts_with("250"));
    assert!(
        dialog
            .say(&format!("AUTH PLAIN {}", login(&smtp.user, &password)))
            .starts_with("235")
    );
    assert!(
        dialog
            .say("MAIL FROM:<flow@example.org>")
            .starts_with("250")
    );
    assert!(dialog.say("RCPT TO:<qa@example.org>").starts_with("250"));
    assert!(dialog.say("RCPT TO:<defer@example.org>").starts_with("451"));
    assert!(
        dialog
            .say("RCPT TO:<reject@example.org>")
            .starts_with("550")
    );
    assert!(dialog.say("DATA").starts_with("354"));
    let text = "Subject: =?utf-8?q?Please_sign?=\r\nFrom: flow@example.org\r\nMessage-ID: <one@flow.test>\r\n\r\nhello\r\n.";
    assert!(dialog.say(text).starts_with("250"));
    eventually("the mail is delivered", || {
        let mails = shared.sandbox.mails().expect("readable");
        mails.iter().any(|mail| {
            mail.to == ["qa@example.org"]
                && mail.subject == "Please sign"
                && mail.message_id == "<one@flow.test>"
                && mail.body.trim() == "hello"
        })
    });
}

#[test]
fn a_wrong_password_and_mail_without_a_login_are_refused() {
    let Some(shared) = sandbox() else {
        return;
    };
    let smtp = shared.sandbox.smtp();
    let mut dialog = Dialog::open(smtp);
    dialog.say("EHLO client.test");
    assert!(
        dialog
            .say(&format!("AUTH PLAIN {}", login(&smtp.user, "wrong")))
            .starts_with("535")
    );
    assert!(
        dialog
            .say("MAIL FROM:<flow@example.org>")
            .starts_with("530")
    );
}

#[test]
fn without_encryption_no_login_is_offered() {
    let Some(shared) = sandbox() else {
        return;
    };
    let smtp = shared.sandbox.smtp();
    let mut stream = TcpStream::connect((smtp.host.as_str(), smtp.port)).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_mins(1)))
        .expect("a time limit");
    let mut reader = BufReader::new(stream.try_clone().expect("cloned"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("a greeting");
    stream.write_all(b"EHLO client.test\r\n").expect("sent");
    let mut offered = String::new();
    while !line.starts_with("250 ") {
        line.clear();
        assert!(
            reader.read_line(&mut line).expect("an answer") > 0,
            "it hung up after {offered}"
        );
        offered.push_str(&line);
    }
    assert!(offered.contains("STARTTLS"), "{offered}");
    assert!(!offered.contains("AUTH"), "{offered}");
}
