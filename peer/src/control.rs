//! The control socket: lets another process of the same user hand a message to the one that owns the data directory.
//! One JSON request a connection, answered with the JSON lines that tell of it. Its size and its time are bounded.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use common::limits::TEXT_MAX_BYTES;
use peer_core::command::{Command, CommandError, ErrorCode, To};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::driver::api::{Handle, Patience};
use crate::follow::{ANSWER_PATIENCE, Follow};
use crate::front::json;
use crate::keystore::{DataDir, DataDirError};
use crate::progress::{Progress, Wanted};

/// Most bytes of a request: a text in which every byte is escaped, and its surroundings.
const REQUEST_MAX_BYTES: u64 = 6 * TEXT_MAX_BYTES as u64 + 4 * 1024;
/// Most bytes of one answering line.
const ANSWER_MAX_BYTES: u64 = 1024 * 1024;
/// A request has to be there after so long.
const REQUEST_PATIENCE: Duration = Duration::from_secs(5);
/// A line has to be taken after so long.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);
/// Longest waiting that can be asked for.
const TIMEOUT_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 32;

/// What may be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// Send a message and tell how far it comes.
    Send(SendRequest),
    /// Who this peer is.
    WhoAmI {},
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// To whom, as on the command line.
    pub to: String,
    /// The text.
    pub text: String,
    /// Idempotency key.
    #[serde(default)]
    pub id: Option<String>,
    /// The state to wait for.
    pub wait: Wanted,
    /// How long, milliseconds.
    pub timeout_ms: u64,
}

/// The other process could not be asked.
#[derive(Debug, Error)]
pub enum ControlError {
    /// Nobody listens, or it broke off.
    #[error("the process that owns the data directory does not answer: {0}")]
    Io(#[from] io::Error),
    /// It did not answer in time.
    #[error("the process that owns the data directory does not answer in time")]
    Timeout,
}

/// Creates the socket in a data directory that this process owns: mode 0600, in place of a stale one.
///
/// # Errors
/// [`DataDirError`] when it cannot be created.
pub fn listen(data_dir: &DataDir) -> Result<UnixListener, DataDirError> {
    data_dir.remove_stale_socket()?;
    let path = data_dir.control_socket();
    let failed = |error| DataDirError::File { path: path.clone(), error };
    let listener = UnixListener::bind(&path).map_err(failed)?;
    // The directory itself is closed to others, so nobody can come in before this.
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Answers requests for ever. Dropping it breaks off what is being answered.
pub async fn serve(listener: UnixListener, handle: Handle) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                let handle = handle.clone();
                connections.spawn(async move {
                    if let Err(error) = answer(stream, handle).await {
                        tracing::debug!(%error, "a control connection broke off");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket");
                tokio::time::sleep(REQUEST_PATIENCE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(stream: UnixStream, handle: Handle) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut request = String::new();
    let mut read = BufReader::new(read.take(REQUEST_MAX_BYTES));
    timeout(REQUEST_PATIENCE, read.read_line(&mut request)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let follow = match serde_json::from_str(&request) {
        Ok(request) => begin(request, &handle).await,
        Err(error) => Err(CommandError::new(ErrorCode::BadArgument, format!("not a request: {error}"))),
    };
    match follow {
        Err(refused) => put(&mut write, &json::error(&refused, Some("send"))).await,
        Ok(mut follow) => {
            let mut hung_up = [0; 1];
            loop {
                let next = tokio::select! {
                    next = follow.next() => next,
                    // Nothing more is to be said here: the asker has gone.
                    _ = read.read(&mut hung_up) => None,
                };
                let Some(value) = next else { return Ok(()) };
                put(&mut write, &value).await?;
            }
        }
    }
}

async fn begin(request: Request, handle: &Handle) -> Result<Follow, CommandError> {
    let leaving = |_| CommandError::new(ErrorCode::StoreFailed, "the program is leaving; nothing was sent");
    let attached = handle.attach(Patience::CutOff);
    match request {
        Request::WhoAmI {} => Follow::answer(handle, attached, "whoami", Command::WhoAmI).await.map_err(leaving),
        Request::Send(send) => {
            let command = Command::Send { to: send.to.parse::<To>()?, text: send.text, key: send.id, urgent: false };
            let patience = Duration::from_millis(send.timeout_ms).min(TIMEOUT_MAX);
            Follow::message(handle, attached, command, send.wait, patience).await.map_err(leaving)
        }
    }
}

async fn put(write: &mut (impl AsyncWriteExt + Unpin), value: &Value) -> io::Result<()> {
    let line = json::line(value) + "\n";
    timeout(WRITE_PATIENCE, write.write_all(line.as_bytes())).await.map_err(|_| io::ErrorKind::TimedOut)?
}

/// Hands a message to the process that owns `data_dir`; returns how far it came.
///
/// # Errors
/// [`ControlError`] when it does not answer at all.
pub async fn send(data_dir: &Path, request: SendRequest) -> Result<Progress, ControlError> {
    let mut progress = Progress::new(request.wait);
    // The other side ends it; this is for one that hangs.
    let patience = Duration::from_millis(request.timeout_ms).saturating_add(2 * ANSWER_PATIENCE);
    let mut lines = ask(data_dir, &Request::Send(request)).await?;
    let all = async {
        while let Some(value) = next_line(&mut lines).await? {
            progress.take(&value);
        }
        Ok(())
    };
    match timeout(patience, all).await {
        Ok(Err(error)) if !progress.is_answered() => Err(error),
        Err(_) if !progress.is_answered() => Err(ControlError::Timeout),
        Ok(_) | Err(_) => Ok(progress),
    }
}

/// Asks the process that owns `data_dir` who it is: the result of `!whoami`.
///
/// # Errors
/// [`ControlError`] when it does not answer.
pub async fn whoami(data_dir: &Path) -> Result<Value, ControlError> {
    let mut lines = ask(data_dir, &Request::WhoAmI {}).await?;
    let value = timeout(ANSWER_PATIENCE, next_line(&mut lines)).await.map_err(|_| ControlError::Timeout)??;
    value.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof).into())
}

/// What is still to be answered, and the sending half, which says that somebody waits.
struct Lines(
    BufReader<tokio::net::unix::OwnedReadHalf>,
    #[expect(dead_code, reason = "held open")] tokio::net::unix::OwnedWriteHalf,
);

async fn ask(data_dir: &Path, request: &Request) -> Result<Lines, ControlError> {
    let stream = UnixStream::connect(DataDir::control_socket_in(data_dir)).await?;
    let (read, mut write) = stream.into_split();
    let line = serde_json::to_string(request).map_err(io::Error::from)? + "\n";
    timeout(WRITE_PATIENCE, write.write_all(line.as_bytes())).await.map_err(|_| ControlError::Timeout)??;
    Ok(Lines(BufReader::new(read), write))
}

async fn next_line(lines: &mut Lines) -> Result<Option<Value>, ControlError> {
    let mut line = String::new();
    let read = (&mut lines.0).take(ANSWER_MAX_BYTES).read_line(&mut line).await?;
    if read == 0 { Ok(None) } else { Ok(Some(serde_json::from_str(&line).map_err(io::Error::from)?)) }
}

#[cfg(test)]
mod tests;
