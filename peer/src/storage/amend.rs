//! What messages do to lines: edits, deletes, reactions. Done in the transaction that stores them, or in the one that stores
//! their line, when that comes later; the row is the same in either order.

use common::body::Body;
use common::identity::PublicKey;
use common::message::MessageId;
use peer_core::stored::{Amended, Amendment, Gone};
use rusqlite::{OptionalExtension, Result, Row, params};

use super::codes::{Col, id, key, maybe_id, unsettled, unsigned};
use super::rows::By;
use super::search;
use super::write::Writer;

/// A line, as far as it matters to those who change it.
struct Line {
    n: i64,
    sender: PublicKey,
    kind: u16,
    body: Vec<u8>,
    group: Vec<u8>,
    other: PublicKey,
    edit: Option<MessageId>,
    gone: bool,
}

impl Line {
    /// Whether something said in that conversation may be about it. What is one's own is not asked: somebody may have another key
    /// now than when the line was written.
    fn is_within_reach(&self, by: &By, me: &PublicKey) -> bool {
        self.group == by.group && (by.sender == *me || !self.group.is_empty() || self.other == by.other)
    }
}

/// The words of an amendment that waited. A body that is none says nothing.
fn words(kind: u16, body: &[u8]) -> Option<Amended> {
    match Body::decode(kind, body) {
        Body::Edit(edit) => Some(Amended::Edit(edit.text)),
        Body::Delete(_) => Some(Amended::Delete),
        Body::Reaction(reaction) => Some(Amended::Reaction(reaction.emoji)),
        _ => None,
    }
}

/// The same line with other words; none: it has no words.
fn with_text(kind: u16, body: &[u8], text: &str) -> Option<Vec<u8>> {
    let mut body = Body::decode(kind, body);
    match &mut body {
        Body::Text(line) => text.clone_into(&mut line.text),
        Body::Forward(line) => text.clone_into(&mut line.text),
        Body::Vanishing(line) => text.clone_into(&mut line.text),
        _ => return None,
    }
    Some(body.encode().1)
}

fn by(row: &Row<'_>) -> Result<By> {
    Ok(By { n: row.get(0)?, sender: key(row, 1)?, id: id(row, 2)?, group: row.get(3)?, other: key(row, 4)? })
}

/// Amendments of one line, in the order in which they were said.
const WAITING: &str = "SELECT m.n, m.sender, m.id, m.group_id, m.other, m.kind, m.body, m.shown
    FROM amendments a JOIN messages m ON m.n = a.n WHERE a.author = ?1 AND a.target = ?2 ORDER BY m.id, m.sender";

impl Writer<'_> {
    /// Does what an amendment says, or notes that it waits. The number of its line, when that is here.
    pub(super) fn amend(&mut self, by: &By, amendment: &Amendment) -> Result<Option<i64>> {
        let sql = "INSERT INTO amendments (author, target, n) VALUES (?1, ?2, ?3)";
        self.tx.prepare_cached(sql)?.execute(params![amendment.author.0, amendment.target.0, by.n])?;
        self.change(by, &amendment.author, &amendment.target, &amendment.what)
    }

    /// Does what a stored reaction says, which was not to be done when it came. Nothing is done twice.
    pub(super) fn amend_late(&mut self, n: i64) -> Result<()> {
        let sql = "SELECT m.n, m.sender, m.id, m.group_id, m.other, m.kind, m.body FROM messages m WHERE m.n = ?1";
        let found = self
            .tx
            .prepare_cached(sql)?
            .query_row([n], |row| Ok((by(row)?, Body::decode(row.get(5)?, row.get_ref(6)?.as_blob()?))));
        let Some((by, Body::Reaction(reaction))) = found.optional()? else { return Ok(()) };
        let (author, target) = (reaction.author, reaction.target);
        let sql = "INSERT INTO amendments (author, target, n) SELECT ?1, ?2, ?3
                   WHERE NOT EXISTS (SELECT 1 FROM amendments WHERE author = ?1 AND target = ?2 AND n = ?3)";
        self.tx.prepare_cached(sql)?.execute(params![author.0, target.0, n])?;
        self.change(&by, &author, &target, &Amended::Reaction(reaction.emoji))?;
        Ok(())
    }

    /// Does what waited for the line `n`, just stored. Those of it that were not put out need not be any more: their numbers.
    pub(super) fn settle_waiting(&mut self, author: &PublicKey, target: &MessageId) -> Result<Option<Vec<u64>>> {
        let tx = self.tx;
        let waiting = {
            let mut waiting = tx.prepare_cached(WAITING)?;
            let rows = waiting.query_map(params![author.0, target.0], |row| {
                Ok((by(row)?, words(row.get(5)?, row.get_ref(6)?.as_blob()?), row.get::<_, bool>(7)?))
            })?;
            rows.collect::<Result<Vec<_>>>()?
        };
        if waiting.is_empty() {
            return Ok(None);
        }
        let mut settled = Vec::new();
        for (by, words, shown) in waiting {
            if let Some(words) = words {
                self.change(&by, author, target, &words)?;
            }
            if !shown {
                self.tx.prepare_cached("UPDATE messages SET shown = 1 WHERE n = ?1")?.execute([by.n])?;
                settled.push(unsigned(by.n));
            }
        }
        settled.sort_unstable();
        Ok(Some(settled))
    }

    fn change(&mut self, by: &By, author: &PublicKey, target: &MessageId, what: &Amended) -> Result<Option<i64>> {
        let Some(line) = self.line(author, target)?.filter(|line| line.is_within_reach(by, &self.me)) else {
            return Ok(None);
        };
        match what {
            Amended::Delete if by.sender == line.sender => self.erase(line.n, Gone::Deleted)?,
            // What would have changed it must not say what it said either.
            _ if line.gone => self.erase_words(by.n)?,
            Amended::Edit(text) if by.sender == line.sender => self.edit(&line, by, text)?,
            Amended::Reaction(sign) => self.react(&line, by, sign)?,
            Amended::Edit(_) | Amended::Delete => {}
        }
        Ok(Some(line.n))
    }

    fn line(&self, author: &PublicKey, target: &MessageId) -> Result<Option<Line>> {
        let sql =
            "SELECT n, sender, kind, body, group_id, other, edit_id, gone FROM messages WHERE sender = ?1 AND id = ?2";
        let line = self.tx.prepare_cached(sql)?.query_row(params![author.0, target.0], |row| {
            Ok(Line {
                n: row.get(0)?,
                sender: key(row, 1)?,
                kind: row.get(2)?,
                body: row.get(3)?,
                group: row.get(4)?,
                other: key(row, 5)?,
                edit: maybe_id(row, 6)?,
                gone: row.get::<_, Option<i64>>(7)?.is_some(),
            })
        });
        Ok(line.optional()?.filter(|line| Body::is_line(line.kind)))
    }

    fn edit(&self, line: &Line, by: &By, text: &str) -> Result<()> {
        if line.edit.is_some_and(|won| won > by.id) {
            return Ok(());
        }
        let Some(body) = with_text(line.kind, &line.body, text) else { return Ok(()) };
        let sql = "UPDATE messages SET body = ?2, edit_id = ?3 WHERE n = ?1";
        self.tx.prepare_cached(sql)?.execute(params![line.n, body, by.id.0])?;
        search::again(self.tx, line.n)
    }

    fn react(&self, line: &Line, by: &By, sign: &str) -> Result<()> {
        let sql = "INSERT INTO reactions (n, person, id, sign) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT DO UPDATE SET id = excluded.id, sign = excluded.sign WHERE excluded.id > id";
        self.tx.prepare_cached(sql)?.execute(params![line.n, by.sender.0, by.id.0, sign])?;
        Ok(())
    }

    /// What this message did to a line is undone, as far as that is a reaction: it was dismissed. (Words that an edit replaced
    /// are nowhere any more, and only the line's own writer can have replaced them.)
    pub(super) fn take_back(&mut self, n: i64) -> Result<()> {
        let sql = "DELETE FROM amendments WHERE n = ?1 AND author = ?2 AND target = ?3";
        let Some((author, target, sender)) = self.changed_by(n)? else { return Ok(()) };
        self.tx.prepare_cached(sql)?.execute(params![n, author.0, target.0])?;
        let Some(line) = self.line(&author, &target)? else { return Ok(()) };
        let sql = "DELETE FROM reactions WHERE n = ?1 AND person = ?2";
        self.tx.prepare_cached(sql)?.execute(params![line.n, sender.0])?;
        self.settle_waiting_reactions(&author, &target, &sender)
    }

    fn settle_waiting_reactions(&mut self, author: &PublicKey, target: &MessageId, of: &PublicKey) -> Result<()> {
        let tx = self.tx;
        let others: Vec<(By, Option<Amended>)> = {
            let mut others = tx.prepare_cached(WAITING)?;
            let rows = others.query_map(params![author.0, target.0], |row| {
                Ok((by(row)?, words(row.get(5)?, row.get_ref(6)?.as_blob()?)))
            })?;
            rows.collect::<Result<_>>()?
        };
        for (by, words) in others {
            if let Some(words @ Amended::Reaction(_)) = words
                && by.sender == *of
            {
                self.change(&by, author, target, &words)?;
            }
        }
        Ok(())
    }

    /// Whose line a reaction is about, which, and whose reaction it is.
    fn changed_by(&self, n: i64) -> Result<Option<(PublicKey, MessageId, PublicKey)>> {
        let sql = "SELECT sender, kind, body FROM messages WHERE n = ?1";
        let found = self
            .tx
            .prepare_cached(sql)?
            .query_row([n], |row| Ok((key(row, 0)?, Body::decode(row.get(1)?, row.get_ref(2)?.as_blob()?))));
        Ok(found.optional()?.and_then(|(sender, body)| match body {
            Body::Reaction(reaction) => Some((reaction.author, reaction.target, sender)),
            _ => None,
        }))
    }

    /// The words of line `n` go, and those of everything that changed it.
    pub(super) fn erase(&mut self, n: i64, why: Gone) -> Result<()> {
        let sql = "UPDATE messages SET body = x'', gone = ?2, edit_id = NULL, vanishes = NULL, gone_at = NULL
                   WHERE n = ?1 RETURNING sender, id";
        let line = self.tx.prepare_cached(sql)?.query_row(params![n, Col(why)], |row| Ok((key(row, 0)?, id(row, 1)?)));
        let Some((sender, id)) = line.optional()? else { return Ok(()) };
        self.erased = true;
        self.tx.prepare_cached("DELETE FROM reactions WHERE n = ?1")?.execute([n])?;
        search::remove(self.tx, n)?;
        let sql = "SELECT n FROM amendments WHERE author = ?1 AND target = ?2";
        let amendments: Vec<i64> = {
            let tx = self.tx;
            let mut amendments = tx.prepare_cached(sql)?;
            amendments.query_map(params![sender.0, id.0], |row| row.get(0))?.collect::<Result<_>>()?
        };
        amendments.into_iter().try_for_each(|n| self.erase_words(n))
    }

    /// The words of an edit or a reaction go. One's own stay until every copy of it is settled. (A delete has none, and still has
    /// to be put out.)
    fn erase_words(&mut self, n: i64) -> Result<()> {
        let sql = concat!(
            "UPDATE messages SET gone = 3, body = CASE WHEN ",
            unsettled!("messages"),
            " THEN body ELSE x'' END WHERE n = ?1 AND kind IN (2, 4)"
        );
        let changed = self.tx.prepare_cached(sql)?.execute([n])?;
        self.erased |= changed > 0;
        Ok(())
    }
}
