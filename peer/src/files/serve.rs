//! Giving own files to who asks for them on a link: one asking from its stream's first byte to the last. Not here: who may have
//! what, which the messenger decides.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use common::body::FileFault;
use common::identity::PublicKey;
use common::limits::FILE_PART_BYTES;
use common::wire::file::{Answer, Coming, FileFrame};
use peer_core::event::{FileNews, FileSource, FileStop, Serving};
use quinn::SendStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::hash::{self, PartHash};
use super::own::Own;
use super::pace::{Pace, Slow};
use super::stream::{self, Reset};
use super::threads::{Flag, RaiseOnDrop};
use super::{PART_HASHES_MAX, SERVING_EACH_MAX, SERVING_MAX, Shared};
use crate::transport::{Accepted, Bulk};

/// Who opens a stream says what for within this.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// The messenger answers at once; this is for a loop that is gone.
const DECISION_TIMEOUT: Duration = Duration::from_secs(30);
/// The last bytes may take so long to be acknowledged.
const LAST_TIMEOUT: Duration = Duration::from_secs(60);
/// Read from the disk at once, and blocks that wait for the stream.
const BLOCK_BYTES: u64 = 256 * 1024;
const BLOCKS: usize = 4;
/// Hashes that leave together, while they are still being made.
const HASHES: usize = 64;

/// What the messenger says to an asking.
#[derive(Debug)]
pub(super) enum Decision {
    Serve(FileSource),
    Refuse { later: bool },
}

/// Everything that was asked for and is not answered, and everything that is being given.
#[derive(Debug, Default)]
pub(super) struct Askings {
    last: AtomicU64,
    open: Mutex<BTreeMap<Serving, Asking>>,
    slots: Mutex<Vec<Slot>>,
}

#[derive(Debug)]
struct Asking {
    decide: Option<oneshot::Sender<Decision>>,
    stop: Arc<Notify>,
}

/// One of the places for files that are being given.
#[derive(Debug, Clone)]
struct Slot {
    serving: Serving,
    key: PublicKey,
    slow: Slow,
    /// Another one takes the place.
    displaced: Arc<Notify>,
}

impl Askings {
    fn open(&self) -> MutexGuard<'_, BTreeMap<Serving, Asking>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over a decision; it is given back when nobody waits for it any more.
    pub(super) fn decide(&self, serving: Serving, decision: Decision) -> Result<(), Decision> {
        if matches!(decision, Decision::Refuse { later: true }) {
            // Somebody waits: a slow one goes, and asks again.
            displace(&mut self.slots(), |_| true);
        }
        let decide = self.open().get_mut(&serving).and_then(|asking| asking.decide.take());
        match decide {
            Some(decide) => decide.send(decision),
            None => Err(decision),
        }
    }

    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.slots().is_empty()
    }

    pub(super) fn stop(&self, serving: Serving) {
        if let Some(asking) = self.open().get(&serving) {
            asking.stop.notify_one();
        }
    }

    /// A place for one more file, if need be that of a slow one of somebody. None: there is none now.
    fn slot(&self, serving: Serving, key: PublicKey) -> Option<Slot> {
        let mut slots = self.slots();
        let of_one = slots.iter().filter(|slot| slot.key == key).count();
        let full = slots.len() >= SERVING_MAX;
        if of_one >= SERVING_EACH_MAX || full {
            displace(&mut slots, |slot| of_one < SERVING_EACH_MAX || slot.key == key)?;
        }
        let slot = Slot { serving, key, slow: Slow::default(), displaced: Arc::default() };
        slots.push(slot.clone());
        Some(slot)
    }
}

/// Takes the place of a slow one. None: there is none.
fn displace(slots: &mut Vec<Slot>, may: impl Fn(&Slot) -> bool) -> Option<()> {
    let slow = slots.iter().position(|slot| slot.slow.is() && may(slot))?;
    slots.remove(slow).displaced.notify_one();
    Some(())
}

/// Forgets an asking at its end.
struct Open<'a> {
    askings: &'a Askings,
    serving: Serving,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.askings.open().remove(&self.serving);
        self.askings.slots().retain(|slot| slot.serving != self.serving);
    }
}

/// One stream that somebody has opened, up to its end.
pub(super) async fn run(shared: Arc<Shared>, accepted: Accepted) {
    let Accepted { bulk, mut send, mut receive } = accepted;
    let asked = timeout(ASK_TIMEOUT, stream::read(&mut receive)).await.ok().flatten();
    // Whatever else comes is not read.
    let _ = receive.stop(Reset::Stopped.code());
    let Some((FileFrame::Ask(ask), rest)) = asked.filter(|(_, rest)| rest.is_empty()) else {
        let _ = send.reset(Reset::Stopped.code());
        return;
    };
    drop(rest);
    let serving = Serving(shared.askings.last.fetch_add(1, Ordering::Relaxed) + 1);
    let (decide, decided) = oneshot::channel();
    let stop = Arc::new(Notify::new());
    shared.askings.open().insert(serving, Asking { decide: Some(decide), stop: stop.clone() });
    let open = Open { askings: &shared.askings, serving };
    shared.tell(FileNews::Asked { serving, link: bulk.link(), offer: ask.offer }).await;
    match timeout(DECISION_TIMEOUT, decided).await {
        Ok(Ok(Decision::Serve(source))) => {
            let serve = Serve { shared: &shared, serving, bulk, source, from_part: ask.from_part };
            let result = tokio::select! {
                result = serve.run(&mut send) => result,
                () = stop.notified() => Err(FileStop::Stopped),
            };
            if let Err(stop) = &result {
                let changed = matches!(stop, FileStop::Fault(_));
                let _ = send.reset(if changed { Reset::Changed } else { Reset::Stopped }.code());
            }
            drop(open);
            shared.tell(FileNews::Served { serving, result }).await;
        }
        Ok(Ok(Decision::Refuse { later })) => {
            let _ = answer(&mut send, if later { Coming::Later } else { Coming::NotOffered }).await;
            last(&mut send).await;
        }
        Ok(Err(_)) | Err(_) => {
            let _ = send.reset(Reset::Stopped.code());
        }
    }
}

/// A few bytes, which have room at once unless the other end allows nothing.
async fn answer(send: &mut SendStream, coming: Coming) -> Result<(), FileStop> {
    let written = timeout(ASK_TIMEOUT, stream::write(send, &Answer { coming }.into())).await;
    written.ok().flatten().ok_or(FileStop::Broken)
}

/// Ends the stream and waits until all of it has arrived. Whether it has.
async fn last(send: &mut SendStream) -> bool {
    send.finish().is_ok() && matches!(timeout(LAST_TIMEOUT, send.stopped()).await, Ok(Ok(None)))
}

struct Serve<'a> {
    shared: &'a Arc<Shared>,
    serving: Serving,
    bulk: Bulk,
    source: FileSource,
    from_part: u64,
}

impl Serve<'_> {
    async fn run(self, send: &mut SendStream) -> Result<(), FileStop> {
        let Some(slot) = self.shared.askings.slot(self.serving, self.bulk.key()) else {
            answer(send, Coming::Later).await?;
            last(send).await;
            return Err(FileStop::Later);
        };
        let source = self.source.clone();
        let opened = self.shared.threads.run(move || Own::again(&source)).await.unwrap_or(Err(FileFault::Unreadable));
        let own = match opened {
            Ok(own) => own,
            Err(fault) => {
                answer(send, Coming::Changed).await?;
                last(send).await;
                return Err(FileStop::Fault(fault));
            }
        };
        let _window = self.bulk.going();
        tokio::select! {
            given = self.give(own, send, slot.slow.clone()) => given,
            () = slot.displaced.notified() => Err(FileStop::Broken),
        }
    }

    async fn give(&self, own: Own, send: &mut SendStream, slow: Slow) -> Result<(), FileStop> {
        answer(send, Coming::Here).await?;
        let stop = Flag::default();
        let _stops = RaiseOnDrop(stop.clone());
        let (blocks, waiting) = mpsc::channel(BLOCKS);
        let size = own.size();
        let (root, from_part, known) = (self.source.blake3, self.from_part, self.shared.hashes.of(&self.source.blake3));
        let pouring = self.shared.threads.run(move || pour(&own, root, from_part, known, &blocks, &stop));
        let writing = self.write(size, waiting, send, slow);
        let (poured, written) = tokio::join!(pouring, writing);
        written?;
        match poured {
            Some(Ok(made)) => {
                if let Some(made) = made {
                    self.shared.hashes.keep(root, made.into());
                }
            }
            Some(Err(Halt::Fault(fault))) => return Err(FileStop::Fault(fault)),
            Some(Err(Halt::Gone)) => return Err(FileStop::Broken),
            None => return Err(FileStop::Fault(FileFault::Unreadable)),
        }
        if last(send).await { Ok(()) } else { Err(FileStop::Broken) }
    }

    /// Writes what is read ahead. At the end whoever reads ahead hears that nobody takes it.
    async fn write(
        &self,
        size: u64,
        mut waiting: mpsc::Receiver<Bytes>,
        send: &mut SendStream,
        slow: Slow,
    ) -> Result<(), FileStop> {
        let list_bytes = hash::parts(size).saturating_mul(size_of::<PartHash>() as u64);
        let begin = self.from_part.saturating_mul(FILE_PART_BYTES).min(size);
        let (mut pace, mut left) = (Pace::new(slow), 0_u64);
        while let Some(mut block) = waiting.recv().await {
            while !block.is_empty() {
                let before = block.len();
                let written = timeout(self.shared.patience, send.write_chunks(std::slice::from_mut(&mut block))).await;
                if !matches!(written, Ok(Ok(_))) {
                    return Err(FileStop::Broken);
                }
                left = left.saturating_add((before - block.len()) as u64);
                let bytes = begin.saturating_add(left.saturating_sub(list_bytes));
                if let Some(bytes) = pace.at(bytes, Instant::now()) {
                    self.shared.tell(FileNews::Sent { serving: self.serving, bytes }).await;
                }
            }
        }
        Ok(())
    }
}

/// Why reading ahead has ended early.
enum Halt {
    Fault(FileFault),
    /// Nobody takes it any more.
    Gone,
}

impl From<FileFault> for Halt {
    fn from(fault: FileFault) -> Self {
        Self::Fault(fault)
    }
}

/// Reads what goes onto the stream, behind the answer: the list of the parts' hashes, then the bytes. Returns the hashes if they
/// had to be made. The last of them leaves only when they are those of the file that was offered.
fn pour(
    own: &Own,
    root: [u8; 32],
    from_part: u64,
    known: Option<Arc<[PartHash]>>,
    blocks: &mpsc::Sender<Bytes>,
    stop: &Flag,
) -> Result<Option<Vec<PartHash>>, Halt> {
    let put = |bytes: Vec<u8>| blocks.blocking_send(bytes.into()).map_err(|_| Halt::Gone);
    let mut made = None;
    if let Some(known) = known {
        put(known.concat())?;
    } else {
        let (mut parts, mut sent) = (Vec::new(), 0);
        own.walk::<Halt>(stop, |_, hash| {
            if parts.len() - sent >= HASHES {
                put(parts[sent..].concat())?;
                sent = parts.len();
            }
            parts.push(hash);
            Ok(())
        })?;
        if hash::root(&parts) != Some(root) {
            return Err(FileFault::Changed.into());
        }
        put(parts[sent..].concat())?;
        made = Some(parts);
    }
    let mut offset = from_part.saturating_mul(FILE_PART_BYTES);
    while offset < own.size() {
        let length = BLOCK_BYTES.min(own.size() - offset);
        put(own.read(offset, length)?)?;
        offset += length;
    }
    Ok(made)
}

/// Hashes of the parts of own files, so that none is read twice for them. The oldest go first.
#[derive(Debug, Default)]
pub(super) struct Hashes(Mutex<VecDeque<Parts>>);

/// The root of a file, and the hashes of its parts.
type Parts = ([u8; 32], Arc<[PartHash]>);

impl Hashes {
    pub(super) fn keep(&self, root: [u8; 32], parts: Arc<[PartHash]>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(other, _)| *other != root);
        kept.push_back((root, parts));
        while kept.iter().map(|(_, parts)| parts.len()).sum::<usize>() > PART_HASHES_MAX {
            kept.pop_front();
        }
    }

    fn of(&self, root: &[u8; 32]) -> Option<Arc<[PartHash]>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(other, _)| other == root).map(|(_, parts)| parts.clone())
    }
}

#[cfg(test)]
mod tests {
    use common::identity::Identity;

    use super::*;

    fn key(seed: u8) -> PublicKey {
        Identity::from_seed(&[seed; 32]).public()
    }

    /// What a minute with so many bytes makes of it.
    fn minute(slot: &Slot, bytes: u64) {
        let mut pace = Pace::new(slot.slow.clone());
        pace.at(bytes, Instant::now() + Duration::from_secs(61));
    }

    #[test]
    fn nobody_takes_all_places_and_a_slow_one_makes_room() {
        let askings = Askings::default();
        let greedy: Vec<Slot> = (0..4).map(|n| askings.slot(Serving(n), key(1)).unwrap()).collect();
        assert!(askings.slot(Serving(4), key(1)).is_none());
        for n in 5..9 {
            askings.slot(Serving(n), key(2)).unwrap();
        }
        assert!(askings.slot(Serving(9), key(3)).is_none());
        minute(&greedy[2], 64 * 1024 * 1024);
        assert!(askings.slot(Serving(9), key(3)).is_none(), "nobody is slow");
        minute(&greedy[2], 59);
        assert!(askings.slot(Serving(9), key(2)).is_none(), "whoever has all of theirs displaces nobody else");
        assert!(askings.slot(Serving(9), key(3)).is_some());
        assert!(askings.slots().iter().all(|slot| slot.serving != Serving(2)));
        minute(&greedy[0], 59);
        let _ = askings.decide(Serving(77), Decision::Refuse { later: true });
        assert_eq!(askings.slots().len(), 7, "somebody was refused while a slow one went on");
    }

    #[test]
    fn hashes_are_kept_up_to_a_bound() {
        let hashes = Hashes::default();
        hashes.keep([1; 32], vec![[1; 32]; PART_HASHES_MAX / 2].into());
        hashes.keep([2; 32], vec![[2; 32]; PART_HASHES_MAX / 2].into());
        assert!(hashes.of(&[1; 32]).is_some());
        hashes.keep([3; 32], vec![[3; 32]; 1].into());
        assert!(hashes.of(&[1; 32]).is_none() && hashes.of(&[2; 32]).is_some() && hashes.of(&[3; 32]).is_some());
    }
}
