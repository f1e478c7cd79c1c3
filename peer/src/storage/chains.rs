//! Reading the chain of a group, piece by piece.

use common::group::{GroupId, SignedStep};
use common::wire::codec;
use rusqlite::types::Type;
use rusqlite::{Connection, Error, Result, params};

use super::codes::{number, signed};

/// At most `count` steps of a chain after a version, up to the first that is not there.
pub fn steps_after(conn: &Connection, group: &GroupId, after: u64, count: u32) -> Result<Vec<SignedStep>> {
    let sql = "SELECT version, step FROM group_steps WHERE group_id = ?1 AND version > ?2 ORDER BY version LIMIT ?3";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![group, signed(after), count])?;
    let mut steps = Vec::new();
    while let Some(row) = rows.next()? {
        if number(row, 0)? != after + steps.len() as u64 + 1 {
            break;
        }
        let bytes = row.get_ref(1)?.as_blob()?;
        steps.push(
            codec::decode(bytes).map_err(|error| Error::FromSqlConversionFailure(1, Type::Blob, Box::new(error)))?,
        );
    }
    Ok(steps)
}
