//! Files that were offered, one row for each offer and person: reading them. No bytes of files here.

use common::body::{Body, File};
use peer_core::stored::FileRow;
use rusqlite::types::Type;
use rusqlite::{Connection, Result, Row};

use super::codes::{Col, conversation, id, key, maybe, number};

/// What version 3 of the schema adds.
pub const SCHEMA: &str = include_str!("files.sql");

const COLUMNS: &str =
    "m.n, f.author, f.offer, f.other, f.group_id, f.membership, f.file, f.place, f.stamp, f.state, f.reason,
    f.via, f.kept FROM files f JOIN messages m ON m.sender = f.author AND m.id = f.offer";

/// Files that can still come to something: neither done nor declined nor cancelled.
pub fn open(conn: &Connection) -> Result<Vec<FileRow>> {
    conn.prepare(&format!("SELECT {COLUMNS} WHERE f.state IN (1, 2, 6) ORDER BY m.n, f.other"))?
        .query_map([], row)?
        .collect()
}

/// The newest files, newest last.
pub fn newest(conn: &Connection, count: u32) -> Result<Vec<FileRow>> {
    let sql = format!("SELECT {COLUMNS} ORDER BY m.n DESC, f.other DESC LIMIT ?1");
    let mut newest: Vec<FileRow> = conn.prepare(&sql)?.query_map([count], row)?.collect::<Result<_>>()?;
    newest.reverse();
    Ok(newest)
}

fn row(row: &Row<'_>) -> Result<FileRow> {
    Ok(FileRow {
        n: number(row, 0)?,
        author: key(row, 1)?,
        offer: id(row, 2)?,
        other: key(row, 3)?,
        conversation: conversation(row, 4)?,
        file: file(row, 6)?,
        path: row.get::<_, Option<String>>(7)?.map(Into::into),
        stamp: number(row, 8)?,
        state: row.get::<_, Col<_>>(9)?.0,
        reason: maybe(row, 10)?,
        via: maybe(row, 11)?,
        kept: row.get(12)?,
    })
}

fn file(row: &Row<'_>, at: usize) -> Result<File> {
    match Body::decode(Body::FILE, row.get_ref(at)?.as_blob()?) {
        Body::File(file) => Ok(file),
        _ => Err(rusqlite::Error::InvalidColumnType(at, "file".to_owned(), Type::Blob)),
    }
}
