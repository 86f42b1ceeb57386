use super::*;

const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9q";
const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9r";

fn roster(json: serde_json::Value) -> Result<People, String> {
    serde_json::from_value(json).map_err(|e| e.to_string())
}

#[test]
fn a_roster_yields_the_allowed_signers_of_each_role() {
    let people = roster(serde_json::json!({"roles": {
        "developer": [{"name": "The Developer", "email": "dev@example.org", "key": A}],
        "qa": [{"name": "Ä Tester", "key": format!("{B} comment")}],
    }}))
    .expect("is a roster");
    let want = format!(
        "developer:dev@example.org namespaces=\"flow-signoff-v1\" {A}\nqa:--tester namespaces=\"flow-signoff-v1\" {B}\n"
    );
    assert_eq!(people.allowed_signers(), want);
}

#[test]
fn one_key_for_two_roles_is_refused_even_with_another_comment() {
    let error = roster(serde_json::json!({"roles": {
        "developer": [{"name": "a", "key": A}],
        "qa": [{"name": "b", "key": format!("{A} other")}],
    }}))
    .expect_err("refused");
    assert!(error.contains("one key may not hold two roles"), "{error}");
}

#[test]
fn names_and_addresses_that_could_deceive_are_refused() {
    let long = "x".repeat(NAME_MAX + 1);
    for name in [
        "",
        " a",
        "a\nb",
        "a\u{202e}b",
        "a\u{61c}b",
        "a\u{ad}b",
        "a\u{fe0f}",
        "a\u{e0041}",
        "\u{3164}",
        "P\u{430}ul",
        &long,
    ] {
        let error = roster(serde_json::json!({"roles": {"qa": [{"name": name, "key": A}]}}));
        assert!(error.is_err(), "{name:?}");
    }
    for email in [
        "*@example.org",
        "a,b@example.org",
        "a@b@c",
        "a b@c",
        "@c",
        "a@",
        "-o@c",
        "a\r\nBcc: x@y",
    ] {
        let person = serde_json::json!({"name": "n", "email": email, "key": A});
        assert!(
            roster(serde_json::json!({"roles": {"qa": [person]}})).is_err(),
            "{email:?}"
        );
        let contact = serde_json::json!({"name": "n", "email": email});
        assert!(
            roster(serde_json::json!({"contacts": [contact]})).is_err(),
            "{email:?}"
        );
    }
    assert!(roster(serde_json::json!({"roles": {"Q A": []}})).is_err());
    assert!(
        roster(serde_json::json!({"role": {}})).is_err(),
        "unknown fields are refused"
    );
}

#[test]
fn two_people_who_could_not_be_told_apart_are_refused() {
    let error = roster(serde_json::json!({"roles": {"qa": [
        {"name": "A B", "key": A}, {"name": "a b", "key": B},
    ]}}))
    .expect_err("refused");
    assert!(error.contains("both be `qa:a-b`"), "{error}");
}

#[test]
fn a_person_is_known_by_name_address_or_login_whatever_the_case() {
    let person = Person {
        name: "The Tester".into(),
        email: Some("qa@example.org".into()),
        key: A.into(),
        login: Some("tt".into()),
    };
    for own in ["the tester", "QA@example.org", "qa", "TT"] {
        assert!(person.is(own), "{own}");
    }
    assert!(!person.is("t"));
}

#[test]
fn what_was_taken_out_of_a_roster_since_does_not_count_and_what_came_in_does_not_either() {
    let of = |entries: serde_json::Value| {
        roster(serde_json::json!({"roles": entries})).expect("a roster")
    };
    let person = |key: &str| serde_json::json!([{"name": "n", "key": key}]);
    let planned = of(serde_json::json!({"developer": person(A), "qa": person(B)}));
    let taken_out = of(serde_json::json!({"developer": person(A)}));
    let left = planned.still_in(&taken_out);
    assert_eq!(
        (left.of_role("developer").len(), left.of_role("qa").len()),
        (1, 0)
    );
    let strict = roster(serde_json::json!({"forbid_starter": true, "roles": {}}));
    assert!(planned.still_in(&strict.expect("a roster")).forbid_starter);
    let swapped = of(serde_json::json!({"developer": person(B), "qa": person(A)}));
    let left = planned.still_in(&swapped);
    assert_eq!(
        (left.of_role("developer").len(), left.of_role("qa").len()),
        (0, 0)
    );
}
