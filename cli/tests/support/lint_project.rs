//! A folder of migrations, and `flow lint` in it.

use std::path::Path;
use std::process::{Command, Output};

/// A project that is removed when it is dropped.
pub(crate) struct Project(tempfile::TempDir);

pub(crate) const INIT: &str =
    "CREATE TABLE \"Task\" (\"id\" INTEGER PRIMARY KEY, \"title\" TEXT, \"notes\" TEXT);\n";
pub(crate) const DROP: &str =
    "-- tidy up\nALTER TABLE \"Task\"\n  ADD COLUMN \"due\" DATE,\n  DROP COLUMN \"notes\";\n";

impl Project {
    pub(crate) fn new() -> Self {
        let project = Self(tempfile::tempdir().expect("a folder"));
        project.migration("1_init", INIT);
        project
    }

    pub(crate) fn dir(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn migration(&self, name: &str, sql: &str) {
        self.write(&format!("migrations/{name}/migration.sql"), sql);
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.dir().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    pub(crate) fn lint(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_flow"))
            .current_dir(self.dir())
            .env_remove("FLOW_CONFIG")
            .arg("lint")
            .args(args)
            .output()
            .expect("flow runs");
        let Output {
            status,
            stdout,
            stderr,
        } = output;
        let text = String::from_utf8(stdout).expect("UTF-8") + &String::from_utf8_lossy(&stderr);
        (status.code(), text)
    }

    pub(crate) fn git(&self, args: &[&str]) {
        let git = Command::new("git")
            .current_dir(self.dir())
            .args([
                "-c",
                "user.name=d",
                "-c",
                "user.email=d@example.org",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(args)
            .output()
            .expect("git runs");
        assert!(
            git.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&git.stderr)
        );
    }
}
