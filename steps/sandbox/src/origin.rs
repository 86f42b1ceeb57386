//! The bare repository the hosts deploy from.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::application::{COMMITS, Change, Commit, FILES};
use crate::error::SandboxError;
use crate::process::{run, run_with};

type Tree = BTreeMap<&'static str, String>;

/// Creates the repository and returns commit name → sha. Dates and names are fixed, so every sandbox has the same shas.
pub(crate) fn create(repository: &Path) -> Result<BTreeMap<String, String>, SandboxError> {
    run(
        "creating the demo repository",
        git()
            .args(["init", "--quiet", "--bare", "--initial-branch=main"])
            .arg(repository),
    )?;
    run_with(
        "filling the demo repository",
        git()
            .arg("-C")
            .arg(repository)
            .args(["fast-import", "--quiet"]),
        stream().as_bytes(),
    )?;
    // Deploys fetch by sha too.
    run(
        "configuring the demo repository",
        git()
            .arg("-C")
            .arg(repository)
            .args(["config", "uploadpack.allowAnySHA1InWant", "true"]),
    )?;
    let format = "--format=%(refname:short) %(objectname)";
    let told = run(
        "reading the demo repository",
        git()
            .arg("-C")
            .arg(repository)
            .args(["for-each-ref", format, "refs/heads"]),
    )?;
    Ok(told
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, sha)| (name.to_owned(), sha.to_owned()))
        .collect())
}

/// git without this machine's own configuration.
pub(crate) fn git() -> Command {
    let mut git = Command::new("git");
    git.env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
    ] {
        git.env_remove(name);
    }
    git.args(["-c", "safe.directory=*"]);
    git
}

fn stream() -> String {
    let mut out = String::new();
    let mut trees: BTreeMap<&str, Tree> = BTreeMap::new();
    for (number, commit) in COMMITS.iter().enumerate() {
        let tree = tree(commit, &trees);
        // 2026-06-01 08:00 UTC and a day more for each.
        let date = 1_780_300_800 + number * 86_400;
        let who = format!("Demo Developer <developer@example.org> {date} +0000");
        writeln!(
            out,
            "commit refs/heads/{}\nmark :{}\nauthor {who}\ncommitter {who}",
            commit.name,
            number + 1
        )
        .expect("writing to a String cannot fail");
        data(&mut out, commit.message);
        if let Some(parent) = commit.parent {
            writeln!(out, "from refs/heads/{parent}").expect("writing to a String cannot fail");
        }
        out.push_str("deleteall\n");
        for (path, text) in &tree {
            let mode = if path.starts_with("deploy/scripts/") {
                "100755"
            } else {
                "100644"
            };
            writeln!(out, "M {mode} inline {path}").expect("writing to a String cannot fail");
            data(&mut out, text);
        }
        trees.insert(commit.name, tree);
    }
    out.push_str("reset refs/heads/main\nfrom refs/heads/current\n\ndone\n");
    out
}

fn data(out: &mut String, text: &str) {
    write!(out, "data {}\n{text}\n", text.len()).expect("writing to a String cannot fail");
}

fn tree(commit: &Commit, known: &BTreeMap<&str, Tree>) -> Tree {
    let mut tree = match commit.parent {
        Some(parent) => known
            .get(parent)
            .expect("COMMITS lists parents first")
            .clone(),
        None => FILES
            .iter()
            .map(|file| (file.path, file.text.to_owned()))
            .collect(),
    };
    for change in commit.changes {
        match change {
            Change::Add(path, text) => {
                tree.insert(path, (*text).to_owned());
            }
            Change::Edit(path, from, to) => {
                let text = tree
                    .get_mut(path)
                    .expect("an edited file exists in the parent");
                assert_eq!(
                    text.matches(from).count(),
                    1,
                    "{}: {path} holds the edited text once",
                    commit.name
                );
                *text = text.replacen(from, to, 1);
            }
        }
    }
    tree
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_commit_can_be_built_from_its_parent() {
        let stream = super::stream();
        assert_eq!(stream.matches("\nmark :").count(), super::COMMITS.len());
    }

    #[test]
    fn the_lock_file_names_no_registry() {
        let lock = super::FILES
            .iter()
            .find(|file| file.path == "package-lock.json")
            .expect("is listed")
            .text;
        assert!(!lock.contains("\"resolved\""));
        assert!(!lock.contains("registry"));
    }
}
