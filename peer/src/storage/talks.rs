//! What is known of conversations beside their lines: read marks, durations, the chains of groups.

use common::group::{GroupId, SignedStep};
use common::identity::PublicKey;
use common::message::MessageId;
use common::wire::codec;
use peer_core::stored::{State, Talk};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::codes::{Col, id, key, number, signed, unsigned};
use super::facts::unreadable;
use super::rows::span;
use super::write::{Step, Writer};

/// Own delivered messages to one person between two places. An own message's place is its number, and numbers grow as ids do.
pub const DELIVERED: &str = "SELECT m.n, m.id, o.elapsed, (SELECT max(s.at) FROM steps s WHERE s.n = m.n AND s.state = 11)
    FROM messages m INDEXED BY history CROSS JOIN outbox o ON o.n = m.n AND o.recipient = m.other
    WHERE m.group_id = x'' AND m.listed = 1 AND m.other = ?1 AND m.anchor > ?2 AND m.anchor <= ?3 AND m.mine = 1 AND o.state = 11
    ORDER BY m.anchor, m.id";
/// The newest own message up to an id.
pub const OWN_UP_TO: &str = "SELECT n, id FROM messages WHERE sender = ?1 AND id <= ?2 ORDER BY id DESC LIMIT 1";

/// The two columns of a conversation, one of them empty.
fn columns(talk: &Talk) -> (&[u8], &[u8]) {
    match talk {
        Talk::Pair(key) => (&key.0, &[]),
        Talk::Group(id) => (&[], id),
    }
}

impl Writer<'_> {
    /// (Number, id, milliseconds since it was queued) of each own message that is read now.
    pub(super) fn read(
        &mut self,
        recipient: &PublicKey,
        up_to: &MessageId,
        at_ms: i64,
    ) -> Result<Vec<(u64, MessageId, u64)>> {
        // A claim beyond what was ever sent is as good as one of the last message.
        let Some((last, mark)) = self.own_up_to(up_to)? else { return Ok(Vec::new()) };
        let sql = "SELECT id FROM read_marks WHERE person = ?1";
        let before = self.tx.prepare_cached(sql)?.query_row([recipient.0], |row| id(row, 0)).optional()?;
        let first = before.map_or(Ok(None), |before| self.own_up_to(&before))?.map_or(0, |(n, _)| n);
        if last <= first {
            return Ok(Vec::new());
        }
        let sql = "INSERT OR REPLACE INTO read_marks (person, id) VALUES (?1, ?2)";
        self.tx.prepare_cached(sql)?.execute(params![recipient.0, mark.0])?;
        let found: Vec<(i64, MessageId, i64, Option<i64>)> = {
            let tx = self.tx;
            let mut found = tx.prepare_cached(DELIVERED)?;
            let rows = found.query_map(params![recipient.0, first, last], |row| {
                Ok((row.get(0)?, id(row, 1)?, row.get(2)?, row.get(3)?))
            })?;
            rows.collect::<Result<_>>()?
        };
        let mut read = Vec::with_capacity(found.len());
        for (n, id, elapsed, delivered_ms) in found {
            // The age clock was asked at the delivery, the wall clock then and now.
            let since = delivered_ms.map_or(0, |then| at_ms.saturating_sub(then).max(0));
            let elapsed = elapsed.saturating_add(since);
            let sql = "UPDATE outbox SET state = ?3, reason = NULL, elapsed = ?4 WHERE n = ?1 AND recipient = ?2";
            self.tx.prepare_cached(sql)?.execute(params![n, recipient.0, Col(State::Read), elapsed])?;
            self.step(n, &Step { state: Some(State::Read), what: None, via: None, reason: None, at_ms })?;
            read.push((unsigned(n), id, unsigned(elapsed)));
        }
        Ok(read)
    }

    fn own_up_to(&self, up_to: &MessageId) -> Result<Option<(i64, MessageId)>> {
        let place = params![self.me.0, up_to.0];
        self.tx.prepare_cached(OWN_UP_TO)?.query_row(place, |row| Ok((row.get(0)?, id(row, 1)?))).optional()
    }

    pub(super) fn put_duration(&self, talk: &Talk, id: &MessageId, after_ms: Option<u64>) -> Result<()> {
        let (person, group) = columns(talk);
        let sql = "INSERT INTO durations (person, group_id, id, after) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT DO UPDATE SET id = excluded.id, after = excluded.after WHERE excluded.id > id";
        self.tx.prepare_cached(sql)?.execute(params![person, group, id.0, after_ms.map(span)])?;
        Ok(())
    }

    pub(super) fn put_home(&self, group: &GroupId, directory: &PublicKey) -> Result<()> {
        let sql = "REPLACE INTO group_homes (group_id, directory) VALUES (?1, ?2)";
        self.tx.prepare_cached(sql)?.execute(params![group, directory.0])?;
        Ok(())
    }

    /// Steps that are there stay as they are.
    pub(super) fn put_steps(&self, group: &GroupId, first: u64, steps: &[SignedStep]) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO group_steps (group_id, version, step) VALUES (?1, ?2, ?3)";
        for (version, step) in (first..).zip(steps) {
            self.tx.prepare_cached(sql)?.execute(params![group, signed(version), codec::encode(step)])?;
        }
        Ok(())
    }
}

/// At which directory each group was seen last.
pub fn homes(conn: &Connection) -> Result<Vec<(GroupId, PublicKey)>> {
    let mut statement = conn.prepare("SELECT group_id, directory FROM group_homes ORDER BY group_id")?;
    statement.query_map([], |row| Ok((row.get(0)?, key(row, 1)?)))?.collect()
}

/// Up to which own message each person has said to have read.
pub fn read_marks(conn: &Connection) -> Result<Vec<(PublicKey, MessageId)>> {
    let mut statement = conn.prepare("SELECT person, id FROM read_marks ORDER BY person")?;
    statement.query_map([], |row| Ok((key(row, 0)?, id(row, 1)?)))?.collect()
}

/// How long texts stay.
pub fn durations(conn: &Connection) -> Result<Vec<(Talk, MessageId, Option<u64>)>> {
    let mut statement = conn.prepare("SELECT person, group_id, id, after FROM durations ORDER BY person, group_id")?;
    let rows = statement.query_map([], |row| {
        let pair = row.get_ref(1)?.as_blob().is_ok_and(<[u8]>::is_empty);
        let talk = if pair { Talk::Pair(key(row, 0)?) } else { Talk::Group(row.get(1)?) };
        Ok((talk, id(row, 2)?, row.get::<_, Option<i64>>(3)?.map(unsigned)))
    })?;
    rows.collect()
}

/// Every group's chain, up to the first gap in it.
pub fn groups(conn: &Connection) -> Result<Vec<(GroupId, Vec<SignedStep>)>> {
    let mut statement = conn.prepare("SELECT group_id, version, step FROM group_steps ORDER BY group_id, version")?;
    let mut rows = statement.query([])?;
    let mut groups: Vec<(GroupId, Vec<SignedStep>)> = Vec::new();
    while let Some(row) = rows.next()? {
        let group: GroupId = row.get(0)?;
        if groups.last().is_none_or(|(last, _)| *last != group) {
            groups.push((group, Vec::new()));
        }
        let Some((_, steps)) = groups.last_mut() else { continue };
        if number(row, 1)? == steps.len() as u64 + 1 {
            let bytes = row.get_ref(2)?.as_blob()?;
            steps.push(codec::decode(bytes).map_err(|error| unreadable(2, Type::Blob, error))?);
        }
    }
    groups.retain(|(_, steps)| !steps.is_empty());
    Ok(groups)
}
