use super::*;
use crate::code::schema::Schema;

const OLD: &str = "model User {\n id Int\n name String\n role Role\n}\nenum Role {\n ADMIN\n GUEST\n}\nenum Kind {\n GUEST\n}\n";

fn found(file: &str, text: &str) -> Vec<(String, u32, u32)> {
    let old = Schema::read(OLD).unwrap();
    let new = OLD
        .replace("name String", "name String?")
        .replacen(" GUEST\n", "", 1);
    let changes = old.changes(&Schema::read(&new).unwrap());
    let hits = look(file, text, &changes).into_iter();
    hits.map(|h| {
        (
            format!("{} {}", h.kind, h.about).trim().to_owned(),
            h.line,
            h.column,
        )
    })
    .collect()
}

fn kinds(text: &str) -> Vec<String> {
    found("schema.graphql", text)
        .into_iter()
        .map(|hit| hit.0)
        .collect()
}

#[test]
fn a_promised_field_that_may_be_null_is_found() {
    let text = "type User {\n  id: Int!\n  name: String!\n}";
    assert_eq!(
        found("schema.graphql", text),
        [("non-null-in-graphql User.name".to_owned(), 3, 3)]
    );
    assert_eq!(kinds("extend type User { name: String! }").len(), 1);
    assert!(kinds("type User { name: String }").is_empty());
    assert!(kinds("type Post { name: String! }").is_empty());
    assert!(kinds("input User { name: String! }").is_empty());
    assert!(kinds("type User { name: [String!] }").is_empty());
    assert!(kinds("# type User { name: String! }\ntype A { b: Int }").is_empty());
}

#[test]
fn a_value_that_is_no_more_is_found() {
    let gone = ["removed-value Role.GUEST"];
    assert_eq!(kinds("enum Role { ADMIN GUEST }"), gone);
    assert_eq!(kinds("query { users(role: GUEST) { id } }"), gone);
    assert_eq!(
        kinds("query($r: Role = GUEST) { users(role: $r) { id } }"),
        gone
    );
    assert!(kinds("query($r: Kind = GUEST) { users(kind: $r) { id } }").is_empty());
    assert!(kinds("enum Kind { GUEST }").is_empty());
    assert!(kinds("enum Role { ADMIN }\n\"GUEST\"\ntype A { b: Int }").is_empty());
    assert!(kinds("query { users(name: \"GUEST\") { GUEST } }").is_empty());
}

#[test]
fn templates_in_typescript_are_read_at_their_place() {
    let text = "import gql from 'x'\nconst a = gql`\n  type User { name: String! }\n`";
    assert_eq!(
        found("a.ts", text),
        [("non-null-in-graphql User.name".to_owned(), 3, 15)]
    );
    let text = "const a = /* GraphQL */ `type User { name: String! }`";
    assert_eq!(
        found("a.ts", text),
        [("non-null-in-graphql User.name".to_owned(), 1, 38)]
    );
    let text = "const a = gql`query { users(role: GUEST) { ...A } } ${A}`";
    assert_eq!(found("a.tsx", text).len(), 1);
    assert!(found("a.ts", "const a = `type User { name: String! }` // gql").is_empty());
}

#[test]
fn what_does_not_parse_is_said_to_and_the_rest_is_read() {
    let got = kinds("type User { name: String! }\ntype {");
    assert!(got.contains(&"not-read".to_owned()), "{got:?}");
    assert!(
        got.contains(&"non-null-in-graphql User.name".to_owned()),
        "{got:?}"
    );
    let deep = format!("query {{ name {} }}", "{ a ".repeat(100_000));
    assert_eq!(kinds(&deep), ["not-read"]);
}
