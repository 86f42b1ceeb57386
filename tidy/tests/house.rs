//! The workspace against its own rules.
//!
//! `breaches.txt` counts, for each rule and file, what was there when the rule came. It may only shrink: one more is a
//! failure, and so is a count that is higher than what is there. `FLOW_TIDY_SHRINK=1` writes the lower counts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use flow_tidy::imports::Imports;
use flow_tidy::source::Source;
use flow_tidy::{Breach, circles, imports, layers, lengths, source, words};

/// The crates: name, folder of sources, root file, manifest, and the crates that lie below.
struct Crate {
    name: &'static str,
    folder: &'static str,
    root: &'static str,
    manifest: &'static str,
    below: &'static [&'static str],
}

const CRATES: [Crate; 7] = [
    Crate {
        name: "flow-engine",
        folder: "engine/src",
        root: "engine/src/lib.rs",
        manifest: "engine/Cargo.toml",
        below: &[],
    },
    Crate {
        name: "flow-lint",
        folder: "steps/lint/src",
        root: "steps/lint/src/lib.rs",
        manifest: "steps/lint/Cargo.toml",
        below: &[],
    },
    Crate {
        name: "flow-sandbox",
        folder: "steps/sandbox/src",
        root: "steps/sandbox/src/lib.rs",
        manifest: "steps/sandbox/Cargo.toml",
        below: &[],
    },
    Crate {
        name: "flow-steps",
        folder: "steps/src",
        root: "steps/src/lib.rs",
        manifest: "steps/Cargo.toml",
        // The sandbox serves the test rigs that others may switch on.
        below: &["flow-engine", "flow-lint", "flow-sandbox"],
    },
    Crate {
        name: "flow-workflows",
        folder: "workflows/src",
        root: "workflows/src/lib.rs",
        manifest: "workflows/Cargo.toml",
        below: &["flow-engine", "flow-lint", "flow-steps"],
    },
    Crate {
        name: "flow-cli",
        folder: "cli/src",
        root: "cli/src/lib.rs",
        manifest: "cli/Cargo.toml",
        // `flow demo` makes its own hosts.
        below: &[
            "flow-engine",
            "flow-lint",
            "flow-sandbox",
            "flow-steps",
            "flow-workflows",
        ],
    },
    Crate {
        name: "flow-tidy",
        folder: "tidy/src",
        root: "tidy/src/lib.rs",
        manifest: "tidy/Cargo.toml",
        below: &[],
    },
];

/// What any step may use: ways to a host, to PostgreSQL, to a process manager, to people's keys. None of them has a KIND that
/// another step would have to know.
const MEANS: [&str; 1] = ["means"];

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate lies in a folder of the workspace")
        .to_owned()
}

/// What breaks each rule, by the name it has in `breaches.txt`; read once for all tests.
fn found() -> &'static BTreeMap<&'static str, Vec<Breach>> {
    static FOUND: OnceLock<BTreeMap<&'static str, Vec<Breach>>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let folders = CRATES.map(|each| each.folder);
        let sources = source::read(&root(), &folders).expect("the sources can be read");
        let imports: BTreeMap<&str, Imports> = CRATES
            .iter()
            .map(|each| (each.name, imports::of_crate(each.root, &sources)))
            .collect();
        let shipped: Vec<&Source> = sources.iter().filter(|each| !each.is_test()).collect();
        let over = |rule: &dyn Fn(&Source) -> Vec<Breach>| -> Vec<Breach> {
            shipped.iter().flat_map(|source| rule(source)).collect()
        };
        BTreeMap::from([
            ("circle", imports.values().flat_map(circles::find).collect()),
            (
                "step",
                layers::steps_apart(&imports["flow-steps"], "steps/src/", &MEANS, &[]),
            ),
            ("clock", over(&tells_the_time)),
            ("print", over(&prints)),
            (
                "file",
                over(&|source| lengths::file(source).into_iter().collect()),
            ),
            ("function", over(&lengths::functions)),
            ("stub", over(&words::stubs)),
            ("participle", over(&words::participles)),
            (
                "allow",
                sources.iter().flat_map(words::allowances).collect(),
            ),
        ])
    })
}

/// Where the time comes from: the clock of the engine, and one for limits of time in each crate that has no crate below it; and
/// where a program and a test take the clock that they hand on.
const TIMEKEEPERS: [&str; 5] = [
    "engine/src/clock.rs",
    "steps/lint/src/clock.rs",
    "steps/sandbox/src/clock.rs",
    "cli/src/session.rs",
    "engine/src/testing/rig.rs",
];

fn tells_the_time(source: &Source) -> Vec<Breach> {
    if TIMEKEEPERS.contains(&source.file.as_str()) {
        return Vec::new();
    }
    words::forbidden(source, &words::CLOCKS)
}

fn prints(source: &Source) -> Vec<Breach> {
    if source.file.starts_with("cli/src/") {
        return Vec::new();
    }
    words::forbidden(source, &words::TERMINALS)
}

/// Fails unless each file has as many breaches as `breaches.txt` says.
fn hold(rule: &str) {
    let breaches = &found()[rule];
    let path = root().join("tidy/tests/breaches.txt");
    let known = fs::read_to_string(&path).expect("the list of known breaches");
    let mut allowed: BTreeMap<String, usize> = known
        .lines()
        .filter_map(|line| {
            let mut parts = line.split(' ');
            (parts.next() == Some(rule)).then(|| {
                let file = parts.next().expect("a file").to_owned();
                let count = parts.next().and_then(|count| count.parse().ok());
                (file, count.expect("a count"))
            })
        })
        .collect();
    let mut by_file: BTreeMap<String, Vec<&Breach>> = BTreeMap::new();
    for breach in breaches {
        by_file.entry(breach.file.clone()).or_default().push(breach);
    }
    let mut text = String::new();
    for (file, breaches) in &by_file {
        let known = allowed.remove(file).unwrap_or_default();
        if breaches.len() > known {
            for breach in breaches {
                writeln!(text, "{file}:{}: {}", breach.line, breach.what).expect("a text");
            }
            writeln!(text, "    of these {known} were there before\n").expect("a text");
        } else if breaches.len() < known {
            let now = breaches.len();
            writeln!(
                text,
                "{rule} {file} {now}    is all that is left: write it into breaches.txt"
            )
            .expect("a text");
        }
    }
    for (file, _) in allowed {
        writeln!(
            text,
            "{rule} {file}    is mended: take it out of breaches.txt"
        )
        .expect("a text");
    }
    if std::env::var_os("FLOW_TIDY_SHRINK").is_some() {
        return shrink(&path, rule, &by_file);
    }
    assert!(text.is_empty(), "{rule}:\n{text}");
}

/// Writes lower counts into the list; never a higher one.
fn shrink(path: &Path, rule: &str, found: &BTreeMap<String, Vec<&Breach>>) {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().expect("no panic");
    let known = fs::read_to_string(path).expect("the list of known breaches");
    let mut text = String::new();
    for line in known.lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        let &[name, file, count] = parts.as_slice() else {
            writeln!(text, "{line}").expect("a text");
            continue;
        };
        let count: usize = count.parse().expect("a count");
        let now = if name == rule {
            found.get(file).map_or(0, Vec::len).min(count)
        } else {
            count
        };
        if now > 0 {
            writeln!(text, "{name} {file} {now}").expect("a text");
        }
    }
    fs::write(path, text).expect("the list can be written");
}

#[test]
fn no_files_import_one_another_in_a_circle() {
    hold("circle");
}

#[test]
fn crates_depend_on_what_lies_below_them() {
    let mut all = Vec::new();
    for each in &CRATES {
        let manifest = fs::read_to_string(root().join(each.manifest)).expect("a manifest");
        all.extend(layers::dependencies(each.manifest, &manifest, each.below));
    }
    assert_eq!(all, []);
}

#[test]
fn steps_take_nothing_of_one_another_but_means() {
    hold("step");
}

#[test]
fn only_the_clock_tells_the_time() {
    hold("clock");
}

#[test]
fn only_the_command_line_prints() {
    hold("print");
}

#[test]
fn files_and_functions_are_short() {
    hold("file");
    hold("function");
}

#[test]
fn doc_comments_say_something() {
    hold("stub");
}

#[test]
fn types_are_named_by_nouns() {
    hold("participle");
}

#[test]
fn nothing_is_allowed_without_a_reason() {
    hold("allow");
}
