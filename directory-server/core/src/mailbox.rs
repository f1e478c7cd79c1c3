//! Handing out mail: the drain of a login, what comes after it, slots, and how much of both may be on its way.
//! What is in a mailbox is the store's knowledge; who may deposit is not decided here.
//!
//! Two orders follow each other in one session. The drain goes through what waited when the session came online, urgent
//! items first, then lane by lane. What was deposited since is followed in order of item numbers: pushed as it is
//! committed while the window has room, read from the store in pages when it had none.
//!
//! Who is busy is handed out what is urgent and nothing else, in the same two orders. Afterwards the drain begins anew, so
//! that nothing is left behind, and passes over what is still out.

use std::collections::{BTreeMap, BTreeSet};

use common::identity::PublicKey;
use common::wire::directory::{Deposit, DepositAnswer, Deposited, DrainBegin, DrainEnd, FromDirectory, Item, Slot};

use crate::event::{DepositOp, DrainPosition, PageFrom, PageItem, PutSlotOp, SessionId, Waiting};
use crate::limits::Limits;

/// Answers in one `Deposited` frame: well within the frame limit.
const ANSWERS_MAX: usize = 512;

/// What handing out asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Want {
    /// Send.
    Send(SessionId, FromDirectory),
    /// Ask for a page of items; answered with `page`.
    Page {
        /// For whom.
        session: SessionId,
        /// For what.
        pump: PumpId,
        /// Whose mailbox.
        recipient: PublicKey,
        /// From where.
        from: PageFrom,
        /// How many.
        limit_items: usize,
        /// How many bytes.
        limit_bytes: usize,
        /// Only urgent ones.
        urgent_only: bool,
    },
    /// Ask what waits; answered with `waiting`.
    Waiting {
        /// For whom.
        session: SessionId,
        /// For what.
        pump: PumpId,
        /// Whose mailbox.
        recipient: PublicKey,
    },
    /// Ask for a page of slots; answered with `slots`.
    SlotPage {
        /// For whom.
        session: SessionId,
        /// For what.
        pump: PumpId,
        /// Whose slots.
        recipient: PublicKey,
        /// From where.
        after_serial: u64,
        /// How many.
        limit_slots: usize,
        /// How many bytes.
        limit_bytes: usize,
    },
}

/// What is on its way and not taken yet, by what it is taken by.
#[derive(Debug)]
struct Window<K> {
    out: BTreeMap<K, usize>,
    bytes: usize,
    /// The store holds more than was handed out.
    behind: bool,
    /// A page is being read.
    asked: bool,
    /// Taken since that page was asked for: it may hold them all the same.
    gone: BTreeSet<K>,
    max: usize,
    max_bytes: usize,
}

impl<K: Ord + Copy> Window<K> {
    fn new(max: usize, max_bytes: usize) -> Self {
        let (out, gone) = (BTreeMap::new(), BTreeSet::new());
        Self { out, bytes: 0, behind: true, asked: false, gone, max, max_bytes }
    }

    fn add(&mut self, key: K, bytes: usize) {
        let before = self.out.insert(key, bytes).unwrap_or(0);
        self.bytes = self.bytes - before + bytes;
    }

    fn remove(&mut self, key: &K) {
        let Some(bytes) = self.out.remove(key) else { return };
        self.bytes -= bytes;
        if self.asked {
            self.gone.insert(*key);
        }
    }

    /// Was this handed out already, as far as the page that was read can tell?
    fn had(&self, key: &K) -> bool {
        self.out.contains_key(key) || self.gone.contains(key)
    }

    /// May this be pushed past the store? Only if nothing older waits there.
    fn takes(&self, bytes: usize) -> bool {
        let room = self.out.len() < self.max && self.bytes + bytes <= self.max_bytes;
        !self.behind && !self.asked && (room || self.out.is_empty())
    }

    /// How much to read now. Half a window at least, so that pages are worth their transaction.
    fn page(&mut self) -> Option<(usize, usize)> {
        let half_free = self.out.len() <= self.max / 2 && self.bytes <= self.max_bytes / 2;
        if !self.behind || self.asked || !half_free {
            return None;
        }
        (self.behind, self.asked) = (false, true);
        Some(((self.max - self.out.len()).max(1), (self.max_bytes - self.bytes).max(1)))
    }

    fn read(&mut self, more: bool) {
        self.asked = false;
        self.gone.clear();
        self.behind |= more;
    }
}

#[derive(Debug)]
struct Drain {
    after: Option<DrainPosition>,
    newest: u64,
}

/// Tells what is handed out in a session from what was handed out in it before somebody gave up their name: an answer to
/// the one is none to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PumpId(u64);

/// What is handed out in one session.
#[derive(Debug)]
struct Pump {
    id: PumpId,
    recipient: PublicKey,
    busy: bool,
    /// Answers to [`Want::Waiting`] that are on their way; until they are here, nothing else is asked for.
    recounts: usize,
    drain: Option<Drain>,
    last_item: u64,
    items: Window<u64>,
    last_serial: u64,
    slots: Window<PublicKey>,
}

/// Everything that is being handed out, and the answers to deposits that wait to be sent together.
#[derive(Debug, Default)]
pub struct Mailboxes {
    pumps: BTreeMap<SessionId, Pump>,
    last_pump: u64,
    answers: BTreeMap<SessionId, Vec<DepositAnswer>>,
}

impl Mailboxes {
    /// Begins the drain of a session that has come online; if it has begun before, only notes whether it is busy.
    pub fn begin(
        &mut self,
        session: SessionId,
        recipient: PublicKey,
        busy: bool,
        waiting: Waiting,
        limits: &Limits,
    ) -> Vec<Want> {
        if self.pumps.contains_key(&session) {
            return self.set_busy(session, busy).into_iter().collect();
        }
        let items = Window::new(limits.window_items, limits.window_bytes);
        let slots = Window::new(limits.window_slots, limits.window_slot_bytes);
        let Waiting { human, newest } = waiting;
        let drain = Some(Drain { after: None, newest });
        self.last_pump += 1;
        let id = PumpId(self.last_pump);
        let pump = Pump { id, recipient, busy, recounts: 0, drain, last_item: newest, items, last_serial: 0, slots };
        self.pumps.insert(session, pump);
        let mut wants = vec![Want::Send(session, DrainBegin { human }.into())];
        // Slots first: they say what need not be sent again.
        wants.extend(self.fill_slots(session));
        wants.extend(self.fill(session));
        wants
    }

    /// Notes whether the recipient of a session is busy. Who was, and is not any more, has a new drain coming.
    pub fn set_busy(&mut self, session: SessionId, busy: bool) -> Option<Want> {
        let pump = self.pumps.get_mut(&session)?;
        let was_busy = std::mem::replace(&mut pump.busy, busy);
        if !was_busy || busy {
            return None;
        }
        pump.recounts += 1;
        // Nothing is pushed past what the store holds.
        pump.items.behind = true;
        Some(Want::Waiting { session, pump: pump.id, recipient: pump.recipient })
    }

    /// It is known what waits for a recipient who is not busy any more.
    pub fn waiting(&mut self, session: SessionId, of: PumpId, waiting: Waiting) -> Vec<Want> {
        let Some(pump) = self.pump(session, of) else { return vec![] };
        pump.recounts -= 1;
        let mut wants = Vec::with_capacity(2);
        // Of several, the last one counts; who is busy again has another one coming.
        if pump.recounts == 0 && !pump.busy {
            let Waiting { human, newest } = waiting;
            (pump.drain, pump.last_item) = (Some(Drain { after: None, newest }), newest);
            pump.items.behind = true;
            wants.push(Want::Send(session, DrainBegin { human }.into()));
        }
        wants.extend(self.fill(session));
        wants
    }

    /// Stops handing out in a session.
    pub fn stop(&mut self, session: SessionId) {
        self.pumps.remove(&session);
    }

    /// Forgets a session.
    pub fn end(&mut self, session: SessionId) {
        self.stop(session);
        self.answers.remove(&session);
    }

    fn pump(&mut self, session: SessionId, id: PumpId) -> Option<&mut Pump> {
        self.pumps.get_mut(&session).filter(|pump| pump.id == id)
    }

    fn fill(&mut self, session: SessionId) -> Option<Want> {
        let pump = self.pumps.get_mut(&session).filter(|pump| pump.recounts == 0)?;
        let (limit_items, limit_bytes) = pump.items.page()?;
        let from = match &pump.drain {
            Some(drain) => PageFrom::Drain { after: drain.after, newest: drain.newest },
            None => PageFrom::Since { item: pump.last_item },
        };
        let (pump, recipient, urgent_only) = (pump.id, pump.recipient, pump.busy);
        Some(Want::Page { session, pump, recipient, from, limit_items, limit_bytes, urgent_only })
    }

    fn fill_slots(&mut self, session: SessionId) -> Option<Want> {
        let pump = self.pumps.get_mut(&session)?;
        let (limit_slots, limit_bytes) = pump.slots.page()?;
        let (pump, recipient, after_serial) = (pump.id, pump.recipient, pump.last_serial);
        Some(Want::SlotPage { session, pump, recipient, after_serial, limit_slots, limit_bytes })
    }

    /// A page of items was read.
    pub fn page(&mut self, session: SessionId, of: PumpId, items: Vec<PageItem>, more: bool) -> Vec<Want> {
        let Some(pump) = self.pump(session, of) else { return vec![] };
        let mut wants = Vec::with_capacity(items.len() + 2);
        for PageItem { item, position } in items {
            match &mut pump.drain {
                Some(drain) => drain.after = Some(position),
                None => pump.last_item = item.item,
            }
            // Read before its recipient was busy: it comes with the drain afterwards.
            let later = pump.busy && !position.urgent;
            if !later && !pump.items.had(&item.item) {
                pump.items.add(item.item, item.sealed.len());
                wants.push(Want::Send(session, item.into()));
            }
        }
        pump.items.read(more);
        if !more && pump.drain.take().is_some() {
            // What was deposited during the drain has not been looked at yet.
            pump.items.behind = true;
            // Where only urgent items were looked at, others may wait: the end is that of the drain to come.
            if !pump.busy && pump.recounts == 0 {
                wants.push(Want::Send(session, DrainEnd {}.into()));
            }
        }
        wants.extend(self.fill(session));
        wants
    }

    /// An item for the recipient of this session was committed.
    pub fn deposited(&mut self, session: SessionId, number: u64, op: DepositOp) -> Option<Want> {
        let pump = self.pumps.get_mut(&session)?;
        if pump.busy && !op.deposit.urgent {
            return None;
        }
        let bytes = op.deposit.sealed.len();
        if pump.drain.is_some() || !pump.items.takes(bytes) {
            pump.items.behind = true;
            return self.fill(session);
        }
        pump.items.add(number, bytes);
        pump.last_item = number;
        Some(Want::Send(session, item(number, op).into()))
    }

    /// These were taken.
    pub fn taken(&mut self, session: SessionId, numbers: impl Iterator<Item = u64>) -> Option<Want> {
        let pump = self.pumps.get_mut(&session)?;
        numbers.for_each(|number| pump.items.remove(&number));
        self.fill(session)
    }

    /// A page of slots was read.
    pub fn slots(&mut self, session: SessionId, of: PumpId, slots: Vec<Slot>, more: bool) -> Vec<Want> {
        let Some(pump) = self.pump(session, of) else { return vec![] };
        pump.slots.read(more);
        let mut wants = Vec::with_capacity(slots.len() + 1);
        for slot in slots {
            pump.last_serial = slot.serial;
            pump.slots.add(slot.from, slot.sealed.len());
            wants.push(Want::Send(session, slot.into()));
        }
        wants.extend(self.fill_slots(session));
        wants
    }

    /// A slot for the recipient of this session was committed. While an older content of the same slot is on its way
    /// it waits in the store: the newest is all that counts.
    pub fn slot_kept(&mut self, session: SessionId, serial: u64, op: PutSlotOp) -> Option<Want> {
        let pump = self.pumps.get_mut(&session)?;
        let bytes = op.slot.sealed.len();
        let older_out = pump.slots.out.contains_key(&op.from);
        if older_out || !pump.slots.takes(bytes) {
            pump.slots.behind = true;
            return if older_out { None } else { self.fill_slots(session) };
        }
        pump.slots.add(op.from, bytes);
        pump.last_serial = serial;
        let slot = Slot { from: op.from, serial, prekey: op.slot.prekey, sealed: op.slot.sealed };
        Some(Want::Send(session, slot.into()))
    }

    /// A slot was taken, whichever content.
    pub fn slot_taken(&mut self, session: SessionId, from: &PublicKey) -> Option<Want> {
        self.pumps.get_mut(&session)?.slots.remove(from);
        self.fill_slots(session)
    }

    /// Notes the answer to a deposit.
    pub fn answer(&mut self, session: SessionId, answer: DepositAnswer) {
        self.answers.entry(session).or_default().push(answer);
    }

    /// The answers noted since, as few frames as hold them.
    pub fn answers(&mut self) -> Vec<Want> {
        let mut wants = Vec::new();
        for (session, answers) in std::mem::take(&mut self.answers) {
            wants.extend(
                answers
                    .chunks(ANSWERS_MAX)
                    .map(|part| Want::Send(session, Deposited { answers: part.to_vec() }.into())),
            );
        }
        wants
    }
}

fn item(item: u64, op: DepositOp) -> Item {
    let DepositOp { submitter, deposit, waited, now_ms: deposited_at_ms, limits: _ } = op;
    let Deposit { place, tag: _, prekey, urgent: _, human: _, sealed } = deposit;
    Item { item, submitter, epoch: place.epoch, seq: place.seq, prekey, waited, deposited_at_ms, sealed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_counts_what_is_out_once_and_takes_what_fits() {
        let mut window = Window::new(3, 100);
        assert!(!window.takes(1), "the store may hold something older");
        assert_eq!(window.page(), Some((3, 100)));
        assert!(!window.takes(1), "a page is under way");
        window.read(false);
        window.add(1, 60);
        window.add(1, 40);
        assert_eq!(window.bytes, 40, "the same again is not more");
        assert!(window.takes(60) && !window.takes(61));
        window.add(2, 60);
        assert!(!window.takes(1));
        window.remove(&1);
        assert_eq!(window.bytes, 60);
        window.remove(&2);
        assert!(window.takes(1_000), "one is always taken");
    }

    #[test]
    fn the_next_page_is_read_when_half_is_free_and_more_is_there() {
        let mut window = Window::new(4, 100);
        assert!(window.page().is_some() && window.page().is_none());
        window.read(true);
        (0..2).for_each(|item| window.add(item, 25));
        assert_eq!(window.page(), Some((2, 50)), "half of both is free");
        window.read(true);
        window.add(2, 0);
        assert_eq!(window.page(), None, "three of four are out");
        window.remove(&2);
        window.add(0, 26);
        assert_eq!(window.page(), None, "more than half of the bytes are out");
        window.remove(&0);
        assert_eq!(window.page(), Some((3, 75)));
        window.read(false);
        assert_eq!(window.page(), None, "there is no more");
    }
}
