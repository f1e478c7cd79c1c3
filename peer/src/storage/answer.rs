//! Answering queries: history pages, single messages, searches and traces. Every one through an index.

use common::message::MessageId;
use common::planted::{self, Bug};
use peer_core::stored::{Query, QueryResult, StoredMessage, Talk, TraceStep, Which};
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::codes::{id, maybe, signed};
use super::read::{BY_ID, GROUP_HISTORY, HISTORY, complete, found, listed, message};
use super::search;

/// Answers a query.
pub fn answer(conn: &Connection, query: &Query) -> Result<QueryResult> {
    match query {
        Query::History { with, before, count } => {
            let (anchor, id) = place(conn, *before)?;
            let (sql, whose): (_, &[u8]) = match with {
                Talk::Pair(key) => (HISTORY, &key.0),
                Talk::Group(id) => (GROUP_HISTORY, id),
            };
            let mut statement = conn.prepare_cached(sql)?;
            let page = statement.query_map(params![whose, anchor, id.0, count], found)?;
            let page = page.map(|row| complete(conn, row?).map(|found| found.message));
            let mut page = page.collect::<Result<Vec<_>>>()?;
            page.reverse();
            if planted::is(Bug::SenderClockOrder) {
                page.sort_by_key(|message| message.sent_at_ms);
            }
            Ok(QueryResult::History(page))
        }
        Query::Message(which) => {
            let n = match which {
                Which::Number(n) => Some(signed(*n)),
                Which::Id(id) => number_of(conn, id)?,
            };
            let message = n.map(|n| message(conn, n)).transpose()?.flatten();
            Ok(QueryResult::Message(message.map(Box::new)))
        }
        Query::Search { words, within, count } => Ok(QueryResult::History(hits(conn, words, within.as_ref(), *count)?)),
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

/// The number of one's own message of this id, or else of anybody's.
fn number_of(conn: &Connection, id: &MessageId) -> Result<Option<i64>> {
    let mut statement = conn.prepare_cached(BY_ID)?;
    let all = statement.query_map([id.0], |row| Ok((!row.get::<_, bool>(1)?, row.get::<_, i64>(0)?)))?;
    Ok(all.collect::<Result<Vec<_>>>()?.into_iter().min().map(|(_, n)| n))
}

/// The newest `count` lines in the index that hold all of these, oldest first. What waits for a group's chain is in none yet.
fn hits(conn: &Connection, words: &[String], within: Option<&Talk>, count: u32) -> Result<Vec<StoredMessage>> {
    let Some(expression) = search::expression(words, within) else { return Ok(Vec::new()) };
    let sql = "SELECT rowid FROM search WHERE search MATCH ?1 ORDER BY rowid DESC";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([expression])?;
    let mut found = Vec::new();
    while found.len() < count as usize
        && let Some(row) = rows.next()?
    {
        let Some(hit) = listed(conn, row.get(0)?)? else { continue };
        if within.is_none_or(|talk| hit.message.talk() == *talk) {
            found.push(hit);
        }
    }
    found.sort_by_key(|hit| (hit.anchor, hit.message.id));
    Ok(found.into_iter().map(|hit| hit.message).collect())
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
