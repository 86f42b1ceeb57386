//! Who types this: the login name of the user this process runs as, and this machine's name.

use flow_engine::signal::Actor;

/// The user of this process. Not `$USER`, which anybody can set.
pub(crate) fn me() -> Actor {
    of_user(rustix::process::getuid().as_raw())
}

/// The user with this number, on this machine.
pub(crate) fn of_user(uid: u32) -> Actor {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = login_of(&passwd, uid).unwrap_or_else(|| format!("uid {uid}"));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let from = if host.is_empty() {
        "this machine"
    } else {
        host
    };
    Actor {
        name,
        from: from.into(),
    }
}

fn login_of(passwd: &str, uid: u32) -> Option<String> {
    let mut users = passwd.lines().map(|line| line.split(':'));
    users.find_map(|mut fields| {
        let name = fields.next()?;
        let its: u32 = fields.nth(1)?.parse().ok()?;
        (its == uid && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_name_is_found_by_uid_and_not_by_gid() {
        let passwd = "root:x:0:0::/root:/bin/sh\nbroken\nqa:x:1001:0::/home/qa:/bin/sh\n";
        assert_eq!(login_of(passwd, 1001).as_deref(), Some("qa"));
        assert_eq!(login_of(passwd, 0).as_deref(), Some("root"));
        assert_eq!(login_of(passwd, 5), None);
    }
}
