//! Files on the database's host: written under another name, synced, then renamed.

use std::time::Duration;

use bytes::Bytes;

use crate::means::host::{Command, HostExt as _, Stdin};
use crate::means::psql::client::{Feed, LONG};
use crate::means::psql::text::check_dir;
use crate::means::psql::{Pg, PgError};

/// The largest manifest that is read back.
const MANIFEST_MAX: u64 = 12 * 1024 * 1024;

impl Pg {
    async fn sh(&self, script: &str, args: &[&str]) -> Result<String, PgError> {
        let command = Command::script(format!("set -eu; umask 077; {script}"))
            .arg("sh")
            .args(args.iter().copied())
            .deadline(Duration::from_mins(30));
        Ok(self.host.run(&command).await?)
    }

    /// Makes the folder when it is missing (mode 0700) and gives the free bytes of its file system.
    pub(crate) async fn prepare_dir(&self, dir: &str) -> Result<u64, PgError> {
        check_dir(dir)?;
        let text = self
            .sh("mkdir -p -m 700 -- \"$1\"; df -PB1 -- \"$1\"", &[dir])
            .await?;
        let last = text.lines().last().unwrap_or_default();
        let free = last.split_whitespace().nth(3).and_then(|n| n.parse().ok());
        free.ok_or_else(|| self.answer_error("`df` without a number of free bytes"))
    }

    /// Starts writing a new file (mode 0600) that is synced when its input ends. One process, no shell around it
    /// once it runs: its exit status is `dd`'s own.
    pub(crate) async fn write(&self, path: &str) -> Result<Feed, PgError> {
        let script = "umask 077; rm -f -- \"$1\"; exec dd of=\"$1\" bs=1048576 iflag=fullblock conv=fsync status=none";
        let command = Command::script(script)
            .args(["sh", path])
            .stdin(Stdin::Piped)
            .deadline(LONG);
        self.start(&command).await
    }

    /// Starts reading a file.
    pub(crate) async fn read(&self, path: &str) -> Result<Feed, PgError> {
        self.start(&Command::new("cat").args(["--", path]).deadline(LONG))
            .await
    }

    /// Gives a written file its final name, durably. Run again after it was done, it says so by an error.
    pub(crate) async fn publish(&self, part: &str, path: &str, dir: &str) -> Result<(), PgError> {
        self.sh(
            "mv -T -- \"$1\" \"$2\"; sync -- \"$2\" \"$3\"",
            &[part, path, dir],
        )
        .await?;
        Ok(())
    }

    /// Writes a small file whole: part, sync, rename.
    pub(crate) async fn write_small(
        &self,
        dir: &str,
        path: &str,
        bytes: Vec<u8>,
    ) -> Result<(), PgError> {
        let part = format!("{path}.part");
        let feed = self.write(&part).await?;
        feed.send(Bytes::from(bytes)).await;
        feed.end().await?;
        self.publish(&part, path, dir).await
    }

    /// Removes one of flow's own unfinished files; a missing one is fine.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), PgError> {
        self.sh("rm -f -- \"$1\"", &[path]).await?;
        Ok(())
    }

    /// The size of a file, or nothing when it does not exist.
    pub(crate) async fn size(&self, path: &str) -> Result<Option<u64>, PgError> {
        let text = self
            .sh("if [ -e \"$1\" ]; then stat -c %s -- \"$1\"; fi", &[path])
            .await?;
        if text.is_empty() {
            return Ok(None);
        }
        let size = text.trim().parse();
        Ok(Some(
            size.map_err(|_| self.answer_error("`stat` without a size"))?,
        ))
    }

    /// The SHA-256 of a file as it is on the disk now.
    pub(crate) async fn sha256(&self, path: &str) -> Result<String, PgError> {
        let command = Command::new("sha256sum")
            .args(["-b", "--", path])
            .deadline(LONG);
        let text = self.host.run(&command).await?;
        let digest: String = text.trim_start_matches('\\').chars().take(64).collect();
        if digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(digest)
        } else {
            Err(self.answer_error("`sha256sum` without a digest"))
        }
    }

    /// A small file's text, or nothing when it does not exist.
    pub(crate) async fn read_small(&self, path: &str) -> Result<Option<String>, PgError> {
        match self.size(path).await? {
            None => Ok(None),
            Some(size) if size > MANIFEST_MAX => Err(PgError::Check(format!(
                "`{path}` is no manifest: it has {size} bytes"
            ))),
            Some(_) => Ok(Some(
                self.host
                    .run(&Command::new("cat").args(["--", path]))
                    .await?,
            )),
        }
    }

    /// The newest file of a folder whose name starts with `prefix` and ends with `suffix`, but for `except`.
    pub(crate) async fn newest(
        &self,
        dir: &str,
        prefix: &str,
        suffix: &str,
        except: &str,
    ) -> Result<Option<String>, PgError> {
        let script =
            "find \"$1\" -maxdepth 1 -type f -name \"$2*$3\" ! -name \"$4\" -printf '%T@ %f\\n'";
        let text = self.sh(script, &[dir, prefix, suffix, except]).await?;
        let newest = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .max_by(|a, b| a.0.len().cmp(&b.0.len()).then(a.0.cmp(b.0)));
        Ok(newest.map(|(_, name)| format!("{dir}/{name}")))
    }
}
