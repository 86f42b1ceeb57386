//! One environment in `flow.toml`: its own host, its application, its database.

use std::fmt::Write as _;

use super::hosts::{Folders, further, machine_id, remarks};
use super::{key, known, list, quoted, said};
use crate::init::{Draft, MARK, Place, Supervisor};

pub(super) fn environment(out: &mut String, draft: &Draft, place: &Place) {
    let (name, own) = (&place.name, &place.own);
    let _infallible = writeln!(out, "\n[env.{name}]");
    remarks(out, own);
    let stand_in = quoted(&format!("TODO-{name}"));
    let question = format!("which host is {name}, as you type it after ssh?");
    key(
        out,
        "ssh",
        own.ssh.as_deref().map(quoted),
        "",
        &stand_in,
        &question,
    );
    machine_id(out, own);
    let app = own.app_dir.as_deref().map(quoted);
    key(
        out,
        "app_dir",
        app,
        "",
        "\"/srv/TODO\"",
        "in which folder is the application there?",
    );
    let folders = Folders::of(draft, own);
    known(
        out,
        "backup_dir",
        &folders.backups,
        "made when first needed",
    );
    known(
        out,
        "flow_dir",
        &folders.flow,
        "jobs and locks; made when first needed",
    );
    let deploy = draft.deploy.as_deref().map(list);
    let question = "which script deploys there? it runs in app_dir; {commit} is replaced";
    key(
        out,
        "deploy",
        deploy,
        "runs in app_dir",
        "[\"./TODO-deploy.sh\", \"{commit}\"]",
        question,
    );
    application(out, draft, place);
    database(out, draft, place);
    further(out, draft, place);
}

/// Its processes, and how they say that they are well.
fn application(out: &mut String, draft: &Draft, place: &Place) {
    let own = &place.own;
    let of = |found: &Option<(String, Vec<String>)>| {
        found.clone().filter(|(_, names)| !names.is_empty())
    };
    let from_files = || {
        let pm2 = of(&draft.ecosystem).map(|found| (Supervisor::Pm2, found));
        let units = || of(&draft.units).map(|found| (Supervisor::Systemd, found));
        let services = || of(&draft.services).map(|found| (Supervisor::Compose, found));
        // An ecosystem file whose names are made while it runs names none here.
        let is_pm2 = draft.ecosystem.is_some();
        pm2.or_else(|| {
            if is_pm2 {
                None
            } else {
                units().or_else(services)
            }
        })
    };
    let found = if own.processes.is_empty() {
        from_files().map(|(kind, (file, names))| (kind, names, file))
    } else {
        let there = format!("{} there", own.supervisor.name());
        Some((own.supervisor, own.processes.clone(), there))
    };
    if let Some((kind, names, from)) = found {
        if let Some(value) = kind.value() {
            known(out, "supervisor", value, "");
        }
        known(out, "processes", &list(&names), &from);
    } else if let Some((file, _)) = &draft.ecosystem {
        let _infallible = writeln!(
            out,
            "# processes = []   {MARK} name all of them, or take this line out: then those in app_dir count. Not each is written out in {}",
            said(file)
        );
    }
    let route = draft
        .health
        .as_ref()
        .map_or("/health", |(route, _)| route.as_str());
    let stand_in = quoted(&format!("http://{}.invalid{route}", place.name));
    let question = match &draft.health {
        Some((route, file)) => format!("the host and port; {route} stands in {file}"),
        None => "which URL says that it is healthy?".to_owned(),
    };
    key(
        out,
        "health",
        own.health.as_deref().map(quoted),
        "",
        &stand_in,
        &question,
    );
    if own.asks_itself() {
        known(
            out,
            "health_from",
            "\"host\"",
            "only the host itself gets an answer",
        );
    }
}

fn database(out: &mut String, draft: &Draft, place: &Place) {
    let _infallible = writeln!(out, "[env.{}.database]", place.name);
    let keeper = place.apart.as_ref().unwrap_or(&place.own);
    if let Some(apart) = &place.apart {
        remarks(out, apart);
        let alias = apart.ssh.as_deref().unwrap_or_default();
        known(out, "ssh", &quoted(alias), "a host of its own");
        machine_id(out, apart);
        Folders::of(draft, apart).written(out, &Folders::of(draft, &place.own));
    }
    if let Some((exec, user, name)) = &keeper.database {
        if !exec.is_empty() {
            known(out, "exec", &list(exec), "");
        }
        known(out, "user", &quoted(user), "");
        known(out, "name", &quoted(name), "has _prisma_migrations");
        return;
    }
    if let Some(container) = draft.containers.first() {
        let exec = ["docker", "exec", "-i", container].map(str::to_owned);
        known(out, "exec", &list(&exec), "from the repository");
        if draft.containers.len() > 1 {
            let _infallible = writeln!(
                out,
                "# Other containers: {}",
                said(&draft.containers[1..].join(", "))
            );
        }
    }
    key(
        out,
        "user",
        None,
        "",
        "\"postgres\"",
        "as which role does flow log in? flow doctor names the rights it lacks",
    );
    key(
        out,
        "name",
        None,
        "",
        "\"postgres\"",
        "what is the database called?",
    );
}
