//! Texts that go: countdowns, what was dismissed, conversations that are forgotten. Ids and numbers stay, so that nothing comes
//! twice.

use peer_core::stored::{Gone, StoreResult, Talk};
use rusqlite::{OptionalExtension, Result, params};

use super::codes::{conversation, id, key, signed, unsettled, unsigned};
use super::rows::span;
use super::search;
use super::write::{Last, Writer};

/// Countdowns that have not begun and may.
pub const STARTING: &str = concat!(
    "UPDATE messages INDEXED BY vanishing SET gone_at = ?1 + vanishes
     WHERE vanishes IS NOT NULL AND gone_at IS NULL AND CASE WHEN mine = 1
         THEN EXISTS (SELECT 1 FROM outbox o WHERE o.n = messages.n AND o.state IN (11, 12)) AND NOT ",
    unsettled!("messages"),
    " ELSE shown = 1 END"
);
/// Countdowns that are over.
pub const OVER: &str = "SELECT n FROM messages WHERE gone_at IS NOT NULL AND gone_at <= ?1 ORDER BY gone_at, n";
/// When the next one is.
pub const NEXT: &str = "SELECT gone_at FROM messages WHERE gone_at IS NOT NULL ORDER BY gone_at LIMIT 1";

impl Writer<'_> {
    /// Own texts begin when no copy is on its way any more and at least one was delivered.
    pub(super) fn countdown(&self, age_ms: u64) -> Result<()> {
        self.tx.prepare_cached(STARTING)?.execute([span(age_ms)])?;
        Ok(())
    }

    pub(super) fn vanish(&mut self, age_ms: u64) -> Result<StoreResult> {
        let over: Vec<i64> = {
            let tx = self.tx;
            let mut over = tx.prepare_cached(OVER)?;
            over.query_map([span(age_ms)], |row| row.get(0))?.collect::<Result<_>>()?
        };
        for n in &over {
            self.erase(*n, Gone::Vanished)?;
        }
        let next: Option<i64> = self.tx.prepare_cached(NEXT)?.query_row([], |row| row.get(0)).optional()?;
        Ok(StoreResult::Vanished { numbers: over.into_iter().map(unsigned).collect(), next_age_ms: next.map(unsigned) })
    }

    /// They count as put out, so that what was sent after them does not wait for them.
    pub(super) fn dismiss(&mut self, numbers: &[u64]) -> Result<()> {
        for n in numbers.iter().map(|n| signed(*n)) {
            self.take_back(n)?;
            self.erase(n, Gone::Forgotten)?;
            let sql = "UPDATE messages SET listed = 0, shown = 1 WHERE n = ?1
                       RETURNING sender, group_id, membership, id, ordered AND NOT mine";
            let found = self
                .tx
                .prepare_cached(sql)?
                .query_row([n], |row| Ok((key(row, 0)?, conversation(row, 1)?, id(row, 3)?, row.get::<_, bool>(4)?)));
            if let Some((sender, conversation, id, true)) = found.optional()? {
                self.raise_last(Last::Shown, &sender, &conversation, &id)?;
            }
        }
        Ok(())
    }

    /// What was not put out yet stays: nobody has seen it. Own messages are forgotten at once, but their bodies stay until every
    /// copy is settled, because they are still to be delivered; [`Writer::state`] drops them then.
    pub(super) fn forget_texts(&mut self, talk: &Talk) -> Result<u64> {
        let (which, whose): (&str, &[u8]) = match talk {
            Talk::Pair(key) => ("m.group_id = x'' AND m.other = ?1", &key.0),
            Talk::Group(id) => ("m.group_id <> x'' AND m.group_id = ?1", id),
        };
        let lines = format!("FROM messages m WHERE {which} AND m.listed = 1 AND m.shown = 1");
        let numbers: Vec<i64> = {
            let mut numbers = self.tx.prepare(&format!("SELECT m.n {lines} AND m.gone IS NULL"))?;
            numbers.query_map([whose], |row| row.get(0))?.collect::<Result<_>>()?
        };
        search::remove_all(self.tx, &numbers)?;
        self.tx.execute(&format!("DELETE FROM reactions WHERE n IN (SELECT m.n {lines})"), [whose])?;
        let unsettled = unsettled!("x");
        let body = format!("body = CASE WHEN {unsettled} THEN body ELSE x'' END");
        let amendments = format!(
            "UPDATE messages AS x SET gone = 3, {body} WHERE kind IN (2, 4) AND n IN
                 (SELECT a.n FROM messages m JOIN amendments a ON a.author = m.sender AND a.target = m.id
                  WHERE {which} AND m.listed = 1 AND m.shown = 1)"
        );
        self.tx.execute(&amendments, [whose])?;
        let forgotten = format!(
            "UPDATE messages AS x SET listed = 0, gone = coalesce(gone, 3), edit_id = NULL, vanishes = NULL, gone_at = NULL,
                 {body} WHERE n IN (SELECT m.n {lines})"
        );
        self.tx.execute(&forgotten, [whose])?;
        self.erased = true;
        Ok(numbers.len() as u64)
    }

    /// The body of a message whose words are to go, now that nobody has to get it any more.
    pub(super) fn drop_settled(&mut self, n: i64) -> Result<()> {
        let sql = concat!(
            "UPDATE messages SET body = x'' WHERE n = ?1 AND gone IS NOT NULL AND length(body) > 0 AND NOT ",
            unsettled!("messages")
        );
        self.erased |= self.tx.prepare_cached(sql)?.execute(params![n])? > 0;
        Ok(())
    }
}
