//! What the files around an application tell about its processes, containers, health and deploy script.
//!
//! Nothing of them is run: an ecosystem file is a program, and only read as text.

use std::sync::LazyLock;

use regex::Regex;

use super::walk::{Files, folder, name};

/// The most that is kept of each list.
const MOST: usize = 20;

/// A pattern of this file; each is constant, and tried by a test.
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

/// What stands between two quotes of one kind, which are the first and the third group of the pattern.
fn between<'a>(pattern: &'a Regex, text: &'a str) -> impl Iterator<Item = String> + 'a {
    let found = pattern.captures_iter(text);
    found
        .filter(|found| found[1] == found[3])
        .map(|found| found[2].to_owned())
}

/// The containers that hold a database, as compose or Supabase name them.
pub(super) fn containers(files: &Files) -> Vec<String> {
    static PROJECT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r#"(?m)^\s*project_id\s*=\s*"([A-Za-z0-9][A-Za-z0-9_.-]{0,62})""#)
    });
    let mut found = Vec::new();
    for path in &files.paths {
        let Some(text) = (match name(path) {
            "config.toml" if folder(path).ends_with("supabase") => files.text(path),
            name if is_compose(name) => files.text(path),
            _ => None,
        }) else {
            continue;
        };
        if is_compose(name(path)) {
            found.extend(composed(&text));
        } else if let Some(project) = PROJECT.captures(&text) {
            found.push(format!("supabase_db_{}", &project[1]));
        }
    }
    found.dedup();
    found.truncate(MOST);
    found
}

/// Whether a container's image is that of a PostgreSQL.
pub(super) fn is_database(image: &str) -> bool {
    ["postgres", "supabase", "postgis", "timescale"]
        .iter()
        .any(|name| image.contains(name))
}

/// The units of systemd that the repository has, and the file of the first.
pub(super) fn units(files: &Files) -> Option<(String, Vec<String>)> {
    let is_unit = |name: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
        !name.is_empty() && name.len() < 64 && name.chars().all(fits) && !name.ends_with('@')
    };
    let mut first = None;
    let mut names: Vec<String> = Vec::new();
    for path in &files.paths {
        let unit = name(path)
            .strip_suffix(".service")
            .filter(|unit| is_unit(unit));
        let starts = |text: String| text.contains("ExecStart=");
        if let Some(unit) = unit
            && files.text(path).is_some_and(starts)
            && names.len() < MOST
        {
            first.get_or_insert_with(|| path.clone());
            names.push(unit.to_owned());
        }
    }
    names.sort();
    names.dedup();
    Some((first?, names))
}

/// The services of the first compose file that are built here and hold no database, and the file.
pub(super) fn services(files: &Files) -> Option<(String, Vec<String>)> {
    let path = files.paths.iter().find(|path| is_compose(name(path)))?;
    let names = built(&files.text(path)?);
    (!names.is_empty()).then(|| (path.clone(), names))
}

/// Services with a `build` of their own.
fn built(text: &str) -> Vec<String> {
    static SERVICE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(\s{2,4})([A-Za-z0-9][A-Za-z0-9_.-]{0,62}):\s*$"));
    let mut names = Vec::new();
    let mut last: Option<(usize, String)> = None;
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        if let Some(service) = SERVICE.captures(line)
            && last.as_ref().is_none_or(|(above, _)| depth <= *above)
        {
            last = Some((depth, service[2].to_owned()));
        } else if line.trim_start().starts_with("build:")
            && let Some((_, name)) = last.as_ref().filter(|(above, _)| depth > *above)
            && !names.contains(name)
            && names.len() < MOST
        {
            names.push(name.clone());
        }
    }
    names
}

fn is_compose(name: &str) -> bool {
    ["docker-compose", "compose"].iter().any(|start| {
        name.strip_prefix(start)
            .is_some_and(|rest| [".yml", ".yaml"].iter().any(|end| rest.ends_with(end)))
    })
}

/// Services whose image is a PostgreSQL, by their container's name where one is given.
fn composed(text: &str) -> Vec<String> {
    static SERVICE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(\s{2,4})([A-Za-z0-9][A-Za-z0-9_.-]{0,62}):\s*$"));
    static KEY: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r#"^\s+(image|container_name):\s*["']?([A-Za-z0-9][A-Za-z0-9_./:@-]{0,200})["']?\s*$"#,
        )
    });
    let mut found: Vec<(String, bool)> = Vec::new();
    for line in text.lines() {
        if let Some(service) = SERVICE.captures(line) {
            found.push((service[2].to_owned(), false));
        } else if let (Some(key), Some(last)) = (KEY.captures(line), found.last_mut()) {
            let value = &key[2];
            if &key[1] == "image" {
                last.1 = is_database(value);
            } else {
                value.clone_into(&mut last.0);
            }
        }
    }
    let databases = found.into_iter().filter(|(_, database)| *database);
    databases.map(|(name, _)| name).collect()
}

/// The path under which the code answers whether it is healthy: the shortest that is written in it.
pub(super) fn health(files: &Files) -> Option<(String, String)> {
    static ROUTE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r#"(["'`])(/(?:[a-z0-9_-]{1,20}/){0,3}(?:healthz|health|healthcheck|livez|readyz|ping))(["'`])"#,
        )
    });
    let code = files.paths.iter().filter(|path| {
        [".js", ".ts", ".mjs", ".cjs"]
            .iter()
            .any(|end| path.ends_with(end))
            && !path.contains("test")
            && !path.contains(".spec.")
    });
    let mut routes: Vec<(String, String)> = Vec::new();
    for path in code.take(600) {
        let Some(text) = files.text(path) else {
            continue;
        };
        let found = between(&ROUTE, &text).take(MOST);
        routes.extend(found.map(|route| (route, path.clone())));
    }
    routes.sort_by_key(|(route, path)| (route.len(), path.len()));
    routes.into_iter().next()
}

/// The deploy script with its words, where one has the name of such.
pub(super) fn deploy(files: &Files) -> Option<Vec<String>> {
    static VERB: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?m)^\s*["']?deploy["']?\)"#));
    let names = ["release.sh", "deploy.sh", "deploy", "release"];
    let script = names.iter().find_map(|wanted| {
        let mut found = files.paths.iter().filter(|path| {
            let folder = folder(path);
            name(path) == *wanted
                && (folder.is_empty() || ["deploy", "scripts", "bin"].contains(&name(folder)))
        });
        found.next()
    })?;
    let mut words = vec![script.clone()];
    let verbs = files.text(script).is_some_and(|text| VERB.is_match(&text));
    words.extend(verbs.then(|| "deploy".to_owned()));
    words.push("{commit}".to_owned());
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compose_file_names_the_container_of_the_database_only() {
        let text = "services:\n  app:\n    image: node:20\n  db:\n    image: \"postgres:15\"\n    container_name: shop_db\n  cache:\n    image: redis\n  other:\n    image: supabase/postgres\n";
        assert_eq!(composed(text), ["shop_db", "other"]);
    }

    #[test]
    fn what_a_compose_file_builds_is_the_applications() {
        let text = "services:\n  app:\n    build:\n      context: .\n  jobs:\n    build: ./jobs\n  db:\n    image: postgres\nvolumes:\n  data:\n";
        assert_eq!(built(text), ["app", "jobs"]);
    }
}
