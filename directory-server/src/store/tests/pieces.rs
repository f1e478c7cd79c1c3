//! Files in sealed pieces: room for them, keeping, handing out, ending, and what is told of one afterwards.

use common::message::MessageId;
use common::piece::{OVERHEAD_BYTES, count, sealed_bytes};
use common::wire::directory::{BeginFile, PutPiece};
use directory_core::event::{BeginFileOp, FileOp, FileResult, PutPieceOp};
use directory_core::limits::FileLimits;

use super::counts::recount;
use super::*;
use crate::store::pieces::{CLEARED_MAX, ENDED_PER_PAIR_MAX};

mod limits;

/// Plain bytes of a file of three pieces.
const SIZE: u64 = 70_000;
const DAY: i64 = 86_400_000;

fn offer(number: u16) -> MessageId {
    let mut id = [7; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    MessageId(id)
}

fn begin_op(from: u8, to: u8, number: u16, size: u64) -> BeginFileOp {
    let (bytes, pieces) = (sealed_bytes(size), count(size).unwrap());
    let begin = BeginFile { recipient: key(to), offer: offer(number), bytes, pieces };
    BeginFileOp { submitter: key(from), begin, may_grow: true, now_ms: 1_000, limits: FileLimits::default() }
}

fn put_op(from: u8, to: u8, number: u16, index: u32) -> PutPieceOp {
    let sealed = content(number, index);
    let put = PutPiece { recipient: key(to), offer: offer(number), index, sealed };
    PutPieceOp { submitter: key(from), put, may_grow: true }
}

/// A small one: what a file may take is counted by what was declared.
fn content(number: u16, index: u32) -> Vec<u8> {
    [&[9; OVERHEAD_BYTES][..], &number.to_be_bytes(), &index.to_be_bytes()].concat()
}

/// How far a file is, and why nothing is taken.
type Said = (u32, Option<Refusal>);

impl Bench {
    /// Bob (2) has accepted Alice (1), Alice has accepted Bob, nobody Carol (3).
    fn with_friends() -> Self {
        let mut bench = Self::with_people();
        bench.make_friends();
        bench
    }

    fn make_friends(&mut self) {
        for (one, other) in [(1, 2), (2, 1)] {
            self.ask(StoreOp::Accept { key: key(one), keys: vec![key(other)], limit: 9 });
        }
    }

    fn room(&mut self, op: FileOp) -> Said {
        match self.ask(StoreOp::File(op)) {
            StoreResult::File(FileResult::Room { next, refusal }) => (next, refusal),
            other => panic!("{other:?}"),
        }
    }

    fn begin(&mut self, op: BeginFileOp) -> Said {
        self.room(FileOp::Begin(Box::new(op)))
    }

    fn put(&mut self, op: PutPieceOp) -> Said {
        self.room(FileOp::Put(Box::new(op)))
    }

    /// A file of three pieces from Alice for Bob, of which so many are kept.
    fn file(&mut self, number: u16, pieces: u32) {
        assert_eq!(self.begin(begin_op(1, 2, number, SIZE)), (0, None));
        for index in 0..pieces {
            assert_eq!(self.put(put_op(1, 2, number, index)), (index + 1, None));
        }
    }

    fn state(&mut self, number: u16) -> Said {
        self.begin(begin_op(1, 2, number, SIZE))
    }

    fn get(&mut self, of: u8, from: u8, number: u16, index: u32) -> Option<Vec<u8>> {
        let op = FileOp::Get { recipient: key(of), submitter: key(from), offer: offer(number), index };
        match self.ask(StoreOp::File(op)) {
            StoreResult::File(FileResult::Piece(sealed)) => sealed,
            other => panic!("{other:?}"),
        }
    }

    fn drop_file(&mut self, who: u8, number: u16) {
        let (submitter, recipient) = (key(1), key(2));
        let op = FileOp::Drop { key: key(who), submitter, recipient, offer: offer(number) };
        assert_eq!(self.ask(StoreOp::File(op)), StoreResult::Done);
    }

    fn rows(&self, of: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM {of}");
        self.store.db.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap() as u64
    }

    /// Files open for somebody, their bytes as declared, bytes of those from them.
    fn tally(&self, who: u8) -> (u64, u64, u64) {
        let sql = "SELECT account FROM accounts WHERE key = ?1";
        let account = self.store.db.query_row(sql, [&key(who).0[..]], |row| row.get(0)).unwrap();
        crate::store::pieces::tally(&self.store.db, account).unwrap()
    }
}

#[test]
fn a_file_is_handed_over_piece_by_piece_and_taken_piece_by_piece() {
    let mut bench = Bench::with_friends();
    bench.file(1, 0);
    assert_eq!(bench.get(2, 1, 1, 0), None, "not yet");
    for index in 0..3 {
        assert_eq!(bench.put(put_op(1, 2, 1, index)), (index + 1, None));
    }
    assert_eq!(bench.state(1), (3, None), "all were kept");
    for index in 0..3 {
        assert_eq!(bench.get(2, 1, 1, index), Some(content(1, index)));
        assert_eq!(bench.get(2, 1, 1, index), Some(content(1, index)), "until a later one is asked for");
        assert_eq!(bench.rows("pieces"), u64::from(3 - index));
    }
    assert_eq!((bench.tally(2), bench.tally(1)), ((1, sealed_bytes(SIZE), 0), (0, 0, sealed_bytes(SIZE))));
    assert_eq!(bench.get(2, 1, 1, 3), None);
    assert_eq!((bench.rows("pieces"), bench.tally(2), bench.tally(1)), (0, (0, 0, 0), (0, 0, 0)));
    assert_eq!(bench.state(1), (3, None), "its submitter is told that all were kept");
    assert_eq!(bench.put(put_op(1, 2, 1, 0)), (3, None));
    assert_eq!(bench.get(2, 1, 1, 0), None);
    assert_eq!(bench.rows("pieces"), 0);
}

#[test]
fn only_the_next_piece_is_kept_and_any_other_is_answered_with_it() {
    let mut bench = Bench::with_friends();
    bench.file(1, 1);
    for index in [0, 2, 3, u32::MAX] {
        assert_eq!(bench.put(put_op(1, 2, 1, index)), (1, None));
    }
    assert_eq!((bench.rows("pieces"), bench.get(2, 1, 1, 0)), (1, Some(content(1, 0))));
    assert_eq!(bench.put(put_op(1, 2, 9, 0)), (0, Some(Refusal::Invalid)), "nobody began it");
    assert_eq!(bench.put(put_op(8, 2, 1, 1)), (0, Some(Refusal::Invalid)), "nobody at all");
}

#[test]
fn pieces_of_one_transaction_follow_each_other() {
    let mut bench = Bench::with_friends();
    let op = |op| StoreOp::File(op);
    let ops = [
        op(FileOp::Begin(Box::new(begin_op(1, 2, 1, SIZE)))),
        op(FileOp::Put(Box::new(put_op(1, 2, 1, 0)))),
        op(FileOp::Put(Box::new(put_op(1, 2, 1, 1)))),
        op(FileOp::Put(Box::new(put_op(1, 2, 1, 1)))),
    ];
    let ops = ops.into_iter().map(|op| (Ticket(1), op)).collect();
    let said: Vec<_> = bench.store.apply(ops).unwrap().results.into_iter().map(|(_, result)| result).collect();
    let room = |next| StoreResult::File(FileResult::Room { next, refusal: None });
    assert_eq!(said, [room(0), room(1), room(2), room(2)]);
}

#[test]
fn a_known_file_is_answered_with_how_far_it_is_and_not_changed() {
    let mut bench = Bench::with_friends();
    bench.file(1, 2);
    assert_eq!(bench.state(1), (2, None));
    for (bytes, pieces) in [(1, 0), (0, 1)] {
        let mut other = begin_op(1, 2, 1, SIZE);
        other.begin.bytes += bytes;
        other.begin.pieces += pieces;
        assert_eq!(bench.begin(other), (2, Some(Refusal::Conflict)));
    }
    let mut small = begin_op(1, 2, 1, SIZE);
    small.limits =
        FileLimits { file_bytes: 0, mailbox_bytes: 0, submitter_bytes: 0, pair_files: 0, ..FileLimits::default() };
    assert_eq!(bench.begin(small), (2, None), "what was begun can be finished");
    assert_eq!(bench.tally(2).0, 1);
}

#[test]
fn a_file_needs_two_with_names() {
    let mut bench = Bench::with_friends();
    assert_eq!(bench.begin(begin_op(9, 2, 1, SIZE)), (0, Some(Refusal::NotRegistered)));
    assert_eq!(bench.begin(begin_op(1, 9, 1, SIZE)), (0, Some(Refusal::NoSuchUser)));
    assert_eq!(bench.rows("files") + bench.rows("file_tallies"), 0);
    bench.file(1, 1);
    bench.ask(StoreOp::Deregister { key: key(2) });
    assert_eq!(bench.put(put_op(1, 2, 1, 1)), (1, Some(Refusal::NoSuchUser)));
    assert_eq!(bench.state(1), (1, Some(Refusal::NoSuchUser)));
    assert_eq!(bench.get(2, 1, 1, 0), Some(content(1, 0)), "what waits for the key stays");
    bench.register(2, "Bobby");
    bench.ask(StoreOp::Deregister { key: key(1) });
    assert_eq!(bench.put(put_op(1, 2, 1, 1)), (1, Some(Refusal::NotRegistered)));
    bench.register(1, "Alicia");
    assert_eq!(bench.put(put_op(1, 2, 1, 1)), (2, None));
}

#[test]
fn no_more_is_kept_than_was_declared() {
    let mut bench = Bench::with_friends();
    assert_eq!(bench.begin(begin_op(1, 2, 1, 40_000)), (0, None));
    let bytes = sealed_bytes(40_000);
    let sized = |index, length: u64| {
        let mut op = put_op(1, 2, 1, index);
        op.put.sealed = vec![5; length as usize];
        op
    };
    assert_eq!(bench.put(sized(0, 32_808)), (1, None));
    assert_eq!(bench.put(sized(1, bytes - 32_807)), (1, Some(Refusal::TooLarge { limit: bytes })));
    assert_eq!(bench.put(sized(1, bytes - 32_808)), (2, None));
    recount(&bench.store);
}

#[test]
fn where_the_disk_is_full_nothing_is_added_and_everything_is_told_and_taken() {
    let mut bench = Bench::with_friends();
    bench.file(1, 2);
    let full = |number| BeginFileOp { may_grow: false, ..begin_op(1, 2, number, SIZE) };
    assert_eq!(bench.begin(full(2)), (0, Some(Refusal::DiskFull)));
    assert_eq!(bench.begin(full(1)), (2, Some(Refusal::DiskFull)));
    assert_eq!(bench.put(PutPieceOp { may_grow: false, ..put_op(1, 2, 1, 2) }), (2, Some(Refusal::DiskFull)));
    assert_eq!(bench.put(PutPieceOp { may_grow: false, ..put_op(1, 2, 1, 0) }), (2, None));
    assert_eq!(bench.put(put_op(1, 2, 1, 2)), (3, None));
    assert_eq!(bench.begin(full(1)), (3, None), "it takes no more room");
    assert_eq!(bench.get(2, 1, 1, 2), Some(content(1, 2)));
}

#[test]
fn what_a_recipient_got_another_way_is_not_wanted_any_more() {
    let mut bench = Bench::with_friends();
    bench.file(1, 1);
    assert_eq!(bench.get(2, 1, 1, 4), None, "there are no four");
    assert_eq!((bench.state(1), bench.rows("pieces")), ((1, None), 1));
    assert_eq!(bench.get(2, 1, 1, 2), None);
    assert_eq!((bench.state(1), bench.rows("pieces")), ((2, None), 0));
    assert_eq!(bench.put(put_op(1, 2, 1, 1)), (2, None));
    assert_eq!(bench.put(put_op(1, 2, 1, 2)), (3, None));
    assert_eq!(bench.get(2, 1, 1, 2), Some(content(1, 2)));
    bench.file(2, 1);
    assert_eq!(bench.get(2, 1, 2, 3), None);
    assert_eq!(bench.state(2), (3, None), "the recipient has it");
    recount(&bench.store);
}

#[test]
fn nobody_but_the_two_can_ask_for_a_file_or_end_it() {
    let mut bench = Bench::with_friends();
    bench.file(1, 3);
    assert_eq!([bench.get(3, 1, 1, 0), bench.get(1, 1, 1, 0), bench.get(1, 2, 1, 0)], [None, None, None]);
    assert_eq!(bench.get(3, 1, 1, 3), None);
    bench.drop_file(3, 1);
    assert_eq!((bench.rows("pieces"), bench.state(1)), (3, (3, None)));
}

#[test]
fn a_file_dropped_by_its_submitter_is_forgotten_and_by_its_recipient_remembered() {
    let mut bench = Bench::with_friends();
    bench.file(1, 2);
    bench.drop_file(1, 1);
    assert_eq!((bench.rows("files"), bench.rows("pieces"), bench.tally(1)), (0, 0, (0, 0, 0)));
    bench.file(1, 3);
    bench.drop_file(2, 1);
    assert_eq!((bench.rows("files"), bench.rows("pieces"), bench.tally(2)), (1, 0, (0, 0, 0)));
    assert_eq!(bench.state(1), (3, Some(Refusal::NotAllowed)));
    assert_eq!(bench.put(put_op(1, 2, 1, 3)), (3, Some(Refusal::NotAllowed)));
    assert_eq!(bench.get(2, 1, 1, 0), None);
    bench.drop_file(2, 1);
    bench.drop_file(1, 1);
    bench.drop_file(1, 1);
    assert_eq!(bench.rows("files"), 0);
    bench.file(1, 1);
    bench.get(2, 1, 1, 3);
    bench.drop_file(2, 1);
    assert_eq!(bench.state(1), (3, None), "what its recipient has is not unwanted");
    recount(&bench.store);
}

fn expire_at(now_ms: i64) -> ExpireOp {
    ExpireOp { items_before_ms: now_ms - 35 * DAY, accounts_before_ms: now_ms - 35 * DAY, now_ms, ..expire(0, 0) }
}

#[test]
fn a_file_and_the_word_of_it_go_when_it_is_as_old_as_an_item_may_be() {
    let mut bench = Bench::with_friends();
    let start = 1_800_000_000_000;
    for (number, now_ms) in [(1, start), (2, start), (3, start + 1)] {
        assert_eq!(bench.begin(BeginFileOp { now_ms, ..begin_op(1, 2, number, SIZE) }), (0, None));
        bench.put(put_op(1, 2, number, 0));
    }
    bench.get(2, 1, 2, 3);
    bench.ask(StoreOp::Expire(expire_at(start + 35 * DAY)));
    assert_eq!((bench.rows("files"), bench.rows("pieces")), (3, 2), "not yet");
    bench.ask(StoreOp::Expire(expire_at(start + 35 * DAY + 1)));
    assert_eq!((bench.rows("files"), bench.rows("pieces"), bench.tally(2).0), (1, 1, 1));
    assert_eq!(bench.state(3), (1, None));
    recount(&bench.store);
}

#[test]
fn a_key_that_a_file_waits_for_is_not_forgotten() {
    let mut bench = Bench::with_friends();
    let start = 1_800_000_000_000;
    let login = StoreOp::OfferToken { key: key(2), token: [1; 16], proven: None, now_ms: start };
    bench.ask(login);
    bench.begin(BeginFileOp { now_ms: start + DAY, ..begin_op(1, 2, 1, SIZE) });
    bench.put(put_op(1, 2, 1, 0));
    bench.store.db.execute("DELETE FROM pairs", []).unwrap();
    bench.store.db.execute("UPDATE tallies SET accepted = 0, accepted_by = 0", []).unwrap();
    bench.ask(StoreOp::Deregister { key: key(2) });
    bench.ask(StoreOp::Expire(ExpireOp { accounts_before_ms: start + 2 * DAY, ..expire_at(start + 3 * DAY) }));
    assert_eq!(bench.get(2, 1, 1, 0), Some(content(1, 0)));
    bench.get(2, 1, 1, 3);
    bench.ask(StoreOp::Expire(ExpireOp { accounts_before_ms: start + 2 * DAY, ..expire_at(start + 3 * DAY) }));
    assert_eq!(bench.rows("accounts"), 2);
    assert_eq!(bench.rows("file_tallies"), 1);
}

/// A file of more pieces than one transaction deletes.
fn great(bench: &mut Bench, number: u16) -> u32 {
    let pieces = CLEARED_MAX as u32 * 2 + 10;
    let limits = FileLimits { file_bytes: 1 << 30, ..FileLimits::default() };
    let begin = BeginFileOp { limits, ..begin_op(1, 2, number, u64::from(pieces) * 32_768) };
    assert_eq!(bench.begin(begin), (0, None));
    let put = |index| (Ticket(1), StoreOp::File(FileOp::Put(Box::new(put_op(1, 2, number, index)))));
    bench.store.apply((0..pieces).map(put).collect()).unwrap();
    assert_eq!(bench.rows("pieces"), u64::from(pieces));
    pieces
}

#[test]
fn what_is_more_than_a_transaction_should_delete_is_cleared_away_later() {
    let cleared = CLEARED_MAX as u64;
    for end in 0..4 {
        let mut bench = Bench::with_friends();
        let pieces = great(&mut bench, 1);
        match end {
            0 => bench.drop_file(1, 1),
            1 => bench.drop_file(2, 1),
            2 => assert_eq!(bench.get(2, 1, 1, pieces), None),
            _ => drop(bench.ask(StoreOp::Expire(expire(2_000, 0)))),
        }
        assert_eq!((bench.rows("pieces"), bench.tally(2)), (cleared + 10, (0, 0, 0)), "it counts nowhere");
        assert_eq!(bench.get(2, 1, 1, pieces - 1), None);
        recount(&bench.store);
        bench.file(2, 1);
        for (more, left) in [(true, 11), (false, 1), (false, 1)] {
            assert_eq!(bench.ask(StoreOp::Expire(expire(0, 0))), StoreResult::Expired { more });
            assert_eq!(bench.rows("pieces"), left);
            recount(&bench.store);
        }
        assert_eq!(bench.rows("files"), [1, 2, 2, 1][end], "a word of what its recipient ended");
    }
}

#[test]
fn a_file_that_is_asked_for_far_ahead_gives_its_pieces_back_in_parts() {
    let mut bench = Bench::with_friends();
    let pieces = great(&mut bench, 1);
    assert!(bench.get(2, 1, 1, pieces - 1).is_some());
    assert_eq!(bench.rows("pieces"), CLEARED_MAX as u64 + 10);
    assert!(bench.get(2, 1, 1, pieces - 1).is_some());
    assert!(bench.get(2, 1, 1, pieces - 1).is_some());
    assert_eq!(bench.rows("pieces"), 1);
}

#[test]
fn so_many_ended_files_of_a_pair_are_remembered_and_no_more() {
    let mut bench = Bench::with_friends();
    let most = ENDED_PER_PAIR_MAX as u16;
    for number in 0..most + 2 {
        bench.begin(begin_op(1, 2, number, 0));
        bench.get(2, 1, number, 1);
    }
    assert_eq!(bench.rows("files"), u64::from(most));
    let said = [0, 1, 2, most + 1].map(|number| bench.begin(begin_op(1, 2, number, 0)).0);
    assert_eq!(said, [0, 0, 1, 1], "the oldest begin anew");
    recount(&bench.store);
}

#[test]
fn what_is_asked_of_files_is_found_by_an_index() {
    let bench = Bench::with_friends();
    let plan = |sql: &str| -> String {
        let mut statement = bench.store.db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let count = statement.parameter_count();
        let rows = statement.query_map(rusqlite::params_from_iter(vec![1; count]), |row| row.get::<_, String>(3));
        rows.unwrap().map(Result::unwrap).collect()
    };
    for (sql, index) in [
        ("SELECT count(*) FROM files WHERE recipient = ?1 AND submitter = ?2 AND state = 0", "files_open"),
        (
            "SELECT file FROM files WHERE recipient = ?1 AND submitter = ?2 AND state IN (1, 2) ORDER BY file DESC
             LIMIT -1 OFFSET ?3",
            "files_ended",
        ),
        (
            "SELECT count(*), ifnull(sum(bytes), 0) FROM files WHERE recipient = ?1 AND state = 0 AND stranger = 1",
            "COVERING INDEX files_of_strangers",
        ),
        ("SELECT file FROM files WHERE litter = 1 ORDER BY file LIMIT ?1", "files_with_litter"),
        ("SELECT file FROM files WHERE begun_ms < ?1 AND state != 3 ORDER BY begun_ms LIMIT ?2", "files_by_age"),
        ("SELECT sealed FROM pieces WHERE file = ?1 AND number = ?2", "sqlite_autoindex_pieces_1"),
    ] {
        let plan = plan(sql);
        assert!(plan.contains(index) && !plan.contains("TEMP"), "{sql}: {plan}");
    }
}

#[test]
fn everything_goes_on_where_it_was_after_a_drop_without_closing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut bench = Bench { store: Store::open(&path).unwrap(), ..Bench::new() };
    for (who, name) in [(1, "Alice"), (2, "Bob")] {
        bench.register(who, name);
    }
    bench.make_friends();
    bench.file(1, 2);
    bench.file(2, 1);
    bench.file(3, 1);
    bench.get(2, 1, 2, 3);
    bench.drop_file(2, 3);
    drop(bench);
    let mut bench = Bench { store: Store::open(&path).unwrap(), ..Bench::new() };
    recount(&bench.store);
    assert_eq!([1, 2, 3].map(|number| bench.state(number)), [(2, None), (3, None), (1, Some(Refusal::NotAllowed))]);
    assert_eq!(bench.put(put_op(1, 2, 1, 2)), (3, None));
    assert_eq!(bench.get(2, 1, 1, 1), Some(content(1, 1)));
    let tight = FileLimits { mailbox_bytes: 2 * sealed_bytes(SIZE) - 1, ..FileLimits::default() };
    let another = BeginFileOp { limits: tight, ..begin_op(1, 2, 4, SIZE) };
    assert_eq!(bench.begin(another), (0, Some(Refusal::MailboxFull)), "what counts is not forgotten");
    let people = people::People::open(&path).unwrap();
    let entry = people.show(&"Bob".parse().unwrap()).unwrap().unwrap();
    assert_eq!((entry.files, entry.file_bytes), (1, sealed_bytes(SIZE)));
    assert!(people.release(&"Bob".parse().unwrap()).unwrap());
    assert_eq!(bench.get(2, 1, 1, 2), Some(content(1, 2)), "what waits for a key stays when its name is released");
}
