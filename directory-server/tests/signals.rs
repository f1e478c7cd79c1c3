//! The program and the signals that reach it. What it serves meanwhile is tested elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

#[test]
fn a_hang_up_is_told_and_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_directory-server"))
        .args(["--bind", "127.0.0.1", "--port", "0", "--data-dir"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&server);
    let mut said = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with("listening on"), "{said:?}");
    kill_process(pid, Signal::HUP).unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
    let told = log.any(|line| line.unwrap().contains("nothing to reload"));
    kill_process(pid, Signal::TERM).unwrap();
    // What is said at the end is taken, so that nothing waits for a full pipe.
    log.for_each(drop);
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert!(told);
}
