//! Kinds of files, places, and what cannot be read.

use proptest::prelude::*;

use super::*;

#[test]
fn jsx_and_plain_javascript_are_read_too() {
    let text = "export const A = ({ user }) => <p title={`${user.name}`}>{user.name.length}</p>";
    assert_eq!(found("a.tsx", text).len(), 2);
    assert_eq!(found("a.js", text).len(), 2);
    assert_eq!(found("a.jsx", "<A role=\"GUEST\" />"), GUEST);
    assert_eq!(
        found("a.cjs", "function f(user) { return user.name.length }"),
        NAME
    );
    assert_eq!(found("a.mts", "(user: User) => user.name.length"), NAME);
    assert!(found("a.css", "user.name.length").is_empty());
}

#[test]
fn a_hit_says_where_it_is_in_characters() {
    let (old, changes) = schemas();
    let hits = look(
        "a.ts",
        "const a = 'x';\n/* é */ user.name.length",
        &old,
        &changes,
    );
    assert_eq!((hits[0].line, hits[0].column), (2, 9), "{hits:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_said_to_be() {
    let (old, changes) = schemas();
    assert_eq!(found("a.ts", "user.name.length ((("), ["not-read"]);
    let large = format!("user.name.length;{}", " ".repeat(MOST));
    assert_eq!(found("a.ts", &large), ["not-read"]);
    assert_eq!(
        look_bytes("a.ts", b"name \xff", &old, &changes)[0].kind,
        "not-read"
    );
    let limit = MOST / 20;
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("!", ""),
        ("if(a)", ""),
        ("a=>", ""),
        ("x?y:", ""),
        ("a+", ""),
        ("<a>", "</a>"),
    ] {
        let deep = format!("user.name;{}1{}", open.repeat(limit), close.repeat(limit));
        assert_eq!(found("a.tsx", &deep), ["not-read"], "{open}");
    }
}

#[test]
fn what_is_nested_as_deep_as_is_let_through_does_not_overflow() {
    let levels = nesting::MOST / 2 - 20;
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("!", ""),
        ("if(a)", ""),
        ("a=>", ""),
        ("a+", ""),
        ("{", "}"),
        ("a.", ""),
    ] {
        for levels in [levels, levels / 2] {
            let deep = format!(
                "user.name.length;{}a{}",
                open.repeat(levels),
                close.repeat(levels)
            );
            let hits = found("a.ts", &deep);
            assert_eq!(hits, NAME, "{open} {levels}");
        }
    }
}

#[test]
fn long_files_of_people_are_not_taken_for_deep_ones() {
    let line = "const a = b.c.d ? e : f(g, h)\nif (a) { user.id++ }\nelse i(`x ${j}`)\n";
    assert!(!nesting::too_deep(&line.repeat(10_000)));
    assert!(!nesting::too_deep(
        &line.replace('\n', ";\n").repeat(10_000)
    ));
}

const SEED: &str = "import { Role } from 'x';\nasync function f(u: User, a: any) {\n  if (!u.name || u['email'] == null) return `x ${u.nick}`;\n  const { name = '', ...rest } = u;\n  switch (u.role) { case Role.GUEST: case 'GUEST': return u.name!.length }\n  // @ts-ignore\n  return db.$queryRaw`SELECT name FROM users WHERE role = 'GUEST'` as any ?? rest?.[0]?.name.x((y) => <T,>(z: T) => z);\n}\n";

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(cuts in prop::collection::vec((0..SEED.len(), 0..SEED.len(), 0..24_usize), 1..6)) {
        let mut text: Vec<char> = SEED.chars().collect();
        for (from, to, len) in cuts {
            let part: Vec<char> = text.iter().skip(from).take(len).copied().collect();
            let to = to.min(text.len());
            if len % 2 == 0 {
                text.splice(to..to, part);
            } else {
                text.drain(to..(to + len).min(text.len()));
            }
        }
        let text: String = text.into_iter().collect();
        for hit in found("a.tsx", &text) {
            prop_assert!(!hit.contains("gave up"));
        }
        let (old, changes) = schemas();
        for hit in look("a.ts", &text, &old, &changes) {
            prop_assert!(!hit.message.contains("gave up") && !hit.message.contains("too long"), "{hit:?}");
        }
    }
}
