//! The notices of a run as mail to the team.

use std::sync::Arc;

use async_trait::async_trait;
use flow_engine::journal::Journal;
use flow_engine::outbox::{DeliveryError, Notifier};
use flow_engine::run::{Notice, Run};

use super::render::render;
use super::smtp::Mailer;
use crate::means::signature::roster::People;

/// Mails every notice to the whole team. A repeated delivery carries the same message id.
pub struct TeamMail {
    mailer: Mailer,
    people: Arc<People>,
    journal: Option<Arc<dyn Journal>>,
}

impl std::fmt::Debug for TeamMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TeamMail")
            .field("mailer", &self.mailer)
            .finish_non_exhaustive()
    }
}

impl TeamMail {
    /// Mail through `mailer`, with the contacts of `people`. With a journal each mail carries the hash of its last
    /// record of the run: kept in mailboxes, it shows later that nothing before it was rewritten.
    pub fn new(mailer: Mailer, people: Arc<People>, journal: Option<Arc<dyn Journal>>) -> TeamMail {
        TeamMail {
            mailer,
            people,
            journal,
        }
    }

    /// The mailer, for its probe.
    pub fn mailer(&self) -> &Mailer {
        &self.mailer
    }
}

#[async_trait]
impl Notifier for TeamMail {
    async fn deliver(&self, run: &Run, notice: &Notice) -> Result<(), DeliveryError> {
        let head = match &self.journal {
            // A mail without the hash is better than none.
            Some(journal) => journal.head(&run.id).await.ok().flatten(),
            None => None,
        };
        let head = head.map(|h| (h.seq, h.hash));
        let mail = render(run, notice, &self.people, self.mailer.domain(), head);
        self.mailer.send(&mail).await
    }
}
