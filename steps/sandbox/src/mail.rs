//! The mail server, its certificate, and the mails it has taken.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mail_parser::{Address, MessageParser};

use crate::error::{Doing, SandboxError};
use crate::files::{folder, random, write};
use crate::process::{Identity, MARK, run};
use crate::tools::{Tools, User};

/// How to hand mail to the sandbox's server: STARTTLS, then a password.
///
/// The recipients `defer@…` and `reject@…` are refused for now and for good; any other is taken.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// The server's address; its certificate names it, and `localhost` and `mail.dap.test` too.
    pub host: String,
    /// A high port that behaves as 587 does.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// Holds the password and nothing else (mode 0600).
    pub password_file: PathBuf,
    /// The certificate that signed the server's, as PEM.
    pub ca: PathBuf,
}

/// A mail the server has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Whom it was delivered to.
    pub to: Vec<String>,
    /// The sender's address as written in the mail.
    pub from: String,
    /// The subject, decoded.
    pub subject: String,
    /// The text, decoded; of a mail of several parts, the first part that is plain text.
    pub body: String,
    /// With its angle brackets.
    pub message_id: String,
}

const USER: &str = "flow";

/// Makes the certificates and the configuration, and starts the server.
pub(crate) fn start(
    dir: &Path,
    id: &str,
    port: u16,
    tools: &Tools,
) -> Result<(Smtp, Child), SandboxError> {
    let mail = dir.join("mail");
    for (name, mode) in [
        ("", 0o755),
        ("tls", 0o755),
        ("spool", 0o750),
        ("log", 0o750),
        ("maildir", 0o750),
    ] {
        folder(&mail.join(name), mode)?;
    }
    certificates(dir, &mail.join("tls"))?;
    let password = random()?;
    let password_file = dir.join("smtp-password");
    write(&password_file, &password, 0o600)?;
    let mut server = if tools.root {
        exim(dir, &mail, port, &password, tools)?
    } else {
        // exim's daemon refuses to run for anyone but root and its own user.
        let script = mail.join("smtp.js");
        write(&script, include_str!("../files/smtp.js"), 0o600)?;
        let mut node = Command::new(&tools.node);
        node.arg(script)
            .arg(&mail)
            .arg(port.to_string())
            .arg(USER)
            .arg(&password_file);
        node
    };
    let log = fs::File::create(mail.join("log/start"))
        .doing(|| "cannot create the mail server's log".to_owned())?;
    let child = server
        .env_clear()
        .env("PATH", tools.path())
        .env(MARK, format!("{id}.mail"))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .doing(|| "cannot start the mail server".to_owned())?;
    if let Some(identity) = Identity::of(child.id()) {
        identity.record(&dir.join("run/mail"))?;
    }
    let smtp = Smtp {
        host: "127.0.0.1".to_owned(),
        port,
        user: USER.to_owned(),
        password_file,
        ca: dir.join("ca/ca.pem"),
    };
    Ok((smtp, child))
}

/// exim with a configuration of its own, as an unprivileged user.
fn exim(
    dir: &Path,
    mail: &Path,
    port: u16,
    password: &str,
    tools: &Tools,
) -> Result<Command, SandboxError> {
    let text = include_str!("../files/exim.conf")
        .replace("@MAIL@", &mail.display().to_string())
        .replace("@PORT@", &port.to_string())
        .replace("@USER@", USER)
        .replace("@PASSWORD@", password);
    let config = mail.join("exim.conf");
    write(&config, &text, 0o600)?;
    let user = User::first_of(tools, &["Debian-exim", "exim"])?;
    let own = [
        "",
        "tls",
        "tls/key.pem",
        "spool",
        "log",
        "maildir",
        "exim.conf",
    ];
    for path in own.map(|name| mail.join(name)) {
        user.own(&path)
            .doing(|| format!("cannot give away {}", path.display()))?;
    }
    let mut words = tools.unprivileged(user, dir);
    // exim is installed setuid root; without new privileges it stays the user it was started as.
    words.push("--no-new-privs".to_owned());
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .arg(&tools.exim)
        .arg("-C")
        .arg(config)
        .args(["-bdf", "-q1m"]);
    Ok(command)
}

/// An authority and one certificate signed by it: clients refuse an authority's certificate as a server's own.
fn certificates(dir: &Path, tls: &Path) -> Result<(), SandboxError> {
    let ca = dir.join("ca");
    folder(&ca, 0o755)?;
    let openssl =
        |what: &str, args: &[&str]| run(what, Command::new("openssl").current_dir(&ca).args(args));
    let curve = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ];
    let mut authority = vec![
        "req",
        "-x509",
        "-days",
        "30",
        "-subj",
        "/CN=sandbox CA",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
    ];
    authority.extend(curve);
    openssl("making a certificate authority", &authority)?;
    write(
        &ca.join("leaf.ext"),
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n\
         subjectAltName=DNS:mail.dap.test,DNS:localhost,IP:127.0.0.1\n",
        0o600,
    )?;
    let (key, certificate) = (tls.join("key.pem"), tls.join("cert.pem"));
    let (key, certificate) = (key.display().to_string(), certificate.display().to_string());
    let mut request = vec![
        "req",
        "-subj",
        "/CN=mail.dap.test",
        "-keyout",
        &key,
        "-out",
        "leaf.csr",
    ];
    request.extend(curve);
    openssl("asking for a certificate", &request)?;
    let sign = [
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "30",
        "-extfile",
        "leaf.ext",
    ];
    let mut signing = vec!["x509", "-req", "-in", "leaf.csr", "-out", &certificate];
    signing.extend(sign);
    openssl("signing a certificate", &signing).map(drop)
}

/// Reads every mail in the folder, oldest first.
pub(crate) fn read(maildir: &Path) -> Result<Vec<Mail>, SandboxError> {
    let new = maildir.join("new");
    let Ok(entries) = fs::read_dir(&new) else {
        return Ok(Vec::new());
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    // A Maildir name begins with the time of delivery.
    files.sort();
    files
        .iter()
        .map(|file| {
            let bytes = fs::read(file).doing(|| format!("cannot read {}", file.display()))?;
            mail(&bytes).ok_or_else(|| unreadable(file))
        })
        .collect()
}

fn unreadable(file: &Path) -> SandboxError {
    let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "no mail");
    SandboxError::Io {
        what: format!("cannot read {}", file.display()),
        source,
    }
}

/// A mail as the server stored it. `None` if it has no header at all.
fn mail(bytes: &[u8]) -> Option<Mail> {
    let message = MessageParser::default().parse(bytes)?;
    let envelope = message.header_raw("Envelope-to").unwrap_or_default();
    let text = message.body_text(0).unwrap_or_default();
    Some(Mail {
        to: envelope.split(',').map(|to| to.trim().to_owned()).collect(),
        from: message.from().map(sender).unwrap_or_default(),
        subject: message.subject().unwrap_or_default().to_owned(),
        message_id: message
            .message_id()
            .map_or_else(String::new, |id| format!("<{id}>")),
        body: text.replace("\r\n", "\n"),
    })
}

/// `Name <address>`, or the address alone.
fn sender(from: &Address<'_>) -> String {
    let Some(first) = from.first() else {
        return String::new();
    };
    let address = first.address().unwrap_or_default();
    match first.name() {
        Some(name) => format!("{name} <{address}>"),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::mail;

    #[test]
    fn folded_and_encoded_subjects_and_the_envelope_are_read() {
        let text = "Envelope-to: a@example.org, b@example.org\r\nFrom: flow <flow@example.org>\r\n\
            Subject: =?utf-8?b?w6R0?=\r\n =?utf-8?q?_=C3=B6?= end\r\nMessage-ID: <1.2@x>\r\nTo: a@example.org\r\n\r\nhi\r\n";
        let mail = mail(text.as_bytes()).expect("a mail");
        assert_eq!(mail.subject, "\u{e4}t \u{f6} end");
        assert_eq!(mail.to, ["a@example.org", "b@example.org"]);
        assert_eq!(mail.from, "flow <flow@example.org>");
        assert_eq!(
            (mail.message_id.as_str(), mail.body.as_str()),
            ("<1.2@x>", "hi\n")
        );
    }

    #[test]
    fn encoded_bodies_are_read() {
        let quoted = b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\na=C3=A4b=\nc=3D\n";
        assert_eq!(mail(quoted).expect("a mail").body, "a\u{e4}bc=\n");
        let coded = b"Content-Transfer-Encoding: base64\n\naGVs\nbG8=\n";
        assert_eq!(mail(coded).expect("a mail").body, "hello");
    }

    #[test]
    fn the_plain_part_of_several_is_taken() {
        let text = "Content-Type: multipart/alternative; boundary=\"xx\"\n\n--xx\nContent-Type: text/html\n\n<p>\n--xx\nContent-Type: text/plain\n\nplain\n--xx--\n";
        assert_eq!(mail(text.as_bytes()).expect("a mail").body.trim(), "plain");
    }
}
