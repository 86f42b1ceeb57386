//! An order that is given beside the process that drives the run: this one looks on, and both end with the run's code.

use driving::Driving;
use left::{configure, err, flow, leave, leave_waiting, out};

#[path = "support/driving.rs"]
mod driving;
#[path = "support/left.rs"]
mod left;

#[test]
fn an_order_from_a_second_terminal_looks_on_and_ends_with_the_runs_code() {
    let orders: [(&[&str], i32, &str); 2] = [
        (
            &["cancel", "r-one", "--reason", "not today"],
            1,
            "cancelled",
        ),
        (
            &["rollback", "r-one", "--reason", "not today", "--yes"],
            5,
            "rolled-back",
        ),
    ];
    for (order, code, state) in orders {
        let dir = tempfile::tempdir().expect("a folder");
        let at = dir.path();
        configure(at);
        leave_waiting(at, "r-one", &["login"]);
        let first = Driving::start(at);
        let second = flow(at, order);
        let said = err(&second);
        assert_eq!(second.status.code(), Some(code), "{order:?}: {said}");
        assert!(said.contains("this one looks on until it stops"), "{said}");
        assert_eq!(first.code(), Some(code), "{order:?}: the one that drives");
        let shown = flow(at, &["status", "r-one", "--json"]);
        let shown: serde_json::Value = serde_json::from_str(&out(&shown)).expect("JSON");
        assert_eq!(shown["state"], state);
        assert_eq!(shown["exit"], code);
    }
}

#[test]
fn an_order_that_this_process_could_not_carry_out_is_not_stored() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = dir.path();
    leave(at, "r-one", false);
    let orders: [&[&str]; 4] = [
        &["retry", "r-one", "--reason", "x"],
        &["retry", "r-one", "--reason", "x"],
        &["cancel", "r-one", "--reason", "x"],
        &["rollback", "r-one", "--reason", "x", "--yes"],
    ];
    for broken in [None, Some("[app]\nname = 7\n")] {
        if let Some(text) = broken {
            std::fs::write(at.join("flow.toml"), text).expect("writes");
        }
        for order in orders {
            let refused = flow(at, order);
            let said = err(&refused);
            assert_eq!(refused.status.code(), Some(2), "{order:?}: {said}");
            assert!(said.contains("flow.toml"), "{order:?}: {said}");
            assert!(!said.contains("stored"), "{order:?}: {said}");
            let shown = flow(at, &["status", "r-one", "--json"]);
            let shown: serde_json::Value = serde_json::from_str(&out(&shown)).expect("JSON");
            assert_eq!(shown["state"], "parked", "{order:?}");
        }
    }
    // Storing is all that was asked: whoever resumes needs the files.
    let stored = flow(at, &["cancel", "r-one", "--reason", "x", "--no-drive"]);
    assert_eq!(stored.status.code(), Some(0), "{}", err(&stored));
}
