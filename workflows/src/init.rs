//! What `flow init` finds out about a repository and its hosts, and the three files it writes of that.
//!
//! Repository and hosts are read, never run or changed, and not trusted: what they say is bounded, and quoted where it
//! is written. What nobody says stays a line with `TODO`, which `flow doctor` names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use flow_steps::means::plain::is_plain;

use crate::config::{Config, Layout, path_problem};

mod aliases;
mod ecosystem;
mod host;
mod look;
mod machine;
mod migrations;
mod prisma;
mod stack;
mod template;
mod todo;
mod walk;

pub use look::look_at;
pub use machine::{Machine, Place, Supervisor};
pub use todo::{MARK, Todo, todos};

/// Stands for the folder of migrations where a person must choose one.
pub(crate) const MIGRATIONS_OPEN: &str = "TODO/prisma/migrations";
/// The environments of the protocol.
const PROTOCOL: [&str; 3] = ["test", "stage", "prod"];
/// The longest answer or name that is taken over, in characters.
const TEXT_MAX: usize = 200;

/// What is known before anybody is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// An ssh configuration file instead of the user's own, as `flow.toml` shall name it.
    pub ssh_config: Option<PathBuf>,
    /// The environments in their order, production last; empty for the protocol's three.
    pub path: Vec<String>,
    /// The hosts of an environment, by the environment's name; the first is its own.
    pub hosts: BTreeMap<String, Vec<String>>,
    /// Where the application is on the hosts.
    pub app_dir: Option<String>,
}

impl Wishes {
    /// The names of the environments, production last.
    pub fn path(&self) -> Vec<String> {
        if self.path.is_empty() {
            PROTOCOL.map(str::to_owned).to_vec()
        } else {
            self.path.clone()
        }
    }

    /// Why no release could take these environments in this order.
    pub fn problem(&self) -> Option<String> {
        path_problem(&self.path())
    }
}

/// Everything that was found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// The application's name, and where it stands.
    pub name: (String, String),
    /// The folders of migrations inside the repository. Where there are several, a person says which is meant.
    pub migrations: Vec<String>,
    /// The schema, where it is not beside the migrations.
    pub schema: Option<String>,
    /// What the datasource of the schema says it is.
    pub provider: Option<String>,
    /// Tables and their columns, those of every schema where there are several.
    pub tables: BTreeMap<String, Vec<String>>,
    /// pm2's ecosystem file, and the names in it; none where not each of them is written out.
    pub ecosystem: Option<(String, Vec<String>)>,
    /// Units of systemd for the application, and the file of the first.
    pub units: Option<(String, Vec<String>)>,
    /// Services of a compose file that are no database, and the file.
    pub services: Option<(String, Vec<String>)>,
    /// Containers that hold a database, as the repository names them.
    pub containers: Vec<String>,
    /// The path that says whether the application is healthy, and the file it stands in.
    pub health: Option<(String, String)>,
    /// The deploy script and its words.
    pub deploy: Option<Vec<String>>,
    /// Folders with a `package.json` besides the root.
    pub parts: Vec<String>,
    /// The environments, production last.
    pub places: Vec<Place>,
    /// The ssh configuration that `flow.toml` names.
    pub ssh_config: Option<PathBuf>,
}

/// The texts of the three files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The text of `flow.toml`: the application and its machines.
    pub flow: String,
    /// The text of `flow.people.toml`: who signs and who is called.
    pub people: String,
    /// The text of `flow.data.toml`: which columns may leave production.
    pub data: String,
}

/// Something only a person can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The environment it is about.
    pub environment: String,
    /// What is asked, as a key of `flow.toml`.
    pub key: &'static str,
    /// The question, one line.
    pub text: String,
}

impl Draft {
    /// Looks through a repository and an ssh configuration. Reads only; nothing there is run.
    pub fn of(root: &Path, wishes: &Wishes) -> Self {
        let files = walk::Files::of(root);
        let migrations::Schemas {
            folders: migrations,
            schema,
            texts,
        } = migrations::of(&files);
        let own = std::env::var_os("HOME").map(|home| Path::new(&home).join(".ssh/config"));
        let file = wishes
            .ssh_config
            .as_ref()
            .map(|path| root.join(path))
            .or(own);
        let aliases = file.map(|file| aliases::listed(&file)).unwrap_or_default();
        let path = wishes.path();
        // A host is in one environment: what one was given or got is none of the next.
        let mut taken: Vec<String> = wishes.hosts.values().flatten().cloned().collect();
        let places = path.iter().map(|name| {
            let place = place(name, &aliases, wishes, &taken);
            taken.extend(place.own.ssh.clone());
            place
        });
        let places = places.collect();
        Self {
            name: name_of(root, &files),
            migrations,
            schema,
            provider: texts.iter().find_map(|text| prisma::provider(text)),
            tables: prisma::tables(&texts),
            ecosystem: ecosystem::processes(&files),
            units: stack::units(&files),
            services: stack::services(&files),
            containers: stack::containers(&files),
            health: stack::health(&files),
            deploy: stack::deploy(&files),
            parts: parts(&files),
            places,
            ssh_config: wishes.ssh_config.clone(),
        }
    }

    /// What nobody could be asked but a person.
    pub fn questions(&self) -> Vec<Question> {
        let mut questions = Vec::new();
        for place in &self.places {
            let name = &place.name;
            let mut ask = |key, text: String| {
                questions.push(Question {
                    environment: name.clone(),
                    key,
                    text,
                });
            };
            if place.own.ssh.is_none() {
                ask(
                    "ssh",
                    format!("{name}: which host is it, as you type it after `ssh`?"),
                );
            }
            if place.own.app_dir.is_none() {
                ask(
                    "app_dir",
                    format!("{name}: in which folder is the application there?"),
                );
            }
            if place.own.health.is_none() {
                ask(
                    "health",
                    format!("{name}: which URL says that it is healthy?"),
                );
            }
        }
        questions
    }

    /// Takes an answer over; an empty one leaves the line as a `TODO`.
    ///
    /// # Errors
    /// A sentence, when the answer cannot be meant; nothing was taken over then.
    pub fn answer(&mut self, question: &Question, text: &str) -> Result<(), String> {
        let text = text.trim();
        let mut draft = self.clone();
        let mut places = draft.places.iter_mut();
        let place = places.find(|place| place.name == question.environment);
        let (Some(place), false) = (place, text.is_empty()) else {
            return Ok(());
        };
        let value = plain(text).ok_or("one line of plain characters, please")?;
        let slot = match question.key {
            "ssh" if !is_host(&value) => {
                return Err("a host is one word that does not begin with `-`".into());
            }
            "app_dir" if !is_folder(&value) => {
                return Err("an absolute path without `..`, please".into());
            }
            "health" if !value.starts_with("http://") && !value.starts_with("https://") => {
                return Err("a URL begins with http:// or https://".into());
            }
            "ssh" => &mut place.own.ssh,
            "app_dir" => &mut place.own.app_dir,
            "health" => &mut place.own.health,
            _ => return Ok(()),
        };
        *slot = Some(value);
        draft.problem().map_or(Ok(()), Err)?;
        *self = draft;
        Ok(())
    }

    /// Every host that is known, with its environment: `(environment, alias)`.
    pub fn hosts(&self) -> Vec<(String, String)> {
        let named = |place: &Place| {
            let aliases = place.machines().filter_map(|machine| machine.ssh.clone());
            let name = place.name.clone();
            aliases
                .map(move |alias| (name.clone(), alias))
                .collect::<Vec<_>>()
        };
        self.places.iter().flat_map(named).collect()
    }

    /// Notes what could not be found out about a host.
    pub fn remark(&mut self, environment: &str, alias: &str, said: String) {
        let place = self
            .places
            .iter_mut()
            .find(|place| place.name == environment);
        if let Some(machine) = place.and_then(|place| place.machine(alias)) {
            machine.remarks.push(said);
        }
    }

    /// Gives each host of each environment its part, once all of them were looked at.
    pub fn arrange(&mut self) {
        self.places.iter_mut().for_each(Place::arrange);
    }

    /// Why the files would be refused if they were written: asked of the configuration's own rules.
    pub fn problem(&self) -> Option<String> {
        let file = Path::new("flow.toml");
        let layout = Layout::of_text(self.files().flow, file);
        let config = layout.and_then(|layout| Config::of(&layout, file));
        config.err().map(|error| error.to_string())
    }

    /// The three files.
    pub fn files(&self) -> Files {
        template::files(self)
    }
}

/// A text that may be taken over as it is: one line of plain characters, not too long.
fn plain(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.chars().count() <= TEXT_MAX && text.chars().all(is_plain);
    fits.then(|| text.to_owned())
}

fn is_host(text: &str) -> bool {
    !text.starts_with('-') && !text.contains(char::is_whitespace)
}

fn is_folder(text: &str) -> bool {
    text.starts_with('/') && !text.split('/').any(|part| part == "..")
}

fn place(name: &str, aliases: &[String], wishes: &Wishes, taken: &[String]) -> Place {
    let given = wishes.hosts.get(name).filter(|given| !given.is_empty());
    let likely = aliases::of(aliases, name).into_iter();
    let mut likely = likely.filter(|alias| !taken.contains(alias)).cloned();
    let (named, others): (Vec<String>, Vec<String>) = match given {
        Some(given) => (given.clone(), Vec::new()),
        None => (
            likely.next().into_iter().collect(),
            likely.take(8).collect(),
        ),
    };
    let mut machines = named.into_iter().map(|alias| Machine {
        app_dir: wishes.app_dir.clone(),
        ..Machine::at(Some(alias))
    });
    let nobody = || Machine {
        app_dir: wishes.app_dir.clone(),
        ..Machine::default()
    };
    Place {
        name: name.to_owned(),
        own: machines.next().unwrap_or_else(nobody),
        further: machines.collect(),
        apart: None,
        others,
    }
}

/// The name in `package.json`, without its scope; else that of the folder.
fn name_of(root: &Path, files: &walk::Files) -> (String, String) {
    let package = files
        .has("package.json")
        .then(|| files.text("package.json"))
        .flatten();
    let named = package.and_then(|text| {
        let package: serde_json::Value = serde_json::from_str(&text).ok()?;
        let name = package.get("name")?.as_str()?;
        let name = name.rsplit('/').next().unwrap_or(name);
        let fits = name.len() <= 60
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        fits.then(|| name.to_owned())
    });
    if let Some(name) = named {
        return (name, "package.json".into());
    }
    let folder = root.canonicalize().ok();
    let folder = folder.as_deref().unwrap_or(root).file_name();
    let folder = folder.and_then(|name| plain(&name.to_string_lossy()));
    (
        folder.unwrap_or_else(|| "application".into()),
        "the folder's name".into(),
    )
}

/// Folders with a `package.json` of their own.
fn parts(files: &walk::Files) -> Vec<String> {
    let folders = files
        .paths
        .iter()
        .filter_map(|path| path.strip_suffix("/package.json"));
    folders.take(20).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
