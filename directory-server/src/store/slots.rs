//! Slots, one a pair and direction, and whom a user has accepted.

use common::identity::PublicKey;
use common::wire::directory::Slot;
use directory_core::StoreResult;
use directory_core::event::PutSlotOp;
use rusqlite::{OptionalExtension, Row, params};

use super::ledger::{Ledger, count, less};
use super::{StoreError, pieces};

type Answer = Result<StoreResult, StoreError>;

pub(super) fn put(ledger: &mut Ledger<'_>, op: Box<PutSlotOp>) -> Answer {
    let named = |ledger: &mut Ledger<'_>, key| Ok::<_, StoreError>(ledger.known(key)?.filter(|known| known.registered));
    let (Some(recipient), Some(submitter)) = (named(ledger, &op.slot.recipient)?, named(ledger, &op.from)?) else {
        return Ok(StoreResult::SlotRefused);
    };
    let (recipient, submitter) = (recipient.account, submitter.account);
    let old: Option<u64> = ledger
        .db()
        .prepare_cached("SELECT length(sealed) FROM slots WHERE recipient = ?1 AND submitter = ?2")?
        .query_row([recipient, submitter], |row| count(row, 0))
        .optional()?;
    let bytes = op.slot.sealed.len() as u64;
    let others = ledger.head().slot_bytes.saturating_sub(old.unwrap_or(0));
    let grows = old.is_none_or(|old| bytes > old);
    if grows && (!op.may_grow || others + bytes > op.limits.slot_bytes_all) {
        return Ok(StoreResult::SlotRefused);
    }
    match old {
        Some(old) => {
            let sql = "DELETE FROM slots WHERE recipient = ?1 AND submitter = ?2";
            ledger.db().prepare_cached(sql)?.execute([recipient, submitter])?;
            count_out(ledger, recipient, submitter, old)?;
        }
        None => {
            let stranger = !ledger.pair(recipient, submitter)?.accepted;
            let tally = ledger.tally(recipient)?;
            if tally.slots >= op.limits.slots || (stranger && tally.stranger_slots >= op.limits.stranger_slots) {
                return Ok(StoreResult::SlotRefused);
            }
        }
    }
    count_in(ledger, recipient, submitter, bytes)?;
    let made_ms = ledger.stamp(op.now_ms);
    let head = ledger.change_head();
    head.slot_serial += 1;
    let serial = head.slot_serial;
    let row = params![serial, recipient, submitter, op.slot.prekey as i64, made_ms, op.slot.sealed];
    ledger.db().prepare_cached("INSERT INTO slots VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(row)?;
    Ok(StoreResult::SlotKept { op, serial: serial as u64 })
}

fn count_in(ledger: &mut Ledger<'_>, recipient: i64, submitter: i64, bytes: u64) -> Result<(), StoreError> {
    let stranger = !ledger.pair(recipient, submitter)?.accepted;
    let tally = ledger.change_tally(recipient)?;
    tally.slots += 1;
    tally.stranger_slots += u64::from(stranger);
    ledger.change_tally(submitter)?.sent_slots += 1;
    ledger.change_head().slot_bytes += bytes;
    Ok(())
}

fn count_out(ledger: &mut Ledger<'_>, recipient: i64, submitter: i64, bytes: u64) -> Result<(), StoreError> {
    let stranger = !ledger.pair(recipient, submitter)?.accepted;
    let tally = ledger.change_tally(recipient)?;
    less(&mut tally.slots, 1)?;
    less(&mut tally.stranger_slots, u64::from(stranger))?;
    less(&mut ledger.change_tally(submitter)?.sent_slots, 1)?;
    less(&mut ledger.change_head().slot_bytes, bytes)
}

pub(super) fn take(ledger: &mut Ledger<'_>, recipient: &PublicKey, from: &PublicKey, serial: u64) -> Answer {
    let (Some(recipient), Some(submitter)) = (ledger.known(recipient)?, ledger.known(from)?) else {
        return Ok(StoreResult::Done);
    };
    let (recipient, submitter) = (recipient.account, submitter.account);
    let emptied: Option<u64> = ledger
        .db()
        .prepare_cached(
            "DELETE FROM slots WHERE serial = ?1 AND recipient = ?2 AND submitter = ?3 RETURNING length(sealed)",
        )?
        .query_row([serial as i64, recipient, submitter], |row| count(row, 0))
        .optional()?;
    if let Some(bytes) = emptied {
        count_out(ledger, recipient, submitter, bytes)?;
    }
    Ok(StoreResult::Done)
}

/// Empties slots filled before `before_ms`, at most `limit`: their writers say it anew when they meet. How many.
pub(super) fn expire(ledger: &mut Ledger<'_>, before_ms: i64, limit: u32) -> Result<usize, StoreError> {
    // Serials grow with time: the oldest come first, without an index.
    let sql = "SELECT serial, recipient, submitter, length(sealed), made_ms FROM slots ORDER BY serial LIMIT ?1";
    let db = ledger.db();
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([limit])?;
    let mut old = Vec::new();
    while let Some(row) = rows.next()?
        && row.get::<_, i64>(4)? < before_ms
    {
        old.push((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, count(row, 3)?));
    }
    for (serial, recipient, submitter, bytes) in &old {
        db.prepare_cached("DELETE FROM slots WHERE serial = ?1")?.execute([serial])?;
        count_out(ledger, *recipient, *submitter, *bytes)?;
    }
    Ok(old.len())
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

/// What the newly accepted have here counts against no stranger's limit any more. Keys without a name are passed over:
/// they can leave nothing here, and a peer says whom it has accepted at each login.
pub(super) fn accept(ledger: &mut Ledger<'_>, key: &PublicKey, keys: &[PublicKey], limit: u64) -> Answer {
    let Some(recipient) = ledger.known(key)?.filter(|known| known.registered) else { return Ok(StoreResult::Done) };
    let recipient = recipient.account;
    for accepted in keys {
        if ledger.tally(recipient)?.accepted >= limit {
            break;
        }
        let Some(submitter) = ledger.known(accepted)?.filter(|known| known.registered) else { continue };
        let submitter = submitter.account;
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
        ledger.change_tally(submitter)?.accepted_by += 1;
        pieces::accepted(ledger.db(), recipient, submitter)?;
    }
    Ok(StoreResult::Done)
}
