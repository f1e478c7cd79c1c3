//! What version 2 of the schema says otherwise of pins and rivals.

use common::identity::PublicKey;
use peer_core::stored::Claim;
use rusqlite::{Connection, Result};

use super::codes::number;
use super::facts;

/// In format 1 a rival was noted with the contact, and a pin had no serial of its own.
pub fn pins(transaction: &Connection) -> Result<()> {
    transaction.execute_batch(
        "ALTER TABLE pins ADD COLUMN serial INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE pins ADD COLUMN claims BLOB;
         UPDATE pins SET serial = (SELECT serial FROM contacts WHERE contacts.key = pins.key)
             WHERE key IN (SELECT key FROM contacts);",
    )?;
    let rivals: Vec<([u8; 32], [u8; 32], u64)> = transaction
        .prepare("SELECT key, rival, serial FROM contacts WHERE rival IS NOT NULL")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, number(row, 2)?)))?
        .collect::<Result<_>>()?;
    for (key, rival, serial) in rivals {
        let claim = Claim { key: PublicKey(rival), serial: serial.saturating_add(1) };
        transaction.execute("UPDATE pins SET claims = ?1 WHERE key = ?2", (facts::claims(Some(claim), &[]), key))?;
    }
    transaction.execute_batch("ALTER TABLE contacts DROP COLUMN rival")
}
