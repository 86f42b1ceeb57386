//! One request over the control socket.
//!
//! Without TLS, which no socket of one machine needs: reading the machine's certificates took most of a short command.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// How long one answer may take. The driver answers between two syncs of its journal.
const LIMIT: Duration = Duration::from_secs(20);

/// Why there is no whole answer. Whether the request was taken in is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    #[error("no whole answer within {} s", LIMIT.as_secs())]
    Late,
    #[error("the socket cannot be used")]
    Socket(#[from] std::io::Error),
    #[error("the answer ended early")]
    Http(#[from] hyper::Error),
    #[error("the request cannot be put in words")]
    Request(#[from] hyper::http::Error),
    #[error("the answer is not what this version of flow knows")]
    Answer(#[from] serde_json::Error),
}

/// Asks for `/path`, or hands JSON to it. A connection of its own each time, and one answer within [`LIMIT`].
pub(super) async fn ask(
    socket: &Path,
    path: &str,
    body: Option<Vec<u8>>,
) -> Result<(StatusCode, Bytes), Cut> {
    tokio::time::timeout(LIMIT, answer(socket, path, body))
        .await
        .map_err(|_| Cut::Late)?
}

async fn answer(
    socket: &Path,
    path: &str,
    body: Option<Vec<u8>>,
) -> Result<(StatusCode, Bytes), Cut> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(if body.is_some() {
            Method::POST
        } else {
            Method::GET
        })
        .uri(format!("/{path}"))
        .header(HOST, "flow")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.unwrap_or_default())))?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>((status, body))
    };
    tokio::pin!(exchange, connection);
    let answer = tokio::select! {
        answer = &mut exchange => answer?,
        // The connection ends first only when it breaks, or when all of the answer is here already.
        ended = &mut connection => {
            ended?;
            exchange.await?
        }
    };
    Ok(answer)
}
