//! Whatever keeps an application's processes running on a host, behind one trait: pm2 first.

use bytes::Bytes;
use flow_engine::step::StepError;

use crate::means::host::{Command, Host, Stdin};
use crate::means::reach;

mod application;
mod compose;
pub(crate) mod contract;
mod counterparts;
mod list;
pub(crate) mod logs;
pub(crate) mod pm2;
pub(crate) mod settle;
mod stamped;
mod systemd;

pub(crate) use application::Folder;
pub use application::{Application, Kind};
use contract::Supervisor;
pub use list::{App, Kept, ProcessList};

/// The supervisor of an application on a host. `program` are its words, such as `sudo -u app pm2`.
pub(crate) fn of<'a>(
    host: &'a dyn Host,
    program: &'a [String],
    application: &'a Application,
) -> Box<dyn Supervisor + 'a> {
    match application.supervisor {
        Kind::Pm2 => Box::new(pm2::Pm2 {
            host,
            program,
            application,
        }),
        Kind::Systemd => Box::new(systemd::Systemd {
            host,
            program,
            application,
        }),
        Kind::Compose => Box::new(compose::Compose {
            host,
            program,
            application,
        }),
    }
}

/// What a supervisor keeps on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// Which processes are the application's and which are left alone.
    pub words: String,
    /// Whether each of the application's is online.
    pub all_up: bool,
}

/// What a supervisor keeps on a host; or why a release could not go by it.
///
/// # Errors
/// In words: it cannot be asked, or a process of the application's is missing.
pub async fn whose(
    host: &dyn Host,
    program: &[String],
    application: &Application,
) -> Result<Whose, String> {
    let supervisor = of(host, program, application);
    let found = supervisor.survey().await.map_err(|e| e.to_string())?;
    let rule = application.in_words();
    let unknown = application.missing(&found.own);
    if !unknown.is_empty() {
        return Err(format!(
            "{} knows no {}",
            supervisor.name(),
            unknown.join(", ")
        ));
    }
    let alone = if found.others.is_empty() {
        String::new()
    } else {
        format!("; left alone: {}", found.others.join(", "))
    };
    if found.own.apps.is_empty() {
        return Err(format!("no process is the application's ({rule}){alone}"));
    }
    let own: Vec<String> = found
        .own
        .apps
        .iter()
        .map(|a| format!("{} {}", a.name, a.status))
        .collect();
    Ok(Whose {
        words: format!("the application's ({rule}): {}{alone}", own.join(", ")),
        all_up: found.own.apps.iter().all(|a| a.status == "online"),
    })
}

/// Why nothing of the application was found, for the step that records what runs.
pub(crate) fn nothing(
    host: &str,
    program: &[String],
    application: &Application,
    others: &[String],
) -> StepError {
    let name = application.supervisor.name();
    if others.is_empty() {
        return StepError::refuse(format!(
            "{name} shows no process for `{}` on `{host}`: is it the right user?",
            program.join(" ")
        ))
        .hint(match application.supervisor {
            Kind::Pm2 => "name the user that runs the application, such as `sudo -u app pm2`",
            Kind::Systemd => {
                "for a user's services, such as `systemctl --user`; for the system's, `systemctl`"
            }
            Kind::Compose => "name the user that may ask docker, such as `sudo docker compose`",
        });
    }
    StepError::refuse(format!(
        "none of {name}'s processes on `{host}` is the application's ({}); there are: {}",
        application.in_words(),
        others.join(", ")
    ))
    .hint(format!(
        "name them in flow.toml: [env.{host}] processes = [\"…\"]; then start anew"
    ))
}

/// Writes a file of a folder of the host, readable for its owner only, whole or not at all, and says what it is by its
/// SHA-256. Run twice: the file is written anew.
async fn keep_file(
    host: &dyn Host,
    dir: &str,
    name: &str,
    bytes: Bytes,
) -> Result<Kept, StepError> {
    let dir = reach::absolute(dir)?.trim_end_matches('/');
    let file = format!("{dir}/{name}");
    let script = r#"
set -eu
umask 077
mkdir -p -- "$1"
part="$2.part"
rm -f -- "$part"
cat > "$part"
sync -- "$part" 2>/dev/null || sync
mv -f -- "$part" "$2"
sum=$(sha256sum < "$2")
echo "${sum%% *}""#;
    let command = Command::script(script)
        .args(["sh", dir, &file])
        .stdin(Stdin::Bytes(bytes));
    let sha256 = reach::run(host, &command).await?;
    Ok(Kept { file, sha256 })
}
