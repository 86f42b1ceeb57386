//! What every host can do, built on `spawn` alone.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{Command, Exit, Host, HostError, OUTPUT_MAX, Output, command};

/// How much of a failed command's error output its error repeats.
const TAIL: usize = 2048;

/// Which machine a name really leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `/etc/machine-id`: stays the same over reboots and renames, differs between machines.
    pub machine_id: String,
    /// What the machine calls itself.
    pub hostname: String,
    /// Differs after every boot.
    pub boot_id: String,
}

/// Conveniences over [`Host::spawn`].
#[async_trait]
pub trait HostExt: Host {
    /// Runs a command to its end and keeps both streams, which are read at the same time.
    ///
    /// A status other than 0 is not an error here. [`HostError::TooMuch`] beyond [`OUTPUT_MAX`]: the process is
    /// abandoned, nothing is cut off silently.
    async fn output(&self, command: &Command) -> Result<Output, HostError> {
        let mut process = self.spawn(command).await?;
        drop(process.stdin.take());
        let (stdout, stderr) =
            tokio::join!(collect(&mut process.stdout), collect(&mut process.stderr));
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            return Err(HostError::TooMuch {
                host: self.name().to_owned(),
                program: command.program.clone(),
            });
        };
        let exit = command::ended(process.exit.await)?;
        Ok(Output {
            exit,
            stdout,
            stderr,
        })
    }

    /// Runs a command that must succeed; gives its output without the white space at the end.
    ///
    /// [`HostError::Failed`] with the end of its error output when it did not return 0.
    async fn run(&self, command: &Command) -> Result<String, HostError> {
        let output = self.output(command).await?;
        if !output.exit.success() {
            return Err(HostError::Failed {
                host: self.name().to_owned(),
                program: command.program.clone(),
                how: output.exit.in_words(),
                stderr: last_words(&output.exit, &output.stderr, &output.stdout),
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned())
    }

    /// Asks the machine who it is, so that a changed DNS name or alias cannot redirect a release.
    ///
    /// Fails when it has no `/etc/machine-id`: a machine that cannot be told from another is not safe to release to.
    async fn identity(&self) -> Result<Identity, HostError> {
        let text = self
            .run(&Command::script(
                "cat /etc/machine-id && uname -n && cat /proc/sys/kernel/random/boot_id",
            ))
            .await?;
        let mut lines = text.lines().map(str::trim);
        match (lines.next(), lines.next(), lines.next()) {
            (Some(machine), Some(hostname), Some(boot))
                if machine.len() == 32 && machine.bytes().all(|b| b.is_ascii_hexdigit()) =>
            {
                Ok(Identity {
                    machine_id: machine.to_owned(),
                    hostname: hostname.to_owned(),
                    boot_id: boot.to_owned(),
                })
            }
            _ => Err(HostError::Config {
                host: self.name().to_owned(),
                why: "its /etc/machine-id is not 32 hexadecimal digits; run `systemd-machine-id-setup` there".into(),
            }),
        }
    }
}

impl<H: Host + ?Sized> HostExt for H {}

async fn collect(stream: &mut mpsc::Receiver<Bytes>) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(chunk) = stream.recv().await {
        if all.len() + chunk.len() > OUTPUT_MAX {
            stream.close();
            return None;
        }
        all.extend_from_slice(&chunk);
    }
    Some(all)
}

/// What a program that failed said at the end. One that was never started leaves the word to whoever should have
/// started it, and `docker exec` tells that on standard output, with carriage returns (125: docker's own refusal,
/// 126 and 127: no such program there).
pub(crate) fn last_words(exit: &Exit, stderr: &[u8], stdout: &[u8]) -> String {
    let words = tail(stderr);
    let unstarted = matches!(exit, Exit::Code(125..=127));
    if words.is_empty() && unstarted {
        return tail(stdout);
    }
    words
}

fn tail(said: &[u8]) -> String {
    let from = said.len().saturating_sub(TAIL);
    let text = String::from_utf8_lossy(&said[from..]);
    text.trim().replace("\r\n", "\n")
}
