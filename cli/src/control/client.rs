//! A second terminal's side of the control socket.
//!
//! [`Client`] is a [`Journal`] that only reads, so that every view works the same whether this process has the journal
//! open or another one does.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use hyper::StatusCode;
use hyper::body::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use flow_engine::id::{Digest, RunId};
use flow_engine::journal::{Append, Archived, GENESIS, Head, Journal, JournalError, Stored, chain};
use flow_engine::signal::{Actor, Order, Signal};

use super::http::{self, Cut};
use super::{Posted, Server, WireArchived, WireError, WireOrder, WireRecord};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;

/// Speaks to the process that holds the journal.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    socket: PathBuf,
    /// Who answered on the socket.
    pub(crate) server: Server,
}

impl Client {
    /// Whoever serves the socket; nothing when nobody does. Bounded by the limit of one answer.
    pub(crate) async fn connect(socket: &Path) -> Option<Client> {
        if !socket.exists() {
            return None;
        }
        let (status, body) = http::ask(socket, "", None).await.ok()?;
        if !status.is_success() {
            return None;
        }
        let server = serde_json::from_slice(&body).ok()?;
        let socket = socket.to_owned();
        Some(Client { socket, server })
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
        let text = serde_json::to_vec(body).map_err(|e| cut(&e.into()))?;
        understand(http::ask(&self.socket, path, Some(text)).await)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, JournalError> {
        understand(http::ask(&self.socket, path, None).await).map_err(|diagnostic| match diagnostic
            .exit
        {
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

fn cut(error: &Cut) -> Diagnostic {
    Diagnostic::new(
        Exit::Unknown,
        "the process that drives the run did not answer",
    )
    .because(error)
    .world("Whether it took this in is not known; giving the same again is safe.")
    .hint("flow status")
}

fn understand<T: DeserializeOwned>(
    answer: Result<(StatusCode, Bytes), Cut>,
) -> Result<T, Diagnostic> {
    let (status, body) = answer.map_err(|e| cut(&e))?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|e| cut(&e.into()));
    }
    let wire = serde_json::from_slice::<WireError>(&body).unwrap_or_else(|_| WireError {
        error: format!(
            "the driver answered {status}: {}",
            String::from_utf8_lossy(&body)
        ),
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
        let bytes = hex::decode(&text)
            .ok()
            .filter(|bytes| Digest::of(bytes) == *object);
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
