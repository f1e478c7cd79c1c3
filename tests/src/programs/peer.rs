//! A peer under the harness: how it is started, and everything a test asks of a running one. Its commands and
//! events are those of the documented interface; this file adds no meaning of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::events::log_of;
use super::log::{Line, Log};
use super::one_shot::confine;
use super::process::Process;
use super::{PATIENCE, starting};

/// What a peer is started with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The world's folder.
    pub root: PathBuf,
    /// The name it registers, and the name of its data directory.
    pub name: String,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Its UDP address; port 0 picks one.
    pub bind: SocketAddr,
    /// Its directory server, as the option takes it.
    pub directory: String,
    /// The address it publishes instead of its own.
    pub advertise: Option<SocketAddr>,
    /// Its event log; beside its data directory unless said otherwise.
    pub event_log: Option<PathBuf>,
    /// Whether it speaks JSON; otherwise plain lines.
    pub json: bool,
    /// More arguments.
    pub arguments: Vec<String>,
    /// The network namespace it runs in; none: that of the tests.
    pub inside: Option<String>,
    /// Files it may open; none: as many as the test.
    pub open_files: Option<u32>,
}

impl Setup {
    /// The usual: JSON, any port, data in `root/name`.
    #[must_use]
    pub fn new(root: &Path, name: &str, ip: Ipv4Addr, directory: SocketAddr) -> Self {
        Self {
            root: root.to_path_buf(),
            name: name.to_string(),
            data_dir: root.join(name),
            bind: (ip, 0).into(),
            directory: directory.to_string(),
            advertise: None,
            event_log: None,
            json: true,
            arguments: Vec::new(),
            inside: None,
            open_files: None,
        }
    }

    /// Publishes `address` instead of its own.
    #[must_use]
    pub fn advertising(mut self, address: SocketAddr) -> Self {
        self.advertise = Some(address);
        self
    }

    /// Talks to the directory at `address`.
    #[must_use]
    pub fn at_directory(mut self, address: SocketAddr) -> Self {
        self.directory = address.to_string();
        self
    }

    /// Binds this UDP address.
    #[must_use]
    pub fn bound_to(mut self, address: SocketAddr) -> Self {
        self.bind = address;
        self
    }

    /// Is started with one more argument.
    #[must_use]
    pub fn with(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_string());
        self
    }

    /// Keeps its data there.
    #[must_use]
    pub fn in_dir(mut self, data_dir: PathBuf) -> Self {
        self.data_dir = data_dir;
        self
    }

    /// Runs inside a network namespace.
    #[must_use]
    pub fn inside(mut self, namespace: &str) -> Self {
        self.inside = Some(namespace.to_string());
        self
    }

    /// Prints plain lines instead of JSON.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.json = false;
        self
    }

    /// The command that starts it, `words` after the options.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = starting("peer", self.inside.as_deref(), self.open_files);
        confine(&mut command, &self.root);
        command.arg("--bind").arg(self.bind.to_string()).arg("--directory").arg(&self.directory);
        command.arg("--data-dir").arg(&self.data_dir);
        command.arg("--event-log").arg(self.event_log.clone().unwrap_or_else(|| log_of(&self.data_dir)));
        if let Some(address) = self.advertise {
            command.arg("--advertise").arg(address.to_string());
        }
        if self.json {
            command.arg("--json");
        }
        command.args(&self.arguments).args(words);
        command
    }

    /// Runs `peer [OPTIONS] words` to its end.
    #[must_use]
    pub fn run(&self, words: &[&str], input: &[u8]) -> super::Outcome {
        super::one_shot::finish(self.command(words), input, PATIENCE)
    }

    /// Starts it and waits for `ready` (JSON only).
    #[must_use]
    pub fn start(self) -> Peer {
        let mut peer = Peer { setup: self, log: Arc::new(Log::default()), process: None, asked: AtomicUsize::new(0) };
        peer.restart();
        peer
    }

    /// Starts it, registers its name, and waits until it is online.
    #[must_use]
    pub fn registered(self) -> Peer {
        let peer = self.start();
        peer.ok(&format!("!register {}", peer.setup.name));
        peer
    }
}

/// A message as a `send` was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its identity everywhere.
    pub id: String,
    /// Its number in the sender's data directory.
    pub n: u64,
}

/// A peer: running, or between two runs.
pub struct Peer {
    /// What it is started with the next time.
    pub setup: Setup,
    log: Arc<Log>,
    process: Option<Process>,
    asked: AtomicUsize,
}

impl Peer {
    /// Starts it again with its setup, on the port it had before, and waits for `ready`.
    ///
    /// # Panics
    /// When it runs already or does not say `ready`.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.setup.name);
        self.asked.store(0, Ordering::Relaxed);
        self.process = Some(Process::start(self.setup.command(&[]), &self.log));
        if self.setup.json {
            let ready = self.expect("ready", "to be ready", |_| true);
            self.setup.bind = ready["bind"].as_str().expect("bind").parse().expect("an address in bind");
        }
    }

    /// Starts it again and waits until it has logged in by itself.
    pub fn restart_online(&mut self) {
        self.restart();
        self.expect("online", "to log in by itself", |_| true);
    }

    /// What it printed.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Its UDP address, as `ready` said.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.setup.bind
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process().id()
    }

    fn process(&self) -> &Process {
        self.process.as_ref().unwrap_or_else(|| panic!("{} does not run", self.setup.name))
    }

    /// Whether it still runs.
    #[must_use]
    pub fn runs(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::runs)
    }

    fn fail(&self, what: &str) -> ! {
        panic!("{}: {what}\n{}", self.setup.name, self.log.tail(40))
    }

    /// Writes lines that together are one command, and returns its place among the answers of this run.
    pub fn command(&self, lines: &[&str]) -> usize {
        let text: String = lines.iter().flat_map(|line| [*line, "\n"]).collect();
        if let Err(error) = self.process().write(text.as_bytes()) {
            self.fail(&format!("cannot write {lines:?}: {error}"));
        }
        self.asked.fetch_add(1, Ordering::Relaxed)
    }

    /// The answer to the command at `place`: a `result`, or an `error` that answers a line.
    #[must_use]
    pub fn answer(&self, place: usize) -> Value {
        let mut seen = 0;
        let found = self.log.wait(self.log.run_begins_at(), PATIENCE, |line| {
            if !is_answer(line) {
                return None;
            }
            seen += 1;
            (seen == place + 1).then(|| line.json.clone())
        });
        found.unwrap_or_else(|missed| self.fail(&format!("no answer number {} ({missed:?})", place + 1)))
    }

    /// One command line and its answer.
    #[must_use]
    pub fn ask(&self, line: &str) -> Value {
        let place = self.command(&[line]);
        self.answer(place)
    }

    /// One command line that must succeed.
    pub fn ok(&self, line: &str) -> Value {
        let answer = self.ask(line);
        if answer["event"] != "result" {
            self.fail(&format!("{line:?} was refused: {answer}"));
        }
        answer
    }

    /// One command line that must be refused: the error's code.
    #[must_use]
    pub fn refused(&self, line: &str) -> String {
        let answer = self.ask(line);
        if answer["event"] != "error" {
            self.fail(&format!("{line:?} was not refused: {answer}"));
        }
        let first = line.split_whitespace().next().unwrap_or("");
        assert_eq!(answer["command"], first, "an error names the line it answers: {answer}");
        assert!(answer["message"].as_str().is_some_and(|text| !text.is_empty()), "an error has words: {answer}");
        text(&answer, "code")
    }

    /// `!send to words`, which must be queued.
    pub fn send(&self, to: &str, words: &str) -> Sent {
        let answer = self.ok(&format!("!send {to} {words}"));
        self.sent(&answer)
    }

    /// `!send to` with text of several lines; the text must not hold a line `.`.
    pub fn send_lines(&self, to: &str, words: &str) -> Sent {
        let place = self.command(&[&format!("!send {to}"), words, "."]);
        let answer = self.answer(place);
        self.sent(&answer)
    }

    fn sent(&self, answer: &Value) -> Sent {
        match (answer["id"].as_str(), answer["n"].as_u64()) {
            (Some(id), Some(n)) if answer["event"] == "result" => Sent { id: id.to_string(), n },
            _ => self.fail(&format!("a sent message has id and n: {answer}")),
        }
    }

    /// Writes `count` sends at once, texts `0`, `1`, ... after `prefix`, and returns what they were answered with.
    pub fn send_many(&self, to: &str, prefix: &str, numbers: std::ops::Range<usize>) -> Vec<Sent> {
        let places: Vec<usize> =
            numbers.map(|number| self.command(&[&format!("!send {to} {prefix}{number}")])).collect();
        let Some((first, last)) = places.first().zip(places.last()) else { return Vec::new() };
        let mut seen = 0;
        let mut answers = Vec::new();
        let found = self.log.wait(self.log.run_begins_at(), PATIENCE * 2, |line| {
            if is_answer(line) {
                if seen >= *first {
                    answers.push(line.json.clone());
                }
                seen += 1;
            }
            (seen == last + 1).then_some(())
        });
        if let Err(missed) = found {
            self.fail(&format!("{} of {} sends were answered ({missed:?})", answers.len(), places.len()));
        }
        answers.iter().map(|answer| self.sent(answer)).collect()
    }

    /// Waits for an event of this run that `wanted` accepts; it may have come already.
    pub fn expect(&self, event: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.expect_line(self.log.run_begins_at(), PATIENCE, event, what, wanted).json
    }

    /// Waits for an event after the first `from` lines, at most `patience`.
    pub fn expect_line(
        &self,
        from: usize,
        patience: Duration,
        event: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Line {
        let found =
            self.log.wait(from, patience, |line| (line.event() == event && wanted(&line.json)).then(|| line.clone()));
        found.unwrap_or_else(|missed| self.fail(&format!("waited {patience:?} for {event} {what} ({missed:?})")))
    }

    /// A place in the output: what comes later is after it.
    #[must_use]
    pub fn mark(&self) -> usize {
        self.log.len()
    }

    /// Waits until the message `id` is in `state`, in this run.
    pub fn wait_state(&self, id: &str, state: &str) -> Value {
        self.expect("state", &format!("{state} of {id}"), |value| value["id"] == id && value["state"] == state)
    }

    /// Waits until each of `sent` was reported in `state`, in any run.
    pub fn wait_states(&self, sent: &[Sent], state: &str, patience: Duration) {
        let mut open: std::collections::HashSet<&str> = sent.iter().map(|sent| sent.id.as_str()).collect();
        let found = self.log.wait(0, patience, |line| {
            if line.event() == "state" && line.json["state"] == state {
                open.remove(line.json["id"].as_str().unwrap_or(""));
            }
            open.is_empty().then_some(())
        });
        if let Err(missed) = found {
            self.fail(&format!("{} of {} messages never came to {state} ({missed:?})", open.len(), sent.len()));
        }
    }

    /// The states that were reported of `id`, in all runs, in order.
    #[must_use]
    pub fn states_of(&self, id: &str) -> Vec<String> {
        let lines = self.log.lines(0, |line| line.event() == "state" && line.json["id"] == id);
        lines.iter().map(|line| text(&line.json, "state")).collect()
    }

    /// The `message` events from `from`, in all runs, in order of output.
    #[must_use]
    pub fn messages_from(&self, from: &str) -> Vec<Line> {
        self.log.lines(0, |line| line.event() == "message" && line.json["from"] == from)
    }

    /// Waits until `count` different messages from `from` have been output, in all runs together.
    pub fn wait_messages(&self, from: &str, count: usize, patience: Duration) {
        let mut ids = std::collections::HashSet::new();
        let found = self.log.wait(0, patience, |line| {
            if line.event() == "message" && line.json["from"] == from {
                ids.insert(text(&line.json, "id"));
            }
            (ids.len() >= count).then_some(())
        });
        if let Err(missed) = found {
            self.fail(&format!("{} of {count} messages from {from} came ({missed:?})", ids.len()));
        }
    }

    /// Waits for the message with `words` from `from`, in this run.
    pub fn wait_message(&self, from: &str, words: &str) -> Value {
        self.expect("message", &format!("{words:?} from {from}"), |value| {
            value["from"] == from && value["text"] == words
        })
    }

    /// The whole conversation with `name` as `!history` shows it.
    #[must_use]
    pub fn history(&self, name: &str) -> Vec<Value> {
        let answer = self.ok(&format!("!history {name} 10000"));
        answer["messages"].as_array().unwrap_or_else(|| self.fail("!history answers with messages")).clone()
    }

    /// Kills it with SIGKILL.
    pub fn kill_9(&mut self) {
        self.process.take().expect("a running peer").kill_9();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process().signal(signal);
    }

    /// Suspends it with SIGSTOP.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    /// `!quit`, and waits for exit code 0.
    pub fn quit(&mut self) {
        self.command(&["!quit"]);
        assert_eq!(self.wait_exit(), Some(0), "!quit ends with code 0\n{}", self.log.tail(20));
    }

    /// Ends its input and waits for its exit code.
    #[must_use]
    pub fn end_input(&mut self) -> Option<i32> {
        self.process().end_input();
        self.wait_exit()
    }

    /// Waits for its end: the exit code.
    ///
    /// # Panics
    /// When it does not end within a minute.
    #[must_use]
    pub fn wait_exit(&mut self) -> Option<i32> {
        let mut process = self.process.take().expect("a running peer");
        match process.wait(PATIENCE) {
            Some(status) => status.code(),
            None => self.fail("does not end"),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} at {}:\n{}", self.setup.name, self.setup.bind, self.log.tail(25));
            self.log.keep(&self.setup.name);
        }
    }
}

/// Whether a line answers a command line.
#[must_use]
pub fn is_answer(line: &Line) -> bool {
    match line.event() {
        "result" => true,
        "error" => !line.json["command"].is_null(),
        _ => false,
    }
}

/// A string value, empty where there is none.
#[must_use]
pub fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or("").to_string()
}
