//! Which lanes are forgotten: a pair has few epochs, and what is long silent needs no number. What is in a lane, and
//! its highest seq, is elsewhere.

use rusqlite::{Connection, params};

use super::StoreError;
use super::ledger::Ledger;

/// Lanes that one submitter has to one recipient. A new one takes the place of the oldest that holds no item. Of what
/// was in it nothing is known any more: its submitter deposits again, and the recipient drops the double.
pub(super) const PER_PAIR_MAX: i64 = 16;

const EMPTY: &str = "NOT EXISTS (SELECT 1 FROM items i
    WHERE i.recipient = lanes.recipient AND i.late IN (0, 1) AND i.lane = lanes.lane)";

/// Makes room for one more lane of a pair.
pub(super) fn make_room(ledger: &mut Ledger<'_>, submitter: i64, recipient: i64) -> Result<(), StoreError> {
    let db = ledger.db();
    let sql = "SELECT count(*) FROM lanes WHERE submitter = ?1 AND recipient = ?2";
    let lanes: i64 = db.prepare_cached(sql)?.query_row([submitter, recipient], |row| row.get(0))?;
    if lanes < PER_PAIR_MAX {
        return Ok(());
    }
    let sql =
        format!("SELECT lane FROM lanes WHERE submitter = ?1 AND recipient = ?2 AND {EMPTY} ORDER BY lane LIMIT ?3");
    let gone = numbers(db, &sql, params![submitter, recipient, lanes - PER_PAIR_MAX + 1])?;
    delete(ledger, &gone)
}

/// Forgets lanes in which nothing is and nothing was deposited since `before_ms`, at most `limit`. How many they were.
pub(super) fn expire(ledger: &mut Ledger<'_>, before_ms: i64, limit: u32) -> Result<usize, StoreError> {
    let sql = format!("SELECT lane FROM lanes WHERE used_ms < ?1 AND {EMPTY} ORDER BY used_ms LIMIT ?2");
    let gone = numbers(ledger.db(), &sql, params![before_ms, limit])?;
    delete(ledger, &gone)?;
    Ok(gone.len())
}

fn numbers(db: &Connection, sql: &str, row: &[&dyn rusqlite::ToSql]) -> Result<Vec<i64>, StoreError> {
    Ok(db.prepare_cached(sql)?.query_map(row, |row| row.get(0))?.collect::<Result<_, _>>()?)
}

fn delete(ledger: &mut Ledger<'_>, gone: &[i64]) -> Result<(), StoreError> {
    for lane in gone {
        ledger.db().prepare_cached("DELETE FROM tombstones WHERE lane = ?1")?.execute([lane])?;
        ledger.db().prepare_cached("DELETE FROM lanes WHERE lane = ?1")?.execute([lane])?;
    }
    ledger.forget_lanes(gone);
    Ok(())
}
