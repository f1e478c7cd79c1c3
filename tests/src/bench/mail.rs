//! The directory server keeping and handing out: deposits that are on the disk before they are answered, and drains
//! that are deleted as they are taken. A real server process, eight sessions, 512 deposits on their way.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Result, bail};
use common::identity::PublicKey;
use common::message::EpochId;
use common::wire::directory::{Deposit, FromDirectory, Offline, Place, Take, Taking};
use tokio::task::JoinSet;

use super::limits::append_log_rate;
use super::session::{Session, key};
use super::store;
use super::table::{Samples, Target, row};
use crate::programs::World;

const SUBMITTERS: u64 = 8;
const RECIPIENTS: u64 = 4;
/// Deposits from one submitter to one recipient in one round: within every default quota.
const PER_PAIR: u64 = 1_250;
/// Deposits of all sessions on their way.
pub const WINDOW: u64 = 512;
/// Where recipients' numbers begin.
const RECIPIENT: u64 = 1_000;
/// Bytes besides the sealed ones that a log would have to keep of an item.
const HEAD_BYTES: usize = 64;
const ITEMS: u64 = SUBMITTERS * RECIPIENTS * PER_PAIR;

/// What a submitter sends as number `at` of a round.
fn deposit(recipients: &[PublicKey], round: u64, at: u64, sealed_bytes: usize) -> Deposit {
    let seq = round * PER_PAIR + at / RECIPIENTS + 1;
    let place = Place { recipient: recipients[(at % RECIPIENTS) as usize], epoch: EpochId([9; 16]), seq };
    let mut sealed = vec![0; sealed_bytes];
    sealed[..8].copy_from_slice(&(seq << 8 | at).to_be_bytes());
    Deposit { place, tag: seq.to_be_bytes(), prekey: 1, urgent: false, human: true, sealed }
}

/// One submitter's round. Returns its session for the next one.
async fn submit(mut session: Session, round: u64, sealed_bytes: usize) -> Result<Session> {
    let recipients: Vec<PublicKey> = (0..RECIPIENTS).map(|number| key(RECIPIENT + number)).collect();
    let total = RECIPIENTS * PER_PAIR;
    let (mut sent, mut answered) = (0, 0);
    while answered < total {
        while sent < total && sent - answered < WINDOW / SUBMITTERS {
            session.put(deposit(&recipients, round, sent, sealed_bytes));
            sent += 1;
        }
        session.flush().await?;
        let mut frame = Some(session.next().await?);
        while let Some(FromDirectory::Deposited(deposited)) = frame {
            if let Some(refused) = deposited.answers.iter().find(|answer| answer.refusal.is_some()) {
                bail!("a deposit was refused: {refused:?}");
            }
            answered += deposited.answers.len() as u64;
            frame = session.ready()?;
        }
    }
    Ok(session)
}

/// One recipient's drain, everything taken. Returns how many items came.
async fn drain(directory: SocketAddr, number: u64, token: Option<[u8; 16]>) -> Result<(u64, u64, [u8; 16])> {
    let identity = crate::hostile::stranger(number);
    let (mut session, token) = Session::log_in_with(directory, &identity, token).await?;
    session.online(number);
    session.flush().await?;
    let (mut items, mut taken) = (0, Vec::new());
    loop {
        let mut frame = Some(session.next().await?);
        let mut ended = false;
        while let Some(came) = frame {
            match came {
                FromDirectory::Item(item) => taken.push((item.item, Taking::Stored)),
                FromDirectory::DrainEnd(_) => ended = true,
                _ => {}
            }
            frame = session.ready()?;
        }
        items += taken.len() as u64;
        for page in taken.chunks(common::limits::TAKE_MAX) {
            session.put(Take { items: page.to_vec() });
        }
        taken.clear();
        if ended {
            break;
        }
        session.flush().await?;
    }
    session.put(Offline { request: 9 });
    session.flush().await?;
    while !matches!(session.next().await?, FromDirectory::Done(done) if done.request == 9) {}
    Ok((number, items, token))
}

/// Everything that stays between two rounds.
struct Post {
    world: World,
    submitters: Vec<Session>,
    tokens: Vec<Option<[u8; 16]>>,
    round: u64,
}

impl Post {
    async fn new() -> Result<Self> {
        let world = World::new();
        let at = world.directory.address();
        let senders: Vec<_> = (0..SUBMITTERS).map(key).collect();
        let mut submitters = Vec::new();
        for number in 0..SUBMITTERS {
            let mut session = Session::log_in(at, number).await?;
            session.register(number, &format!("sender{number}"), &[]).await?;
            submitters.push(session);
        }
        let mut tokens = Vec::new();
        for number in 0..RECIPIENTS {
            let identity = crate::hostile::stranger(RECIPIENT + number);
            let (mut session, token) = Session::log_in_with(at, &identity, None).await?;
            session.register(RECIPIENT + number, &format!("taker{number}"), &senders).await?;
            tokens.push(Some(token));
        }
        Ok(Self { world, submitters, tokens, round: 0 })
    }

    /// Deposits a second.
    async fn fill(&mut self, sealed_bytes: usize) -> Result<f64> {
        let mut tasks = JoinSet::new();
        let start = Instant::now();
        for session in self.submitters.drain(..) {
            tasks.spawn(submit(session, self.round, sealed_bytes));
        }
        while let Some(session) = tasks.join_next().await {
            self.submitters.push(session??);
        }
        self.round += 1;
        Ok(ITEMS as f64 / start.elapsed().as_secs_f64())
    }

    /// Items a second, over all mailboxes at once.
    async fn empty(&mut self) -> Result<f64> {
        let mut tasks = JoinSet::new();
        let start = Instant::now();
        for (number, token) in (0..RECIPIENTS).zip(&self.tokens) {
            tasks.spawn(drain(self.world.directory.address(), RECIPIENT + number, *token));
        }
        let mut all = 0;
        while let Some(drained) = tasks.join_next().await {
            let (number, items, token) = drained??;
            all += items;
            self.tokens[(number - RECIPIENT) as usize] = Some(token);
        }
        if all != ITEMS {
            bail!("{all} of {ITEMS} items came back");
        }
        Ok(ITEMS as f64 / start.elapsed().as_secs_f64())
    }
}

/// Deposits and drains a second.
///
/// # Errors
/// When it cannot be measured.
pub async fn run(rounds: usize) -> Result<()> {
    let mut post = Post::new().await?;
    for sealed_bytes in [300, 2_300] {
        let [mut kept, mut drained, mut log, mut alone_kept, mut alone_drained] =
            std::array::from_fn(|_| Samples::default());
        for _ in 0..rounds {
            log.push(append_log_rate(post.world.root(), sealed_bytes + HEAD_BYTES, 512, ITEMS as usize)?);
            let (deposits, drains) = store::alone(post.world.root(), sealed_bytes)?;
            alone_kept.push(deposits);
            alone_drained.push(drains);
            kept.push(post.fill(sealed_bytes).await?);
            drained.push(post.empty().await?);
        }
        let what = |words: &str| format!("{words}, {sealed_bytes} B");
        let half = if sealed_bytes == 300 { Target::AtLeast(100_000.0) } else { Target::None };
        let above = if sealed_bytes == 300 { Target::AtLeast(256_000.0) } else { Target::None };
        row(&what("deposits/s, window 512"), "/s", &kept, Some(("append log, fsync each 512", &log)), half);
        row(&what("deposits/s, the same"), "/s", &kept, Some(("the store alone, batches of 512", &alone_kept)), half);
        row(
            &what("drain/s, 40,000 items in 4 mailboxes"),
            "/s",
            &drained,
            Some(("the store alone, pages of 256", &alone_drained)),
            above,
        );
    }
    Ok(())
}
