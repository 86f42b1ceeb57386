use super::*;

fn client() -> Client {
    let schema = "generator client {\n  provider = \"prisma-client-js\"\n}\n";
    Client::of(schema, Path::new("prisma/schema.prisma")).unwrap()
}

/// What the compiler lists at the end when it got that far.
const LISTED: &str = "/s/old/app/src/a.ts\n/s/old/app/node_modules/.prisma/client/index.d.ts\n";

fn said(code: impl Into<Option<i32>>, stdout: &str) -> Result<Vec<Hit>, String> {
    let ended = ProcessEnd {
        code: code.into(),
        stdout: stdout.to_owned(),
        stderr: String::new(),
    };
    read(&ended, Path::new("/s/old"), Path::new("app"), &client()).map_err(|why| why.0)
}

fn hits(errors: &[&str]) -> Vec<Hit> {
    said(2, &format!("{}\n{LISTED}", errors.join("\n"))).unwrap()
}

#[test]
fn an_error_has_its_place_in_the_checkout_and_its_whole_message() {
    let hits = hits(&[
        "src/(auth)/page.tsx(8,3): error TS2345: Argument of type 'string | null' is no 'string'.",
        "  Type 'null' is not assignable to type 'string'.",
        "../shared/b.ts(1,2): error TS18047: 'x' is possibly 'null'.",
    ]);
    assert_eq!(hits[0].file, "app/src/(auth)/page.tsx");
    assert_eq!((hits[0].line, hits[0].column), (8, 3));
    assert_eq!(hits[0].about, "TS2345");
    assert!(
        hits[0]
            .message
            .ends_with("'string'. Type 'null' is not assignable to type 'string'.")
    );
    assert_eq!(hits[1].file, "shared/b.ts");
}

#[test]
fn an_error_whose_message_changed_is_not_new() {
    let old =
        hits(&["src/a.ts(1,2): error TS2322: Type 'string' is not assignable to type 'number'."]);
    let new = hits(&[
        "src/a.ts(1,2): error TS2322: Type 'string | null' is not assignable to type 'number'.",
    ]);
    assert_eq!(added(&old, new), []);
}

#[test]
fn the_second_error_of_the_same_code_at_the_same_place_is_new() {
    let one = "src/a.ts(1,2): error TS2322: Type 'x'.";
    assert_eq!(added(&hits(&[one]), hits(&[one, one])).len(), 1);
    assert_eq!(added(&hits(&[one, one]), hits(&[one])), []);
}

#[test]
fn an_error_of_another_code_at_the_same_place_is_new() {
    let old = hits(&["src/a.ts(1,2): error TS2322: Type 'x'."]);
    let new = hits(&["src/a.ts(1,2): error TS18047: 'x' is possibly 'null'."]);
    assert_eq!(added(&old, new.clone()), new);
}

#[test]
fn errors_in_the_generated_client_are_left_out() {
    let made = "node_modules/.prisma/client/index.d.ts(9,9): error TS2322: Type 'x'.";
    assert_eq!(hits(&[made]), []);
}

#[test]
fn a_compiler_that_crashed_has_checked_nothing() {
    let killed = said(None, "").unwrap_err();
    assert!(killed.contains("tsc crashed: it was killed"), "{killed}");
    // An exception that nobody caught ends with 1, like errors in types do.
    let threw = said(1, "").unwrap_err();
    assert!(threw.contains("tsc crashed: it ended with 1"), "{threw}");
    assert!(said(134, LISTED).unwrap_err().contains("crashed"));
    let error = "src/a.ts(1,2): error TS2322: Type 'x'.";
    assert!(
        said(0, &format!("{error}\n{LISTED}"))
            .unwrap_err()
            .contains("crashed")
    );
    assert!(
        said(3, &format!("{error}\n{LISTED}"))
            .unwrap_err()
            .contains("crashed")
    );
}

#[test]
fn a_compiler_that_refused_its_configuration_has_checked_nothing() {
    let global = said(1, "error TS18003: No inputs were found in config file.\n").unwrap_err();
    assert!(global.contains("TS18003"), "{global}");
    let placed = said(
        2,
        &format!("tsconfig.json(3,5): error TS5023: Unknown option.\n{LISTED}"),
    );
    assert!(
        placed
            .unwrap_err()
            .contains("refused its configuration: app/tsconfig.json:3")
    );
}

#[test]
fn a_syntax_error_keeps_types_from_being_looked_at() {
    let syntax = said(
        2,
        &format!("src/a.ts(3,1): error TS1005: ';' expected.\n{LISTED}"),
    );
    let why = syntax.unwrap_err();
    assert!(why.contains("a syntax error kept tsc"), "{why}");
    assert!(why.contains("app/src/a.ts:3"), "{why}");
}

#[test]
fn no_file_or_no_use_of_the_client_is_nothing_checked() {
    assert!(said(0, "").unwrap_err().contains("looked at no file"));
    let without = said(0, "/s/old/app/src/a.ts\n").unwrap_err();
    assert!(without.contains("none of the 1 files"), "{without}");
    assert_eq!(said(0, LISTED).unwrap(), []);
}
