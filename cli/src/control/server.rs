//! The driver's side of the control socket.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{DefaultBodyLimit, Path as At, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use flow_engine::clock::Clock;
use flow_engine::driver::{Handle, NoDriver};
use flow_engine::id::{Digest, RunId};
use flow_engine::journal::Journal;
use flow_engine::lease::holder;
use flow_engine::run::{LoadError, Run, append_order, append_signal};
use flow_engine::signal::{Actor, Signal};

mod connections;

use super::{Receipt, Server, WireArchived, WireError, WireOrder, WireRecord, posted};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;

/// Looks at an answer before it is stored, so that a signer hears at once that theirs does not count.
#[async_trait]
pub(crate) trait Verifier: Send + Sync {
    /// Says why the answer must not be stored.
    async fn verify(&self, run: &Run, signal: &Signal) -> Result<(), Diagnostic>;
}

/// What the server needs.
#[derive(Clone)]
pub(crate) struct Service {
    /// The journal this process holds.
    pub(crate) journal: Arc<dyn Journal>,
    /// The run it drives.
    pub(crate) driving: RunId,
    /// Speaks to the driver of that run.
    pub(crate) handle: Handle,
    /// Looks at answers.
    pub(crate) verifier: Arc<dyn Verifier>,
    /// Says when they came.
    pub(crate) clock: Arc<dyn Clock>,
}

/// A running server. [`close`](Open::close) removes the socket.
pub(crate) struct Open {
    path: PathBuf,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// The longest answer or order, in bytes: a record holds 4096.
const BODY_MAX: usize = 16 * 1024;
/// The longest path of a unix socket: `sun_path` holds 108 bytes, one of them a zero.
const PATH_MAX: usize = 107;

/// A socket that is there before anything is begun, so that a run is never begun without one. Whoever connects is
/// answered once it serves. Removed again when it never does.
pub(crate) struct Socket {
    path: PathBuf,
    listener: Option<UnixListener>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.listener.is_some() {
            let _gone_already = std::fs::remove_file(&self.path);
        }
    }
}

impl Socket {
    /// Serves on the socket until closed.
    pub(crate) fn serve(mut self, served: Service) -> Open {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let listener = self.listener.take();
        let task = tokio::spawn(async move {
            if let Some(listener) = listener {
                connections::attend(listener, routes(served), stopped).await;
            }
        });
        let path = std::mem::take(&mut self.path);
        Open { path, stop, task }
    }
}

impl Open {
    /// Answers what is under way, for at most a second, and removes the socket.
    pub(crate) async fn close(self) {
        let _gone_already = std::fs::remove_file(&self.path);
        self.stop.cancel();
        let abort = self.task.abort_handle();
        let limit = std::time::Duration::from_secs(1);
        if tokio::time::timeout(limit, self.task).await.is_err() {
            abort.abort();
        }
    }
}

/// Refuses a path that no socket can have; for the time before anything is begun.
pub(crate) fn check(path: &Path) -> Result<(), Diagnostic> {
    if path.as_os_str().len() <= PATH_MAX {
        return Ok(());
    }
    Err(Diagnostic::usage(format!(
        "the path of the control socket is longer than {PATH_MAX} bytes: {}",
        path.display()
    ))
    .hint("choose a state folder with a shorter path: flow --state DIR …"))
}

/// Makes the socket. Only the process that holds the journal may call this: it removes a socket that nobody answers.
///
/// # Errors
/// When it cannot be made. Nothing was changed.
pub(crate) async fn bind(path: &Path) -> Result<Socket, Diagnostic> {
    check(path)?;
    let shown = path.display();
    let failed = |e: &std::io::Error| {
        Diagnostic::usage(format!("the control socket {shown} cannot be opened")).because(e)
    };
    if path.exists() {
        if tokio::net::UnixStream::connect(path).await.is_ok() {
            return Err(
                Diagnostic::new(Exit::Locked, format!("another process serves {shown}"))
                    .world("Nothing was changed."),
            );
        }
        std::fs::remove_file(path).map_err(|e| failed(&e))?;
    }
    let listener = UnixListener::bind(path).map_err(|e| failed(&e))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|e| failed(&e))?;
    Ok(Socket {
        path: path.to_owned(),
        listener: Some(listener),
    })
}

fn routes(served: Service) -> Router {
    Router::new()
        .route("/", get(who))
        .route("/runs", get(list))
        .route("/archived", get(archived))
        .route("/runs/{id}/records", get(records))
        .route("/runs/{id}/questions", get(questions))
        .route("/runs/{id}/signals", post(signal))
        .route("/runs/{id}/orders", post(order))
        .route("/objects/{digest}", get(object))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(served)
}

/// A diagnostic as an answer.
struct Rejection(Diagnostic);

impl<E: Into<Diagnostic>> From<E> for Rejection {
    fn from(error: E) -> Self {
        Rejection(error.into())
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let status = match self.0.exit {
            Exit::Usage => StatusCode::NOT_FOUND,
            Exit::Refused => StatusCode::FORBIDDEN,
            Exit::Locked => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(WireError::from(&self.0))).into_response()
    }
}

type Answer<T> = Result<Json<T>, Rejection>;

async fn who(State(served): State<Service>) -> Json<Server> {
    Json(Server {
        holder: holder(),
        driving: served.driving.to_string(),
        version: env!("CARGO_PKG_VERSION").into(),
    })
}

async fn list(State(served): State<Service>) -> Answer<Vec<RunId>> {
    Ok(Json(served.journal.runs().await?))
}

async fn archived(State(served): State<Service>) -> Answer<Vec<WireArchived>> {
    let archived = served.journal.archived().await?;
    Ok(Json(archived.iter().map(WireArchived::from).collect()))
}

async fn records(State(served): State<Service>, At(id): At<RunId>) -> Answer<Vec<WireRecord>> {
    let stored = served.journal.read(&id).await?;
    Ok(Json(stored.iter().map(WireRecord::from).collect()))
}

async fn questions(
    State(served): State<Service>,
    At(id): At<RunId>,
) -> Answer<crate::view::json::Questions> {
    let run = served.load(&id).await?;
    Ok(Json(crate::view::json::Questions::of(&run)))
}

async fn object(State(served): State<Service>, At(digest): At<String>) -> Answer<String> {
    let unknown = || Diagnostic::usage("that is no digest");
    let digest = Digest::from_hex(&digest).ok_or_else(unknown)?;
    let bytes = served.journal.get(&digest).await?;
    Ok(Json(hex::encode(&bytes)))
}

async fn signal(
    State(served): State<Service>,
    Extension(peer): Extension<Actor>,
    At(id): At<RunId>,
    Json(mut signal): Json<Signal>,
) -> Answer<Receipt> {
    // Who sends is what the kernel says, not what the sender says.
    signal.by = peer;
    super::fit_to_store(&signal)?;
    let mut run = served.load(&id).await?;
    signal.at = served.clock.now();
    served.verifier.verify(&run, &signal).await?;
    if id == served.driving {
        match served.handle.signal(signal.clone()).await {
            Ok(answer) => return Ok(Json(posted(answer.map_err(LoadError::Refused))?)),
            Err(NoDriver) => run = served.load(&id).await?,
        }
    }
    let stored = append_signal(&*served.journal, &mut run, signal).await;
    Ok(Json(posted(stored)?))
}

async fn order(
    State(served): State<Service>,
    Extension(by): Extension<Actor>,
    At(id): At<RunId>,
    Json(wire): Json<WireOrder>,
) -> Answer<Receipt> {
    super::fit_reason(&wire.reason)?;
    if id != served.driving {
        let mut run = served.load(&id).await?;
        let at = served.clock.now();
        let stored = append_order(&*served.journal, &mut run, wire.order, by, &wire.reason, at);
        return Ok(Json(posted(stored.await)?));
    }
    let answer = served
        .handle
        .order(wire.order, by, &wire.reason)
        .await
        .map_err(|NoDriver| {
            Diagnostic::new(
                Exit::Locked,
                format!("the driver of run {id} is just ending"),
            )
        })?;
    Ok(Json(posted(answer.map_err(LoadError::Refused))?))
}

impl Service {
    async fn load(&self, id: &RunId) -> Result<Run, LoadError> {
        if *id == self.driving
            && let Ok(run) = self.handle.look().await
        {
            return Ok(Run::clone(&run));
        }
        Run::load(&*self.journal, id).await
    }
}
