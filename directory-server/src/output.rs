//! Standard output, and the last word on standard error. Logs go elsewhere.

use std::io::{self, Write};
use std::process::ExitCode;

/// Writes one line to standard output and flushes it.
///
/// # Errors
/// What the write says; a closed output is the caller's to judge.
pub fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes why the program ends to standard error, where no level of log can hide it, and gives the exit code.
pub fn complaint(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::from(code)
}
