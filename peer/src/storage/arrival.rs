//! Messages of others: dedupe, place in the history, what is held of a lane, what was put out.

use common::body::Body;
use common::identity::PublicKey;
use common::limits::HOUR_MS;
use common::message::{Epoch, MessageId};
use common::planted::{self, Bug};
use peer_core::stored::{Arrival, Arrived, StoredMessage};
use rusqlite::{OptionalExtension, Result, params};

use super::codes::{Col, conversation, conversation_columns, epoch, id, key, number, signed, unsigned};
use super::read;
use super::rows::{By, span};
use super::write::{Last, Writer};

/// The ordered message of the same sender and conversation that a late one goes before.
pub const LATER: &str = "SELECT anchor FROM messages
    WHERE sender = ?1 AND id > ?2 AND ordered = 1 AND group_id = ?3 ORDER BY id LIMIT 1";

impl Writer<'_> {
    pub(super) fn receive(&mut self, arrival: &Arrival) -> Result<Arrived> {
        let place = self.place_in_lane(arrival)?;
        if let Some(seq) = place
            && self.held_at(&arrival.sender, seq)?.is_some_and(|held| held != arrival.id)
        {
            return Ok(Arrived::Conflict);
        }
        self.note_held(arrival)?;
        let known = self.number_of(&arrival.sender, &arrival.id)?;
        if let Some(n) = known.filter(|n| !planted::is(Bug::DedupeWindow) || self.came_lately(*n, arrival)) {
            return Ok(Arrived::Double { n: unsigned(n) });
        }
        let before = if arrival.ordered { self.later(arrival)? } else { None };
        let n = self.insert(arrival, before)?;
        let (line, settled) = self.changes(n, arrival)?;
        Ok(Arrived::New { n: unsigned(n), late: before.is_some(), line: line.map(Box::new), settled })
    }

    /// What it does to a line, or what others had to say of it before it came.
    fn changes(&mut self, n: i64, arrival: &Arrival) -> Result<(Option<StoredMessage>, Vec<u64>)> {
        if let Some(amendment) = &arrival.amends {
            let (group, _) = conversation_columns(&arrival.conversation);
            let (sender, id, group) = (arrival.sender, arrival.id, group.to_vec());
            let line = self.amend(&By { n, sender, id, group, other: sender }, amendment)?;
            return Ok((line.map(|n| read::message(self.tx, n)).transpose()?.flatten(), Vec::new()));
        }
        if !Body::is_line(arrival.kind) {
            return Ok((None, Vec::new()));
        }
        let settled = self.settle_waiting(&arrival.sender, &arrival.id)?;
        if settled.is_none() && arrival.reply_to.is_none() {
            return Ok((None, Vec::new()));
        }
        let line = read::message(self.tx, n)?;
        let other = line.filter(|line| settled.is_some() || line.quote.is_some());
        Ok((other, settled.unwrap_or_default()))
    }

    /// Notes what is held of the lane it came in.
    pub(super) fn note_held(&self, arrival: &Arrival) -> Result<()> {
        let Some(seq) = self.place_in_lane(arrival)? else { return Ok(()) };
        let sql = "INSERT OR IGNORE INTO held (sender, seq, id) VALUES (?1, ?2, ?3)";
        self.tx.prepare_cached(sql)?.execute(params![arrival.sender.0, signed(seq), arrival.id.0])?;
        Ok(())
    }

    /// The planted [`Bug::DedupeWindow`]: known for an hour.
    fn came_lately(&self, n: i64, again: &Arrival) -> bool {
        let sql = "SELECT received_at > ?2 FROM messages WHERE n = ?1";
        let since_ms = again.received_at_ms - HOUR_MS.cast_signed();
        self.tx.query_row(sql, params![n, since_ms], |row| row.get(0)).unwrap_or(true)
    }

    /// The seq to be noted: only in the epoch that is followed, and not below the floor.
    fn place_in_lane(&self, arrival: &Arrival) -> Result<Option<u64>> {
        let Some((of, seq)) = arrival.held else { return Ok(None) };
        let sql = "SELECT generation, epoch, floor FROM lanes WHERE sender = ?1";
        let lane: Option<(Epoch, u64)> = self
            .tx
            .prepare_cached(sql)?
            .query_row([arrival.sender.0], |row| Ok((epoch(row, 0)?, number(row, 2)?)))
            .optional()?;
        Ok(lane.filter(|(followed, floor)| *followed == of && seq >= *floor).map(|_| seq))
    }

    fn held_at(&self, sender: &PublicKey, seq: u64) -> Result<Option<MessageId>> {
        let sql = "SELECT id FROM held WHERE sender = ?1 AND seq = ?2";
        self.tx.prepare_cached(sql)?.query_row(params![sender.0, signed(seq)], |row| id(row, 0)).optional()
    }

    fn later(&self, arrival: &Arrival) -> Result<Option<i64>> {
        let (group, _) = conversation_columns(&arrival.conversation);
        let place = params![arrival.sender.0, arrival.id.0, group];
        self.tx.prepare_cached(LATER)?.query_row(place, |row| row.get(0)).optional()
    }

    fn insert(&mut self, arrival: &Arrival, before: Option<i64>) -> Result<i64> {
        let n = self.take_number();
        let (group, membership) = conversation_columns(&arrival.conversation);
        let sql = "INSERT INTO messages (n, id, sender, other, mine, group_id, membership, anchor, shown, ordered,
                       urgent, request, waited, via, after, reply_to, sent_at, received_at, kind, body, listed, vanishes)
                   VALUES (?1, ?2, ?3, ?3, 0, ?4, ?5, ?6, 0, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)";
        self.tx.prepare_cached(sql)?.execute(params![
            n,
            arrival.id.0,
            arrival.sender.0,
            group,
            membership,
            before.unwrap_or(n),
            arrival.ordered,
            arrival.urgent,
            arrival.request,
            arrival.waited,
            Col(arrival.via),
            arrival.after.map(|id| id.0),
            arrival.reply_to.map(|id| id.0),
            arrival.sent_at_ms,
            arrival.received_at_ms,
            arrival.kind,
            arrival.body,
            Body::is_line(arrival.kind),
            arrival.vanishes_ms.map(span),
        ])?;
        Ok(n)
    }

    pub(super) fn shown(&self, numbers: &[u64]) -> Result<()> {
        let sql = "UPDATE messages SET shown = 1 WHERE n = ?1 AND shown = 0
                   RETURNING sender, group_id, membership, id, ordered";
        for n in numbers {
            let shown = self
                .tx
                .prepare_cached(sql)?
                .query_row([signed(*n)], |row| {
                    Ok((key(row, 0)?, conversation(row, 1)?, id(row, 3)?, row.get::<_, bool>(4)?))
                })
                .optional()?;
            if let Some((sender, conversation, id, true)) = shown {
                self.raise_last(Last::Shown, &sender, &conversation, &id)?;
            }
        }
        Ok(())
    }
}
