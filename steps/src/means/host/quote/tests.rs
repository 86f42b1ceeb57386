use std::io::Write as _;
use std::process::{Command as Shell, Stdio};

use proptest::prelude::*;

use super::*;

/// Runs the line as sshd would, prints arguments and variables with NUL between them.
fn through(shell: &str, command: &Command) -> Vec<u8> {
    let line = line(command).unwrap();
    let mut child = Shell::new(shell)
        .args(["-c", &line.text])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&line.prelude).unwrap();
    // A program that reads nothing may be gone already.
    drop(stdin.write_all(b"the rest"));
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", line.text);
    output.stdout
}

fn shells() -> Vec<&'static str> {
    ["sh", "bash", "dash"]
        .into_iter()
        .filter(|shell| {
            Shell::new(shell)
                .args(["-c", ":"])
                .status()
                .is_ok_and(|s| s.success())
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_argument_arrives_as_it_was(args in prop::collection::vec("[^\\x00]{0,24}", 0..6)) {
        for shell in shells() {
            // The `-` stands for a format that prints nothing else: printf repeats its format for each argument.
            let command = Command::new("printf").arg("%s\\0").arg("first").args(args.clone());
            let got = through(shell, &command);
            let mut want = b"first\0".to_vec();
            for arg in &args {
                want.extend_from_slice(arg.as_bytes());
                want.push(0);
            }
            prop_assert_eq!(&got, &want, "{}", shell);
        }
    }

    #[test]
    fn variables_secret_or_not_arrive_as_they_were(plain in "[^\\x00]{0,24}", secret in "[^\\x00\\r\\n]{0,24}") {
        for shell in shells() {
            let command = Command::new("sh")
                .args(["-c", "printf '%s\\0%s\\0' \"$PLAIN\" \"$SECRET\"; cat"])
                .env("PLAIN", plain.clone())
                .secret_env("SECRET", secret.clone());
            let want = format!("{plain}\0{secret}\0the rest");
            prop_assert_eq!(String::from_utf8(through(shell, &command)).unwrap(), want, "{}", shell);
        }
    }
}

#[test]
fn what_could_be_read_as_something_else_is_refused() {
    for program in ["", "-x", "A=b", "a\0"] {
        assert!(
            matches!(line(&Command::new(program)), Err(QuoteError::Program(_))),
            "{program:?}"
        );
    }
    assert!(matches!(
        line(&Command::new("a").arg("\0")),
        Err(QuoteError::Nul(_))
    ));
    for name in ["", "1A", "A-B", "A=B", "A B", "Ä"] {
        assert!(
            matches!(
                line(&Command::new("a").env(name, "x")),
                Err(QuoteError::Name(_))
            ),
            "{name:?}"
        );
        assert!(
            matches!(
                line(&Command::new("a").secret_env(name, "x")),
                Err(QuoteError::Name(_))
            ),
            "{name:?}"
        );
    }
    assert!(matches!(
        line(&Command::new("a").secret_env("A", "x\ny")),
        Err(QuoteError::SecretBreak(_))
    ));
    assert!(matches!(
        line(&Command::new("a").arg("x".repeat(LINE_MAX))),
        Err(QuoteError::TooLong(_))
    ));
}

#[test]
fn a_secret_is_neither_in_the_line_nor_in_debug_output() {
    let command = Command::new("psql").secret_env("PGPASSWORD", "hunter2");
    assert!(!line(&command).unwrap().text.contains("hunter2"));
    assert!(!format!("{command:?}").contains("hunter2"));
}

#[test]
fn the_folder_is_taken_literally() {
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join("-a b'$(id)\n");
    std::fs::create_dir(&odd).unwrap();
    for shell in shells() {
        let command = Command::new("pwd").cwd(odd.to_str().unwrap());
        let want = format!("{}\n", odd.to_str().unwrap());
        assert_eq!(String::from_utf8(through(shell, &command)).unwrap(), want);
    }
}
