//! Pages of a mailbox, in the order of a drain or of arrival.

use common::identity::PublicKey;
use common::message::EpochId;
use common::wire::directory::Item;
use directory_core::StoreResult;
use directory_core::event::{DrainPosition, PageFrom, PageItem};
use rusqlite::{Row, Statement, params};

use super::StoreError;
use super::ledger::Ledger;

const COLUMNS: &str = "i.item, i.late, i.lane, i.seq, i.prekey, i.waited, i.deposited_ms, l.epoch, a.key,
    length(i.sealed), i.sealed
    FROM items i JOIN lanes l ON l.lane = i.lane JOIN accounts a ON a.account = i.submitter";

/// Numbers of urgent items, read from one index alone: there may be few among many others.
const URGENT: &str = "SELECT item FROM items INDEXED BY items_by_lane
    WHERE recipient = ?1 AND late = 0 AND item > ?2 ORDER BY item LIMIT ?3";

pub(super) fn page(
    ledger: &mut Ledger<'_>,
    recipient: &PublicKey,
    from: PageFrom,
    (limit_items, limit_bytes): (usize, usize),
    urgent_only: bool,
) -> Result<StoreResult, StoreError> {
    let Some(recipient) = ledger.known(recipient)? else {
        return Ok(StoreResult::Page { items: Vec::new(), more: false });
    };
    let mut page = Page { items: Vec::new(), bytes: 0, limit_items: limit_items.max(1), limit_bytes };
    // One more than the page holds tells whether there is more.
    let limit = page.limit_items as i64 + 1;
    let account = recipient.account;
    let more = match from {
        PageFrom::Since { item } if urgent_only => {
            let sql = format!("SELECT {COLUMNS} WHERE i.item IN ({URGENT}) ORDER BY i.item");
            page.fill(&mut *ledger.db().prepare_cached(&sql)?, params![account, item as i64, limit])?
        }
        PageFrom::Since { item } => {
            let sql = format!("SELECT {COLUMNS} WHERE i.recipient = ?1 AND i.item > ?2 ORDER BY i.item LIMIT ?3");
            page.fill(&mut *ledger.db().prepare_cached(&sql)?, params![account, item as i64, limit])?
        }
        PageFrom::Drain { after, newest } => {
            let sql = format!(
                "SELECT {COLUMNS} WHERE i.recipient = ?1 AND (i.late, i.lane, i.seq) > (?2, ?3, ?4) AND i.item <= ?5
                 AND i.late <= ?7 ORDER BY i.late, i.lane, i.seq LIMIT ?6"
            );
            let (late, lane, seq) = after.map_or((-1, 0, 0), |at| (i64::from(!at.urgent), at.lane, at.seq));
            let row = params![account, late, lane as i64, seq as i64, newest as i64, limit, i64::from(!urgent_only)];
            page.fill(&mut *ledger.db().prepare_cached(&sql)?, row)?
        }
    };
    Ok(StoreResult::Page { items: page.items, more })
}

struct Page {
    items: Vec<PageItem>,
    bytes: usize,
    limit_items: usize,
    limit_bytes: usize,
}

impl Page {
    /// Takes rows as long as they fit. Whether there are more.
    fn fill(&mut self, statement: &mut Statement<'_>, row: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<bool> {
        let mut rows = statement.query(row)?;
        while let Some(row) = rows.next()? {
            let bytes = row.get::<_, i64>(9)? as usize;
            let fits = self.items.len() < self.limit_items && self.bytes + bytes <= self.limit_bytes;
            if !fits && !self.items.is_empty() {
                return Ok(true);
            }
            self.bytes += bytes;
            self.items.push(read(row)?);
        }
        Ok(false)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<PageItem> {
    let position = DrainPosition {
        urgent: !row.get::<_, bool>(1)?,
        lane: row.get::<_, i64>(2)? as u64,
        seq: row.get::<_, i64>(3)? as u64,
    };
    let item = Item {
        item: row.get::<_, i64>(0)? as u64,
        submitter: PublicKey(row.get(8)?),
        epoch: EpochId(row.get(7)?),
        seq: position.seq,
        prekey: row.get::<_, i64>(4)? as u64,
        waited: row.get(5)?,
        deposited_at_ms: row.get(6)?,
        sealed: row.get(10)?,
    };
    Ok(PageItem { item, position })
}
