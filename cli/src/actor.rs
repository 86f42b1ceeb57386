//! Who types this: the login name of the user this process runs as, and this machine's name.

use flow_engine::signal::Actor;
use flow_steps::means::signature::starter;

/// The user of this process. Not `$USER`, which anybody can set.
pub(crate) fn me() -> Actor {
    of_user(rustix::process::getuid().as_raw())
}

/// The user with this number, on this machine. The system's user database is asked, so a user of LDAP or sssd has a name,
/// too. A number without a name is [`starter::nameless`]: where starters are barred, such a user may not start.
pub(crate) fn of_user(uid: u32) -> Actor {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let from = if host.is_empty() {
        "this machine"
    } else {
        host
    };
    Actor {
        name: login_of(uid).unwrap_or_else(|| starter::nameless(uid)),
        from: from.into(),
    }
}

/// The login name of a user. `None` if the database has no such user, or only one whose name is empty or no UTF-8: half
/// a name could be somebody else's.
fn login_of(uid: u32) -> Option<String> {
    let user = uzers::get_user_by_uid(uid)?;
    let name = user.name().to_str()?;
    (!name.trim().is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_name_is_the_one_that_the_system_gives_for_the_number() {
        assert_eq!(of_user(0).name, "root");
        let id = std::process::Command::new("id").arg("-un").output();
        let id = String::from_utf8(id.expect("id starts").stdout).expect("UTF-8");
        assert_eq!(me().name, id.trim());
    }

    #[test]
    fn a_number_without_a_name_is_nameless_and_nobodys_login() {
        let stranger = of_user(3_999_999_999);
        assert_eq!(stranger.name, "uid 3999999999");
        assert!(starter::is_nameless(&stranger));
        assert!(!starter::is_nameless(&of_user(0)));
    }
}
