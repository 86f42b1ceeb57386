//! Each rule is broken once, and the breach is found; beside it stands what is no breach.

use flow_tidy::source::Source;
use flow_tidy::{circles, imports, layers, lengths, words};

fn source(file: &str, text: &str) -> Source {
    Source::parse(file, text).expect("it parses")
}

fn imports_of(files: &[(&str, &str)]) -> imports::Imports {
    let sources: Vec<Source> = files
        .iter()
        .map(|(file, text)| source(file, text))
        .collect();
    imports::of_crate("x/src/lib.rs", &sources)
}

#[test]
fn two_files_that_need_one_another_are_a_circle() {
    let found = circles::find(&imports_of(&[
        ("x/src/lib.rs", "mod a; mod b;"),
        ("x/src/a.rs", "use crate::b::B; pub struct A(B);"),
        (
            "x/src/b.rs",
            "pub struct B; fn f() { let _ = crate::a::A::new(); }",
        ),
    ]));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].what.contains("x/src/a.rs -> x/src/b.rs: B"),
        "{}",
        found[0].what
    );
    assert!(
        found[0].what.contains("x/src/b.rs -> x/src/a.rs: A"),
        "{}",
        found[0].what
    );
}

#[test]
fn a_circle_through_a_re_export_a_glob_a_renamed_module_and_a_macro_is_found() {
    for way in [
        "use crate::A; pub struct B(A);",
        "use crate::a::*; pub struct B(A);",
        "use super::a as other; pub struct B(other::A);",
        "pub struct B; fn f() { println!(\"{}\", crate::a::A); }",
    ] {
        let found = circles::find(&imports_of(&[
            ("x/src/lib.rs", "mod a; mod b; pub use a::A;"),
            ("x/src/a.rs", "use super::b; pub struct A; fn f(_: b::B) {}"),
            ("x/src/b.rs", way),
        ]));
        assert_eq!(found.len(), 1, "{way}");
    }
}

#[test]
fn a_part_of_a_module_a_re_export_and_a_test_are_no_circle() {
    let found = circles::find(&imports_of(&[
        ("x/src/lib.rs", "mod a;"),
        (
            "x/src/a.rs",
            "mod part; pub use part::Part; pub struct A; fn f() { part::g(); }",
        ),
        (
            "x/src/a/part.rs",
            "use super::A; pub struct Part(A); pub fn g() {}",
        ),
    ]));
    assert_eq!(found, []);
    let found = circles::find(&imports_of(&[
        ("x/src/lib.rs", "mod a; mod b;"),
        ("x/src/a.rs", "use crate::b::B; pub struct A(B);"),
        (
            "x/src/b.rs",
            "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }",
        ),
    ]));
    assert_eq!(found, []);
}

#[test]
fn a_crate_that_depends_on_one_above_it_is_found() {
    let upward = "[dependencies]\nflow-cli.workspace = true\nserde = \"1\"\n";
    let found = layers::dependencies("engine/Cargo.toml", upward, &[]);
    assert_eq!(found.len(), 1);
    assert!(found[0].what.contains("flow-cli"));
    let for_tests = "[dev-dependencies]\nflow-sandbox.workspace = true\n";
    assert_eq!(layers::dependencies("steps/Cargo.toml", for_tests, &[]), []);
    assert_eq!(
        layers::dependencies("x/Cargo.toml", "not toml", &[]).len(),
        1
    );
}

#[test]
fn a_step_that_takes_something_of_another_step_is_found() {
    let imports = imports_of(&[
        ("x/src/lib.rs", "mod a; mod b; mod host;"),
        (
            "x/src/a.rs",
            "use crate::b::B; use crate::host::Host; use crate::b::store::Store;",
        ),
        ("x/src/b.rs", "pub mod store; pub struct B;"),
        ("x/src/b/store.rs", "pub struct Store;"),
        ("x/src/host.rs", "pub struct Host;"),
    ]);
    let means = ["host", "b/store"];
    let found = layers::steps_apart(&imports, "x/src/", &means, &[]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].what.contains("takes B of the step `b`"),
        "{}",
        found[0].what
    );
    assert_eq!(
        layers::steps_apart(&imports, "x/src/", &means, &[("a", "b")]),
        []
    );
    // `hosted` is not inside `host`.
    assert_eq!(
        layers::steps_apart(&imports, "x/src/", &["hos", "b"], &[]).len(),
        1
    );
}

#[test]
fn a_file_that_tells_the_time_is_found() {
    for (text, line) in [
        ("fn f() {\n    let _ = std::time::Instant::now();\n}", 2),
        (
            "use std::time::SystemTime;\nfn f() { SystemTime::now(); }",
            2,
        ),
        ("use flow_engine::clock::SystemClock;", 1),
        ("fn f() {\n    let _ = clock::system().now();\n}", 2),
        ("fn f() { jiff::Timestamp::now(); }", 1),
        ("fn f() { assert!(jiff::Zoned::now() > x); }", 1),
    ] {
        let found = words::forbidden(&source("x/src/a.rs", text), &words::CLOCKS);
        assert_eq!(
            found.iter().map(|b| b.line).collect::<Vec<_>>(),
            [line],
            "{text}"
        );
    }
    let fine = "fn f(clock: &dyn Clock) { clock.now(); let now = Instant { now: 1 }; }\n\
                #[cfg(test)]\nmod tests { fn f() { std::time::Instant::now(); } }";
    assert_eq!(
        words::forbidden(&source("x/src/a.rs", fine), &words::CLOCKS),
        []
    );
}

#[test]
fn a_file_that_prints_is_found() {
    for text in [
        "fn f() { println!(\"x\"); }",
        "fn f() { if a { eprint!(\"x\"); } }",
        "fn f() { dbg!(1); }",
        "fn f() { std::io::stdout().flush(); }",
        "use std::io::{self};\nfn f() { io::stderr(); }",
    ] {
        let found = words::forbidden(&source("x/src/a.rs", text), &words::TERMINALS);
        assert_eq!(found.len(), 1, "{text}");
    }
    let fine =
        "/// Like `println!`.\nfn f() { writeln!(out, \"println!\"); let stdout = child.stdout; }";
    assert_eq!(
        words::forbidden(&source("x/src/a.rs", fine), &words::TERMINALS),
        []
    );
}

#[test]
fn a_file_and_a_function_that_are_too_long_are_found() {
    let lines = "//\n".repeat(lengths::FILE);
    assert!(lengths::file(&source("x/src/a.rs", &lines)).is_none());
    assert!(lengths::file(&source("x/src/a.rs", &(lines + "//\n"))).is_some());

    let body = "        x();\n".repeat(lengths::FUNCTION);
    let in_impl = |body: &str| format!("impl A {{\n    fn long() {{\n{body}    }}\n}}\n");
    let with_comments = format!("        // Why.\n\n{body}");
    assert_eq!(
        lengths::functions(&source("x/src/a.rs", &in_impl(&with_comments))),
        []
    );
    let found = lengths::functions(&source("x/src/a.rs", &in_impl(&(body + "        y();\n"))));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].what.contains("`long` has 61 lines"),
        "{}",
        found[0].what
    );
}

#[test]
fn a_doc_comment_of_two_words_is_found() {
    let text = "//! The module.\n\n/// Why.\nstruct A {\n    /// How long it may take, in seconds.\n    a: u64,\n    /// A sentence\n    /// on two lines.\n    b: u64,\n}\n";
    let found = words::stubs(&source("x/src/a.rs", text));
    assert_eq!(found.iter().map(|b| b.line).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn a_type_named_by_a_bare_participle_is_found() {
    let text = "struct Kept; enum Looked {} type Told = u8; trait Accepted {} struct KeptJob; struct Seed; struct Backup;";
    let found = words::participles(&source("x/src/a.rs", text));
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn an_allow_is_found_and_an_expect_is_not() {
    let text = "#![allow(dead_code)]\n#[cfg_attr(x, allow(unused))]\nfn a() {}\n#[expect(unused, reason = \"allow\")]\nfn allow() {}\nfn f() { allow(1); }\n";
    let found = words::allowances(&source("x/src/a.rs", text));
    assert_eq!(found.iter().map(|b| b.line).collect::<Vec<_>>(), [1, 2]);
}
