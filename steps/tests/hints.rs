//! The words of steps: command lines are whole and can be typed as they stand, and no message has a gap or a break in it that
//! comes from how its source is laid out.

use std::path::Path;

fn sources(dir: &Path, found: &mut Vec<(String, String)>) {
    let entries = std::fs::read_dir(dir).expect("a folder");
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).expect("reads");
            found.push((path.display().to_string(), text));
        }
    }
}

fn is_test(path: &str) -> bool {
    path.contains("/tests") || path.contains("testing")
}

/// Why the command line that begins here cannot be typed; nothing when it can.
fn fault(rest: &str) -> Option<&'static str> {
    const VERBS: [&str; 6] = ["retry", "resume", "skip", "settle", "rollback", "cancel"];
    let mut words = rest.split([' ', '\n']);
    let verb = words.next()?;
    let bare = verb.trim_end_matches(|c: char| !c.is_alphabetic());
    if VERBS.contains(&bare) && bare != verb {
        return Some("it does not name the run");
    }
    let run = words.next().unwrap_or_default();
    (VERBS.contains(&verb) && run.starts_with("RUN"))
        .then_some("it has the word RUN in the place of the run")
}

#[test]
fn no_hint_of_a_step_has_a_command_line_without_its_run() {
    let mut found = Vec::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    sources(&here.join("src"), &mut found);
    sources(&here.join("../workflows/src"), &mut found);
    let mut faults = Vec::new();
    for (path, text) in found.iter().filter(|(path, _)| !is_test(path)) {
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_start();
            if line.starts_with("//") {
                continue;
            }
            let commands = line
                .match_indices("flow ")
                .map(|(at, word)| &line[at + word.len()..]);
            faults.extend(
                commands
                    .filter_map(fault)
                    .map(|why| format!("{path}:{number}: {why}: {line}")),
            );
        }
    }
    assert!(found.len() > 100, "the sources were found");
    assert_eq!(faults, [""; 0], "{faults:#?}");
}

#[test]
fn the_search_finds_what_it_looks_for() {
    for bad in [
        "retry`\")",
        "skip` this step",
        "retry RUN\"))",
        "cancel`, and start anew",
    ] {
        assert!(fault(bad).is_some(), "{bad}");
    }
    for good in [
        "retry {run}\"",
        "skip {} {} --reason …",
        "thaw`, the timer",
        "start\",",
    ] {
        assert_eq!(fault(good), None, "{good}");
    }
}

/// A run of blanks within the words of a line of source, as a text has that was cut in the middle and joined again.
fn gap(line: &str) -> bool {
    const GAP: &str = "        ";
    let code = line.trim();
    let within = code.split_once('"').map_or("", |(_, words)| words);
    !code.starts_with("//") && within.trim_start().trim_end().contains(GAP)
}

/// A line that ends within a literal and does not say so by a backslash.
fn broken(line: &str) -> bool {
    let code = line
        .trim()
        .replace("\\\\", "")
        .replace("\\\"", "")
        .replace("'\"'", "");
    !code.starts_with("//") && code.matches('"').count() % 2 == 1 && !code.ends_with('\\')
}

#[test]
fn no_message_has_a_gap_and_no_mail_a_line_break_of_the_source_in_it() {
    let mut found = Vec::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    sources(&here.join("src"), &mut found);
    let mut faults = Vec::new();
    for (path, text) in found.iter().filter(|(path, _)| !is_test(path)) {
        let in_mail = path.contains("src/mail/render");
        let mut continued = false;
        for (number, line) in (1..).zip(text.lines()) {
            if gap(line) || (in_mail && broken(line) && !continued) {
                faults.push(format!("{path}:{number}: {line}"));
            }
            continued = line.trim_end().ends_with('\\');
        }
    }
    assert_eq!(faults, [""; 0], "{faults:#?}");
}

#[test]
fn the_search_for_gaps_finds_them() {
    assert!(gap(
        r#"    "It is as it was, the              restored copy waits""#
    ));
    assert!(!gap(
        r#"            .hint("flow status     what is asked")"#
    ));
    assert!(broken(r#"    .join(". "#));
    assert!(!broken(r#"    .join(". ")"#) && !broken(r#"    "a line that goes on \"#));
}
