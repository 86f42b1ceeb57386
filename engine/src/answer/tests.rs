use super::*;

fn trials(count: usize, key: &str, text: &str) -> Vec<Trial> {
    let one = |n| Trial {
        key: format!("{key}{n}"),
        text: text.to_owned(),
        required: true,
    };
    (0..count).map(one).collect()
}

fn checklist(items: Vec<Trial>) -> Answer {
    Answer::Checklist { items, more: 0 }
}

#[test]
fn a_long_checklist_keeps_its_keys_and_says_how_many_it_left_out() {
    let mut short = checklist(trials(9, "item-", "Customer list loads"));
    let before = short.clone();
    short.bound();
    assert_eq!(short, before);

    let mut wordy = checklist(trials(9, "item-", &"ü".repeat(400)));
    wordy.bound();
    let Answer::Checklist { items, more } = &wordy else {
        panic!("a checklist");
    };
    assert_eq!((items.len(), *more), (9, 0));
    assert!(items.iter().all(|item| item.text.ends_with('…')));

    let mut endless = checklist(trials(500, "a-rather-long-key-", "x"));
    endless.bound();
    let Answer::Checklist { items, more } = &endless else {
        panic!("a checklist");
    };
    assert_eq!(items.len() + *more as usize, 500);
    assert!(*more > 0 && !items.is_empty());
    for answer in [short, wordy, endless] {
        let size = postcard::to_allocvec(&answer).expect("encodes").len();
        assert!(size <= SHAPE_MAX + 20, "{size}");
        assert_eq!(answer.unfit(), None);
    }
}

#[test]
fn a_choice_that_no_record_holds_is_refused_and_never_cut() {
    let mut many = Answer::choice((0..200).map(|n| format!("choice-number-{n}")));
    let before = many.clone();
    many.bound();
    assert_eq!(many, before);
    assert!(many.unfit().expect("too long").contains("choices"));
    assert!(Answer::choice(Vec::<String>::new()).unfit().is_some());
    assert_eq!(Answer::choice(["blue", "green"]).unfit(), None);
}

#[test]
fn a_reply_is_plain_json_and_nothing_else_is_one() {
    let body = Reply::Choice("blue".into()).body();
    assert_eq!(body, r#"{"choice":"blue"}"#);
    assert_eq!(Reply::parse(&body), Some(Reply::Choice("blue".into())));
    for other in [
        r#""blue""#,
        r#"{"item":"login","result":"pass","by":"anna"}"#,
        r#"{"choice":"blue","text":"x"}"#,
    ] {
        assert_eq!(Reply::parse(other), None, "{other}");
    }
}
