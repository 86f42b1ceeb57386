//! What the compiler cannot see of a changed schema, found in the syntax of TypeScript and JavaScript.
//!
//! It needs neither the packages of the project nor that it compiles, and it sees what types hide: `any`, `!`,
//! `@ts-ignore`, SQL in strings, plain JavaScript. It does not follow a value into a function. What it goes by:
//!
//! - **Names.** `x.field` counts for a model when the model of `x` can be told from the file (a type, a query of the
//!   client, a relation, an element of a list), and then for that model only. Otherwise a plain access counts when any
//!   name or string of the file contains the model's name in whatever case; `any`, `!`, `@ts-ignore` and SQL count always.
//! - **Guards.** What proves a value present: see [`guard`]. A proof about a property ends at the border of a function, as
//!   it does for the compiler; one about a variable that is never assigned again holds in the closures inside.
//! - **Enums.** A label counts when its enum can be told: `Enum.VALUE`, a type, or a field of that enum beside it.

mod comments;
mod guard;
mod labels;
mod model;
mod nesting;
mod nulls;
mod path;
mod proof;
mod sql;
mod templates;
mod used;
mod values;
mod view;

use std::sync::mpsc;
use std::time::Duration;

use oxc_allocator::Allocator;
use oxc_parser::{ParseOptions, Parser};
use oxc_semantic::SemanticBuilder;
use oxc_span::SourceType;

pub use self::templates::{Template, templates};
use self::view::View;
use super::Hit;
use super::schema::{Changes, Schema};

/// The most of a file that is looked at, in bytes: what is larger is generated.
pub const MOST: usize = 2 << 20;

/// How long one file may take. The largest that was measured takes a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// The stack of the thread that parses: enough for [`nesting::MOST`] levels without optimisation.
const STACK: usize = 512 << 20;

/// The endings of files that [`look`] reads.
pub const ENDINGS: [&str; 8] = ["ts", "tsx", "mts", "cts", "js", "jsx", "mjs", "cjs"];

/// Whether [`look`] reads a file of this name.
pub fn reads(file: &str) -> bool {
    file.rsplit_once('.')
        .is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

/// As [`look`], for a file as it is on disk: one that is not UTF-8 is one hit `not-read`.
pub fn look_bytes(file: &str, bytes: &[u8], old: &Schema, changes: &Changes) -> Vec<Hit> {
    match std::str::from_utf8(bytes) {
        Ok(text) => look(file, text, old, changes),
        Err(_) if reads(file) => vec![not_read(file, "it is not UTF-8")],
        Err(_) => Vec::new(),
    }
}

/// The places in a file that the change reaches, in their order, each once. A file that cannot be read is one hit
/// `not-read` with the reason; a file of another kind has none. `old` is the schema before the change.
///
/// Beside the words of [`Hit::kind`] there is `added-value`: a `switch` that knew every value of an enum and has no
/// `default`; nothing breaks before such a value is written.
///
/// It returns within 20 seconds: a thread that takes longer is left to itself until the process ends.
pub fn look(file: &str, text: &str, old: &Schema, changes: &Changes) -> Vec<Hit> {
    if !reads(file) || !mentions(text, changes) {
        return Vec::new();
    }
    match with_syntax(
        file,
        text,
        (old.clone(), changes.clone()),
        |view, (old, changes)| view.about(old, changes),
    ) {
        Ok(mut hits) => {
            hits.sort_by(|a, b| (a.line, a.column, a).cmp(&(b.line, b.column, b)));
            hits.dedup();
            hits
        }
        Err(why) => vec![not_read(file, &why)],
    }
}

/// Whether a word that matters is in the text at all: most files have none and need not be parsed.
fn mentions(text: &str, changes: &Changes) -> bool {
    let fields = changes.nullable.iter().chain(&changes.removed);
    let names = fields.flat_map(|f| [&f.field, &f.column, &f.table]);
    let gone = changes.values_removed.iter();
    let values = gone.flat_map(|v| [&v.value, &v.label]);
    let enums = changes.values_added.iter().map(|v| &v.of);
    let switch = !changes.values_added.is_empty() && text.contains("switch");
    switch
        || names
            .chain(values)
            .chain(enums)
            .any(|word| text.contains(word.as_str()))
}

/// Parses in a thread of its own, where neither a deep nesting nor an endless parse reaches the caller, and hands what
/// was read to `with`.
fn with_syntax<D, T>(
    file: &str,
    text: &str,
    data: D,
    with: impl FnOnce(&View<'_, '_>, &D) -> T + Send + 'static,
) -> Result<T, String>
where
    D: Send + 'static,
    T: Send + 'static,
{
    if text.len() > MOST {
        return Err(format!("it is larger than {MOST} bytes"));
    }
    if nesting::too_deep(text) {
        return Err("it is nested too deeply".into());
    }
    let (answer, answered) = mpsc::sync_channel(1);
    let (file, text) = (file.to_owned(), text.to_owned());
    std::thread::Builder::new()
        .name("syntax".into())
        .stack_size(STACK)
        .spawn(move || drop(answer.send(parsed(&file, &text, &data, with))))
        .map_err(|err| format!("no thread could be started for it: {err}"))?;
    match answered.recv_timeout(PATIENCE) {
        Ok(found) => found,
        Err(mpsc::RecvTimeoutError::Timeout) => Err("reading it takes too long".into()),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err("the parser gave up on it".into()),
    }
}

fn parsed<D, T>(
    file: &str,
    text: &str,
    data: &D,
    with: impl FnOnce(&View<'_, '_>, &D) -> T,
) -> Result<T, String> {
    let kind = SourceType::from_path(file).map_err(|err| err.to_string())?;
    // JSX in `.js` is common, and a file that calls itself a module need not be one.
    let kind = if kind.is_javascript() {
        kind.with_jsx(true)
    } else {
        kind
    };
    let memory = Allocator::default();
    let options = ParseOptions {
        preserve_parens: false,
        allow_return_outside_function: true,
        ..ParseOptions::default()
    };
    let read = Parser::new(&memory, text, kind)
        .with_options(options)
        .parse();
    if let Some(first) = read.diagnostics.iter().next() {
        return Err(format!("it does not parse: {first}"));
    }
    let built = SemanticBuilder::new()
        .with_build_nodes(true)
        .build(&read.program);
    Ok(with(&View::new(file, text, &built.semantic), data))
}

fn not_read(file: &str, why: &str) -> Hit {
    Hit {
        file: file.to_owned(),
        line: 1,
        column: 1,
        kind: "not-read".into(),
        about: String::new(),
        message: format!("the file was not looked at: {why}"),
    }
}

#[cfg(test)]
mod tests;
