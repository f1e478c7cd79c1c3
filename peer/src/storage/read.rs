//! Answering queries: history pages and traces. Every one through an index.

use common::message::MessageId;
use common::planted::{self, Bug};
use peer_core::stored::{Query, QueryResult, StoredMessage, Talk, TraceStep};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::codes::{conversation, id, key, maybe, maybe_id, number, signed, unsigned};

/// A message with its way, and where to find it. For own messages the row of the other person.
macro_rules! messages {
    ($tail:literal) => {
        concat!(
            "SELECT m.n, m.id, m.sender, m.other, m.mine, m.group_id, m.membership, m.kind, m.body, m.sent_at,
                 m.received_at, m.via, m.request, m.urgent, m.waited, m.ordered, m.after,
                 o.state, o.reason, o.via, o.elapsed
             FROM messages m LEFT JOIN outbox o ON o.n = m.n AND o.recipient = m.other ",
            $tail
        )
    };
}

/// One page of a pair's history, newest first.
pub const HISTORY: &str = messages!(
    "WHERE m.group_id = x'' AND m.other = ?1 AND (m.anchor, m.id) < (?2, ?3)
     ORDER BY m.anchor DESC, m.id DESC LIMIT ?4"
);
/// What was not put out yet, by number.
pub const UNSHOWN: &str = messages!("WHERE m.shown = 0 ORDER BY m.n");
const ONE: &str = messages!("WHERE m.n = ?1");

/// Answers a query.
pub fn answer(conn: &Connection, query: &Query) -> Result<QueryResult> {
    match query {
        Query::History { with, before, count } => {
            let (anchor, id) = place(conn, *before)?;
            let mut statement = conn.prepare_cached(HISTORY)?;
            let Talk::Pair(with) = with else { return Ok(QueryResult::History(Vec::new())) };
            let page = statement.query_map(params![with.0, anchor, id.0, count], stored)?;
            let mut page = page.collect::<Result<Vec<_>>>()?;
            page.reverse();
            if planted::is(Bug::SenderClockOrder) {
                page.sort_by_key(|message| message.sent_at_ms);
            }
            Ok(QueryResult::History(page))
        }
        Query::Message(_) => Ok(QueryResult::Message(None)),
        Query::Search { .. } => Ok(QueryResult::History(Vec::new())),
        Query::Trace { n } => {
            let Some(message) = message(conn, signed(*n))? else { return Ok(QueryResult::Trace(None)) };
            Ok(QueryResult::Trace(Some((Box::new(message), steps(conn, *n)?))))
        }
    }
}

/// The place in the history that a page ends before; after everything when no message is named.
fn place(conn: &Connection, before: Option<u64>) -> Result<(i64, MessageId)> {
    let end = (i64::MAX, MessageId([0xff; 16]));
    let Some(n) = before.and_then(|n| i64::try_from(n).ok()) else { return Ok(end) };
    let sql = "SELECT anchor, id FROM messages WHERE n = ?1";
    let found = conn.prepare_cached(sql)?.query_row([n], |row| Ok((row.get(0)?, id(row, 1)?))).optional()?;
    // A number that no message has yet or any more.
    Ok(found.unwrap_or((n, MessageId([0; 16]))))
}

/// The message of number `n`.
pub fn message(conn: &Connection, n: i64) -> Result<Option<StoredMessage>> {
    conn.prepare_cached(ONE)?.query_row([n], stored).optional()
}

/// Messages that were not put out, by number.
pub fn unshown(conn: &Connection) -> Result<Vec<StoredMessage>> {
    conn.prepare(UNSHOWN)?.query_map([], stored)?.collect()
}

fn stored(row: &Row<'_>) -> Result<StoredMessage> {
    let mine: bool = row.get(4)?;
    let state = match maybe(row, 17)? {
        Some(state) if mine => Some((state, maybe(row, 18)?)),
        _ => None,
    };
    Ok(StoredMessage {
        n: number(row, 0)?,
        id: id(row, 1)?,
        sender: key(row, 2)?,
        other: key(row, 3)?,
        mine,
        conversation: conversation(row, 5)?,
        kind: row.get(7)?,
        body: row.get(8)?,
        sent_at_ms: row.get(9)?,
        received_at_ms: row.get(10)?,
        via: maybe(row, if mine { 19 } else { 11 })?,
        request: row.get(12)?,
        urgent: row.get(13)?,
        waited: row.get(14)?,
        ordered: row.get(15)?,
        after: maybe_id(row, 16)?,
        state,
        elapsed_ms: row.get::<_, Option<i64>>(20)?.map_or(0, unsigned),
        quote: None,
        edited: false,
        gone: None,
        reactions: Vec::new(),
        tally: None,
    })
}

fn steps(conn: &Connection, n: u64) -> Result<Vec<TraceStep>> {
    let sql = "SELECT state, what, via, reason, at FROM steps WHERE n = ?1 ORDER BY step";
    let mut statement = conn.prepare_cached(sql)?;
    let steps = statement.query_map([signed(n)], |row| {
        Ok(TraceStep {
            state: maybe(row, 0)?,
            what: row.get(1)?,
            via: maybe(row, 2)?,
            reason: maybe(row, 3)?,
            at_ms: row.get(4)?,
        })
    })?;
    steps.collect()
}
