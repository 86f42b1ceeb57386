//! What `flow new-workflow` writes builds, tests and runs outside this repository, against this checkout.

use std::path::Path;
use std::process::{Command, Stdio};

#[path = "support/place.rs"]
mod place;

/// The folder of everything that was built so far: what the new crate shares with this one is not built again.
fn built() -> &'static Path {
    let profile = Path::new(env!("CARGO_BIN_EXE_flow")).parent();
    profile.and_then(Path::parent).expect("target/PROFILE/flow")
}

#[test]
fn a_new_workflow_is_written_built_and_played_outside_the_repository() {
    let _place = place::Place::take();
    let dir = tempfile::tempdir().expect("a folder");
    let ours = dir.path().join("ours");
    let written = Command::new(env!("CARGO_BIN_EXE_flow"))
        .arg("new-workflow")
        .arg(&ours)
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .output()
        .expect("flow starts");
    let said = String::from_utf8_lossy(&written.stderr);
    assert_eq!(written.status.code(), Some(0), "{said}");

    let tested = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["test", "--offline", "--", "--nocapture"])
        .current_dir(&ours)
        // Its own binary is called `flow`, too, and must not lie where this one does.
        .env("CARGO_TARGET_DIR", dir.path().join("target"))
        .env("CARGO_BUILD_BUILD_DIR", built())
        .stdin(Stdio::null())
        .output()
        .expect("cargo starts");
    let (out, err) = (
        String::from_utf8_lossy(&tested.stdout),
        String::from_utf8_lossy(&tested.stderr),
    );
    assert!(tested.status.success(), "{out}\n{err}");
    for played in [
        "a_run_is_killed_resumed_answered_and_rolled_back ... ok",
        "a_wrong_input_or_section_is_refused_and_nothing_is_started ... ok",
    ] {
        assert!(out.contains(played), "{out}\n{err}");
    }

    // Nothing is written into a folder that is used.
    let again = Command::new(env!("CARGO_BIN_EXE_flow"))
        .arg("new-workflow")
        .arg(&ours)
        .output()
        .expect("flow starts");
    assert_eq!(again.status.code(), Some(2));
}
