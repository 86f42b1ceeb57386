//! Several questions to an application, all of which must be answered well.

use std::time::Duration;

use flow_engine::step::{Cx, StepError};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::means::host::Hosts;
use crate::means::probes::probe::{Probe, Reply};
use crate::means::probes::unwell::Unwell;
use crate::means::probes::{Check, Healthy};

/// The pause between two rounds of questions.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// What is asked of an application. One question is stored as itself, as it was before there were lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Checks(Vec<Probe>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    One(Probe),
    Many(Vec<Probe>),
}

impl From<Stored> for Checks {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::One(probe) => Checks(vec![probe]),
            Stored::Many(probes) => Checks(probes),
        }
    }
}

impl From<Checks> for Stored {
    fn from(Checks(mut probes): Checks) -> Self {
        match (probes.pop(), probes.is_empty()) {
            (Some(only), true) => Stored::One(only),
            (last, _) => {
                probes.extend(last);
                Stored::Many(probes)
            }
        }
    }
}

impl From<Check> for Checks {
    fn from(check: Check) -> Self {
        Checks(vec![check.into()])
    }
}

impl FromIterator<Probe> for Checks {
    fn from_iter<I: IntoIterator<Item = Probe>>(probes: I) -> Self {
        Checks(probes.into_iter().collect())
    }
}

/// Which question was not answered well, and why.
#[derive(Debug)]
pub(crate) struct Complaint<'a> {
    pub(crate) probe: &'a Probe,
    pub(crate) why: Unwell,
}

impl Checks {
    /// The questions, in the order in which they were given.
    pub fn probes(&self) -> &[Probe] {
        &self.0
    }

    /// What is asked, in words.
    pub fn names(&self) -> String {
        let names: Vec<String> = self.0.iter().map(Probe::name).collect();
        names.join(", ")
    }

    /// How long one round of questions may take, in seconds: they are asked at the same time.
    pub(crate) fn timeout_seconds(&self) -> u64 {
        let all = self.0.iter().map(Probe::timeout_seconds);
        all.max().unwrap_or(0)
    }

    /// Asks each once, at the same time. One that is sick comes before one that could not be asked. The caller sees to it
    /// that something is asked: an empty list is well.
    pub(crate) async fn ask(&self, hosts: &Hosts) -> Result<Vec<Reply>, Vec<Complaint<'_>>> {
        let answers = join_all(self.0.iter().map(|probe| probe.ask(hosts))).await;
        let mut well = Vec::new();
        let mut complaints = Vec::new();
        for (probe, answer) in self.0.iter().zip(answers) {
            match answer {
                Ok(reply) => well.push(reply),
                Err(why) => complaints.push(Complaint { probe, why }),
            }
        }
        complaints.sort_by_key(|complaint| matches!(complaint.why, Unwell::Unreached(_)));
        if complaints.is_empty() {
            Ok(well)
        } else {
            Err(complaints)
        }
    }

    /// Asks until all are healthy without a break for `stable`, at most for `within` plus that.
    ///
    /// Fails with the last answer, and is [unreached](StepError::Unreached) when nobody could ask in the end. Asking again
    /// is always safe.
    pub(crate) async fn until_healthy(
        &self,
        cx: &Cx,
        within: Duration,
        stable: Duration,
    ) -> Result<Healthy, StepError> {
        if self.0.is_empty() {
            return Err(StepError::fail(
                "no question about the application's health is configured",
            ));
        }
        let hosts = cx.resource::<Hosts>()?;
        let begun = cx.now();
        let mut well_since = None;
        let mut questions = 0;
        loop {
            questions += 1;
            let answer = self.ask(&hosts).await;
            let now = cx.now();
            let (probe, why) = match answer {
                Ok(replies) => {
                    let since = *well_since.get_or_insert(now);
                    if now.since(since) >= stable {
                        let after_seconds = since.since(begun).as_secs();
                        return Ok(self.healthy(&replies, questions, after_seconds));
                    }
                    let why = "healthy, but not for long enough".into();
                    (&self.0[0], Unwell::Sick(why))
                }
                Err(complaints) => {
                    if well_since.take().is_some() || questions == 1 {
                        for complaint in &complaints {
                            cx.log(format!("{}: {}", complaint.probe.name(), complaint.why));
                        }
                    }
                    let mut complaints = complaints.into_iter();
                    let first = complaints.next();
                    first.map_or_else(
                        || (&self.0[0], Unwell::Unreached("it was not asked".into())),
                        |complaint| (complaint.probe, complaint.why),
                    )
                }
            };
            if now.since(begun) >= within + stable {
                let seconds = (within + stable).as_secs();
                let said = format!(
                    "{} was not healthy within {seconds} s; the last of {questions} answers: {why}",
                    probe.name()
                );
                let error = match why {
                    Unwell::Sick(_) => StepError::fail(said),
                    Unwell::Unreached(_) => StepError::unreached(said),
                };
                return Err(error.hint(format!("ask it yourself: {}", probe.by_hand())));
            }
            cx.sleep(ASK_EVERY).await?;
        }
    }

    fn healthy(&self, replies: &[Reply], questions: u32, after_seconds: u64) -> Healthy {
        let page = replies.iter().find(|reply| reply.status.is_some());
        let first = page.or(replies.first());
        let names = if self.0.len() > 1 {
            self.0.iter().map(Probe::name).collect()
        } else {
            Vec::new()
        };
        Healthy {
            status: first.and_then(|reply| reply.status),
            body: first.map_or_else(String::new, |reply| reply.body.chars().take(500).collect()),
            millis: replies.iter().map(|reply| reply.millis).max().unwrap_or(0),
            questions,
            after_seconds,
            asked: names,
        }
    }
}
