//! Crates point down; steps use means and not one another.

use crate::Breach;
use crate::imports::Imports;

/// The crates of the workspace that `manifest` depends on, outside its `dev-dependencies`, and that are not among `below`.
///
/// `file` is the manifest's place, for the breach. A manifest that cannot be read is a breach as well.
pub fn dependencies(file: &str, manifest: &str, below: &[&str]) -> Vec<Breach> {
    let breach = |what: String| Breach {
        file: file.to_owned(),
        line: 0,
        what,
    };
    let table: toml::Table = match manifest.parse() {
        Ok(table) => table,
        Err(error) => return vec![breach(format!("no manifest: {error}"))],
    };
    ["dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| table.get(*section)?.as_table())
        .flat_map(toml::Table::keys)
        .filter(|name| name.starts_with("flow-") && !below.contains(&name.as_str()))
        .map(|name| breach(format!("depends on `{name}`, which does not lie below it")))
        .collect()
}

/// Each import between two modules of `folder`, such as `steps/src/`, that takes something of another step.
///
/// The module of a file is the first part of its place below `folder`. `means` are the files and folders, below `folder` and
/// without `.rs`, that any step may use. `except` are pairs of modules that may meet for now.
pub fn steps_apart(
    imports: &Imports,
    folder: &str,
    means: &[&str],
    except: &[(&str, &str)],
) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (from, targets) in imports {
        let Some(own) = from.strip_prefix(folder).map(module) else {
            continue;
        };
        for (to, names) in targets {
            let Some(place) = to.strip_prefix(folder) else {
                continue;
            };
            let other = module(place);
            if own == other
                || own == "lib"
                || is_means(place, means)
                || except.contains(&(own, other))
            {
                continue;
            }
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            breaches.push(Breach {
                file: from.clone(),
                line: 0,
                what: format!("takes {} of the step `{other}` ({to})", names.join(", ")),
            });
        }
    }
    breaches
}

/// Whether a file below the folder of steps is a means or lies inside one.
fn is_means(place: &str, means: &[&str]) -> bool {
    let place = place.trim_end_matches(".rs");
    means.iter().any(|one| {
        place
            .strip_prefix(one)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn module(place: &str) -> &str {
    place
        .split('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches(".rs")
}
