//! How `schema.prisma` and the migrations beside it compare, over any number of folders of migrations: what the check of a
//! corpus is made with.
//!
//! ```text
//! cargo run -p flow-lint --example drift -- FOLDER[=CATALOG.json]…
//! ```
//!
//! With a catalog (what `replay/catalog.sql` answers in a database that the migrations were run in) it is compared with both.

#![expect(clippy::print_stdout, reason = "what it is for")]

use std::path::Path;
use std::process::ExitCode;

use flow_lint::drift::{
    self, Comparison, catalog_and_migrations, catalog_and_schema, schema_and_migrations,
};
use flow_lint::migration;

#[tokio::main]
async fn main() -> ExitCode {
    let mut differs = false;
    for folder in std::env::args().skip(1) {
        match one(&folder).await {
            Ok(differences) => differs |= differences,
            Err(why) => {
                println!("{folder}: {why}");
                differs = true;
            }
        }
    }
    ExitCode::from(u8::from(differs))
}

async fn one(argument: &str) -> Result<bool, String> {
    let (folder, catalog) = match argument.split_once('=') {
        Some((folder, catalog)) => (folder, Some(catalog)),
        None => (argument, None),
    };
    let folder = Path::new(folder);
    let sides = drift::beside(folder, None)
        .await
        .map_err(|e| e.to_string())?;
    let declared = sides.read("public").map_err(|e| e.to_string())?;
    let declared = declared.ok_or_else(|| sides.nothing())?;
    let files = migration::read_folder(folder).map_err(|e| e.to_string())?;
    println!("{}: {} migrations", folder.display(), files.len());
    let mut all = vec![(
        "schema and migrations",
        schema_and_migrations(&declared, &files, "public"),
    )];
    if let Some(path) = catalog {
        let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
        let catalog = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        all.push((
            "catalog and migrations",
            catalog_and_migrations(&catalog, &files, &declared.external, "public"),
        ));
        all.push((
            "catalog and schema",
            catalog_and_schema(&catalog, &declared, "public"),
        ));
    }
    for (what, compared) in &all {
        show(what, compared);
    }
    Ok(all
        .iter()
        .any(|(_, compared)| !compared.differences.is_empty()))
}

fn show(what: &str, compared: &Comparison) {
    println!(
        " {what}: {} tables, {} columns compared, {} differences, {} not compared",
        compared.tables,
        compared.columns,
        compared.differences.len(),
        compared.undecided.len()
    );
    for each in &compared.differences {
        println!("  {} {}", each.level.as_str(), each.message);
    }
    println!("  not compared: {}", compared.undecided.join(", "));
}
