//! What programs cost that do nothing: the directory server and a peer alone, and the server with 10,000 sessions.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;

use super::session::Session;
use super::system::{cpu_ms, resident_kb};
use super::table::{Samples, Target, row};
use crate::hostile::raise_open_files;
use crate::programs::World;

/// Sessions held open at once.
const SESSIONS: u64 = 10_000;
/// Logins on their way.
const AT_ONCE: usize = 32;
/// Sessions opened and closed before the first look, so that what is paid once is paid.
const WARM: u64 = 64;
/// How long a program is watched doing nothing.
const WATCHED: Duration = Duration::from_secs(10);
/// A registered session's numbers begin here.
const REGISTERED: u64 = 10_000_000;

async fn open(at: std::net::SocketAddr, number: u64, registered: bool) -> Result<Session> {
    let mut session = Session::log_in(at, number).await?;
    if registered {
        session.register(number, &format!("idle{}", number - REGISTERED), &[]).await?;
        session.online(number);
        session.flush().await?;
        session.next().await?;
    }
    Ok(session)
}

async fn open_many(world: &World, from: u64, count: u64, registered: bool) -> Result<Vec<Session>> {
    let at = world.directory.address();
    let (mut tasks, mut sessions) = (JoinSet::new(), Vec::new());
    for number in from..from + count {
        if tasks.len() >= AT_ONCE {
            sessions.push(tasks.join_next().await.context("a task")???);
        }
        tasks.spawn(open(at, number, registered));
    }
    while let Some(session) = tasks.join_next().await {
        sessions.push(session??);
    }
    Ok(sessions)
}

/// Memory of one idle session, kB.
async fn session_kb(registered: bool) -> Result<f64> {
    let world = World::new();
    let base = if registered { REGISTERED } else { 0 };
    drop(open_many(&world, base + SESSIONS, WARM, registered).await?);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let process = world.directory.id().context("the server does not run")?;
    let before = resident_kb(process)?;
    let sessions = open_many(&world, base, SESSIONS, registered).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = resident_kb(process)?;
    Ok((after - before) / sessions.len() as f64)
}

/// Memory of idle sessions.
///
/// # Errors
/// When it cannot be measured, for example because too few files may be open.
pub async fn sessions(rounds: usize) -> Result<()> {
    raise_open_files();
    for (what, registered, target) in
        [("logged in", false, Target::AtMost(12.0)), ("registered and online", true, Target::None)]
    {
        let mut ours = Samples::default();
        for _ in 0..rounds {
            ours.push(session_kb(registered).await?);
        }
        row(&format!("memory of one of 10,000 idle sessions, {what}"), "kB", &ours, None, target);
    }
    Ok(())
}

/// Resident size and CPU of idle programs.
///
/// # Errors
/// When it cannot be measured.
pub async fn programs(rounds: usize) -> Result<()> {
    let world = World::new();
    let peer = world.peer("alice");
    let server = world.directory.id().context("the server does not run")?;
    for (what, process, target_mb) in [("directory server", server, 10.0), ("peer", peer.id(), 12.0)] {
        let [mut resident, mut busy] = std::array::from_fn(|_| Samples::default());
        for _ in 0..rounds {
            let before = cpu_ms(process)?;
            tokio::time::sleep(WATCHED).await;
            busy.push((cpu_ms(process)? - before) / WATCHED.as_secs_f64() / 10.0);
            resident.push(resident_kb(process)? / 1000.0);
        }
        row(&format!("idle {what}, resident"), "MB", &resident, None, Target::AtMost(target_mb));
        row(&format!("idle {what}, CPU over 10 s"), "%", &busy, None, Target::AtMost(0.05));
    }
    Ok(())
}
