//! The workflows of this repository, as values.

use flow_engine::plan::Plan;
use flow_engine::planner::Planner;

use crate::config::RELEASE;
use crate::project::Project;
use crate::release;
use crate::setup::{Setup, SetupError};
use crate::workflow::{Facts, PlanError, Workflow, Workflows};

/// What a release is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct Commit {
    /// The commit to release, as git names it
    #[arg(long = "commit", value_name = "REV", default_value = "HEAD")]
    pub rev: String,
}

impl Commit {
    fn of(facts: &Facts) -> Option<Commit> {
        let rev = facts.get("commit")?.clone();
        Some(Commit { rev })
    }
}

/// The whole protocol: test, staging, production.
#[derive(Debug, Clone, Copy)]
pub struct Release;

/// Production only, for a commit that passed everything before it in an earlier run.
#[derive(Debug, Clone, Copy)]
pub struct Promote;

macro_rules! shipped {
    ($workflow:ty, $name:literal, $about:literal, $plan:path) => {
        impl Workflow for $workflow {
            const NAME: &'static str = $name;
            const SECTION: &'static str = RELEASE;
            const PROTOCOL: &'static str = release::PROTOCOL;
            const ABOUT: &'static str = $about;
            type Input = Commit;
            type Config = serde::de::IgnoredAny;

            fn environment(
                &self,
                project: &Project,
                _: &Self::Config,
                _: &Commit,
            ) -> Result<String, PlanError> {
                Ok(project.release()?.production()?)
            }

            fn plan(
                &self,
                project: &Project,
                _: &Self::Config,
                input: Commit,
                p: &mut Planner,
            ) -> Result<(), PlanError> {
                let setup = project.release()?;
                let commit = setup.commit(&input.rev)?;
                let release = setup.release_of(&commit, p)?;
                $plan(p, &release);
                Ok(())
            }

            fn input_of(&self, facts: &Facts) -> Option<Commit> {
                Commit::of(facts)
            }
        }
    };
}

shipped!(
    Release,
    "release",
    "The whole protocol: every environment before production, then production",
    release::release
);
shipped!(
    Promote,
    "promote",
    "Production only, for a commit that passed everything before it in an earlier run",
    release::promote
);

impl Workflows {
    /// Those of this repository: `release` and `promote`.
    pub fn shipped() -> Workflows {
        Workflows::default().with(Release).with(Promote)
    }
}

impl Setup {
    /// Plans a workflow of this repository for a commit (40 hexadecimal digits).
    ///
    /// # Errors
    /// [`SetupError::NoWorkflow`], [`SetupError::Repository`].
    pub fn plan(&self, workflow: &str, commit: &str) -> Result<Plan, SetupError> {
        let workflows = Workflows::shipped();
        let facts = [("commit".to_owned(), commit.to_owned())].into();
        let plan = workflows
            .named(workflow)?
            .plan_again(&self.project()?, &facts)?;
        plan.ok_or_else(|| SetupError::Input("the workflow takes no commit".into()))
    }
}
