//! A `flow` that stays with a run in a first terminal.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test binary uses a part of it"
)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const WAIT: Duration = Duration::from_mins(2);

/// Ended when the test ends, however it ends.
pub(crate) struct Driving(pub(crate) Child);

impl Driving {
    /// `flow resume --wait`, once it can be spoken to.
    pub(crate) fn start(dir: &Path) -> Driving {
        let child = Command::new(env!("CARGO_BIN_EXE_flow"))
            .args(["--state", ".flow", "resume", "--wait"])
            .current_dir(dir)
            .env_remove("FLOW_STATE")
            .env_remove("FLOW_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let driving = Driving(child.expect("flow starts"));
        let socket = dir.join(".flow/control.sock");
        until("serves", || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
        driving
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a number"), signal).expect("signals");
    }

    /// Makes it stand still.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.0.id());
        until("stops", || {
            let stat = std::fs::read_to_string(&stat).expect("reads");
            stat.contains(") T ")
        });
    }

    /// Its exit code, once it has ended by itself.
    pub(crate) fn code(mut self) -> Option<i32> {
        let mut code = None;
        until("ends", || {
            code = self.0.try_wait().expect("known");
            code.is_some()
        });
        code.and_then(|status| status.code())
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < WAIT, "it never {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _gone_already = self.0.wait();
    }
}
