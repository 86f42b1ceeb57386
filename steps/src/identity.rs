//! `host.identity`: the names of a configuration lead to the machines they should.
//!
//! A copied line or a changed DNS entry makes `test` lead to production, and then every rehearsal is the real thing.

use std::collections::BTreeMap;

use async_trait::async_trait;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::host::HostExt as _;
use crate::means::reach;

/// Asks every host who it is. Refuses a machine that is not the expected one, and two names for one machine.
///
/// Reads only; run twice: asks again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Every host by its configured name, with the `/etc/machine-id` it must have, where that is known.
    pub hosts: BTreeMap<String, Option<String>>,
    /// Whether no two of them may be one machine. Not so where all environments share one, as in a sandbox.
    #[serde(default = "yes")]
    pub distinct: bool,
}

fn yes() -> bool {
    true
}

#[async_trait]
impl Step for Identity {
    const KIND: &'static str = "host.identity";
    /// The machine ids, by the host's name.
    type Output = BTreeMap<String, String>;

    fn summary(&self) -> String {
        let names: Vec<&str> = self.hosts.keys().map(String::as_str).collect();
        let apart = if self.distinct { ", all different" } else { "" };
        format!(
            "{} are the machines they should be{apart}",
            names.join(", ")
        )
    }

    async fn run(&self, cx: &Cx) -> Result<BTreeMap<String, String>, StepError> {
        let mut found = BTreeMap::new();
        for name in self.hosts.keys() {
            let host = reach::host(cx, name)?;
            let identity = host.identity().await.map_err(|e| reach::error(&e))?;
            cx.log(format!(
                "{name}: {} ({})",
                identity.machine_id, identity.hostname
            ));
            found.insert(name.clone(), identity.machine_id);
        }
        self.judge(&found).map_err(|why| {
            StepError::refuse(why)
                .hint("compare the addresses in the configuration, in DNS and in ssh's configuration with /etc/machine-id on each host")
                .hint(format!("then: flow retry {}", cx.run_id()))
        })?;
        Ok(found)
    }
}

impl Identity {
    fn judge(&self, found: &BTreeMap<String, String>) -> Result<(), String> {
        for (name, id) in found {
            let expected = self.hosts.get(name).and_then(Option::as_ref);
            if let Some(expected) = expected.filter(|e| *e != id) {
                return Err(format!(
                    "`{name}` leads to the machine {id}, not to {expected} as configured"
                ));
            }
        }
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, id) in found.iter().filter(|_| self.distinct) {
            if let Some(other) = names.insert(id, name) {
                return Err(format!(
                    "`{other}` and `{name}` lead to the same machine ({id})"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flow_engine::driver::Stop;
    use flow_engine::record::{ParkReason, Verdict};
    use flow_engine::registry::Registry;

    use super::*;
    use crate::means::reach::testing::{Bench, Say, failure, output, plan};

    fn of(hosts: &[(&str, Option<&str>)], distinct: bool) -> Identity {
        let hosts = hosts
            .iter()
            .map(|(name, id)| ((*name).to_owned(), id.map(str::to_owned)));
        Identity {
            hosts: hosts.collect(),
            distinct,
        }
    }

    fn ids(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter()
            .map(|(name, id)| ((*name).to_owned(), (*id).to_owned()))
            .collect()
    }

    #[test]
    fn two_names_for_one_machine_are_refused_unless_that_is_configured() {
        let found = ids(&[("prod", "a"), ("stage", "b"), ("test", "a")]);
        let hosts = [("prod", None), ("stage", None), ("test", None)];
        let why = of(&hosts, true).judge(&found).unwrap_err();
        assert_eq!(why, "`prod` and `test` lead to the same machine (a)");
        assert_eq!(of(&hosts, false).judge(&found), Ok(()));
        let apart = ids(&[("prod", "a"), ("stage", "b"), ("test", "c")]);
        assert_eq!(of(&hosts, true).judge(&apart), Ok(()));
        let mistake = serde_json::from_str::<Identity>(r#"{"hosts":{}}"#).unwrap();
        assert!(mistake.distinct);
    }

    #[tokio::test]
    async fn a_machine_that_is_not_the_expected_one_is_refused_and_the_right_one_is_told() {
        let own = std::fs::read_to_string("/etc/machine-id").unwrap();
        let bench = Bench::new(|| Registry::default().with::<Identity>());
        let other = "0".repeat(32);
        for (id, good) in [(own.trim(), true), (other.as_str(), false)] {
            let asked = of(&[("here", Some(id))], true);
            let plan = plan(
                |p| {
                    p.step("prep/identity", asked);
                },
                |p| {
                    p.step("prod/say", Say::new(1));
                },
            );
            let (run, stop) = bench.start(&format!("r-{good}"), plan).await;
            if good {
                assert_eq!(stop, Stop::Finished(Verdict::Completed));
                let found: BTreeMap<String, String> = output(&run, "prep/identity");
                assert_eq!(found["here"], own.trim());
            } else {
                assert_eq!(stop, Stop::Parked(ParkReason::Refused { step: 0 }));
                let message = failure(&run, "prep/identity").message;
                assert!(message.contains("as configured"), "{message}");
            }
        }
    }
}
