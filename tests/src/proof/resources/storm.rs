//! Everybody comes back at once: the directory is killed with many sessions and started again; each client tries as
//! peers do, with their back-off, until it is online.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use common::wire::directory::{ConfirmToken, FromDirectory, Hello, Online, Register, Standing};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Order, runtime, say};
use crate::bench::table::percentile;
use crate::hostile::{DirectorySession, hello, prekey_of, stranger};
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
                let client = bring_up(directory, number).await?;
                drop(permit);
                up.send(()).await?;
                come_back(client, directory, begin, seed).await
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
        while let Some(returned) = timeout(2 * BACK, tasks.join_next()).await.ok().flatten() {
            let (after, session) = returned??;
            times.push(after.as_secs_f64());
            back.push(session);
        }
        ensure!(tasks.is_empty(), "{} of {clients} are not back", tasks.len());
        let (half, most) = (percentile(&mut times, 0.5), times.last().copied().unwrap_or(f64::NAN));
        say(&format!(
            "storm: all {} are online again, half after {half:.1} s, the last after {most:.1} s",
            times.len()
        ));
        ensure!(most <= BACK.as_secs_f64(), "the last was online again after {most:.1} s");
        Ok(())
    })
}

async fn bring_up(directory: SocketAddr, number: u64) -> Result<Client> {
    let mut client = Client { number, token: None, session: None };
    let mut session = client.log_in(directory).await?;
    let prekey = prekey_of(&session.identity);
    session.send(Register { request: 1, name: format!("user-{number}").parse()?, prekey }).await?;
    while !matches!(session.receive().await?.context("not registered")?, FromDirectory::Registered(_)) {}
    client.come_online(&mut session).await?;
    client.session = Some(session);
    Ok(client)
}

/// What a client remembers between two sessions.
struct Client {
    number: u64,
    token: Option<[u8; 16]>,
    session: Option<DirectorySession>,
}

impl Client {
    /// Logs in as peers do: the token of the welcome is kept before it is confirmed.
    async fn log_in(&mut self, directory: SocketAddr) -> Result<DirectorySession> {
        let mut session = DirectorySession::open(directory, stranger(self.number)).await?;
        session.send(Hello { token: self.token, ..hello() }).await?;
        match session.receive().await? {
            Some(FromDirectory::Welcome(welcome)) => self.token = Some(welcome.token),
            other => bail!("no welcome but {other:?}"),
        }
        session.send(ConfirmToken { token: self.token.context("a token")? }).await?;
        match session.receive().await? {
            Some(FromDirectory::TokenKept(_)) => Ok(session),
            other => bail!("the token is not kept: {other:?}"),
        }
    }

    async fn come_online(&self, session: &mut DirectorySession) -> Result<()> {
        let prekey = prekey_of(&session.identity);
        session
            .send(Online { request: 2, candidates: Vec::new(), prekey, standing: Standing::Online, note: None })
            .await?;
        while !matches!(session.receive().await?.context("not online")?, FromDirectory::Done(_)) {}
        Ok(())
    }
}

/// Waits for the end of its session, then tries until it is online again; how long after the kill that was.
async fn come_back(
    mut client: Client,
    directory: SocketAddr,
    mut begin: watch::Receiver<Option<Instant>>,
    seed: u64,
) -> Result<(Duration, DirectorySession)> {
    let mut session = client.session.take().context("a session")?;
    session.until_it_ends().await;
    drop(session);
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ client.number);
    let mut delay_ms = RETRY_MIN_MS;
    loop {
        sleep(Duration::from_millis(delay_ms / 2 + rng.next_u64() % (delay_ms / 2 + 1))).await;
        delay_ms = (delay_ms * 2).min(RETRY_MAX_MS);
        let again = async {
            let mut session = client.log_in(directory).await?;
            client.come_online(&mut session).await?;
            anyhow::Ok(session)
        };
        if let Ok(Ok(session)) = timeout(STEP, again).await {
            let killed = begin.wait_for(Option::is_some).await?.context("the time of the kill")?;
            return Ok((killed.elapsed(), session));
        }
    }
}
