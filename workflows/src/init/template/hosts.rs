//! The other hosts of an environment in `flow.toml`, and where `flow` keeps its things on each.

use std::fmt::Write as _;

use super::{known, list, quoted, said};
use crate::init::{Draft, MARK, Machine, Place};

pub(super) fn remarks(out: &mut String, machine: &Machine) {
    for remark in &machine.remarks {
        let _infallible = writeln!(out, "# Not found out: {}", said(remark));
    }
}

pub(super) fn machine_id(out: &mut String, machine: &Machine) {
    if let Some(id) = &machine.machine_id {
        known(
            out,
            "machine_id",
            &quoted(id),
            "/etc/machine-id, when it was looked at",
        );
    }
}

/// Where `flow` keeps its things on a host, as TOML has them.
#[derive(PartialEq, Eq)]
pub(super) struct Folders {
    pub(super) backups: String,
    pub(super) flow: String,
}

impl Folders {
    pub(super) fn of(draft: &Draft, machine: &Machine) -> Folders {
        let home = machine.home.as_deref().unwrap_or("/var/lib/flow");
        let name = folder_name(&draft.name.0);
        Folders {
            backups: quoted(&format!("{home}/backups-{name}")),
            flow: quoted(&format!("{home}/flow-{name}")),
        }
    }

    /// Both, where they are not as on the environment's own host.
    pub(super) fn written(&self, out: &mut String, own: &Folders) {
        if self != own {
            known(out, "backup_dir", &self.backups, "");
            known(out, "flow_dir", &self.flow, "");
        }
    }
}

/// The other hosts of the environment: those that were named, and those that may be meant.
pub(super) fn further(out: &mut String, draft: &Draft, place: &Place) {
    let (name, own) = (&place.name, &place.own);
    let common = Folders::of(draft, own);
    let mut taken = vec!["database".to_owned()];
    for machine in &place.further {
        let Some(alias) = &machine.ssh else { continue };
        if !machine.has_application() {
            let _infallible = writeln!(
                out,
                "{MARK} is `{}` a host the application is deployed to? if not, take its lines out; a database's own host is `ssh` in [env.{name}.database]",
                said(alias)
            );
        }
        let _infallible = writeln!(out, "[[env.{name}.host]]");
        remarks(out, machine);
        let short = host_name(alias, &taken);
        known(out, "name", &quoted(&short), "");
        taken.push(short);
        known(out, "ssh", &quoted(alias), "");
        machine_id(out, machine);
        if let Some(app) = machine
            .app_dir
            .as_ref()
            .filter(|app| Some(*app) != own.app_dir.as_ref())
        {
            known(out, "app_dir", &quoted(app), "");
        }
        Folders::of(draft, machine).written(out, &common);
        if machine.supervisor != own.supervisor {
            let pm2 = "{ kind = \"pm2\" }";
            known(
                out,
                "supervisor",
                machine.supervisor.value().unwrap_or(pm2),
                "",
            );
        }
        if !machine.processes.is_empty() && machine.processes != own.processes {
            known(out, "processes", &list(&machine.processes), "");
        }
        // Without a page nobody is asked: a worker answers nobody.
        if let Some(url) = &machine.health {
            known(out, "health", &quoted(url), "");
            if machine.asks_itself() && !own.asks_itself() {
                known(out, "health_from", "\"host\"", "the host itself asks");
            }
        }
    }
    for other in &place.others {
        let alias = quoted(other);
        let short = quoted(&host_name(other, &taken));
        let _infallible = write!(
            out,
            "# Also in the ssh configuration; take the signs away if it is a further host of {name}.\n\
             # [[env.{name}.host]]\n# name = {short}\n# ssh = {alias}\n"
        );
    }
}

/// The longest name of a host, in characters.
const HOST_NAME_MAX: usize = 20;

/// A name for a further host, made of its alias: a letter first, then a-z, 0-9 and `-`, and no other's.
fn host_name(alias: &str, taken: &[String]) -> String {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let plain: String = alias
        .to_lowercase()
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect();
    let plain = plain.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let plain: String = plain.chars().take(HOST_NAME_MAX - 3).collect();
    let plain = plain.trim_end_matches('-');
    let plain = if plain.is_empty() { "host" } else { plain };
    let is_free = |name: &String| !taken.contains(name);
    if is_free(&plain.to_owned()) {
        return plain.to_owned();
    }
    let mut numbered = (2..100).map(|n| format!("{plain}-{n}"));
    numbered.find(is_free).unwrap_or_else(|| plain.to_owned())
}

/// The application's name as part of a folder's name.
fn folder_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name: String = name
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect();
    name.trim_start_matches(['.', '-'])
        .chars()
        .take(60)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_becomes_a_name_that_a_host_may_have_and_no_other_has() {
        let taken = ["database", "web-1"].map(String::from);
        for (alias, name) in [
            ("backend-2", "backend-2"),
            ("web-1", "web-1-2"),
            ("database", "database-2"),
            ("Shop_Worker.example.org", "shop-worker-examp"),
            ("10.0.0.7", "host"),
            ("me@web", "me-web"),
        ] {
            assert_eq!(host_name(alias, &taken), name, "{alias}");
        }
    }
}
