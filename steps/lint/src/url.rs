//! `postgres://user:password@host:port/database?…`, as Prisma and libpq write it, taken apart at one place.
//!
//! The crate `url` does not read it: `postgres://app@/shop?host=/run/postgresql`, a user and no host, is refused there.

use std::borrow::Cow;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// The parts of a URL, without their percent-encoding. What is not written is empty.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) user: String,
    pub(crate) password: String,
    /// A name, an address without brackets, or the folder of a socket, which begins with `/`. `?host=` comes before what
    /// stands at its usual place.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) database: String,
    /// What stands after `?`, in its order; a name without `=` has an empty value.
    pub(crate) query: Vec<(String, String)>,
}

/// Why a text is no such URL. No message quotes it: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("it does not begin with postgres://")]
    Scheme,
    #[error("the port is no number")]
    Port,
    #[error("a % is not followed by two digits")]
    Percent,
    #[error("what it spells with % is not UTF-8")]
    Text,
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let rest = text
            .strip_prefix("postgresql://")
            .or_else(|| text.strip_prefix("postgres://"))
            .ok_or(UrlError::Scheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (who, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = who.split_once(':').unwrap_or((who, ""));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (place, ""),
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(key)?, decoded(value)?))
        });
        let query = pairs.collect::<Result<Vec<_>, UrlError>>()?;
        let named = query.iter().rev().find(|(key, _)| key == "host");
        let host = match named {
            Some((_, host)) => host.clone(),
            None => decoded(host.trim_matches(['[', ']']))?,
        };
        let port = match port {
            "" => None,
            port => Some(port.parse().map_err(|_| UrlError::Port)?),
        };
        Ok(Url {
            user: decoded(user)?,
            password: decoded(password)?,
            host,
            port,
            database: decoded(database)?,
            query,
        })
    }
}

fn decoded(text: &str) -> Result<String, UrlError> {
    let is_pair = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_pair) {
        return Err(UrlError::Percent);
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| UrlError::Text)
}
