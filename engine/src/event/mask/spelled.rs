//! A secret as a shell, JSON, a URL or a dump spells it.

use std::fmt::Write as _;

/// What `printf %q` puts a backslash before.
const ESCAPED: &str = " !\"$&'()*,;<>?[\\]^`{|}";
/// Beside letters and digits, what is left as it is: by `encodeURIComponent`, by RFC 3986, by Python's `quote`, in a form, and
/// by `encodeURI`.
const UNRESERVED: [&str; 5] = ["-_.!~*'()", "-_.~", "-_.~/", "*-._", "-_.!~*'();,/?:@&=+$#"];

/// Every other spelling of a secret: quoted for a shell (`set -x`, `printf %q`), as a JSON string, percent-encoded, in
/// hexadecimal digits. One that is the secret itself is left out.
pub(super) fn spelled(secret: &str) -> Vec<String> {
    let mut all = shell(secret);
    all.extend(json(secret));
    all.extend(percent(secret));
    let hex = secret
        .bytes()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    all.push(hex.to_uppercase());
    all.push(hex);
    all.retain(|spelling| spelling != secret);
    all.sort_unstable();
    all.dedup();
    all
}

/// As bash quotes (`'\''`), as dash does (`'"'"'`), as `printf %q` escapes, and as bash does outside of ASCII.
fn shell(secret: &str) -> Vec<String> {
    let mut doubled = String::new();
    let mut quotes = String::new();
    for c in secret.chars().map(Some).chain([None]) {
        if c == Some('\'') {
            quotes.push('\'');
            continue;
        }
        if !quotes.is_empty() {
            // Behind a quote at the end nothing is opened again.
            let opened = if c.is_some() { "'" } else { "" };
            let _infallible = write!(doubled, "'\"{quotes}\"{opened}");
            quotes.clear();
        }
        doubled.extend(c);
    }
    let escaped = |c: char| [Some('\\').filter(|_| ESCAPED.contains(c)), Some(c)];
    let ansi = |byte: u8| match byte {
        b'\'' | b'\\' => format!("\\{}", char::from(byte)),
        byte if byte.is_ascii() => char::from(byte).to_string(),
        byte => format!("\\{byte:03o}"),
    };
    vec![
        secret.replace('\'', r"'\''"),
        doubled,
        secret.chars().flat_map(escaped).flatten().collect(),
        secret.bytes().map(ansi).collect(),
    ]
}

/// As `JSON.stringify` writes it, with `\/`, with `<`, `>` and `&` escaped as Go does, and in ASCII only.
fn json(secret: &str) -> Vec<String> {
    let plain = secret.replace('\\', r"\\").replace('"', "\\\"");
    let escape = |text: &str, wanted: fn(char) -> bool, upper: bool| {
        let mut out = String::new();
        for c in text.chars() {
            if !wanted(c) {
                out.push(c);
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _infallible = if upper {
                    write!(out, "\\u{unit:04X}")
                } else {
                    write!(out, "\\u{unit:04x}")
                };
            }
        }
        out
    };
    let mut all = vec![plain.replace('/', r"\/")];
    for upper in [false, true] {
        all.push(escape(&plain, |c| matches!(c, '<' | '>' | '&'), upper));
        all.push(escape(&plain, |c| !c.is_ascii(), upper));
    }
    all.push(plain);
    all
}

/// For each set of characters that are left as they are, with `%20` and with `+`, with digits in both cases.
fn percent(secret: &str) -> Vec<String> {
    let mut all = Vec::new();
    for left in UNRESERVED {
        for (space, upper) in [("%20", true), ("%20", false), ("+", true), ("+", false)] {
            let spell = |byte: u8| match byte {
                b' ' => space.to_owned(),
                byte if byte.is_ascii_alphanumeric() || left.contains(char::from(byte)) => {
                    char::from(byte).to_string()
                }
                byte if upper => format!("%{byte:02X}"),
                byte => format!("%{byte:02x}"),
            };
            all.push(secret.bytes().map(spell).collect());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const SECRET: &str = "it's a+b%20\"sec\\ret\" <w/ord>&''";

    /// What a shell says; nothing where it is not installed.
    fn said(shell: &str, script: &str) -> Option<String> {
        let done = Command::new(shell)
            .args(["-c", script, "sh", SECRET])
            .output()
            .ok()?;
        let said = [done.stdout, done.stderr].concat();
        Some(String::from_utf8_lossy(&said).into_owned())
    }

    #[test]
    fn what_shells_make_of_a_secret_is_among_its_spellings() {
        let all = spelled(SECRET);
        for shell in ["bash", "dash", "sh", "zsh"] {
            for script in [
                "set -x; : \"login failed for $1 again\"",
                "printf %q \"$1\"",
                "set -x; : \"$1\"",
            ] {
                let Some(said) = said(shell, script).filter(|said| said.contains("sec")) else {
                    continue;
                };
                // dash quotes nothing for `set -x`.
                let masked = said.contains(SECRET) || all.iter().any(|form| said.contains(form));
                assert!(masked, "{shell} {script}: {said}");
            }
        }
        let known = r#"'Error: login failed for it'\''s a+b%20"sec\ret" <w/ord>&'\'''\'''"#;
        assert!(all.iter().any(|form| known.contains(form)), "{all:#?}");
    }

    #[test]
    fn json_urls_and_dumps_spell_a_secret_as_they_are_known_to() {
        let all = spelled("gr\u{fc}n 'a'/b\"&~");
        for spelling in [
            r#"gr\u00fcn 'a'/b\"&~"#,
            "gr\u{fc}n 'a'/b\\\"&~",
            "gr\u{fc}n 'a'/b\\\"\\u0026~",
            "gr\u{fc}n 'a'\\/b\\\"&~",
            "gr%C3%BCn%20'a'%2Fb%22%26~",
            "gr%C3%BCn%20%27a%27%2Fb%22%26~",
            "gr%c3%bcn%20%27a%27/b%22%26~",
            "gr%C3%BCn+%27a%27%2Fb%22%26%7E",
            "6772c3bc6e202761272f6222267e",
            "6772C3BC6E202761272F6222267E",
        ] {
            assert!(
                all.iter().any(|form| form == spelling),
                "{spelling}: {all:#?}"
            );
        }
        assert!(!spelled("plain-word").contains(&"plain-word".to_owned()));
    }
}
