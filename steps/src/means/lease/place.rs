//! Where the lease of an environment lies on its machine: one place for each database, whatever a project's
//! configuration says, so that two projects with one production exclude each other.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::means::host::{Command, Host, HostExt as _};
use crate::means::lease::store::LeaseError;
use crate::means::psql::{Database, Pg, PgError};

/// Prints why a folder, or one above it, is not ours alone: whoever can write to or owns one of them can put another
/// lease, job or backup in the place of ours. One that does not exist yet is made by us: the nearest that does counts.
/// The rules of sshd for a home folder; a folder above may be sticky, as `/tmp` is.
pub(crate) const OWN: &str = r#"
own() {
  d=$1 above=
  while [ ! -d "$d" ] && [ "$d" != / ]; do d=${d%/*}; d=${d:-/} above=yes; done
  d=$(cd -P -- "$d" && pwd) || { echo "$1 cannot be entered"; return; }
  me=$(id -u)
  while :; do
    facts=$(stat -c '%u %a' -- "$d") || { echo "$d cannot be looked at"; return; }
    owner=${facts%% *} mode=${facts#* }
    [ "$owner" = "$me" ] || [ "$owner" = 0 ] || echo "$d belongs to $(stat -c %U -- "$d")"
    case $mode in
    *[2367] | *[2367]?)
      case $above$mode in yes[1357]???) ;; *) echo "$d can be written by others (mode $mode)" ;; esac ;;
    esac
    [ "$d" = / ] && return
    above=yes d=${d%/*}
    d=${d:-/}
  done
}"#;

/// `$1` the key of the database, `$2` whether to make the folder. Prints it.
const PLACE: &str = r#"
set -eu
umask 077
base=${FLOW_STATE_DIR:-}
if [ -z "$base" ]; then
  base=/var/lib/flow
  if [ "$2" = make ]; then
    [ -e "$base" ] || mkdir -m 755 -- "$base" 2>/dev/null || :
  elif [ ! -e "$base" ] && [ -w /var/lib ]; then
    echo "$base/$1"
    exit
  fi
  [ -e "$base" ] || base=${HOME:-}/.local/state/flow
fi
case $base in /*) ;; *) echo "the folder of leases must be absolute, not $base" >&2; exit 1 ;; esac
dir=$base/$1
if [ ! -d "$dir" ]; then
  [ "$2" = make ] || { echo "$dir"; exit; }
  if ! mkdir -p -- "$dir"; then
    echo "make it for the user of ssh: sudo install -d -m 700 -o $(id -un) $dir" >&2
    exit 1
  fi
fi
if [ ! -w "$dir" ] || [ ! -x "$dir" ]; then
  echo "$dir belongs to $(stat -c %U -- "$dir"), who releases to this database; log in as the same user" >&2
  exit 1
fi
cd -P -- "$dir"
pwd"#;

/// The folder of the lease of a database, made when it is missing: below `/var/lib/flow` where that exists or can be made,
/// else below `~/.local/state/flow`; `FLOW_STATE_DIR`, set by the host itself for every login, goes before both.
///
/// Its name is made of what the server says of itself, so that no two names of one database have two leases.
///
/// # Errors
/// [`LeaseError::Unknown`] when the server does not answer; [`LeaseError::Host`] when the folder cannot be used.
pub async fn place(host: &Arc<dyn Host>, db: &Database) -> Result<String, LeaseError> {
    folder(host, db, "make").await
}

/// Where [`place`] is or would be. Changes nothing.
///
/// # Errors
/// As [`place`].
pub async fn whereabouts(host: &Arc<dyn Host>, db: &Database) -> Result<String, LeaseError> {
    folder(host, db, "look").await
}

async fn folder(host: &Arc<dyn Host>, db: &Database, make: &str) -> Result<String, LeaseError> {
    let unknown = |e: PgError| match e {
        PgError::Host(e) => LeaseError::Host(e),
        other => LeaseError::Unknown(other.to_string()),
    };
    let pg = Pg::new(Arc::clone(host), db.clone()).map_err(unknown)?;
    let id = pg.system_identifier().await.map_err(unknown)?;
    let command = Command::script(PLACE).args(["sh", &key(&id, &db.name), make]);
    let dir = host.run(&command).await?;
    if dir.starts_with('/') && !dir.contains('\n') {
        Ok(dir)
    } else {
        Err(LeaseError::Path(dir))
    }
}

/// A name for a folder: readable, and different for every database.
fn key(system_identifier: &str, database: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') {
            c
        } else {
            '_'
        }
    };
    let id: String = system_identifier
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let name: String = database.chars().map(plain).collect();
    let digest = Sha256::digest(database.as_bytes());
    let short = hex::encode(&digest[..4]);
    format!("{id}-{name}-{short}")
}

/// Why these folders, or one above them, are not this user's alone; nothing when they are. Changes nothing.
///
/// # Errors
/// [`LeaseError::Host`].
pub async fn strangers(host: &dyn Host, folders: &[String]) -> Result<Vec<String>, LeaseError> {
    let text = format!("{OWN}\nfor f; do own \"$f\"; done");
    let command = Command::script(text).arg("sh").args(folders.to_vec());
    let mut found: Vec<String> = host
        .run(&command)
        .await?
        .lines()
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::means::host::Local;

    #[test]
    fn names_that_look_alike_have_keys_of_their_own() {
        let keys = ["a b", "a_b", "a/b", "ab"].map(|name| key("7301", name));
        for (n, one) in keys.iter().enumerate() {
            assert!(one.starts_with("7301-a"), "{one}");
            assert!(!keys[n + 1..].contains(one), "{keys:?}");
        }
    }

    #[tokio::test]
    async fn a_folder_that_others_can_write_or_own_is_named_and_ones_own_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let here = Local::new("here");
        for (name, mode) in [
            ("own", 0o700),
            ("read", 0o755),
            ("group", 0o770),
            ("open", 0o777),
        ] {
            std::fs::create_dir_all(dir.path().join(name).join("below")).unwrap();
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(path(name), permissions).unwrap();
        }
        let fine = [path("own"), path("read/below"), path("own/not/yet")];
        let found = strangers(&here, &fine).await.unwrap();
        assert!(found.is_empty(), "{found:?}");
        for (folder, named) in [
            ("group", "group can be written by others (mode 770)"),
            ("open/below", "open can be written by others (mode 777)"),
            ("open/not/yet", "open can be written by others (mode 777)"),
        ] {
            let found = strangers(&here, &[path(folder)]).await.unwrap();
            assert!(found.len() == 1 && found[0].ends_with(named), "{found:?}");
        }
        // A sticky folder is fine above, and not as the folder itself.
        std::fs::set_permissions(path("open"), std::fs::Permissions::from_mode(0o1777)).unwrap();
        let found = strangers(&here, &[path("open/below")]).await.unwrap();
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(strangers(&here, &[path("open")]).await.unwrap().len(), 1);
    }
}
