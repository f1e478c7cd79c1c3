//! What files may take: each limit at its boundary, and what gives room back.

use super::*;

/// A file of `size` bytes is taken with these limits, and refused with those.
fn boundary(size: u64, fits: FileLimits, over: FileLimits, refusal: Refusal) {
    let mut bench = Bench::with_friends();
    bench.file(1, 1);
    let with = |limits| BeginFileOp { limits, ..begin_op(1, 2, 2, size) };
    assert_eq!(bench.begin(with(over)), (0, Some(refusal)));
    assert_eq!((bench.rows("files"), bench.tally(2).0), (1, 1), "nothing is stored");
    assert_eq!(bench.begin(with(fits)), (0, None));
    recount(&bench.store);
}

#[test]
fn each_limit_is_refused_by_name_at_its_boundary() {
    let plenty = FileLimits::default();
    let both = 2 * sealed_bytes(SIZE);
    let size = |file_bytes| FileLimits { file_bytes, ..plenty };
    boundary(SIZE, size(SIZE), size(SIZE - 1), Refusal::TooLarge { limit: SIZE - 1 });
    boundary(0, size(1), size(0), Refusal::TooLarge { limit: 0 });
    let mailbox = |mailbox_bytes| FileLimits { mailbox_bytes, ..plenty };
    boundary(SIZE, mailbox(both), mailbox(both - 1), Refusal::MailboxFull);
    let submitter = |submitter_bytes| FileLimits { submitter_bytes, ..plenty };
    boundary(SIZE, submitter(both), submitter(both - 1), Refusal::QuotaExceeded);
    let pair = |pair_files| FileLimits { pair_files, ..plenty };
    boundary(SIZE, pair(2), pair(1), Refusal::QuotaExceeded);
}

/// Of strangers, Carol (3) has a file for Bob (2) and so has Dave (4), or not.
fn strangers(fits: FileLimits, over: FileLimits) {
    let mut bench = Bench::with_friends();
    bench.register(4, "Dave");
    let with = |from, number, limits| BeginFileOp { limits, ..begin_op(from, 2, number, SIZE) };
    assert_eq!(bench.begin(with(3, 1, over)), (0, None));
    assert_eq!(bench.begin(with(4, 1, over)), (0, Some(Refusal::StrangersFull)), "together with Carol's");
    assert_eq!(bench.begin(with(1, 1, over)), (0, None), "Alice is none");
    assert_eq!(bench.begin(with(4, 1, fits)), (0, None));
    assert_eq!(bench.begin(with(3, 2, fits)), (0, Some(Refusal::StrangersFull)));
    recount(&bench.store);
    bench.ask(StoreOp::Accept { key: key(2), keys: vec![key(3)], limit: 9 });
    recount(&bench.store);
    assert_eq!(bench.begin(with(3, 2, fits)), (0, None), "Carol is accepted");
    assert_eq!(bench.begin(with(4, 2, fits)), (0, None), "and leaves her room");
    assert_eq!(bench.begin(with(4, 3, fits)), (0, Some(Refusal::StrangersFull)));
    let op = |number| FileOp::Get { recipient: key(2), submitter: key(4), offer: offer(number), index: 3 };
    bench.ask(StoreOp::File(op(1)));
    assert_eq!(bench.begin(with(4, 3, fits)), (0, None), "what a recipient has counts no more");
    recount(&bench.store);
}

#[test]
fn strangers_have_a_room_together_and_are_refused_by_name_at_its_boundary() {
    let (plenty, both) = (FileLimits::default(), 2 * sealed_bytes(SIZE));
    let files = |stranger_files| FileLimits { stranger_files, ..plenty };
    strangers(files(2), files(1));
    let bytes = |stranger_bytes| FileLimits { stranger_bytes, ..plenty };
    strangers(bytes(both), bytes(both - 1));
    let all = |stranger_bytes_all| FileLimits { stranger_bytes_all, ..plenty };
    strangers(all(both), all(both - 1));
}

#[test]
fn the_room_of_strangers_is_that_of_each_recipient_and_one_of_the_whole_store() {
    let mut bench = Bench::with_friends();
    let limits = FileLimits { stranger_files: 1, stranger_bytes_all: 2 * sealed_bytes(SIZE), ..FileLimits::default() };
    let with = |from, to| BeginFileOp { limits, ..begin_op(from, to, 1, SIZE) };
    assert_eq!(bench.begin(with(3, 2)), (0, None));
    assert_eq!(bench.begin(with(3, 1)), (0, None), "another's room");
    assert_eq!(bench.begin(with(2, 3)), (0, Some(Refusal::StrangersFull)), "the store has no more");
}

#[test]
fn a_file_that_ended_leaves_its_room_to_another() {
    let mut bench = Bench::with_friends();
    let limits = FileLimits { pair_files: 1, mailbox_bytes: sealed_bytes(SIZE), ..FileLimits::default() };
    let begin = |number| BeginFileOp { limits, ..begin_op(1, 2, number, SIZE) };
    assert_eq!(bench.begin(begin(1)), (0, None));
    assert_eq!(bench.begin(begin(2)), (0, Some(Refusal::MailboxFull)));
    bench.get(2, 1, 1, 3);
    assert_eq!(bench.begin(begin(2)), (0, None));
    bench.drop_file(2, 2);
    assert_eq!(bench.begin(begin(3)), (0, None));
    bench.drop_file(1, 3);
    assert_eq!(bench.begin(begin(4)), (0, None));
    recount(&bench.store);
}
