//! Items: keeping, withdrawing, taking, and what became of them. The order in which they are handed out is elsewhere.

use common::identity::PublicKey;
use common::limits::LANE_WINDOW;
use common::message::EpochId;
use common::planted::{self, Bug};
use common::record::PrekeyRecord;
use common::wire::codec;
use common::wire::directory::{Fate, Place, Refusal, Taking};
use directory_core::StoreResult;
use directory_core::event::{DepositOp, Origin};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::ledger::{Known, Lane, Ledger, Weight};
use super::{StoreError, lanes};

type Answer = Result<StoreResult, StoreError>;

/// How a tombstone's reason is kept.
pub(super) const NOT_OPENED: i64 = 1;
/// How a tombstone's reason is kept.
pub(super) const EXPIRED: i64 = 2;

/// A row of an item, without what is sealed.
pub(super) struct Kept {
    pub item: i64,
    pub lane: i64,
    pub seq: i64,
    pub tag: [u8; 8],
    pub weight: Weight,
}

const COLUMNS: &str = "item, lane, seq, tag, recipient, submitter, length(sealed), human";

impl Kept {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let bytes = row.get::<_, i64>(6)? as u64;
        let weight = Weight { recipient: row.get(4)?, submitter: row.get(5)?, bytes, human: row.get(7)? };
        Ok(Self { item: row.get(0)?, lane: row.get(1)?, seq: row.get(2)?, tag: row.get(3)?, weight })
    }

    /// The item of this number.
    pub fn numbered(db: &Connection, item: i64) -> Result<Option<Self>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM items WHERE item = ?1");
        Ok(db.prepare_cached(&sql)?.query_row([item], Self::read).optional()?)
    }

    /// The item at this place, urgent or not.
    fn placed(db: &Connection, recipient: i64, lane: i64, seq: i64) -> Result<Option<Self>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM items WHERE recipient = ?1 AND late IN (0, 1) AND lane = ?2 AND seq = ?3");
        Ok(db.prepare_cached(&sql)?.query_row([recipient, lane, seq], Self::read).optional()?)
    }

    /// The planted [`Bug::DepositWithoutLane`]: any item of this seq.
    fn anywhere(db: &Connection, recipient: i64, seq: i64) -> Result<Option<Self>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM items WHERE recipient = ?1 AND seq = ?2 LIMIT 1");
        Ok(db.prepare_cached(&sql)?.query_row([recipient, seq], Self::read).optional()?)
    }

    /// The oldest items deposited before `before_ms`, at most `limit`.
    pub fn deposited_before(db: &Connection, before_ms: i64, limit: u32) -> Result<Vec<Self>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM items WHERE deposited_ms < ?1 ORDER BY deposited_ms LIMIT ?2");
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query_map([before_ms, i64::from(limit)], Self::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Removes the item and counts it out.
    pub fn remove(&self, ledger: &mut Ledger<'_>) -> Result<(), StoreError> {
        ledger.db().prepare_cached("DELETE FROM items WHERE item = ?1")?.execute([self.item])?;
        ledger.count_out(&self.weight)
    }

    /// Leaves word of what became of the item. No more of it is kept than the newest seqs of a lane that may be on
    /// their way at once: who is below them has settled it, or asks and deposits again.
    pub fn bury(&self, db: &Connection, fate: i64, now_ms: i64) -> Result<(), StoreError> {
        let below = "SELECT max(top) - ?2 FROM lanes WHERE lane = ?1";
        let below: Option<i64> =
            db.prepare_cached(below)?.query_row([self.lane, LANE_WINDOW as i64], |row| row.get(0))?;
        let below = below.unwrap_or(0);
        db.prepare_cached("DELETE FROM tombstones WHERE lane = ?1 AND seq <= ?2")?.execute([self.lane, below])?;
        if self.seq > below {
            let row = params![self.lane, self.seq, fate, now_ms];
            db.prepare_cached("REPLACE INTO tombstones VALUES (?1, ?2, ?3, ?4)")?.execute(row)?;
        }
        Ok(())
    }
}

pub(super) fn deposit(ledger: &mut Ledger<'_>, mut op: Box<DepositOp>) -> Answer {
    op.now_ms = ledger.stamp(op.now_ms);
    let kept = keep(ledger, &op)?;
    Ok(StoreResult::Deposited { op, kept })
}

fn keep(ledger: &mut Ledger<'_>, op: &DepositOp) -> Result<Result<u64, Refusal>, StoreError> {
    let deposit = &op.deposit;
    let Some(recipient) = ledger.known(&deposit.place.recipient)?.filter(|known| known.registered) else {
        return Ok(Err(Refusal::NoSuchUser));
    };
    if !recipient.prekey {
        return Ok(Err(Refusal::NoPrekey));
    }
    let Ok(seq) = i64::try_from(deposit.place.seq) else { return Ok(Err(Refusal::Invalid)) };
    // Keys cost nothing, names are rationed: what is kept is kept for somebody who took the trouble.
    let Some(submitter) = ledger.known(&op.submitter)?.filter(|known| known.registered) else {
        return Ok(Err(Refusal::NotRegistered));
    };
    let submitter = submitter.account;
    let lane = ledger.lane(submitter, recipient.account, &deposit.place.epoch)?;
    let mut buried = None;
    let mut old = None;
    if let Some(lane) = lane.filter(|lane| seq <= lane.top) {
        old = Kept::placed(ledger.db(), recipient.account, lane.lane, seq)?;
        buried = Some(lane.lane);
    }
    if old.as_ref().is_some_and(|old| old.tag != deposit.tag) {
        return Ok(Err(Refusal::Conflict));
    }
    let weight =
        Weight { recipient: recipient.account, submitter, bytes: deposit.sealed.len() as u64, human: deposit.human };
    if let Some(refusal) = over_limit(ledger, op, &weight, old.as_ref())? {
        return Ok(Err(refusal));
    }
    if let Some(lane) = buried {
        ledger.db().prepare_cached("DELETE FROM tombstones WHERE lane = ?1 AND seq = ?2")?.execute([lane, seq])?;
    }
    if planted::is(Bug::DepositWithoutLane) {
        old = Kept::anywhere(ledger.db(), recipient.account, seq)?;
    }
    if let Some(old) = old {
        old.remove(ledger)?;
    }
    if lane.is_none() {
        lanes::make_room(ledger, submitter, recipient.account)?;
    }
    let lane = ledger.raise_lane(submitter, recipient.account, &deposit.place.epoch, seq, op.now_ms)?;
    ledger.count_in(&weight)?;
    insert(ledger, op, &weight, lane, seq).map(Ok)
}

/// Which limit the item would break; the row it replaces does not count.
fn over_limit(
    ledger: &mut Ledger<'_>,
    op: &DepositOp,
    weight: &Weight,
    old: Option<&Kept>,
) -> Result<Option<Refusal>, StoreError> {
    let limits = &op.limits;
    let (old_items, old_bytes) = old.map_or((0, 0), |old| (1, old.weight.bytes));
    let over = |count: u64, old: u64, more: u64, limit: u64| (count + more).saturating_sub(old) > limit;
    let mailbox = ledger.tally(weight.recipient)?;
    let sender = ledger.tally(weight.submitter)?;
    let pair = ledger.pair(weight.recipient, weight.submitter)?;
    if over(mailbox.items, old_items, 1, limits.mailbox_items)
        || over(mailbox.bytes, old_bytes, weight.bytes, limits.mailbox_bytes)
    {
        return Ok(Some(Refusal::MailboxFull));
    }
    if over(pair.items, old_items, 1, limits.pair_items)
        || over(sender.sent_items, old_items, 1, limits.submitter_items)
        || over(sender.sent_bytes, old_bytes, weight.bytes, limits.submitter_bytes)
    {
        return Ok(Some(Refusal::QuotaExceeded));
    }
    if !pair.accepted
        && (over(mailbox.stranger_items, old_items, 1, limits.stranger_items)
            || over(ledger.head().stranger_bytes, old_bytes, weight.bytes, limits.stranger_bytes_all))
    {
        return Ok(Some(Refusal::StrangersFull));
    }
    Ok(None)
}

fn insert(ledger: &mut Ledger<'_>, op: &DepositOp, weight: &Weight, lane: i64, seq: i64) -> Result<u64, StoreError> {
    let deposit = &op.deposit;
    let head = ledger.change_head();
    head.item += 1;
    let item = head.item;
    let sql = "INSERT INTO items VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    ledger.db().prepare_cached(sql)?.execute(params![
        item,
        weight.recipient,
        !deposit.urgent,
        lane,
        seq,
        weight.submitter,
        deposit.human,
        op.waited,
        deposit.prekey as i64,
        deposit.tag,
        op.now_ms,
        deposit.sealed
    ])?;
    Ok(item as u64)
}

/// A place's lane and seq, if anything was ever deposited there or above.
fn find(ledger: &mut Ledger<'_>, submitter: Known, place: &Place) -> Result<Option<(Known, Lane, i64)>, StoreError> {
    let Some(recipient) = ledger.known(&place.recipient)? else { return Ok(None) };
    let Ok(seq) = i64::try_from(place.seq) else { return Ok(None) };
    let lane = ledger.lane(submitter.account, recipient.account, &place.epoch)?;
    Ok(lane.filter(|lane| seq <= lane.top).map(|lane| (recipient, lane, seq)))
}

pub(super) fn withdraw(ledger: &mut Ledger<'_>, submitter: &PublicKey, places: &[Place]) -> Answer {
    let Some(submitter) = ledger.known(submitter)? else { return Ok(StoreResult::Done) };
    for place in places {
        let Some((recipient, lane, seq)) = find(ledger, submitter, place)? else { continue };
        if let Some(row) = Kept::placed(ledger.db(), recipient.account, lane.lane, seq)? {
            row.remove(ledger)?;
        }
    }
    Ok(StoreResult::Done)
}

pub(super) fn have(ledger: &mut Ledger<'_>, submitter: &PublicKey, places: &[Place]) -> Answer {
    let submitter = ledger.known(submitter)?;
    let mut fates = Vec::with_capacity(places.len());
    for place in places {
        fates.push(match submitter {
            Some(submitter) => fate(ledger, submitter, place)?,
            None => Fate::Unknown,
        });
    }
    Ok(StoreResult::Fates(fates))
}

fn fate(ledger: &mut Ledger<'_>, submitter: Known, place: &Place) -> Result<Fate, StoreError> {
    let Some((recipient, lane, seq)) = find(ledger, submitter, place)? else { return Ok(Fate::Unknown) };
    let db = ledger.db();
    if Kept::placed(db, recipient.account, lane.lane, seq)?.is_some() {
        return Ok(Fate::Held);
    }
    let sql = "SELECT fate FROM tombstones WHERE lane = ?1 AND seq = ?2";
    let buried: Option<i64> = db.prepare_cached(sql)?.query_row([lane.lane, seq], |row| row.get(0)).optional()?;
    match buried {
        None => Ok(Fate::Taken),
        Some(NOT_OPENED) => Ok(Fate::NotOpened),
        Some(EXPIRED) => Ok(Fate::Expired),
        Some(_) => Err(StoreError::Damaged("a tombstone of no known sort")),
    }
}

/// The prekey in the result is loaded only when something could not be opened: nobody else needs it.
pub(super) fn take(ledger: &mut Ledger<'_>, recipient: &PublicKey, items: &[(u64, Taking)], now_ms: i64) -> Answer {
    let mut not_opened = Vec::new();
    let Some(recipient) = ledger.known(recipient)? else {
        return Ok(StoreResult::Taken { not_opened, prekey: None });
    };
    for (item, taking) in items {
        let Some(row) = Kept::numbered(ledger.db(), *item as i64)? else { continue };
        if row.weight.recipient != recipient.account {
            continue;
        }
        row.remove(ledger)?;
        match taking {
            Taking::Stored => {}
            Taking::NotOpened => {
                let made_ms = ledger.stamp(now_ms);
                row.bury(ledger.db(), NOT_OPENED, made_ms)?;
                not_opened.push(origin(ledger.db(), &row)?);
            }
        }
    }
    let prekey = if not_opened.is_empty() { None } else { prekey(ledger.db(), recipient.account)? };
    Ok(StoreResult::Taken { not_opened, prekey })
}

fn origin(db: &Connection, row: &Kept) -> Result<Origin, StoreError> {
    let sql = "SELECT a.key, l.epoch FROM lanes l JOIN accounts a ON a.account = l.submitter WHERE l.lane = ?1";
    let (key, epoch) = db.prepare_cached(sql)?.query_row([row.lane], |found| Ok((found.get(0)?, found.get(1)?)))?;
    Ok(Origin { submitter: PublicKey(key), epoch: EpochId(epoch), seq: row.seq as u64 })
}

fn prekey(db: &Connection, account: i64) -> Result<Option<PrekeyRecord>, StoreError> {
    let sql = "SELECT record FROM prekeys WHERE account = ?1";
    let bytes: Option<Vec<u8>> = db.prepare_cached(sql)?.query_row([account], |row| row.get(0)).optional()?;
    Ok(bytes.map(|bytes| codec::decode(&bytes)).transpose()?)
}
