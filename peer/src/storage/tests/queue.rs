//! The thread: order of replies, one commit for many, failure said once, nothing lost at shutdown.

use peer_core::stored::{Query, QueryResult};
use tokio::sync::mpsc;

use super::super::{JOBS_MAX, Job, Reply, StorageThread};
use super::*;

fn write(number: u64) -> Job {
    Job::Store { ticket: Ticket(number), ops: vec![queue(own(BOB, number, number))] }
}

fn submit(thread: &StorageThread, mut job: Job) {
    while let Err(back) = thread.try_submit(job) {
        job = back;
        std::thread::yield_now();
    }
}

#[test]
fn replies_come_in_the_order_of_the_jobs_and_queries_see_what_was_before_them() {
    let (sender, mut replies) = mpsc::channel(16);
    let thread = StorageThread::start(store(), sender).unwrap();
    let feeder = std::thread::spawn(move || {
        for number in 1..=100 {
            submit(&thread, write(number));
            let query = Query::History { with: peer_core::stored::Talk::Pair(BOB), before: None, count: 1_000 };
            submit(&thread, Job::Query { ticket: Ticket(1_000 + number), query });
        }
        thread.shutdown_blocking();
    });
    for number in 1..=100 {
        let Some(Reply::Stored { ticket, results }) = replies.blocking_recv() else { panic!() };
        assert_eq!((ticket, results), (Ticket(number), vec![StoreResult::Queued { n: number }]));
        let Some(Reply::Answered { ticket, result: QueryResult::History(page) }) = replies.blocking_recv() else {
            panic!()
        };
        assert_eq!((ticket, page.len() as u64), (Ticket(1_000 + number), number));
    }
    assert!(replies.blocking_recv().is_none());
    feeder.join().unwrap();
}

#[tokio::test]
async fn shutdown_finishes_what_is_queued() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let (sender, replies) = mpsc::channel(JOBS_MAX);
    let thread = StorageThread::start(Store::open(&path, ME).unwrap(), sender).unwrap();
    for number in 1..=300 {
        submit(&thread, write(number));
    }
    drop(replies);
    thread.shutdown().await;
    assert_eq!(history(&mut Store::open(&path, ME).unwrap(), BOB, None, 1_000).len(), 300);
}

#[test]
fn a_full_queue_gives_the_job_back() {
    let (sender, mut replies) = mpsc::channel(1);
    let thread = StorageThread::start(store(), sender).unwrap();
    // Nobody takes replies, so that the thread stands still and jobs pile up.
    let mut number = 1;
    while thread.try_submit(write(number)).is_ok() {
        number += 1;
        assert!(number < 10 * JOBS_MAX as u64);
    }
    let refused = number;
    let feeder = std::thread::spawn(move || thread.shutdown_blocking());
    for number in 1..refused {
        let Some(Reply::Stored { ticket, .. }) = replies.blocking_recv() else { panic!() };
        assert_eq!(ticket, Ticket(number));
    }
    assert!(replies.blocking_recv().is_none());
    feeder.join().unwrap();
}

#[test]
fn what_finds_no_room_is_never_acknowledged_and_not_waited_for_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let store = Store::open(&path, ME).unwrap();
    store.conn.query_row("PRAGMA max_page_count = 60", [], |_| Ok(())).unwrap();
    let (sender, mut replies) = mpsc::channel(16);
    let thread = StorageThread::start(store, sender).unwrap();
    let feeder = std::thread::spawn(move || {
        (1..=JOBS_MAX as u64).for_each(|number| submit(&thread, write(number)));
        thread.shutdown_blocking();
    });
    let mut acknowledged = 0;
    let failed = loop {
        match replies.blocking_recv() {
            Some(Reply::Stored { results, .. }) => acknowledged += results.len(),
            Some(Reply::Full(true)) => {}
            Some(Reply::Failed(why)) => break why,
            other => panic!("{other:?}"),
        }
    };
    assert!(failed.contains("no room"), "{failed}");
    assert!(replies.blocking_recv().is_none());
    feeder.join().unwrap();
    assert_eq!(history(&mut Store::open(&path, ME).unwrap(), BOB, None, 10_000).len(), acknowledged);
}
