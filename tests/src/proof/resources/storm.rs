//! Everybody comes back at once: the directory is killed with many sessions and started again; each client tries as
//! peers do, with their back-off, until it is online.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use common::wire::directory::FromDirectory;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Order, runtime, say};
use crate::bench::session::Session;
use crate::bench::table::percentile;
use crate::hostile::stranger;
use crate::programs::World;

/// Back-off of a peer, milliseconds: the first, and the longest.
const RETRY_MIN_MS: u64 = 500;
const RETRY_MAX_MS: u64 = 15_000;
/// Clients that are brought up at a time.
const AT_ONCE: usize = 64;
/// They must all be back after so long.
const BACK: Duration = Duration::from_secs(60);
/// A login that takes longer is given up, as at the peers.
const STEP: Duration = Duration::from_secs(10);

pub(super) fn run(order: &Order) -> Result<()> {
    let clients = order.amount(300, 10_000);
    let mut world = World::with(&[], None);
    let directory = world.directory.address();
    let seed = order.seed;
    runtime()?.block_on(async {
        let (restarted, begin) = watch::channel(None::<Instant>);
        let (mut tasks, begun) = (JoinSet::new(), Instant::now());
        let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        let (up, mut ups) = tokio::sync::mpsc::channel(AT_ONCE);
        for number in 0..clients {
            let (gate, up, begin) = (gate.clone(), up.clone(), begin.clone());
            tasks.spawn(async move {
                let permit = gate.acquire_owned().await?;
                let (session, token) = bring_up(directory, number).await?;
                drop(permit);
                up.send(()).await?;
                come_back(session, directory, number, token, begin, seed).await
            });
        }
        drop(up);
        for count in 0..clients {
            if timeout(BACK, ups.recv()).await.ok().flatten().is_none() {
                let failed = tasks.join_next().await.context("no client failed")??;
                failed.with_context(|| format!("only {count} of {clients} came up"))?;
            }
        }
        say(&format!("storm: {clients} sessions are online after {:.1} s", begun.elapsed().as_secs_f64()));
        world.directory.kill_9();
        let dead = Instant::now();
        world.directory.restart();
        restarted.send_replace(Some(dead));
        // Who is back stays: the load of all of them is the point.
        let (mut times, mut back) = (Vec::new(), Vec::new());
        while let Some(returned) = tasks.join_next().await {
            let (after, session) = returned??;
            times.push(after.as_secs_f64());
            back.push(session);
        }
        let (half, most) = (percentile(&mut times, 0.5), times.last().copied().unwrap_or(f64::NAN));
        say(&format!(
            "storm: all {} are online again, half after {half:.1} s, the last after {most:.1} s",
            times.len()
        ));
        ensure!(most <= BACK.as_secs_f64(), "the last was online again after {most:.1} s");
        Ok(())
    })
}

async fn bring_up(directory: SocketAddr, number: u64) -> Result<(Session, [u8; 16])> {
    let (mut session, token) = Session::log_in_with(directory, &stranger(number), None).await?;
    session.register(number, &format!("user-{number}"), &[]).await?;
    online(&mut session, number).await?;
    Ok((session, token))
}

async fn online(session: &mut Session, number: u64) -> Result<()> {
    session.online(number);
    session.flush().await?;
    while !matches!(session.next().await?, FromDirectory::Done(_)) {}
    Ok(())
}

/// Waits for the end of its session, then tries until it is online again; how long after the kill that was.
async fn come_back(
    mut session: Session,
    directory: SocketAddr,
    number: u64,
    token: [u8; 16],
    mut begin: watch::Receiver<Option<Instant>>,
    seed: u64,
) -> Result<(Duration, Session)> {
    while session.next().await.is_ok() {}
    drop(session);
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ number);
    let mut delay_ms = RETRY_MIN_MS;
    loop {
        sleep(Duration::from_millis(delay_ms / 2 + rng.next_u64() % (delay_ms / 2 + 1))).await;
        delay_ms = (delay_ms * 2).min(RETRY_MAX_MS);
        let again = async {
            let (mut session, _) = Session::log_in_with(directory, &stranger(number), Some(token)).await?;
            online(&mut session, number).await?;
            anyhow::Ok(session)
        };
        // A token that was offered and whose session broke is still good, and so is the one before.
        if let Ok(Ok(session)) = timeout(STEP, again).await {
            let killed = begin.wait_for(Option::is_some).await?.context("the time of the kill")?;
            return Ok((killed.elapsed(), session));
        }
    }
}
