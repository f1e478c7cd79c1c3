//! Reading: lines of a pipe, or the prompt on a terminal. Feeds them to the grammar and hands commands to the loop.
//! It writes nothing but the prompt.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use peer_core::command::verb::{self, Known, Verb};
use peer_core::command::{Command, Fed};
use peer_core::event::{CommandId, Source};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Context, Editor, ExternalPrinter, Helper, Highlighter, Hinter, Validator};

use super::desk::Desk;
use super::safe_text::SafeText;
use crate::driver::api::{FrontInput, Gone, Handle};

/// Bytes of a line that are read; a longer one is cut there, where it is too long for every command.
const LINE_MAX_BYTES: usize = 64 * 1024;
/// The prompt comes back when the answer is there, or after so long.
const ANSWER_PATIENCE: Duration = Duration::from_millis(250);

/// Entries of a folder that are proposed.
const ENTRIES_MAX: usize = 1_000;

/// Prints above the line that is being typed.
pub(super) type Printer = Box<dyn ExternalPrinter + Send>;

/// The reading half of a front end, on a thread of its own.
pub(super) struct Reader {
    pub(super) desk: Arc<Desk>,
    pub(super) handle: Handle,
    pub(super) source: Source,
    pub(super) number: u64,
}

/// Whether there is more to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Go {
    On,
    Away,
}

impl Reader {
    /// Reads a pipe to its end.
    pub(super) fn pipe(mut self, mut input: impl BufRead) {
        let mut line = Vec::new();
        // An unreadable input has ended.
        while read_line(&mut input, &mut line).unwrap_or(false) {
            if self.take(&line) != Ok(Go::On) {
                return;
            }
        }
        self.end();
    }

    /// Reads a terminal until Ctrl-D or two Ctrl-C; hands out the printer first.
    pub(super) fn prompt(mut self, history: &Path, printers: &SyncSender<Option<Printer>>) {
        let Some(mut editor) = editor(&self.desk, history) else {
            // The receiver is gone only when the program leaves.
            let _ = printers.send(None);
            return self.pipe(io::stdin().lock());
        };
        let printer = editor.create_external_printer().ok().map(|printer| Box::new(printer) as Printer);
        let _ = printers.send(printer);
        self.edit(&mut editor, history);
    }

    fn edit(&mut self, editor: &mut Editor<Completion, FileHistory>, history: &Path) {
        let mut interrupted = false;
        loop {
            match editor.readline(&self.desk.prompt()) {
                Ok(line) => {
                    interrupted = false;
                    // A history that cannot be written is no reason to stop talking.
                    let _ = editor.append_history(history);
                    if self.take(line.as_bytes()) != Ok(Go::On) {
                        return;
                    }
                    self.desk.wait_answered(ANSWER_PATIENCE);
                }
                Err(ReadlineError::Interrupted) if !interrupted => {
                    interrupted = true;
                    self.desk.console().abandon();
                }
                Err(_) => return self.end(),
            }
        }
    }

    fn take(&mut self, line: &[u8]) -> Result<Go, Gone> {
        let fed = self.desk.feed(line);
        self.hand_over(fed)
    }

    fn end(&mut self) {
        let unfinished = self.desk.console().end();
        // A loop that has left needs no end.
        let _ = unfinished.map(|fed| self.hand_over(fed));
        let _ = self.handle.submit_blocking(FrontInput::EndOfInput);
    }

    fn hand_over(&mut self, fed: Fed) -> Result<Go, Gone> {
        let Fed::Command { word, command } = fed else { return Ok(Go::On) };
        let go = if command == Ok(Command::Quit) { Go::Away } else { Go::On };
        self.number += 1;
        self.desk.ask(self.number, word, &command);
        let id = CommandId { source: self.source, number: self.number };
        self.handle.submit_blocking(FrontInput::Command { id, command })?;
        Ok(go)
    }
}

/// Reads one line without its end; false at the end of the input.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let chunk = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            chunk => chunk?,
        };
        if chunk.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let text = &chunk[..end.unwrap_or(chunk.len())];
        let room = LINE_MAX_BYTES.saturating_sub(line.len());
        line.extend_from_slice(&text[..text.len().min(room)]);
        let used = end.map_or(chunk.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

fn editor(desk: &Arc<Desk>, history: &Path) -> Option<Editor<Completion, FileHistory>> {
    let config = Config::builder().auto_add_history(true).completion_type(CompletionType::List).build();
    let mut editor = Editor::with_config(config).ok()?;
    editor.set_helper(Some(Completion(desk.clone())));
    // The first start has no history yet.
    let _ = editor.load_history(history);
    Some(editor)
}

/// The history of the prompt in a data directory.
#[must_use]
pub fn history_in(data_dir: &Path) -> PathBuf {
    data_dir.join("prompt_history")
}

#[derive(Helper, Highlighter, Hinter, Validator)]
struct Completion(Arc<Desk>);

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, found) = complete(&self.0, line.get(..at).unwrap_or(line));
        // Behind a folder its name goes on.
        let ended = |word: &str| if word.ends_with('/') { word.to_owned() } else { format!("{word} ") };
        let pair = |word: String| Pair { replacement: ended(&word), display: word };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

/// Where the word at the end of `line` begins, and what it may become.
fn complete(desk: &Desk, line: &str) -> (usize, Vec<String>) {
    if let Some(path) = path_in(line) {
        let start = path.rfind('/').map_or(0, |place| place + 1);
        return (line.len() - path.len() + start, entries(&path[..start], &path[start..]));
    }
    let start = line.rfind(char::is_whitespace).map_or(0, |place| place + 1);
    let word = &line[start..];
    let Some(beginning) = word.strip_prefix(['!', '/']).filter(|_| line[..start].trim().is_empty()) else {
        return (start, desk.names(word));
    };
    let beginning = beginning.to_lowercase();
    let words =
        Verb::ALL.into_iter().flat_map(|verb| std::iter::once(verb.name()).chain(verb.aliases().iter().copied()));
    let fitting = words.filter(|known| known.starts_with(&beginning));
    (start, fitting.map(|known| format!("{}{known}", &word[..1])).collect())
}

/// The path that a line ends with, where its command takes one.
fn path_in(line: &str) -> Option<&str> {
    let (word, rest) = line.trim_start().split_once(char::is_whitespace)?;
    let Known::Verb(Verb::File | Verb::Accept) = verb::look_up(word.strip_prefix(['!', '/'])?) else { return None };
    let (_, path) = rest.trim_start().split_once(char::is_whitespace)?;
    Some(path.trim_start())
}

/// What lies in a folder and begins like this; folders end with a slash. A name that cannot be shown as it is, is left out.
fn entries(folder: &str, beginning: &str) -> Vec<String> {
    let here = if folder.is_empty() { "." } else { folder };
    // A folder that cannot be read completes to nothing.
    let Ok(found) = std::fs::read_dir(here) else { return Vec::new() };
    let fitting = found.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let hidden = name.starts_with('.') && !beginning.starts_with('.');
        let fits = name.starts_with(beginning) && !hidden && SafeText::line(&name).as_str() == name;
        let slash = if entry.path().is_dir() { "/" } else { "" };
        fits.then(|| format!("{name}{slash}"))
    });
    let mut names: Vec<String> = fitting.take(ENTRIES_MAX).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_to_the_end_and_an_endless_one_is_cut() {
        let long = "x".repeat(LINE_MAX_BYTES + 10);
        let text = format!("one\n\n{long}\nlast");
        let (mut input, mut line, mut lines) =
            (io::BufReader::with_capacity(7, text.as_bytes()), Vec::new(), Vec::new());
        while read_line(&mut input, &mut line).unwrap() {
            lines.push(line.len());
        }
        assert_eq!(lines, [3, 0, LINE_MAX_BYTES, 4]);
    }

    #[test]
    fn commands_complete_at_the_beginning_and_names_behind_it() {
        let desk = Desk::default();
        let from = |name: &str| {
            let (name, standing) = (name.parse().unwrap(), common::wire::directory::Standing::Online);
            peer_core::event::Event::Presence(vec![peer_core::event::PresenceView { name, standing, note: None }])
        };
        desk.learn(&from("Bobby"));
        desk.learn(&from("carol"));
        assert_eq!(complete(&desk, "!sen"), (0, vec!["!send".to_owned(), "!sendfile".to_owned()]));
        assert_eq!(complete(&desk, "/whoi"), (0, vec!["/whoisonline".to_owned()]));
        assert_eq!(complete(&desk, "!send bo"), (6, vec!["Bobby".to_owned()]));
    }

    #[test]
    fn paths_complete_where_a_command_takes_one() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["my report.pdf", "mine.txt", ".hidden", "m\u{1b}[2J"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("more")).unwrap();
        let (desk, at) = (Desk::default(), folder.path().display());
        let found = |line: &str| complete(&desk, line).1;
        assert_eq!(found(&format!("!file bob {at}/m")), ["mine.txt", "more/", "my report.pdf"]);
        assert_eq!(found(&format!("/S bob {at}/my rep")), ["my report.pdf"]);
        assert_eq!(found(&format!("!accept 3 {at}/.")), [".hidden"]);
        let line = format!("!file bob {at}/my rep");
        assert_eq!(complete(&desk, &line).0, line.len() - "my rep".len());
        assert!(found(&format!("!send bob {at}/m")).is_empty() && found("!file bob /no/such/folder/").is_empty());
        assert_eq!(complete(&desk, "!file"), (0, vec!["!file".to_owned(), "!files".to_owned()]));
    }
}
