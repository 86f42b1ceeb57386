//! Who has to answer, and whether anybody can.

use std::path::{Path, PathBuf};

use flow_steps::means::signature::roster::People;

use super::{Finding, Report};
use crate::config::Config;
use crate::init::todos;

/// Lines of `flow.toml`, and of the two files that `flow init` writes beside it, that still wait for a person. They need
/// not load for that.
pub fn unanswered(config: &Path) -> Vec<Finding> {
    let mut report = Report::of("here");
    let beside = ["flow.people.toml", "flow.data.toml"].map(|name| config.with_file_name(name));
    let files = std::iter::once(config).chain(beside.iter().map(PathBuf::as_path));
    for todo in files.flat_map(todos) {
        let fix = "answer it there, and take the TODO away";
        report.add(&todo.place, Err(format!("still waits: {}", todo.text)), fix);
    }
    report.findings
}

/// Each role that a release asks needs somebody. Keys that cannot be read, or stand twice, are refused where the roster
/// is read.
pub(super) fn roles(report: &mut Report, config: &Config, people: &People) {
    let asked = &config.signoff;
    let mut roles: Vec<&str> = asked.roles.iter().map(String::as_str).collect();
    for more in [asked.waived_by.as_str(), asked.reviewer()] {
        if !roles.contains(&more) {
            roles.push(more);
        }
    }
    let count = |role: &str| people.of_role(role).len();
    let counts: Vec<String> = roles
        .iter()
        .map(|role| format!("{role}: {}", count(role)))
        .collect();
    let nobody: Vec<&str> = roles
        .iter()
        .copied()
        .filter(|role| count(role) == 0)
        .collect();
    let found = if nobody.is_empty() {
        Ok(counts.join(", "))
    } else {
        Err(format!(
            "nobody is {}: every release would wait for ever",
            nobody.join(" or ")
        ))
    };
    let fix = "add [[roles.ROLE]] with name and key to flow.people.toml and commit it";
    report.add("signers", found, fix);
    let known: Vec<&str> = people
        .roles
        .keys()
        .map(String::as_str)
        .filter(|role| !roles.contains(role))
        .collect();
    if !known.is_empty() {
        let found = format!("nothing asks {}", known.join(", "));
        report.add("other roles", Ok(found), "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read_toml;

    fn project(people: &str) -> (tempfile::TempDir, Config, People) {
        let dir = tempfile::tempdir().expect("a folder");
        let draft = crate::init::Draft::of(dir.path(), &crate::init::Wishes::default());
        std::fs::write(dir.path().join("flow.toml"), draft.files().flow).expect("writes");
        std::fs::write(dir.path().join("flow.people.toml"), people).expect("writes");
        let config = Config::load(&dir.path().join("flow.toml")).expect("it loads");
        let people = read_toml(&dir.path().join("flow.people.toml")).expect("it loads");
        (dir, config, people)
    }

    #[test]
    fn a_role_that_nobody_holds_is_named_and_so_is_one_that_nothing_asks() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJaqV9FZ2Qo0VYw1mQ8kQ2JtXn1w8o8JqTQpWmYl0aD";
        let person = |role: &str| format!("[[roles.{role}]]\nname = \"A\"\nkey = \"{key}\"\n");
        let (_dir, config, people) = project(&(person("qa") + "\n"));
        let mut report = Report::of("here");
        roles(&mut report, &config, &people);
        assert!(!report.findings[0].ok);
        assert_eq!(
            report.findings[0].found,
            "nobody is developer or devops or tech-lead: every release would wait for ever"
        );
        let (_dir, mut config, people) = project(&(person("qa")));
        config.signoff.roles = vec!["qa".into()];
        config.signoff.waived_by = "qa".into();
        let mut report = Report::of("here");
        roles(&mut report, &config, &people);
        assert!(report.findings[0].ok, "{:?}", report.findings);
        let (_dir, mut config, people) = project(&person("intern"));
        config.signoff.roles = vec!["qa".into()];
        let mut report = Report::of("here");
        roles(&mut report, &config, &people);
        assert_eq!(report.findings[1].found, "nothing asks intern");
    }

    #[test]
    fn every_line_that_waits_is_a_finding_with_its_place() {
        let (dir, ..) = project("forbid_starter = false\n");
        std::fs::write(dir.path().join("flow.data.toml"), "# TODO: all of it\n=").expect("writes");
        let found = unanswered(&dir.path().join("flow.toml"));
        assert!(found.len() > 10);
        assert!(
            found
                .iter()
                .all(|finding| !finding.ok && !finding.fix.is_empty())
        );
        assert!(found[0].what.starts_with("flow.toml:"));
        let last = found.last().expect("one");
        assert_eq!(
            (last.what.as_str(), last.found.as_str()),
            ("flow.data.toml:1", "still waits: all of it")
        );
    }
}
