//! A store of an older layout is opened and goes on where it was.

use std::path::Path;

use common::group::{Change, SignedStep, Step};
use common::message::MessageId;
use common::wire::codec;
use common::wire::directory::{BeginFile, WhichGroup};
use directory_core::event::{BeginFileOp, FileOp, FileResult, GroupOp, GroupResult, StepOp};
use directory_core::limits::{FileLimits, GroupLimits};

use super::*;

/// A store of version 1 as it was written, with Alice (1), Bob (2) and an item from the one to the other.
fn version1(path: &Path) {
    let db = Connection::open(path).unwrap();
    db.execute_batch(include_str!("version1.sql")).unwrap();
    for (account, who, name) in [(1, 1, "Alice"), (2, 2, "Bob")] {
        let StoreOp::Register { binding, prekey, .. } = register(who, name, u64::from(who)) else { unreachable!() };
        let row = rusqlite::params![
            account,
            &key(who).0[..],
            name.to_lowercase(),
            name,
            common::wire::codec::encode(&binding)
        ];
        let sql =
            "INSERT INTO accounts (account, key, touched_ms, folded, name, binding) VALUES (?1, ?2, 0, ?3, ?4, ?5)";
        db.execute(sql, row).unwrap();
        let record = common::wire::codec::encode(&prekey.record);
        db.execute("INSERT INTO prekeys VALUES (?1, 1, ?2)", rusqlite::params![account, record]).unwrap();
    }
}

/// The same of version 2, with a group that Alice founded.
fn version2(path: &Path) -> StoreOp {
    version1(path);
    let db = Connection::open(path).unwrap();
    db.execute_batch(include_str!("../groups.sql")).unwrap();
    db.pragma_update(None, "user_version", 2).unwrap();
    let change = Change::Found { name: "family".parse().unwrap(), private: false };
    let signed = SignedStep::sign(&identity(1), &Step::founding([5; 16], key(1), 0, change));
    let row = rusqlite::params![[5_u8; 16], signed.hash()];
    db.execute("INSERT INTO groups VALUES (1, ?1, 'family', 'family', 0, 1, ?2, 1, 0, 1)", row).unwrap();
    db.execute("INSERT INTO group_steps VALUES (1, 1, ?1)", [codec::encode(&signed)]).unwrap();
    db.execute("INSERT INTO group_people VALUES (1, 1, 1, NULL, 0, 0)", []).unwrap();
    StoreOp::Group(GroupOp::Steps { key: key(2), which: WhichGroup::Id([5; 16]), after: 0, limit: 9 })
}

#[test]
fn a_store_of_version_2_goes_on_with_its_groups_and_takes_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let chain = version2(&path);
    let bob = people::People::open(&path).unwrap().show(&"bob".parse().unwrap()).unwrap().unwrap();
    assert_eq!((bob.files, bob.file_bytes), (0, 0), "an operator may look at it before");
    let mut bench = Bench { store: Store::open(&path).unwrap(), ..Bench::new() };
    assert_eq!(bench.store.head().unwrap().store_id, [3; 16]);
    assert_eq!(bench.everything(2).len(), 1);
    let StoreResult::Group(GroupResult::Steps { steps, .. }) = bench.ask(chain) else { panic!("no group") };
    assert_eq!(steps.len(), 1);
    bench.ask(StoreOp::Accept { key: key(2), keys: vec![key(1)], limit: 9 });
    let begin = BeginFile { recipient: key(2), offer: MessageId([1; 16]), bytes: 40, pieces: 1 };
    let limits = FileLimits::default();
    let op = || {
        FileOp::Begin(Box::new(BeginFileOp {
            submitter: key(1),
            begin: begin.clone(),
            may_grow: true,
            now_ms: 0,
            limits,
        }))
    };
    let room = StoreResult::File(FileResult::Room { next: 0, refusal: None });
    assert_eq!(bench.ask(StoreOp::File(op())), room);
    drop(bench);
    let mut again = Bench { store: Store::open(&path).unwrap(), ..Bench::new() };
    assert_eq!(again.ask(StoreOp::File(op())), room);
}

#[test]
fn a_store_of_version_1_is_brought_to_the_newest_in_one_transaction_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    version1(&path);
    let people = people::People::open(&path).unwrap();
    assert_eq!(people.registered().unwrap(), 2, "an operator may look at it before");
    let mut bench = Bench { store: Store::open(&path).unwrap(), ..Bench::new() };
    let head = bench.store.head().unwrap();
    assert_eq!((head.store_id, head.commits, head.binding_serial), ([3; 16], 7, 2), "it is the same store");
    let items = bench.everything(2);
    assert_eq!((items.len(), items[0].item.seq, &items[0].item.sealed[..]), (1, 1, &[1, 2, 3][..]));
    let change = Change::Found { name: "family".parse().unwrap(), private: false };
    let step = Step::founding([5; 16], key(1), 0, change);
    let signed = SignedStep::sign(&identity(1), &step);
    let founding = GroupOp::Step(Box::new(StepOp { step, signed, limits: GroupLimits::default(), now_ms: 0 }));
    assert!(matches!(bench.ask(StoreOp::Group(founding.clone())), StoreResult::Group(_)));
    drop(bench);
    let mut again = Bench { store: Store::open(&path).unwrap(), ..Bench::new() };
    assert_eq!(again.ask(StoreOp::Group(founding)), StoreResult::Refused(Refusal::GroupExists));
}

#[test]
fn groups_of_version_2_count_for_their_owners_and_all_that_they_take_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    version1(&path);
    let change = Change::Found { name: "family".parse().unwrap(), private: false };
    let signed = SignedStep::sign(&identity(1), &Step::founding([5; 16], key(1), 0, change));
    let step = common::wire::codec::encode(&signed);
    {
        let db = Connection::open(&path).unwrap();
        db.execute_batch(include_str!("../groups.sql")).unwrap();
        let group = "INSERT INTO groups VALUES (1, ?1, 'family', 'family', 0, 1, ?2, 1, 0, 1)";
        db.execute(group, rusqlite::params![[5_u8; 16], signed.hash()]).unwrap();
        db.execute("INSERT INTO group_people VALUES (1, 1, 1, NULL, 0, 0)", []).unwrap();
        db.execute("INSERT INTO group_steps VALUES (1, 1, ?1)", [&step]).unwrap();
        db.pragma_update(None, "user_version", 2).unwrap();
    }
    let mut bench = Bench { store: Store::open(&path).unwrap(), ..Bench::new() };
    let sql = "SELECT groups, bytes, founder, ended_ms IS NULL FROM group_totals, groups";
    let row: (i64, i64, i64, bool) =
        bench.store.db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
    assert_eq!(row, (1, i64::try_from(step.len()).unwrap(), 1, true));
    let limits = GroupLimits { founded: 1, ..GroupLimits::default() };
    let change = Change::Found { name: "other".parse().unwrap(), private: false };
    let step = Step::founding([6; 16], key(1), 0, change);
    let signed = SignedStep::sign(&identity(1), &step);
    let op = GroupOp::Step(Box::new(StepOp { step, signed, limits, now_ms: 0 }));
    assert!(matches!(bench.ask(StoreOp::Group(op)), StoreResult::Refused(Refusal::OverGroupLimit { .. })));
}

#[test]
fn a_migrated_store_has_the_layout_of_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    version1(&path);
    let layout = |store: &Store| -> Vec<(String, Option<String>)> {
        let mut statement = store.db.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let bare = |layout: Vec<(String, Option<String>)>| -> Vec<(String, String)> {
        // What a line ends with is a comment.
        let strip = |sql: &str| sql.lines().map(|line| line.split("--").next().unwrap().trim()).collect::<String>();
        layout.into_iter().map(|(name, sql)| (name, strip(&sql.unwrap_or_default()))).collect()
    };
    let new = Bench::new().store;
    assert_eq!(bare(layout(&Store::open(&path).unwrap())), bare(layout(&new)));
    let path = folder.path().join("other.db");
    version2(&path);
    assert_eq!(bare(layout(&Store::open(&path).unwrap())), bare(layout(&new)));
}
