//! Rule `schema-drift`: whether a `schema.prisma` beside the migrations says the same as they do.

use std::path::Path;

use flow_steps::drift::{self, Sides};
use flow_steps::migration::{self, Linted, Settings};

use super::source::Source;
use crate::diagnostic::Diagnostic;
use crate::view;

/// Compares what belongs to the folder; without a `schema.prisma`, or for a plain folder of SQL files, there is nothing to say.
pub(super) fn add(
    linted: &mut Linted,
    source: &Source,
    own: &str,
    settings: &Settings,
) -> Result<(), Diagnostic> {
    let of_prisma = source
        .migrations
        .iter()
        .any(|each| each.file().ends_with("/migration.sql"));
    if !of_prisma {
        return Ok(());
    }
    let failed = |why: &str| {
        let folder = source.folder.display();
        Diagnostic::usage(format!(
            "the schema.prisma that belongs to {folder} cannot be compared: {why}"
        ))
        .hint("`npx prisma validate` says the same, or more; rule schema-drift is not looked for with `schema-drift = \"off\"` in [lint.level]")
    };
    if settings.is_off(migration::RuleId::SchemaDrift) {
        return Ok(());
    }
    let found = drift::beside(&source.folder).map_err(|e| failed(&e.to_string()))?;
    let Some(sides) = found.map(as_named) else {
        return Ok(());
    };
    let declared = sides
        .read(own)
        .map_err(|(path, e)| failed(&format!("{path}: {e}")))?;
    let Some(declared) = declared else {
        return Ok(());
    };
    if let Some(unread) = &sides.external.unread {
        view::note(&format!("{unread}\n"));
    }
    let compared = drift::schema_and_migrations(&declared, &source.migrations, own);
    if !compared.undecided.is_empty() {
        view::note(&format!(
            "{}: {} tables and {} columns compared with schema.prisma; not compared, because text does not tell: {}\n",
            source.folder.display(),
            compared.tables,
            compared.columns,
            compared.undecided.len()
        ));
    }
    let findings = drift::findings(&compared, &sides, false);
    migration::settle(linted, findings, settings);
    Ok(())
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
