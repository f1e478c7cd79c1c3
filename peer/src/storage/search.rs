//! Full-text search. Lines enter the index behind everybody's back, newest first: nothing that is sent or received waits for it.
//! The words of a line that is gone are taken out in the transaction that takes them from the line.

use common::body::Body;
use peer_core::stored::Talk;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

/// The index itself.
pub const SCHEMA: &str = include_str!("search.sql");
/// Numbers looked at in one go.
pub const BATCH: i64 = 512;
/// Goes before a search; what is older and not in the index then is not found yet.
pub const BATCHES_BEFORE_SEARCH: usize = 4;
/// From so many lines on the index is made anew instead of taking out one after the other.
const REMADE_FROM: usize = 2_000;

/// A word that stands for a conversation. Two may share one: hits are looked at again.
fn talk_word(group: &[u8], other: &[u8]) -> String {
    let (prefix, whose) = if group.is_empty() { ('p', other) } else { ('g', group) };
    let number = whose.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{prefix}{number:016x}")
}

const PUT: &str = "INSERT INTO search (rowid, text, talk) VALUES (?1, ?2, ?3)";
/// Lines between two numbers, as they are to be found.
pub const LINES: &str = "SELECT n, kind, body, group_id, other FROM messages
    WHERE n BETWEEN ?1 AND ?2 AND listed = 1 AND gone IS NULL ORDER BY n";

fn put(conn: &Connection, row: &Row<'_>) -> Result<()> {
    let body = Body::decode(row.get(1)?, row.get_ref(2)?.as_blob()?);
    let Some(text) = body.text() else { return Ok(()) };
    let talk = talk_word(row.get_ref(3)?.as_blob()?, row.get_ref(4)?.as_blob()?);
    conn.prepare_cached(PUT)?.execute(params![row.get::<_, i64>(0)?, text, talk])?;
    Ok(())
}

/// Notes numbers that were given since the last time. How many are not in the index.
fn missing(conn: &Connection) -> Result<i64> {
    let sql =
        "SELECT (SELECT up_to FROM searched), coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0)";
    let (up_to, last): (i64, i64) = conn.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if last > up_to {
        let grown = conn.prepare_cached("UPDATE unsearched SET last = ?2 WHERE last = ?1")?.execute([up_to, last])?;
        if grown == 0 {
            let sql = "INSERT INTO unsearched (first, last) VALUES (?1, ?2)";
            conn.prepare_cached(sql)?.execute([up_to + 1, last])?;
        }
        conn.prepare_cached("UPDATE searched SET up_to = ?1")?.execute([last])?;
    }
    conn.prepare_cached("SELECT coalesce(sum(last - first + 1), 0) FROM unsearched")?.query_row([], |row| row.get(0))
}

/// How many numbers are not in the index. Writes nothing.
pub fn backlog(conn: &Connection) -> Result<i64> {
    let sql =
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0) - (SELECT up_to FROM searched)
                   + coalesce((SELECT sum(last - first + 1) FROM unsearched), 0)";
    conn.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

/// Takes the newest lines that are not in the index into it, in the transaction open on `conn`. Whether more are left.
pub fn index(conn: &Connection) -> Result<bool> {
    let left = missing(conn)?;
    let sql = "SELECT first, last FROM unsearched ORDER BY first DESC LIMIT 1";
    let range: Option<(i64, i64)> =
        conn.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((first, last)) = range else { return Ok(false) };
    let from = first.max(last - BATCH + 1);
    let mut lines = conn.prepare_cached(LINES)?;
    let mut rows = lines.query([from, last])?;
    while let Some(row) = rows.next()? {
        put(conn, row)?;
    }
    if from == first {
        conn.prepare_cached("DELETE FROM unsearched WHERE first = ?1")?.execute([first])?;
    } else {
        conn.prepare_cached("UPDATE unsearched SET last = ?2 WHERE first = ?1")?.execute([first, from - 1])?;
    }
    Ok(left > last - from + 1)
}

/// Takes line `n` out.
pub fn remove(conn: &Connection, n: i64) -> Result<()> {
    conn.prepare_cached("DELETE FROM search WHERE rowid = ?1")?.execute([n])?;
    Ok(())
}

/// The words or the conversation of line `n` have changed.
pub fn again(conn: &Connection, n: i64) -> Result<()> {
    let found = conn.prepare_cached("SELECT 1 FROM search WHERE rowid = ?1")?.exists([n])?;
    if !found {
        return Ok(());
    }
    remove(conn, n)?;
    let mut line = conn.prepare_cached(LINES)?;
    let mut rows = line.query([n, n])?;
    rows.next()?.map_or(Ok(()), |row| put(conn, row))
}

/// Takes these lines out, which have still to be overwritten.
pub fn remove_all(conn: &Connection, numbers: &[i64]) -> Result<()> {
    if numbers.len() < REMADE_FROM {
        return numbers.iter().try_for_each(|n| remove(conn, *n));
    }
    conn.execute_batch("DROP TABLE search")?;
    conn.execute_batch(SCHEMA)?;
    conn.execute_batch("DELETE FROM unsearched; UPDATE searched SET up_to = 0")
}

/// What the user typed as an expression of the index: every word and phrase in quotes, so that none of it is syntax. None: no
/// word in it.
/// The words as the index is asked for them; none when there is nothing to look for.
pub fn expression(words: &[String], within: Option<&Talk>) -> Option<String> {
    let quoted = |word: &String| format!("\"{}\"", word.replace('\0', " ").replace('"', "\"\""));
    let words: Vec<String> = words.iter().filter(|word| word.chars().any(char::is_alphanumeric)).map(quoted).collect();
    if words.is_empty() {
        return None;
    }
    let text = format!("{{text}} : ({})", words.join(" AND "));
    Some(match within {
        None => text,
        Some(Talk::Pair(key)) => format!("{{talk}} : \"{}\" AND {text}", talk_word(&[], &key.0)),
        Some(Talk::Group(id)) => format!("{{talk}} : \"{}\" AND {text}", talk_word(id, &[])),
    })
}
