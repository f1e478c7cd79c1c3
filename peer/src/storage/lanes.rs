//! Lanes: seqs given, forgotten and given anew; which epoch of a sender is followed. No messages are stored here.

use common::identity::PublicKey;
use common::message::{Conversation, Epoch, MessageId};
use peer_core::stored::Move;
use rusqlite::{OptionalExtension, Result, params};

use super::codes::{SETTLED_ABOVE, conversation, id, signed};
use super::search;
use super::write::{Last, Writer};

impl Writer<'_> {
    pub(super) fn raise_last_seq(&self, recipient: &PublicKey, seq: u64) -> Result<()> {
        let sql = "INSERT INTO out_lanes (recipient, last_seq) VALUES (?1, ?2)
                   ON CONFLICT DO UPDATE SET last_seq = max(last_seq, excluded.last_seq)";
        self.tx.prepare_cached(sql)?.execute(params![recipient.0, signed(seq)])?;
        Ok(())
    }

    pub(super) fn forget(&self, recipient: &PublicKey, below: u64) -> Result<()> {
        let sql = "UPDATE outbox SET seq = NULL WHERE recipient = ?1 AND seq IS NOT NULL AND seq < ?2 AND state > ?3";
        let below = i64::try_from(below).unwrap_or(i64::MAX);
        self.tx.prepare_cached(sql)?.execute(params![recipient.0, below, SETTLED_ABOVE])?;
        Ok(())
    }

    pub(super) fn new_epoch(&self, moves: &[Move]) -> Result<()> {
        self.tx.execute("UPDATE outbox SET seq = NULL WHERE seq IS NOT NULL", [])?;
        self.tx.execute("DELETE FROM out_lanes", [])?;
        self.relocate(moves)
    }

    /// The old places are given up first, so that rows may take one another's.
    pub(super) fn readdress(&self, moves: &[Move]) -> Result<()> {
        let sql = "UPDATE outbox SET seq = NULL WHERE n = ?1 AND recipient = ?2";
        for each in moves {
            self.tx.prepare_cached(sql)?.execute(params![signed(each.n), each.from.0])?;
        }
        self.relocate(moves)
    }

    fn relocate(&self, moves: &[Move]) -> Result<()> {
        let place = "UPDATE outbox SET recipient = ?3, seq = ?4, after = ?5 WHERE n = ?1 AND recipient = ?2";
        let other = "UPDATE messages SET other = ?3 WHERE n = ?1 AND other = ?2";
        for each in moves {
            let after = each.after.map(|id| id.0);
            let (n, from, to) = (signed(each.n), each.from.0, each.to.0);
            let changed = self.tx.prepare_cached(place)?.execute(params![n, from, to, signed(each.seq), after])?;
            if changed == 0 {
                continue;
            }
            // A message to a group has as many predecessors as copies.
            let sql = "UPDATE messages SET after = ?2 WHERE n = ?1 AND group_id = x''";
            self.tx.prepare_cached(sql)?.execute(params![n, after])?;
            self.raise_last_seq(&each.to, each.seq)?;
            if each.from != each.to {
                if self.tx.prepare_cached(other)?.execute(params![n, from, to])? > 0 {
                    search::again(self.tx, n)?;
                }
                self.raise_moved(n, &each.to)?;
            }
        }
        Ok(())
    }

    fn raise_moved(&self, n: i64, to: &PublicKey) -> Result<()> {
        let sql = "SELECT group_id, membership, id FROM messages WHERE n = ?1 AND ordered = 1";
        let moved: Option<(Conversation, MessageId)> =
            self.tx.prepare_cached(sql)?.query_row([n], |row| Ok((conversation(row, 0)?, id(row, 2)?))).optional()?;
        let Some((conversation, id)) = moved else { return Ok(()) };
        self.raise_last(Last::Sent, to, &conversation, &id)
    }

    pub(super) fn follow(&self, sender: &PublicKey, epoch: &Epoch, floor: u64) -> Result<()> {
        let sql = "SELECT 1 FROM lanes WHERE sender = ?1 AND generation = ?2 AND epoch = ?3";
        let of = params![sender.0, signed(epoch.generation), epoch.id.0];
        let same = self.tx.prepare_cached(sql)?.query_row(of, |_| Ok(())).optional()?.is_some();
        if same {
            self.drop_held_below(sender, floor)?;
        } else {
            self.tx.prepare_cached("DELETE FROM held WHERE sender = ?1")?.execute([sender.0])?;
        }
        let sql = "INSERT INTO lanes (sender, generation, epoch, floor) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT DO UPDATE SET generation = excluded.generation, epoch = excluded.epoch,
                       floor = excluded.floor";
        let lane = params![sender.0, signed(epoch.generation), epoch.id.0, signed(floor)];
        self.tx.prepare_cached(sql)?.execute(lane)?;
        Ok(())
    }

    /// Seqs above `i64::MAX` stand as negative numbers: only a hostile sender has any.
    fn drop_held_below(&self, sender: &PublicKey, floor: u64) -> Result<()> {
        let range = "DELETE FROM held WHERE sender = ?1 AND seq >= ?2 AND seq < ?3";
        let mut range = self.tx.prepare_cached(range)?;
        match i64::try_from(floor) {
            Ok(floor) => range.execute(params![sender.0, 0, floor])?,
            Err(_) => {
                self.tx.prepare_cached("DELETE FROM held WHERE sender = ?1 AND seq >= 0")?.execute([sender.0])?;
                range.execute(params![sender.0, i64::MIN, signed(floor)])?
            }
        };
        Ok(())
    }
}
