//! Who is connected: so many at once, each known by the kernel, none for ever.

use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::actor;

/// How many are served at once. Others wait in the socket's own queue, for as long as it takes one of these to end.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection may take to say what it wants, and may be idle.
const HEADER_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection lasts at most: a body may come slowly. Whoever still asks connects again.
const LIFE: Duration = Duration::from_mins(1);
/// The pause after an error of `accept`, such as too many open files: it would be the same at once.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves until stopped, then lets what is under way end.
pub(super) async fn attend(listener: UnixListener, routes: Router, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let until = stop.clone();
    let accept = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (routes, stop) = (routes.clone(), stop.clone());
                    connections.spawn(async move {
                        serve(stream, routes, stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::error!(%error, "the control socket takes no connection now");
                    tokio::time::sleep(PAUSE).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        () = accept => {}
        () = until.cancelled() => {}
    }
    while connections.join_next().await.is_some() {}
}

async fn serve(stream: UnixStream, routes: Router, stop: CancellationToken) {
    let peer = match stream.peer_cred() {
        Ok(peer) => actor::of_user(peer.uid()),
        Err(error) => {
            tracing::error!(%error, "who connected to the control socket is not known");
            return;
        }
    };
    let service = TowerToHyperService::new(routes.layer(Extension(peer)));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_WITHIN);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => None,
        () = tokio::time::sleep(LIFE) => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        // A body that never ends is cut off.
        let rest = tokio::time::timeout(HEADER_WITHIN * 4, connection).await;
        rest.unwrap_or(Ok(()))
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the control socket broke");
    }
}
