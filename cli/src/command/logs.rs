//! `flow logs`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::Duration;

use flow_engine::run::Run;

use crate::args::{Global, Logs};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::state::State;
use crate::store::Store;
use crate::view;

/// How often the files are looked at with `--follow`.
const PAUSE: Duration = Duration::from_millis(300);
/// The most that is read at once, in bytes.
const CHUNK: u64 = 1 << 20;

/// Shows what steps put out, in the order of the plan. Reads files only, so it works while another process drives.
pub(crate) async fn run(global: &Global, args: Logs) -> Result<Exit, Diagnostic> {
    let state = State::of(global)?;
    let run = Store::open(&state).await?.find(&args.run).await?;
    if let Some(step) = &args.step
        && run.plan.node(step).is_none()
    {
        return Err(
            Diagnostic::usage(format!("the plan of run {} has no step `{step}`", run.id))
                .hint(format!("flow status {}", run.id)),
        );
    }
    let mut shown = Shown {
        state: &state,
        only: args.step.as_deref(),
        since: args.since,
        at: BTreeMap::new(),
        last: None,
    };
    shown.show(&run)?;
    let id = run.id.to_string();
    let mut run = run;
    while args.follow && !super::status::rests(&run) {
        tokio::time::sleep(PAUSE).await;
        run = Store::open(&state).await?.find(&id).await?;
        shown.show(&run)?;
    }
    Ok(Exit::Done)
}

struct Shown<'a> {
    state: &'a State,
    only: Option<&'a str>,
    since: u64,
    at: BTreeMap<String, u64>,
    last: Option<String>,
}

impl Shown<'_> {
    fn show(&mut self, run: &Run) -> Result<(), Diagnostic> {
        for node in &run.plan.nodes {
            if self.only.is_none_or(|only| only == node.key) {
                self.step(run, &node.key)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, run: &Run, key: &str) -> Result<(), Diagnostic> {
        let path = self.state.log(&run.id, key);
        let failed = |e: &std::io::Error| {
            Diagnostic::usage(format!("{} cannot be read", path.display())).because(e)
        };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(failed(&e)),
        };
        let at = self.at.entry(key.to_owned()).or_insert(self.since);
        loop {
            file.seek(SeekFrom::Start(*at)).map_err(|e| failed(&e))?;
            let mut bytes = Vec::new();
            let read = (&mut file).take(CHUNK).read_to_end(&mut bytes);
            let read = read.map_err(|e| failed(&e))?;
            if read == 0 {
                return Ok(());
            }
            *at += read as u64;
            if self.only.is_none() && self.last.as_deref() != Some(key) {
                view::out(&format!("== {key}\n"));
                self.last = Some(key.to_owned());
            }
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<String> = text.split('\n').map(view::clean).collect();
            view::out(&lines.join("\n"));
        }
    }
}
