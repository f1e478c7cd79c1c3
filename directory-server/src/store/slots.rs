//! Slots, one a pair and direction, and whom a user has accepted.

use common::identity::PublicKey;
use common::wire::directory::Slot;
use directory_core::StoreResult;
use directory_core::event::PutSlotOp;
use rusqlite::{OptionalExtension, Row, params};

use super::StoreError;
use super::ledger::{Ledger, less};

type Answer = Result<StoreResult, StoreError>;

pub(super) fn put(ledger: &mut Ledger<'_>, op: Box<PutSlotOp>) -> Answer {
    let Some(recipient) = ledger.known(&op.slot.recipient)?.filter(|known| known.registered) else {
        return Ok(StoreResult::SlotRefused);
    };
    let (recipient, submitter) = (recipient.account, ledger.known_or_new(&op.from)?.account);
    let db = ledger.db();
    let replaced = db
        .prepare_cached("DELETE FROM slots WHERE recipient = ?1 AND submitter = ?2")?
        .execute([recipient, submitter])?;
    if replaced == 0 {
        let stranger = !ledger.pair(recipient, submitter)?.accepted;
        let tally = ledger.change_tally(recipient)?;
        if tally.slots >= op.limits.slots || (stranger && tally.stranger_slots >= op.limits.stranger_slots) {
            return Ok(StoreResult::SlotRefused);
        }
        tally.slots += 1;
        tally.stranger_slots += u64::from(stranger);
    }
    let head = ledger.change_head();
    head.slot_serial += 1;
    let serial = head.slot_serial;
    let row = params![serial, recipient, submitter, op.slot.prekey as i64, op.slot.sealed];
    db.prepare_cached("INSERT INTO slots VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(row)?;
    Ok(StoreResult::SlotKept { op, serial: serial as u64 })
}

pub(super) fn take(ledger: &mut Ledger<'_>, recipient: &PublicKey, from: &PublicKey, serial: u64) -> Answer {
    let (Some(recipient), Some(submitter)) = (ledger.known(recipient)?, ledger.known(from)?) else {
        return Ok(StoreResult::Done);
    };
    let (recipient, submitter) = (recipient.account, submitter.account);
    let emptied = ledger
        .db()
        .prepare_cached("DELETE FROM slots WHERE serial = ?1 AND recipient = ?2 AND submitter = ?3")?
        .execute([serial as i64, recipient, submitter])?;
    if emptied > 0 {
        let stranger = !ledger.pair(recipient, submitter)?.accepted;
        let tally = ledger.change_tally(recipient)?;
        less(&mut tally.slots, 1)?;
        less(&mut tally.stranger_slots, u64::from(stranger))?;
    }
    Ok(StoreResult::Done)
}

pub(super) fn page(
    ledger: &mut Ledger<'_>,
    recipient: &PublicKey,
    after_serial: u64,
    limit_slots: usize,
    limit_bytes: usize,
) -> Answer {
    let mut slots: Vec<Slot> = Vec::new();
    let Some(recipient) = ledger.known(recipient)? else {
        return Ok(StoreResult::Slots { slots, more: false });
    };
    let sql = "SELECT s.serial, a.key, s.prekey, s.sealed FROM slots s JOIN accounts a ON a.account = s.submitter
               WHERE s.recipient = ?1 AND s.serial > ?2 ORDER BY s.serial LIMIT ?3";
    let mut statement = ledger.db().prepare_cached(sql)?;
    let limit_slots = limit_slots.max(1);
    let mut rows = statement.query(params![recipient.account, after_serial as i64, limit_slots as i64 + 1])?;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let slot = read(row)?;
        bytes += slot.sealed.len();
        if !slots.is_empty() && (slots.len() >= limit_slots || bytes > limit_bytes) {
            return Ok(StoreResult::Slots { slots, more: true });
        }
        slots.push(slot);
    }
    Ok(StoreResult::Slots { slots, more: false })
}

fn read(row: &Row<'_>) -> rusqlite::Result<Slot> {
    Ok(Slot {
        serial: row.get::<_, i64>(0)? as u64,
        from: PublicKey(row.get(1)?),
        prekey: row.get::<_, i64>(2)? as u64,
        sealed: row.get(3)?,
    })
}

/// What the newly accepted have here counts against no stranger's limit any more.
pub(super) fn accept(ledger: &mut Ledger<'_>, key: &PublicKey, keys: &[PublicKey], limit: u64) -> Answer {
    let recipient = ledger.known_or_new(key)?.account;
    for accepted in keys {
        if ledger.tally(recipient)?.accepted >= limit {
            break;
        }
        let submitter = ledger.known_or_new(accepted)?.account;
        if ledger.pair(recipient, submitter)?.accepted {
            continue;
        }
        let pair = ledger.change_pair(recipient, submitter)?;
        pair.accepted = true;
        let (items, bytes) = (pair.items, pair.bytes);
        let slot: Option<i64> = ledger
            .db()
            .prepare_cached("SELECT serial FROM slots WHERE recipient = ?1 AND submitter = ?2")?
            .query_row([recipient, submitter], |row| row.get(0))
            .optional()?;
        let tally = ledger.change_tally(recipient)?;
        tally.accepted += 1;
        less(&mut tally.stranger_items, items)?;
        less(&mut tally.stranger_slots, u64::from(slot.is_some()))?;
        less(&mut ledger.change_head().stranger_bytes, bytes)?;
    }
    Ok(StoreResult::Done)
}
