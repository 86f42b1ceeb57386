//! What earlier releases left on a host: backups, and databases beside the live one. Nothing prunes them.

use flow_steps::means::host::{Command, Host, HostExt as _};

use super::{Report, words};
use crate::config::Environment;

/// What `df` and `du` count in.
const KIB_IN_MIB: u64 = 1024;
/// A file in the folder of backups, its size and its day.
const BACKUPS: &str = "cd \"$1\" 2>/dev/null || exit 0; n=$(ls | wc -l); [ \"$n\" -eq 0 ] && exit 0; \
    printf '%s %s %s\\n' \"$n\" \"$(du -sk . | cut -f1)\" \"$(ls -tr | head -n 1)\"";
/// Databases that a release made: their comment says so.
const DATABASES: &str = "SELECT count(*), coalesce(sum(pg_database_size(oid)) / 1048576, 0)::bigint, coalesce(string_agg(datname, ', ' ORDER BY datname), '') \
    FROM pg_database WHERE shobj_description(oid, 'pg_database') LIKE '{%\"flow\":1%' AND datname <> current_database();";

/// Names both, with their sizes, and says how they go.
pub(super) async fn look(report: &mut Report, host: &dyn Host, env: &Environment) {
    let ask = Command::new("sh").args(["-c", BACKUPS, "sh", &env.backup_dir]);
    let found = words(host.run(&ask).await).and_then(|text| backups(&text));
    report.add("old backups", found, "let the ssh user read backup_dir");
    let database = &env.database;
    let mut line = database.exec.clone();
    let psql = [
        "psql",
        "-X",
        "-A",
        "-t",
        "-q",
        "-F",
        "|",
        "-v",
        "ON_ERROR_STOP=1",
        "-U",
    ];
    line.extend(psql.map(String::from));
    line.extend([database.user.clone(), "-d".into(), database.name.clone()]);
    line.extend(["-c".into(), DATABASES.into()]);
    let Some((program, args)) = line.split_first() else {
        return;
    };
    let asked = host.run(&Command::new(program.as_str()).args(args)).await;
    let found = words(asked).and_then(|text| databases(&text));
    report.add(
        "left databases",
        found,
        "let the role ask for the sizes of databases",
    );
}

fn backups(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok("none".into());
    }
    let mut fields = text.splitn(3, ' ');
    let count = fields.next().and_then(|count| count.parse::<u64>().ok());
    let size = fields.next().and_then(|size| size.parse::<u64>().ok());
    let (Some(count), Some(size), Some(oldest)) = (count, size, fields.next()) else {
        return Err(format!("the folder said {text}"));
    };
    let size = size / KIB_IN_MIB;
    Ok(format!(
        "{count} in backup_dir, {size} MiB, the oldest is {oldest}; nothing prunes them"
    ))
}

fn databases(text: &str) -> Result<String, String> {
    let mut fields = text.splitn(3, '|');
    let count = fields.next().and_then(|count| count.parse::<u64>().ok());
    let (Some(count), Some(size), Some(names)) = (count, fields.next(), fields.next()) else {
        return Err(format!("the server said {text}"));
    };
    if count == 0 {
        return Ok("none".into());
    }
    Ok(format!(
        "{count}, {size} MiB: {names}; when no run needs them for a rollback: DROP DATABASE"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_counted_and_an_answer_that_is_none_is_no_all_clear() {
        assert_eq!(backups(""), Ok("none".into()));
        assert_eq!(
            backups("3 4096 pre-deploy a.dump"),
            Ok(
                "3 in backup_dir, 4 MiB, the oldest is pre-deploy a.dump; nothing prunes them"
                    .into()
            )
        );
        assert!(backups("bash: ls").is_err());
        assert_eq!(databases("0|0|"), Ok("none".into()));
        assert!(
            databases("2|30|flow_a, flow_b")
                .is_ok_and(|found| found.starts_with("2, 30 MiB: flow_a, flow_b;"))
        );
        assert!(databases("").is_err());
        assert!(databases("ERROR").is_err());
    }

    #[tokio::test]
    async fn the_folder_is_looked_at_as_it_is() {
        let dir = tempfile::tempdir().expect("a folder");
        let host = flow_steps::means::host::Local::new("here");
        let ask = |folder: String| {
            Command::new("sh").args(["-c".to_owned(), BACKUPS.into(), "sh".into(), folder])
        };
        let folder = dir.path().display().to_string();
        let gone = host.run(&ask(format!("{folder}/gone"))).await;
        assert_eq!(
            words(gone).and_then(|text| backups(&text)),
            Ok("none".into())
        );
        std::fs::write(dir.path().join("one.dump"), vec![0; 3 << 20]).expect("writes");
        let one = host.run(&ask(folder)).await;
        let found = words(one).and_then(|text| backups(&text)).expect("read");
        assert!(
            found.starts_with("1 in backup_dir, 3 MiB, the oldest is one.dump"),
            "{found}"
        );
    }
}
