//! Carrying out [`StoreOp`]s inside one transaction: the dispatch, and what concerns own messages.

use common::body::Body;
use common::identity::PublicKey;
use common::message::{Conversation, MessageId};
use peer_core::stored::{Copy, NewMessage, OutboxRow, Reason, State, StoreOp, StoreResult, Via};
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::codes::{Col, conversation_columns, signed, unsigned};
use super::read;
use super::rows::By;
use super::rows::span;

/// Steps kept of one message; state changes are noted beyond it.
const STEPS_MAX: i64 = 200;

/// A transaction under way.
pub struct Writer<'a> {
    pub(super) tx: &'a Connection,
    pub(super) me: PublicKey,
    pub(super) next_n: i64,
    /// Texts were overwritten, and the log may still hold them.
    pub(super) erased: bool,
}

/// A step of a trace.
pub struct Step {
    pub state: Option<State>,
    pub what: Option<&'static str>,
    pub via: Option<Via>,
    pub reason: Option<Reason>,
    pub at_ms: i64,
}

impl<'a> Writer<'a> {
    /// A writer in the transaction open on `tx`.
    pub fn new(tx: &'a Connection, me: PublicKey) -> Result<Self> {
        // Asked before the insert, because a message's place in the history is made of its number.
        let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'messages'";
        let last: Option<i64> = tx.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
        Ok(Self { tx, me, next_n: last.unwrap_or(0) + 1, erased: false })
    }

    /// Carries out one op.
    pub fn carry_out(&mut self, op: &StoreOp) -> Result<StoreResult> {
        match op {
            StoreOp::Queue(message) => return self.queue(message),
            StoreOp::Receive(arrival) => return Ok(StoreResult::Arrived(self.receive(arrival)?)),
            StoreOp::Shown(numbers) => self.shown(numbers)?,
            StoreOp::State { n, recipient, state, via, reason, at_ms, elapsed_ms } => {
                let step = Step { state: Some(*state), what: None, via: *via, reason: *reason, at_ms: *at_ms };
                return self.state(*n, recipient, *state, *elapsed_ms, &step);
            }
            StoreOp::Aged { id, queued_age_ms } => self.aged(id, *queued_age_ms)?,
            StoreOp::Step { n, what, via, at_ms } => {
                self.step(signed(*n), &Step { state: None, what: Some(what), via: *via, reason: None, at_ms: *at_ms })?;
            }
            StoreOp::Forget { recipient, below } => self.forget(recipient, *below)?,
            StoreOp::NewEpoch { epoch: _, moves } => self.new_epoch(moves)?,
            StoreOp::Readdress(moves) => self.readdress(moves)?,
            StoreOp::Follow { sender, epoch, floor } => self.follow(sender, epoch, *floor)?,
            StoreOp::PutContact(contact) => self.put_contact(contact)?,
            StoreOp::PutMeta(meta) => self.put_meta(meta)?,
            StoreOp::PutPin(pin) => self.put_pin(pin)?,
            StoreOp::PutDirectory(record) => self.put_directory(record)?,
            StoreOp::PutPrekey(prekey) => self.put_prekey(prekey)?,
            StoreOp::DropPrekeys(counters) => self.drop_prekeys(counters)?,
            StoreOp::Countdown { age_ms } => self.countdown(*age_ms)?,
            StoreOp::Vanish { age_ms } => return self.vanish(*age_ms),
            StoreOp::Dismiss(numbers) => self.dismiss(numbers)?,
            StoreOp::Amend(n) => self.amend_late(signed(*n))?,
            StoreOp::Read { recipient, up_to, at_ms } => {
                return Ok(StoreResult::Read(self.read(recipient, up_to, *at_ms)?));
            }
            StoreOp::ForgetTexts(talk) => return Ok(StoreResult::Forgotten(self.forget_texts(talk)?)),
            StoreOp::PutDuration { talk, id, after_ms } => self.put_duration(talk, id, *after_ms)?,
            StoreOp::PutGroupHome { group, directory } => self.put_home(group, directory)?,
            StoreOp::PutSteps { group, first, steps } => self.put_steps(group, *first, steps)?,
            StoreOp::NewFile(row) => self.new_file(row)?,
            StoreOp::PutFile(row) => self.put_file(row)?,
        }
        Ok(StoreResult::Done)
    }

    /// The number for a message about to be inserted.
    pub(super) fn take_number(&mut self) -> i64 {
        let n = self.next_n;
        self.next_n += 1;
        n
    }

    fn queue(&mut self, message: &NewMessage) -> Result<StoreResult> {
        let row = &message.row;
        if let Some(key) = &message.key {
            let sql = "SELECT n FROM keys WHERE key = ?1";
            let used: Option<i64> = self.tx.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()?;
            if let Some(before) = used.map(|n| read::message(self.tx, n)).transpose()?.flatten() {
                // The seqs were given to nothing, and are not given again: others may have been told a floor above them.
                self.raise_last_seq(&row.recipient, row.seq)?;
                message.copies.iter().try_for_each(|copy| self.raise_last_seq(&copy.recipient, copy.seq))?;
                return Ok(StoreResult::QueuedBefore(Box::new(before)));
            }
        }
        let n = self.insert_own(message)?;
        self.put_copy(n, row, &Copy { recipient: row.recipient, seq: row.seq, after: row.after })?;
        message.copies.iter().try_for_each(|copy| self.put_copy(n, row, copy))?;
        let step = Step { state: Some(row.state), what: None, via: None, reason: row.reason, at_ms: message.at_ms };
        self.put_step(n, 1, &step)?;
        if let Some(key) = &message.key {
            self.tx.prepare_cached("INSERT INTO keys (key, n) VALUES (?1, ?2)")?.execute(params![key, n])?;
        }
        if let Some(amendment) = &message.amends {
            let (group, _) = conversation_columns(&row.conversation);
            let by = By { n, sender: self.me, id: row.id, group: group.to_vec(), other: row.recipient };
            self.amend(&by, amendment)?;
        }
        Ok(StoreResult::Queued { n: unsigned(n) })
    }

    /// One copy of message `n`, in its recipient's lane.
    fn put_copy(&self, n: i64, row: &OutboxRow, copy: &Copy) -> Result<()> {
        let sql = "INSERT INTO outbox (n, recipient, seq, after, state, reason, queued_age, elapsed)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)";
        self.tx.prepare_cached(sql)?.execute(params![
            n,
            copy.recipient.0,
            signed(copy.seq),
            copy.after.map(|id| id.0),
            Col(row.state),
            row.reason.map(Col),
            signed(row.queued_age_ms),
        ])?;
        self.raise_last_seq(&copy.recipient, copy.seq)?;
        if row.ordered {
            self.raise_last(Last::Sent, &copy.recipient, &row.conversation, &row.id)?;
        }
        Ok(())
    }

    /// In a group the other person is oneself: no copy is more the message than another.
    fn insert_own(&mut self, message: &NewMessage) -> Result<i64> {
        let row = &message.row;
        let n = self.take_number();
        let (group, membership) = conversation_columns(&row.conversation);
        let other = if row.conversation == Conversation::Pair { row.recipient } else { self.me };
        let sql = "INSERT INTO messages (n, id, sender, other, mine, group_id, membership, anchor, shown, ordered,
                       urgent, request, waited, after, reply_to, sent_at, received_at, kind, body, listed, vanishes)
                   VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?1, 1, ?7, ?8, 0, 0, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
        self.tx.prepare_cached(sql)?.execute(params![
            n,
            row.id.0,
            self.me.0,
            other.0,
            group,
            membership,
            row.ordered,
            row.urgent,
            row.after.map(|id| id.0),
            message.reply_to.map(|id| id.0),
            row.sent_at_ms,
            message.at_ms,
            row.kind,
            row.body,
            Body::is_line(row.kind),
            message.vanishes_ms.map(span),
        ])?;
        Ok(n)
    }

    /// The number of a message by its identity.
    pub(super) fn number_of(&self, sender: &PublicKey, id: &MessageId) -> Result<Option<i64>> {
        let sql = "SELECT n FROM messages WHERE sender = ?1 AND id = ?2";
        self.tx.prepare_cached(sql)?.query_row(params![sender.0, id.0], |row| row.get(0)).optional()
    }

    fn state(
        &mut self,
        n: u64,
        recipient: &PublicKey,
        state: State,
        elapsed_ms: u64,
        step: &Step,
    ) -> Result<StoreResult> {
        let n = signed(n);
        let sql = "UPDATE outbox SET state = ?3, reason = ?4, via = ?5, elapsed = ?6 WHERE n = ?1 AND recipient = ?2";
        let changed = self.tx.prepare_cached(sql)?.execute(params![
            n,
            recipient.0,
            Col(state),
            step.reason.map(Col),
            step.via.map(Col),
            signed(elapsed_ms),
        ])?;
        if changed > 0 {
            self.step(n, step)?;
        }
        let sql = "SELECT group_id <> x'', gone IS NOT NULL FROM messages WHERE n = ?1";
        let found = self.tx.prepare_cached(sql)?.query_row([n], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let (group, gone) = found.unwrap_or((false, false));
        if gone && state.is_settled() {
            self.drop_settled(n)?;
        }
        Ok(if group { StoreResult::Tallied(read::tally(self.tx, n)?.0) } else { StoreResult::Done })
    }

    fn aged(&self, id: &MessageId, queued_age_ms: u64) -> Result<()> {
        if let Some(n) = self.number_of(&self.me, id)? {
            let sql = "UPDATE outbox SET queued_age = ?2 WHERE n = ?1";
            self.tx.prepare_cached(sql)?.execute(params![n, signed(queued_age_ms)])?;
        }
        Ok(())
    }

    pub(super) fn step(&self, n: i64, step: &Step) -> Result<()> {
        let sql = "SELECT coalesce(max(step), 0) FROM steps WHERE n = ?1";
        let last: i64 = self.tx.prepare_cached(sql)?.query_row([n], |row| row.get(0))?;
        if last >= STEPS_MAX && step.state.is_none() {
            return Ok(());
        }
        self.put_step(n, last + 1, step)
    }

    fn put_step(&self, n: i64, place: i64, step: &Step) -> Result<()> {
        let sql = "INSERT INTO steps (n, step, at, state, what, via, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.tx.prepare_cached(sql)?.execute(params![
            n,
            place,
            step.at_ms,
            step.state.map(Col),
            step.what,
            step.via.map(Col),
            step.reason.map(Col),
        ])?;
        Ok(())
    }

    /// Notes `id` as the newest of its conversation, if it is.
    pub(super) fn raise_last(
        &self,
        which: Last,
        person: &PublicKey,
        conversation: &Conversation,
        id: &MessageId,
    ) -> Result<()> {
        let (group, membership) = conversation_columns(conversation);
        let sql = match which {
            Last::Sent => {
                "INSERT INTO last_sent (person, group_id, membership, id) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET membership = excluded.membership, id = excluded.id WHERE excluded.id > id"
            }
            Last::Shown => {
                "INSERT INTO last_shown (person, group_id, membership, id) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET membership = excluded.membership, id = excluded.id WHERE excluded.id > id"
            }
        };
        self.tx.prepare_cached(sql)?.execute(params![person.0, group, membership, id.0])?;
        Ok(())
    }
}

/// Which of the two small tables of newest ids.
#[derive(Debug, Clone, Copy)]
pub enum Last {
    /// Own messages, by recipient.
    Sent,
    /// Messages of others that were put out, by sender.
    Shown,
}
