//! Files in pieces: what is refused before the store is asked, what it is asked, and what becomes of its answers. What the
//! store decides is tested with the store.

use common::limits::{PIECE_BYTES, PIECE_SEALED_MAX_BYTES};
use common::message::MessageId;
use common::piece::{OVERHEAD_BYTES, count, sealed_bytes};

use super::*;
use crate::event::{FileOp, FileResult, StoreResult};
use crate::limits::FileLimits;

const OFFER: MessageId = MessageId([6; 16]);

fn begin(size: u64) -> BeginFile {
    BeginFile { recipient: key(2), offer: OFFER, bytes: sealed_bytes(size), pieces: count(size).unwrap() }
}

fn put(index: u32, bytes: usize) -> PutPiece {
    PutPiece { recipient: key(2), offer: OFFER, index, sealed: vec![3; bytes] }
}

fn get(index: u32) -> GetPiece {
    GetPiece { submitter: key(1), offer: OFFER, index }
}

fn room(next: u32, refusal: Option<Refusal>) -> FromDirectory {
    FileRoom { recipient: key(2), offer: OFFER, next, refusal }.into()
}

impl World {
    /// What the store is asked about files.
    fn asked_of_files(&mut self, session: SessionId, frame: impl Into<ToDirectory>) -> Option<FileOp> {
        self.stalled = true;
        self.send(session, frame);
        match self.asked.back() {
            Some((_, StoreOp::File(op))) => Some(op.clone()),
            None => None,
            Some(other) => panic!("{other:?}"),
        }
    }

    /// The store answers the question asked first.
    fn answer_file(&mut self, result: StoreResult) {
        let (ticket, _) = self.asked.pop_front().unwrap();
        self.commits += 1;
        self.input(Input::Stored { results: vec![(ticket, result)], commits: self.commits });
    }
}

fn stored_room(next: u32, refusal: Option<Refusal>) -> StoreResult {
    StoreResult::File(FileResult::Room { next, refusal })
}

#[test]
fn how_far_a_file_is_is_told_after_the_commit_and_as_the_store_says() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    let Some(FileOp::Begin(op)) = world.asked_of_files(alice, begin(70_000)) else { panic!() };
    assert_eq!((op.submitter, &op.begin, op.may_grow), (key(1), &begin(70_000), true));
    assert_eq!((op.now_ms, op.limits), (world.now.wall_ms, FileLimits::default()));
    assert_eq!(world.hear(alice), []);
    world.answer_file(stored_room(2, None));
    assert_eq!(world.hear(alice), [room(2, None)]);
    let Some(FileOp::Put(op)) = world.asked_of_files(alice, put(2, 500)) else { panic!() };
    assert_eq!((op.submitter, &op.put, op.may_grow), (key(1), &put(2, 500), true));
    assert_eq!(world.hear(alice), []);
    world.answer_file(stored_room(2, Some(Refusal::NoSuchUser)));
    assert_eq!(world.hear(alice), [room(2, Some(Refusal::NoSuchUser))]);
}

#[test]
fn numbers_that_no_file_has_are_not_even_asked_about() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    let edges = [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, u64::from(u32::MAX) * PIECE_BYTES];
    for size in edges {
        assert!(world.asked_of_files(alice, begin(size)).is_some(), "{size}");
        world.asked.clear();
    }
    let changed = |bytes: i64, pieces: u32| BeginFile { bytes: 40_u64.wrapping_add_signed(bytes), pieces, ..begin(0) };
    let absurd = [
        changed(0, 0),
        changed(-40, 0),
        changed(-1, 1),
        changed(0, 2),
        changed(40, 2),
        BeginFile { bytes: PIECE_BYTES + 41, pieces: 1, ..begin(0) },
        BeginFile { bytes: PIECE_BYTES + 80, pieces: 2, ..begin(0) },
        BeginFile { bytes: PIECE_BYTES + 121, pieces: 3, ..begin(0) },
        changed(-41, 1),
        BeginFile { bytes: u64::MAX, pieces: u32::MAX, ..begin(0) },
    ];
    for begin in absurd {
        assert_eq!(world.asked_of_files(alice, begin.clone()), None, "{begin:?}");
        assert_eq!(world.hear(alice), [room(0, Some(Refusal::Invalid))]);
    }
}

#[test]
fn a_piece_is_neither_too_large_nor_too_small_to_be_one() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    for bytes in [OVERHEAD_BYTES, PIECE_SEALED_MAX_BYTES] {
        assert!(world.asked_of_files(alice, put(4, bytes)).is_some());
        world.asked.clear();
    }
    let too_large = Refusal::TooLarge { limit: PIECE_SEALED_MAX_BYTES as u64 };
    for (bytes, refusal) in [(OVERHEAD_BYTES - 1, Refusal::Invalid), (PIECE_SEALED_MAX_BYTES + 1, too_large)] {
        assert_eq!(world.asked_of_files(alice, put(4, bytes)), None);
        assert_eq!(world.hear(alice), [room(4, Some(refusal))]);
    }
}

#[test]
fn a_disk_that_fills_is_told_to_the_store_or_by_it() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    for (free_bytes, ample) in [(400 << 20, false), (100 << 20, false), (100 << 30, true)] {
        world.input(Input::DiskFree { free_bytes, total_bytes: 1 << 40 });
        let Some(FileOp::Begin(op)) = world.asked_of_files(alice, begin(5)) else { panic!() };
        world.asked.clear();
        let Some(FileOp::Put(put)) = world.asked_of_files(alice, put(7, 50)) else { panic!() };
        assert_eq!((op.may_grow, put.may_grow), (ample, ample));
    }
    // The store could not even look: what is told is what the submitter said.
    world.answer_file(StoreResult::Refused(Refusal::DiskFull));
    assert_eq!(world.hear(alice), [room(7, Some(Refusal::DiskFull))]);
}

#[test]
fn a_piece_goes_to_who_asked_for_it() {
    let mut world = World::new();
    let bob = world.come(2, "bob");
    let asked = world.asked_of_files(bob, get(300)).unwrap();
    assert_eq!(asked, FileOp::Get { recipient: key(2), submitter: key(1), offer: OFFER, index: 300 });
    assert_eq!(world.hear(bob), []);
    for sealed in [Some(vec![1, 2]), None] {
        world.asked_of_files(bob, get(300));
        world.answer_file(StoreResult::File(FileResult::Piece(sealed.clone())));
        assert_eq!(world.hear(bob), [Piece { submitter: key(1), offer: OFFER, index: 300, sealed }.into()]);
    }
}

#[test]
fn only_the_two_may_drop_a_file_and_nothing_is_answered() {
    let mut world = World::new();
    let drop = DropFile { submitter: key(1), recipient: key(2), offer: OFFER };
    for (who, name) in [(1, "alice"), (2, "bob")] {
        let session = world.come(who, name);
        let (submitter, recipient, offer) = (key(1), key(2), OFFER);
        let wanted = FileOp::Drop { key: key(who), submitter, recipient, offer };
        assert_eq!(world.asked_of_files(session, drop.clone()), Some(wanted));
        world.answer_file(StoreResult::Done);
        assert_eq!(world.hear(session), []);
        world.stalled = false;
    }
    let carol = world.come(3, "carol");
    assert_eq!(world.asked_of_files(carol, drop), None);
    assert_eq!((world.hear(carol), world.closed.len()), (vec![], 0));
}

#[test]
fn pieces_are_held_back_by_what_is_unanswered_and_not_by_the_rate_of_requests() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    world.stalled = true;
    (0..32).for_each(|index| world.send(alice, put(index, 50)));
    assert!(!world.paused.contains(&alice), "as much as 256 rows");
    world.send(alice, put(32, 50));
    assert!(world.paused.contains(&alice));
    let asked = world.asked.len();
    (0..asked).for_each(|_| world.answer_file(stored_room(0, None)));
    assert!(!world.paused.contains(&alice));
    for index in 0..2_000 {
        world.send(alice, put(index, 50));
        world.answer_file(stored_room(index, None));
    }
    assert!(!world.paused.contains(&alice), "no request of a rate");
    assert_eq!(world.hear(alice).len(), asked + 2_000);
}

#[test]
fn beginning_files_is_a_request_like_any_other() {
    let mut world = World::new();
    let alice = world.come(1, "alice");
    world.stalled = true;
    for _ in 0..510 {
        world.send(alice, begin(5));
        while !world.asked.is_empty() {
            world.answer_file(stored_room(0, None));
        }
    }
    assert!(world.hear(alice).len() < 510);
    assert!(world.paused.contains(&alice));
}

#[test]
fn nothing_about_files_is_said_before_the_login() {
    for frame in [begin(5).into(), put(0, 50).into(), get(0).into(), ToDirectory::from(drop_of_bob())] {
        let mut world = World::new();
        let session = world.connect(1);
        world.send(session, frame);
        assert_eq!(world.hear(session), [Rejected { reason: Rejection::Protocol }.into()]);
        assert!(world.closed.contains(&session));
    }
}

fn drop_of_bob() -> DropFile {
    DropFile { submitter: key(1), recipient: key(2), offer: OFFER }
}
