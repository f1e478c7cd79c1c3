//! What happens besides when a message is put out: a program of the user's that gets it on its standard input, and a desktop
//! notification. Both on a thread of their own, and neither holds a message up: what they cannot keep up with is passed over
//! and counted. At the end they are waited for, not for ever.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use peer_core::event::{Event, MessageView};

use super::safe_text::SafeText;
use super::{json, words};

/// Messages that wait for the user's program; more are passed over.
const WAITING_MAX: usize = 1_000;
/// The program gets so long for one message.
const PATIENCE: Duration = Duration::from_secs(30);
/// At the end, what is still to be done is waited for so long.
pub const LAST_JOBS: Duration = Duration::from_secs(5);
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
    thread: Option<JoinHandle<()>>,
    /// Jobs that were taken and are not done.
    undone: Arc<AtomicU64>,
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
        let undone = Arc::new(AtomicU64::new(0));
        let left = undone.clone();
        let thread =
            std::thread::Builder::new().name("hooks".to_owned()).spawn(move || work(&wanted, &waiting, &left))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), undone, passed_over: 0 })
    }

    /// A message of somebody else is put out.
    pub fn message(&mut self, view: &MessageView) {
        if self.jobs.is_none() {
            return;
        }
        let line = json::events(&Event::Message(Box::new(view.clone()))).first().map(json::line).unwrap_or_default();
        let group = if view.conversation.starts_with('@') { format!(" {}", view.conversation) } else { String::new() };
        let text = match &view.file {
            Some(offered) => format!("offers a file: {}, {}", offered.name, words::size(offered.size)),
            None => view.text.clone().unwrap_or_default(),
        };
        self.put(Job { line, title: format!("{}{group}", view.from), text });
    }

    /// The program leaves: what was taken is still done, as far as it goes in `patience`. How many messages were not.
    pub fn finish(mut self, patience: Duration) -> u64 {
        // The thread ends when there is nothing left and nobody can give it more.
        drop(self.jobs.take());
        let Some(thread) = self.thread.take() else { return 0 };
        let by = Instant::now() + patience;
        while !thread.is_finished() && Instant::now() < by {
            std::thread::sleep(POLL);
        }
        let left = self.undone.load(Ordering::Relaxed);
        if left > 0 {
            tracing::warn!(count = left, "--on-message was not done in time: messages were passed over");
        }
        left
    }

    fn put(&mut self, job: Job) {
        let Some(jobs) = &self.jobs else { return };
        // Before it is given away: it may be done at once.
        self.undone.fetch_add(1, Ordering::Relaxed);
        match jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.undone.fetch_sub(1, Ordering::Relaxed);
                self.passed_over += 1;
                tracing::warn!(count = self.passed_over, "--on-message cannot keep up: messages were passed over");
            }
        }
    }
}

fn work(wanted: &Wanted, waiting: &Receiver<Job>, undone: &AtomicU64) {
    while let Ok(job) = waiting.recv() {
        if wanted.notify {
            notify(&SafeText::line(&job.title), &SafeText::line(&shortened(&job.text)));
        }
        if let Some((program, arguments)) = wanted.program.split_first()
            && let Err(error) = run(program, arguments, &job.line)
        {
            tracing::warn!(%program, %error, "--on-message");
        }
        undone.fetch_sub(1, Ordering::Relaxed);
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

    fn hooks(script: &str, jobs: usize) -> Hooks {
        let program = ["sh", "-c", script].map(str::to_owned).into();
        let mut hooks = Hooks::start(Wanted { program, notify: false }).unwrap();
        for n in 0..jobs {
            hooks.put(Job { line: format!("{{\"n\":{n}}}"), title: String::new(), text: String::new() });
        }
        hooks
    }

    #[test]
    fn at_the_end_the_program_still_gets_what_was_taken_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let slow = hooks(&format!("sleep 0.1; cat >> {}", out.display()), 3);
        assert_eq!(slow.finish(LAST_JOBS), 0);
        assert_eq!(std::fs::read_to_string(out).unwrap(), "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
        assert_eq!(Hooks::default().finish(LAST_JOBS), 0);
    }

    #[test]
    fn a_program_that_does_not_end_is_not_waited_for_and_what_it_leaves_is_counted() {
        let (stuck, start) = (hooks("sleep 3", 2), Instant::now());
        assert_eq!(stuck.finish(Duration::from_millis(100)), 2);
        assert!(start.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn a_long_text_is_cut_in_a_notification() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"é".repeat(300)).chars().count(), NOTICE_MAX_CHARS + 4);
    }
}
