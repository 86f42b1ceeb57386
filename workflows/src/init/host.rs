//! What a host says of itself, line by line: which processes, which database, which folders.

use std::collections::BTreeMap;

use serde_json::Value;

use super::machine::Supervisor;
use super::{is_folder, plain};

/// One line for each thing found: a word, then values, with tabs between. pm2 is only asked where it runs already: asking
/// starts it otherwise.
pub(super) const SCRIPT: &str = include_str!("look.sh");
/// The most lines that are read.
const LINES: usize = 20_000;

/// What one host said.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) home: Option<String>,
    pub(super) machine: Option<String>,
    pub(super) address: Option<String>,
    pub(super) processes: Vec<Process>,
    pub(super) databases: Vec<(Vec<String>, String, String)>,
    pub(super) columns: BTreeMap<String, Vec<String>>,
}

/// One process, as its supervisor calls it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) supervisor: Supervisor,
    pub(super) folder: Option<String>,
    pub(super) ports: Vec<u16>,
}

pub(super) fn read(text: &str) -> Answers {
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
            "pm2" => answers.processes.extend(processes(rest)),
            "unit" => answers.processes.extend(unit(rest)),
            "service" => answers.processes.extend(service(rest)),
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
            supervisor: Supervisor::Pm2,
            folder: folder.filter(|path| is_folder(path)),
            ports,
        })
    };
    list.iter().take(100).filter_map(read).collect()
}

/// A service of systemd: `user` or `system`, its name, the checkout it works in, its ports with commas between.
fn unit(rest: &str) -> Option<Process> {
    let mut fields = rest.split('\t');
    let (whose, name, folder) = (fields.next()?, fields.next()?, fields.next()?);
    let ports = fields.next().unwrap_or_default().split(',');
    Some(Process {
        name: plain(name)?,
        supervisor: match whose {
            "user" => Supervisor::UserSystemd,
            "system" => Supervisor::Systemd,
            _ => return None,
        },
        folder: Some(plain(folder).filter(|path| is_folder(path))?),
        ports: ports
            .filter_map(|port| port.parse().ok())
            .take(10)
            .collect(),
    })
}

/// A service of docker compose: its name, the folder of its project, its image, and its ports as docker lists them. One that
/// holds a database is none of the application's.
fn service(rest: &str) -> Option<Process> {
    let mut fields = rest.split('\t');
    let (name, folder, image) = (fields.next()?, fields.next()?, fields.next()?);
    if super::stack::is_database(image) {
        return None;
    }
    let ports = fields.next().unwrap_or_default().split(", ");
    let published =
        ports.filter_map(|port| port.split_once("->")?.0.rsplit(':').next()?.parse().ok());
    Some(Process {
        name: plain(name).filter(|name| !name.is_empty())?,
        supervisor: Supervisor::Compose,
        folder: Some(plain(folder).filter(|path| is_folder(path))?),
        ports: published.take(10).collect(),
    })
}

#[cfg(test)]
mod tests {
    use flow_steps::means::host::{Command, HostExt as _};

    use super::*;

    #[test]
    fn what_a_host_says_is_read_and_what_it_could_not_mean_is_left() {
        let jlist = r#"[{"name":"api","pm2_env":{"pm_cwd":"/srv/app/server","APP_PORT":"4000","DB_PASSWORD":"hunter2"}},
            {"name":"pm2-logrotate","pm2_env":{"pmx_module":true}},{"name":"x\u001b[31m","pm2_env":{}}]"#
            .replace('\n', " ");
        let text = format!(
            "home\t/home/me\nmachine\t0123456789abcdef0123456789abcdef\naddress\t10.0.0.7\npm2\t{jlist}\nfolder\t/srv/app/server\t/srv/app\n\
             unit\tuser\tpage.service\t/srv/app\t3000,x\nunit\troot\tpage\t/srv/app\t1\nunit\tsystem\tpage\tsrv\t1\n\
             service\tjobs\t/srv/app\tacme/jobs:3\t0.0.0.0:4100->80/tcp, :::4100->80/tcp\nservice\tdb\t/srv/app\tpostgres:15\t\n\
             database\tdb_1\tpostgres\tshop\ndatabase\t--privileged\tx\ty\ncolumn\tCustomer\tid\nmachine\t; rm -rf /\naddress\tevil.example/\n"
        );
        let answers = read(&text);
        assert_eq!(answers.home.as_deref(), Some("/home/me"));
        assert_eq!(
            answers.machine, None,
            "the last word counts, and it is none"
        );
        assert_eq!(answers.address, None);
        let process = |name: &str, supervisor, ports: &[u16]| Process {
            name: name.into(),
            supervisor,
            folder: Some("/srv/app".into()),
            ports: ports.to_vec(),
        };
        assert_eq!(
            answers.processes,
            [
                process("api", Supervisor::Pm2, &[4000]),
                process("page.service", Supervisor::UserSystemd, &[3000]),
                process("jobs", Supervisor::Compose, &[4100, 4100]),
            ]
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
