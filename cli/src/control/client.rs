//! A second terminal's side of the control socket.
//!
//! [`Client`] is a [`Journal`] that only reads, so that every view works the same whether this process has the journal
//! open or another one does.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use flow_engine::id::{Digest, RunId};
use flow_engine::journal::{Append, Archived, GENESIS, Head, Journal, JournalError, Stored, chain};
use flow_engine::signal::{Actor, Order, Signal};

use super::{Posted, Server, WireArchived, WireError, WireOrder, WireRecord};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;

/// Speaks to the process that holds the journal.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// Who answered.
    pub(crate) server: Server,
}

/// How long one answer may take. The driver answers between two syncs of its journal.
const LIMIT: Duration = Duration::from_secs(20);

impl Client {
    /// Whoever serves the socket; nothing when nobody does. Bounded by the limit of one answer.
    pub(crate) async fn connect(socket: &Path) -> Option<Client> {
        if !socket.exists() {
            return None;
        }
        let http = reqwest::Client::builder()
            .unix_socket(socket)
            .timeout(LIMIT)
            .no_proxy()
            // There is no TLS on it; reading the certificates of the machine took most of the time of a look.
            .tls_built_in_root_certs(false)
            .build()
            .ok()?;
        let answer = http.get("http://flow/").send().await.ok()?;
        let server = answer.json().await.ok()?;
        Some(Client { http, server })
    }

    /// Hands an answer to the process.
    pub(crate) async fn signal(&self, run: &RunId, signal: &Signal) -> Result<Posted, Diagnostic> {
        self.post(&format!("runs/{run}/signals"), signal).await
    }

    /// Hands an order to the process.
    pub(crate) async fn order(
        &self,
        run: &RunId,
        order: Order,
        by: Actor,
        reason: &str,
    ) -> Result<Posted, Diagnostic> {
        let reason = reason.to_owned();
        let wire = WireOrder { order, by, reason };
        self.post(&format!("runs/{run}/orders"), &wire).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Diagnostic> {
        let request = self.http.post(format!("http://flow/{path}")).json(body);
        understand(request.send().await).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, JournalError> {
        let request = self.http.get(format!("http://flow/{path}"));
        understand(request.send().await)
            .await
            .map_err(|diagnostic| match diagnostic.exit {
                // What the journal itself answered to the process that holds it.
                Exit::Usage => JournalError::Corrupt {
                    place: format!("/{path}"),
                    why: diagnostic.message,
                },
                _ => JournalError::Unusable {
                    path: "control.sock".into(),
                    why: diagnostic.message,
                },
            })
    }
}

async fn understand<T: DeserializeOwned>(
    answer: reqwest::Result<reqwest::Response>,
) -> Result<T, Diagnostic> {
    let cut = |e: reqwest::Error| {
        Diagnostic::new(
            Exit::Unknown,
            "the process that drives the run did not answer",
        )
        .because(&e.without_url())
        .world("Whether it took this in is not known; giving the same again is safe.")
        .hint("flow status")
    };
    let answer = answer.map_err(cut)?;
    if answer.status().is_success() {
        return answer.json().await.map_err(cut);
    }
    let status = answer.status();
    let text = answer.text().await.map_err(cut)?;
    let wire = serde_json::from_str::<WireError>(&text).unwrap_or(WireError {
        error: format!("the driver answered {status}: {text}"),
        exit: 70,
    });
    Err(wire.into())
}

#[async_trait]
impl Journal for Client {
    async fn append(&self, _: Append) -> Result<Head, JournalError> {
        Err(JournalError::Locked {
            holder: self.server.holder.clone(),
        })
    }

    async fn read(&self, run: &RunId) -> Result<Vec<Stored>, JournalError> {
        let wire: Vec<WireRecord> = self.get(&format!("runs/{run}/records")).await?;
        let mut records = Vec::with_capacity(wire.len());
        let mut previous = GENESIS;
        for record in &wire {
            let stored = record.stored()?;
            previous = chain(&previous, run, stored.seq, stored.epoch, &stored.body);
            if previous != stored.hash {
                return Err(JournalError::Corrupt {
                    place: format!("run {run}, record {}", stored.seq),
                    why: "it does not follow from the one before".into(),
                });
            }
            records.push(stored);
        }
        Ok(records)
    }

    async fn head(&self, run: &RunId) -> Result<Option<Head>, JournalError> {
        let records = self.read(run).await?;
        let epoch = records.iter().map(|r| r.epoch).max();
        Ok(records.last().zip(epoch).map(|(last, epoch)| Head {
            seq: last.seq,
            epoch,
            hash: last.hash,
        }))
    }

    async fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        self.get("runs").await
    }

    async fn put(&self, _: &[u8]) -> Result<Digest, JournalError> {
        Err(JournalError::Locked {
            holder: self.server.holder.clone(),
        })
    }

    async fn get(&self, object: &Digest) -> Result<Vec<u8>, JournalError> {
        let text: String = Client::get(self, &format!("objects/{object}")).await?;
        let bytes = hex::decode(&text).ok().filter(|bytes| Digest::of(bytes) == *object);
        bytes.ok_or(JournalError::NoObject(*object))
    }

    async fn archived(&self) -> Result<Vec<Archived>, JournalError> {
        let wire: Vec<WireArchived> = self.get("archived").await?;
        Ok(wire
            .into_iter()
            .filter_map(WireArchived::archived)
            .collect())
    }
}
