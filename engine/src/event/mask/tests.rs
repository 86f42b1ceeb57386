use super::*;
use crate::answer::Answer;
use crate::record::FailureKind;

fn masked() -> Masked {
    Masked::new(["hunter2-long".into(), "prod".into()])
}

fn payload(record: &mut Record) -> String {
    let payload = record.payload_mut().expect("a payload");
    String::from_utf8_lossy(payload.inline().expect("inline")).into_owned()
}

#[test]
fn what_a_step_says_is_masked_before_it_is_stored() {
    let mut failed = Record::Failed {
        step: 0,
        kind: FailureKind::Failed,
        failure: Failure {
            message: "login with hunter2-long".into(),
            causes: vec!["535 hunter2-long".into()],
            hints: vec!["try hunter2-long".into()],
        },
        retry_at: None,
    };
    masked().conceal(&mut failed);
    assert!(!format!("{failed:?}").contains("hunter2"), "{failed:?}");
    let mut refused = Record::Undeliverable {
        notice: 1,
        why: "535 hunter2-long".into(),
    };
    masked().conceal(&mut refused);
    assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
}

#[test]
fn what_steps_compute_with_keeps_its_short_words_and_loses_its_secrets() {
    let json = br#"{"host":"prod","said":["x hunter2-long"],"hunter2-long":1}"#;
    let (step, bytes) = (0, || Payload::Inline(json.to_vec()));
    for mut record in [
        Record::Done {
            step,
            output: bytes(),
        },
        Record::Noted {
            step,
            note: bytes(),
        },
    ] {
        masked().conceal(&mut record);
        let text = payload(&mut record);
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains(r#""host":"prod""#), "{text}");
    }
}

#[test]
fn a_mail_that_is_queued_holds_no_secret_however_short() {
    let mut queued = Record::Queued {
        topic: "deploying".into(),
        body: Payload::Inline(br#"{"changes":["hunter2-long on prod"]}"#.to_vec()),
    };
    masked().conceal(&mut queued);
    assert_eq!(payload(&mut queued), r#"{"changes":["•••• on ••••"]}"#);
}

#[test]
fn the_password_of_any_url_is_masked_and_what_looks_like_one_is_not() {
    for (said, kept) in [
        (
            "connecting to postgresql://app:p%40ss@db:5432/x?a=b failed",
            "connecting to postgresql://app:••••@db:5432/x?a=b failed",
        ),
        ("redis://:hidden@cache", "redis://:••••@cache"),
        ("a 'smtp://u:p@ss@mail' b", "a 'smtp://u:••••@mail' b"),
        (
            "https://ghp_0123456789abcdefghij@github.com/x",
            "https://••••@github.com/x",
        ),
        ("ssh://git@github.com:22/x", "ssh://git@github.com:22/x"),
        ("http://127.0.0.1:3000/u@x", "http://127.0.0.1:3000/u@x"),
        ("note://a b:c@d", "note://a b:c@d"),
        (
            "postgres://h/db?user=bob&password=hidden&x=1 and",
            "postgres://h/db?user=bob&password=••••&x=1 and",
        ),
        ("GET /health?Token=hidden", "GET /health?Token=••••"),
        ("?password= &tokens=3 ?key", "?password= &tokens=3 ?key"),
        ("pg://bob:hid#den@h/db", "pg://bob:••••@h/db"),
        ("pg://bob:hid/d?n@h/db x@y", "pg://bob:••••@h/db x@y"),
        ("http://[::1]:3000/u@x", "http://[::1]:3000/u@x"),
        (
            "https://git.example:8443/a/b#c@d",
            "https://git.example:8443/a/b#c@d",
        ),
    ] {
        assert_eq!(masked().apply(said), kept);
        assert_eq!(Masked::default().apply(said), kept);
    }
    let cut = "no way to postgres://app:half-a-pass…";
    assert_eq!(masked().cut_off(cut), "no way to postgres://app:••••…");
    let port = "no way to http://localhost:30…";
    assert_eq!(masked().cut_off(port), port);
    let long = format!("x://{}:y@z", "a".repeat(2_000));
    assert_eq!(masked().apply(&long), long, "bounded");
}

#[test]
fn a_secret_in_base64_is_masked_alone_and_inside_of_more() {
    // "user:hunter2-long", "hunter2-long!", and a header of HTTP.
    for said in [
        "dXNlcjpodW50ZXIyLWxvbmc=",
        "aHVudGVyMi1sb25nIQ==",
        "Authorization: Basic eDpodW50ZXIyLWxvbmc=",
    ] {
        let shown = masked().apply(said);
        assert!(shown.contains(MASK), "{said}: {shown}");
    }
}

#[test]
fn a_secret_that_is_learnt_later_is_masked_by_every_clone_in_each_spelling_and_never_forgotten() {
    let masked = masked();
    let other = masked.clone();
    let said =
        r"+ echo 'login failed for it'\''s a+b%20word', it\'s\ a+b%20word, it%27s%20a%2Bb%2520word";
    assert_eq!(other.apply(said), said);
    assert!(!other.knows("job one"));
    masked.learn("job one", ["it's a+b%20word".into()]);
    assert!(other.knows("job one"));
    assert_eq!(
        other.apply(said),
        "+ echo 'login failed for ••••', ••••, ••••"
    );
    masked.learn("job two", ["another one".into()]);
    assert_eq!(
        other.apply("it's a+b%20word hunter2-long another one"),
        "•••• •••• ••••"
    );
}

#[test]
fn a_secret_inside_a_longer_secret_is_masked_whole() {
    let masked = Masked::new(["hunter2".into(), "hunter2-long".into(), "abc".into()]);
    assert_eq!(
        masked.apply("x hunter2-long abc hunter2"),
        "x •••• abc ••••"
    );
}

#[test]
fn a_text_that_was_cut_within_a_secret_does_not_end_with_half_of_it() {
    for (said, kept) in [
        ("login hunter2-lo…", "login ••••…"),
        ("login hunt", "login ••••"),
        ("login hun", "login hun"),
        ("a hunter", "a ••••"),
    ] {
        assert_eq!(masked().cut_off(said), kept);
    }
}

/// Of every kind whose texts are masked, the largest, made of what becomes longest when it is masked.
fn largest() -> Vec<Record> {
    let long = "-".repeat(10_000);
    let io = std::io::Error::other(long.clone());
    let failure = || {
        let failure = Failure::new(long.clone()).because(&io).because(&io);
        failure.hint(&*long).hint(&*long).hint(&*long)
    };
    let mut wait = Wait {
        who: "qa".into(),
        what: long.clone(),
        answer: Some(Answer::Command(long.clone())),
        until: None,
    };
    wait.bound();
    let (step, kind, retry_at) = (0, FailureKind::Failed, None);
    let text: String = long.chars().take(900).collect();
    let why = text.clone();
    vec![
        Record::Failed {
            step,
            kind,
            failure: failure(),
            retry_at,
        },
        Record::UndoFailed {
            step,
            kind,
            failure: failure(),
            retry_at,
        },
        Record::Undone {
            step,
            report: long.chars().take(3_600).collect(),
        },
        Record::Skipped {
            step,
            why: why.clone(),
        },
        Record::Undeliverable { notice: 0, why },
        Record::Waiting {
            step,
            wait,
            seen: 0,
        },
    ]
}

#[test]
fn what_was_masked_still_fits_a_record() {
    let masked = Masked::new(["----".into(), "e-mail".into()]);
    for mut record in largest() {
        masked.conceal(&mut record);
        let at = crate::clock::Timestamp(0);
        let entry = crate::record::Entry { at, record };
        let len = crate::codec::encode(&entry).expect("encodes").len();
        assert!(len <= crate::journal::BODY_MAX, "{len}: {entry:?}");
        let said = format!("{entry:?}");
        assert!(said.contains(MASK) && !said.contains("----"), "{said}");
    }
}
