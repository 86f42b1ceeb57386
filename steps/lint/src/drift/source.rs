//! Where a schema and `prisma.config` lie, and their text: in a commit, or in a work tree. Both are looked at in the same way.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::Sides;
use super::external::{External, FILES};
use super::place::{self, Hints, Place};
use crate::migration::MAX_FILE;

/// The most files of one schema. A folder that holds more is no schema's, and is refused.
pub const MOST: usize = 500;
/// Folders of a schema below each other.
const DEEPEST: usize = 8;
/// Folders above the migrations that belong to the project, where no repository says it.
const FOLDERS: usize = 3;

/// Files by their paths inside it, which are relative, with `/`, and empty for the whole.
#[async_trait]
pub trait Tree: Sync {
    /// Why a file or a folder cannot be read.
    type Error: Send;

    /// The first of these files that is there.
    async fn first(&self, paths: &[String]) -> Result<Option<String>, Self::Error>;

    /// The file, or the files in a folder whose names end in `.prisma`, sorted; `deep`: those of its folders, too. None when
    /// nothing is there.
    async fn schemas(&self, path: &str, deep: bool) -> Result<Vec<String>, Self::Error>;

    /// A file's text.
    async fn text(&self, path: &str) -> Result<String, Self::Error>;

    /// The tree's own name for a path, for people.
    fn named(&self, path: &str) -> String;
}

/// The schema that belongs to a folder of migrations in a work tree. `app` is what `flow.toml` says about that folder: its
/// repository, and the place of the schema inside it.
///
/// # Errors
/// A folder or a file that cannot be read, or is too large.
pub async fn beside(
    migrations: &Path,
    app: Option<(&Path, Option<&str>)>,
) -> std::io::Result<Sides> {
    let folder = migrations.canonicalize()?;
    let repository = app.map(|(path, _)| path.canonicalize()).transpose()?;
    let of_git = folder.ancestors().find(|each| each.join(".git").exists());
    let of_app = repository
        .as_deref()
        .filter(|path| folder.starts_with(path));
    let few = || folder.ancestors().take(FOLDERS + 1).last();
    let top = of_git.or(of_app).or_else(few).unwrap_or(&folder).to_owned();
    let own = folder.strip_prefix(&top).ok().and_then(Path::to_str);
    let own = own
        .ok_or_else(|| std::io::Error::other(format!("{} is no UTF-8", folder.display())))?
        .to_owned();
    let given = app.and_then(|(_, schema)| schema).unwrap_or_default();
    find(&WorkTree { top }, &own, given).await
}

/// `[app] schema` where it is said. Plans of earlier versions name the place beside the migrations where nobody does.
async fn given<T: Tree>(tree: &T, own: &str, schema: &str) -> Result<Option<String>, T::Error> {
    let schema = schema.trim_matches('/');
    let near = place::above(own);
    let beside = near
        .first()
        .and_then(|at| place::inside(at, "schema.prisma"));
    let nowhere = match beside.filter(|beside| beside == schema) {
        Some(beside) => tree.schemas(&beside, true).await?.is_empty(),
        None => schema.is_empty(),
    };
    Ok((!nowhere).then(|| schema.to_owned()))
}

/// The schema that belongs to a folder of migrations, in any tree. `schema` is its place where somebody names one, else
/// empty.
///
/// # Errors
/// What the tree cannot read.
pub async fn find<T: Tree>(tree: &T, migrations: &str, schema: &str) -> Result<Sides, T::Error> {
    let own = place::inside("", migrations.trim_matches('/')).unwrap_or_default();
    let migrations = own.as_str();
    let mut said = Hints {
        given: given(tree, migrations, schema).await?,
        ..Hints::default()
    };
    for folder in place::above(migrations) {
        let here = |name: &str| place::inside(&folder, name);
        let configs: Vec<String> = FILES.iter().filter_map(|name| here(name)).collect();
        if said.config.is_none()
            && let Some(path) = tree.first(&configs).await?
        {
            let text = tree.text(&path).await?;
            said.config = Some((path, text));
        }
        let package: Vec<String> = here("package.json").into_iter().collect();
        if let Some(path) = tree.first(&package).await? {
            let text = tree.text(&path).await?;
            said.packages.push((path, text));
        }
    }
    let mut sides = Sides::default();
    if let Some((path, text)) = &said.config {
        sides.external = External::read(path, text);
    }
    let places = place::places(migrations, &said, &mut sides.notes);
    sides.place = looked_at(&places, migrations);
    for place in places {
        let files = tree.schemas(&place.path, !place.sole).await?;
        // Of several that nobody names none is meant.
        if place.sole && files.len() > 1 {
            continue;
        }
        if files.is_empty() {
            continue;
        }
        if place.named.is_none() {
            sides.place = place.path;
        }
        for path in files {
            let text = tree.text(&path).await?;
            sides.files.push((tree.named(&path), text));
        }
        break;
    }
    Ok(sides)
}

fn looked_at(places: &[Place], migrations: &str) -> String {
    match places {
        [
            Place {
                path,
                named: Some(by),
                ..
            },
            ..,
        ] => {
            let path = if path.is_empty() { "." } else { path };
            format!("{path} ({by})")
        }
        _ => format!(
            "prisma/schema.prisma, schema.prisma or prisma/schema beside {migrations} or one folder above, and neither [app] schema, prisma.config nor package.json names another place"
        ),
    }
}

/// Whether a file's name ends in `.prisma`.
pub fn is_schema(name: &str) -> bool {
    let extension = Path::new(name).extension();
    extension.is_some_and(|extension| extension == "prisma")
}

struct WorkTree {
    top: PathBuf,
}

#[async_trait]
impl Tree for WorkTree {
    type Error = std::io::Error;

    async fn first(&self, paths: &[String]) -> std::io::Result<Option<String>> {
        let mut all = paths.iter();
        Ok(all.find(|path| self.top.join(path).is_file()).cloned())
    }

    async fn schemas(&self, path: &str, deep: bool) -> std::io::Result<Vec<String>> {
        let at = self.top.join(path);
        if at.is_file() {
            return Ok(vec![path.to_owned()]);
        }
        let mut files = Vec::new();
        if at.is_dir() {
            collect(&at, if deep { DEEPEST } else { 0 }, &mut files)?;
        }
        let below = files
            .iter()
            .filter_map(|file| file.strip_prefix(&self.top).ok());
        let mut below: Vec<String> = below
            .map(|file| file.to_string_lossy().into_owned())
            .collect();
        below.sort_unstable();
        Ok(below)
    }

    async fn text(&self, path: &str) -> std::io::Result<String> {
        let path = self.top.join(path);
        if path.metadata()?.len() > MAX_FILE {
            let path = path.display();
            return Err(std::io::Error::other(format!("{path} is too large")));
        }
        let wrong = |e| std::io::Error::other(format!("{}: {e}", path.display()));
        std::fs::read_to_string(&path).map_err(wrong)
    }

    fn named(&self, path: &str) -> String {
        self.top.join(path).to_string_lossy().into_owned()
    }
}

/// Every schema file in a folder, and `depth` folders below it; none of an installed package. Links are not followed.
fn collect(at: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(at)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = entry.file_name();
        let skipped = name == "node_modules" || name == ".git";
        if kind.is_dir() && depth > 0 && !skipped {
            collect(&entry.path(), depth - 1, files)?;
        } else if kind.is_file() && name.to_str().is_some_and(is_schema) {
            files.push(entry.path());
        }
        if files.len() > MOST {
            return Err(std::io::Error::other(format!(
                "{} holds too many files",
                at.display()
            )));
        }
    }
    Ok(())
}
