//! `flow rows`: rows that a run lost or changed, or that its rollback set aside, as the host has them.

use std::fmt::Write as _;
use std::path::Path;

use flow_engine::run::{Run, Status};
use flow_engine::step::Step as _;
use flow_steps::pg::{Addition, Baseline, OutlookError};
use flow_steps::pg::{Fate, Row, RunRows, TableRows, rows_of};
use serde_json::Value;

use crate::args::Rows;
use crate::diagnostic::Diagnostic;
use crate::driver::Driver;
use crate::exit::Exit;
use crate::files;
use crate::session::Session;
use crate::view::{self, next};

/// How many rows of each table are shown on the terminal; `--csv` and `--json` have all.
const SHOWN: usize = 50;

/// Reads which rows a run lost or changed, or its rollback set aside. They go to whoever asked, and nowhere else.
pub(crate) async fn run(session: &Session, args: &Rows) -> Result<Exit, Diagnostic> {
    let run = {
        let store = session.open().await?;
        store.find(&args.run).await?
    };
    let driver = {
        let store = session.look().await?;
        store.driver(&run)
    };
    if let Some(why) = no_backup(&run, &driver) {
        return Err(why);
    }
    let hosts = session.project()?.hosts();
    view::note("Restoring the backup into a scratch database to compare row by row.\n");
    let found = rows_of(&run, &hosts, args.table.as_deref(), &|_| {}).await;
    let found = found.map_err(|why| {
        let exit = match why {
            OutlookError::Impossible(_) => Exit::Refused,
            OutlookError::Unknown(_) => Exit::Unknown,
        };
        Diagnostic::new(exit, format!("the rows of run {} cannot be read", run.id))
            .because(&why)
            .world("Nothing was changed.")
    })?;
    let Some(found) = found else {
        return Err(Diagnostic::usage(format!("run {} has no backup", run.id)));
    };
    if let Some(dir) = &args.csv {
        let files = write_all(dir, &found)?;
        view::note(&format!("{files} files written into {}\n", dir.display()));
    }
    if args.json {
        view::out_json(&found);
    } else {
        view::out(&in_words(&found));
    }
    Ok(Exit::Done)
}

/// Why there is nothing to compare with: the run has taken no backup, or not yet.
fn no_backup(run: &Run, driver: &Driver) -> Option<Diagnostic> {
    let mut steps = run.plan.nodes.iter().zip(&run.steps);
    let backup = steps.find(|(node, _)| node.kind == Baseline::KIND);
    let message = match backup {
        None => format!("the plan of run {} takes no backup of production", run.id),
        Some((_, state)) if state.status == Status::Done => return None,
        Some((node, _)) => format!(
            "run {} has taken no backup of production: `{}` is not done, so there is nothing to compare with; the run {}",
            run.id,
            node.key,
            view::doing(run, driver)
        ),
    };
    let diagnostic = Diagnostic::usage(message);
    let commands = next::commands_for(run, driver);
    Some(
        commands
            .iter()
            .fold(diagnostic, |d, next| d.hint(next.line())),
    )
}

fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::Lost => "only in the backup",
        Fate::ChangedFrom => "changed, before",
        Fate::ChangedTo => "changed, after",
        Fate::New => "only there",
        Fate::Wider => "in new columns",
    }
}

/// One line for each row: what became of it, and its key.
fn in_words(found: &RunRows) -> String {
    let what = if found.set_aside {
        "what a rollback set aside"
    } else {
        "the live database"
    };
    let mut text = format!("{} ({what}) against {}\n", found.database, found.backup);
    if found.tables.is_empty() {
        text.push_str("No row differs.\n");
    }
    for table in &found.tables {
        let _infallible = writeln!(
            text,
            "\n{}: {} only in the backup, {} changed, {} only there{}",
            table.table,
            table.lost,
            table.changed,
            table.new,
            added(table)
        );
        let told = table
            .rows
            .iter()
            .filter(|row| row.fate != Fate::ChangedFrom);
        for row in told.clone().take(SHOWN) {
            let key: Vec<String> = row.key.iter().map(plain).collect();
            let what = match row.fate {
                Fate::ChangedTo => "changed",
                other => word(other),
            };
            let _infallible = writeln!(text, "  {what:<19} {}", key.join(", "));
        }
        let more = told.count().saturating_sub(SHOWN);
        if more > 0 {
            let _infallible = writeln!(text, "  and {more} more: --csv DIR has all");
        }
    }
    text
}

/// Columns that the backup does not have, when rows hold values there.
fn added(table: &TableRows) -> String {
    let one = |each: &Addition| format!("{} in {} rows", each.column, each.rows);
    let all: Vec<String> = table.added.iter().map(one).collect();
    if all.is_empty() {
        return String::new();
    }
    format!(
        "; values in columns that the backup does not have: {}",
        all.join(", ")
    )
}

/// A value as people read it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// One file for each table, for its owner's eyes alone. Never over a file that is there; all of them, or none.
fn write_all(dir: &Path, found: &RunRows) -> Result<usize, Diagnostic> {
    std::fs::create_dir_all(dir).map_err(|e| {
        Diagnostic::usage(format!("folder {} cannot be made", dir.display()))
            .because(&e)
            .hint("name another folder: --csv DIR")
    })?;
    let file = |table: &TableRows| {
        let legal = |c: char| {
            if c.is_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '_'
            }
        };
        let name: String = table.table.chars().map(legal).collect();
        (dir.join(format!("{name}.csv")), csv(table))
    };
    let all: Vec<_> = found.tables.iter().map(file).collect();
    files::write_all_new(&all)?;
    Ok(all.len())
}

/// As RFC 4180 has it. The columns are those of any row: a release may have added some.
fn csv(table: &TableRows) -> String {
    let mut names: Vec<&String> = table
        .rows
        .iter()
        .flat_map(|row| row.columns.keys())
        .collect();
    names.sort_unstable();
    names.dedup();
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let line = |row: &Row| {
        let cell = |name: &&String| match row.columns.get(*name) {
            None | Some(Value::Null) => String::new(),
            Some(value) => quoted(&plain(value)),
        };
        let cells = names.iter().map(cell);
        let first = std::iter::once(quoted(word(row.fate)));
        first.chain(cells).collect::<Vec<_>>().join(",")
    };
    let head = std::iter::once(quoted("row")).chain(names.iter().map(|name| quoted(name)));
    let head = head.collect::<Vec<_>>().join(",");
    let lines = table.rows.iter().map(line);
    let all: Vec<String> = std::iter::once(head).chain(lines).collect();
    format!("{}\r\n", all.join("\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> RunRows {
        let row = |fate, id: u64, name: Value| {
            let columns = [("id".to_owned(), id.into()), ("name".to_owned(), name)];
            Row {
                fate,
                key: vec![id.into()],
                columns: columns.into_iter().collect(),
            }
        };
        RunRows {
            backup: "/b/baseline.sql.zst".into(),
            database: "postgres_failed_r_1".into(),
            set_aside: true,
            tables: vec![TableRows {
                table: "public.Customer".into(),
                lost: 1,
                changed: 1,
                new: 1,
                added: vec![Addition {
                    column: "notes".into(),
                    rows: 2,
                }],
                rows: vec![
                    row(Fate::Lost, 3, "a \"b\", c".into()),
                    row(Fate::ChangedFrom, 4, "x".into()),
                    row(Fate::ChangedTo, 4, "y\nz".into()),
                    row(Fate::New, 9, Value::Null),
                    row(Fate::Wider, 10, "w".into()),
                ],
            }],
        }
    }

    #[test]
    fn a_run_without_a_backup_says_so_and_what_it_is_before_anything_is_restored() {
        use crate::testing;
        let mut plan = testing::plan(false);
        let none = testing::run_of("r-one", &plan, &testing::done(0));
        let said = no_backup(&none, &Driver::Unasked).expect("none").render();
        assert!(said.contains("takes no backup of production"), "{said}");
        plan.nodes[1].kind = Baseline::KIND.into();
        let early = testing::run_of("r-one", &plan, &testing::done(0));
        let said = no_backup(&early, &Driver::Unasked).expect("early").render();
        assert!(
            said.contains("`prod/change` is not done") && !said.contains("never about to change"),
            "{said}"
        );
        let done = [testing::done(0), testing::done(1)].concat();
        let taken = testing::run_of("r-one", &plan, &done);
        assert!(no_backup(&taken, &Driver::Unasked).is_none());
    }

    #[test]
    fn rows_are_told_by_key_and_written_whole() {
        insta::assert_snapshot!(in_words(&found()), @r"
        postgres_failed_r_1 (what a rollback set aside) against /b/baseline.sql.zst

        public.Customer: 1 only in the backup, 1 changed, 1 only there; values in columns that the backup does not have: notes in 2 rows
          only in the backup  3
          changed             4
          only there          9
          in new columns      10
        ");
        let csv = csv(&found().tables[0]);
        let lines: Vec<&str> = csv.split("\r\n").collect();
        assert_eq!(lines[0], "\"row\",\"id\",\"name\"");
        assert_eq!(lines[1], "\"only in the backup\",\"3\",\"a \"\"b\"\", c\"");
        assert_eq!(lines[3], "\"changed, after\",\"4\",\"y\nz\"");
        assert_eq!(lines[4], "\"only there\",\"9\",");
    }

    #[test]
    fn written_rows_are_their_owners_alone_and_nothing_is_written_over() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(write_all(dir.path(), &found()).unwrap(), 1);
        let file = dir.path().join("public.Customer.csv");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(write_all(dir.path(), &found()).is_err());
    }
}
