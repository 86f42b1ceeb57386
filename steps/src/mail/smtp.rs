//! Handing a mail to the mail server.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flow_engine::outbox::DeliveryError;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls as Wire, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::answer::{self, Undelivered};
use super::reached::Reached;
use super::render::Mail;
use super::settings::{MailSettings, SettingsError, TO_MAX, Tls, address, is_loopback};
use crate::means::host::Secret;
use crate::means::secret::Secrets;

/// The longest a server may take for one mail to one person. Own limit: the mail library's does not cover a server
/// that accepts the connection and is silent.
const LIMIT: Duration = Duration::from_secs(15);

/// Hands mail to one server. Holds no password: it is looked up for each connection.
pub struct Mailer {
    settings: MailSettings,
    secrets: Arc<dyn Secrets>,
    from: Mailbox,
    to: Vec<Mailbox>,
    limit: Duration,
    reached: Reached,
    /// With whom the server fell silent, the last one last.
    silent: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Mailer {
    /// A mailer with checked settings. Connects to nothing yet.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(settings: MailSettings, secrets: Arc<dyn Secrets>) -> Result<Mailer, SettingsError> {
        let from = address(&settings.from)?;
        let to = settings
            .to
            .iter()
            .map(|a| address(a))
            .collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() || to.len() > TO_MAX {
            return Err(SettingsError::Recipients);
        }
        if settings.tls == Tls::None {
            if !is_loopback(&settings.host) {
                return Err(SettingsError::NotLoopback(settings.host));
            }
            if settings.user.is_some() || settings.password.is_some() {
                return Err(SettingsError::PlainPassword);
            }
        }
        if settings.user.is_some() != settings.password.is_some() {
            return Err(SettingsError::HalfALogin);
        }
        let mailer = Mailer {
            settings,
            secrets,
            from,
            to,
            limit: LIMIT,
            reached: Reached::default(),
            silent: Mutex::default(),
        };
        mailer.encryption()?;
        Ok(mailer)
    }

    /// The same mailer with another limit for one mail to one person.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Mailer {
        self.limit = limit;
        self
    }

    /// The domain of the sender.
    pub fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// The same mailer, which remembers in a file who has which mail: another process leaves them out, too.
    #[must_use]
    pub fn remembering(mut self, file: PathBuf) -> Mailer {
        self.reached = Reached::kept_in(file);
        self
    }

    /// Hands a mail over for each address of the team, each on its own: one that is deferred or refused does not keep the
    /// others from theirs. Called again for the same message, it leaves out whom it reached already. When the server itself
    /// does not answer, the rest is left for the next call, which begins with those that were not tried.
    ///
    /// # Errors
    /// [`DeliveryError::Later`] when some may be reached by another attempt, [`DeliveryError::Never`] when all were
    /// refused for good; both name the addresses that have nothing. Some refused for good and the rest reached is a success
    /// with a warning.
    pub async fn send(&self, mail: &Mail) -> Result<(), DeliveryError> {
        let mut refused = Vec::new();
        let mut deferred = Vec::new();
        let mut untried = 0;
        let mut answers = true;
        for to in self.in_turn() {
            let address = to.email.to_string();
            if self.reached.has(&mail.message_id, &address) {
                continue;
            }
            if !answers {
                untried += 1;
                continue;
            }
            let failure = self.send_to(mail, to).await.err();
            match failure {
                None => self.reached.add(&mail.message_id, &address),
                Some(Undelivered::Refused(why)) => refused.push(format!("{address}: {why}")),
                Some(Undelivered::Deferred(why)) => deferred.push(format!("{address}: {why}")),
                Some(Undelivered::NoAnswer(why)) => {
                    deferred.push(format!("{address}: {why}"));
                    answers = false;
                    self.to_the_back(&address);
                }
            }
        }
        if !deferred.is_empty() {
            let missing = deferred.len() + refused.len() + untried;
            let have = self.to.len() - missing;
            deferred.append(&mut refused);
            let why = deferred.join("; ");
            let all = self.to.len();
            return Err(DeliveryError::Later(format!(
                "{have} of {all} have it; {why}"
            )));
        }
        if refused.len() == self.to.len() {
            return Err(DeliveryError::Never(refused.swap_remove(0)));
        }
        for why in refused {
            tracing::warn!(%why, "a mail was refused for one of the team");
        }
        Ok(())
    }

    /// The team, those last with whom the server fell silent.
    fn in_turn(&self) -> Vec<&Mailbox> {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let place = |to: &&Mailbox| silent.iter().position(|s| *s == to.email.to_string());
        let mut all: Vec<&Mailbox> = self.to.iter().collect();
        all.sort_by_key(|to| place(to).map_or(0, |at| at + 1));
        all
    }

    fn to_the_back(&self, address: &str) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.retain(|s| s != address);
        silent.push(address.to_owned());
    }

    /// Connects, encrypts, logs in and leaves; no mail is sent. For `flow doctor`.
    ///
    /// # Errors
    /// As [`Mailer::send`].
    pub async fn probe(&self) -> Result<String, DeliveryError> {
        let (transport, password) = self.transport().await?;
        let works = self
            .within(transport.test_connection(), password.as_ref())
            .await?;
        let MailSettings {
            host,
            port,
            tls,
            user,
            ..
        } = &self.settings;
        let how = match tls {
            Tls::Starttls => "encrypted by STARTTLS",
            Tls::Implicit => "encrypted",
            Tls::None => "not encrypted",
        };
        let login = if user.is_some() {
            ", login accepted"
        } else {
            ""
        };
        if works {
            Ok(format!("{host}:{port} answers, {how}{login}"))
        } else {
            Err(DeliveryError::Later(format!(
                "{host}:{port} stopped answering"
            )))
        }
    }

    async fn send_to(&self, mail: &Mail, to: &Mailbox) -> Result<(), Undelivered> {
        let message = self.message(mail, to)?;
        let (transport, password) = self.transport().await?;
        let call = tokio::time::timeout(self.limit, transport.send(message));
        match call.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                let deferred = error.is_transient();
                Err(
                    match answer::classify(&self.settings, &error, password.as_ref()) {
                        DeliveryError::Later(why) if deferred => Undelivered::Deferred(why),
                        other => other.into(),
                    },
                )
            }
            Err(_) => Err(self.silence().into()),
        }
    }

    fn silence(&self) -> DeliveryError {
        let MailSettings { host, port, .. } = &self.settings;
        let s = self.limit.as_secs();
        DeliveryError::Later(format!("{host}:{port} did not answer within {s} s"))
    }

    async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, SmtpError>>,
        password: Option<&Secret>,
    ) -> Result<T, DeliveryError> {
        match tokio::time::timeout(self.limit, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(answer::classify(&self.settings, &error, password)),
            Err(_) => Err(self.silence()),
        }
    }

    fn message(&self, mail: &Mail, to: &Mailbox) -> Result<Message, DeliveryError> {
        let never = |e: &dyn std::error::Error| {
            DeliveryError::Never(format!("the mail cannot be made: {e}"))
        };
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.email.clone()])
            .map_err(|e| never(&e))?;
        let auto = HeaderName::new_from_ascii_str("Auto-Submitted");
        let mut message = Message::builder()
            .from(self.from.clone())
            .envelope(envelope);
        for to in &self.to {
            message = message.to(to.clone());
        }
        if let Some(first) = mail
            .thread
            .clone()
            .filter(|first| *first != mail.message_id)
        {
            message = message.in_reply_to(first.clone()).references(first);
        }
        message
            .message_id(Some(mail.message_id.clone()))
            .subject(mail.subject.clone())
            .raw_header(HeaderValue::new(auto, "auto-generated".into()))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body.clone())
            .map_err(|e| never(&e))
    }

    async fn transport(
        &self,
    ) -> Result<(AsyncSmtpTransport<Tokio1Executor>, Option<Secret>), DeliveryError> {
        let later = |e: &dyn std::error::Error| DeliveryError::Later(e.to_string());
        let MailSettings {
            host,
            port,
            user,
            password,
            ..
        } = &self.settings;
        let wire = self.encryption().map_err(|e| later(&e))?;
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(*port)
            .timeout(Some(self.limit))
            .tls(wire);
        let mut secret = None;
        if let (Some(user), Some(name)) = (user, password) {
            let (secrets, name) = (Arc::clone(&self.secrets), name.clone());
            // A program may be asked for it.
            let value = tokio::task::spawn_blocking(move || secrets.resolve(&name)).await;
            let value = value.map_err(|e| later(&e))?.map_err(|e| later(&e))?;
            let login = Credentials::new(user.clone(), value.0.clone());
            builder = builder
                .credentials(login)
                .authentication(vec![Mechanism::Plain, Mechanism::Login]);
            secret = Some(value);
        }
        Ok((builder.build(), secret))
    }

    fn encryption(&self) -> Result<Wire, SettingsError> {
        let MailSettings {
            host, tls, ca_file, ..
        } = &self.settings;
        let refused = |why: String| SettingsError::Ca {
            path: ca_file
                .as_ref()
                .map(|p| p.display().to_string())
                .unwrap_or_default(),
            why,
        };
        let mut parameters = TlsParameters::builder(host.clone());
        if let Some(path) = ca_file {
            let pem = std::fs::read(path).map_err(|e| refused(e.to_string()))?;
            let authority = Certificate::from_pem(&pem).map_err(|e| refused(e.to_string()))?;
            parameters = parameters.add_root_certificate(authority);
        }
        let parameters = || parameters.build().map_err(|e| refused(e.to_string()));
        Ok(match tls {
            Tls::Starttls => Wire::Required(parameters()?),
            Tls::Implicit => Wire::Wrapper(parameters()?),
            Tls::None => Wire::None,
        })
    }
}
