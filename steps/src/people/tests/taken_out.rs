//! A key that was taken out of the roster after it had signed.

use flow_engine::run::Run;

use super::*;
use crate::means::signature::roster::People;
use crate::means::signature::sign_off::still_valid;

fn people(team: &Team, developers: &[(&str, &Path)]) -> People {
    let developers = developers.iter().map(|(name, key)| person(name, key));
    let roles = [
        ("developer".into(), developers.collect()),
        ("qa".into(), vec![person("qa", &team.qa)]),
    ];
    People::checked(roles.into(), Vec::new(), false).expect("a roster")
}

/// A run that both roles have signed.
async fn signed_by_both(team: &Team) -> Run {
    let (engine, run) = waiting(team).await;
    let dev = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    let qa = signed(&run, QA, yes("qa", "qa"), &team.qa).await;
    let both = vec![signal(DEV, "1", dev.body()), signal(QA, "1", qa.body())];
    let (run, _) = answer(&engine, &run, both).await;
    (*run).clone()
}

#[tokio::test]
async fn another_holder_of_the_role_may_sign_where_a_key_was_taken_out_after_it_had_signed() {
    let team = Team::new();
    let mut run = signed_by_both(&team).await;
    let people = people(&team, &[("other", &team.nobody)]);
    let gone = still_valid(&run, &people, SystemClock.now()).await;
    let gone = gone.expect_err("taken out");
    let hints = gone.hints(&run.id).join("\n");
    assert!(!gone.is_final(), "{gone:?}");
    assert!(
        hints.contains("flow sign r-1 --role developer, then: flow retry r-1"),
        "{hints}"
    );
    let other = signed(&run, DEV, yes("developer", "other"), &team.nobody).await;
    run.signals.push(signal(DEV, "2", other.body()));
    let given = still_valid(&run, &people, SystemClock.now()).await;
    let given = given.expect("the other one's counts");
    assert_eq!(given[0].signer, "other");
}

#[tokio::test]
async fn where_nobody_else_holds_the_role_only_a_new_run_is_named() {
    let team = Team::new();
    let run = signed_by_both(&team).await;
    let gone = still_valid(&run, &people(&team, &[]), SystemClock.now()).await;
    let gone = gone.expect_err("taken out");
    assert!(gone.is_final(), "{gone:?}");
    let hints = gone.hints(&run.id).join("\n");
    assert!(hints.contains("start anew"), "{hints}");
    assert!(
        !hints.contains("flow retry"),
        "it would be refused: {hints}"
    );
}
