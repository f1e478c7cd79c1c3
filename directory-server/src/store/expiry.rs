//! Expiry: what is too old goes, a page at a time, so that no transaction is long.

use directory_core::StoreResult;

use super::StoreError;
use super::ledger::Ledger;
use super::mail::{EXPIRED, Kept};

pub(super) fn expire(
    ledger: &mut Ledger<'_>,
    items_before_ms: i64,
    tombstones_before_ms: i64,
    now_ms: i64,
    limit: u32,
) -> Result<StoreResult, StoreError> {
    let old = Kept::deposited_before(ledger.db(), items_before_ms, limit)?;
    for row in &old {
        row.remove(ledger)?;
        row.bury(ledger.db(), EXPIRED, now_ms)?;
    }
    let sql = "DELETE FROM tombstones WHERE (lane, seq) IN
               (SELECT lane, seq FROM tombstones WHERE made_ms < ?1 ORDER BY made_ms LIMIT ?2)";
    let forgotten = ledger.db().prepare_cached(sql)?.execute([tombstones_before_ms, i64::from(limit)])?;
    let full = limit as usize;
    Ok(StoreResult::Expired { more: old.len() >= full || forgotten >= full })
}
