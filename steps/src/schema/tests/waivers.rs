//! What a waiver is taken for.

use flow_engine::clock::{Clock as _, SystemClock};

use super::*;
use crate::means::signature::statement;
use crate::means::signature::statement::{Decision, Subject, Words};
use crate::means::signature::verify::SignOffRefusal;
use crate::means::signature::waiver::{AskedWaivers, hand_in};
use crate::people::fixture::{Team, seal, words};

#[tokio::test]
async fn a_waiver_is_taken_only_for_what_is_asked_and_from_the_role_that_is_asked() {
    let rig = Rig::new();
    rig.migration(
        "20250201000000_unique",
        "CREATE UNIQUE INDEX \"u\" ON \"Task\"(\"title\");\nCREATE UNIQUE INDEX \"v\" ON \"Task\"(\"title\");\n",
    );
    let safety = MigrationSafety {
        waiver_role: "developer".into(),
        ..rig.step()
    };
    let plan = plan(
        |p| drop(p.step("prep/safety", safety)),
        |p| drop(p.step("prod/say", Say::new(1))),
    );
    let team = Team::new();
    let mut bench = Bench::new(registry);
    bench.people = Some(team.people());
    let (run, _) = bench.start("r-one", plan).await;
    let asked = AskedWaivers::of(&run, "prep/safety").expect("it asks");
    assert_eq!(
        (asked.role.as_str(), asked.findings.len()),
        ("developer", 2)
    );
    let second = &asked.findings[1];
    assert_eq!(asked.find("prep/safety", &second[..9]), Ok(second.as_str()));
    for wrong in ["", "nonsense", &"0".repeat(64)] {
        let found = asked.find("prep/safety", wrong);
        assert!(
            matches!(found, Err(SignOffRefusal::NoFinding { .. })),
            "{wrong}"
        );
    }
    let (people, now) = (team.people(), SystemClock.now());
    let table = [
        ("developer", "dev", &team.dev, second.as_str(), "Ok"),
        ("qa", "qa", &team.qa, second.as_str(), "WrongKey"),
        ("developer", "dev", &team.dev, &"ab".repeat(32), "NoFinding"),
    ];
    for (role, name, key, finding, came) in table {
        let said = Words {
            subject: Subject::Waiver,
            finding: Some(finding.to_owned()),
            ..words(role, name, Decision::Approve, "read")
        };
        let text = statement::build(&run, "prep/safety", said).unwrap().text();
        let waiver = seal(text, key).await;
        let judged = hand_in(&run, "prep/safety", &people, &waiver, now).await;
        assert!(format!("{judged:?}").contains(came), "{came}: {judged:?}");
    }
}
