//! Readers and senders that do not keep up, by the hundred, with a login and without: what others wait for their
//! deposits is compared without and with them, in one run.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use common::wire::directory::{Deposit, FromDirectory, Place, Who};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
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

pub(super) fn run(order: &Order) -> Result<()> {
    let (slow, rounds) = match order.form {
        Form::Gate => (100, 200),
        Form::Night => (300, 2_000),
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
        // All of them are there before it counts.
        sleep(Duration::from_secs(3)).await;
        let with = deposits(&mut sender, rounds).await?;
        let there = crowd.len();
        crowd.abort_all();
        let after = deposits(&mut sender, rounds).await?;
        for (what, mut times) in [("without", without.clone()), ("with", with.clone()), ("after", after.clone())] {
            let (half, most) = (percentile(&mut times, 0.5), percentile(&mut times, 0.99));
            say(&format!("slow, {there} of them, a deposit {what}: p50 {half:.2} ms, p99 {most:.2} ms"));
        }
        let p99 = |times: Vec<f64>| percentile(&mut { times }, 0.99);
        // On a machine that others use, the worse of the two quiet blocks is the measure; the gate only sees disaster.
        let quiet = p99(without).max(p99(after));
        let most = match order.form {
            Form::Gate => 10.0 * quiet + 500.0,
            Form::Night => 2.0 * quiet + 5.0,
        };
        ensure!(p99(with.clone()) <= most, "p99 of the others was {:.1} ms, {quiet:.1} ms without", p99(with));
        Ok(())
    })
}

/// How long each of so many deposits took until it was kept, milliseconds.
async fn deposits(sender: &mut Session, rounds: u64) -> Result<Vec<f64>> {
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

/// Logged in; asks as much as it may and never reads an answer.
async fn deaf_reader(directory: std::net::SocketAddr, number: u64) {
    let Ok((mut session, _)) = DirectorySession::log_in(directory, stranger(number)).await else { return };
    for request in 0.. {
        if session.send(who(request)).await.is_err() {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

fn who(request: u32) -> Who {
    Who { request, after: None, text: None }
}
