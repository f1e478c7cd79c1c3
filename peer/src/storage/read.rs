//! Answering queries: history pages, single messages, searches and traces. Every one through an index.

use common::body::Body;
use common::identity::PublicKey;
use common::message::{Conversation, MessageId};
use common::planted::{self, Bug};
use peer_core::stored::{Query, QueryResult, Quote, Reason, State, StoredMessage, Talk, Tally, TraceStep, Via, Which};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::codes::{conversation, id, key, maybe, maybe_id, number, signed, unsigned};
use super::{chains, files, search};

/// A message with its way, and where to find it. For own messages the row of the other person.
macro_rules! messages {
    ($tail:literal) => {
        concat!(
            "SELECT m.n, m.id, m.sender, m.other, m.mine, m.group_id, m.membership, m.kind, m.body, m.sent_at,
                 m.received_at, m.via, m.request, m.urgent, m.waited, m.ordered, m.after,
                 o.state, o.reason, o.via, o.elapsed, m.reply_to, m.edit_id, m.gone, m.anchor
             FROM messages m LEFT JOIN outbox o ON o.n = m.n AND o.recipient = m.other ",
            $tail
        )
    };
}

/// One page of a pair's history, newest first.
pub const HISTORY: &str = messages!(
    "WHERE m.group_id = x'' AND m.listed = 1 AND m.other = ?1 AND (m.anchor, m.id) < (?2, ?3)
     ORDER BY m.anchor DESC, m.id DESC LIMIT ?4"
);
/// One page of a group's, without what waits for the word on whether its writer was a member.
pub const GROUP_HISTORY: &str = messages!(
    "WHERE m.group_id <> x'' AND m.listed = 1 AND m.group_id = ?1 AND m.shown = 1 AND (m.anchor, m.id) < (?2, ?3)
     ORDER BY m.anchor DESC, m.id DESC LIMIT ?4"
);
/// What was not put out yet, by number.
pub const UNSHOWN: &str = messages!("WHERE m.shown = 0 ORDER BY m.n");
const ONE: &str = messages!("WHERE m.n = ?1");
const LISTED: &str = messages!("WHERE m.n = ?1 AND m.listed = 1 AND (m.shown = 1 OR m.group_id = x'')");
/// Whose messages have this id: every sender is looked at, and no message between.
pub const BY_ID: &str = "WITH RECURSIVE senders (sender) AS (
        SELECT min(sender) FROM messages
        UNION ALL SELECT (SELECT min(m.sender) FROM messages m WHERE m.sender > senders.sender) FROM senders
            WHERE senders.sender IS NOT NULL)
    SELECT m.n, m.mine FROM senders CROSS JOIN messages m ON m.sender = senders.sender AND m.id = ?1";
/// The line of this writer and id.
pub const QUOTED: &str =
    "SELECT n, sender, kind, body, gone IS NULL, group_id, other FROM messages WHERE sender = ?1 AND id = ?2";
/// The lines of this group and id: of one writer, unless somebody takes an id that is in use.
pub const QUOTED_IN_GROUP: &str = "SELECT n, sender, kind, body, gone IS NULL, group_id, other, shown FROM messages
    WHERE group_id = ?1 AND group_id <> x'' AND id = ?2 AND listed = 1";

/// A row of [`messages`], and what of it does not stand in a [`StoredMessage`].
pub struct Found {
    /// Without quote, reactions and tally before they were looked for.
    pub message: StoredMessage,
    /// Place in the history, beside the id.
    pub anchor: i64,
    reply_to: Option<MessageId>,
}

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
        Query::Files { count } => Ok(QueryResult::Files(files::newest(conn, *count)?)),
        Query::Trace { n } => {
            let Some(message) = message(conn, signed(*n))? else { return Ok(QueryResult::Trace(None)) };
            Ok(QueryResult::Trace(Some((Box::new(message), steps(conn, *n)?))))
        }
        Query::Steps { group, after, count } => {
            Ok(QueryResult::Steps(chains::steps_after(conn, group, *after, *count)?))
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

/// The message of number `n`.
pub fn message(conn: &Connection, n: i64) -> Result<Option<StoredMessage>> {
    let row = conn.prepare_cached(ONE)?.query_row([n], found).optional()?;
    Ok(row.map(|found| complete(conn, found)).transpose()?.map(|found| found.message))
}

/// The line of number `n`, if it is listed in a history.
fn listed(conn: &Connection, n: i64) -> Result<Option<Found>> {
    let row = conn.prepare_cached(LISTED)?.query_row([n], found).optional()?;
    row.map(|found| complete(conn, found)).transpose()
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

/// Messages that were not put out, by number.
pub fn unshown(conn: &Connection) -> Result<Vec<StoredMessage>> {
    let mut statement = conn.prepare(UNSHOWN)?;
    let rows = statement.query_map([], found)?;
    rows.map(|row| complete(conn, row?).map(|found| found.message)).collect()
}

fn found(row: &Row<'_>) -> Result<Found> {
    let mine: bool = row.get(4)?;
    let state = match maybe(row, 17)? {
        Some(state) if mine => Some((state, maybe(row, 18)?)),
        _ => None,
    };
    let gone = maybe(row, 23)?;
    let message = StoredMessage {
        n: number(row, 0)?,
        id: id(row, 1)?,
        sender: key(row, 2)?,
        other: key(row, 3)?,
        mine,
        conversation: conversation(row, 5)?,
        kind: row.get(7)?,
        // Something forgotten may still have to be delivered.
        body: if gone.is_some() { Vec::new() } else { row.get(8)? },
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
        edited: maybe_id(row, 22)?.is_some(),
        gone,
        reactions: Vec::new(),
        tally: None,
    };
    Ok(Found { message, anchor: row.get(24)?, reply_to: maybe_id(row, 21)? })
}

/// With what stands elsewhere.
fn complete(conn: &Connection, mut found: Found) -> Result<Found> {
    let message = &mut found.message;
    if let Some(reply_to) = found.reply_to.filter(|_| message.gone.is_none()) {
        message.quote = quote(conn, message, &reply_to)?.map(Box::new);
    }
    message.reactions = reactions(conn, message.n)?;
    if message.mine && message.conversation != Conversation::Pair {
        let (tally, way) = tally(conn, signed(message.n))?;
        message.tally = Some(tally);
        if let Some(way) = way {
            message.state = Some((way.state, way.reason));
            (message.via, message.elapsed_ms) = (way.via, way.elapsed_ms);
        }
    }
    Ok(found)
}

/// The line that a message answers: of the same conversation, so that nobody's reply shows what is not of it.
fn quote(conn: &Connection, of: &StoredMessage, id: &MessageId) -> Result<Option<Quote>> {
    let talk = of.talk();
    if let Talk::Group(group) = talk {
        let mut statement = conn.prepare_cached(QUOTED_IN_GROUP)?;
        let read = |row: &Row<'_>| Ok((quoted(row)?.0, row.get::<_, bool>(7)?));
        let found = statement.query_map(params![group, id.0], read)?.collect::<Result<Vec<_>>>()?;
        // A reply names an id and no writer. Where two have it, one of them took it to be quoted for the other; what was
        // not shown yet may be an outsider's, and takes nothing from what was.
        let any_shown = found.iter().any(|(_, shown)| *shown);
        let mut lines = found.into_iter().filter(|(_, shown)| *shown || !any_shown);
        let (Some((quote, _)), None) = (lines.next(), lines.next()) else { return Ok(None) };
        return Ok(quote);
    }
    // Of the two people of a pair: the other one, and oneself.
    for writer in [Some(of.other), own_key(conn)?].into_iter().flatten() {
        let mut statement = conn.prepare_cached(QUOTED)?;
        if let Some((Some(quote), of)) = statement.query_row(params![writer.0, id.0], quoted).optional()?
            && of == talk
        {
            return Ok(Some(quote));
        }
    }
    Ok(None)
}

fn own_key(conn: &Connection) -> Result<Option<PublicKey>> {
    conn.prepare_cached("SELECT me FROM store")?.query_row([], |row| key(row, 0)).optional()
}

/// None: no line. And the conversation it belongs to.
fn quoted(row: &Row<'_>) -> Result<(Option<Quote>, Talk)> {
    let (kind, there) = (row.get(2)?, row.get::<_, bool>(4)?);
    let body = if there { row.get(3)? } else { Vec::new() };
    let quote = Quote { n: number(row, 0)?, sender: key(row, 1)?, kind, body };
    let pair = row.get_ref(5)?.as_blob().is_ok_and(<[u8]>::is_empty);
    let talk = if pair { Talk::Pair(key(row, 6)?) } else { Talk::Group(row.get(5)?) };
    Ok((Body::is_line(kind).then_some(quote), talk))
}

fn reactions(conn: &Connection, n: u64) -> Result<Vec<(PublicKey, String)>> {
    let sql = "SELECT person, sign FROM reactions WHERE n = ?1 AND sign <> '' ORDER BY id, person";
    let mut statement = conn.prepare_cached(sql)?;
    statement.query_map([signed(n)], |row| Ok((key(row, 0)?, row.get(1)?)))?.collect()
}

/// Where one copy of a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    state: State,
    reason: Option<Reason>,
    via: Option<Via>,
    elapsed_ms: u64,
}

/// How many copies of message `n` are where, and the one that stands for all: of those least far the one that changed last. One
/// held stands for all only when none is queued.
pub fn tally(conn: &Connection, n: i64) -> Result<(Tally, Option<Way>)> {
    let sql = "SELECT state, reason, via, elapsed FROM outbox WHERE n = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([n])?;
    let (mut tally, mut of_all) = (Tally::default(), None::<(u8, Way)>);
    while let Some(row) = rows.next()? {
        let Some(state) = maybe(row, 0)? else { continue };
        let way = Way { state, reason: maybe(row, 1)?, via: maybe(row, 2)?, elapsed_ms: number(row, 3)? };
        tally.total += 1;
        let (count, far) = match state {
            State::Queued => (&mut tally.waiting, 0),
            State::Held => (&mut tally.waiting, 1),
            State::Kept => (&mut tally.kept, 2),
            State::Delivered | State::Read => (&mut tally.delivered, 3),
            State::Expired | State::Refused | State::Cancelled => (&mut tally.ended, 4),
        };
        *count += 1;
        let before =
            of_all.is_some_and(|(least, one)| least < far || (least == far && one.elapsed_ms > way.elapsed_ms));
        if !before {
            of_all = Some((far, way));
        }
    }
    Ok((tally, of_all.map(|(_, way)| way)))
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
