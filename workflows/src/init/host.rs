//! A look at one host, asking only: which processes, which database, which folders.

use std::collections::BTreeMap;

use flow_steps::means::host::{Command, Host, HostExt as _, Hosts};
use flow_steps::means::probes::Check;
use serde_json::Value;

use super::{Draft, Place, is_folder, plain};

/// One line for each thing found: a word, then values, with tabs between. pm2 is only asked where it runs already: asking
/// starts it otherwise.
const SCRIPT: &str = include_str!("look.sh");
/// The most lines that are read.
const LINES: usize = 20_000;

/// What one host said.
#[derive(Debug, Default)]
struct Answers {
    home: Option<String>,
    machine: Option<String>,
    address: Option<String>,
    processes: Vec<Process>,
    databases: Vec<(Vec<String>, String, String)>,
    columns: BTreeMap<String, Vec<String>>,
}

/// One process of pm2.
#[derive(Debug, Default, PartialEq, Eq)]
struct Process {
    name: String,
    folder: Option<String>,
    ports: Vec<u16>,
}

/// Looks at the host of one environment and fills in what it says. Nothing there is changed, and no value of a variable is
/// kept but ports.
///
/// # Errors
/// A sentence, when the host cannot be asked; the draft is as it was.
pub async fn look_at(draft: &mut Draft, environment: &str, host: &dyn Host) -> Result<(), String> {
    let asked = host.run(&Command::script(SCRIPT)).await;
    let text = asked.map_err(|e| e.to_string())?;
    let answers = read(&text);
    let known = draft.ecosystem.as_ref().map(|(_, names)| names.clone());
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
    if let Some(place) = place {
        fill(place, answers, known.as_deref(), &route).await;
    }
    Ok(())
}

async fn fill(place: &mut Place, answers: Answers, known: Option<&[String]>, route: &str) {
    let ours = |process: &&Process| known.is_none_or(|known| known.contains(&process.name));
    let processes: Vec<&Process> = answers.processes.iter().filter(ours).collect();
    place.home = answers.home.or(place.home.take());
    place.machine_id = answers.machine;
    let mut names: Vec<String> = processes
        .iter()
        .map(|process| process.name.clone())
        .collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        place
            .remarks
            .push("pm2 runs no process of the application for this login".into());
    }
    place.processes = names;
    let mut folders: Vec<&String> = processes
        .iter()
        .filter_map(|process| process.folder.as_ref())
        .collect();
    folders.sort();
    folders.dedup();
    match folders.as_slice() {
        [one] if place.app_dir.is_none() => place.app_dir = Some((*one).clone()),
        [_, _, ..] if place.app_dir.is_none() => {
            let all: Vec<&str> = folders.iter().map(|folder| folder.as_str()).collect();
            place.remarks.push(format!(
                "the processes run in several checkouts: {}",
                all.join(", ")
            ));
        }
        _ => {}
    }
    let mut databases = answers.databases;
    if databases.len() == 1 {
        place.database = databases.pop();
    } else {
        place.remarks.push(format!(
            "{} databases have _prisma_migrations",
            databases.len()
        ));
    }
    if place.health.is_none()
        && let Some(address) = &answers.address
    {
        let ports = processes.iter().flat_map(|process| &process.ports);
        place.health = healthy(address, ports.copied().collect(), route).await;
    }
}

/// The first port that answers under this path with 200, asked from here.
async fn healthy(address: &str, mut ports: Vec<u16>, route: &str) -> Option<String> {
    ports.sort_unstable();
    ports.dedup();
    for port in ports.into_iter().take(10) {
        let url = format!("http://{address}:{port}{route}");
        if Check::ok(&url).ask(&Hosts::new()).await.is_ok() {
            return Some(url);
        }
    }
    None
}

fn read(text: &str) -> Answers {
    let mut answers = Answers::default();
    for line in text.lines().take(LINES) {
        let (word, rest) = line.split_once('\t').unwrap_or((line, ""));
        match word {
            "home" => answers.home = plain(rest).filter(|path| is_folder(path)),
            "machine" => {
                let id =
                    |text: &String| text.len() == 32 && text.chars().all(|c| c.is_ascii_hexdigit());
                answers.machine = plain(rest).filter(id);
            }
            "address" => {
                answers.address = rest.parse::<std::net::IpAddr>().ok().map(|ip| match ip {
                    std::net::IpAddr::V4(ip) => ip.to_string(),
                    std::net::IpAddr::V6(ip) => format!("[{ip}]"),
                });
            }
            "pm2" => answers.processes = processes(rest),
            "folder" => {
                if let Some((from, top)) = rest.split_once('\t').filter(|(_, top)| is_folder(top)) {
                    for process in &mut answers.processes {
                        if process.folder.as_deref() == Some(from) {
                            process.folder = plain(top);
                        }
                    }
                }
            }
            "database" => answers.databases.extend(database(rest)),
            "column" => {
                let names = rest
                    .split_once('\t')
                    .and_then(|(t, c)| Some((plain(t)?, plain(c)?)));
                if let Some((table, column)) = names {
                    answers.columns.entry(table).or_default().push(column);
                }
            }
            _ => {}
        }
    }
    answers
}

/// A container (or nothing), a role, and a name.
fn database(rest: &str) -> Option<(Vec<String>, String, String)> {
    let mut fields = rest.split('\t');
    let (container, user, name) = (fields.next()?, fields.next()?, fields.next()?);
    let exec = match container {
        "" => Vec::new(),
        container if container.starts_with('-') => return None,
        container => {
            let words = ["docker", "exec", "-i"].map(str::to_owned);
            words.into_iter().chain([plain(container)?]).collect()
        }
    };
    Some((exec, plain(user)?, plain(name)?))
}

/// pm2's list: names, folders, and the numbers of variables that are called a port. Its modules are not the application's.
fn processes(json: &str) -> Vec<Process> {
    let Ok(Value::Array(list)) = serde_json::from_str(json) else {
        return Vec::new();
    };
    let read = |entry: &Value| {
        let env = entry.get("pm2_env")?;
        if env.get("pmx_module").and_then(Value::as_bool) == Some(true) {
            return None;
        }
        let number = |value: &Value| match value {
            Value::Number(number) => number.as_u64().and_then(|port| u16::try_from(port).ok()),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let variables = env.as_object()?.iter();
        let ports = variables
            .filter(|(name, _)| name.to_uppercase().ends_with("PORT"))
            .filter_map(|(_, value)| number(value))
            .collect();
        let folder = env.get("pm_cwd").and_then(Value::as_str).and_then(plain);
        Some(Process {
            name: plain(entry.get("name")?.as_str()?)?,
            folder: folder.filter(|path| is_folder(path)),
            ports,
        })
    };
    list.iter().take(100).filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_is_read_and_what_it_could_not_mean_is_left() {
        let jlist = r#"[{"name":"api","pm2_env":{"pm_cwd":"/srv/app/server","APP_PORT":"4000","DB_PASSWORD":"hunter2"}},
            {"name":"pm2-logrotate","pm2_env":{"pmx_module":true}},{"name":"x\u001b[31m","pm2_env":{}}]"#
            .replace('\n', " ");
        let text = format!(
            "home\t/home/me\nmachine\t0123456789abcdef0123456789abcdef\naddress\t10.0.0.7\npm2\t{jlist}\nfolder\t/srv/app/server\t/srv/app\n\
             database\tdb_1\tpostgres\tshop\ndatabase\t--privileged\tx\ty\ncolumn\tCustomer\tid\nmachine\t; rm -rf /\naddress\tevil.example/\n"
        );
        let answers = read(&text);
        assert_eq!(answers.home.as_deref(), Some("/home/me"));
        assert_eq!(
            answers.machine, None,
            "the last word counts, and it is none"
        );
        assert_eq!(answers.address, None);
        assert_eq!(
            answers.processes,
            [Process {
                name: "api".into(),
                folder: Some("/srv/app".into()),
                ports: vec![4000]
            }]
        );
        assert_eq!(answers.databases.len(), 1);
        assert_eq!(answers.columns["Customer"], ["id"]);
        assert!(!format!("{answers:?}").contains("hunter2"));
    }

    const PM2: &str = "#!/bin/sh\necho '[PM2] notice'\nprintf '[{\"name\":\"api\",\"pm2_env\":{\"pm_cwd\":\"%s/app/src\",\"APP_PORT\":\"4000\"}},\\n\
        {\"name\":\"w\",\"pm2_env\":{\"pm_cwd\":\"/tmp\"}}]\\n' \"$HOME\"\n";
    const DOCKER: &str = "#!/bin/sh\ncase $1 in ps) echo 'shop_db postgres:15'; echo 'cache redis:7'; exit;; esac\n\
        shift; [ \"$1\" = -i ] && shift; [ \"$1\" = shop_db ] || exit 1; shift\n\
        case $1 in printenv) echo owner; exit;; esac\nsql=$(cat)\n\
        case \"$sql\" in *datname*) printf 'postgres\\nshop\\n';;\n\
        *count*) case \"$*\" in *'-U owner -d shop') echo 1;; *) echo 0;; esac;;\n\
        *information_schema*) printf 'column\\tCustomer\\tid\\ncolumn\\tCustomer\\temail\\n';; esac\n";

    #[tokio::test]
    async fn the_script_asks_pm2_where_it_runs_and_the_databases_of_containers() {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().expect("a folder");
        let at = dir.path();
        for (name, text) in [
            ("pm2", PM2),
            ("docker", DOCKER),
            ("psql", "#!/bin/sh\nexit 2\n"),
        ] {
            std::fs::write(at.join(name), text).expect("writes");
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(at.join(name), mode).expect("is ours");
        }
        std::fs::create_dir_all(at.join("app/src")).expect("a folder");
        let made = std::process::Command::new("git")
            .args(["init", "-q"])
            .arg(at.join("app"))
            .status();
        assert!(made.expect("git starts").success());
        let path = format!(
            "{}:{}",
            at.display(),
            std::env::var("PATH").expect("a path")
        );
        let host = flow_steps::means::host::Local::new("here");
        let ask = || {
            let script = Command::script(SCRIPT).env("PATH", &path);
            script.env("HOME", at.display().to_string())
        };
        let silent = read(&host.run(&ask()).await.expect("it runs"));
        assert_eq!(
            silent.processes,
            [],
            "a pm2 that does not run is not asked, for that would start it"
        );
        std::fs::create_dir(at.join(".pm2")).expect("a folder");
        std::fs::write(at.join(".pm2/pm2.pid"), std::process::id().to_string()).expect("writes");
        let answers = read(&host.run(&ask()).await.expect("it runs"));
        let app = at.join("app").canonicalize().expect("is there");
        let names: Vec<&str> = answers.processes.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["api", "w"]);
        assert_eq!(answers.processes[0].folder, Some(app.display().to_string()));
        assert_eq!(answers.processes[0].ports, [4000]);
        let exec = ["docker", "exec", "-i", "shop_db"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(
            answers.databases,
            [(exec, "owner".to_owned(), "shop".to_owned())]
        );
        assert_eq!(answers.columns["Customer"], ["id", "email"]);
    }
}
