//! Which of a supervisor's processes are the application's.
//!
//! One pm2 often keeps more than one application, and its own modules; so do systemd and docker. What is not the application's is neither
//! stopped, nor restarted, nor judged.

use std::collections::BTreeMap;

use flow_engine::step::StepError;
use serde::{Deserialize, Serialize};

use super::list::ProcessList;
use crate::means::host::{Command, Host};
use crate::means::reach;

/// What keeps an application's processes running.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// pm2 of one user. Its program is such as `sudo -u app pm2`.
    #[default]
    Pm2,
    /// systemd, of the system or of one user. Its program is such as `systemctl --user`; logs come from `journalctl`
    /// with the same words before it.
    Systemd,
    /// The containers of docker compose. Its program is such as `docker compose -p shop`, or `docker` alone.
    Compose,
}

impl Kind {
    /// Whether it is pm2, which plans from before there were others mean.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    fn is_pm2(&self) -> bool {
        *self == Kind::Pm2
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Pm2 => "pm2",
            Kind::Systemd => "systemd",
            Kind::Compose => "docker compose",
        }
    }
}

/// What makes a process the application's, and what keeps it running. The default takes every process but pm2's modules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// The names of its processes; none: the folder decides.
    #[serde(default)]
    pub processes: Vec<String>,
    /// The application's folder on the host, absolute. A process belongs to it whose working folder or script lies in
    /// it, links followed. Where it is a link to one of several releases, the other releases belong to it as well.
    #[serde(default)]
    pub folder: Option<String>,
    /// What keeps them running.
    #[serde(default, skip_serializing_if = "Kind::is_pm2")]
    pub supervisor: Kind,
}

/// What is known of a process before it is known whose it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) module: bool,
    pub(crate) folder: Option<String>,
    pub(crate) script: Option<String>,
}

/// Where a folder really is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    /// As it is written.
    pub(crate) written: String,
    /// Where it leads to.
    pub(crate) real: String,
}

impl Folder {
    /// Whether a path is in it, as written or followed.
    pub(crate) fn holds(&self, path: &str) -> bool {
        inside(path, &self.written) || inside(path, &self.real)
    }

    /// The folder of all releases, where this one is a link to one of them: `/srv/app/current` that leads to
    /// `/srv/app/releases/7`. A link that leads elsewhere (to another disk, say) has no such folder.
    pub(crate) fn releases(&self) -> Option<&str> {
        let above = parent(&self.written)?;
        let all = parent(&self.real)?;
        (self.real != self.written && all != above && inside(all, above)).then_some(all)
    }

    /// Whether a path is in another release than the one this folder leads to.
    pub(crate) fn other_release(&self, real: &str) -> bool {
        let in_releases = |all: &str| inside(real, all) && real != all;
        self.releases().is_some_and(in_releases) && !inside(real, &self.real)
    }
}

impl Application {
    /// The rule in words, for plans and for `flow doctor`.
    pub fn in_words(&self) -> String {
        match (&self.processes[..], &self.folder) {
            ([], Some(folder)) => format!("those that run in {folder}"),
            ([], None) if self.supervisor == Kind::Pm2 => "all but pm2's modules".into(),
            ([], None) => format!("all of {}", self.supervisor.name()),
            (names, _) => names.join(", "),
        }
    }

    /// Whether a configured name is a process's: systemd's services may be named with their ending.
    fn means(&self, configured: &str, name: &str) -> bool {
        let ending = configured.strip_suffix(".service");
        configured == name || (self.supervisor == Kind::Systemd && ending == Some(name))
    }

    /// Those of the names that are given of which there is no process.
    pub fn missing(&self, list: &ProcessList) -> Vec<&str> {
        let unknown = |name: &&String| !list.apps.iter().any(|a| self.means(name, &a.name));
        let names = self.processes.iter().filter(unknown);
        names.map(String::as_str).collect()
    }

    /// For each of these, whether it is the application's.
    pub(crate) async fn own(&self, host: &dyn Host, all: &[Place]) -> Result<Vec<bool>, StepError> {
        if !self.processes.is_empty() {
            let named = |p: &Place| {
                let mut names = self.processes.iter();
                !p.module && names.any(|name| self.means(name, &p.name))
            };
            return Ok(all.iter().map(named).collect());
        }
        let Some(folder) = &self.folder else {
            return Ok(all.iter().map(|p| !p.module).collect());
        };
        let paths = |p: &Place| -> Vec<String> {
            let both = [p.folder.clone(), p.script.clone()];
            both.into_iter().flatten().collect()
        };
        let written = |p: &Place| paths(p).iter().any(|path| inside(path, folder));
        let unclear: Vec<String> = all
            .iter()
            .filter(|p| !p.module && !written(p))
            .flat_map(paths)
            .collect();
        let real = if unclear.is_empty() {
            BTreeMap::new()
        } else {
            follow(host, folder, unclear).await?
        };
        let leads = Folder {
            written: folder.clone(),
            real: real.get(folder).unwrap_or(folder).clone(),
        };
        let followed = |p: &Place| {
            let ends = paths(p).into_iter().filter_map(|path| real.get(&path));
            ends.into_iter()
                .any(|path| leads.holds(path) || leads.other_release(path))
        };
        Ok(all
            .iter()
            .map(|p| !p.module && (written(p) || followed(p)))
            .collect())
    }
}

/// Where these paths lead to, by the path; without those that lead nowhere.
async fn follow(
    host: &dyn Host,
    folder: &str,
    mut paths: Vec<String>,
) -> Result<BTreeMap<String, String>, StepError> {
    paths.push(folder.to_owned());
    paths.retain(|path| path.starts_with('/') && !path.contains(['\n', '\r', '\0']));
    paths.sort();
    paths.dedup();
    let text = r#"for p; do readlink -f -- "$p" 2>/dev/null || echo; done"#;
    let command = Command::script(text).arg("sh").args(paths.iter().cloned());
    let answer = reach::run(host, &command).await?;
    // Trailing empty lines are cut off by `run`; what has no line leads nowhere.
    let ends = answer.split('\n').map(str::to_owned);
    Ok(paths
        .into_iter()
        .zip(ends)
        .filter(|(_, e)| e.starts_with('/'))
        .collect())
}

/// Whether a path is a folder or lies in it; both as written.
pub(crate) fn inside(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn parent(path: &str) -> Option<&str> {
    let (above, _) = path.trim_end_matches('/').rsplit_once('/')?;
    (!above.is_empty()).then_some(above)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::means::host::Local;

    #[test]
    fn a_folder_beside_with_the_same_beginning_is_another_one() {
        assert!(inside("/srv/app", "/srv/app/"));
        assert!(inside("/srv/app/src", "/srv/app"));
        assert!(!inside("/srv/app-2/src", "/srv/app"));
        assert!(!inside("/srv", "/srv/app"));
    }

    #[test]
    fn a_link_to_another_disk_makes_its_neighbours_no_releases() {
        let folder = |written: &str, real: &str| Folder {
            written: written.into(),
            real: real.into(),
        };
        let releases = folder("/srv/app/current", "/srv/app/releases/7");
        assert!(releases.other_release("/srv/app/releases/6/src"));
        assert!(!releases.other_release("/srv/app/releases/7/src"));
        assert!(!folder("/srv/app", "/mnt/data/app").other_release("/mnt/data/other"));
        assert!(!folder("/data/app", "/data/app-7").other_release("/data/shop"));
    }

    #[tokio::test]
    async fn modules_and_foreign_applications_do_not_belong_and_releases_behind_a_link_do() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for folder in ["app/releases/6", "app/releases/7", "other"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("app/releases/7"), root.join("app/current")).unwrap();
        std::os::unix::fs::symlink(root.join("app/current"), root.join("by-name")).unwrap();
        let at = |path: &str| Some(root.join(path).to_str().unwrap().to_owned());
        let place = |name: &str, module: bool, folder: &str| Place {
            name: name.into(),
            module,
            folder: at(folder),
            script: None,
        };
        let all = [
            place("api", false, "app/current"),
            place("old", false, "app/releases/6"),
            place("link", false, "by-name"),
            place("shop", false, "other"),
            place("rotate", true, "app/current"),
            place("gone", false, "nowhere"),
        ];
        let by_folder = Application {
            processes: vec![],
            folder: at("app/current"),
            supervisor: Kind::Pm2,
        };
        let here = Local::new("here");
        let own = by_folder.own(&here, &all).await.unwrap();
        assert_eq!(own, [true, true, true, false, false, false]);
        let by_name = Application {
            processes: vec!["shop".into(), "rotate".into()],
            ..by_folder
        };
        let own = by_name.own(&here, &all).await.unwrap();
        assert_eq!(own, [false, false, false, true, false, false]);
        let all_but_modules = Application::default().own(&here, &all).await.unwrap();
        assert_eq!(all_but_modules.iter().filter(|own| **own).count(), 5);
    }
}
