//! What a messenger needs at its start. Reads what is open or small, never the whole history.

use std::collections::HashMap;

use common::identity::PublicKey;
use common::message::{Conversation, Epoch, MessageId};
use peer_core::stored::{OutboxRow, Snapshot};
use rusqlite::{Connection, OptionalExtension, Result, Row};

use super::codes::{conversation, epoch, id, key, maybe, maybe_id, number};
use super::{codes, facts, files, read, talks, texts};

/// Rows that still have a seq, settled or not: one for each copy. Where a line was taken back the body is empty; the messenger
/// cancels those copies in the turn that takes it back, so none that is on its way is sent empty.
pub const OUTBOX: &str = "SELECT o.n, m.id, o.recipient, o.seq, o.after, m.ordered, m.urgent, m.group_id, m.membership,
        m.sent_at, m.kind, m.body, o.state, o.reason, o.queued_age, o.via, o.elapsed
    FROM outbox o INDEXED BY outbox_lane CROSS JOIN messages m ON m.n = o.n
    WHERE o.seq IS NOT NULL ORDER BY o.recipient, o.seq";
/// Newest own message id.
pub const LAST_ID: &str = "SELECT id FROM messages WHERE sender = ?1 ORDER BY id DESC LIMIT 1";

/// Loads it all.
pub fn load(conn: &Connection, me: &PublicKey, directory_address: &str) -> Result<Snapshot> {
    let lanes = lanes(conn)?;
    Ok(Snapshot {
        meta: facts::meta(conn)?,
        directory: facts::directory(conn, directory_address)?,
        pins: facts::pins(conn)?,
        contacts: facts::contacts(conn)?,
        outbox: conn.prepare(OUTBOX)?.query_map([], outbox_row)?.collect::<Result<_>>()?,
        last_seqs: last_seqs(conn)?,
        held: held(conn, &lanes)?,
        lanes,
        unshown: read::unshown(conn)?,
        last_shown: lasts(conn, "SELECT person, group_id, membership, id FROM last_shown")?,
        last_sent: lasts(conn, "SELECT person, group_id, membership, id FROM last_sent")?,
        last_id: conn.query_row(LAST_ID, [me.0], |row| id(row, 0)).optional()?,
        prekeys: facts::prekeys(conn)?,
        read: talks::read_marks(conn)?,
        durations: talks::durations(conn)?,
        groups: talks::groups(conn)?,
        files: files::open(conn)?,
        homes: talks::homes(conn)?,
        next_vanish_ms: conn.query_row(texts::NEXT, [], |row| number(row, 0)).optional()?,
    })
}

fn outbox_row(row: &Row<'_>) -> Result<OutboxRow> {
    Ok(OutboxRow {
        n: number(row, 0)?,
        id: id(row, 1)?,
        recipient: key(row, 2)?,
        seq: number(row, 3)?,
        after: maybe_id(row, 4)?,
        ordered: row.get(5)?,
        urgent: row.get(6)?,
        conversation: conversation(row, 7)?,
        sent_at_ms: row.get(9)?,
        kind: row.get(10)?,
        body: row.get(11)?,
        state: row.get::<_, codes::Col<_>>(12)?.0,
        reason: maybe(row, 13)?,
        queued_age_ms: number(row, 14)?,
        via: maybe(row, 15)?,
        elapsed_ms: number(row, 16)?,
    })
}

fn last_seqs(conn: &Connection) -> Result<Vec<(PublicKey, u64)>> {
    let mut statement = conn.prepare("SELECT recipient, last_seq FROM out_lanes ORDER BY recipient")?;
    statement.query_map([], |row| Ok((key(row, 0)?, number(row, 1)?)))?.collect()
}

fn lanes(conn: &Connection) -> Result<Vec<(PublicKey, Epoch, u64)>> {
    let mut statement = conn.prepare("SELECT sender, generation, epoch, floor FROM lanes ORDER BY sender")?;
    statement.query_map([], |row| Ok((key(row, 0)?, epoch(row, 1)?, number(row, 3)?)))?.collect()
}

fn held(conn: &Connection, lanes: &[(PublicKey, Epoch, u64)]) -> Result<Vec<(PublicKey, u64, MessageId)>> {
    let floors: HashMap<PublicKey, u64> = lanes.iter().map(|(sender, _, floor)| (*sender, *floor)).collect();
    let mut statement = conn.prepare("SELECT sender, seq, id FROM held ORDER BY sender, seq")?;
    let held = statement.query_map([], |row| Ok((key(row, 0)?, number(row, 1)?, id(row, 2)?)))?;
    let current = |(sender, seq, _): &(PublicKey, u64, MessageId)| floors.get(sender).is_some_and(|floor| seq >= floor);
    held.filter(|row| row.as_ref().map_or(true, current)).collect()
}

fn lasts(conn: &Connection, sql: &str) -> Result<Vec<(PublicKey, Conversation, MessageId)>> {
    let mut statement = conn.prepare(sql)?;
    statement.query_map([], |row| Ok((key(row, 0)?, conversation(row, 1)?, id(row, 3)?)))?.collect()
}
