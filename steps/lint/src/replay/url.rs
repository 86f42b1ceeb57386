//! `postgres://user:password@host:port/database`, as Prisma and libpq write it.

use std::path::PathBuf;
use std::str::FromStr;

use super::ReplayError;
use super::wire::{Address, Login};

/// Where a server is, and who may make a database there.
pub(super) struct Url {
    pub(super) address: Address,
    pub(super) login: Login,
    pub(super) database: String,
}

impl FromStr for Url {
    type Err = ReplayError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: &str| ReplayError::Url(why.to_owned());
        let rest = text
            .strip_prefix("postgresql://")
            .or_else(|| text.strip_prefix("postgres://"))
            .ok_or_else(|| wrong("it does not begin with postgres://"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (who, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = who.split_once(':').unwrap_or((who, ""));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (place, ""),
        };
        let decode =
            |text: &str| decoded(text).ok_or_else(|| wrong("a % is not followed by two digits"));
        let port: u16 = match port {
            "" => 5432,
            port => port.parse().map_err(|_| wrong("the port is no number"))?,
        };
        let mut host = decode(host.trim_matches(['[', ']']))?;
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decode(key)?, decode(value)?);
            match (key.as_str(), value.as_str()) {
                ("host", _) => host = value,
                ("sslmode", "disable" | "allow" | "prefer") | ("ssl", "false") => {}
                // A mode that is misspelt asks for something too. `ssl=true` is how JDBC says it, and libpq understands.
                ("sslmode" | "ssl", _) => {
                    return Err(wrong(
                        "it asks for TLS, which a replay does not speak; use a server on this machine, or none for a server of flow's own",
                    ));
                }
                _ => {}
            }
        }
        let (user, database) = (decode(user)?, decode(database)?);
        if user.is_empty() {
            return Err(wrong("it names no user"));
        }
        Ok(Self {
            address: if host.starts_with('/') {
                Address::Unix(PathBuf::from(host).join(format!(".s.PGSQL.{port}")))
            } else if host.is_empty() {
                Address::Tcp("localhost".into(), port)
            } else {
                Address::Tcp(host, port)
            },
            database: if database.is_empty() {
                user.clone()
            } else {
                database
            },
            login: Login {
                user,
                password: decode(password)?,
            },
        })
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_one_that_asks_for_tls_is_refused() {
        let url: Url = "postgresql://app:p%40ss@127.0.0.1:6432/shop?schema=app"
            .parse()
            .unwrap();
        assert_eq!(url.address, Address::Tcp("127.0.0.1".into(), 6432));
        assert_eq!(
            (url.login.user.as_str(), url.login.password.as_str()),
            ("app", "p@ss")
        );
        assert_eq!(url.database, "shop");
        let url: Url = "postgres://app@/shop?host=/run/pg".parse().unwrap();
        assert_eq!(url.address, Address::Unix("/run/pg/.s.PGSQL.5432".into()));
        let url: Url = "postgres://app@[::1]".parse().unwrap();
        assert_eq!(url.address, Address::Tcp("::1".into(), 5432));
        assert_eq!(url.database, "app");
        for bad in [
            "mysql://x",
            "postgres://h/d",
            "postgres://u@h:x/d",
            "postgres://u@h/d?sslmode=require",
            "postgres://u@h/d?sslmode=disable&sslmode=verify-full",
            "postgres://u@h/d?ssl%6dode=r%65quire",
            "postgres://u@h/d?sslmode=verify_full",
            "postgres://u@h/d?sslmode",
            "postgres://u@h/d?ssl=true",
            "postgres://%zz@h",
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
        assert!("postgres://u@h/d?sslmode=prefer&x".parse::<Url>().is_ok());
    }
}
