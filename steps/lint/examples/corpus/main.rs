//! Measures the migration check, and squawk beside it, against what PostgreSQL's catalog says migrations did.
//!
//! ```sh
//! cargo run --release -p flow-lint --example corpus -- FOLDER…
//! ```
//!
//! Each FOLDER holds one project's migrations, Prisma's layout. Every migration is run, in order, in a throw-away database;
//! the catalog before and after is compared by object ids and column numbers, and only what happened to objects that were
//! there before counts. `SQUAWK=/path/to/squawk` adds its column. `SHOW=1` lists every file that a tool got wrong.

#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on should stop"
)]

mod score;
#[path = "../../tests/migration/server.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod server;
mod squawk;
mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use flow_lint::migration::{Level, RuleId, check, read_folder};

use score::Score;
use truth::{CLASSES, Class, Effects, Snapshot};

/// Which class a rule's findings speak of.
fn class(rule: RuleId) -> Option<Class> {
    Some(match rule {
        RuleId::DropColumn => Class::DropColumn,
        RuleId::DropTable => Class::DropTable,
        RuleId::RenameColumn | RuleId::RenameTable => Class::Rename,
        RuleId::SetNotNull => Class::SetNotNull,
        RuleId::RequiredColumn => Class::RequiredColumn,
        RuleId::EnumValueRemoved => Class::EnumValueRemoved,
        RuleId::UniqueOnExisting => Class::Unique,
        RuleId::NarrowType | RuleId::ChangeType => Class::TypeChanged,
        _ => return None,
    })
}

fn main() {
    let server = server::Server::start().expect("PostgreSQL is installed");
    let mut ours = Score::new("flow");
    let mut theirs = Score::new("squawk");
    for (at, folder) in std::env::args_os().skip(1).map(PathBuf::from).enumerate() {
        let began = Instant::now();
        let migrations = read_folder(&folder).unwrap();
        let names: BTreeSet<String> = migrations.iter().map(|each| each.name.clone()).collect();
        let report = check(&migrations, &names);
        let judged = began.elapsed();
        let mut found: BTreeMap<&str, BTreeSet<Class>> = BTreeMap::new();
        for finding in report
            .findings
            .iter()
            .filter(|each| each.level > Level::Note)
        {
            found
                .entry(&finding.migration)
                .or_default()
                .extend(class(finding.rule));
        }
        let squawk = squawk::run(&folder, &migrations);
        let database = format!("d{at}");
        server.create(&database);
        let (mut before, mut failed) = (Snapshot::default(), 0);
        for migration in &migrations {
            let whole = server.run(&database, &[&migration.sql]);
            if !whole.good {
                failed += 1;
                server.piecemeal(&database, &folder.join(migration.file()));
            }
            let said = server.run(&database, &[truth::QUERY]);
            let after: Snapshot = serde_json::from_str(&said.stdout).expect("a snapshot");
            let effects = Effects::between(&before, &after);
            let name = format!(
                "{}/{}",
                folder.file_name().unwrap().to_string_lossy(),
                migration.name
            );
            let none = BTreeSet::new();
            ours.file(
                &name,
                &effects,
                found.get(migration.name.as_str()).unwrap_or(&none),
            );
            if let Some(squawk) = &squawk {
                theirs.file(
                    &name,
                    &effects,
                    squawk.get(&migration.name).unwrap_or(&none),
                );
            }
            before = after;
        }
        server.drop(&database);
        println!(
            "{}: {} migrations judged in {judged:?}; {failed} did not replay as a whole",
            folder.display(),
            migrations.len()
        );
    }
    for class in CLASSES {
        println!("{}", score::row(*class, &ours, &theirs));
    }
    if std::env::var_os("SHOW").is_some() {
        ours.show();
        theirs.show();
    }
}
