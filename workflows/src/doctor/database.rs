//! The database: whether it answers, what the role lacks for the later steps, and whether there is room.

use flow_steps::means::host::{Command, Host, HostExt as _, Hosts};
use flow_steps::pg::{Policy, Purpose, Room, rights, room, unlisted};
use flow_steps::schema;

use super::{Report, words};
use crate::config::{Environment, Place};

/// Asks the database of one environment everything a release will ask of it, and changes nothing there.
pub(super) async fn look(
    report: &mut Report,
    hosts: &Hosts,
    host: &dyn Host,
    place: &Place<'_>,
    purpose: Purpose,
) {
    let env = place.env;
    if !answers(report, host, env).await {
        return;
    }
    let db = env.database.at(place.name);
    history(report, host, env).await;
    let fix = "let psql work there as it is configured (exec, user, name, maintenance)";
    match rights(hosts, &db, purpose).await {
        Err(e) => {
            report.add("rights", Err(e.to_string()), fix);
        }
        Ok(found) => {
            if found.iter().all(|right| right.ok) {
                report.add("rights", Ok("all that a release needs".into()), "");
            }
            for right in found {
                if right.ok {
                    let said = format!("{} ({})", right.found, right.fix);
                    report.add(&right.about, Ok(said), "");
                } else {
                    report.add(&right.about, Err(right.found), &right.fix);
                }
            }
        }
    }
    if purpose == Purpose::Release {
        let asked = Room {
            db,
            dir: env.backup_dir.clone(),
            prefix: "pre-deploy".into(),
        };
        let found = room(hosts, &asked).await.map_err(|e| e.to_string());
        report.add("room", found, "make room there, or move backup_dir");
    }
}

/// Whether `migrate deploy` could begin there.
async fn history(report: &mut Report, host: &dyn Host, env: &Environment) {
    let database = &env.database;
    match schema::history(host, &database.psql(), &database.schema).await {
        Ok(said) => report.add("history", Ok(said), ""),
        Err((said, fix)) => report.add("history", Err(said), &fix),
    };
}

/// Every column of production that the data policy does not list, or that it lists all.
pub(super) async fn policy(
    report: &mut Report,
    hosts: &Hosts,
    production: &Place<'_>,
    policy: &Policy,
) {
    let db = production.env.database.at(production.name);
    let found = match unlisted(hosts, &db, policy).await {
        Ok(unlisted) if unlisted.is_empty() => Ok("every column has a class".to_owned()),
        Ok(unlisted) => Err(format!("without a class: {}", unlisted.join(", "))),
        Err(e) => Err(e.to_string()),
    };
    report.add("data policy", found, "give each a class in the data file");
}

async fn answers(report: &mut Report, host: &dyn Host, env: &Environment) -> bool {
    let database = &env.database;
    let psql = [
        "psql",
        "-X",
        "-A",
        "-t",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-U",
    ];
    let mut line = database.exec.clone();
    line.extend(psql.map(String::from));
    line.extend([database.user.clone(), "-d".into(), database.name.clone()]);
    line.extend(["-c", "SELECT current_setting('server_version')"].map(String::from));
    let Some((program, args)) = line.split_first() else {
        return false;
    };
    let asked = host.run(&Command::new(program.as_str()).args(args)).await;
    let version = words(asked).and_then(|version| match version.as_str() {
        "" => Err("no answer".to_owned()),
        version => Ok(format!("PostgreSQL {version}")),
    });
    report.add("database", version, "check `exec`, `user` and `name`")
}
