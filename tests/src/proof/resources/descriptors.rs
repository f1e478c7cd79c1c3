//! No descriptor left: at a directory whose sessions took them all, and at a peer whose control socket is crowded.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Order, PATIENCE, ensure_idle, runtime, say, talk};
use crate::hostile::{DirectorySession, stranger};
use crate::programs::World;

/// What each program may open.
const DIRECTORY_FILES: u32 = 200;
const PEER_FILES: u32 = 48;

pub(super) fn run(_: &Order) -> Result<()> {
    directory()?;
    peer()
}

fn directory() -> Result<()> {
    let mut world = World::with(&["-v"], Some(DIRECTORY_FILES));
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let (address, process) = (world.directory.address(), world.directory.id().context("it runs")?);
    let runtime = runtime()?;
    let (mut sessions, mut waiting) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        for number in 0..u64::from(DIRECTORY_FILES) {
            let login = DirectorySession::log_in(address, stranger(number));
            match timeout(Duration::from_secs(2), login).await {
                Ok(Ok(session)) => sessions.push(session),
                Ok(Err(_)) | Err(_) => break,
            }
        }
        // More than it may open: they wait with the operating system, or are let in and out as newcomers.
        for _ in 0..DIRECTORY_FILES {
            if let Ok(Ok(socket)) = timeout(Duration::from_secs(1), TcpStream::connect(address)).await {
                waiting.push(socket);
            }
        }
    });
    say(&format!(
        "descriptors, directory of {DIRECTORY_FILES}: {} sessions are in, {} connections wait",
        sessions.len() + 2,
        waiting.len()
    ));
    ensure!(sessions.len() > 50, "most descriptors are for sessions");
    talk(&alice, &bob, "while none is left");
    ensure_idle("descriptors, directory, none left", process)?;
    drop((sessions, waiting));
    let carol = world.peer("carol");
    let sent = carol.send("alice", "there is room again");
    carol.wait_state(&sent.id, "delivered");
    ensure!(world.directory.runs(), "the directory goes on");
    ensure!(alice.log().lines(0, |line| line.event() == "offline").is_empty(), "who was in stayed in");
    Ok(())
}

fn peer() -> Result<()> {
    let world = World::new();
    let mut setup = world.setup("alice");
    setup.open_files = Some(PEER_FILES);
    let alice = setup.registered();
    let bob = world.peer("bob");
    talk(&alice, &bob, "before");
    let socket = alice.setup.data_dir.join("control.sock");
    let crowd: Vec<UnixStream> = (0..100).map_while(|_| UnixStream::connect(&socket).ok()).collect();
    say(&format!("descriptors, peer of {PEER_FILES}: {} connections to its control socket", crowd.len()));
    talk(&alice, &bob, "while none is left");
    ensure_idle("descriptors, peer, none left", alice.id())?;
    drop(crowd);
    let outcome = alice.setup.run(&["send", "--wait", "delivered", "bob", "by the socket"], b"");
    ensure!(outcome.code == Some(0), "the control socket serves again within {PATIENCE:?}: {outcome:?}");
    Ok(())
}
