//! `flow new-workflow`: a small crate with a workflow and a step of one's own, which builds against this `flow`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::args::NewWorkflow;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::files;
use crate::view;

/// The files of the crate, and where each goes.
const FILES: [(&str, &str); 7] = [
    (
        "Cargo.toml",
        include_str!("new_workflow/template/Cargo.toml.in"),
    ),
    (
        ".gitignore",
        include_str!("new_workflow/template/gitignore.in"),
    ),
    (
        "README.md",
        include_str!("new_workflow/template/README.md.in"),
    ),
    (
        "src/main.rs",
        include_str!("new_workflow/template/main.rs.in"),
    ),
    (
        "src/announce.rs",
        include_str!("new_workflow/template/announce.rs.in"),
    ),
    (
        "src/notice.rs",
        include_str!("new_workflow/template/notice.rs.in"),
    ),
    (
        "tests/run.rs",
        include_str!("new_workflow/template/run.rs.in"),
    ),
];

/// The crates it depends on, and their folders in the source of `flow`.
const CRATES: [(&str, &str); 5] = [
    ("flow-cli", "cli"),
    ("flow-engine", "engine"),
    ("flow-steps", "steps"),
    ("flow-workflows", "workflows"),
    ("flow-sandbox", "steps/sandbox"),
];

/// Where `flow` comes from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// A checkout on this machine.
    Folder(PathBuf),
    /// A git repository, by its URL.
    Git(String),
}

/// Writes the crate. Nothing that exists is touched: the folder must be new or empty.
pub(crate) fn run(args: &NewWorkflow) -> Result<Exit, Diagnostic> {
    let source = source(args.flow.as_deref())?;
    let name = name(&args.dir)?;
    refuse_used(&args.dir)?;
    let failed = |e: &std::io::Error| {
        let is_begun =
            std::fs::read_dir(&args.dir).is_ok_and(|mut entries| entries.next().is_some());
        Diagnostic::usage(format!("{} cannot be written", args.dir.display()))
            .because(e)
            .world(if is_begun {
                "What was written so far is in that folder; nothing else was changed."
            } else {
                "No file was written."
            })
    };
    for folder in ["src", "tests"] {
        std::fs::create_dir_all(args.dir.join(folder)).map_err(|e| failed(&e))?;
    }
    for (file, text) in FILES {
        files::write_new(&args.dir.join(file), &filled(text, &name, &source))?;
    }
    if let Source::Folder(folder) = &source {
        // The versions that this flow was tested with.
        let lock = folder.join("Cargo.lock");
        std::fs::copy(lock, args.dir.join("Cargo.lock")).map_err(|e| failed(&e))?;
    }
    let shown = args.dir.display();
    view::out(&format!(
        "{shown} is the crate `{name}`: a workflow `announce`, and a step with a question and an undo.\n  \
         cd {} && cargo test     builds it, and plays it on throw-away hosts\n",
        in_shell(&args.dir)
    ));
    Ok(Exit::Done)
}

/// A folder as a shell takes it.
fn in_shell(dir: &Path) -> String {
    let text = dir.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The source of this `flow`: the one that is named, else the one that this program was built from.
fn source(named: Option<&str>) -> Result<Source, Diagnostic> {
    if let Some(url) = named.filter(|named| named.contains("://")) {
        return Ok(Source::Git(url.to_owned()));
    }
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let folder = named
        .map(Path::new)
        .or(built_from)
        .unwrap_or(Path::new("."));
    let missing = CRATES.map(|(_, dir)| folder.join(dir).join("Cargo.toml"));
    let missing = missing.into_iter().find(|manifest| !manifest.is_file());
    if let Some(missing) = missing {
        let message = format!(
            "the source of flow is not in {}: there is no {}",
            folder.display(),
            missing.display()
        );
        return Err(Diagnostic::usage(message)
            .hint("flow new-workflow DIR --flow PATH     a checkout of flow")
            .hint("flow new-workflow DIR --flow https://…     its git repository"));
    }
    let folder = std::path::absolute(folder).map_err(|e| {
        Diagnostic::usage(format!("{} cannot be used", folder.display())).because(&e)
    })?;
    Ok(Source::Folder(folder))
}

/// The name of the crate: that of its folder, as cargo takes it.
fn name(dir: &Path) -> Result<String, Diagnostic> {
    let last = dir
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase());
    let last = last.unwrap_or_default();
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let between = |c: char| " ._-".contains(c);
    let is_legal = last.chars().all(|c| legal(c) || between(c));
    let name = last.replace(between, "-");
    let name = name.trim_end_matches('-');
    // The crates of flow have these names, and its own a crate may not depend on.
    let is_taken = CRATES.iter().any(|(taken, _)| *taken == name);
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if is_legal && starts && !is_taken {
        return Ok(name.to_owned());
    }
    let message = format!(
        "the folder's name is that of the crate, and `{}` is none: a letter first, then a-z, 0-9 and `-`, and not a crate of flow",
        last.escape_debug()
    );
    Err(Diagnostic::usage(message).hint("flow new-workflow our-release"))
}

fn refuse_used(dir: &Path) -> Result<(), Diagnostic> {
    let used = match std::fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        // A link that leads nowhere is there, too.
        Err(e) => e.kind() != std::io::ErrorKind::NotFound || dir.symlink_metadata().is_ok(),
    };
    if !used {
        return Ok(());
    }
    Err(Diagnostic::usage(format!(
        "{} is there already; nothing in it is overwritten",
        dir.display()
    ))
    .hint("name a folder that does not exist, or an empty one"))
}

fn filled(text: &str, name: &str, source: &Source) -> String {
    let mut text = text.replace("{{name}}", name);
    for (package, dir) in CRATES {
        let mut from = String::new();
        let _infallible = match source {
            Source::Folder(folder) => {
                let path = folder.join(dir).display().to_string();
                write!(from, "{{ path = {} }}", toml::Value::from(path))
            }
            Source::Git(url) => write!(from, "{{ git = {} }}", toml::Value::from(url.as_str())),
        };
        text = text.replace(&format!("{{{{{package}}}}}"), &from);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_a_manifest_without_gaps_for_a_checkout_and_for_a_repository() {
        for source in [
            Source::Folder("/src/flow \"x\"".into()),
            Source::Git("https://example.org/flow.git".into()),
        ] {
            for (file, text) in FILES {
                let text = filled(text, "ours", &source);
                assert!(
                    !text.contains("{{") || !text.contains("}}"),
                    "{file}: {text}"
                );
            }
            let manifest: toml::Table = filled(FILES[0].1, "ours", &source)
                .parse()
                .expect("is TOML");
            let steps = &manifest["dependencies"]["flow-steps"];
            let from = steps
                .get("path")
                .or(steps.get("git"))
                .and_then(toml::Value::as_str);
            let expected = match &source {
                Source::Folder(_) => "/src/flow \"x\"/steps",
                Source::Git(url) => url,
            };
            assert_eq!(from, Some(expected));
        }
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = dir.path().join("ours");
        let args = || NewWorkflow {
            dir: at.clone(),
            flow: None,
        };
        std::fs::create_dir(&at).expect("makes");
        std::fs::write(at.join("README.md"), "mine").expect("writes");
        let refused = run(&args()).expect_err("is refused");
        assert_eq!(refused.exit, Exit::Usage);
        let left: Vec<_> = std::fs::read_dir(&at).expect("reads").collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(
            std::fs::read_to_string(at.join("README.md")).expect("reads"),
            "mine"
        );
    }

    #[test]
    fn the_name_of_the_crate_is_one_that_cargo_takes() {
        let named = |dir: &str| name(Path::new(dir)).ok();
        assert_eq!(named("/x/Our Release").as_deref(), Some("our-release"));
        for bad in [
            "/x/9",
            "/",
            "/x/flow-cli",
            "/x/---",
            "/x/Ünï",
            "-x",
            "/x/a$b",
        ] {
            assert_eq!(named(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_link_that_leads_nowhere_is_refused_and_a_folder_is_named_as_a_shell_takes_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let link = dir.path().join("ours");
        std::os::unix::fs::symlink(dir.path().join("gone"), &link).expect("a link");
        let args = NewWorkflow {
            dir: link,
            flow: None,
        };
        let refused = run(&args).expect_err("is refused");
        assert!(refused.render().contains("is there already"));
        assert_eq!(in_shell(Path::new("/x/a-1.b")), "/x/a-1.b");
        assert_eq!(in_shell(Path::new("a b'c")), r"'a b'\''c'");
    }

    #[test]
    fn every_example_of_the_guide_stands_in_a_file_that_is_written_and_tested() {
        let guide = include_str!("../../../docs/writing-a-workflow.md");
        let mut blocks = 0;
        for block in guide.split("```rust\n").skip(1) {
            let (code, _) = block.split_once("```").expect("a block ends");
            let written = FILES.iter().any(|(_, text)| text.contains(code));
            assert!(written, "this stands in no file of the template:\n{code}");
            blocks += 1;
        }
        assert!(blocks >= 4, "{blocks} examples");
    }
}
