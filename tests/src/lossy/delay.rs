//! One queue for everything a relay holds back, with bounds: datagrams leave in the order of their times, and what finds
//! the queue full is dropped, as a router does. Not here: how long each is held back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Datagrams held back at once, at most; also those on their way into the queue.
pub const HELD_MAX: usize = 16_384;

/// A datagram with its time.
pub struct Held {
    /// When it leaves.
    pub due: Instant,
    /// How often.
    pub copies: u32,
    /// From where.
    pub from: Arc<UdpSocket>,
    /// To whom.
    pub to: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

/// Sends what is held back when its time comes, until nobody holds anything back any more.
pub async fn serve(mut arriving: mpsc::Receiver<Held>) {
    // Of two with the same time, the one that came first.
    let mut held: BTreeMap<(Instant, u64), Held> = BTreeMap::new();
    let mut count = 0u64;
    loop {
        let next = held.first_key_value().map(|((due, _), _)| *due);
        let due = async {
            match next {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = due => {
                if let Some((_, datagram)) = held.pop_first() {
                    send(&datagram).await;
                }
            }
            // Full: the channel fills up behind it, and what finds that full is dropped.
            arrived = arriving.recv(), if held.len() < HELD_MAX => {
                let Some(datagram) = arrived else { return };
                count += 1;
                held.insert((datagram.due, count), datagram);
            }
        }
    }
}

/// Sends a datagram as often as it goes.
pub async fn send(datagram: &Held) {
    for _ in 0..datagram.copies {
        // A target that is down answers with an ICMP error; the network does not care.
        let _ = datagram.from.send_to(&datagram.bytes, datagram.to).await;
    }
}
