//! Lines in order to commands: remembers the open conversation and an unfinished multi-line message, nothing else.
//! Reads no input and shows nothing.

use common::limits::TEXT_MAX_BYTES;

use super::parse::{self, Parsed};
use super::{Command, CommandError, ErrorCode, To};

/// What one line came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fed {
    /// A command, or what is wrong with it.
    Command {
        /// The first word of the line that is answered, as typed, its prefix included.
        word: String,
        /// The command.
        command: Result<Command, CommandError>,
    },
    /// A line of a multi-line message that goes on.
    More,
    /// An empty line: nothing to answer.
    Nothing,
}

/// A multi-line message on its way.
#[derive(Debug, Clone)]
struct Draft {
    word: String,
    to: Result<To, CommandError>,
    lines: u64,
    text: String,
}

/// The grammar of the prompt with its two states.
#[derive(Debug, Clone, Default)]
pub struct Console {
    chat: Option<To>,
    draft: Option<Draft>,
}

impl Console {
    /// No conversation open.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The open conversation.
    #[must_use]
    pub fn chat(&self) -> Option<&To> {
        self.chat.as_ref()
    }

    /// Whether the next line is text of a multi-line message.
    #[must_use]
    pub fn in_draft(&self) -> bool {
        self.draft.is_some()
    }

    /// The conversation could not be opened: lines without prefix are no messages any more.
    pub fn chat_refused(&mut self, to: &To) {
        if self.chat.as_ref() == Some(to) {
            self.chat = None;
        }
    }

    /// Takes one line as it was read, without its end. Bytes that are not UTF-8 are an error, never a message.
    pub fn feed_bytes(&mut self, line: &[u8]) -> Fed {
        match std::str::from_utf8(line) {
            Ok(line) => self.feed(line),
            Err(_) => self.feed_broken(&String::from_utf8_lossy(line)),
        }
    }

    fn feed_broken(&mut self, lossy: &str) -> Fed {
        let error = CommandError::new(ErrorCode::BadArgument, "the line is not valid UTF-8; nothing was sent");
        match &mut self.draft {
            Some(draft) => {
                draft.to = Err(error);
                Fed::More
            }
            None => Fed::Command { word: parse::first_word(lossy), command: Err(error) },
        }
    }

    /// Takes one line, without its end. A carriage return at its end belongs to the end, but for the lines of a
    /// multi-line message, which are text byte for byte.
    pub fn feed(&mut self, line: &str) -> Fed {
        if let Some(draft) = self.draft.take() {
            return self.feed_draft(draft, line);
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.trim().is_empty() {
            return Fed::Nothing;
        }
        let word = parse::first_word(line);
        let command = match parse::line(line) {
            Parsed::Command(command) => command.map(|command| self.follow(command)),
            Parsed::Bare(text) => self.bare(text),
            Parsed::Draft(to) => {
                self.draft = Some(Draft { word, to, lines: 0, text: String::new() });
                return Fed::More;
            }
        };
        Fed::Command { word, command }
    }

    /// The input has ended: an error when it did so inside a multi-line message, of which nothing is sent.
    pub fn end(&mut self) -> Option<Fed> {
        let draft = self.draft.take()?;
        let message = "the input ended before the line with a single '.'; nothing was sent";
        Some(Fed::Command { word: draft.word, command: Err(CommandError::new(ErrorCode::BadArgument, message)) })
    }

    /// Gives up a multi-line message (Ctrl-C at the prompt); true when there was one.
    pub fn abandon(&mut self) -> bool {
        self.draft.take().is_some()
    }

    fn follow(&mut self, command: Command) -> Command {
        match command {
            Command::Chat(to) => {
                self.chat = Some(to.clone());
                Command::Chat(to)
            }
            Command::Close => {
                self.chat = None;
                Command::Close
            }
            Command::Invite { name, group, .. } => {
                let chat = match &self.chat {
                    Some(To::Person { name, .. }) => Some(name.clone()),
                    Some(To::Group(_)) | None => None,
                };
                Command::Invite { name, group, chat }
            }
            other => other,
        }
    }

    fn bare(&self, text: &str) -> Result<Command, CommandError> {
        let Some(to) = &self.chat else {
            let message =
                "no conversation is open, so nothing was sent: open one with '!chat NAME', or write '!send NAME TEXT'";
            return Err(CommandError::new(ErrorCode::BadArgument, message));
        };
        Ok(Command::Send { to: to.clone(), text: text.to_owned(), key: None, urgent: false, reply_to: None })
    }

    fn feed_draft(&mut self, mut draft: Draft, line: &str) -> Fed {
        if line == "." || line == ".\r" {
            return Fed::Command { word: draft.word.clone(), command: draft.finish() };
        }
        draft.push(line);
        self.draft = Some(draft);
        Fed::More
    }
}

impl Draft {
    fn push(&mut self, line: &str) {
        let line = if line.starts_with("..") { &line[1..] } else { line };
        // Beyond the limit the text is an error whatever follows; one byte too many is enough to say so.
        if self.text.len() > TEXT_MAX_BYTES {
            return;
        }
        if self.lines > 0 {
            self.text.push('\n');
        }
        self.text.push_str(line);
        self.lines += 1;
    }

    fn finish(self) -> Result<Command, CommandError> {
        let to = self.to?;
        if self.text.is_empty() {
            return Err(CommandError::new(ErrorCode::BadArgument, "the message is empty; nothing was sent"));
        }
        Ok(Command::Send { to, text: self.text, key: None, urgent: false, reply_to: None })
    }
}
