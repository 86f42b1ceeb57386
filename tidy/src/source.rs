//! A file, parsed, without what only tests compile.

use std::{fs, io, path::Path};

use syn::{Attribute, File, Item};

/// A Rust source of the workspace.
pub struct Source {
    /// From the root of the workspace, with `/`: `engine/src/run.rs`.
    pub file: String,
    /// The whole text.
    pub text: String,
    /// The items, without those under `#[cfg(test)]`.
    pub items: Vec<Item>,
    /// The doc comment and other attributes of the file itself.
    pub attributes: Vec<Attribute>,
}

impl Source {
    /// Parses `text`. The error names the file and the place.
    pub fn parse(file: &str, text: &str) -> Result<Source, String> {
        let parsed: File = syn::parse_file(text)
            .map_err(|error| format!("{file}:{}: {error}", error.span().start().line))?;
        Ok(Source {
            file: file.to_owned(),
            text: text.to_owned(),
            items: shipped(parsed.items),
            attributes: parsed.attrs,
        })
    }

    /// Whether the file is compiled for tests alone, by its name: under `tests/`, `benches/` or `examples/`, a `tests.rs`,
    /// or one of the files that a parent declares under `#[cfg(test)]` (see [`Tree::read`]).
    pub fn is_test(&self) -> bool {
        self.file
            .split('/')
            .any(|part| matches!(part, "tests" | "benches" | "examples" | "tests.rs"))
    }
}

/// `items` without those under `#[cfg(test)]`, to any depth of inline modules.
fn shipped(items: Vec<Item>) -> Vec<Item> {
    items
        .into_iter()
        .filter(|item| !attributes_of(item).iter().any(is_for_tests))
        .map(|item| match item {
            Item::Mod(mut module) => {
                module.content = module.content.map(|(brace, items)| (brace, shipped(items)));
                Item::Mod(module)
            }
            other => other,
        })
        .collect()
}

/// `#[test]` and `#[cfg(test)]`, also inside `any(..)` and `all(..)`, but not inside `not(..)`.
fn is_for_tests(attribute: &Attribute) -> bool {
    if attribute.path().is_ident("test") {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    let condition = list.tokens.to_string();
    list.path.is_ident("cfg")
        && !condition.contains("not")
        && condition
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| word == "test")
}

/// The attributes of an item, whatever its kind.
pub fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::ExternCrate(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::ForeignMod(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::TraitAlias(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Union(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

/// All sources below `folders`, sorted by name.
///
/// Files that a module declares under `#[cfg(test)]` are left out, with all that lies below them; so are `target` and
/// hidden folders. Fails if a folder cannot be read or a file cannot be parsed.
pub fn read(root: &Path, folders: &[&str]) -> io::Result<Vec<Source>> {
    let mut files = Vec::new();
    for folder in folders {
        list(root, folder, &mut files)?;
    }
    files.sort();
    let mut sources = Vec::new();
    let mut for_tests = Vec::new();
    for file in files {
        let text = fs::read_to_string(root.join(&file))?;
        for_tests.extend(declared_for_tests(&file, &text));
        sources.push(Source::parse(&file, &text).map_err(io::Error::other)?);
    }
    sources.retain(|source| {
        !for_tests.iter().any(|module: &String| {
            source.file == format!("{module}.rs") || source.file.starts_with(&format!("{module}/"))
        })
    });
    Ok(sources)
}

/// The modules that `file` declares under `#[cfg(test)]`, as paths without `.rs`.
fn declared_for_tests(file: &str, text: &str) -> Vec<String> {
    let Ok(parsed) = syn::parse_file(text) else {
        return Vec::new();
    };
    let below = folder_of_children(file);
    parsed
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Mod(module)
                if module.content.is_none() && module.attrs.iter().any(is_for_tests) =>
            {
                Some(format!("{below}/{}", module.ident))
            }
            _ => None,
        })
        .collect()
}

/// Where the modules that `file` declares lie: beside `lib.rs`, `main.rs` and `mod.rs`, below any other.
pub fn folder_of_children(file: &str) -> String {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    match stem.rsplit_once('/') {
        Some((folder, "lib" | "main" | "mod")) => folder.to_owned(),
        _ => stem.to_owned(),
    }
}

fn list(root: &Path, folder: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}/{name}");
        if entry.file_type()?.is_dir() {
            if name != "target" && !name.starts_with('.') {
                list(root, &path, files)?;
            }
        } else if Path::new(&name).extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
