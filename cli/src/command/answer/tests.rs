use std::sync::Arc;

use clap::Parser as _;
use flow_engine::journal::memory::MemoryJournal;

use super::*;
use crate::args::{Cli, Command};
use crate::testing;

fn args(words: &[&str]) -> Answer {
    let all = [&["flow", "answer", "r-test", "prod/ask"], words].concat();
    match Cli::try_parse_from(all).expect("parses").command {
        Command::Answer(args) => args,
        other => panic!("{other:?}"),
    }
}

async fn asking() -> Run {
    let journal = Arc::new(MemoryJournal::default());
    let (run, _) = testing::driven(&journal, vec![], false).await;
    Run::clone(&run)
}

#[tokio::test]
async fn what_the_question_does_not_take_is_refused_with_what_it_takes() {
    let run = asking().await;
    let question = question(&run, "prod/ask").expect("it asks");
    assert_eq!(question.answer, Shape::choice(["yes", "no"]));
    assert!(fits(&run, &question, &args(&["--choice", "yes"])).is_ok());
    for words in [
        &["--text", "yes"][..],
        &["--file", "-"],
        &["--item", "login=pass"],
        &["--reject", "--note", "no"],
        &["--key", "id"],
        &["--yes"],
    ] {
        let said = fits(&run, &question, &args(words)).expect_err("is refused");
        assert_eq!(said.exit, Exit::Usage);
        let said = said.render();
        assert!(said.contains("`prod/ask` takes a choice"), "{said}");
        assert!(
            said.contains("flow answer r-test prod/ask --choice …"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_step_that_asks_nothing_and_one_that_is_not_there_are_told_apart() {
    let run = asking().await;
    let exit = |step: &str| question(&run, step).map(|_| ()).map_err(|d| d.exit);
    assert_eq!(exit("prod/change"), Err(Exit::Refused));
    assert_eq!(exit("prod/nonsense"), Err(Exit::Usage));
}

#[tokio::test]
async fn the_question_is_the_same_data_wherever_it_is_asked_for() {
    let run = asking().await;
    let questions = view::json::Questions::of(&run).only("prod/ask");
    let questions = serde_json::to_value(questions).expect("JSON");
    insta::assert_snapshot!(serde_json::to_string_pretty(&questions).expect("text"));
    let status = view::json::Status::of(&run, &crate::driver::Driver::Unasked, testing::NOON);
    let status = serde_json::to_value(status).expect("JSON");
    assert_eq!(status["waiting"], questions["waiting"]);
    assert_eq!(status["options"][0], questions["options"][0]);
}

#[test]
fn a_text_is_read_without_its_last_line_break_and_only_when_it_is_short() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("good"), "two\nlines\n").expect("writes");
    std::fs::write(path("binary"), [0xff, 0xfe]).expect("writes");
    assert_eq!(read(&path("good")).as_deref(), Ok("two\nlines"));
    for bad in ["none", "binary", ".", "/dev/zero"] {
        let refused = read(&path(bad)).map_err(|d| d.exit);
        assert_eq!(refused, Err(Exit::Usage), "{bad}");
    }
}
