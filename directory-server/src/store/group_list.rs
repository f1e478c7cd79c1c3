//! Groups as an operator sees them, and the releasing of a group's name, which a second process may do while the server runs.

use common::group::GroupId;
use common::name::Name;
use rusqlite::params;

use super::StoreError;
use super::groups::nameless;
use super::ledger::count;
use super::people::{People, name};

/// What an operator is told about one group that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEntry {
    /// Its number in the store.
    pub number: i64,
    /// The name it was founded with.
    pub name: Name,
    /// It has that name here. Otherwise another had it when it was brought back, or it was released.
    pub named: bool,
    /// Its identity.
    pub id: GroupId,
    /// An invitation is needed.
    pub private: bool,
    /// How many members it has.
    pub members: u64,
    /// How many steps its chain has.
    pub steps: u64,
    /// Bytes of these.
    pub bytes: u64,
}

impl People {
    /// Up to `limit` groups in the order in which they came here, after the one of this number.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read, or is of a layout before there were groups, or their ends.
    pub fn groups(&self, after: Option<i64>, limit: usize) -> Result<Vec<GroupEntry>, StoreError> {
        let sql = "SELECT number, name, folded < '~', id, private, members, version,
                   (SELECT ifnull(sum(length(step)), 0) FROM group_steps s WHERE s.number = g.number)
                   FROM groups g WHERE number > ?1 AND ended_ms IS NULL ORDER BY number LIMIT ?2";
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(params![after.unwrap_or(0), limit as i64])?;
        let mut groups = Vec::new();
        while let Some(row) = rows.next()? {
            groups.push(GroupEntry {
                number: row.get(0)?,
                name: name(row, 1)?,
                named: row.get(2)?,
                id: row.get(3)?,
                private: row.get(4)?,
                members: count(row, 5)?,
                steps: count(row, 6)?,
                bytes: count(row, 7)?,
            });
        }
        Ok(groups)
    }

    /// Frees a group's name; its members keep the group. False: no group has it.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    pub fn release_group(&self, name: &Name) -> Result<bool, StoreError> {
        let find = "SELECT id FROM groups WHERE folded = ?1";
        let mut statement = self.db.prepare_cached(find)?;
        let Some(row) = statement.query([name.folded()])?.next()?.map(|row| row.get::<_, GroupId>(0)).transpose()?
        else {
            return Ok(false);
        };
        let sql = "UPDATE groups SET folded = ?2 WHERE id = ?1 AND folded = ?3";
        Ok(self.db.execute(sql, params![row, nameless(&row), name.folded()])? > 0)
    }
}
