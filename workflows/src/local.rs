//! What a plan asks of the machine that carries it out.

use std::collections::BTreeMap;

use flow_engine::plan::Plan;
use serde_json::Value;

/// The parameters of steps that name files of the machine on which `flow` runs; all other paths are those of hosts.
const NAMES: [&str; 3] = ["repo", "node_modules", "ca_file"];

/// The files and folders of the planning machine that steps of a plan read, each with the keys of those steps. Another
/// machine can carry these steps out only where it has the same at the same place.
pub fn local_paths(plan: &Plan) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in &plan.nodes {
        let mut paths = Vec::new();
        look(&node.params, &mut paths);
        for path in paths {
            let steps = found.entry(path).or_default();
            if !steps.contains(&node.key) {
                steps.push(node.key.clone());
            }
        }
    }
    found
}

fn look(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(path) if NAMES.contains(&name.as_str()) => {
                        found.push(path.clone());
                    }
                    value => look(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| look(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_this_machine_are_found_at_any_depth_and_those_of_hosts_are_not() {
        let params = serde_json::json!({
            "host": "prod", "dir": "/srv/app", "ca_file": null,
            "code": { "repo": "/home/me/app", "node_modules": "/home/me/app/node_modules" },
        });
        let mut found = Vec::new();
        look(&params, &mut found);
        found.sort();
        assert_eq!(found, ["/home/me/app", "/home/me/app/node_modules"]);
    }
}
