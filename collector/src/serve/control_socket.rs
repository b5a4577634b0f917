//! How commands reach a running collector: HTTP/1 over a Unix socket in the data directory.
//!
//! `POST /command` with a [`Command`] as JSON is answered with `Result<Answer, String>` as JSON. The
//! socket belongs to the user who runs the collector; others are turned away by its mode and, because
//! a mode can be set only after the socket is there, by their user id.

use super::command::{Answer, Command};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use std::{
    convert::Infallible,
    future::Future,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{UnixListener, UnixStream},
    time::timeout,
};

/// Largest order, in bytes: a batch of an import with long URLs.
const MAX_ORDER_BYTES: usize = 128 << 20;
/// How long the caller may take to say what it wants.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long orders under way may take at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Carries out orders.
pub(super) trait Execute: Send + Sync + 'static {
    /// Returns when the order is in force; the text is one sentence for the person who gave it.
    fn execute(self: Arc<Self>, command: Command) -> impl Future<Output = Result<Answer, String>> + Send;
}

/// Where the socket is.
pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// The socket, removed when it is closed.
#[derive(Debug)]
pub(super) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "can't remove the control socket");
        }
    }
}

impl ControlSocket {
    /// Opens it, in place of what a killed predecessor left. The data directory's lock must be held.
    pub(super) fn bind(data_dir: &Path) -> io::Result<Self> {
        let path = path(data_dir);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Answers until `shutdown` resolves.
    pub(super) async fn serve<E: Execute>(self, engine: Arc<E>, shutdown: impl Future<Output = ()>) {
        let own_user = rustix::process::getuid().as_raw();
        let graceful = GracefulShutdown::new();
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "can't accept a command");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == own_user || peer.uid() == 0 => {}
                _ => {
                    tracing::warn!("turned a command away: it came from another user");
                    continue;
                }
            }
            let engine = Arc::clone(&engine);
            let service = service_fn(move |request| answer(Arc::clone(&engine), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a command's connection ended with an error");
                }
            });
        }
        if timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
            tracing::warn!("a command did not finish in time");
        }
    }
}

async fn answer<E: Execute>(engine: Arc<E>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let outcome = if request.method() != Method::POST || request.uri().path() != "/command" {
        Err("this socket takes POST /command".to_owned())
    } else {
        match Limited::new(request.into_body(), MAX_ORDER_BYTES).collect().await {
            Err(error) => Err(format!("the command could not be read: {error}")),
            Ok(body) => match serde_json::from_slice::<Command>(&body.to_bytes()) {
                Err(error) => Err(format!(
                    "the running server does not understand this command ({error}): restart it with this version of firmsight"
                )),
                // In a task of its own: what was begun is finished also when the caller goes away.
                Ok(command) => match tokio::spawn(engine.execute(command)).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err("the command failed in an unforeseen way; the server's log says more".to_owned()),
                },
            },
        }
    };
    let bytes = serde_json::to_vec(&outcome).unwrap_or_else(|error| {
        tracing::error!(%error, "can't write a command's answer");
        br#"{"Err":"the answer could not be written; the server's log says more"}"#.to_vec()
    });
    let mut response = Response::new(Full::new(Bytes::from(bytes)));
    if outcome.is_err() {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    Ok(response)
}

/// Why a running server gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Nobody listens: no server runs on this data directory.
    #[error("no server is running on this data directory")]
    NobodyListens,
    /// The socket can't be used.
    #[error("can't reach the running server through {}: {problem}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What happened.
        problem: String,
    },
    /// The server's own sentence.
    #[error("{0}")]
    Refused(String),
}

/// Sends one order to the server of a data directory.
///
/// # Errors
/// [`CallError::NobodyListens`] when there is none, else what went wrong.
pub(crate) async fn call(data_dir: &Path, command: &Command) -> Result<Answer, CallError> {
    let path = path(data_dir);
    let stream = connect(data_dir).await?;
    let problem = |error: &dyn std::fmt::Display| CallError::Socket { path: path.clone(), problem: error.to_string() };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| problem(&error))?;
    let driver = tokio::spawn(connection);
    let body = serde_json::to_vec(command).map_err(|error| problem(&error))?;
    let request = Request::post("/command")
        .header(http::header::HOST, "control")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| problem(&error))?;
    let response = sender.send_request(request).await.map_err(|error| problem(&error))?;
    let body = response.into_body().collect().await.map_err(|error| problem(&error))?.to_bytes();
    drop(sender);
    driver.abort();
    let outcome: Result<Answer, String> = serde_json::from_slice(&body).map_err(|error| problem(&error))?;
    outcome.map_err(CallError::Refused)
}

/// Whether a server listens; a socket that a killed one left does not count.
pub(crate) async fn connect(data_dir: &Path) -> Result<UnixStream, CallError> {
    let path = path(data_dir);
    UnixStream::connect(&path).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => CallError::NobodyListens,
        _ => CallError::Socket { path, problem: error.to_string() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::sync::oneshot;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<String>>);

    impl Execute for Recorder {
        async fn execute(self: Arc<Self>, command: Command) -> Result<Answer, String> {
            self.0.lock().unwrap().push(format!("{command:?}"));
            match command {
                Command::ListSites => Ok(Answer::Sites(vec![])),
                _ => Err("no".to_owned()),
            }
        }
    }

    #[tokio::test]
    async fn orders_and_refusals_travel_and_the_socket_is_gone_after_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().to_owned();
        assert!(matches!(call(&data_dir, &Command::ListSites).await, Err(CallError::NobodyListens)));
        let stale = UnixListener::bind(path(&data_dir)).unwrap();
        drop(stale);
        assert!(matches!(call(&data_dir, &Command::ListSites).await, Err(CallError::NobodyListens)));

        let socket = ControlSocket::bind(&data_dir).unwrap();
        let mode = std::fs::metadata(path(&data_dir)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let recorder = Arc::new(Recorder::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(socket.serve(Arc::clone(&recorder), async move { drop(stopped.await) }));
        assert!(matches!(call(&data_dir, &Command::ListSites).await, Ok(Answer::Sites(sites)) if sites.is_empty()));
        let refused = call(&data_dir, &Command::ListKeys).await.unwrap_err();
        assert_eq!(refused.to_string(), "no");
        assert_eq!(recorder.0.lock().unwrap().len(), 2);
        stop.send(()).unwrap();
        server.await.unwrap();
        assert!(!path(&data_dir).exists());
    }
}
