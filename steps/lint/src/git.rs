//! git on the operator's machine: it answers from the repository it is asked about, as its commits have it.

use std::process::Command;

/// What every git command of this machine is told: no replaced object or graft stands in for a committed one, and nobody is
/// asked for a password.
pub const SETTINGS: [(&str, &str); 3] = [
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_GRAFT_FILE", "/dev/null"),
    ("GIT_TERMINAL_PROMPT", "0"),
];

/// Beginnings of the inherited variables that stay: they say how a remote is reached and who commits, not which repository,
/// index, objects or settings are meant.
const KEPT: [&str; 5] = [
    "GIT_SSH",
    "GIT_SSL_",
    "GIT_ASKPASS",
    "GIT_AUTHOR_",
    "GIT_COMMITTER_",
];

/// git with [`SETTINGS`], and [without](forget) what this process inherited.
pub fn command() -> Command {
    let mut git = Command::new("git");
    forget(&mut git);
    git.envs(SETTINGS);
    git
}

/// Takes every inherited `GIT_` variable away that points git elsewhere: `GIT_DIR`, `GIT_OBJECT_DIRECTORY`, `GIT_CONFIG_COUNT`
/// and the like. What is set on the command afterwards counts.
pub fn forget(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("GIT_") && !KEPT.iter().any(|kept| text.starts_with(kept)) {
            command.env_remove(&name);
        }
    }
}
