//! The terminal's width, and its settings: remembered at the start, put back at the end, also when the prompt is still
//! reading. Not here: what is written on it.

use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

/// Columns that are assumed of a terminal that does not know its size.
const COLUMNS: usize = 80;

/// Columns of the terminal on standard output, now; none when it is no terminal.
#[must_use]
pub fn columns() -> Option<usize> {
    columns_of(io::stdout())
}

/// Columns of the terminal on standard error, now; none when it is no terminal.
#[must_use]
pub fn error_columns() -> Option<usize> {
    columns_of(io::stderr())
}

fn columns_of(stream: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(if size.ws_col == 0 { COLUMNS } else { usize::from(size.ws_col) })
}

/// How the terminal was set, if there is one.
pub struct Terminal(Option<Termios>);

impl Terminal {
    /// Remembers the settings of the terminal on standard input.
    #[must_use]
    pub fn remember() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }

    /// Puts them back, if a prompt has changed them and was not asked to stop.
    pub fn restore(&self) {
        let Some(before) = &self.0 else { return };
        if tcgetattr(io::stdin()).is_ok_and(|now| now.local_flags == before.local_flags) {
            return;
        }
        // Nothing can be done about a terminal that has gone.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        // The prompt's bracketed paste is switched off, and the shell gets a line of its own.
        let mut out = io::stdout().lock();
        let _ = out.write_all(b"\x1b[?2004l\r\n").and_then(|()| out.flush());
    }
}
