//! Readers and senders that do not keep up, by the hundred, with a login and without: what others wait for their
//! deposits is compared without and with them, in one run.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use common::limits::HAVE_MAX;
use common::wire::directory::{Deposit, FromDirectory, Have, Ping, Place, Who};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Form, Order, say};
use crate::bench::session::{Session, key};
use crate::bench::system::cpu_ms;
use crate::bench::table::percentile;
use crate::hostile::{DirectorySession, bytes_of, epoch, stranger};
use crate::programs::World;

/// Numbers of the measuring pair; the slow ones come after them.
const SENDER: u64 = 1;
const RECIPIENT: u64 = 2;
const SEALED_BYTES: usize = 2_185;
const BLOCKS: u64 = 5;
/// Between two deposits, so that the machine is not busy with them alone.
const GAP: Duration = Duration::from_millis(1);
/// What they asked for has been answered by then.
const SETTLED: Duration = Duration::from_secs(2);
/// Sessions that have asked for more than they have room for, and read nothing.
static DEAF_STUCK: AtomicU64 = AtomicU64::new(0);
/// They are not waited for longer than this: then the first ones are closed.
const STUCK_WITHIN: Duration = Duration::from_secs(15);
/// Requests whose answers, 30 KB each, are more than the buffers of the connection hold.
const BURST: u32 = 20;
/// By then it must have been closed.
const DEAF_AT_MOST: Duration = Duration::from_secs(90);
/// Sessions that read nothing and were closed for it.
static DEAF_CLOSED: AtomicU64 = AtomicU64::new(0);

/// How much lower the threads that play the slow ones stand than the rest: they stand for other people's machines, and what
/// they take of this one must not be counted as what they cost the directory.
const CROWD_NICE: i32 = 5;
/// Bytes and frames that the slow ones sent.
static TICKS: AtomicU64 = AtomicU64::new(0);

pub(super) fn run(order: &Order) -> Result<()> {
    let (slow, span) = match order.form {
        Form::Gate => (100, Duration::from_millis(600)),
        Form::Night => (300, Duration::from_secs(3)),
    };
    let world = World::new();
    let directory = world.directory.address();
    let process = world.directory.id().context("the directory runs")?;
    let crowd = crowd_runtime()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut recipient = Session::log_in(directory, RECIPIENT).await?;
        recipient.register(RECIPIENT, "recipient", &[key(SENDER)]).await?;
        let mut sender = Session::log_in(directory, SENDER).await?;
        sender.register(SENDER, "sender", &[key(RECIPIENT)]).await?;
        let without = deposits(&mut sender, span).await?;
        let mut slow_ones = come(&crowd, directory, slow)?;
        // All of them are there before it counts, and the deaf ones stuck.
        let begun = Instant::now();
        while begun.elapsed() < STUCK_WITHIN && DEAF_STUCK.load(Ordering::Relaxed) < slow {
            sleep(Duration::from_millis(50)).await;
        }
        sleep(SETTLED).await;
        let (begun, ticks, busy) = (Instant::now(), TICKS.load(Ordering::Relaxed), cpu_ms(process)?);
        let with = deposits(&mut sender, span).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let ticks = (TICKS.load(Ordering::Relaxed) - ticks) as f64 / seconds;
        let busy = (cpu_ms(process)? - busy) / seconds / 10.0;
        let closed = DEAF_CLOSED.load(Ordering::Relaxed);
        say(&format!("slow: {ticks:.0} bytes and frames a second came; {closed} deaf sessions closed so far"));
        say(&format!("slow: the directory took {busy:.0} % of a CPU meanwhile"));
        ensure!(ticks >= slow as f64 * 1.5, "the slow ones had no time to do what they are here for");
        let there = slow_ones.len();
        if order.form == Form::Night {
            let begun = Instant::now();
            while DEAF_CLOSED.load(Ordering::Relaxed) < slow {
                ensure!(begun.elapsed() < DEAF_AT_MOST, "who reads nothing is not closed");
                sleep(Duration::from_millis(100)).await;
            }
            say(&format!("slow: all {slow} deaf sessions were closed"));
        }
        slow_ones.shutdown().await;
        let after = deposits(&mut sender, span).await?;
        for (what, Took { half, most }) in [("without", without), ("with", with), ("after", after)] {
            say(&format!("slow, {there} of them, a deposit {what}: p50 {half:.2} ms, p99 {most:.2} ms"));
        }
        judge(order.form, without.most.max(after.most), with.most)
    })
}

/// The worse of the two quiet measures counts. The gate runs beside other things on few CPUs, where a thread waits for its
/// turn for some milliseconds, sometimes for several turns: that is allowed there.
fn judge(form: Form, quiet: f64, with: f64) -> Result<()> {
    let most = match form {
        Form::Gate => 3.0 * quiet + 50.0,
        Form::Night => 2.0 * quiet,
    };
    ensure!(with <= most, "p99 of the others was {with:.1} ms, {quiet:.1} ms without");
    Ok(())
}

/// Lets `slow` of each sort come, spread over a second.
fn come(crowd: &Runtime, directory: SocketAddr, slow: u64) -> Result<JoinSet<()>> {
    let mut slow_ones = JoinSet::new();
    for number in 0..slow {
        let later = Duration::from_secs(1) * u32::try_from(number)? / u32::try_from(slow)?;
        slow_ones.spawn_on(slow_newcomer(directory, later), crowd.handle());
        slow_ones.spawn_on(slow_sender(directory, 1_000 + number, later), crowd.handle());
        slow_ones.spawn_on(deaf_reader(directory, 10_000 + number, later), crowd.handle());
    }
    Ok(slow_ones)
}

/// Threads for the slow ones.
fn crowd_runtime() -> Result<Runtime> {
    let lower = || {
        // Of the calling thread: Linux keeps priorities by thread. Where it may not, the figures are less clear.
        let own = rustix::process::getpriority_process(None).unwrap_or(0);
        let _ = rustix::process::setpriority_process(None, own + CROWD_NICE);
    };
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).on_thread_start(lower).enable_all().build()?)
}

/// What deposits took until they were kept, milliseconds: half of them, and 99 of 100. Each is the middle one of several
/// blocks, lest a moment in which the machine did something else decide.
#[derive(Clone, Copy)]
struct Took {
    half: f64,
    most: f64,
}

async fn deposits(sender: &mut Session, span: Duration) -> Result<Took> {
    let (mut half, mut most) = (Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        let mut times = block(sender, span).await?;
        half.push(percentile(&mut times, 0.5));
        most.push(percentile(&mut times, 0.99));
    }
    Ok(Took { half: percentile(&mut half, 0.5), most: percentile(&mut most, 0.5) })
}

async fn block(sender: &mut Session, span: Duration) -> Result<Vec<f64>> {
    let (mut times, end) = (Vec::new(), Instant::now() + span);
    while Instant::now() < end {
        let begun = Instant::now();
        // One place, one tag: repeated deposits replace each other, so no quota is met.
        let place = Place { recipient: key(RECIPIENT), epoch: epoch().id, seq: 1 };
        let sealed = vec![0; SEALED_BYTES];
        sender.put(Deposit { place, tag: [1; 8], prekey: 1, urgent: false, human: true, sealed });
        sender.flush().await?;
        match sender.next().await? {
            FromDirectory::Deposited(deposited) if deposited.answers[0].refusal.is_none() => {}
            other => bail!("not kept: {other:?}"),
        }
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        sleep(GAP).await;
    }
    Ok(times)
}

/// The head of a TLS record, then a byte a second; comes again when it is closed.
async fn slow_newcomer(directory: SocketAddr, later: Duration) {
    sleep(later).await;
    loop {
        let Ok(mut socket) = TcpStream::connect(directory).await else { return };
        let mut alive = socket.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252]).await.is_ok();
        while alive {
            sleep(Duration::from_secs(1)).await;
            TICKS.fetch_add(1, Ordering::Relaxed);
            alive = socket.write_all(&[3]).await.is_ok();
        }
    }
}

/// Logged in; sends the bytes of one frame, one a second.
async fn slow_sender(directory: SocketAddr, number: u64, later: Duration) {
    sleep(later).await;
    let Ok((mut session, _)) = DirectorySession::log_in(directory, stranger(number)).await else { return };
    for byte in bytes_of(&common::wire::directory::ToDirectory::from(who(1))).into_iter().cycle() {
        sleep(Duration::from_secs(1)).await;
        TICKS.fetch_add(1, Ordering::Relaxed);
        if session.send_raw(&[byte]).await.is_err() {
            return;
        }
    }
}

/// Logged in; asks for more than it has room for, and never reads. Comes again under another key when it is closed.
async fn deaf_reader(directory: SocketAddr, mut number: u64, later: Duration) {
    sleep(later).await;
    while ask_and_never_read(directory, number).await.is_ok() {
        DEAF_CLOSED.fetch_add(1, Ordering::Relaxed);
        number += 1_000_000;
    }
}

async fn ask_and_never_read(directory: SocketAddr, number: u64) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4_096)?;
    socket.set_send_buffer_size(4_096)?;
    let mut session = DirectorySession::over(socket.connect(directory).await?, stranger(number)).await?;
    session.greet().await?;
    let places = vec![Place { recipient: key(RECIPIENT), epoch: epoch().id, seq: 1 }; HAVE_MAX];
    for request in 0..BURST {
        session.send(Have { request, places: places.clone() }).await?;
    }
    DEAF_STUCK.fetch_add(1, Ordering::Relaxed);
    // It lives on, reads nothing, and notices only by this when it is closed.
    while session.send(Ping {}).await.is_ok() {
        TICKS.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

fn who(request: u32) -> Who {
    Who { request, after: None, text: None }
}
