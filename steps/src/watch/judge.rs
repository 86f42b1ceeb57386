//! What a look at processes, logs and health says about the release.

use std::collections::BTreeSet;

use flow_engine::step::{Cx, StepError};

use super::{Eyes, Mark, Reloads, Seen, Thaw, Watch};
use crate::means::probes::checks::Complaint;
use crate::means::probes::unwell::Unwell;
use crate::means::supervisor::logs::Line;
use crate::means::supervisor::{App, ProcessList};

/// So many unhealthy answers one after the other are no hiccup any more.
const UNHEALTHY_MAX: u32 = 3;
/// How many lines of trouble are shown of one log at one look.
const SHOWN: usize = 10;

impl Thaw {
    pub(super) fn new(mark: &Mark, since: &std::collections::BTreeMap<u64, u64>) -> Self {
        let list = &mark.processes;
        let marks = list.log_sizes.iter().map(|(file, size)| {
            let inode = list.log_inodes.get(file).copied().unwrap_or(0);
            (file.clone(), (inode, *size))
        });
        let restarts = list.apps.iter().filter_map(|a| {
            let grown = a.restarts.saturating_sub(*since.get(&a.id)?);
            (grown > 0).then_some((a.id, grown))
        });
        Thaw {
            marks: marks.collect(),
            late: mark.late,
            restarts: restarts.collect(),
            ended: BTreeSet::new(),
            asked: None,
        }
    }

    /// Whether a line was written before the mark.
    fn covers(&self, file: &str, line: &Line) -> bool {
        let (Some(mark), Some(at)) = (self.marks.get(file), line.at) else {
            return false;
        };
        mark.0 == at.0 && at.1 < mark.1
    }

    /// How many restarts of a process the thaw explains: the one with which it left when its sessions were ended, as its
    /// own log says.
    fn explains(&self, app: &App) -> u64 {
        let says_so = app.logs.iter().any(|file| self.ended.contains(file));
        let grown = self.restarts.get(&app.id).copied().unwrap_or(0);
        if says_so || self.asked.is_some() {
            grown.min(1)
        } else {
            0
        }
    }
}

impl Seen {
    /// The numbers of those that are no witness.
    fn no_witness(&self, list: &ProcessList) -> BTreeSet<u64> {
        let mut found = self.from.no_witness(list);
        let named = list.apps.iter().filter(|a| self.excused.contains(&a.name));
        found.extend(named.map(|a| a.id));
        found
    }

    /// Whether a name is gone: pm2 knows none of it, or only those that were no witness while others were.
    fn lost(&self, name: &str, list: &ProcessList) -> bool {
        let of_it = |a: &&App| a.name == name;
        let had = self.from.apps.iter().filter(of_it).any(App::is_witness);
        let no_witness = self.no_witness(list);
        let mut left = list.apps.iter().filter(of_it);
        !left.any(|a| !had || !no_witness.contains(&a.id))
    }
}

impl Watch {
    pub(super) fn judge_processes(
        &self,
        cx: &Cx,
        seen: &Seen,
        list: &ProcessList,
    ) -> Result<(), StepError> {
        let at_rest = |a: &&App| matches!(a.status.as_str(), "errored" | "stopped" | "stopping");
        let no_witness = seen.no_witness(list);
        let excused = |a: &&App| a.is_over() || no_witness.contains(&a.id);
        if let Some(app) = list.apps.iter().find(|a| at_rest(a) && !excused(a)) {
            return Err(StepError::fail(format!(
                "on `{}`: {}",
                self.host,
                app.in_words()
            )));
        }
        if let Some(gone) = seen.apps.iter().find(|name| seen.lost(name, list)) {
            return Err(StepError::fail(format!(
                "{} on `{}` no longer knows {gone}",
                self.application.supervisor.name(),
                self.host
            )));
        }
        let restarts = restarts(seen, list);
        if restarts > self.max_restarts {
            let words: Vec<String> = list.apps.iter().map(App::in_words).collect();
            let message = format!(
                "{restarts} restarts on `{}` while it was watched ({} are forgiven): {}",
                self.host,
                self.max_restarts,
                words.join("; ")
            );
            let of_the_thaw: u64 = seen.thaw.restarts.values().map(|n| (*n).min(1)).sum();
            return Err(if seen.thaw.late && restarts <= of_the_thaw {
                self.nobody_knows(cx, &message)
            } else {
                StepError::fail(message)
            });
        }
        Ok(())
    }

    /// Trouble that the thaw would explain, if it was known when it happened.
    fn nobody_knows(&self, cx: &Cx, message: &str) -> StepError {
        StepError::ask(format!(
            "{message}; it may be what the thaw did to open sessions, but nobody looked at `{}` in time to tell",
            self.host
        ))
        .hint(format!(
            "when it is, to go on with the watch: flow retry {run}; when it is not: flow rollback {run} --reason …",
            run = cx.run_id()
        ))
    }

    pub(super) async fn read_logs(
        &self,
        eyes: &Eyes<'_>,
        list: &ProcessList,
        seen: &mut Seen,
    ) -> Result<(), StepError> {
        let no_witness = seen.no_witness(list);
        for app in list.apps.iter().filter(|a| !no_witness.contains(&a.id)) {
            for file in &app.logs {
                // A process that came during the watch is read from its beginning.
                let place = seen.places.entry(file.clone()).or_default();
                let news = eyes.supervisor.log_news(file, place).await?;
                let lines = &news.lines;
                seen.log_bytes += lines.iter().map(|l| l.text.len() as u64 + 1).sum::<u64>();
                if let Some(unread) = news.unread {
                    eyes.cx.log(format!("{}: {unread}", app.name));
                    seen.unread.push(unread);
                }
                self.judge_lines(eyes, app, file, lines, &mut seen.thaw)?;
            }
        }
        Ok(())
    }

    fn judge_lines(
        &self,
        eyes: &Eyes<'_>,
        app: &App,
        file: &str,
        lines: &[Line],
        thaw: &mut Thaw,
    ) -> Result<(), StepError> {
        let before = lines.iter().take_while(|l| thaw.covers(file, l)).count();
        let (before, after) = lines.split_at(before);
        let texts: Vec<&str> = before.iter().map(|l| l.text.as_str()).collect();
        if texts.iter().any(|line| eyes.aftermath.is_end(line)) {
            thaw.ended.insert(file.to_owned());
        }
        let unexplained = eyes.aftermath.unexplained(&eyes.patterns, &texts);
        let after = after.iter().map(|l| l.text.as_str());
        let after = after.filter(|line| eyes.patterns.is_error(line));
        let bad: Vec<&str> = unexplained.iter().map(|i| texts[*i]).chain(after).collect();
        for line in bad.iter().take(SHOWN) {
            eyes.cx.log(format!("{}: {line}", app.name));
        }
        if let Some(first) = bad.first() {
            let first: String = first.chars().take(400).collect();
            return Err(StepError::fail(format!(
                "an error in the log of {} on `{}`: {first}",
                app.name, self.host
            ))
            .hint(format!(
                "the log is {file}; {} such lines at this look",
                bad.len()
            )));
        }
        let forgiven = texts.iter().find(|line| eyes.patterns.is_error(line));
        match forgiven {
            Some(first) if thaw.late => Err(self.nobody_knows(
                eyes.cx,
                &format!("an error in the log of {}: {:.400}", app.name, first),
            )),
            Some(first) => {
                eyes.cx.log(format!(
                    "{}: forgiven, the sessions were ended and writes refused by this release until then: {first}",
                    app.name
                ));
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) async fn ask(&self, eyes: &Eyes<'_>, seen: &mut Seen) -> Result<(), StepError> {
        let Some(checks) = &self.health else {
            return Ok(());
        };
        if checks.probes().is_empty() {
            return Err(StepError::fail(
                "no question about the application's health is configured",
            ));
        }
        seen.asked += 1;
        let Err(complaints) = checks.ask(&eyes.hosts).await else {
            seen.unhealthy = 0;
            return Ok(());
        };
        let Some(Complaint { probe, why }) = complaints.into_iter().next() else {
            return Err(StepError::unreached("the application was not asked"));
        };
        let name = probe.name();
        match why {
            Unwell::Unreached(why) => return Err(StepError::unreached(format!("{name}: {why}"))),
            Unwell::Sick(why) => {
                seen.unhealthy += 1;
                eyes.cx.log(format!(
                    "{name} is not healthy ({} in a row): {why}",
                    seen.unhealthy
                ));
                if seen.unhealthy >= UNHEALTHY_MAX {
                    return Err(StepError::fail(format!(
                        "{name} was unhealthy {UNHEALTHY_MAX} times in a row: {why}"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Restarts since the watch began. A process with a new number came from nothing: all its restarts count. Those that
/// pm2's clock makes of one that ended well are none, nor is the one with which it lost its sessions at the thaw, nor are
/// those that pm2 makes by itself and that were forgiven.
pub(super) fn restarts(seen: &Seen, list: &ProcessList) -> u64 {
    let more = |a: &App| {
        let grown = a
            .restarts
            .saturating_sub(seen.restarts.get(&a.id).copied().unwrap_or(0));
        let by_pm2 = seen.reloads.get(&a.id).map_or(0, Reloads::excused);
        grown.saturating_sub(seen.thaw.explains(a) + by_pm2)
    };
    let by_clock = |a: &App| a.by_clock && a.exit_code.unwrap_or(0) == 0;
    let no_witness = seen.no_witness(list);
    let counts = |a: &&App| !by_clock(a) && !no_witness.contains(&a.id);
    list.apps.iter().filter(counts).map(more).sum()
}
