//! The schema and `prisma.config` of a commit.

use async_trait::async_trait;
use flow_engine::step::StepError;

use super::Statements;
use crate::means::git::commit::git;
use crate::means::host::{HostExt as _, Local};
use crate::means::reach;
use flow_lint::drift::{MOST, Sides, Tree, find, is_schema};
use flow_lint::migration::MAX_FILE;

/// The schema of a commit.
pub(super) async fn of_commit(of: &Statements) -> Result<Sides, StepError> {
    let tree = Commit {
        repo: &of.repo,
        name: &of.commit,
    };
    find(&tree, &of.migrations, &of.schema).await
}

struct Commit<'a> {
    repo: &'a str,
    name: &'a str,
}

impl Commit<'_> {
    /// The paths of what is in a tree: all of it, or what the places name; with `-r` what is below, too.
    async fn list(&self, places: &[&str], deep: bool) -> Result<Vec<String>, StepError> {
        let here = Local::new("this machine");
        let mut args = vec!["ls-tree", "-z", "--full-tree", "--name-only"];
        args.extend(deep.then_some("-r"));
        args.extend([self.name, "--"]);
        args.extend(places.iter().filter(|place| !place.is_empty()));
        let listed = reach::run(&here, &git(self.repo, &args)?).await?;
        let names = listed.split('\0').filter(|name| !name.is_empty());
        Ok(names.map(str::to_owned).collect())
    }
}

#[async_trait]
impl Tree for Commit<'_> {
    type Error = StepError;

    async fn first(&self, paths: &[String]) -> Result<Option<String>, StepError> {
        let named: Vec<&str> = paths.iter().map(String::as_str).collect();
        let there = self.list(&named, true).await?;
        Ok(paths.iter().find(|path| there.contains(path)).cloned())
    }

    async fn schemas(&self, path: &str, deep: bool) -> Result<Vec<String>, StepError> {
        let folder = if path.is_empty() || deep {
            path.to_owned()
        } else {
            format!("{path}/")
        };
        let mut names = self.list(&[&folder], deep).await?;
        // A file that is named is one whatever its name.
        if names != [path] {
            names.retain(|name| is_schema(name) && !name.contains("node_modules/"));
        }
        names.sort_unstable();
        if names.len() > MOST {
            return Err(StepError::fail(format!(
                "{path} of {} holds more than {MOST} files",
                self.name
            )));
        }
        Ok(names)
    }

    /// Fails on one that is too large or no text.
    async fn text(&self, path: &str) -> Result<String, StepError> {
        let here = Local::new("this machine");
        let blob = git(
            self.repo,
            &["cat-file", "blob", &format!("{}:{path}", self.name)],
        )?;
        let blob = here.output(&blob).await.map_err(|e| reach::error(&e))?;
        let wrong = |why: &str| StepError::fail(format!("{path} of {} {why}", self.name));
        if !blob.exit.success() {
            return Err(wrong("cannot be read"));
        }
        if u64::try_from(blob.stdout.len()).is_ok_and(|size| size > MAX_FILE) {
            return Err(wrong("is too large"));
        }
        String::from_utf8(blob.stdout).map_err(|_| wrong("is not UTF-8"))
    }

    fn named(&self, path: &str) -> String {
        path.to_owned()
    }
}
