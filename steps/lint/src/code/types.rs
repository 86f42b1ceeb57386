//! What the compiler says of the code after a change of the schema that it did not say before.
//!
//! The Prisma client is generated twice, for the old and for the new schema, each into a copy of the checkout, and the
//! project's own `tsc` checks both. An error counts when only the run with the new schema has it. Errors are told apart
//! by file, line, column and code and not by their message: the message names types, and those change with the schema
//! although the error was there before.
//!
//! `strictNullChecks` is switched on whatever the project says. Without it a column that may now be null is never an
//! error; the errors it brings that have nothing to do with the change are in both runs and fall away.
//!
//! What is not seen: what goes through `any`, casts, `!`, raw SQL, `@ts-ignore`, JavaScript, files the `tsconfig.json`
//! leaves out, and what generators other than Prisma's own would make (they are not run, since the schema names the
//! command of a generator and the schema is the code's).

mod client;
mod compiler;
mod process;
mod tree;

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::clock::Deadline;
use crate::code::Hit;
use client::Client;
use process::Node;
use tree::{Scratch, Tree};

/// What to check.
#[derive(Debug, Clone)]
pub struct Project {
    /// The code of one commit. It is copied and not changed. It need not be trusted: nothing of it is executed.
    pub checkout: PathBuf,
    /// The folder in it with `package.json` and `tsconfig.json`; empty for the root.
    pub folder: String,
    /// The path of `schema.prisma` in the checkout.
    pub schema: String,
    /// The project's installed dependencies, with `typescript`, `prisma` and `@prisma/client`. **They are executed**, as
    /// the user this process runs as, so whoever can write to them must be trusted.
    ///
    /// Inside the checkout, all its `node_modules` folders count as installed (a monorepo). Elsewhere those of the
    /// checkout are ignored and this one takes their place: beside `tsconfig.json`, or in the root when the schema is
    /// outside of `folder`.
    pub node_modules: PathBuf,
}

/// Why nothing can be said about the types. Never to be read as "no errors".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not type-checked: {0}")]
pub struct NotChecked(pub String);

impl NotChecked {
    fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self(format!("{doing} {}: {error}", path.display()))
    }
}

/// The errors of the compiler that the code has with the new schema and does not have with the old one, ordered by
/// place; each is a [`Hit`] of the kind `type-error` about a code such as `TS18047`.
///
/// The column counts as the compiler does, in UTF-16 units. `limit` is for all of it; Prisma's generator takes about
/// 3 s, the compiler as long as it takes by itself, twice, side by side on two cores or more. `progress` is told in
/// words what goes on. Works in a folder of its own below the system's temporary folder, which is removed at the end,
/// also when the future is dropped; what it started is killed then. Twice gives the same answer.
///
/// Fails with a [`NotChecked`] when either run has not looked at the code for certain: something is missing or timed
/// out, the compiler crashed or complained of its configuration, a syntax error kept it from looking at types, no file
/// was checked or none uses the generated client.
pub async fn differential(
    project: &Project,
    old_schema: &str,
    new_schema: &str,
    limit: Duration,
    progress: impl Fn(&str) + Send + Sync,
) -> Result<Vec<Hit>, NotChecked> {
    let until = Deadline::after(limit);
    let look = Look::at(project)?;
    let clients = [
        Client::of(old_schema, &look.schema)?,
        Client::of(new_schema, &look.schema)?,
    ];
    progress("copying the code for the old and the new schema");
    let scratch = Scratch::new()?;
    let mut trees = Vec::new();
    for (name, client) in ["old", "new"].into_iter().zip(&clients) {
        trees.push(look.tree(&scratch, name, client, until).await?);
    }
    let node = Node::new(&scratch, until)?;
    for ((name, client), tree) in ["old", "new"].into_iter().zip(&clients).zip(&trees) {
        progress(&format!("generating the client of the {name} schema"));
        client.generate(&node, tree, &look.schema).await?;
    }
    let compile = |name: &'static str, index: usize| {
        let (node, look, client, tree) = (&node, &look, &clients[index], &trees[index]);
        // The original: what the code has Prisma write into the copy is not executed.
        let tsc = look.node_modules.join(compiler::TOOL);
        async move {
            compiler::check(node, &tsc, tree, &look.folder, client)
                .await
                .map_err(|NotChecked(why)| NotChecked(format!("with the {name} schema, {why}")))
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (old, new) = if cores > 1 {
        progress("type-checking the code with both schemas");
        // Both to their end, and the old one's complaint first: whichever fails sooner would be named by chance, and
        // what a person accepts is bound to these words.
        let (old, new) = tokio::join!(compile("old", 0), compile("new", 1));
        (old?, new?)
    } else {
        progress("type-checking the code with the old schema");
        let old = compile("old", 0).await?;
        progress("type-checking the code with the new schema");
        (old, compile("new", 1).await?)
    };
    Ok(compiler::added(&old, new))
}

/// A project whose parts are all there.
struct Look<'a> {
    project: &'a Project,
    folder: PathBuf,
    schema: PathBuf,
    /// Absolute, without links.
    checkout: PathBuf,
    node_modules: PathBuf,
}

impl<'a> Look<'a> {
    fn at(project: &'a Project) -> Result<Self, NotChecked> {
        let folder = inside(&project.folder, "folder")?;
        let schema = inside(&project.schema, "schema")?;
        let real = |path: &Path| {
            path.canonicalize()
                .map_err(|error| NotChecked::io("cannot open", path, &error))
        };
        let look = Self {
            folder,
            schema,
            checkout: real(&project.checkout)?,
            node_modules: real(&project.node_modules)?,
            project,
        };
        let config = look.folder.join("tsconfig.json");
        if !look.checkout.join(&config).is_file() {
            return Err(NotChecked(format!("the code has no {}", config.display())));
        }
        for tool in [compiler::TOOL, client::TOOL] {
            if !look.node_modules.join(tool).is_file() {
                return Err(NotChecked(format!(
                    "{} has no {tool}; are the dependencies installed?",
                    project.node_modules.display()
                )));
            }
        }
        Ok(look)
    }

    async fn tree(
        &self,
        scratch: &Scratch,
        name: &str,
        client: &Client,
        until: Deadline,
    ) -> Result<Tree, NotChecked> {
        let installed = self.node_modules.starts_with(&self.checkout)
            && self.node_modules.ends_with("node_modules");
        let place = if installed {
            // Where it is already.
            self.node_modules
                .strip_prefix(&self.checkout)
                .map_or_else(|_| PathBuf::from("node_modules"), Path::to_owned)
        } else if self.schema.starts_with(&self.folder) {
            self.folder.join("node_modules")
        } else {
            PathBuf::from("node_modules")
        };
        let copy = tree::Copy {
            checkout: self.checkout.clone(),
            installed,
            node_modules: self.node_modules.clone(),
            place,
            // The generator writes there, and a linked file would change under the other tree and the original.
            written: client.outputs.clone(),
        };
        tree::copy(scratch, name, copy, until).await
    }
}

impl std::fmt::Debug for Look<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.project.fmt(f)
    }
}

/// A relative path without `..`, so that it stays in the checkout.
fn inside(path: &str, what: &str) -> Result<PathBuf, NotChecked> {
    let mut clean = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            _ => {
                return Err(NotChecked(format!(
                    "the {what} `{path}` is not a path inside the checkout"
                )));
            }
        }
    }
    Ok(clean)
}
