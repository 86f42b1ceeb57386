//! What the golden files are made of, for all their tests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use flow_engine::answer::Answer;
use flow_engine::clock::Timestamp;
use flow_engine::record::{Failure, Payload, Wait};
use flow_engine::signal::Actor;

pub(crate) fn anna() -> Actor {
    Actor {
        name: "anna".into(),
        from: "box".into(),
    }
}

pub(crate) fn json(text: &str) -> Payload {
    Payload::Inline(text.as_bytes().to_vec())
}

pub(crate) fn failure() -> Failure {
    Failure::new("it failed")
        .because(&std::io::Error::other("disk full"))
        .hint("make room")
}

pub(crate) fn wait(who: &str, until: Option<Timestamp>) -> Wait {
    Wait {
        who: who.into(),
        what: "an answer".into(),
        answer: Some(Answer::Command("flow check".into())),
        until,
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}
