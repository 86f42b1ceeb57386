//! Which two are compared, and what that is as findings.

use std::collections::BTreeSet;

use super::catalog::Catalog;
use super::compare::{Comparison, Scope, compare};
use super::declaration::Declaration;
use super::external::External;
use super::prisma::{declared, scalar};
use crate::code::schema::{Field, Schema, SchemaError};
use crate::migration::{self, Finding, Level, Migration, shape};
use crate::shape::Shape;
use crate::shape::blind::Blind;

/// What a schema is called in messages and in `[[lint.ignore]]`, however many files it has.
pub const SCHEMA: &str = "schema.prisma";
const MIGRATIONS: &str = "the migrations";
const DATABASE: &str = "the database";

/// What migrations leave behind, in their order, for an application whose own schema is `own`. What their text does not tell
/// is not in it.
pub fn left_by(migrations: &[Migration], own: &str) -> Shape {
    shape::fold(migrations, own).shape
}

/// A `schema.prisma`, in one file or several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sides {
    /// Path and text of each file, in the order of their paths.
    pub files: Vec<(String, String)>,
    /// What the project's `prisma.config` leaves to others.
    pub external: External,
    /// Where it was found or looked for, and what named that place.
    pub place: String,
    /// What was passed over while it was looked for.
    pub notes: Vec<String>,
}

/// Why a schema cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableSchema {
    /// Text that makes no sense.
    #[error("{path}: {source}")]
    Text {
        /// The file that cannot be read, as it was named.
        path: String,
        /// With the file's own line.
        source: SchemaError,
    },
    /// Part of it lies in a file that was not read.
    #[error(
        "{path}:{line}: the type `{kind}` of the field `{field}` is declared in no file that was read: the schema is incomplete, and is not compared"
    )]
    Incomplete {
        /// The file with the field.
        path: String,
        /// The file's own line, from 1.
        line: usize,
        /// The field of that type, as `Model.field`.
        field: String,
        /// The type that is declared elsewhere, or nowhere.
        kind: String,
    },
}

impl UnreadableSchema {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            UnreadableSchema::Text { .. } => "`npx prisma validate` says the same, or more",
            UnreadableSchema::Incomplete { .. } => {
                "name the file or the folder of the whole schema: [app] schema = \"prisma\" in flow.toml, or `schema` in prisma.config"
            }
        }
    }
}

/// The first field whose type nobody declares.
fn undeclared(schema: &Schema) -> Option<(String, &Field)> {
    let known = |field: &Field| {
        scalar(&field.kind).is_some()
            || field.kind.starts_with("Unsupported(")
            || schema.models.contains_key(&field.kind)
            || schema.enums.contains_key(&field.kind)
    };
    let all = schema.models.iter().flat_map(|(name, model)| {
        let fields = model.fields.iter();
        fields.map(move |(field, each)| (format!("{name}.{field}"), each))
    });
    all.into_iter().find(|(_, field)| !known(field))
}

impl Sides {
    /// Reads it; nothing when it has no models, or its datasource is no PostgreSQL, whose migrations alone are understood.
    ///
    /// # Errors
    /// [`UnreadableSchema`], with the file's own line.
    pub fn read(&self, own: &str) -> Result<Option<Declaration>, UnreadableSchema> {
        let mut text = String::new();
        for (path, each) in &self.files {
            // Each must make sense by itself, so that an error is about a line that somebody can find.
            Schema::read(each).map_err(|source| UnreadableSchema::Text {
                path: path.clone(),
                source,
            })?;
            text.push_str(each);
            if !each.ends_with('\n') {
                text.push('\n');
            }
        }
        let schema = Schema::read(&text).map_err(|e| {
            let (path, line) = self.line(e.line);
            let source = SchemaError { line, ..e };
            UnreadableSchema::Text { path, source }
        })?;
        let provider = schema
            .source
            .get("provider")
            .map(|each| each.trim_matches('"'));
        if schema.models.is_empty() || !matches!(provider, Some("postgresql" | "postgres")) {
            return Ok(None);
        }
        if let Some((name, field)) = undeclared(&schema) {
            let (path, line) = self.line(field.line);
            return Err(UnreadableSchema::Incomplete {
                path,
                line,
                field: name,
                kind: field.kind.clone(),
            });
        }
        Ok(Some(Declaration {
            external: self.external.clone(),
            ..declared(&schema, own)
        }))
    }

    /// Why there is nothing to compare, when [`Sides::read`] answers nothing.
    pub fn nothing(&self) -> String {
        if self.files.is_empty() {
            return format!(
                "there is no schema.prisma for PostgreSQL at {}: not compared",
                self.place
            );
        }
        format!(
            "the schema.prisma at {} declares no model for PostgreSQL: not compared",
            self.place
        )
    }

    /// File and line of a line of all of it.
    fn line(&self, line: usize) -> (String, usize) {
        let mut left = line;
        for (path, text) in &self.files {
            let lines = text.lines().count();
            if left <= lines {
                return (path.clone(), left.max(1));
            }
            left -= lines;
        }
        let first = self.files.first();
        (first.map_or_else(String::new, |(path, _)| path.clone()), 1)
    }
}

/// What `schema.prisma` declares beside what the migrations make.
pub fn schema_and_migrations(
    declared: &Declaration,
    migrations: &[Migration],
    own: &str,
) -> Comparison {
    let folded = shape::fold(migrations, own);
    let scope = Scope {
        wanted: SCHEMA,
        there: MIGRATIONS,
        schemas: Some(&declared.schemas),
        prisma: true,
    };
    let managed = |shape| declared.external.without(shape, own);
    let wanted = managed(declared.shape.clone());
    compare(&wanted, &managed(folded.shape), &folded.blind, scope)
}

/// What migrations make beside what a database has. Only schemas in which they make something are looked at, and nothing that
/// is left to others.
pub fn catalog_and_migrations(
    catalog: &Catalog,
    migrations: &[Migration],
    external: &External,
    own: &str,
) -> Comparison {
    let folded = shape::fold(migrations, own);
    let mut schemas: BTreeSet<String> = [String::new()].into();
    schemas.extend(folded.shape.tables.keys().map(|name| name.schema.clone()));
    let scope = Scope {
        wanted: MIGRATIONS,
        there: DATABASE,
        schemas: Some(&schemas),
        prisma: false,
    };
    let managed = |shape| external.without(shape, own);
    let there = managed(catalog.shape(own));
    compare(&managed(folded.shape), &there, &folded.blind, scope)
}

/// What `schema.prisma` declares beside what a database has.
pub fn catalog_and_schema(catalog: &Catalog, declared: &Declaration, own: &str) -> Comparison {
    let scope = Scope {
        wanted: SCHEMA,
        there: DATABASE,
        schemas: Some(&declared.schemas),
        prisma: true,
    };
    let managed = |shape| declared.external.without(shape, own);
    let there = managed(catalog.shape(own));
    compare(
        &managed(declared.shape.clone()),
        &there,
        &Blind::default(),
        scope,
    )
}

/// The differences as findings about a schema's lines. `waivable`: each is a warning that somebody may accept.
pub fn findings(compared: &Comparison, sides: &Sides, waivable: bool) -> Vec<Finding> {
    let each = compared.differences.iter().map(|difference| {
        let (file, line) = sides.line(difference.line.max(1));
        let level = if waivable {
            Level::Warning
        } else {
            difference.level
        };
        let finding = migration::drifted(
            SCHEMA,
            level,
            difference.object.clone(),
            difference.message.clone(),
        );
        let text = sides.files.iter().find(|(path, _)| *path == file);
        let source = text
            .and_then(|(_, text)| text.lines().nth(line - 1))
            .unwrap_or_default();
        Finding {
            file,
            line,
            length: source.trim().chars().count().max(1),
            column: source.chars().take_while(|c| c.is_whitespace()).count() + 1,
            statement: source.split_whitespace().collect::<Vec<_>>().join(" "),
            sql: Some(difference.sql.clone()),
            ..finding
        }
    });
    each.collect()
}
