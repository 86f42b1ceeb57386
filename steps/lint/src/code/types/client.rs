//! Generating the Prisma client of a schema.

use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::NotChecked;
use super::process::Node;
use super::tree::Tree;

/// Prisma's command line, relative to `node_modules`.
pub(super) const TOOL: &str = "prisma/build/index.js";

/// A folder that holds one of these is a generated client.
const MADE: [&str; 3] = ["index.d.ts", "client.ts", "client.d.ts"];

/// Prisma runs only the generators that are asked for by name, and those have names nothing else in the schema has.
const NAME: &str = "flow_types_client_";

static BLOCK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^[ \t]*generator[ \t]+[\w-]+\s*\{([^}]*)\}").expect("a fixed pattern")
});

static SETTING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^\s*(\w+)\s*=\s*("[^"\\]*"|\[[^\]\\]*\])\s*(?://.*)?$"#).expect("a fixed pattern")
});

/// A schema with no generators but Prisma's own clients.
///
/// The command of a generator is in the schema, and the schema belongs to the code, which must not be executed. So the
/// blocks are written anew from their settings, under names of our own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Client {
    schema: String,
    generators: usize,
    /// Folders in the checkout the clients are written to, where the schema names them.
    pub(super) outputs: Vec<PathBuf>,
    /// One goes to `node_modules/.prisma/client`.
    default_output: bool,
}

impl Client {
    pub(super) fn of(schema: &str, path: &Path) -> Result<Self, NotChecked> {
        if schema.contains(NAME) {
            return Err(NotChecked(format!("the schema uses the name {NAME}")));
        }
        let mut client = Self {
            schema: BLOCK.replace_all(schema, "").into_owned(),
            generators: 0,
            outputs: Vec::new(),
            default_output: false,
        };
        for block in BLOCK.captures_iter(schema) {
            client.add(&block[1], path)?;
        }
        if client.generators == 0 {
            return Err(NotChecked(
                "the schema generates no Prisma client (`prisma-client-js` or `prisma-client`)"
                    .to_owned(),
            ));
        }
        Ok(client)
    }

    fn add(&mut self, body: &str, path: &Path) -> Result<(), NotChecked> {
        let settings: Vec<(&str, &str)> = body
            .lines()
            .filter_map(|line| {
                let found = SETTING.captures(line)?;
                Some((found.get(1)?.as_str(), found.get(2)?.as_str()))
            })
            .collect();
        let of = |name: &str| {
            settings
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, v)| *v)
        };
        if !matches!(
            of("provider"),
            Some("\"prisma-client-js\"" | "\"prisma-client\"")
        ) {
            return Ok(());
        }
        match of("output") {
            Some(output) => self.outputs.push(place(output.trim_matches('"'), path)?),
            None if body
                .lines()
                .any(|line| line.trim_start().starts_with("output")) =>
            {
                return Err(NotChecked(
                    "the `output` of the schema's client is not a plain text".to_owned(),
                ));
            }
            None => self.default_output = true,
        }
        let mut block = format!("\ngenerator {NAME}{} {{\n", self.generators);
        for (key, value) in settings {
            // Engines for other machines are not there, and types need none.
            if key != "binaryTargets" {
                block.extend(["  ", key, " = ", value, "\n"]);
            }
        }
        block.push_str("}\n");
        self.schema.push_str(&block);
        self.generators += 1;
        Ok(())
    }

    /// Writes the schema into the tree and generates its clients there.
    pub(super) async fn generate(
        &self,
        node: &Node,
        tree: &Tree,
        path: &Path,
    ) -> Result<(), NotChecked> {
        let schema = tree.root.join(path);
        self.write(tree, &schema)?;
        let names: Vec<String> = (0..self.generators)
            .map(|index| format!("--generator={NAME}{index}"))
            .collect();
        let mut args: Vec<&OsStr> = vec!["generate".as_ref(), "--schema".as_ref()];
        args.push(schema.as_os_str());
        args.extend(names.iter().map(OsStr::new));
        let script = tree.node_modules.join(TOOL);
        // From an empty folder: a `prisma.config.ts` beside the code would be executed.
        let ended = node
            .run("prisma generate", &script, &args, &node.empty)
            .await?;
        if ended.code != Some(0) {
            return Err(NotChecked(format!(
                "prisma generate {}",
                ended.last_words()
            )));
        }
        Ok(())
    }

    fn write(&self, tree: &Tree, schema: &Path) -> Result<(), NotChecked> {
        for output in &self.outputs {
            let folder = tree.root.join(output);
            let installed = output.iter().any(|part| part == "node_modules");
            if installed || !folder.exists() {
                continue;
            }
            // Errors in the folder are not reported, so it must hold nothing but a client.
            if !MADE.iter().any(|file| folder.join(file).is_file()) {
                return Err(NotChecked(format!(
                    "the client's output {} holds other files already",
                    output.display()
                )));
            }
            fs::remove_dir_all(&folder)
                .map_err(|error| NotChecked::io("cannot remove", &folder, &error))?;
        }
        let write = || {
            fs::create_dir_all(schema.parent().unwrap_or(&tree.root))?;
            // The code may have a link here.
            if schema.symlink_metadata().is_ok() {
                fs::remove_file(schema)?;
            }
            fs::write(schema, &self.schema)
        };
        write().map_err(|error| NotChecked::io("cannot write", schema, &error))
    }

    /// Whether a file of the copy, relative to its root, was generated.
    pub(super) fn made(&self, file: &Path) -> bool {
        let default = self.default_output
            && file
                .components()
                .zip(file.components().skip(1))
                .any(|(a, b)| a.as_os_str() == ".prisma" && b.as_os_str() == "client");
        default || self.outputs.iter().any(|folder| file.starts_with(folder))
    }
}

/// The folder an `output` means, relative to the checkout; never one outside, nor one that holds the schema.
fn place(output: &str, schema: &Path) -> Result<PathBuf, NotChecked> {
    let outside = || {
        NotChecked(format!(
            "the client's output `{output}` is not a folder of its own inside the checkout"
        ))
    };
    let mut place = schema.parent().map(Path::to_owned).unwrap_or_default();
    for part in Path::new(output).components() {
        match part {
            Component::Normal(part) => place.push(part),
            Component::CurDir => {}
            Component::ParentDir if place.pop() => {}
            _ => return Err(outside()),
        }
    }
    if schema.starts_with(&place) {
        return Err(outside());
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(schema: &str) -> Result<Client, NotChecked> {
        Client::of(schema, Path::new("db/schema.prisma"))
    }

    #[test]
    fn a_command_in_a_generator_does_not_reach_prisma() {
        let client = of("generator client {\n  provider = \"prisma-client-js\"\n}\n\
             generator evil {\n  provider = \"touch /tmp/x\"\n  output = \"/etc\"\n}\nmodel A {\n  id Int @id\n}\n")
        .unwrap();
        assert!(!client.schema.contains("touch"), "{}", client.schema);
        assert!(client.schema.contains("model A {"));
        assert_eq!(client.schema.matches("generator").count(), 1);
        assert!(client.schema.contains("generator flow_types_client_0 {"));
        assert!(client.made(Path::new("x/node_modules/.prisma/client/index.d.ts")));
    }

    #[test]
    fn a_schema_cannot_name_a_generator_as_we_do() {
        let schema = "generator flow_types_client_0 {\n provider = \"prisma-client\"\n}";
        assert!(of(schema).unwrap_err().0.contains("uses the name"));
    }

    #[test]
    fn an_output_stays_inside_the_checkout_and_beside_the_schema() {
        let with = |output: &str| {
            of(&format!(
                "generator client {{\n  provider = \"prisma-client\"\n  output = {output} // there\n}}"
            ))
        };
        assert_eq!(
            with("\"../src/generated\"").unwrap().outputs,
            [PathBuf::from("src/generated")]
        );
        for outside in ["\"/etc\"", "\"../../x\"", "\"..\"", "\".\"", "\"\""] {
            let why = with(outside).unwrap_err().0;
            assert!(why.contains("inside the checkout"), "{outside}: {why}");
        }
        let why = with("env(\"OUT\")").unwrap_err().0;
        assert!(why.contains("not a plain text"), "{why}");
    }

    #[test]
    fn a_schema_without_a_client_is_not_checked() {
        let why = of("generator g {\n  provider = \"go run x\"\n}")
            .unwrap_err()
            .0;
        assert!(why.contains("generates no Prisma client"), "{why}");
    }
}
