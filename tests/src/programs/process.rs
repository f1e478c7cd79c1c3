//! One running program: its pipes, its signals, its end. It knows nothing of what the program says.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::log::Log;

/// A running child, killed and reaped when dropped.
pub struct Process {
    child: Child,
    input: Mutex<Option<ChildStdin>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command` with its standard streams on pipes, its output going to `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(mut command: Command, log: &Arc<Log>) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let run = log.begin_run();
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let (to_lines, to_stderr) = (Arc::clone(log), Arc::clone(log));
        let readers = vec![
            std::thread::spawn(move || read_lines(stdout, run, &to_lines)),
            std::thread::spawn(move || read_stderr(stderr, &to_stderr)),
        ];
        let input = Mutex::new(child.stdin.take());
        Self { child, input, readers }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes bytes to its standard input.
    ///
    /// # Errors
    /// When it is closed at either end.
    pub fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut input = self.input.lock().expect("no writer panics");
        let Some(pipe) = input.as_mut() else { return Err(std::io::ErrorKind::BrokenPipe.into()) };
        pipe.write_all(bytes)?;
        pipe.flush()
    }

    /// Closes its standard input.
    pub fn end_input(&self) {
        *self.input.lock().expect("no writer panics") = None;
    }

    /// Sends a signal to this child alone.
    ///
    /// # Panics
    /// When it has been reaped already.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a child has an id");
        kill_process(pid, signal).expect("a child that is not reaped can be signalled");
    }

    /// Kills it with SIGKILL and reaps it.
    pub fn kill_9(mut self) {
        self.reap();
    }

    /// Whether it still runs.
    #[must_use]
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end; none when it is not over within `patience`.
    #[must_use]
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + patience;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                self.readers.drain(..).for_each(|reader| drop(reader.join()));
                return Some(status);
            }
            if Instant::now() >= end {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn reap(&mut self) {
        // A child that has already ended cannot be killed; both calls may say so.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.readers.drain(..).for_each(|reader| drop(reader.join()));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.reap();
    }
}

fn read_lines(stdout: impl Read, run: usize, log: &Log) {
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.read_until(b'\n', &mut line) {
            // Without its newline a line was cut off by a kill, and counts for nothing.
            Ok(_) if line.last() == Some(&b'\n') => {
                line.pop();
                log.add_line(run, String::from_utf8_lossy(&line).into_owned());
            }
            Ok(_) | Err(_) => break,
        }
    }
    log.end_run(run);
}

fn read_stderr(mut stderr: impl Read, log: &Log) {
    let mut buffer = [0; 4096];
    while let Ok(bytes @ 1..) = stderr.read(&mut buffer) {
        log.add_stderr(&buffer[..bytes]);
    }
}
