use super::*;
use crate::means::secret::{ByName, Secrets as _};

fn list(words: &[&str]) -> String {
    format!("command:{}", serde_json::json!(words))
}

fn shell(script: &str) -> String {
    list(&["/bin/sh", "-c", script])
}

#[test]
fn what_a_program_prints_is_the_secret_and_what_it_says_beside_is_seen_by_nobody() {
    let secret = ByName
        .resolve(&shell("echo hunter2; echo hunter3 >&2"))
        .expect("a value");
    assert_eq!(secret.0, "hunter2");
    for failing in ["echo hunter2 >&2; exit 3", "echo hunter2; exit 3"] {
        let error = ByName.resolve(&shell(failing)).expect_err("it failed");
        assert!(matches!(error, SecretError::Command { .. }), "{error:?}");
        let said = format!("{error} {error:?}");
        assert!(said.contains("exit status: 3"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn no_shell_reads_the_words_and_whoever_expects_one_is_told() {
    let plain = ByName.resolve("command:echo  one two").expect("a value");
    assert_eq!(plain.0, "one two");
    let starred = ByName.resolve(&list(&["echo", "$HOME `id` *"]));
    assert_eq!(starred.expect("a value").0, "$HOME `id` *");
    for wrong in [
        "command:op read 'op://a b/c'",
        "command:echo $HOME",
        "command:cat x | head",
        "command:echo a; echo b",
        "command:",
        "command:   ",
        "command:~/bin/token",
        "command:[]",
        "command:[\"\"]",
        "command:[\"a\\u0000b\"]",
        "command:[1]",
        "command:{\"run\":[\"echo\"],\"as\":\"root\"}",
    ] {
        let error = ByName.resolve(wrong).expect_err(wrong);
        assert!(matches!(error, SecretError::Words(_)), "{wrong}: {error:?}");
    }
}

#[test]
fn a_program_that_hangs_prints_without_end_or_leaves_a_helper_is_ended_in_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("still-there");
    let script = format!("sleep 2; touch {}", mark.display());
    let endless = SecretCommand {
        folder: None,
        run: vec!["yes".into()],
    };
    let error = endless.output(PATIENCE).expect_err("it prints on");
    assert!(
        error.to_string().contains("more than 1024 bytes"),
        "{error}"
    );
    let limit = Duration::from_millis(300);
    for (script, name) in [
        (script.clone(), "it hangs"),
        (
            format!("({script}) & echo value; exec >&-; wait"),
            "it stays",
        ),
        (format!("echo value; {script}"), "its output stays open"),
        (
            format!("({script}) & echo value"),
            "a helper keeps its output",
        ),
    ] {
        let slow = SecretCommand {
            folder: None,
            run: ["/bin/sh", "-c", &script].map(str::to_owned).into(),
        };
        let error = slow.output(limit).expect_err(name);
        assert!(
            error.to_string().contains("did not end within"),
            "{name}: {error}"
        );
    }
    std::thread::sleep(Duration::from_millis(2300));
    assert!(!mark.exists(), "what was given up is still at work");
}

#[test]
fn a_program_runs_beside_the_configuration_and_its_name_says_where() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "hunter2\n").expect("written");
    let command = SecretCommand::parse("cat token").expect("words");
    let name = command.clone().within(folder.path()).name();
    assert_eq!(ByName.resolve(&name).expect("a value").0, "hunter2");
    let read = SecretCommand::parse(&name["command:".len()..]).expect("its own form");
    assert_eq!(read.clone().within(Path::new("/elsewhere")), read);
    assert_eq!(crate::means::secret::shown(&name), "command:cat …");
}

#[test]
fn what_is_printed_is_held_to_the_shape_of_a_secret() {
    for wrong in [
        "true",
        "printf 'a\\nb\\n'",
        "printf '\\377\\376'",
        "head -c 1026 /dev/zero | tr '\\0' x",
    ] {
        let error = ByName.resolve(&shell(wrong)).expect_err(wrong);
        assert!(matches!(error, SecretError::Shape(_)), "{wrong}: {error:?}");
    }
    let error = ByName
        .resolve("command:/nonexistent/op read x")
        .expect_err("no program");
    assert!(error.to_string().contains("/nonexistent/op"), "{error}");
}
