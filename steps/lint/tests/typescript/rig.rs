//! A checkout of that project, and what the check finds in it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use flow_lint::code::Hit;
use flow_lint::code::types::{NotChecked, Project, differential};

use super::project::{IMPORT, STRICT, before, node_modules};

/// A checkout with one file of code, which follows [`IMPORT`] and so begins in line 4.
pub(crate) struct Code {
    dir: tempfile::TempDir,
    pub(crate) project: Project,
}

impl Code {
    pub(crate) fn new(code: &str) -> Self {
        Self::with(STRICT, &format!("{IMPORT}{code}"))
    }

    pub(crate) fn with(tsconfig: &str, code: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let project = Project {
            checkout: dir.path().to_owned(),
            folder: "app".to_owned(),
            schema: "app/prisma/schema.prisma".to_owned(),
            node_modules: node_modules().clone(),
        };
        let it = Self { dir, project };
        it.write("app/package.json", "{}");
        it.write("app/tsconfig.json", tsconfig);
        it.write("app/src/a.ts", code);
        it
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Uses a folder of dependencies in which these packages are replaced by a script.
    pub(crate) fn replace(&mut self, script: &str, text: &str) {
        let fake = self.dir.path().join("fake");
        fs::create_dir_all(&fake).unwrap();
        let replaced = script.split('/').next().unwrap();
        for entry in fs::read_dir(node_modules()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != replaced {
                std::os::unix::fs::symlink(entry.path(), fake.join(entry.file_name())).unwrap();
            }
        }
        let file = fake.join(script);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self.project.node_modules = fake;
    }

    pub(crate) async fn check(&self, old: &str, new: &str) -> Result<Vec<Hit>, NotChecked> {
        self.within(Duration::from_mins(2), old, new).await
    }

    pub(crate) async fn within(
        &self,
        limit: Duration,
        old: &str,
        new: &str,
    ) -> Result<Vec<Hit>, NotChecked> {
        differential(&self.project, old, new, limit, |_| ()).await
    }

    pub(crate) async fn not_checked(&self) -> String {
        let why = self.check(&before(), &before()).await.unwrap_err();
        why.to_string()
    }
}

/// File, line, column and code of each.
pub(crate) fn places(hits: &[Hit]) -> Vec<String> {
    hits.iter()
        .map(|hit| {
            assert_eq!(hit.kind, "type-error");
            format!("{}:{}:{} {}", hit.file, hit.line, hit.column, hit.about)
        })
        .collect()
}
