//! From the schema of an older version to the current one, in one transaction. Everything stays; what version 1 did not understand is
//! read out of the bodies it kept.

use common::body::Body;
use common::identity::PublicKey;
use peer_core::stored::{Amended, Amendment};
use rusqlite::{Connection, Result, params};

use super::codes::{id, key};
use super::files;
use super::rows::By;
use super::rows::span;
use super::search;
use super::upgrade;
use super::write::Writer;

/// Format written by this program.
pub const SCHEMA_VERSION: i64 = 3;

/// Brings a store of an older version to the current one.
pub fn to_current(conn: &Connection, me: &PublicKey) -> Result<(), super::StoreError> {
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version >= SCHEMA_VERSION {
        return Ok(());
    }
    let transaction = conn.unchecked_transaction()?;
    if version < 2 {
        upgrade::pins(&transaction)?;
        transaction.execute_batch(include_str!("migrate-2.sql"))?;
        transaction.execute_batch(include_str!("talk.sql"))?;
        transaction.execute_batch(search::SCHEMA)?;
        understand(&transaction, *me)?;
    }
    transaction.execute_batch(include_str!("homes.sql"))?;
    transaction.execute_batch(files::SCHEMA)?;
    // What becomes of a file is no line; version 2 kept it as one of a newer kind. Offers that it kept have no row: they cannot be accepted.
    transaction.execute("UPDATE messages SET listed = 0 WHERE kind = 10", [])?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()?;
    Ok(())
}

/// Replies name what they answer; amendments are done; texts that vanish will.
fn understand(tx: &Connection, me: PublicKey) -> Result<()> {
    let mut writer = Writer::new(tx, me)?;
    let mut amendments = Vec::new();
    let mut all = tx.prepare("SELECT n, sender, id, group_id, other, kind, body FROM messages")?;
    let mut rows = all.query([])?;
    let mut replies = tx.prepare("UPDATE messages SET reply_to = ?2, vanishes = ?3 WHERE n = ?1")?;
    while let Some(row) = rows.next()? {
        let n: i64 = row.get(0)?;
        let sender = key(row, 1)?;
        let amendment = |author, target, what| Amendment { author, target, what };
        let amends = match Body::decode(row.get(5)?, row.get_ref(6)?.as_blob()?) {
            Body::Edit(edit) => amendment(sender, edit.target, Amended::Edit(edit.text)),
            Body::Delete(delete) => amendment(sender, delete.target, Amended::Delete),
            Body::Reaction(sign) => amendment(sign.author, sign.target, Amended::Reaction(sign.emoji)),
            body => {
                let vanishes = if let Body::Vanishing(text) = &body { Some(span(text.after_ms)) } else { None };
                let reply_to = body.reply_to().map(|id| id.0);
                if reply_to.is_some() || vanishes.is_some() {
                    replies.execute(params![n, reply_to, vanishes])?;
                }
                continue;
            }
        };
        amendments.push((By { n, sender, id: id(row, 2)?, group: row.get(3)?, other: key(row, 4)? }, amends));
    }
    tx.execute("UPDATE messages SET listed = 0 WHERE kind IN (2, 3, 4, 7, 8)", [])?;
    for (by, amendment) in amendments {
        writer.amend(&by, &amendment)?;
    }
    Ok(())
}
