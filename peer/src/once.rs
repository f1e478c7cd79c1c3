//! One thing and out: `peer send` and `peer identity show`, by this process or through the one that owns the data
//! directory. What came of a message is an exit code.

mod report;

use std::io::{self, Read};
use std::time::{Duration, Instant};

use common::limits::TEXT_MAX_BYTES;
use peer_core::command::{Command, CommandError, ErrorCode, Which};
use peer_core::event::{Event, Exit};
use serde_json::json;
use tokio::sync::oneshot;

use crate::bar::Bar;
use crate::cli::{SendOptions, Wait};
use crate::config::Settings;
use crate::control::{self, SendRequest};
use crate::driver::StartError;
use crate::driver::api::{Attached, FrontInput, Handle, Patience};
use crate::follow::Follow;
use crate::front::json as lines;
use crate::keystore::{DataDir, DataDirError};
use crate::open::{Failure, open};
use crate::progress::{Progress, Wanted, exit};
use crate::storage::Store;

pub use report::complain;
use report::{put, say, say_error};

/// With `--name`, registering may take so long before the message is submitted anyway.
const REGISTER_PATIENCE: Duration = Duration::from_secs(5);
/// What was wanted is reached: leaving, with what else is queued, may take so long.
const LEAVE_PATIENCE: Duration = Duration::from_secs(7);
/// It was not reached in time: leaving may take so long.
const LEAVE_QUICKLY: Duration = Duration::from_millis(500);

/// An owner of the data directory that comes or goes is asked again after so long.
const RETRY_EVERY: Duration = Duration::from_millis(50);

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Text(String),
    /// The absolute path of a file.
    File(String),
}

/// It, and how it is sent.
struct Message {
    what: What,
    /// Idempotency key.
    key: Option<String>,
    /// How long the wanted state is waited for.
    timeout: Duration,
}

/// `peer send`.
///
/// # Errors
/// [`Failure`] when nothing could be tried.
pub async fn send(settings: &Settings, options: &SendOptions) -> Result<u8, Failure> {
    let what = match what(options) {
        Ok(what) => what,
        Err(refused) => {
            say_error(settings, &lines::error(&refused, Some("send")));
            return Ok(exit::USAGE);
        }
    };
    let bar = Bar::new(settings, options.file.as_deref());
    bar.begin();
    let progress = deliver(settings, options, what, &bar).await;
    bar.end();
    let progress = progress?;
    say(settings, &progress, options.file.as_deref());
    Ok(progress.exit_code())
}

/// Sends, alone or through the process that owns the data directory; owners that come or go are waited for.
async fn deliver(settings: &Settings, options: &SendOptions, what: What, bar: &Bar) -> Result<Progress, Failure> {
    let begun = Instant::now();
    // A message handed to an owner that leaves is handed on, and must not be sent twice.
    let key = options.id.clone().map_or_else(fresh_key, Ok)?;
    let mut message = Message { what, key: options.id.clone(), timeout: options.patience() };
    let mut known = None;
    loop {
        let path = match DataDir::open(&settings.data_dir) {
            Ok(data_dir) => return alone(settings, data_dir, options, message, bar).await,
            Err(DataDirError::InUse(path)) => path,
            Err(error) => return Err(error.into()),
        };
        message.key = Some(key.clone());
        message.timeout = options.patience().saturating_sub(begun.elapsed());
        let over = message.timeout.is_zero();
        match control::send(&path, request(options, &message), |value| bar.see(value)).await {
            Ok(handed) if over || !handed.broke_off => return Ok(handed.progress),
            Ok(handed) => known = Some(handed.progress).filter(Progress::is_answered).or(known),
            Err(error) if over || !error.is_passing() => return known.ok_or(Failure::NoAnswer { path, error }),
            Err(_) => {}
        }
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

/// An idempotency key that nobody else has.
fn fresh_key() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("handed-{:032x}", u128::from_be_bytes(bytes)))
}

/// `peer identity show`.
///
/// # Errors
/// [`Failure`] when the data directory cannot be opened and nobody who owns it answers.
pub async fn identity(settings: &Settings) -> Result<u8, Failure> {
    let (name, fingerprint) = match DataDir::open(&settings.data_dir) {
        Ok(data_dir) => {
            let me = data_dir.identity().public();
            let snapshot = Store::open(&data_dir.store_path(), me)?.load(&settings.directory.address)?;
            let binding = snapshot.meta.and_then(|meta| meta.binding);
            let bound = binding.zip(snapshot.directory).and_then(|(binding, known)| binding.verify(&known.key).ok());
            (bound.map(|bound| bound.name.to_string()), me.fingerprint().to_string())
        }
        Err(DataDirError::InUse(path)) => {
            let view = control::whoami(&path).await.map_err(|error| Failure::NoAnswer { path, error })?;
            let text = |key: &str| view[key].as_str().map(str::to_owned);
            (text("name"), text("fingerprint").unwrap_or_default())
        }
        Err(error) => return Err(error.into()),
    };
    if settings.json {
        let command = "identity";
        put(&lines::line(&json!({"event": "result", "command": command, "name": name, "fingerprint": fingerprint})));
    } else {
        put(&format!("{} {fingerprint}", name.as_deref().unwrap_or("(no name yet)")));
    }
    Ok(exit::DONE)
}

/// What the command line, or the input, gives to be sent.
fn what(options: &SendOptions) -> Result<What, CommandError> {
    let Some(path) = &options.file else { return text(&options.text, io::stdin().lock()).map(What::Text) };
    // Whoever reads it may have another working directory.
    let path = std::path::absolute(path).ok().and_then(|path| path.into_os_string().into_string().ok());
    let refused =
        || CommandError::new(ErrorCode::BadArgument, "the path of the file is not valid UTF-8; nothing was sent");
    path.map(What::File).ok_or_else(refused)
}

/// The text: the words, or the input with exactly one final newline cut off.
fn text(words: &[String], input: impl Read) -> Result<String, CommandError> {
    let too_large =
        || CommandError::new(ErrorCode::TooLarge, format!("a text has at most {TEXT_MAX_BYTES} bytes (16 KiB)"));
    let mut text = words.join(" ");
    if words.is_empty() {
        let mut bytes = Vec::new();
        let read = input.take(TEXT_MAX_BYTES as u64 + 2).read_to_end(&mut bytes);
        read.map_err(|error| CommandError::new(ErrorCode::BadArgument, format!("the input cannot be read: {error}")))?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if bytes.len() > TEXT_MAX_BYTES {
            return Err(too_large());
        }
        let broken = |_| CommandError::new(ErrorCode::BadArgument, "the input is not valid UTF-8; nothing was sent");
        text = String::from_utf8(bytes).map_err(broken)?;
    }
    match text.len() {
        0 => Err(CommandError::new(ErrorCode::BadArgument, "the message is empty; nothing was sent")),
        1..=TEXT_MAX_BYTES => Ok(text),
        _ => Err(too_large()),
    }
}

fn wanted(wait: Wait) -> Wanted {
    match wait {
        Wait::Queued => Wanted::Queued,
        Wait::Kept => Wanted::Kept,
        Wait::Delivered => Wanted::Delivered,
    }
}

fn to_text(options: &SendOptions) -> String {
    match &options.to {
        peer_core::command::To::Person { name, fingerprint: Some(fingerprint) } => format!("{name}#{fingerprint}"),
        to => to.to_string(),
    }
}

fn request(options: &SendOptions, message: &Message) -> SendRequest {
    let timeout_ms = u64::try_from(message.timeout.as_millis()).unwrap_or(u64::MAX);
    let (text, file) = match &message.what {
        What::Text(text) => (text.clone(), None),
        What::File(path) => (String::new(), Some(path.clone())),
    };
    let id = message.key.clone();
    let reply = options.reply.map(|which| match which {
        Which::Number(n) => n.to_string(),
        Which::Id(id) => id.to_string(),
    });
    let (to, urgent, wait) = (to_text(options), options.urgent, wanted(options.wait));
    SendRequest { to, text, file, id, urgent, reply, wait, timeout_ms }
}

/// Runs the whole peer for as long as this message takes. Others may hand theirs over meanwhile.
async fn alone(
    settings: &Settings,
    data_dir: DataDir,
    options: &SendOptions,
    message: Message,
    bar: &Bar,
) -> Result<Progress, Failure> {
    let (handle, side) = crate::driver::api::fronts();
    let attached = handle.attach(Patience::Wait);
    let parts = open(settings, &data_dir, false)?;
    let listener = control::listen(&data_dir);
    let (serves, stop) = oneshot::channel::<()>();
    let working = async {
        let running = crate::driver::run(parts, side);
        let sending = submit_and_follow(&handle, attached, settings, options, message, bar);
        let (mut running, mut sending) = (Box::pin(running), Box::pin(sending));
        let ended = tokio::select! {
            // The loop has left: what it said last is read to its end.
            exit = &mut running => (sending.await.0, Some(exit?)),
            (progress, gone) = &mut sending => {
                // Nobody else begins here; what has come is served as long as the loop runs.
                data_dir.remove_stale_socket()?;
                drop(serves);
                let patience = if gone || progress.is_reached() { LEAVE_PATIENCE } else { LEAVE_QUICKLY };
                let exit = leave(&handle, running, patience).await?;
                (progress, exit)
            }
        };
        Ok::<_, Failure>(ended)
    };
    let (progress, exit) = control::beside(working, control::serve(listener, handle.clone(), stop)).await?;
    data_dir.remove_stale_socket()?;
    outcome(progress, exit)
}

/// What is told of a message whose loop ended like this: what the message reached counts, whatever came after.
fn outcome(progress: Progress, exit: Option<Exit>) -> Result<Progress, Failure> {
    match exit {
        _ if progress.is_reached() => Ok(progress),
        Some(Exit::WrongDirectoryKey) if progress.is_stored() => Err(Failure::WrongDirectoryKeyQueued),
        Some(Exit::WrongDirectoryKey) => Err(Failure::WrongDirectoryKey),
        Some(Exit::StoreFailed(why)) if progress.is_stored() => {
            complain(&Failure::StoreFailed(why).to_string());
            Ok(progress)
        }
        Some(Exit::StoreFailed(why)) => Err(Failure::StoreFailed(why)),
        Some(Exit::Done) | None => Ok(progress),
    }
}

/// Lets the loop leave; none when that takes longer than `patience`: everything that was said is on disk, so breaking
/// off loses nothing.
async fn leave(
    handle: &Handle,
    running: impl Future<Output = Result<Exit, StartError>>,
    patience: Duration,
) -> Result<Option<Exit>, StartError> {
    let leaving = async {
        // A loop that has left needs no end.
        let _ = handle.submit(FrontInput::EndOfInput).await;
        std::future::pending::<()>().await;
    };
    let ended = async {
        tokio::select! {
            exit = running => exit.map(Some),
            () = leaving => Ok(None),
        }
    };
    tokio::time::timeout(patience, ended).await.unwrap_or(Ok(None))
}

/// How far the message came, and whether the loop left meanwhile.
async fn submit_and_follow(
    handle: &Handle,
    mut attached: Attached,
    settings: &Settings,
    options: &SendOptions,
    message: Message,
    bar: &Bar,
) -> (Progress, bool) {
    if settings.name.is_some() {
        // Without an answer of the directory the message is tried all the same: its error says what is wrong.
        let _ = tokio::time::timeout(REGISTER_PATIENCE, registered(&mut attached)).await;
    }
    let wanted = wanted(options.wait);
    let Message { what, key, timeout } = message;
    let (to, urgent, reply_to) = (options.to.clone(), options.urgent, options.reply);
    let command = match what {
        What::Text(text) => Command::Send { to, text, key, urgent, reply_to },
        What::File(path) => Command::File { to, path, key },
    };
    match Follow::message(handle, attached, command, wanted, timeout).await {
        Ok(mut follow) => {
            while let Some(value) = follow.next().await {
                bar.see(&value);
            }
            if let (true, Some(aside)) = (follow.is_gone(), follow.aside()) {
                say_error(settings, &lines::error(aside, None));
            }
            (follow.progress().clone(), follow.is_gone())
        }
        Err(_) => (Progress::new(wanted), true),
    }
}

/// Waits until a name is bound, or it is clear that none will be.
async fn registered(attached: &mut Attached) {
    while let Some(event) = attached.events.recv().await {
        match event {
            Event::Ready { name: Some(_), .. } | Event::Online(_) => return,
            Event::Error(error) => return complain(&error.to_string()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_input(input: &[u8]) -> Result<String, ErrorCode> {
        text(&[], input).map_err(|error| error.code)
    }

    #[test]
    fn the_input_loses_exactly_one_final_newline() {
        assert_eq!(of_input(b"a\n"), Ok("a".to_owned()));
        assert_eq!(of_input(b"a\n\n"), Ok("a\n".to_owned()));
        assert_eq!(of_input(b"a"), Ok("a".to_owned()));
    }

    #[test]
    fn an_empty_a_broken_and_a_too_large_text_are_refused() {
        assert_eq!(of_input(b"\n"), Err(ErrorCode::BadArgument));
        assert_eq!(of_input(b"\xff"), Err(ErrorCode::BadArgument));
        let most = "y".repeat(TEXT_MAX_BYTES);
        assert_eq!(of_input(format!("{most}\n").as_bytes()), Ok(most.clone()));
        assert_eq!(of_input(format!("{most}y").as_bytes()), Err(ErrorCode::TooLarge));
        assert_eq!(text(&[most, "x".to_owned()], io::empty()).unwrap_err().code, ErrorCode::TooLarge);
        assert_eq!(text(&["a".to_owned(), "b".to_owned()], io::empty()), Ok("a b".to_owned()));
    }

    #[test]
    fn what_was_reached_counts_however_the_loop_ended() {
        let after = |state: Option<&str>| {
            let mut progress = Progress::new(Wanted::Kept);
            progress.take(&json!({"event": "result", "command": "send", "n": 1}));
            state.map(|state| progress.take(&json!({"event": "state", "n": 1, "state": state})));
            progress
        };
        let failed = || Some(Exit::StoreFailed("the disk".to_owned()));
        let code = |ended: Result<Progress, Failure>| {
            ended.map_or_else(|failure| failure.exit_code(), |progress| progress.exit_code())
        };
        assert_eq!(code(outcome(after(Some("kept")), Some(Exit::WrongDirectoryKey))), exit::DONE);
        assert_eq!(code(outcome(after(Some("delivered")), failed())), exit::DONE);
        assert_eq!(code(outcome(after(Some("queued")), failed())), exit::WAITS);
        assert_eq!(code(outcome(Progress::new(Wanted::Kept), failed())), exit::FAILED);
        let queued = outcome(after(None), Some(Exit::WrongDirectoryKey)).unwrap_err();
        assert!(queued.to_string().contains("queued here"), "{queued}");
        assert_eq!(queued.exit_code(), exit::WRONG_KEY);
    }
}
