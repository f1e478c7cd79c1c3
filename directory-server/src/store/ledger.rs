//! Numbers and counts of one transaction: read once, changed in memory, written once before the commit. It knows how
//! they are kept; what they allow is decided by the operations.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use common::identity::PublicKey;
use common::limits::DAY_MS;
use common::message::EpochId;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// No machine's clock is right before this: the beginning of 2026, milliseconds since 1970.
const PLAUSIBLE_MS: i64 = 1_767_225_600_000;
/// Stamps further ahead of the clock than this were made by a clock that was wrong.
const LEAD_MAX_MS: i64 = common::limits::ITEM_LIFETIME_MS as i64;

/// An account's number, and whether it can be written to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub account: i64,
    pub registered: bool,
    pub prekey: bool,
}

/// Counts of one account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub items: u64,
    pub bytes: u64,
    pub human: u64,
    pub stranger_items: u64,
    pub sent_items: u64,
    pub sent_bytes: u64,
    pub slots: u64,
    pub stranger_slots: u64,
    pub accepted: u64,
    pub accepted_by: u64,
    pub sent_slots: u64,
}

/// Counts of what one submitter has in one mailbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pair {
    pub items: u64,
    pub bytes: u64,
    pub accepted: bool,
}

/// A lane's number and its highest deposited seq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lane {
    pub lane: i64,
    pub top: i64,
    pub used_ms: i64,
}

/// The row of the store itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub store_id: [u8; 16],
    pub commits: u64,
    pub item: i64,
    pub binding_serial: u64,
    pub slot_serial: i64,
    pub stranger_bytes: u64,
    pub slot_bytes: u64,
    pub newest_ms: i64,
}

/// Whose item it is, and what it counts for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weight {
    pub recipient: i64,
    pub submitter: i64,
    pub bytes: u64,
    pub human: bool,
}

struct Cached<T> {
    value: T,
    dirty: bool,
}

impl<T> Cached<T> {
    fn clean(value: T) -> Self {
        Self { value, dirty: false }
    }

    fn change(&mut self) -> &mut T {
        self.dirty = true;
        &mut self.value
    }
}

/// The numbers and counts of one transaction on `db`.
pub(super) struct Ledger<'db> {
    db: &'db Connection,
    head: Cached<Head>,
    known: HashMap<PublicKey, Option<Known>>,
    tallies: HashMap<i64, Cached<Tally>>,
    pairs: HashMap<(i64, i64), Cached<Pair>>,
    lanes: HashMap<(i64, i64, EpochId), Option<Cached<Lane>>>,
}

impl<'db> Ledger<'db> {
    /// Opens the books inside the transaction that has begun.
    pub fn open(db: &'db Connection) -> Result<Self> {
        let head = Cached::clean(Head::load(db)?);
        let (known, tallies, pairs, lanes) = Default::default();
        Ok(Self { db, head, known, tallies, pairs, lanes })
    }

    pub fn db(&self) -> &'db Connection {
        self.db
    }

    pub fn head(&self) -> &Head {
        &self.head.value
    }

    pub fn change_head(&mut self) -> &mut Head {
        self.head.change()
    }

    /// The time to write now, when the clock says `now_ms`: never before a time that was written already. So what is
    /// kept while the clock of a machine stands at its beginning is not taken for old once the clock is set.
    pub fn stamp(&mut self, now_ms: i64) -> i64 {
        let newest_ms = self.head.value.newest_ms;
        // A clock that once stood far ahead must not keep everything from expiring until that time comes.
        let was_ahead = now_ms > PLAUSIBLE_MS && newest_ms > now_ms.saturating_add(LEAD_MAX_MS);
        if now_ms > newest_ms || was_ahead {
            self.change_head().newest_ms = now_ms;
        }
        self.head.value.newest_ms
    }

    /// The account of a key, if there is one.
    pub fn known(&mut self, key: &PublicKey) -> Result<Option<Known>> {
        if let Some(known) = self.known.get(key) {
            return Ok(*known);
        }
        let sql = "SELECT a.account, a.folded IS NOT NULL, p.account IS NOT NULL
                   FROM accounts a LEFT JOIN prekeys p USING (account) WHERE a.key = ?1";
        let known = self
            .db
            .prepare_cached(sql)?
            .query_row([&key.0[..]], |row| {
                Ok(Known { account: row.get(0)?, registered: row.get(1)?, prekey: row.get(2)? })
            })
            .optional()?;
        self.known.insert(*key, known);
        Ok(known)
    }

    /// The account of a key, made if there is none.
    pub fn known_or_new(&mut self, key: &PublicKey) -> Result<Known> {
        if let Some(known) = self.known(key)? {
            return Ok(known);
        }
        let sql = "INSERT INTO accounts (key, touched_ms) VALUES (?1, ?2)";
        self.db.prepare_cached(sql)?.execute(params![&key.0[..], self.head.value.newest_ms])?;
        let known = Known { account: self.db.last_insert_rowid(), registered: false, prekey: false };
        self.known.insert(*key, Some(known));
        Ok(known)
    }

    /// To be called after an account's name or prekey was written.
    pub fn forget(&mut self, key: &PublicKey) {
        self.known.remove(key);
    }

    /// To be called after an account was deleted.
    pub fn forget_account(&mut self, key: &PublicKey, account: i64) {
        self.known.remove(key);
        self.tallies.remove(&account);
    }

    /// To be called after lanes were deleted.
    pub fn forget_lanes(&mut self, gone: &[i64]) {
        self.lanes.retain(|_, lane| !lane.as_ref().is_some_and(|lane| gone.contains(&lane.value.lane)));
    }

    fn tally_cached(&mut self, account: i64) -> Result<&mut Cached<Tally>> {
        match self.tallies.entry(account) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(Cached::clean(Tally::load(self.db, account)?))),
        }
    }

    pub fn tally(&mut self, account: i64) -> Result<Tally> {
        Ok(self.tally_cached(account)?.value)
    }

    pub fn change_tally(&mut self, account: i64) -> Result<&mut Tally> {
        Ok(self.tally_cached(account)?.change())
    }

    fn pair_cached(&mut self, recipient: i64, submitter: i64) -> Result<&mut Cached<Pair>> {
        match self.pairs.entry((recipient, submitter)) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(Cached::clean(Pair::load(self.db, recipient, submitter)?))),
        }
    }

    pub fn pair(&mut self, recipient: i64, submitter: i64) -> Result<Pair> {
        Ok(self.pair_cached(recipient, submitter)?.value)
    }

    pub fn change_pair(&mut self, recipient: i64, submitter: i64) -> Result<&mut Pair> {
        Ok(self.pair_cached(recipient, submitter)?.change())
    }

    /// A lane, if anything was ever deposited in it.
    pub fn lane(&mut self, submitter: i64, recipient: i64, epoch: &EpochId) -> Result<Option<Lane>> {
        let at = (submitter, recipient, *epoch);
        if let Entry::Vacant(entry) = self.lanes.entry(at) {
            let sql = "SELECT lane, top, used_ms FROM lanes WHERE submitter = ?1 AND recipient = ?2 AND epoch = ?3";
            let lane = self
                .db
                .prepare_cached(sql)?
                .query_row(params![submitter, recipient, &epoch.0[..]], |row| {
                    Ok(Lane { lane: row.get(0)?, top: row.get(1)?, used_ms: row.get(2)? })
                })
                .optional()?;
            entry.insert(lane.map(Cached::clean));
        }
        Ok(self.lanes.get(&at).and_then(Option::as_ref).map(|lane| lane.value))
    }

    /// Raises a lane's highest seq to `seq` at least, and makes the lane if there is none. Its number.
    pub fn raise_lane(
        &mut self,
        submitter: i64,
        recipient: i64,
        epoch: &EpochId,
        seq: i64,
        now_ms: i64,
    ) -> Result<i64> {
        // Days are fine enough to tell what is forgotten, and spare an index entry for each deposit.
        let used_ms = now_ms - now_ms.rem_euclid(DAY_MS as i64);
        let at = (submitter, recipient, *epoch);
        let Some(lane) = self.lane(submitter, recipient, epoch)? else {
            let sql = "INSERT INTO lanes (submitter, recipient, epoch, top, used_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
            self.db.prepare_cached(sql)?.execute(params![submitter, recipient, &epoch.0[..], seq, used_ms])?;
            let lane = Lane { lane: self.db.last_insert_rowid(), top: seq, used_ms };
            self.lanes.insert(at, Some(Cached::clean(lane)));
            return Ok(lane.lane);
        };
        if seq > lane.top {
            self.lanes.insert(at, Some(Cached { value: Lane { top: seq, used_ms, ..lane }, dirty: true }));
        }
        Ok(lane.lane)
    }

    /// Counts an item in.
    pub fn count_in(&mut self, weight: &Weight) -> Result<()> {
        let Weight { recipient, submitter, bytes, human } = *weight;
        let pair = self.change_pair(recipient, submitter)?;
        pair.items += 1;
        pair.bytes += bytes;
        let stranger = !pair.accepted;
        let tally = self.change_tally(recipient)?;
        tally.items += 1;
        tally.bytes += bytes;
        tally.human += u64::from(human);
        tally.stranger_items += u64::from(stranger);
        let sender = self.change_tally(submitter)?;
        sender.sent_items += 1;
        sender.sent_bytes += bytes;
        if stranger {
            self.change_head().stranger_bytes += bytes;
        }
        Ok(())
    }

    /// Counts an item out.
    pub fn count_out(&mut self, weight: &Weight) -> Result<()> {
        let Weight { recipient, submitter, bytes, human } = *weight;
        let pair = self.change_pair(recipient, submitter)?;
        less(&mut pair.items, 1)?;
        less(&mut pair.bytes, bytes)?;
        let stranger = !pair.accepted;
        let tally = self.change_tally(recipient)?;
        less(&mut tally.items, 1)?;
        less(&mut tally.bytes, bytes)?;
        less(&mut tally.human, u64::from(human))?;
        less(&mut tally.stranger_items, u64::from(stranger))?;
        let sender = self.change_tally(submitter)?;
        less(&mut sender.sent_items, 1)?;
        less(&mut sender.sent_bytes, bytes)?;
        if stranger {
            less(&mut self.change_head().stranger_bytes, bytes)?;
        }
        Ok(())
    }

    /// Whether anything waits to be written.
    pub fn is_changed(&self) -> bool {
        self.head.dirty
            || self.tallies.values().any(|tally| tally.dirty)
            || self.pairs.values().any(|pair| pair.dirty)
            || self.lanes.values().flatten().any(|lane| lane.dirty)
    }

    /// Writes what was changed. Nothing may be asked of the ledger afterwards.
    pub fn close(self) -> Result<()> {
        for (account, tally) in self.tallies.iter().filter(|(_, tally)| tally.dirty) {
            tally.value.save(self.db, *account)?;
        }
        for ((recipient, submitter), pair) in self.pairs.iter().filter(|(_, pair)| pair.dirty) {
            pair.value.save(self.db, *recipient, *submitter)?;
        }
        let mut raise = self.db.prepare_cached("UPDATE lanes SET top = ?2, used_ms = ?3 WHERE lane = ?1")?;
        for lane in self.lanes.values().flatten().filter(|lane| lane.dirty) {
            raise.execute([lane.value.lane, lane.value.top, lane.value.used_ms])?;
        }
        if self.head.dirty { self.head.value.save(self.db) } else { Ok(()) }
    }
}

/// Takes `by` off a count; a count below zero means that the store is damaged.
pub(super) fn less(count: &mut u64, by: u64) -> Result<()> {
    *count = count.checked_sub(by).ok_or(StoreError::Damaged("a count would fall below zero"))?;
    Ok(())
}

impl Head {
    pub fn load(db: &Connection) -> Result<Self> {
        let sql = "SELECT store_id, commits, item, binding_serial, slot_serial, stranger_bytes, slot_bytes, newest_ms
                   FROM head";
        Ok(db.prepare_cached(sql)?.query_row([], |row| {
            Ok(Self {
                store_id: row.get(0)?,
                commits: count(row, 1)?,
                item: row.get(2)?,
                binding_serial: count(row, 3)?,
                slot_serial: row.get(4)?,
                stranger_bytes: count(row, 5)?,
                slot_bytes: count(row, 6)?,
                newest_ms: row.get(7)?,
            })
        })?)
    }

    fn save(&self, db: &Connection) -> Result<()> {
        let sql = "UPDATE head SET commits = ?1, item = ?2, binding_serial = ?3, slot_serial = ?4, stranger_bytes = ?5,
                   slot_bytes = ?6, newest_ms = ?7";
        db.prepare_cached(sql)?.execute(params![
            self.commits as i64,
            self.item,
            self.binding_serial as i64,
            self.slot_serial,
            self.stranger_bytes as i64,
            self.slot_bytes as i64,
            self.newest_ms
        ])?;
        Ok(())
    }
}

impl Tally {
    pub fn load(db: &Connection, account: i64) -> Result<Self> {
        let sql = "SELECT items, bytes, human, stranger_items, sent_items, sent_bytes, slots, stranger_slots, accepted,
                   accepted_by, sent_slots FROM tallies WHERE account = ?1";
        let read = |row: &Row<'_>| {
            Ok(Self {
                items: count(row, 0)?,
                bytes: count(row, 1)?,
                human: count(row, 2)?,
                stranger_items: count(row, 3)?,
                sent_items: count(row, 4)?,
                sent_bytes: count(row, 5)?,
                slots: count(row, 6)?,
                stranger_slots: count(row, 7)?,
                accepted: count(row, 8)?,
                accepted_by: count(row, 9)?,
                sent_slots: count(row, 10)?,
            })
        };
        Ok(db.prepare_cached(sql)?.query_row([account], read).optional()?.unwrap_or_default())
    }

    fn save(&self, db: &Connection, account: i64) -> Result<()> {
        let counts = [
            self.items,
            self.bytes,
            self.human,
            self.stranger_items,
            self.sent_items,
            self.sent_bytes,
            self.slots,
            self.stranger_slots,
            self.accepted,
            self.accepted_by,
            self.sent_slots,
        ];
        let row = std::iter::once(account).chain(counts.into_iter().map(|count| count as i64));
        db.prepare_cached("REPLACE INTO tallies VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?
            .execute(rusqlite::params_from_iter(row))?;
        Ok(())
    }
}

impl Pair {
    fn load(db: &Connection, recipient: i64, submitter: i64) -> Result<Self> {
        let sql = "SELECT items, bytes, accepted FROM pairs WHERE recipient = ?1 AND submitter = ?2";
        let read = |row: &Row<'_>| Ok(Self { items: count(row, 0)?, bytes: count(row, 1)?, accepted: row.get(2)? });
        Ok(db.prepare_cached(sql)?.query_row([recipient, submitter], read).optional()?.unwrap_or_default())
    }

    /// A pair that says nothing leaves no row.
    fn save(&self, db: &Connection, recipient: i64, submitter: i64) -> Result<()> {
        if *self == Self::default() {
            let sql = "DELETE FROM pairs WHERE recipient = ?1 AND submitter = ?2";
            db.prepare_cached(sql)?.execute([recipient, submitter])?;
        } else {
            let row = params![recipient, submitter, self.items as i64, self.bytes as i64, self.accepted];
            db.prepare_cached("REPLACE INTO pairs VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(row)?;
        }
        Ok(())
    }
}

/// A count kept as a signed number, as SQLite has them.
pub(super) fn count(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(at)? as u64)
}
