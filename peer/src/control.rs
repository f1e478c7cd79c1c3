//! The control socket: lets another process of the same user hand a message to the one that owns the data directory.
//! One JSON request a connection, answered with the JSON lines that tell of it. Its size and its time are bounded.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};

use common::limits::TEXT_MAX_BYTES;
use peer_core::command::{Command, CommandError, ErrorCode, To};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cli::values;
use crate::driver::api::{Handle, Patience};
use crate::follow::{ANSWER_PATIENCE, Follow};
use crate::front::json;
use crate::keystore::DataDir;
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
/// The program leaves: the last answers get so long to be written.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// Longest path of a socket that every system takes, in bytes.
const SOCKET_PATH_MAX_BYTES: usize = 100;
/// How an answer ends when a command was not carried out since the program leaves.
const LEAVING: &str = "the program is leaving";

/// What may be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// Send a message and tell how far it comes.
    Send(SendRequest),
    /// Who this peer is.
    WhoAmI {},
}

/// A message, or a file, to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// To whom, as on the command line.
    pub to: String,
    /// The text; empty where a file is sent.
    #[serde(default)]
    pub text: String,
    /// The path of a file in place of a text, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Idempotency key.
    #[serde(default)]
    pub id: Option<String>,
    /// Rings, goes first.
    #[serde(default)]
    pub urgent: bool,
    /// The message it answers: its number, or its id.
    #[serde(default)]
    pub reply: Option<String>,
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

impl ControlError {
    /// Whether the owner only comes or goes: without a socket yet, or not any more.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof};
        let Self::Io(error) = self else { return false };
        matches!(error.kind(), NotFound | ConnectionRefused | ConnectionReset | BrokenPipe | UnexpectedEof)
    }
}

/// How far a message came that was handed to the owner of the data directory.
#[derive(Debug, Clone)]
pub struct Handed {
    /// What is known of it.
    pub progress: Progress,
    /// The owner left before it was done: under the same idempotency key it may be handed over again.
    pub broke_off: bool,
}

/// Creates the socket in a data directory that this process owns: mode 0600, in place of a stale one. None, and a
/// warning, when that cannot be: nothing else depends on it.
#[must_use]
pub fn listen(data_dir: &DataDir) -> Option<UnixListener> {
    let bound = data_dir.remove_stale_socket().map_err(io::Error::other).and_then(|()| bind(data_dir));
    bound
        .inspect_err(|error| tracing::warn!(%error, "no control socket: other processes cannot hand messages over"))
        .ok()
}

fn bind(data_dir: &DataDir) -> io::Result<UnixListener> {
    let (_folder, path) = reachable(data_dir.path())?;
    let listener = UnixListener::bind(path)?;
    // The directory itself is closed to others, so nobody can come in before this.
    std::fs::set_permissions(data_dir.control_socket(), Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// A path to the control socket in `folder` that is short enough for a socket, while the file is held open.
fn reachable(folder: &Path) -> io::Result<(Option<File>, PathBuf)> {
    let path = DataDir::control_socket_in(folder);
    if path.as_os_str().len() <= SOCKET_PATH_MAX_BYTES {
        return Ok((None, path));
    }
    let folder = File::open(folder)?;
    let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string());
    Ok((Some(folder), DataDir::control_socket_in(&short)))
}

/// Does `work` and serves beside it; what is being answered when the work is done gets a moment to end.
pub async fn beside<T>(work: impl Future<Output = T>, serving: impl Future<Output = ()>) -> T {
    let (mut work, mut serving) = (pin!(work), pin!(serving));
    tokio::select! {
        done = &mut work => {
            // Broken off or not, everything that was said is on disk.
            let _ = timeout(LAST_ANSWERS, serving).await;
            done
        }
        () = &mut serving => work.await,
    }
}

/// Answers requests until the other end of `stop` is dropped, and those that came before that to their end. Dropping it
/// breaks off what is being answered.
pub async fn serve(listener: Option<UnixListener>, handle: Handle, mut stop: oneshot::Receiver<()>) {
    let Some(listener) = listener else { return };
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            _ = &mut stop => break,
        };
        match accepted {
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
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn answer(stream: UnixStream, handle: Handle) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut request = String::new();
    let mut read = BufReader::new(read.take(REQUEST_MAX_BYTES));
    timeout(REQUEST_PATIENCE, read.read_line(&mut request)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let mut byte = [0; 1];
    // Nothing more is to be said here: the asker has gone, and what it asked for is not begun.
    let mut hung_up = pin!(read.read(&mut byte));
    let follow = match serde_json::from_str(&request) {
        Ok(request) => tokio::select! {
            biased;
            _ = &mut hung_up => return Ok(()),
            follow = begin(request, &handle) => follow,
        },
        Err(error) => Err(CommandError::new(ErrorCode::BadArgument, format!("not a request: {error}"))),
    };
    match follow {
        Err(refused) => put(&mut write, &json::error(&refused, Some("send"))).await,
        Ok(mut follow) => loop {
            let next = tokio::select! {
                next = follow.next() => next,
                _ = &mut hung_up => None,
            };
            let Some(value) = next else { return Ok(()) };
            put(&mut write, &value).await?;
        },
    }
}

async fn begin(request: Request, handle: &Handle) -> Result<Follow, CommandError> {
    let leaving = |_| CommandError::new(ErrorCode::StoreFailed, format!("nothing was sent: {LEAVING}"));
    let attached = handle.attach(Patience::CutOff);
    match request {
        Request::WhoAmI {} => Follow::answer(handle, attached, "whoami", Command::WhoAmI).await.map_err(leaving),
        Request::Send(send) => {
            let (wait, patience) = (send.wait, Duration::from_millis(send.timeout_ms).min(TIMEOUT_MAX));
            Follow::message(handle, attached, command(send)?, wait, patience).await.map_err(leaving)
        }
    }
}

fn command(send: SendRequest) -> Result<Command, CommandError> {
    let wrong = |what: String| CommandError::new(ErrorCode::BadArgument, what);
    let reply_to = send.reply.as_deref().map(values::which).transpose();
    let reply_to = reply_to.map_err(|accepted| wrong(format!("reply: {accepted}")))?;
    let SendRequest { text, file, id: key, urgent, .. } = send;
    let to = send.to.parse::<To>()?;
    match file {
        None => Ok(Command::Send { to, text, key, urgent, reply_to }),
        Some(_) if urgent || reply_to.is_some() || !text.is_empty() => {
            Err(wrong("file: goes without a text, and is neither urgent nor a reply".to_owned()))
        }
        // This process has another working directory than the one that asks.
        Some(path) if !Path::new(&path).is_absolute() => Err(wrong(format!("file: {path:?} is not an absolute path"))),
        Some(path) => Ok(Command::File { to, path, key }),
    }
}

async fn put(write: &mut (impl AsyncWriteExt + Unpin), value: &Value) -> io::Result<()> {
    let line = json::line(value) + "\n";
    timeout(WRITE_PATIENCE, write.write_all(line.as_bytes())).await.map_err(|_| io::ErrorKind::TimedOut)?
}

/// Hands a message, or a file, to the process that owns `data_dir`; returns how far it came. `see` gets what is told of it
/// meanwhile.
///
/// # Errors
/// [`ControlError`] when it does not answer at all.
pub async fn send(data_dir: &Path, request: SendRequest, mut see: impl FnMut(&Value)) -> Result<Handed, ControlError> {
    let wait = request.wait;
    let mut progress = if request.file.is_some() { Progress::of_file(wait) } else { Progress::new(wait) };
    let due = Instant::now() + Duration::from_millis(request.timeout_ms);
    // The other side ends it; this is for one that hangs.
    let patience = Duration::from_millis(request.timeout_ms).saturating_add(2 * ANSWER_PATIENCE);
    let mut lines = ask(data_dir, &Request::Send(request)).await?;
    let all = async {
        while let Some(value) = next_line(&mut lines).await? {
            if value["message"].as_str().is_some_and(|message| message.ends_with(LEAVING)) {
                return Ok(());
            }
            if progress.take(&value) {
                see(&value);
            }
        }
        Ok(())
    };
    let ended = timeout(patience, all).await;
    match ended {
        Ok(Err(error)) if !progress.is_answered() => Err(error),
        Err(_) if !progress.is_answered() => Err(ControlError::Timeout),
        Ok(_) | Err(_) => {
            let timely = !progress.is_answered() || Instant::now() < due;
            let broke_off = ended.is_ok() && !progress.is_done() && timely;
            Ok(Handed { progress, broke_off })
        }
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
    let (_folder, path) = reachable(data_dir)?;
    let stream = UnixStream::connect(path).await?;
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
