//! Expiry: what is too old goes, a page at a time, so that no transaction is long.

use common::identity::PublicKey;
use directory_core::StoreResult;
use directory_core::event::ExpireOp;
use rusqlite::params;

use super::ledger::Ledger;
use super::mail::{EXPIRED, Kept};
use super::{StoreError, group_room, lanes, pieces, slots};

pub(super) fn expire(ledger: &mut Ledger<'_>, op: &ExpireOp) -> Result<StoreResult, StoreError> {
    let old = Kept::deposited_before(ledger.db(), op.items_before_ms, op.limit)?;
    for row in &old {
        let made_ms = ledger.stamp(op.now_ms);
        row.remove(ledger)?;
        row.bury(ledger.db(), EXPIRED, made_ms)?;
    }
    let sql = "DELETE FROM tombstones WHERE (lane, seq) IN
               (SELECT lane, seq FROM tombstones WHERE made_ms < ?1 ORDER BY made_ms LIMIT ?2)";
    let tombstones = ledger.db().prepare_cached(sql)?.execute(params![op.tombstones_before_ms, op.limit])?;
    let slots = slots::expire(ledger, op.items_before_ms, op.limit)?;
    // A lane is remembered as long as what became of its items.
    let lanes = lanes::expire(ledger, op.tombstones_before_ms, op.limit)?;
    let groups = group_room::expire(ledger.db(), op.tombstones_before_ms, op.limit)?;
    let more_files = pieces::expire(ledger, op.items_before_ms, op.limit)?;
    let accounts = accounts(ledger, op.accounts_before_ms, op.limit)?;
    let most = [old.len(), tombstones, slots, lanes, groups, accounts].into_iter().max();
    Ok(StoreResult::Expired { more: more_files || most >= Some(op.limit as usize) })
}

/// Forgets keys that have no name, have not logged in since `before_ms`, and have nothing here. Who was ever of a group has:
/// whether they may come back must not be forgotten before the group is. How many they were.
fn accounts(ledger: &mut Ledger<'_>, before_ms: i64, limit: u32) -> Result<usize, StoreError> {
    let sql = "SELECT account, key FROM accounts WHERE folded IS NULL AND touched_ms < ?1
               AND NOT EXISTS (SELECT 1 FROM lanes WHERE submitter = accounts.account)
               AND NOT EXISTS (SELECT 1 FROM tallies t WHERE t.account = accounts.account
                   AND t.items + t.sent_items + t.slots + t.sent_slots + t.accepted + t.accepted_by > 0)
               AND NOT EXISTS (SELECT 1 FROM file_tallies f WHERE f.account = accounts.account AND f.files + f.sent_files > 0)
               AND NOT EXISTS (SELECT 1 FROM group_people p WHERE p.account = accounts.account)
               ORDER BY touched_ms LIMIT ?2";
    let db = ledger.db();
    let gone: Vec<(i64, PublicKey)> = db
        .prepare_cached(sql)?
        .query_map(params![before_ms, limit], |row| Ok((row.get(0)?, PublicKey(row.get(1)?))))?
        .collect::<Result<_, _>>()?;
    for (account, key) in &gone {
        db.prepare_cached("DELETE FROM prekeys WHERE account = ?1")?.execute([account])?;
        db.prepare_cached("DELETE FROM tallies WHERE account = ?1")?.execute([account])?;
        db.prepare_cached("DELETE FROM file_tallies WHERE account = ?1")?.execute([account])?;
        db.prepare_cached("DELETE FROM accounts WHERE account = ?1")?.execute([account])?;
        ledger.forget_account(key, *account);
    }
    Ok(gone.len())
}
