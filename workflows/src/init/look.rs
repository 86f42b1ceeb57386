//! A look at one host, asking only.

use crate::config::is_loopback;
use flow_steps::means::host::{Command, Host, HostExt as _, Hosts};
use flow_steps::means::probes::Check;

use super::host::{Answers, Process, SCRIPT, read};
use super::machine::Machine;
use super::{Draft, is_folder};

/// How many ports of one host are asked, at the most.
const PORTS: usize = 10;

/// Looks at one host of an environment and fills in what it says. Nothing there is changed, and no value of a variable is
/// kept but ports.
///
/// # Errors
/// A sentence, when the host cannot be asked; the draft is as it was.
pub async fn look_at(
    draft: &mut Draft,
    environment: &str,
    alias: &str,
    host: &dyn Host,
) -> Result<(), String> {
    let asked = host.run(&Command::script(SCRIPT)).await;
    let text = asked.map_err(|e| e.to_string())?;
    let answers = read(&text);
    let known = draft.ecosystem.as_ref().map(|(_, names)| names.clone());
    let known = known.filter(|names| !names.is_empty());
    let route = draft
        .health
        .as_ref()
        .map_or("/health", |(route, _)| route)
        .to_owned();
    let last = draft
        .places
        .last()
        .is_some_and(|place| place.name == environment);
    if last && !answers.columns.is_empty() {
        draft.tables.clone_from(&answers.columns);
    }
    let place = draft
        .places
        .iter_mut()
        .find(|place| place.name == environment);
    if let Some(machine) = place.and_then(|place| place.machine(alias)) {
        fill(machine, answers, known.as_deref(), (host, &route)).await;
    }
    Ok(())
}

/// The processes of one supervisor: those of pm2 that the repository knows, else of systemd or compose in a checkout.
fn of_application(all: &[Process], known: Option<&[String]>) -> (Vec<usize>, Option<String>) {
    let ours = |process: &Process| {
        let is_pm2 = process.supervisor.value().is_none();
        !is_pm2 || known.is_none_or(|known| known.contains(&process.name))
    };
    let ours: Vec<usize> = (0..all.len()).filter(|n| ours(&all[*n])).collect();
    let Some(first) = ours.first().map(|n| all[*n].supervisor) else {
        return (ours, None);
    };
    let (taken, left): (Vec<usize>, Vec<usize>) =
        ours.into_iter().partition(|n| all[*n].supervisor == first);
    let left: Vec<String> = left
        .into_iter()
        .map(|n| format!("{} ({})", all[n].name, all[n].supervisor.name()))
        .collect();
    let left = (!left.is_empty()).then(|| format!("it also runs {}", left.join(", ")));
    (taken, left)
}

async fn fill(
    machine: &mut Machine,
    answers: Answers,
    known: Option<&[String]>,
    (host, route): (&dyn Host, &str),
) {
    let (ours, left) = of_application(&answers.processes, known);
    machine.remarks.extend(left);
    let processes: Vec<&Process> = ours.iter().map(|n| &answers.processes[*n]).collect();
    machine.home = answers.home.or(machine.home.take());
    machine.machine_id = answers.machine;
    let mut names: Vec<String> = processes
        .iter()
        .map(|process| process.name.clone())
        .collect();
    names.sort();
    names.dedup();
    match processes.first() {
        Some(first) => machine.supervisor = first.supervisor,
        None => machine.remarks.push(
            "neither pm2 nor systemd nor docker compose runs a process of the application for this login".into(),
        ),
    }
    machine.processes = names;
    folders(machine, &processes);
    let mut databases = answers.databases;
    if databases.len() == 1 {
        machine.database = databases.pop();
    } else {
        let found = databases.len();
        machine
            .remarks
            .push(format!("{found} databases have _prisma_migrations"));
    }
    if machine.health.is_none()
        && let Some(address) = &answers.address
    {
        let mut ports: Vec<u16> = processes
            .iter()
            .flat_map(|process| process.ports.clone())
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports.truncate(PORTS);
        healthy(machine, (address, &ports), (host, route)).await;
    }
}

/// The checkout that all of them work in.
fn folders(machine: &mut Machine, processes: &[&Process]) {
    let mut folders: Vec<&String> = processes
        .iter()
        .filter_map(|process| process.folder.as_ref())
        .filter(|folder| is_folder(folder))
        .collect();
    folders.sort();
    folders.dedup();
    match folders.as_slice() {
        [one] if machine.app_dir.is_none() => machine.app_dir = Some((*one).clone()),
        [_, _, ..] if machine.app_dir.is_none() => {
            let all: Vec<&str> = folders.iter().map(|folder| folder.as_str()).collect();
            let said = format!("the processes run in several checkouts: {}", all.join(", "));
            machine.remarks.push(said);
        }
        _ => {}
    }
}

/// The first port that answers under this path with 200: asked from here, then by the host itself.
async fn healthy(
    machine: &mut Machine,
    (address, ports): (&str, &[u16]),
    (host, route): (&dyn Host, &str),
) {
    for port in ports {
        let url = format!("http://{address}:{port}{route}");
        if is_loopback(&url) {
            // Whatever answers here is asked by this machine of itself.
            continue;
        }
        let Ok(answer) = Check::ok(&url).ask(&Hosts::new()).await else {
            continue;
        };
        note(machine, url, &answer.body);
        return;
    }
    for address in [address, "127.0.0.1"] {
        for port in ports {
            let url = format!("http://{address}:{port}{route}");
            let curl = Command::new("curl").args(["-sSf", "--max-time", "5", "--", &url]);
            if let Ok(body) = host.run(&curl).await {
                note(machine, url, &body);
                machine.health_from_host = true;
                return;
            }
        }
    }
}

/// What a release demands of the page where nothing is said: JSON with `{"status": "ok"}`.
fn note(machine: &mut Machine, url: String, body: &str) {
    let json: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let status = json.as_ref().and_then(|json| json.get("status")?.as_str());
    if status != Some("ok") {
        machine.remarks.push(
            "its health page answers 200, but not JSON with \"status\": \"ok\"; say in `healthy` what a well one has".into(),
        );
    }
    machine.health = Some(url);
}
