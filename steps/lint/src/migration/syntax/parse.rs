//! From files to operations: in parallel, within bounds of depth and time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use squawk_syntax::{SourceFile, SyntaxKind as K, SyntaxNode, ast::AstNode};

use super::{MAX_ERRORS, Reader, labels, range};
use crate::migration::guard::{self, Refusal};
use crate::migration::load::Migration;
use crate::migration::op::{Content, Problem, Site, Trouble};
use crate::migration::suppress;

/// Stack of the parsing thread; the guard keeps the worst nesting under 16 MiB in an unoptimised build.
const STACK: usize = 128 << 20;
/// A file that takes longer is reported as not checkable. The largest real migration known takes well under a second.
const PATIENCE: Duration = Duration::from_mins(1);
/// Larger files are read by a thread of their own, so that one can be given up.
const LARGE: usize = 128 << 10;

/// Reads every file, in order. Never panics and always ends; what could not be read is in `problems`.
pub(in crate::migration) fn parse_all(migrations: &[Migration]) -> Vec<Content> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(migration) = migrations.get(at) else {
                return done;
            };
            done.push((at, parse(migration)));
        }
    };
    let mut all = vec![None; migrations.len()];
    thread::scope(|scope| {
        let spawned: Vec<_> = (0..workers.min(migrations.len()))
            .map(|_| {
                thread::Builder::new()
                    .name("migration-parser".to_owned())
                    .stack_size(STACK)
                    .spawn_scoped(scope, work)
            })
            .collect();
        for worker in spawned.into_iter().flatten() {
            for (at, parsed) in worker.join().unwrap_or_default() {
                all[at] = Some(parsed);
            }
        }
    });
    let missing = || {
        failed(
            "",
            0,
            Trouble::Unreadable,
            "no thread could be started to read it",
        )
    };
    all.into_iter()
        .map(|each| each.unwrap_or_else(missing))
        .collect()
}

fn parse(migration: &Migration) -> Content {
    let sql = migration.sql.as_str();
    if let Some(why) = &migration.unreadable {
        return failed(sql, 0, Trouble::Unreadable, why);
    }
    match guard::check(sql) {
        Ok(()) => {}
        Err(Refusal::Unterminated(at)) => {
            let message =
                "a string, quoted name, dollar quote or comment starts here and never ends";
            return failed(sql, at, Trouble::Syntax, message);
        }
        Err(Refusal::Zero(at)) => return failed(sql, at, Trouble::Syntax, "a zero byte"),
        Err(Refusal::TooDeep(at)) => {
            return failed(
                sql,
                at,
                Trouble::Unreadable,
                "nested too deeply to be read safely",
            );
        }
    }
    if sql.len() <= LARGE {
        let parsed = std::panic::catch_unwind(|| read(sql));
        return parsed.unwrap_or_else(|_| failed(sql, 0, Trouble::Unreadable, FAILED));
    }
    patiently(sql)
}

const FAILED: &str = "the SQL parser failed on it";

fn patiently(sql: &str) -> Content {
    let (sender, receiver) = mpsc::channel();
    let text = sql.to_owned();
    let spawned = thread::Builder::new()
        .name("migration-parser".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            // Nobody listens any more after a timeout.
            sender.send(read(&text)).ok();
        });
    let Ok(worker) = spawned else {
        return failed(
            sql,
            0,
            Trouble::Unreadable,
            "no thread could be started to read it",
        );
    };
    match receiver.recv_timeout(PATIENCE) {
        Ok(parsed) => {
            worker.join().ok();
            parsed
        }
        Err(mpsc::RecvTimeoutError::Timeout) => failed(
            sql,
            0,
            Trouble::Unreadable,
            "reading it took longer than a minute",
        ),
        Err(mpsc::RecvTimeoutError::Disconnected) => failed(sql, 0, Trouble::Unreadable, FAILED),
    }
}

fn failed(sql: &str, at: usize, trouble: Trouble, message: &str) -> Content {
    let site = Site {
        start: at,
        end: sql.len().min(at + 80),
        inside: None,
    };
    Content {
        items: Vec::new(),
        problems: vec![Problem {
            site,
            trouble,
            message: message.to_owned(),
        }],
        ..Content::default()
    }
}

fn read(text: &str) -> Content {
    let parse = SourceFile::parse(text);
    let mut reader = Reader {
        parsed: Content::default(),
        place: &|node: &SyntaxNode| range(node),
        inside: None,
    };
    for error in parse.errors().into_iter().take(MAX_ERRORS) {
        reader.parsed.problems.push(Problem {
            site: Site {
                start: usize::from(error.range().start()),
                end: usize::from(error.range().end()),
                inside: None,
            },
            trouble: Trouble::Syntax,
            message: error.message().to_owned(),
        });
    }
    let root = parse.tree().syntax().clone();
    let mut added = labels::Additions::default();
    for statement in root.children() {
        if statement.kind() != K::EMPTY_STMT {
            reader.parsed.statements += 1;
            reader.parsed.spans.push(range(&statement));
            let before = reader.parsed.items.len();
            reader.statement(&statement);
            if let Some(op) = added.after(&statement, &reader.parsed.items[before..]) {
                reader.push(&statement, op);
            }
        }
    }
    if text.contains(suppress::MARK) {
        let comments = root.descendants_with_tokens().filter_map(|each| {
            let token = each
                .into_token()
                .filter(|token| token.kind() == K::COMMENT)?;
            let at = usize::from(token.text_range().start());
            token
                .text()
                .contains(suppress::MARK)
                .then(|| (at, token.text().to_owned()))
        });
        reader.parsed.directives = comments.collect();
    }
    reader.parsed
}
