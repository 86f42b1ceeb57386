//! A second terminal's side of the control socket.
//!
//! [`Client`] is a [`Journal`] that only reads, so that every view works the same whether this process has the journal
//! open or another one does.

use async_trait::async_trait;
use hyper::StatusCode;
use hyper::body::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::OnceCell;

use flow_engine::id::{Digest, RunId};
use flow_engine::journal::sled::ClosedJournal;
use flow_engine::journal::{Append, Archived, GENESIS, Head, Journal, JournalError, Stored, chain};
use flow_engine::signal::{Actor, Order, Signal};

use super::http::{self, Cut};
use super::{Receipt, Server, WireArchived, WireError, WireOrder, WireRecord};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::state::State;

/// Speaks to the process that holds the journal. Of one that has ended meanwhile, what it left is read instead.
pub(crate) struct Client {
    state: State,
    /// Who answered on the socket.
    pub(crate) server: Server,
    /// The journal as it lies on the disk, since nobody answers any more.
    left: OnceCell<Box<ClosedJournal>>,
}

impl Client {
    /// Whoever serves the socket; nothing when nobody does. Bounded by the limit of one answer.
    pub(crate) async fn connect(state: &State) -> Option<Client> {
        let socket = state.socket();
        if !socket.exists() {
            return None;
        }
        let (status, body) = http::ask(&socket, "", None).await.ok()?;
        if !status.is_success() {
            return None;
        }
        Some(Client {
            state: state.clone(),
            server: serde_json::from_slice(&body).ok()?,
            left: OnceCell::new(),
        })
    }

    /// Hands an answer to the process.
    pub(crate) async fn signal(&self, run: &RunId, signal: &Signal) -> Result<Receipt, Diagnostic> {
        self.post(&format!("runs/{run}/signals"), signal).await
    }

    /// Hands an order to the process.
    pub(crate) async fn order(
        &self,
        run: &RunId,
        order: Order,
        by: Actor,
        reason: &str,
    ) -> Result<Receipt, Diagnostic> {
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
        understand(http::ask(&self.state.socket(), path, Some(text)).await)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, JournalError> {
        let answer = http::ask(&self.state.socket(), path, None).await;
        understand(answer).map_err(|diagnostic| match diagnostic.exit {
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

    /// What a process left that was asked and ended before it answered.
    ///
    /// # Errors
    /// The one given, where that is not what happened: somebody takes connections, or what lies there may lack something.
    async fn left(&self, error: JournalError) -> Result<&ClosedJournal, JournalError> {
        let cut = matches!(error, JournalError::Unusable { .. });
        if !cut || UnixStream::connect(self.state.socket()).await.is_ok() {
            return Err(error);
        }
        let dir = self.state.journal();
        let lying = async {
            let read = tokio::task::spawn_blocking(move || ClosedJournal::as_it_lies(&dir));
            match read.await {
                Ok(Ok((journal, lacks))) if lacks.is_empty() => Ok(Box::new(journal)),
                _ => Err(error),
            }
        };
        let left = self.left.get_or_try_init(|| lying).await?;
        Ok(&**left)
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
        let answer = self.get(&format!("runs/{run}/records")).await;
        let wire: Vec<WireRecord> = match answer {
            Ok(wire) => wire,
            Err(error) => return self.left(error).await?.read(run).await,
        };
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
        match self.get("runs").await {
            Ok(runs) => Ok(runs),
            Err(error) => self.left(error).await?.runs().await,
        }
    }

    async fn put(&self, _: &[u8]) -> Result<Digest, JournalError> {
        Err(JournalError::Locked {
            holder: self.server.holder.clone(),
        })
    }

    async fn get(&self, object: &Digest) -> Result<Vec<u8>, JournalError> {
        let text: String = match Client::get(self, &format!("objects/{object}")).await {
            Ok(text) => text,
            Err(error) => return Journal::get(self.left(error).await?, object).await,
        };
        let bytes = hex::decode(&text)
            .ok()
            .filter(|bytes| Digest::of(bytes) == *object);
        bytes.ok_or(JournalError::NoObject(*object))
    }

    async fn archived(&self) -> Result<Vec<Archived>, JournalError> {
        let wire: Vec<WireArchived> = match self.get("archived").await {
            Ok(wire) => wire,
            Err(error) => return self.left(error).await?.archived().await,
        };
        Ok(wire
            .into_iter()
            .filter_map(WireArchived::archived)
            .collect())
    }
}
