//! From `[mail]` to what hands mail to the server.

use std::sync::Arc;

use flow_engine::event::Masked;
use flow_steps::mail::{MailSettings, Mailer, Tls};
use flow_steps::means::secret;
use flow_steps::means::secret::{ByName, Secrets as _};

use crate::config::{Core, Mail, beside};
use crate::setup::SetupError;

impl Core {
    /// What hands mail to the server, when mail is configured.
    ///
    /// # Errors
    /// [`SetupError::Mail`].
    pub fn mailer(&self) -> Result<Option<Mailer>, SetupError> {
        let Some(mail) = &self.mail else {
            return Ok(None);
        };
        let settings = self.mail_settings(mail)?;
        let mailer =
            Mailer::new(settings, Arc::new(ByName)).map_err(|e| SetupError::Mail(e.to_string()))?;
        Ok(Some(mailer))
    }

    fn mail_settings(&self, mail: &Mail) -> Result<MailSettings, SetupError> {
        let tls = match mail.tls.as_str() {
            "starttls" => Tls::Starttls,
            "implicit" => Tls::Implicit,
            "none" => Tls::None,
            other => {
                return Err(SetupError::Mail(format!(
                    "`tls` is `{other}`; use starttls, implicit or none"
                )));
            }
        };
        let password = mail.password.as_deref();
        Ok(MailSettings {
            host: mail.host.clone(),
            port: mail.port,
            tls,
            user: mail.user.clone(),
            password: password.map(|name| beside(&self.dir, name)),
            from: mail.from.clone(),
            to: mail.to.clone(),
            ca_file: mail.ca.as_deref().map(|path| self.path(path)),
        })
    }

    /// The value of the password for mail, to be masked in all output. One that cannot be found now is left out: whoever
    /// needs it will say so. One that a program prints is asked for, and masked, by whoever uses it.
    pub fn masked(&self) -> Masked {
        let name = self.mail.as_ref().and_then(|mail| mail.password.as_ref());
        let name = name.filter(|name| !secret::is_command(name));
        let value = name.and_then(|name| ByName.resolve(&beside(&self.dir, name)).ok());
        Masked::new(value.map(|secret| secret.expose().to_owned()))
    }
}
