//! The modules of a crate, and which file takes which name from which other file.
//!
//! A name counts for the file that defines it, however many `pub use` hand it on; a re-export and a `mod` declaration are
//! no import, nor is what a part takes from the module that it is a part of. Read are all paths in the tokens of a file, macros included. Not seen: a method of a type that is named
//! nowhere in the file, and paths that a macro puts together.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Item, UseTree, Visibility};

use crate::source::{Source, folder_of_children};

/// From a file to the files it imports, each with the names it takes.
pub type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// A module: where it stands and what can be named in it.
#[derive(Default)]
struct Module {
    file: String,
    /// Names that the file itself defines here.
    defines: BTreeSet<String>,
    /// Names brought in by `use`, with the path that was written.
    uses: BTreeMap<String, Vec<String>>,
    /// Paths of `use path::*`.
    globs: Vec<Vec<String>>,
    children: BTreeSet<String>,
    /// The names among `uses`, and the paths among `globs`, that are handed on.
    handed_on: BTreeSet<String>,
    /// All other paths in the tokens.
    paths: BTreeSet<Vec<String>>,
    /// All single names in the tokens, whatever they are.
    names: BTreeSet<String>,
}

/// Whether a name that no item spells out counts for the module it is looked for in.
#[derive(Clone, Copy, PartialEq)]
enum Strictness {
    /// It does: a macro may define it.
    Guessed,
    /// It does not: any word of a file may be looked for.
    Defined,
}

type Modules = BTreeMap<Vec<String>, Module>;

/// The imports between the files of one crate whose root file is `root`, such as `engine/src/lib.rs`.
pub fn of_crate(root: &str, sources: &[Source]) -> Imports {
    let by_name: BTreeMap<&str, &Source> = sources
        .iter()
        .map(|source| (source.file.as_str(), source))
        .collect();
    let mut modules = Modules::new();
    if let Some(source) = by_name.get(root) {
        let place = Place {
            path: Vec::new(),
            file: root,
            children: folder_of_children(root),
        };
        read_module(&place, &source.items, &by_name, &mut modules);
    }
    let mut imports = Imports::new();
    for (path, module) in &modules {
        let through_globs = module
            .globs
            .iter()
            .filter(|glob| !module.handed_on.contains(&glob.join("::")))
            .flat_map(|glob| {
                module
                    .names
                    .iter()
                    .map(move |name| [glob, &[name.clone()][..]].concat())
            })
            .filter_map(|written| resolve(&modules, path, &written, Strictness::Defined, 0));
        let named = module
            .uses
            .iter()
            .filter(|(name, _)| !module.handed_on.contains(*name))
            .map(|(_, path)| path)
            .chain(&module.paths)
            .filter_map(|written| resolve(&modules, path, written, Strictness::Guessed, 0));
        for (file, name) in named.chain(through_globs) {
            if file != module.file && !is_above(&file, &module.file) {
                imports
                    .entry(module.file.clone())
                    .or_default()
                    .entry(file)
                    .or_default()
                    .insert(name);
            }
        }
    }
    imports
}

/// Whether `file` is the module in whose folder `other` lies, to any depth. A module and its parts are one: they may use what
/// it holds for all of them.
fn is_above(file: &str, other: &str) -> bool {
    other.starts_with(&format!("{}/", file.trim_end_matches(".rs")))
}

struct Place<'a> {
    path: Vec<String>,
    file: &'a str,
    /// The folder in which the files of child modules lie.
    children: String,
}

fn read_module(
    place: &Place<'_>,
    items: &[Item],
    by_name: &BTreeMap<&str, &Source>,
    modules: &mut Modules,
) {
    let mut module = Module {
        file: place.file.to_owned(),
        ..Module::default()
    };
    for item in items {
        match item {
            Item::Use(item) => {
                let public = !matches!(item.vis, Visibility::Inherited);
                read_use(&item.tree, &mut Vec::new(), public, &mut module);
            }
            Item::Mod(child) => {
                let name = child.ident.to_string();
                module.children.insert(name.clone());
                let mut path = place.path.clone();
                path.push(name.clone());
                let below = format!("{}/{name}", place.children);
                if let Some((_, items)) = &child.content {
                    let inner = Place {
                        path,
                        file: place.file,
                        children: below,
                    };
                    read_module(&inner, items, by_name, modules);
                } else {
                    let file = [format!("{below}.rs"), format!("{below}/mod.rs")]
                        .into_iter()
                        .find(|file| by_name.contains_key(file.as_str()));
                    if let Some(file) = file {
                        let source = by_name[file.as_str()];
                        let inner = Place {
                            path,
                            file: &file,
                            children: below,
                        };
                        read_module(&inner, &source.items, by_name, modules);
                    }
                }
            }
            other => {
                module.defines.extend(name_of(other));
                read_names(other.to_token_stream(), &mut module.names);
                read_paths(other.to_token_stream(), &mut module.paths);
            }
        }
    }
    modules.insert(place.path.clone(), module);
}

fn name_of(item: &Item) -> Option<String> {
    match item {
        Item::Const(i) => Some(i.ident.to_string()),
        Item::Enum(i) => Some(i.ident.to_string()),
        Item::Fn(i) => Some(i.sig.ident.to_string()),
        Item::Static(i) => Some(i.ident.to_string()),
        Item::Struct(i) => Some(i.ident.to_string()),
        Item::Trait(i) => Some(i.ident.to_string()),
        Item::Type(i) => Some(i.ident.to_string()),
        Item::Union(i) => Some(i.ident.to_string()),
        Item::Macro(i) => i.ident.as_ref().map(ToString::to_string),
        _ => None,
    }
}

fn read_use(tree: &UseTree, before: &mut Vec<String>, public: bool, module: &mut Module) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            read_use(&path.tree, before, public, module);
            before.pop();
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            let mut path = before.clone();
            let bound = if name == "self" {
                before.last().cloned().unwrap_or_default()
            } else {
                path.push(name.clone());
                name
            };
            if public {
                module.handed_on.insert(bound.clone());
            }
            module.uses.insert(bound, path);
        }
        UseTree::Rename(rename) => {
            let mut path = before.clone();
            if rename.ident != "self" {
                path.push(rename.ident.to_string());
            }
            // `as _` binds no name, but is an import all the same.
            let bound = if rename.rename == "_" {
                format!("_ {}", path.join("::"))
            } else {
                rename.rename.to_string()
            };
            if public {
                module.handed_on.insert(bound.clone());
            }
            module.uses.insert(bound, path);
        }
        UseTree::Glob(_) => {
            if public {
                module.handed_on.insert(before.join("::"));
            }
            module.globs.push(before.clone());
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                read_use(tree, before, public, module);
            }
        }
    }
}

fn read_names(tokens: TokenStream, names: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                names.insert(ident.to_string());
            }
            TokenTree::Group(group) => read_names(group.stream(), names),
            _ => {}
        }
    }
}

/// Collects each `a::b::c` of at least two parts.
fn read_paths(tokens: TokenStream, paths: &mut BTreeSet<Vec<String>>) {
    let mut path: Vec<String> = Vec::new();
    let mut colons = 0;
    let mut end = |path: &mut Vec<String>| {
        if path.len() > 1 {
            paths.insert(std::mem::take(path));
        }
        path.clear();
    };
    let mut groups = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if colons != 2 {
                    end(&mut path);
                }
                path.push(ident.to_string());
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => colons += 1,
            TokenTree::Group(group) => {
                end(&mut path);
                colons = 0;
                groups.push(group.stream());
            }
            _ => {
                end(&mut path);
                colons = 0;
            }
        }
    }
    end(&mut path);
    for group in groups {
        read_paths(group, paths);
    }
}

/// The file that defines what `written` names inside the module `at`, and the name itself.
///
/// `None` for names of other crates, of the standard library, and for a module as a whole: what is taken from it stands in
/// the paths through it.
fn resolve(
    modules: &Modules,
    at: &[String],
    written: &[String],
    strictness: Strictness,
    depth: usize,
) -> Option<(String, String)> {
    if depth > 16 {
        return None;
    }
    let (mut here, rest) = start(modules, at, written)?;
    for (index, segment) in rest.iter().enumerate() {
        let module = modules.get(&here)?;
        if module.defines.contains(segment) {
            return Some((module.file.clone(), segment.clone()));
        }
        let mut child = here.clone();
        child.push(segment.clone());
        if module.children.contains(segment) && modules.contains_key(&child) {
            here = child;
            continue;
        }
        if let Some(path) = module.uses.get(segment) {
            if path.first() == Some(segment) && path.len() == 1 {
                return None;
            }
            let mut path = path.clone();
            path.extend(rest[index + 1..].iter().cloned());
            return resolve(modules, &here, &path, strictness, depth + 1);
        }
        for glob in &module.globs {
            let mut path = glob.clone();
            path.extend(rest[index..].iter().cloned());
            if let Some(found) = resolve(modules, &here, &path, strictness, depth + 1) {
                return Some(found);
            }
        }
        // Something of this module that no item spells out, such as what a macro defines; inside the module itself a name
        // of another crate.
        let guessed = strictness == Strictness::Guessed && here != at;
        return guessed.then(|| (module.file.clone(), segment.clone()));
    }
    None
}

/// The module in which the rest of `written` is looked up, and that rest.
fn start<'a>(
    modules: &Modules,
    at: &[String],
    written: &'a [String],
) -> Option<(Vec<String>, &'a [String])> {
    let mut here = at.to_vec();
    let mut rest = written;
    match written.first()?.as_str() {
        "crate" => {
            here.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {}
        first => {
            let module = modules.get(&here)?;
            let known = module.children.contains(first)
                || module.defines.contains(first)
                || module.uses.contains_key(first)
                || !module.globs.is_empty();
            return known.then_some((here, rest));
        }
    }
    while rest.first().is_some_and(|segment| segment == "super") {
        here.pop()?;
        rest = &rest[1..];
    }
    Some((here, rest))
}
