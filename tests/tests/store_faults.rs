//! Disks that fail under both stores, on the stores' own threads: after a failed flush or write nothing is said and nothing
//! is written any more; without room nothing is said, and it goes on by itself when there is some.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use common::identity::PublicKey;
use common::wire::directory::{Refusal, Taking};
use crash_vfs::{Disk, Fault, NAME};
use directory_core::{StoreResult, Ticket};
use directory_server::store::writer::{Batch, Writer};
use peer::storage::{Job, Reply, StorageThread, Store};
use peer_core::event::Ticket as PeerTicket;
use peer_core::stored::{Query, QueryResult};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use system_tests::hostile::stranger;
use system_tests::proof::power::directory::{deposit, registration};
use system_tests::proof::power::peer::queue;
use tokio::sync::mpsc;

const ME: PublicKey = PublicKey([1; 32]);
const BOB: PublicKey = PublicKey([2; 32]);
const FILE: &str = "store.db";
const JOBS: u64 = 12;
/// The ways in which a write finds no room.
const NO_ROOM: [Fault; 2] = [Fault::Full, Fault::Quota];

fn peer_store(disk: &Disk) -> Store {
    Store::open_on(NAME, &disk.path(FILE), ME).unwrap()
}

fn write(number: u64) -> Job {
    Job::Store { ticket: PeerTicket(number), ops: vec![queue(BOB, number, number, vec![1; 900])] }
}

fn held(store: &mut Store) -> usize {
    store.load("localhost:1").unwrap().outbox.len()
}

/// One job at a time until the thread gives none back or fails: how many were said to be stored, and its last words.
fn one_by_one(disk: &Disk, thread: StorageThread, replies: &mut mpsc::Receiver<Reply>) -> (u64, Option<String>) {
    let (mut stored, mut failed) = (0, None);
    for number in 1..=JOBS {
        if thread.try_submit(write(number)).is_err() {
            break;
        }
        loop {
            match replies.blocking_recv() {
                Some(Reply::Stored { .. }) => stored += 1,
                Some(Reply::Full(_)) => continue,
                Some(Reply::Failed(why)) => failed = Some(why),
                other => panic!("{other:?}"),
            }
            break;
        }
        if failed.is_some() {
            break;
        }
    }
    let done = disk.done();
    thread.shutdown_blocking();
    if failed.is_some() {
        assert_eq!(disk.done(), done, "nothing is written after a failure, by closing neither");
        assert!(replies.blocking_recv().is_none(), "nothing is said after a failure");
    }
    (stored, failed)
}

#[test]
fn after_a_failed_flush_or_write_a_peer_says_and_writes_nothing_more_and_nothing_said_is_lost() {
    let mut failures = 0;
    for (fault, last) in [(Fault::Sync, JOBS + 4), (Fault::Write, 40)] {
        for nth in 1..=last {
            let disk = Disk::new();
            let store = peer_store(&disk);
            let (sender, mut replies) = mpsc::channel(16);
            disk.fail_at(fault, nth);
            let thread = StorageThread::start(store, sender).unwrap();
            let (stored, failed) = one_by_one(&disk, thread, &mut replies);
            assert!(failed.is_some() || stored == JOBS);
            failures += usize::from(failed.is_some());
            disk.fail_while(None);
            let left = disk.crash(&mut ChaCha8Rng::seed_from_u64(nth));
            let again = held(&mut peer_store(&Disk::from_image(left))) as u64;
            assert!(again == stored || again == stored + 1, "{again} of {stored} after {fault:?} {nth}");
        }
    }
    assert!(failures > 40, "{failures}");
}

#[test]
fn a_write_without_room_is_done_again_by_a_peer_and_said_once() {
    for (fault, nth) in NO_ROOM.into_iter().flat_map(|fault| (1..=40).map(move |nth| (fault, nth))) {
        let disk = Disk::new();
        let store = peer_store(&disk);
        let (sender, mut replies) = mpsc::channel(16);
        disk.fail_at(fault, nth);
        let thread = StorageThread::start(store, sender).unwrap();
        assert_eq!(one_by_one(&disk, thread, &mut replies), (JOBS, None), "{fault:?} {nth}");
        let left = disk.crash(&mut ChaCha8Rng::seed_from_u64(nth));
        assert_eq!(held(&mut peer_store(&Disk::from_image(left))) as u64, JOBS);
    }
}

#[test]
fn a_peer_without_room_waits_answers_what_is_asked_and_goes_on() {
    NO_ROOM.into_iter().for_each(waits_and_answers);
}

fn waits_and_answers(fault: Fault) {
    let disk = Disk::new();
    let (sender, mut replies) = mpsc::channel(16);
    let thread = StorageThread::start(peer_store(&disk), sender).unwrap();
    thread.try_submit(write(1)).unwrap();
    assert!(matches!(replies.blocking_recv(), Some(Reply::Stored { .. })));
    disk.fail_while(Some(fault));
    thread.try_submit(write(2)).unwrap();
    assert!(matches!(replies.blocking_recv(), Some(Reply::Full(true))));
    thread.try_submit(write(3)).unwrap();
    let query = Query::History { with: peer_core::stored::Talk::Pair(BOB), before: None, count: 10 };
    thread.try_submit(Job::Query { ticket: PeerTicket(9), query }).unwrap();
    let Some(Reply::Answered { result: QueryResult::History(seen), .. }) = replies.blocking_recv() else { panic!() };
    assert_eq!(seen.len(), 1, "only what is committed is read");
    disk.fail_while(None);
    assert!(matches!(replies.blocking_recv(), Some(Reply::Full(false))));
    for number in 2..=3 {
        let Some(Reply::Stored { ticket, .. }) = replies.blocking_recv() else { panic!() };
        assert_eq!(ticket, PeerTicket(number));
    }
    thread.shutdown_blocking();
    assert_eq!(held(&mut peer_store(&disk)), 3);
}

#[test]
fn a_peer_that_leaves_a_full_disk_does_not_wait_for_it() {
    let disk = Disk::new();
    let (sender, mut replies) = mpsc::channel(16);
    let thread = StorageThread::start(peer_store(&disk), sender).unwrap();
    disk.fail_while(Some(Fault::Full));
    thread.try_submit(write(1)).unwrap();
    assert!(matches!(replies.blocking_recv(), Some(Reply::Full(true))));
    thread.shutdown_blocking();
    assert!(matches!(replies.blocking_recv(), Some(Reply::Failed(_))));
    disk.fail_while(None);
    assert_eq!(held(&mut peer_store(&disk)), 0);
}

fn directory_store(disk: &Disk) -> directory_server::store::Store {
    let mut store = directory_server::store::Store::open_on(NAME, &disk.path(FILE), [9; 16]).unwrap();
    let people = (0..2).flat_map(|number| registration(number).unwrap()).map(|op| (Ticket(0), op)).collect();
    store.apply(people).unwrap();
    store.make_room().unwrap();
    store
}

fn mail(numbers: std::ops::RangeInclusive<u64>, bytes: usize) -> Batch {
    let from = stranger(0).public();
    numbers.map(|number| (Ticket(number), deposit(from, 1, number, vec![7; bytes]))).collect()
}

fn items(disk: &Disk) -> i64 {
    let conn = rusqlite::Connection::open_with_flags_and_vfs(
        disk.path(FILE),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE,
        NAME,
    );
    conn.unwrap().query_row("SELECT count(*) FROM items", [], |row| row.get(0)).unwrap()
}

#[test]
fn after_a_failed_flush_or_write_a_directory_says_and_writes_nothing_more_and_nothing_said_is_lost() {
    let mut failures = 0;
    for (fault, last) in [(Fault::Sync, JOBS + 2), (Fault::Write, 40)] {
        for nth in 1..=last {
            let disk = Disk::new();
            let store = directory_store(&disk);
            disk.fail_at(fault, nth);
            let mut writer = Writer::start(store).unwrap();
            let (mut kept, mut failed) = (0, false);
            for number in 1..=JOBS {
                writer.batches.blocking_send(mail(number..=number, 1_100)).unwrap();
                match writer.answers.blocking_recv() {
                    Some(Ok(applied)) => kept += applied.results.len() as i64,
                    Some(Err(error)) => {
                        assert!(!error.is_full());
                        failed = true;
                        break;
                    }
                    None => panic!("no answer"),
                }
            }
            let done = disk.done();
            assert!(writer.close().is_ok() || !failed);
            assert!(!failed || disk.done() == done, "nothing is written after a failure");
            failures += usize::from(failed);
            let left = Disk::from_image(disk.crash(&mut ChaCha8Rng::seed_from_u64(nth)));
            let again = items(&left);
            assert!(again == kept || again == kept + 1, "{again} of {kept} after {fault:?} {nth}");
        }
    }
    assert!(failures > 40, "{failures}");
}

#[test]
fn a_directory_without_room_refuses_mail_does_the_rest_and_goes_on_by_itself() {
    let disk = Disk::new();
    let mut writer = Writer::start(directory_store(&disk)).unwrap();
    writer.batches.blocking_send(mail(1..=4, 1_100)).unwrap();
    assert!(!writer.answers.blocking_recv().unwrap().unwrap().full);
    // Room for a taking, not for the mail that comes with it.
    disk.set_room(Some(disk.image().bytes() as u64 + 150_000));
    let mut batch = mail(10..=60, 20_500);
    let items = vec![(1, Taking::Stored), (2, Taking::Stored)];
    let take = directory_core::StoreOp::Take { recipient: stranger(1).public(), items, now_ms: 3_000 };
    batch.insert(1, (Ticket(99), take));
    writer.batches.blocking_send(batch).unwrap();
    let applied = writer.answers.blocking_recv().unwrap().unwrap();
    assert!(applied.full && applied.results.len() == 52);
    for (ticket, result) in applied.results {
        match ticket {
            Ticket(99) => assert!(matches!(result, StoreResult::Taken { .. })),
            _ => assert_eq!(result, StoreResult::Refused(Refusal::DiskFull)),
        }
    }
    disk.set_room(None);
    writer.batches.blocking_send(mail(10..=60, 20_500)).unwrap();
    let applied = writer.answers.blocking_recv().unwrap().unwrap();
    assert!(!applied.full);
    assert!(applied.results.iter().all(|(_, result)| matches!(result, StoreResult::Deposited { kept: Ok(_), .. })));
    writer.close().unwrap();
    assert_eq!(self::items(&disk), 2 + 51);
}

#[test]
fn a_directory_over_its_quota_refuses_mail_or_stores_it_and_loses_nothing_of_what_it_kept() {
    for nth in 1..=40 {
        let disk = Disk::new();
        let mut writer = Writer::start(directory_store(&disk)).unwrap();
        disk.fail_at(Fault::Quota, nth);
        let mut kept = 0;
        for number in 1..=JOBS {
            writer.batches.blocking_send(mail(number..=number, 1_100)).unwrap();
            let applied = writer.answers.blocking_recv().unwrap().unwrap();
            kept +=
                applied.results.iter().filter(|(_, result)| matches!(result, StoreResult::Deposited { .. })).count();
        }
        writer.close().unwrap();
        assert_eq!(kept as u64, JOBS, "one write over the quota is done again: {nth}");
        let left = disk.crash(&mut ChaCha8Rng::seed_from_u64(nth));
        assert_eq!(items(&Disk::from_image(left)), JOBS as i64, "{nth}");
    }
}

#[test]
fn a_directory_that_cannot_even_take_waits_and_goes_on() {
    NO_ROOM.into_iter().for_each(waits_with_a_taking);
}

fn waits_with_a_taking(fault: Fault) {
    let disk = Disk::new();
    let mut writer = Writer::start(directory_store(&disk)).unwrap();
    writer.batches.blocking_send(mail(1..=4, 1_100)).unwrap();
    writer.answers.blocking_recv().unwrap().unwrap();
    disk.fail_while(Some(fault));
    let items = vec![(1, Taking::Stored)];
    let take = directory_core::StoreOp::Take { recipient: stranger(1).public(), items, now_ms: 3_000 };
    writer.batches.blocking_send(vec![(Ticket(1), take)]).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    assert!(writer.answers.try_recv().is_err(), "nothing is said");
    disk.fail_while(None);
    assert!(matches!(
        writer.answers.blocking_recv().unwrap().unwrap().results[..],
        [(Ticket(1), StoreResult::Taken { .. })]
    ));
    writer.close().unwrap();
    assert_eq!(self::items(&disk), 3);
}
