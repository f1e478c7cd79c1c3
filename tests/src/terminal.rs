//! A pseudo-terminal with a peer on it, and a small model of the screen a person would see. It understands the
//! control sequences a line editor uses and ignores the rest.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Columns of the terminal.
pub const COLUMNS: usize = 100;
/// Rows of the terminal.
pub const ROWS: usize = 40;

/// A program on a terminal, killed and reaped when dropped.
pub struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<Screen>>,
    child: Child,
}

impl Terminal {
    /// Starts `command` with all three standard streams on a terminal, standard error in `log`.
    ///
    /// # Panics
    /// When the system gives no terminal.
    #[must_use]
    pub fn start(mut command: Command, log: File) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).expect("a pseudo-terminal");
        unlockpt(&master).expect("a pseudo-terminal");
        let size = Winsize { ws_row: ROWS as u16, ws_col: COLUMNS as u16, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).expect("a size for the terminal");
        let path = ptsname(&master, Vec::new()).expect("the terminal's name");
        let path = path.into_string().expect("a plain name");
        let open = || File::options().read(true).write(true).open(&path).expect("the terminal");
        let (stdin, stdout) = (OwnedFd::from(open()), OwnedFd::from(open()));
        command.env("TERM", "xterm").stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout)).stderr(Stdio::from(log));
        let child = command.spawn().expect("the program starts");
        drop(command);
        let keyboard = File::from(master);
        let mut output = keyboard.try_clone().expect("a second handle");
        let screen = Arc::new(Mutex::new(Screen::new()));
        let painted = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The read fails when the last program has left the terminal.
            while let Ok(bytes @ 1..) = output.read(&mut buffer) {
                painted.lock().expect("no holder panics").print(&buffer[..bytes]);
            }
        });
        Self { keyboard, screen, child }
    }

    /// Types keys.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn type_keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("a terminal to type at");
    }

    /// The screen's rows, without trailing blanks.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn rows(&self) -> Vec<String> {
        self.screen.lock().expect("no holder panics").rows()
    }

    /// Every byte the program wrote.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.screen.lock().expect("no holder panics").bytes.clone()
    }

    /// Waits until `seen` accepts the screen.
    ///
    /// # Panics
    /// When it does not within `patience`, with the screen.
    pub fn wait(&self, what: &str, patience: Duration, seen: impl Fn(&[String]) -> bool) {
        let end = Instant::now() + patience;
        loop {
            let rows = self.rows();
            if seen(&rows) {
                return;
            }
            if Instant::now() >= end {
                let shown: Vec<&String> = rows.iter().filter(|row| !row.is_empty()).collect();
                panic!("not on the screen within {patience:?}: {what}\n{shown:#?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the program's end: its exit code.
    ///
    /// # Panics
    /// When it does not end within `patience`.
    #[must_use]
    pub fn wait_exit(&mut self, patience: Duration) -> Option<i32> {
        let end = Instant::now() + patience;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            assert!(Instant::now() < end, "does not end: {:#?}", self.rows());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is on the screen.
struct Screen {
    cells: Vec<Vec<char>>,
    row: usize,
    column: usize,
    rest: Vec<u8>,
    bytes: Vec<u8>,
}

impl Screen {
    fn new() -> Self {
        Self { cells: vec![vec![' '; COLUMNS]; ROWS], row: 0, column: 0, rest: Vec::new(), bytes: Vec::new() }
    }

    fn rows(&self) -> Vec<String> {
        self.cells.iter().map(|row| row.iter().collect::<String>().trim_end().to_string()).collect()
    }

    fn print(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.rest.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.rest);
        // A character cut in two waits for its other half.
        let whole = match std::str::from_utf8(&held) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => held.len(),
        };
        let text = String::from_utf8_lossy(&held[..whole]).into_owned();
        let mut characters = text.chars().peekable();
        let mut consumed = 0;
        while let Some(character) = characters.next() {
            if character == '\u{1b}' {
                let rest: String = characters.clone().collect();
                let Some(length) = sequence_length(&rest) else { break };
                let sequence: String = characters.by_ref().take(length).collect();
                consumed += 1 + sequence.len();
                self.obey(&sequence);
            } else {
                consumed += character.len_utf8();
                self.put(character);
            }
        }
        self.rest = text.as_bytes()[consumed..].iter().chain(&held[whole..]).copied().collect();
    }

    fn put(&mut self, character: char) {
        match character {
            '\r' => self.column = 0,
            '\n' => self.line_feed(),
            '\u{8}' => self.column = self.column.saturating_sub(1),
            control if control.is_control() => {}
            visible => {
                if self.column == COLUMNS {
                    self.column = 0;
                    self.line_feed();
                }
                self.cells[self.row][self.column] = visible;
                self.column += 1;
            }
        }
    }

    fn line_feed(&mut self) {
        if self.row + 1 < ROWS {
            self.row += 1;
        } else {
            self.cells.remove(0);
            self.cells.push(vec![' '; COLUMNS]);
        }
    }

    fn obey(&mut self, sequence: &str) {
        let Some(body) = sequence.strip_prefix('[') else { return };
        let Some(last) = body.chars().last() else { return };
        let parameters = &body[..body.len() - last.len_utf8()];
        let mut numbers = parameters.split(';').map(|number| number.parse::<usize>().ok());
        let first = numbers.next().flatten();
        let many = first.unwrap_or(1).max(1);
        match last {
            'A' => self.row = self.row.saturating_sub(many),
            'B' => self.row = (self.row + many).min(ROWS - 1),
            'C' => self.column = (self.column + many).min(COLUMNS - 1),
            'D' => self.column = self.column.saturating_sub(many),
            'G' => self.column = (many - 1).min(COLUMNS - 1),
            'H' => {
                self.row = (many - 1).min(ROWS - 1);
                self.column = (numbers.next().flatten().unwrap_or(1).max(1) - 1).min(COLUMNS - 1);
            }
            'K' => self.erase_in_row(first.unwrap_or(0)),
            'J' => self.erase_below(first.unwrap_or(0)),
            _ => {}
        }
    }

    fn erase_in_row(&mut self, how: usize) {
        let (from, to) = match how {
            0 => (self.column, COLUMNS),
            1 => (0, (self.column + 1).min(COLUMNS)),
            _ => (0, COLUMNS),
        };
        self.cells[self.row][from.min(COLUMNS)..to].fill(' ');
    }

    fn erase_below(&mut self, how: usize) {
        if how == 2 {
            self.cells.iter_mut().for_each(|row| row.fill(' '));
            return;
        }
        self.erase_in_row(0);
        self.cells.iter_mut().skip(self.row + 1).for_each(|row| row.fill(' '));
    }
}

/// How many characters after an escape belong to it; none while it is not whole.
fn sequence_length(rest: &str) -> Option<usize> {
    let mut characters = rest.chars();
    match characters.next()? {
        '[' => Some(2 + characters.position(|character| ('@'..='~').contains(&character))?),
        ']' => Some(2 + characters.position(|character| character == '\u{7}')?),
        '(' | ')' => characters.next().map(|_| 2),
        _ => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_printed_above_a_prompt_leaves_the_prompt_below_it() {
        let mut screen = Screen::new();
        screen.print(b"> half");
        screen.print(b"\r\x1b[Kabove\r\n> half\x1b[");
        screen.print(b"2D");
        assert_eq!(&screen.rows()[..2], ["above", "> half"]);
        assert_eq!((screen.row, screen.column), (1, 4));
    }

    #[test]
    fn a_character_cut_in_two_is_printed_whole() {
        let mut screen = Screen::new();
        screen.print(&"ü".as_bytes()[..1]);
        screen.print(&"ü".as_bytes()[1..]);
        assert_eq!(screen.rows()[0], "ü");
    }
}
