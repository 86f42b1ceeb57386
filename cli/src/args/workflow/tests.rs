use flow_engine::planner::Planner;
use flow_workflows::project::Project;
use flow_workflows::shipped::Release;
use flow_workflows::workflow::{PlanError, Workflow};

use super::*;

#[derive(clap::Args)]
struct Own {
    /// The environment that is looked at
    #[arg(long, default_value = "prod")]
    on: String,
}

#[derive(clap::Args)]
struct Clashing {
    /// Why
    #[arg(long = "reason")]
    why: Option<String>,
}

struct Look;
struct Other;
struct SameName;
struct SameArgument;
struct CoreKey;

macro_rules! workflow {
    ($type:ty, $name:literal, $input:ty) => {
        impl Workflow for $type {
            const NAME: &'static str = $name;
            const PROTOCOL: &'static str = "1";
            const ABOUT: &'static str = "Looks";
            type Input = $input;
            type Config = serde::de::IgnoredAny;

            fn environment(
                &self,
                _: &Project,
                _: &Self::Config,
                _: &Self::Input,
            ) -> Result<String, PlanError> {
                Ok("prod".into())
            }

            fn plan(
                &self,
                _: &Project,
                _: &Self::Config,
                _: Self::Input,
                _: &mut Planner,
            ) -> Result<(), PlanError> {
                Ok(())
            }
        }
    };
}

workflow!(Look, "look", Own);
workflow!(Other, "other", Own);
workflow!(SameName, "look", Own);
workflow!(SameArgument, "same", Clashing);
workflow!(CoreKey, "watch", Own);

fn parsed(words: &[&str]) -> Result<(String, ArgMatches, String), String> {
    let workflows = Workflows::shipped().with(Look).with(Other);
    let words: Vec<OsString> = std::iter::once("flow")
        .chain(words.iter().copied())
        .map(OsString::from)
        .collect();
    match parse(&workflows, &words) {
        Ok(cli) => match cli.command {
            Command::Start(args) => Ok((args.workflow, args.input, args.reason)),
            Command::Plan(args) => Ok((args.workflow, args.input, String::new())),
            other => Err(format!("{other:?}")),
        },
        Err(e) => Err(e.to_string()),
    }
}

#[test]
fn each_workflow_takes_its_own_arguments_wherever_they_stand() {
    let table = [
        (
            &["start", "--commit", "abc"] as &[&str],
            "release",
            "commit",
            "abc",
        ),
        (&["start"], "release", "commit", "HEAD"),
        (
            &["start", "--commit", "abc", "promote"],
            "promote",
            "commit",
            "abc",
        ),
        (
            &["start", "promote", "--commit", "abc"],
            "promote",
            "commit",
            "abc",
        ),
        (&["start", "look"], "look", "on", "prod"),
        (&["start", "look", "--on", "test"], "look", "on", "test"),
        (
            &["--plain", "start", "--on", "test", "look"],
            "look",
            "on",
            "test",
        ),
        (&["plan", "other", "--on", "test"], "other", "on", "test"),
        // The word that names a workflow may be the value of something else.
        (
            &["start", "--reason", "look", "promote"],
            "promote",
            "commit",
            "HEAD",
        ),
        (&["start", "--reason", "look"], "release", "commit", "HEAD"),
        (
            &["start", "--reason", "look", "--commit", "abc"],
            "release",
            "commit",
            "abc",
        ),
    ];
    for (words, workflow, argument, value) in table {
        let (named, input, _) = parsed(words).expect("is understood");
        assert_eq!(named, workflow, "{words:?}");
        let id = if argument == "commit" {
            "rev"
        } else {
            argument
        };
        let typed = input.get_one::<String>(id).map(String::as_str);
        assert_eq!(typed, Some(value), "{words:?}");
    }
}

#[test]
fn what_another_workflow_takes_or_nobody_knows_is_refused() {
    for (words, says) in [
        (&["start", "look", "--commit", "abc"] as &[&str], "--commit"),
        (&["start", "promote", "--on", "test"], "--on"),
        (&["start", "relase"], "'release'"),
        (&["start", "relase", "--commit", "v1"], "'release'"),
        (&["plan", "relase", "--on", "test"], "'release'"),
        (&["--plain", "start", "relase", "--nonsense"], "'release'"),
        (
            &["start", "nothing"],
            "possible values: release, promote, look, other",
        ),
    ] {
        let why = parsed(words).expect_err("is refused");
        assert!(why.contains(says), "{words:?}: {why}");
    }
    let help = parsed(&["start", "look", "--help"]).expect_err("is help");
    assert!(
        help.contains("The environment that is looked at") && help.contains("--reason"),
        "{help}"
    );
    assert!(!help.contains("--commit"), "{help}");
}

#[test]
fn whether_anything_was_asked_for_is_known() {
    let asks = |words: &[&str]| {
        let (_, input, _) = parsed(words).expect("is understood");
        asks_for_something(&Release, &input)
    };
    assert!(!asks(&["start", "--reason", "x"]));
    assert!(asks(&["start", "--commit", "HEAD"]));
}

#[test]
fn workflows_that_clash_are_named_both() {
    let why = |workflows: Workflows| problem(&workflows).unwrap_or_default();
    assert_eq!(why(Workflows::shipped().with(Look).with(Other)), "");
    let lines = [
        why(Workflows::default().with(Look).with(SameName)),
        why(Workflows::default().with(SameArgument)),
        why(Workflows::default().with(CoreKey)),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r"
    two workflows have the name `look`: flow_cli::args::workflow::tests::Look and flow_cli::args::workflow::tests::SameName
    the argument `--reason` of the workflow `same` (flow_cli::args::workflow::tests::SameArgument) clashes with one that flow start or flow plan has
    the workflow flow_cli::args::workflow::tests::CoreKey reads the section `watch` of flow.toml, which is a key of the core or of [release]
    ");
}
