//! Files that were offered: writing how each stands with each person. Reading them is in `files`.

use common::body::Body;
use common::identity::PublicKey;
use peer_core::stored::FileRow;
use rusqlite::{Result, params};

use super::codes::{Col, conversation_columns, signed};
use super::write::Writer;

impl Writer<'_> {
    /// A file that is offered, unless it is known.
    pub(super) fn new_file(&mut self, row: &FileRow) -> Result<()> {
        self.write_file("INSERT OR IGNORE", row)
    }

    /// How a file stands now.
    pub(super) fn put_file(&mut self, row: &FileRow) -> Result<()> {
        self.write_file("INSERT OR REPLACE", row)
    }

    fn write_file(&self, verb: &str, row: &FileRow) -> Result<()> {
        let FileRow { author: PublicKey(author), offer, other, .. } = row;
        let (group, membership) = conversation_columns(&row.conversation);
        let (_, file) = Body::File(row.file.clone()).encode();
        let place = row.path.as_ref().map(|path| path.to_string_lossy());
        let sql = format!(
            "{verb} INTO files (author, offer, other, group_id, membership, file, place, stamp, state, reason, via, kept)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        );
        self.tx.prepare_cached(&sql)?.execute(params![
            author,
            offer.0,
            other.0,
            group,
            membership,
            file,
            place,
            signed(row.stamp),
            Col(row.state),
            row.reason.map(Col),
            row.via.map(Col),
            row.kept,
        ])?;
        Ok(())
    }
}
