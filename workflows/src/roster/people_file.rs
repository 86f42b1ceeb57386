//! The roster of a project without a release: a file, whether or not it was ever committed.

use std::path::PathBuf;

use async_trait::async_trait;
use flow_engine::plan::Plan;
use flow_steps::means::signature::origin::{RosterSource, RosterUnread};
use flow_steps::means::signature::roster::People;

use crate::config::read_toml;
use crate::guard;
use crate::setup::SetupError;

/// The people file that `flow.toml` names, read anew each time.
#[derive(Debug, Clone)]
pub(crate) struct PeopleFile(pub(crate) PathBuf);

impl PeopleFile {
    /// Who stands in it; nothing where there is no such file.
    ///
    /// # Errors
    /// [`SetupError::NotOurs`] for a file that others can write; [`SetupError::Config`] for one that is no roster.
    pub(crate) fn people(&self) -> Result<Option<People>, SetupError> {
        if !self.0.exists() {
            return Ok(None);
        }
        guard::only_ours(&self.0)?;
        Ok(Some(read_toml(&self.0)?))
    }

    /// The same, not on the thread that drives.
    async fn aside(&self) -> Result<Option<People>, RosterUnread> {
        let own = self.clone();
        tokio::task::spawn_blocking(move || own.people())
            .await
            .map_err(|e| RosterUnread(e.to_string()))?
            .map_err(|e| RosterUnread(e.to_string()))
    }
}

#[async_trait]
impl RosterSource for PeopleFile {
    async fn of(&self, _: &Plan) -> Result<People, RosterUnread> {
        let people = self.aside().await?;
        people.ok_or_else(|| RosterUnread(format!("there is no {}", self.0.display())))
    }

    /// Nothing: the file is not looked up in a repository.
    async fn at(&self, _: &str, _: &str) -> Result<Option<People>, RosterUnread> {
        Ok(None)
    }

    async fn here(&self) -> Result<Option<People>, RosterUnread> {
        self.aside().await
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use flow_engine::plan::OnFailure;
    use flow_engine::planner::Planner;
    use flow_engine::step::{Cx, Step, StepError};

    use crate::project::Project;

    use super::*;

    /// Made for this test; nobody has the other half.
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAwVBvE/xZ9KYYYr7OfetdEKA5c9qHd2/y7cD++MTAWt";

    /// Does nothing; a plan needs a step.
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Idle;

    #[async_trait]
    impl Step for Idle {
        const KIND: &'static str = "test.idle";
        type Output = ();

        fn summary(&self) -> String {
            "idles".into()
        }

        async fn run(&self, _: &Cx) -> Result<(), StepError> {
            Ok(())
        }
    }

    fn plan() -> Plan {
        let mut planner = Planner::new("mine", "test-1", "box", "flow test");
        planner.phase("only", "The only one", OnFailure::Park, |p| {
            p.step("only/idle", Idle);
        });
        planner.finish().expect("plans")
    }

    #[tokio::test]
    async fn a_project_without_a_release_knows_its_hosts_and_who_signs_and_reads_them_anew() {
        let dir = tempfile::tempdir().expect("a folder");
        let (config, people) = (
            dir.path().join("flow.toml"),
            dir.path().join("flow.people.toml"),
        );
        std::fs::write(&config, "[env.box]\nssh = \"box.example\"\n").expect("writes");
        let project = Project::load(&config, &["mine"]).expect("loads");
        assert!(project.hosts().get("box").is_ok());
        let missing = project.rosters().0.of(&plan()).await.unwrap_err();
        assert!(
            missing.to_string().contains("flow.people.toml"),
            "{missing}"
        );

        let person = "[[roles.qa]]\nname = \"somebody\"\nemail = \"qa@example.org\"\n";
        let person = format!("{person}key = \"{KEY}\"\n");
        std::fs::write(&people, person).expect("writes");
        let read = project.rosters().0.of(&plan()).await.expect("reads");
        assert_eq!(read.roles["qa"].len(), 1);

        // Whoever can write the file lets himself in.
        let open = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(&people, open).expect("sets");
        let refused = project.rosters().0.of(&plan()).await.unwrap_err();
        assert!(refused.to_string().contains("chmod"), "{refused}");
    }
}
