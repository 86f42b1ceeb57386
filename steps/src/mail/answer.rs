//! What a mail server's answer means, and what of its words is kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flow_engine::outbox::DeliveryError;
use lettre::transport::smtp::Error as SmtpError;

use super::settings::MailSettings;
use crate::means::host::Secret;

/// Why one address did not get a mail.
pub(super) enum Undelivered {
    /// The server refused it for good, in its words.
    Refused(String),
    /// For now, and the server goes on with others.
    Deferred(String),
    /// The server did not say, or could not be asked.
    NoAnswer(String),
}

impl From<DeliveryError> for Undelivered {
    fn from(error: DeliveryError) -> Undelivered {
        match error {
            DeliveryError::Never(why) => Undelivered::Refused(why),
            DeliveryError::Later(why) => Undelivered::NoAnswer(why),
        }
    }
}

/// The library sets none of its flags for a refused connection or a certificate it does not trust; whatever is not
/// clearly final is tried again.
pub(super) fn classify(
    settings: &MailSettings,
    error: &SmtpError,
    password: Option<&Secret>,
) -> DeliveryError {
    let MailSettings {
        host, port, user, ..
    } = settings;
    let said = mask(&error.to_string(), user.as_deref(), password);
    let said: String = said
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect();
    if error.is_permanent() {
        DeliveryError::Never(format!("{host}:{port} refused: {said}"))
    } else if error.is_transient() {
        DeliveryError::Later(format!("{host}:{port} asks to try again later: {said}"))
    } else if error.is_client() {
        DeliveryError::Never(format!(
            "{host}:{port} does not offer what is needed: {said}"
        ))
    } else if said.contains("certificate") {
        let hint =
            "set `ca` in [mail] to the authority's certificate if this server is the right one";
        DeliveryError::Later(format!(
            "the certificate of {host}:{port} is not trusted: {said}; {hint}"
        ))
    } else {
        DeliveryError::Later(format!("{host}:{port} was not reached: {said}"))
    }
}

/// A server's words, without the password in any form in which it was sent.
fn mask(text: &str, user: Option<&str>, password: Option<&Secret>) -> String {
    let Some(Secret(password)) = password else {
        return text.to_owned();
    };
    let plain = format!("\0{}\0{password}", user.unwrap_or_default());
    let forms = [
        STANDARD.encode(plain),
        STANDARD.encode(password),
        password.clone(),
    ];
    forms.iter().fold(text.to_owned(), |text, form| {
        text.replace(form.as_str(), "…")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_masked_in_every_form_it_was_sent_in() {
        let secret = Secret("hunter2".into());
        let plain = STANDARD.encode("\0flow\0hunter2");
        let login = STANDARD.encode("hunter2");
        let said = format!("AUTH PLAIN {plain} / {login} / hunter2");
        assert_eq!(
            mask(&said, Some("flow"), Some(&secret)),
            "AUTH PLAIN … / … / …"
        );
    }
}
