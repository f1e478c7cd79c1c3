//! Readers and senders that do not keep up, by the hundred, with a login and without: what others wait for their
//! deposits is compared without and with them, in one run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use common::limits::HAVE_MAX;
use common::wire::directory::{Deposit, FromDirectory, Have, Ping, Place, Who};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Form, Order, runtime, say};
use crate::bench::session::{Session, key};
use crate::bench::table::percentile;
use crate::hostile::{DirectorySession, bytes_of, epoch, stranger};
use crate::programs::World;

/// Numbers of the measuring pair; the slow ones come after them.
const SENDER: u64 = 1;
const RECIPIENT: u64 = 2;
const SEALED_BYTES: usize = 2_185;
const BLOCKS: u64 = 5;
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

pub(super) fn run(order: &Order) -> Result<()> {
    let (slow, rounds) = match order.form {
        Form::Gate => (100, 500),
        Form::Night => (300, 5_000),
    };
    let world = World::new();
    let directory = world.directory.address();
    runtime()?.block_on(async {
        let mut recipient = Session::log_in(directory, RECIPIENT).await?;
        recipient.register(RECIPIENT, "recipient", &[key(SENDER)]).await?;
        let mut sender = Session::log_in(directory, SENDER).await?;
        sender.register(SENDER, "sender", &[key(RECIPIENT)]).await?;
        let without = deposits(&mut sender, rounds).await?;
        let mut crowd = JoinSet::new();
        for number in 0..slow {
            crowd.spawn(async move { slow_newcomer(directory).await });
            crowd.spawn(async move { slow_sender(directory, 1_000 + number).await });
            crowd.spawn(async move { deaf_reader(directory, 10_000 + number).await });
        }
        // All of them are there before it counts, and the deaf ones stuck.
        let begun = Instant::now();
        while begun.elapsed() < STUCK_WITHIN && DEAF_STUCK.load(Ordering::Relaxed) < slow {
            sleep(Duration::from_millis(50)).await;
        }
        sleep(SETTLED).await;
        say(&format!("slow: {} of {slow} deaf sessions are stuck", DEAF_STUCK.load(Ordering::Relaxed)));
        let with = deposits(&mut sender, rounds).await?;
        let there = crowd.len();
        if order.form == Form::Night {
            let begun = Instant::now();
            while DEAF_CLOSED.load(Ordering::Relaxed) < slow {
                ensure!(begun.elapsed() < DEAF_AT_MOST, "who reads nothing is not closed");
                sleep(Duration::from_millis(100)).await;
            }
            say(&format!("slow: all {slow} deaf sessions were closed"));
        }
        crowd.abort_all();
        let after = deposits(&mut sender, rounds).await?;
        for (what, Took { half, most }) in [("without", without), ("with", with), ("after", after)] {
            say(&format!("slow, {there} of them, a deposit {what}: p50 {half:.2} ms, p99 {most:.2} ms"));
        }
        // The worse of the two quiet measures counts; the gate, on a machine that does other things, only sees disaster.
        let quiet = without.most.max(after.most);
        let most = match order.form {
            Form::Gate => 10.0 * quiet + 500.0,
            Form::Night => 2.0 * quiet,
        };
        ensure!(with.most <= most, "p99 of the others was {:.1} ms, {quiet:.1} ms without", with.most);
        Ok(())
    })
}

/// What deposits took until they were kept, milliseconds: half of them, and 99 of 100. Each is the middle one of several
/// blocks, lest a moment in which the machine did something else decide.
#[derive(Clone, Copy)]
struct Took {
    half: f64,
    most: f64,
}

async fn deposits(sender: &mut Session, rounds: u64) -> Result<Took> {
    let (mut half, mut most) = (Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        let mut times = block(sender, rounds / BLOCKS).await?;
        half.push(percentile(&mut times, 0.5));
        most.push(percentile(&mut times, 0.99));
    }
    Ok(Took { half: percentile(&mut half, 0.5), most: percentile(&mut most, 0.5) })
}

async fn block(sender: &mut Session, rounds: u64) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..rounds {
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
    }
    Ok(times)
}

/// The head of a TLS record, then a byte a second; comes again when it is closed.
async fn slow_newcomer(directory: std::net::SocketAddr) {
    loop {
        let Ok(mut socket) = TcpStream::connect(directory).await else { return };
        let mut alive = socket.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252]).await.is_ok();
        while alive {
            sleep(Duration::from_secs(1)).await;
            alive = socket.write_all(&[3]).await.is_ok();
        }
    }
}

/// Logged in; sends the bytes of one frame, one a second.
async fn slow_sender(directory: std::net::SocketAddr, number: u64) {
    let Ok((mut session, _)) = DirectorySession::log_in(directory, stranger(number)).await else { return };
    for byte in bytes_of(&common::wire::directory::ToDirectory::from(who(1))).into_iter().cycle() {
        sleep(Duration::from_secs(1)).await;
        if session.send_raw(&[byte]).await.is_err() {
            return;
        }
    }
}

/// Logged in; asks for more than it has room for, and never reads. Comes again under another key when it is closed.
async fn deaf_reader(directory: std::net::SocketAddr, mut number: u64) {
    while ask_and_never_read(directory, number).await.is_ok() {
        DEAF_CLOSED.fetch_add(1, Ordering::Relaxed);
        number += 1_000_000;
    }
}

async fn ask_and_never_read(directory: std::net::SocketAddr, number: u64) -> Result<()> {
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
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

fn who(request: u32) -> Who {
    Who { request, after: None, text: None }
}
