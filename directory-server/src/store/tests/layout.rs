//! What the store does with files: its own, newer ones, foreign ones.

use super::*;

#[test]
fn what_was_applied_is_there_after_a_drop_without_closing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut bench = Bench { store: Store::open(&path).unwrap(), ..Bench::new() };
    bench.register(1, "Alice");
    bench.register(2, "Bob");
    bench.deposit(bench.item(1, 2, 1)).unwrap();
    let head = bench.store.head().unwrap();
    drop(bench);
    let mut again = Bench { store: Store::open(&path).unwrap(), ..Bench::new() };
    assert_eq!(again.store.head().unwrap(), head);
    assert_eq!((head.commits, head.binding_serial), (3, 2));
    assert_eq!(again.everything(2).len(), 1);
    again.store.close().unwrap();
    assert!(!folder.path().join("store.db-wal").exists());
}

#[test]
fn a_log_that_was_left_is_opened_as_a_new_file_with_the_same_content() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut bench = Bench { store: Store::open(&file("store.db")).unwrap(), ..Bench::new() };
    bench.register(1, "Alice");
    for end in ["", "-wal"] {
        std::fs::copy(file(&format!("store.db{end}")), file(&format!("left.db{end}"))).unwrap();
    }
    // Kept open, so that its number is not given again.
    let log = std::fs::File::open(file("left.db-wal")).unwrap();
    let again = Store::open(&file("left.db")).unwrap();
    assert_ne!(std::fs::metadata(file("left.db-wal")).unwrap().ino(), log.metadata().unwrap().ino());
    assert!(!file("left.db-wal-new").exists());
    assert_eq!(again.head().unwrap(), bench.store.head().unwrap());
}

#[test]
fn a_newer_layout_and_a_foreign_file_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (newer, foreign) = (folder.path().join("newer.db"), folder.path().join("foreign.db"));
    Store::open(&newer).unwrap().close().unwrap();
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    assert!(matches!(Store::open(&newer), Err(StoreError::Newer { found }) if found == SCHEMA_VERSION + 1));
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(Store::open(&foreign), Err(StoreError::Foreign)));
    std::fs::write(&foreign, vec![b'x'; 5_000]).unwrap();
    assert!(matches!(Store::open(&foreign), Err(StoreError::Sql(_))));
}

#[test]
fn the_database_syncs_every_commit_and_only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Store::open(&path).unwrap();
    let synchronous: i64 = store.db.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    let journal: String = store.db.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!((synchronous, journal.as_str()), (2, "wal"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn a_snapshot_is_a_store_of_its_own() {
    let mut bench = Bench::with_people();
    bench.deposit(bench.item(1, 2, 1)).unwrap();
    let snapshot = bench.store.snapshot().unwrap();
    let mut copy = Bench { store: Store::from_snapshot(&snapshot).unwrap(), ..Bench::new() };
    assert_eq!(copy.store.head().unwrap(), bench.store.head().unwrap());
    copy.deposit(copy.item(1, 2, 2)).unwrap();
    copy.store.renumber([9; 16]).unwrap();
    assert_eq!((copy.everything(2).len(), bench.everything(2).len()), (2, 1));
    assert_ne!(copy.store.head().unwrap().store_id, bench.store.head().unwrap().store_id);
}

#[test]
fn only_a_transaction_that_writes_is_a_commit() {
    let mut bench = Bench::with_people();
    let commits = bench.store.head().unwrap().commits;
    bench.ask(StoreOp::LoadAccount { key: key(1) });
    bench.everything(1);
    bench.ask(StoreOp::Withdraw { submitter: key(1), places: vec![place(2, 1)] });
    assert_eq!(bench.store.head().unwrap().commits, commits);
    bench.ask(StoreOp::WentOffline { key: key(1), now_ms: 1 });
    assert_eq!(bench.store.head().unwrap().commits, commits + 1);
}

#[test]
fn what_deleting_frees_inside_the_file_is_told_and_used_again() {
    let mut bench = Bench::with_people();
    let big = |bench: &Bench, seq| {
        let mut op = bench.op(1, 2, seq);
        op.deposit.sealed = vec![7; 20_000];
        StoreOp::Deposit(Box::new(op))
    };
    for seq in 1..=100 {
        bench.deposit(big(&bench, seq)).unwrap();
    }
    assert_eq!(bench.store.spare_bytes().unwrap(), 0);
    let items: Vec<_> = (1..=100).map(|item| (item, Taking::Stored)).collect();
    let take = StoreOp::Take { recipient: key(2), items, now_ms: 5_000 };
    let spare_bytes = bench.store.apply(vec![(Ticket(1), take)]).unwrap().spare_bytes;
    assert!(spare_bytes >= 100 * 20_000, "{spare_bytes}");
    bench.deposit(big(&bench, 101)).unwrap();
    assert!(bench.store.spare_bytes().unwrap() < spare_bytes);
}

#[test]
fn many_operations_share_one_commit_and_each_sees_those_before_it() {
    let mut bench = Bench::new();
    let ops = vec![
        (Ticket(1), register(2, "Bob", 1)),
        (Ticket(2), register(3, "BOB", 2)),
        (Ticket(3), bench.item(2, 2, 1)),
        (Ticket(4), StoreOp::Have { submitter: key(2), places: vec![place(2, 1)] }),
    ];
    let applied = bench.store.apply(ops).unwrap();
    assert_eq!(applied.commits, 1);
    let results: Vec<_> = applied.results.into_iter().map(|(ticket, result)| (ticket.0, result)).collect();
    assert!(matches!(results[0], (1, StoreResult::Registered { new: true, .. })));
    assert_eq!(results[1], (2, StoreResult::Refused(Refusal::NameTaken)));
    assert!(matches!(results[2], (3, StoreResult::Deposited { kept: Ok(1), .. })));
    assert_eq!(results[3], (4, StoreResult::Fates(vec![common::wire::directory::Fate::Held])));
}
