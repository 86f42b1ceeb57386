//! The server of a replay, from its URL.

use std::path::PathBuf;
use std::str::FromStr;

use super::ReplayError;
use super::wire::{Address, Login};
use crate::url::Url;

/// Where a server is, and who may make a database there.
pub(super) struct Server {
    pub(super) address: Address,
    pub(super) login: Login,
    pub(super) database: String,
}

impl FromStr for Server {
    type Err = ReplayError;

    fn from_str(text: &str) -> Result<Self, ReplayError> {
        let wrong = |why: &str| ReplayError::Url(why.to_owned());
        let url: Url = text
            .parse()
            .map_err(|e: crate::url::UrlError| wrong(&e.to_string()))?;
        for (key, value) in &url.query {
            match (key.as_str(), value.as_str()) {
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
        if url.user.is_empty() {
            return Err(wrong("it names no user"));
        }
        let port = url.port.unwrap_or(5432);
        let address = match url.host.as_str() {
            "" => Address::Tcp("localhost".into(), port),
            host if host.starts_with('/') => {
                Address::Unix(PathBuf::from(host).join(format!(".s.PGSQL.{port}")))
            }
            host => Address::Tcp(host.to_owned(), port),
        };
        let database = match url.database {
            named if named.is_empty() => url.user.clone(),
            named => named,
        };
        Ok(Server {
            address,
            database,
            login: Login {
                user: url.user,
                password: url.password,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_one_that_asks_for_tls_is_refused() {
        let url: Server = "postgresql://app:p%40ss@127.0.0.1:6432/shop?schema=app"
            .parse()
            .unwrap();
        assert_eq!(url.address, Address::Tcp("127.0.0.1".into(), 6432));
        assert_eq!(
            (url.login.user.as_str(), url.login.password.as_str()),
            ("app", "p@ss")
        );
        assert_eq!(url.database, "shop");
        let url: Server = "postgres://app@/shop?host=/run/pg".parse().unwrap();
        assert_eq!(url.address, Address::Unix("/run/pg/.s.PGSQL.5432".into()));
        let url: Server = "postgres://app@[::1]".parse().unwrap();
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
            assert!(bad.parse::<Server>().is_err(), "{bad}");
        }
        assert!(
            "postgres://u@h/d?sslmode=prefer&x"
                .parse::<Server>()
                .is_ok()
        );
    }
}
