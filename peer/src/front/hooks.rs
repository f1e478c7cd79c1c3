//! What happens besides when a message is put out: a program of the user's that gets it on its standard input, and a desktop
//! notification. Both on a thread of their own, and neither holds a message up: what they cannot keep up with is passed over
//! and counted.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use peer_core::event::{Event, MessageView};

use super::json;
use super::safe_text::SafeText;

/// Messages that wait for the user's program; more are passed over.
const WAITING_MAX: usize = 1_000;
/// The program gets so long for one message.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked after.
const POLL: Duration = Duration::from_millis(20);
/// Characters of a text in a notification.
const NOTICE_MAX_CHARS: usize = 200;

/// What the user wants to happen.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// A program and its arguments; empty: none.
    pub program: Vec<String>,
    /// Desktop notifications.
    pub notify: bool,
}

/// The running thread, if anything is wanted.
#[derive(Debug, Default)]
pub struct Hooks {
    jobs: Option<SyncSender<Job>>,
    passed_over: u64,
}

#[derive(Debug)]
struct Job {
    line: String,
    title: String,
    text: String,
}

impl Hooks {
    /// Starts what is wanted.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(wanted: Wanted) -> io::Result<Self> {
        if wanted.program.is_empty() && !wanted.notify {
            return Ok(Self::default());
        }
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        std::thread::Builder::new().name("hooks".to_owned()).spawn(move || work(&wanted, &waiting))?;
        Ok(Self { jobs: Some(jobs), passed_over: 0 })
    }

    /// A message of somebody else is put out.
    pub fn message(&mut self, view: &MessageView) {
        let Some(jobs) = &self.jobs else { return };
        let line = json::events(&Event::Message(Box::new(view.clone()))).first().map(json::line).unwrap_or_default();
        let group = if view.conversation.starts_with('@') { format!(" {}", view.conversation) } else { String::new() };
        let text = view.text.clone().unwrap_or_default();
        let job = Job { line, title: format!("{}{group}", view.from), text };
        match jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.passed_over += 1;
                tracing::warn!(count = self.passed_over, "--on-message cannot keep up: messages were passed over");
            }
        }
    }
}

fn work(wanted: &Wanted, waiting: &Receiver<Job>) {
    while let Ok(job) = waiting.recv() {
        if wanted.notify {
            notify(&SafeText::line(&job.title), &SafeText::line(&shortened(&job.text)));
        }
        if let Some((program, arguments)) = wanted.program.split_first()
            && let Err(error) = run(program, arguments, &job.line)
        {
            tracing::warn!(%program, %error, "--on-message");
        }
    }
}

/// Runs the program with the message as one JSON line on its standard input. No shell; no argument is anybody else's word.
fn run(program: &str, arguments: &[String], line: &str) -> io::Result<()> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        let line = format!("{line}\n");
        // A program that reads nothing must not hold the others up.
        std::thread::spawn(move || {
            // One that does not want its input is free not to read it.
            let _ = input.write_all(line.as_bytes());
        });
    }
    wait(&mut child)
}

fn wait(child: &mut Child) -> io::Result<()> {
    let by = Instant::now() + PATIENCE;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(io::Error::other(format!("it ended with {status}"))),
            None if Instant::now() >= by => {
                child.kill()?;
                child.wait()?;
                return Err(io::Error::other("it took longer than 30 s and was ended"));
            }
            None => std::thread::sleep(POLL),
        }
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(NOTICE_MAX_CHARS).collect();
    if short.len() < text.len() {
        short.push_str(" ...");
    }
    short
}

/// Shows a notification. A desktop that cannot is no reason to stop.
#[cfg(feature = "notifications")]
fn notify(title: &SafeText, text: &SafeText) {
    // Servers that understand markup would carry it out.
    let plain = |text: &SafeText| text.as_str().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let shown = notify_rust::Notification::new().appname("Homing").summary(title.as_str()).body(&plain(text)).show();
    if let Err(error) = shown {
        tracing::debug!(%error, "no notification");
    }
}

#[cfg(not(feature = "notifications"))]
fn notify(_: &SafeText, _: &SafeText) {}

/// Whether this build can show notifications.
pub const CAN_NOTIFY: bool = cfg!(feature = "notifications");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_gets_the_line_on_its_standard_input_and_no_argument_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let script = format!("cat > {}; echo \"$#\" >> {}", out.display(), out.display());
        let line = "{\"text\":\"$(touch /nowhere); `x`\"}";
        run("sh", &["-c".to_owned(), script], line).unwrap();
        assert_eq!(std::fs::read_to_string(out).unwrap(), format!("{line}\n0\n"));
    }

    #[test]
    fn a_program_that_fails_or_is_not_there_is_an_error() {
        assert!(run("false", &[], "{}").is_err());
        assert!(run("/no/such/program", &[], "{}").is_err());
        assert!(run("true", &[], &"x".repeat(1_000_000)).is_ok(), "one that reads nothing");
    }

    #[test]
    fn a_long_text_is_cut_in_a_notification() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"é".repeat(300)).chars().count(), NOTICE_MAX_CHARS + 4);
    }
}
