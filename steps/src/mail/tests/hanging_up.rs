//! A server that closes the connection when it has the mail.

use super::*;

/// Mails by recipient and message id.
type Given = Arc<std::sync::Mutex<Vec<(String, String)>>>;

/// A server that takes a mail for anybody, but closes after the final dot when it is for `hangup`. A stand-in: no real
/// server does that on demand. What it was given, by recipient and message id.
fn one_that_hangs_up() -> (u16, Given) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let given = Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = Arc::clone(&given);
    std::thread::spawn(move || {
        for peer in listener.incoming().flatten() {
            let mut out = peer.try_clone().expect("the same");
            let mut say = |text: &str| out.write_all(text.as_bytes()).is_ok();
            say("220 ready\r\n");
            let (mut to, mut id, mut data) = (String::new(), String::new(), false);
            for line in BufReader::new(peer).lines().map_while(Result::ok) {
                if data {
                    if let Some(value) = line.strip_prefix("Message-ID: ") {
                        value.clone_into(&mut id);
                    }
                    if line == "." {
                        data = false;
                        keep.lock().expect("whole").push((to.clone(), id.clone()));
                        if to.contains("hangup") {
                            break;
                        }
                        say("250 taken\r\n");
                    }
                    continue;
                }
                match line.split([' ', ':']).next().unwrap_or_default() {
                    "EHLO" => say("250 here\r\n"),
                    "RCPT" => {
                        to = line;
                        say("250 fine\r\n")
                    }
                    "DATA" => {
                        data = true;
                        say("354 go on\r\n")
                    }
                    "QUIT" => break,
                    _ => say("250 fine\r\n"),
                };
            }
        }
    });
    (port, given)
}

#[tokio::test]
async fn a_server_that_hangs_up_after_the_final_dot_is_tried_again_under_the_same_message_id() {
    let (port, given) = one_that_hangs_up();
    let settings = MailSettings {
        host: "127.0.0.1".into(),
        port,
        tls: Tls::None,
        user: None,
        password: None,
        from: "flow@example.org".into(),
        to: ["hangup@example.org", "dev@example.org", "qa@example.org"]
            .map(str::to_owned)
            .to_vec(),
        ca_file: None,
    };
    let mailer = mailer(settings, RIGHT);
    for _ in 0..3 {
        let why = later(mailer.send(&a_mail(1)).await);
        assert!(why.contains("hangup@example.org"), "{why}");
    }
    let given = given.lock().expect("whole").clone();
    let count = |who: &str| given.iter().filter(|(to, _)| to.contains(who)).count();
    assert_eq!(
        (count("dev"), count("qa"), count("hangup")),
        (1, 1, 3),
        "{given:?}"
    );
    assert!(given.iter().all(|(_, id)| id == "<r-1.1@flow.example.org>"));
}
