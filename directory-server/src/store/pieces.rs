//! Files in sealed pieces: room for them, keeping, handing out, dropping. A file of which no piece is needed any more leaves a
//! row, by which its submitter is told what became of it.
//!
//! No transaction deletes more than [`CLEARED_MAX`] pieces. What is over is litter: nobody can ask for it, it counts nowhere,
//! and expiry clears it away.

use common::identity::PublicKey;
use common::message::MessageId;
use common::piece::sealed_bytes;
use common::wire::directory::{BeginFile, Refusal};
use directory_core::StoreResult;
use directory_core::event::{BeginFileOp, FileOp, FileResult, PutPieceOp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::StoreError;
use super::ledger::{Known, Ledger, count};

type Answer = Result<StoreResult, StoreError>;

/// Pieces that one transaction deletes for one question: half as many again as the largest file has by default.
pub(super) const CLEARED_MAX: usize = 512;
/// Files of one pair that ended and are remembered. Who asks for an older one is told nothing of it, and hands it over anew.
pub(super) const ENDED_PER_PAIR_MAX: i64 = 1_000;

/// Its recipient may ask for it.
const OPEN: i64 = 0;
/// Its recipient has it.
const HAD: i64 = 1;
/// Its recipient does not want it.
const UNWANTED: i64 = 2;
/// Only its litter is left.
const FORGOTTEN: i64 = 3;

/// A file's row.
struct File {
    file: i64,
    recipient: i64,
    submitter: i64,
    bytes: u64,
    pieces: u32,
    next: u32,
    kept: u64,
    state: i64,
    stranger: bool,
}

const COLUMNS: &str = "file, recipient, submitter, bytes, pieces, next, kept, state, stranger";

impl File {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            file: row.get(0)?,
            recipient: row.get(1)?,
            submitter: row.get(2)?,
            bytes: count(row, 3)?,
            pieces: row.get(4)?,
            next: row.get(5)?,
            kept: count(row, 6)?,
            state: row.get(7)?,
            stranger: row.get(8)?,
        })
    }

    fn find(db: &Connection, recipient: i64, submitter: i64, offer: MessageId) -> Result<Option<Self>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM files WHERE recipient = ?1 AND submitter = ?2 AND offer = ?3");
        let row = params![recipient, submitter, &offer.0[..]];
        Ok(db.prepare_cached(&sql)?.query_row(row, Self::read).optional()?)
    }

    /// Rows that `which` selects, of which the last parameter limits the number.
    fn select(db: &Connection, which: &str, row: &[&dyn rusqlite::ToSql]) -> Result<Vec<Self>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM files WHERE {which}");
        Ok(db.prepare_cached(&sql)?.query_map(row, Self::read)?.collect::<Result<_, _>>()?)
    }

    /// Ends an open file and counts it out. Its pieces are cleared away and it is remembered, for as long as such are.
    fn end(&self, ledger: &Ledger<'_>, state: i64) -> Result<(), StoreError> {
        let db = ledger.db();
        count_out(db, self)?;
        let cleared = clear(db, self.file, self.pieces, CLEARED_MAX)?;
        let next = if state == HAD { self.pieces } else { self.next };
        let sql = "UPDATE files SET next = ?2, state = ?3, litter = ?4 WHERE file = ?1";
        db.prepare_cached(sql)?.execute(params![self.file, next, state, cleared == CLEARED_MAX])?;
        let over = "recipient = ?1 AND submitter = ?2 AND state IN (1, 2) ORDER BY file DESC LIMIT -1 OFFSET ?3";
        for old in Self::select(db, over, params![self.recipient, self.submitter, ENDED_PER_PAIR_MAX])? {
            old.forget(ledger, &mut 0)?;
        }
        Ok(())
    }

    /// Forgets a file. So many pieces of it as `clear` says are deleted and taken off there; if that is not enough, the row
    /// stays for what is left.
    fn forget(&self, ledger: &Ledger<'_>, left: &mut usize) -> Result<(), StoreError> {
        let db = ledger.db();
        if self.state == OPEN {
            count_out(db, self)?;
        }
        let cleared = clear(db, self.file, self.pieces, *left)?;
        *left -= cleared;
        let more = "SELECT 1 FROM pieces WHERE file = ?1";
        if *left == 0 && db.prepare_cached(more)?.exists([self.file])? {
            let sql = "UPDATE files SET offer = NULL, state = ?2, litter = 1 WHERE file = ?1";
            db.prepare_cached(sql)?.execute([self.file, FORGOTTEN])?;
        } else {
            db.prepare_cached("DELETE FROM files WHERE file = ?1")?.execute([self.file])?;
        }
        Ok(())
    }
}

/// Deletes pieces of a file numbered below `below`, the first ones first, at most `limit`. How many.
fn clear(db: &Connection, file: i64, below: u32, limit: usize) -> Result<usize, StoreError> {
    let sql = "DELETE FROM pieces WHERE piece IN
               (SELECT piece FROM pieces WHERE file = ?1 AND number < ?2 ORDER BY number LIMIT ?3)";
    Ok(db.prepare_cached(sql)?.execute(params![file, below, limit as i64])?)
}

fn count_in(db: &Connection, recipient: i64, submitter: i64, bytes: u64, stranger: bool) -> Result<(), StoreError> {
    if stranger {
        add_of_strangers(db, bytes as i64)?;
    }
    add(db, recipient, [1, bytes as i64, 0, 0])?;
    add(db, submitter, [0, 0, 1, bytes as i64])
}

fn count_out(db: &Connection, file: &File) -> Result<(), StoreError> {
    if file.stranger {
        add_of_strangers(db, -(file.bytes as i64))?;
    }
    add(db, file.recipient, [-1, -(file.bytes as i64), 0, 0])?;
    add(db, file.submitter, [0, 0, -1, -(file.bytes as i64)])
}

fn add(db: &Connection, account: i64, by: [i64; 4]) -> Result<(), StoreError> {
    let sql = "INSERT INTO file_tallies VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (account) DO UPDATE SET
               files = files + excluded.files, bytes = bytes + excluded.bytes,
               sent_files = sent_files + excluded.sent_files, sent_bytes = sent_bytes + excluded.sent_bytes
               RETURNING min(files, bytes, sent_files, sent_bytes)";
    let [files, bytes, sent_files, sent_bytes] = by;
    let row = params![account, files, bytes, sent_files, sent_bytes];
    not_below_zero(db.prepare_cached(sql)?.query_row(row, |row| row.get(0))?)
}

fn add_of_strangers(db: &Connection, bytes: i64) -> Result<(), StoreError> {
    let sql = "UPDATE file_head SET stranger_bytes = stranger_bytes + ?1 RETURNING stranger_bytes";
    not_below_zero(db.prepare_cached(sql)?.query_row([bytes], |row| row.get(0))?)
}

fn not_below_zero(least: i64) -> Result<(), StoreError> {
    if least < 0 { Err(StoreError::Damaged("a count would fall below zero")) } else { Ok(()) }
}

/// A submitter is no stranger to this recipient any more, and what waits from it counts as no stranger's.
pub(super) fn accepted(db: &Connection, recipient: i64, submitter: i64) -> Result<(), StoreError> {
    let open = "recipient = ?1 AND submitter = ?2 AND state = 0 AND stranger = 1";
    let sum = format!("SELECT ifnull(sum(bytes), 0) FROM files INDEXED BY files_open WHERE {open}");
    let bytes: i64 = db.prepare_cached(&sum)?.query_row([recipient, submitter], |row| row.get(0))?;
    if bytes > 0 {
        let sql = format!("UPDATE files INDEXED BY files_open SET stranger = 0 WHERE {open}");
        db.prepare_cached(&sql)?.execute([recipient, submitter])?;
        add_of_strangers(db, -bytes)?;
    }
    Ok(())
}

/// Open files for an account and their bytes, as declared; and the bytes of those from it.
pub(super) fn tally(db: &Connection, account: i64) -> Result<(u64, u64, u64), StoreError> {
    let sql = "SELECT files, bytes, sent_bytes FROM file_tallies WHERE account = ?1";
    let read = |row: &Row<'_>| Ok((count(row, 0)?, count(row, 1)?, count(row, 2)?));
    Ok(db.prepare_cached(sql)?.query_row([account], read).optional()?.unwrap_or_default())
}

pub(super) fn answer(ledger: &mut Ledger<'_>, op: FileOp) -> Answer {
    match op {
        FileOp::Begin(op) => begin(ledger, &op),
        FileOp::Put(op) => put(ledger, &op),
        FileOp::Get { recipient, submitter, offer, index } => get(ledger, &recipient, &submitter, offer, index),
        FileOp::Drop { key, submitter, recipient, offer } => give_up(ledger, &key, &submitter, &recipient, offer),
    }
}

fn room(next: u32, refusal: Option<Refusal>) -> Answer {
    Ok(StoreResult::File(FileResult::Room { next, refusal }))
}

/// The accounts of a pair, if both have one.
type Pair = Option<(Known, Known)>;

fn pair(ledger: &mut Ledger<'_>, recipient: &PublicKey, submitter: &PublicKey) -> Result<Pair, StoreError> {
    Ok(ledger.known(recipient)?.zip(ledger.known(submitter)?))
}

/// Why nothing is taken for a file whatever its size: as for mail, both need a name.
fn nameless(submitter: Option<Known>, recipient: Option<Known>) -> Option<Refusal> {
    let named = |known: Option<Known>| known.is_some_and(|known| known.registered);
    match (named(submitter), named(recipient)) {
        (false, _) => Some(Refusal::NotRegistered),
        (true, false) => Some(Refusal::NoSuchUser),
        (true, true) => None,
    }
}

fn begin(ledger: &mut Ledger<'_>, op: &BeginFileOp) -> Answer {
    let BeginFile { recipient, offer, bytes, pieces } = op.begin;
    let full = (!op.may_grow).then_some(Refusal::DiskFull);
    let (to, from) = (ledger.known(&recipient)?, ledger.known(&op.submitter)?);
    let nameless = nameless(from, to);
    let Some((to, from)) = to.zip(from) else { return room(0, nameless) };
    let (to, from) = (to.account, from.account);
    if let Some(file) = File::find(ledger.db(), to, from, offer)? {
        let refusal = if (file.bytes, file.pieces) != (bytes, pieces) {
            Some(Refusal::Conflict)
        } else if file.state == UNWANTED {
            Some(Refusal::NotAllowed)
        } else {
            nameless.or(full).filter(|_| file.next < file.pieces)
        };
        return room(file.next, refusal);
    }
    let stranger = !ledger.pair(to, from)?.accepted;
    if let Some(refusal) = nameless.or(over_limit(ledger.db(), op, to, from, stranger)?).or(full) {
        return room(0, Some(refusal));
    }
    let begun_ms = ledger.stamp(op.now_ms);
    count_in(ledger.db(), to, from, bytes, stranger)?;
    let sql =
        "INSERT INTO files (recipient, submitter, offer, begun_ms, bytes, pieces, next, kept, state, litter, stranger)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0, 0, ?7)";
    let row = params![to, from, &offer.0[..], begun_ms, bytes as i64, pieces, stranger];
    ledger.db().prepare_cached(sql)?.execute(row)?;
    room(0, None)
}

/// Which limit a new file would break.
fn over_limit(
    db: &Connection,
    op: &BeginFileOp,
    recipient: i64,
    submitter: i64,
    stranger: bool,
) -> Result<Option<Refusal>, StoreError> {
    let (limits, bytes) = (&op.limits, op.begin.bytes);
    // A file without a byte has sealed ones all the same.
    if limits.file_bytes == 0 || bytes > sealed_bytes(limits.file_bytes) {
        return Ok(Some(Refusal::TooLarge { limit: limits.file_bytes }));
    }
    let (_, kept, _) = tally(db, recipient)?;
    if kept + bytes > limits.mailbox_bytes {
        return Ok(Some(Refusal::MailboxFull));
    }
    let (_, _, sent) = tally(db, submitter)?;
    let sql = "SELECT count(*) FROM files WHERE recipient = ?1 AND submitter = ?2 AND state = 0";
    let files = db.prepare_cached(sql)?.query_row([recipient, submitter], |row| count(row, 0))?;
    if sent + bytes > limits.submitter_bytes || files >= limits.pair_files {
        return Ok(Some(Refusal::QuotaExceeded));
    }
    if !stranger {
        return Ok(None);
    }
    let sql = "SELECT count(*), ifnull(sum(bytes), 0) FROM files WHERE recipient = ?1 AND state = 0 AND stranger = 1";
    let (files, kept) = db.prepare_cached(sql)?.query_row([recipient], |row| Ok((count(row, 0)?, count(row, 1)?)))?;
    let all = db.prepare_cached("SELECT stranger_bytes FROM file_head")?.query_row([], |row| count(row, 0))?;
    let over = files >= limits.stranger_files
        || kept + bytes > limits.stranger_bytes
        || all + bytes > limits.stranger_bytes_all;
    Ok(over.then_some(Refusal::StrangersFull))
}

fn put(ledger: &mut Ledger<'_>, op: &PutPieceOp) -> Answer {
    let put = &op.put;
    let Some((to, from)) = pair(ledger, &put.recipient, &op.submitter)? else { return room(0, Some(Refusal::Invalid)) };
    let Some(file) = File::find(ledger.db(), to.account, from.account, put.offer)? else {
        return room(0, Some(Refusal::Invalid));
    };
    if file.state == UNWANTED {
        return room(file.next, Some(Refusal::NotAllowed));
    }
    if put.index != file.next || file.next == file.pieces {
        return room(file.next, None);
    }
    let kept = file.kept + put.sealed.len() as u64;
    let over = (kept > file.bytes).then_some(Refusal::TooLarge { limit: file.bytes });
    let full = (!op.may_grow).then_some(Refusal::DiskFull);
    if let Some(refusal) = nameless(Some(from), Some(to)).or(over).or(full) {
        return room(file.next, Some(refusal));
    }
    let db = ledger.db();
    db.prepare_cached("INSERT INTO pieces (file, number, sealed) VALUES (?1, ?2, ?3)")?
        .execute(params![file.file, put.index, put.sealed])?;
    let next = file.next + 1;
    let row = params![file.file, next, kept as i64];
    db.prepare_cached("UPDATE files SET next = ?2, kept = ?3 WHERE file = ?1")?.execute(row)?;
    room(next, None)
}

fn get(ledger: &mut Ledger<'_>, recipient: &PublicKey, submitter: &PublicKey, offer: MessageId, index: u32) -> Answer {
    let absent = Ok(StoreResult::File(FileResult::Piece(None)));
    let Some((to, from)) = pair(ledger, recipient, submitter)? else { return absent };
    let Some(file) = File::find(ledger.db(), to.account, from.account, offer)? else { return absent };
    if file.state != OPEN || index > file.pieces {
        return absent;
    }
    if index == file.pieces {
        file.end(ledger, HAD)?;
        return absent;
    }
    let db = ledger.db();
    clear(db, file.file, index, CLEARED_MAX)?;
    if index > file.next {
        // What its recipient got another way need not be handed over.
        db.prepare_cached("UPDATE files SET next = ?2 WHERE file = ?1")?.execute(params![file.file, index])?;
    }
    let sql = "SELECT sealed FROM pieces WHERE file = ?1 AND number = ?2";
    let sealed = db.prepare_cached(sql)?.query_row(params![file.file, index], |row| row.get(0)).optional()?;
    Ok(StoreResult::File(FileResult::Piece(sealed)))
}

fn give_up(
    ledger: &mut Ledger<'_>,
    key: &PublicKey,
    submitter: &PublicKey,
    recipient: &PublicKey,
    offer: MessageId,
) -> Answer {
    let Some((to, from)) = pair(ledger, recipient, submitter)? else { return Ok(StoreResult::Done) };
    let Some(file) = File::find(ledger.db(), to.account, from.account, offer)? else { return Ok(StoreResult::Done) };
    let mut left = CLEARED_MAX;
    if key == submitter {
        file.forget(ledger, &mut left)?;
    } else if key == recipient && file.state == OPEN {
        file.end(ledger, UNWANTED)?;
    }
    Ok(StoreResult::Done)
}

/// Clears litter away, and forgets files begun before `before_ms`, at most `limit` of each. Whether there may be more.
pub(super) fn expire(ledger: &Ledger<'_>, before_ms: i64, limit: u32) -> Result<bool, StoreError> {
    let db = ledger.db();
    let mut left = CLEARED_MAX;
    let littered = File::select(db, "litter = 1 ORDER BY file LIMIT ?1", params![limit])?;
    for file in &littered {
        if left == 0 {
            break;
        }
        if file.state == FORGOTTEN {
            file.forget(ledger, &mut left)?;
            continue;
        }
        left -= clear(db, file.file, file.pieces, left)?;
        if left > 0 {
            db.prepare_cached("UPDATE files SET litter = 0 WHERE file = ?1")?.execute([file.file])?;
        }
    }
    let old = "begun_ms < ?1 AND state != 3 ORDER BY begun_ms LIMIT ?2";
    let old = File::select(db, old, params![before_ms, limit])?;
    for file in &old {
        if left == 0 {
            break;
        }
        file.forget(ledger, &mut left)?;
    }
    Ok(left == 0 || littered.len().max(old.len()) >= limit as usize)
}
