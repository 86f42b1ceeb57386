//! Rule `schema-drift`: whether a `schema.prisma` beside the migrations says the same as they do.

use std::path::Path;

use flow_lint::drift::{self, Sides, UnreadableSchema};
use flow_lint::migration::{LintReport, Origin, RuleId, Weighing};
use flow_lint::settings::File;
use flow_lint::source::Source;

use crate::diagnostic::Diagnostic;

/// Compares what belongs to the folder. The answer is what a person must be told beside the findings, such as that nothing was
/// compared; empty when that is nothing, and for a plain folder of SQL files, which no schema belongs to.
pub(super) async fn add(
    linted: &mut LintReport,
    source: &Source,
    own: &str,
    (file, weighing): (&File, &mut Weighing<'_>),
) -> Result<String, Diagnostic> {
    let of_prisma = source
        .migrations
        .iter()
        .any(|each| each.file().ends_with("/migration.sql"));
    if !of_prisma || file.lint.is_off(RuleId::SchemaDrift) {
        return Ok(String::new());
    }
    let folder = source.folder.display();
    let failed = |why: &str, hint: &str| {
        Diagnostic::usage(format!(
            "the schema.prisma that belongs to {folder} cannot be compared: {why}"
        ))
        .hint(format!(
            "{hint}; rule schema-drift is not looked for with `schema-drift = \"off\"` in [lint.level]"
        ))
    };
    let app = file.schema_of(&source.folder);
    let app = app.as_ref().map(|(path, schema)| (path.as_path(), *schema));
    let found = drift::beside(&source.folder, app).await;
    let sides = as_named(found.map_err(|e| failed(&e.to_string(), "correct what is named"))?);
    let mut said: Vec<String> = sides
        .notes
        .iter()
        .chain(&sides.external.unread)
        .cloned()
        .collect();
    match sides.read(own) {
        Ok(Some(declared)) => {
            let compared = drift::schema_and_migrations(&declared, &source.migrations, own);
            if !compared.undecided.is_empty() {
                said.push(format!(
                    "{folder}: {} tables and {} columns compared with schema.prisma; not compared, because text does not tell: {}",
                    compared.tables,
                    compared.columns,
                    compared.undecided.len()
                ));
            }
            let findings = drift::findings(&compared, &sides, false);
            weighing.asked(Origin::Schema, &source.names());
            weighing.add(linted, findings);
        }
        Ok(None) => said.push(format!("{folder}: schema-drift: {}", sides.nothing())),
        Err(e @ UnreadableSchema::Incomplete { .. }) => {
            said.push(format!("{folder}: schema-drift: {e}; {}", e.hint()));
        }
        Err(e) => return Err(failed(&e.to_string(), e.hint())),
    }
    // Each line ends with a line feed, also the last.
    said.push(String::new());
    Ok(said.join("\n"))
}

/// Paths as somebody in the current folder names them.
fn as_named(mut sides: Sides) -> Sides {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    if let Ok(here) = here {
        for (path, _) in &mut sides.files {
            let below = Path::new(path).strip_prefix(&here);
            let below = below.ok().map(|each| each.to_string_lossy().into_owned());
            *path = below.unwrap_or_else(|| path.clone());
        }
    }
    sides
}
