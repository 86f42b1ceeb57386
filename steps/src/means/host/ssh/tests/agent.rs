//! An ssh-agent for a test.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// An ssh-agent of its own, ended by process id.
pub(super) struct Agent {
    child: Child,
    pub(super) socket: std::path::PathBuf,
}

impl Agent {
    pub(super) fn start(dir: &std::path::Path) -> Self {
        let socket = dir.join("agent");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..200 {
            if socket.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, socket }
    }

    pub(super) fn add(&self, key: &std::path::Path) {
        let status = Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
