//! Running `tsc` and reading what it says.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::NotChecked;
use super::client::Client;
use super::process::{Node, ProcessEnd};
use super::tree::Tree;
use crate::code::Hit;

/// TypeScript's compiler, relative to `node_modules`.
pub(super) const TOOL: &str = "typescript/bin/tsc";

/// Over what `tsconfig.json` says. No file is written, also where the configuration names one: hence the `null`s, which
/// unset what may not stand without what is switched off.
const OPTIONS: [&str; 19] = [
    "--noEmit",
    "--pretty",
    "false",
    "--strictNullChecks",
    "true",
    "--listFiles",
    "true",
    "--incremental",
    "false",
    "--composite",
    "false",
    "--declarationMap",
    "false",
    "--emitDeclarationOnly",
    "false",
    "--tsBuildInfoFile",
    "null",
    "--generateTrace",
    "null",
];

/// Since TypeScript 5.5 a configuration can switch all checking of types off; an older compiler does not know the word.
const CHECK: [&str; 2] = ["--noCheck", "false"];

/// A message is cut after so many characters.
const MESSAGE: usize = 500;

static ERROR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(.+?)\((\d{1,9}),(\d{1,9})\): error TS(\d{1,6}): (.*)$").expect("a fixed pattern")
});

static GLOBAL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^error TS\d+: ").expect("a fixed pattern"));

/// What tells two errors apart.
type Key = (String, u32, u32, u32);

/// Checks a tree; the errors in files that were not generated, and only when the whole program was looked at.
pub(super) async fn check(
    node: &Node,
    tsc: &Path,
    tree: &Tree,
    folder: &Path,
    client: &Client,
) -> Result<Vec<Hit>, NotChecked> {
    let dir = tree.root.join(folder);
    let mut args: Vec<&OsStr> = vec!["-p".as_ref(), "tsconfig.json".as_ref()];
    args.extend(OPTIONS.iter().map(OsStr::new));
    let with_check = [&args[..], &CHECK.map(OsStr::new)].concat();
    let mut ended = node.run("tsc", tsc, &with_check, &dir).await?;
    if ended.stdout.contains("error TS5023") && ended.stdout.contains("noCheck") {
        ended = node.run("tsc", tsc, &args, &dir).await?;
    }
    read(&ended, &node.shown(&tree.root), folder, client)
}

fn read(
    ended: &ProcessEnd,
    root: &Path,
    folder: &Path,
    client: &Client,
) -> Result<Vec<Hit>, NotChecked> {
    let mut errors: Vec<(Hit, u32)> = Vec::new();
    let (mut files, mut generated) = (0_usize, 0_usize);
    for line in ended.stdout.lines() {
        if let Some(found) = ERROR.captures(line) {
            errors.push(error(&found, folder));
        } else if GLOBAL.is_match(line) {
            return Err(NotChecked(format!("tsc refused: {}", cut(line))));
        } else if line.starts_with(' ') {
            if let Some((hit, _)) = errors.last_mut() {
                hit.message = cut(&format!("{} {}", hit.message, line.trim()));
            }
        } else if let Ok(file) = Path::new(line).strip_prefix(root) {
            if client.made(file) {
                generated += 1;
            } else if !file
                .components()
                .any(|part| part.as_os_str() == "node_modules")
            {
                files += 1;
            }
        }
    }
    // 1 and 2 both mean errors; anything else, and either without errors, is a crash.
    let whole = match ended.code {
        Some(0) => errors.is_empty(),
        Some(1 | 2) => !errors.is_empty(),
        _ => false,
    };
    if !whole {
        return Err(NotChecked(format!(
            "tsc crashed: it {}",
            ended.last_words()
        )));
    }
    types_were_looked_at(&errors)?;
    if files == 0 {
        return Err(NotChecked(
            "tsc looked at no file; does tsconfig.json only refer to others?".to_owned(),
        ));
    }
    if generated == 0 {
        return Err(NotChecked(format!(
            "none of the {files} files tsc looked at uses the generated client"
        )));
    }
    let kept = errors.into_iter().map(|(hit, _)| hit);
    Ok(kept
        .filter(|hit| !client.made(Path::new(&hit.file)))
        .collect())
}

/// `tsc` does not look at types when the syntax of any file, or the configuration, is wrong.
fn types_were_looked_at(errors: &[(Hit, u32)]) -> Result<(), NotChecked> {
    let place = |hit: &Hit| format!("{}:{}: {}", hit.file, hit.line, hit.message);
    if let Some((hit, _)) = errors.iter().find(|(hit, _)| {
        Path::new(&hit.file)
            .extension()
            .is_some_and(|it| it == "json")
    }) {
        return Err(NotChecked(format!(
            "tsc refused its configuration: {}",
            place(hit)
        )));
    }
    match errors.first() {
        Some((hit, _)) if !errors.iter().any(|(_, code)| is_about_types(*code)) => {
            Err(NotChecked(format!(
                "a syntax error kept tsc from looking at types: {}",
                place(hit)
            )))
        }
        _ => Ok(()),
    }
}

/// Whether only the type checker says this. The parser's own are those of 1000 to 1999, 8000 to 8999 and 17000 to 17999
/// and the few named here (TypeScript 5.9, `Parser` in `_tsc.js`); the checker uses some of these too, so the answer may
/// be no where it is yes, and the code then counts as not checked.
fn is_about_types(code: u32) -> bool {
    match code {
        2427 | 2457 | 2657 | 2754 | 2809 | 2819 => false,
        2000..=2999 | 4000..=4999 | 6000..=7999 | 18046..=18050 => true,
        _ => false,
    }
}

fn error(found: &regex::Captures<'_>, folder: &Path) -> (Hit, u32) {
    let number = |index: usize| found[index].parse().unwrap_or_default();
    let code: u32 = number(4);
    let hit = Hit {
        file: relative(&folder.join(&found[1])),
        line: number(2),
        column: number(3),
        kind: "type-error".to_owned(),
        about: format!("TS{code}"),
        message: cut(&found[5]),
    };
    (hit, code)
}

/// Without `..`: the compiler names files relative to its own folder.
fn relative(path: &Path) -> String {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::ParentDir if clean.pop() => {}
            _ => {}
        }
    }
    clean.to_string_lossy().into_owned()
}

fn cut(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MESSAGE)
        .collect()
}

/// The errors only `new` has, as often as it has more of them.
pub(super) fn added(old: &[Hit], new: Vec<Hit>) -> Vec<Hit> {
    let mut known: BTreeMap<Key, usize> = BTreeMap::new();
    for hit in old {
        *known.entry(key(hit)).or_default() += 1;
    }
    let mut added: Vec<Hit> = new
        .into_iter()
        .filter(|hit| match known.get_mut(&key(hit)) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        })
        .collect();
    added.sort();
    added
}

fn key(hit: &Hit) -> Key {
    let code = hit.about.trim_start_matches("TS").parse();
    (
        hit.file.clone(),
        hit.line,
        hit.column,
        code.unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests;
