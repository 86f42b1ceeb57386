//! Where a schema may lie, in the order in which it is looked for. All paths are inside the tree, with `/` and without `.`.

use super::external::{self, Literal};

/// A place to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// A file, or a folder whose `.prisma` files it is; empty for the top.
    pub(super) path: String,
    /// What names it. Then it is there or nowhere: nothing else is meant.
    pub(super) named: Option<String>,
    /// Only as the one schema file that lies directly in it.
    pub(super) sole: bool,
}

/// What a project says about its schema.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// `[app] schema` of `flow.toml`.
    pub(super) given: Option<String>,
    /// Path and text of the nearest `prisma.config`.
    pub(super) config: Option<(String, String)>,
    /// Path and text of each `package.json`, the nearest first.
    pub(super) packages: Vec<(String, String)>,
}

/// The folders above a path, the nearest first; the last is the top, which is empty.
pub(super) fn above(path: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut left = path.trim_matches('/');
    while !left.is_empty() {
        left = left.rsplit_once('/').map_or("", |(parent, _)| parent);
        all.push(left.to_owned());
    }
    all
}

/// A path as it is written in a file of `base`; nothing when it leads out of the tree.
pub(super) fn inside(base: &str, path: &str) -> Option<String> {
    if path.starts_with('/') || path.contains('\0') {
        return None;
    }
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn folder(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn of_package(text: &str) -> Result<Option<String>, serde_json::Error> {
    let read: serde_json::Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))?;
    let named = read.pointer("/prisma/schema");
    Ok(named.and_then(|each| each.as_str()).map(str::to_owned))
}

/// What names the schema, and what is to be said about it. `[app] schema` comes first, then `prisma.config`, then
/// `package.json`, as for Prisma's own commands.
fn named(said: &Hints, notes: &mut Vec<String>) -> Option<(String, String)> {
    let mut found = |base: &str, path: &str, by: String| {
        let place = inside(base, path);
        if place.is_none() {
            let path = path.escape_debug();
            notes.push(format!(
                "{by} names `{path}`, which is not in the repository: passed over"
            ));
        }
        place.map(|place| (place, by))
    };
    if let Some(given) = &said.given
        && let Some(place) = found("", given, "[app] schema of flow.toml".into())
    {
        return Some(place);
    }
    let mut computed = None;
    if let Some((file, text)) = &said.config {
        match external::schema(text) {
            Literal::Path(path) => {
                if let Some(place) = found(folder(file), &path, file.clone()) {
                    return Some(place);
                }
            }
            Literal::Computed => computed = Some(file),
            Literal::Nothing => {}
        }
    }
    let mut wrong = Vec::new();
    let by_package = said.packages.iter().find_map(|(file, text)| {
        let path = of_package(text).unwrap_or_else(|e| {
            wrong.push(format!("{file} is no JSON ({e}): passed over"));
            None
        })?;
        found(folder(file), &path, format!("prisma.schema of {file}"))
    });
    notes.extend(wrong);
    notes.extend(computed.map(|file| {
        format!(
            "{file} computes its schema's path: passed over; name it as [app] schema in flow.toml"
        )
    }));
    by_package
}

/// The places for the schema of a folder of migrations.
pub(super) fn places(migrations: &str, said: &Hints, notes: &mut Vec<String>) -> Vec<Place> {
    if let Some((path, by)) = named(said, notes) {
        // What is one file today may be a folder in another commit.
        let folder = path
            .strip_suffix("schema.prisma")
            .map(|at| format!("{at}schema"));
        let all = std::iter::once(path).chain(folder);
        return all
            .map(|path| Place {
                path,
                named: Some(by.clone()),
                sole: false,
            })
            .collect();
    }
    let mut all = Vec::new();
    let mut add = |path: Option<String>, sole| {
        all.extend(path.map(|path| Place {
            path,
            named: None,
            sole,
        }));
    };
    let near: Vec<String> = above(migrations).into_iter().take(2).collect();
    for at in &near {
        // Migrations of a schema in several files lie in the folder of those.
        if at.rsplit('/').next() == Some("schema") {
            add(Some(at.clone()), false);
        }
        for file in [
            "prisma/schema.prisma",
            "schema.prisma",
            "prisma/schema",
            "schema",
        ] {
            add(inside(at, file), false);
        }
        add(Some(at.clone()), true);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(said: &Hints) -> (String, Option<String>, Vec<String>) {
        let mut notes = Vec::new();
        let place = places("apps/api/prisma/migrations", said, &mut notes).remove(0);
        (place.path, place.named, notes)
    }

    fn file(path: &str, text: &str) -> (String, String) {
        (path.to_owned(), text.to_owned())
    }

    #[test]
    fn flow_toml_comes_before_prisma_config_before_package_json_each_in_its_own_folder() {
        let mut said = Hints {
            given: Some("./db/".into()),
            config: Some(file(
                "apps/api/prisma.config.ts",
                "export default defineConfig({ datasource: { schema: 'no' }, schema: path.join('..', \"db\", 'x') })",
            )),
            packages: vec![
                file("apps/api/package.json", "\u{feff}{\"name\":\"api\"}"),
                file("package.json", "{\"prisma\":{\"schema\":\"./all/schema\"}}"),
            ],
        };
        assert_eq!(first(&said).0, "db");
        said.given = None;
        assert_eq!(first(&said).0, "apps/db/x");
        said.config = None;
        let (path, by, notes) = first(&said);
        assert_eq!(path, "all/schema");
        assert_eq!(by.as_deref(), Some("prisma.schema of package.json"));
        assert_eq!(notes, Vec::<String>::new());
        said.packages.clear();
        assert_eq!(
            first(&said),
            ("apps/api/prisma/prisma/schema.prisma".into(), None, vec![])
        );
    }

    #[test]
    fn what_leads_out_of_the_tree_is_computed_or_makes_no_sense_is_passed_over_and_said() {
        for (config, package, note) in [
            (
                "x({ schema: '../../../etc' })",
                "{}",
                "is not in the repository",
            ),
            ("x({ schema: '/etc' })", "{}", "is not in the repository"),
            (
                "x({ schema: process.env.S ?? 'prisma' })",
                "{}",
                "computes its schema's path",
            ),
            (
                "const schema = f(); x({ schema, })",
                "{}",
                "computes its schema's path",
            ),
            ("x({})", "{,", "is no JSON"),
        ] {
            let said = Hints {
                given: None,
                config: Some(file("apps/prisma.config.ts", config)),
                packages: vec![file("package.json", package)],
            };
            let (_, named, notes) = first(&said);
            assert_eq!(named, None, "{config}");
            assert!(notes[0].contains(note), "{config}: {notes:?}");
        }
    }
}
