//! On disk: what survives, what is refused, what is destroyed, and by which index things are found.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use common::identity::Identity;
use common::name::Name;
use common::record::{Binding, Bound, Prekey, PrekeyRecord};
use common::seal::generate_prekey;
use common::wire::directory::Standing;
use peer_core::stored::{Claim, Contact, DirectoryRecord, Meta, OwnPrekey, Pin};
use rusqlite::Connection;

use super::super::{StoreError, arrival, read, search, snapshot, talks, texts};
use super::*;

pub fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    (folder, path)
}

fn prekey(counter: u64) -> OwnPrekey {
    let identity = Identity::from_seed(&[4; 32]);
    let (secret, key) = generate_prekey([counter.to_le_bytes()[0]; 32]);
    let record = PrekeyRecord::sign(&identity, &Prekey { owner: identity.public(), counter, created_ms: 1, key });
    OwnPrekey { counter, record, secret, created_age_ms: 3, replaced_age_ms: None }
}

fn facts() -> (Contact, Meta, DirectoryRecord) {
    let directory = Identity::from_seed(&[5; 32]);
    let name: Name = "Bobby".parse().unwrap();
    let bound = Bound { directory: directory.public(), name: name.clone(), key: BOB, serial: 7 };
    let contact = Contact {
        key: BOB,
        name: Some(name),
        serial: 7,
        verified: true,
        accepted: false,
        addresses: vec!["127.0.0.1:9".parse().unwrap(), "[::1]:10".parse().unwrap()],
        prekey: Some(prekey(1).record),
        applied: Some((epoch(3), u64::MAX)),
        talked: true,
        blocked: true,
    };
    let meta = Meta {
        epoch: epoch(2),
        highest_generation: u64::MAX,
        version_reserve: 1_000_000,
        age_ms: 12,
        wall_ms: -5,
        wants_online: true,
        suspended: false,
        left_cleanly: true,
        binding: Some(Binding::sign(&directory, &bound)),
        receipts: true,
        standing: Standing::Busy,
        note: Some("tea".to_owned()),
    };
    let record = DirectoryRecord {
        address: DIRECTORY.to_owned(),
        key: directory.public(),
        store_id: [6; 16],
        commits: 8,
        token: Some([9; 16]),
    };
    (contact, meta, record)
}

#[test]
fn a_reopened_store_has_everything() {
    let (_folder, path) = place();
    let mut store = Store::open(&path, ME).unwrap();
    let (contact, meta, record) = facts();
    let ops = vec![
        StoreOp::PutContact(Box::new(contact.clone())),
        StoreOp::PutMeta(meta.clone()),
        StoreOp::PutDirectory(Box::new(record.clone())),
        StoreOp::PutPrekey(Box::new(prekey(2))),
        StoreOp::PutPrekey(Box::new(OwnPrekey { replaced_age_ms: Some(4), ..prekey(2) })),
        follow(BOB, 1, 1),
        receive(theirs(BOB, 1)),
        queue(own(BOB, 2, 1)),
    ];
    apply(&mut store, ops);
    let before = format!("{:?}", load(&mut store));
    // Dropped, not closed: as after a crash.
    drop(store);
    let mut store = Store::open(&path, ME).unwrap();
    let snapshot = load(&mut store);
    assert_eq!(format!("{snapshot:?}"), before);
    assert_eq!((snapshot.contacts, snapshot.meta, snapshot.directory), (vec![contact], Some(meta), Some(record)));
    assert_eq!(snapshot.prekeys[0].replaced_age_ms, Some(4));
    assert_eq!(snapshot.prekeys[0].secret.as_bytes(), prekey(2).secret.as_bytes());
    assert!(store.load("elsewhere:1").unwrap().directory.is_none());
    assert_eq!(arrived(&mut store, theirs(BOB, 1)), Arrived::Double { n: 1 });
    assert_eq!(queued(&mut store, own(BOB, 3, 2)), 3);
    store.close().unwrap();
    assert_eq!(history(&mut Store::open(&path, ME).unwrap(), BOB, None, 9).len(), 3);
}

#[test]
fn an_image_holds_what_was_committed_when_it_was_taken() {
    let mut store = store();
    queued(&mut store, own(BOB, 1, 1));
    let image = store.image().unwrap();
    queued(&mut store, own(BOB, 2, 2));
    let mut back = Store::from_image(&image, ME).unwrap();
    assert_eq!(history(&mut back, BOB, None, 9).len(), 1);
    assert_eq!(queued(&mut back, own(BOB, 2, 2)), 2);
    assert!(matches!(Store::from_image(&image, BOB), Err(StoreError::OtherKey)));
}

#[test]
fn the_file_is_for_the_owner_alone_and_for_one_key() {
    let (_folder, path) = place();
    let mut store = Store::open(&path, ME).unwrap();
    queued(&mut store, own(BOB, 1, 1));
    for ending in ["", "-wal", "-shm"] {
        let file = PathBuf::from(format!("{}{ending}", path.display()));
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    drop(store);
    assert!(matches!(Store::open(&path, EVE), Err(StoreError::OtherKey)));
}

#[test]
fn promises_rest_on_settings_that_were_read_back() {
    let (_folder, path) = place();
    let store = Store::open(&path, ME).unwrap();
    let setting = |name: &str| -> String {
        store.conn.query_row(&format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!([setting("journal_mode"), setting("synchronous"), setting("secure_delete")], ["wal", "2", "1"]);
}

#[test]
fn a_dropped_prekey_is_nowhere_on_the_disk() {
    let (_folder, path) = place();
    let mut store = Store::open(&path, ME).unwrap();
    let secret = prekey(1).secret;
    let put = (1..=3).map(|counter| StoreOp::PutPrekey(Box::new(prekey(counter)))).collect();
    apply(&mut store, put);
    apply(&mut store, vec![StoreOp::PutPrekey(Box::new(OwnPrekey { replaced_age_ms: Some(1), ..prekey(1) }))]);
    assert!(holds(&path, secret.as_bytes()));
    apply(&mut store, vec![StoreOp::DropPrekeys(vec![1, 99])]);
    assert!(!holds(&path, secret.as_bytes()));
    assert!(holds(&path, prekey(2).secret.as_bytes()));
    assert_eq!(load(&mut store).prekeys.iter().map(|key| key.counter).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_reader_beside_us_delays_the_destruction_and_does_not_prevent_it() {
    let (_folder, path) = place();
    let mut store = Store::open(&path, ME).unwrap();
    store.conn.busy_timeout(std::time::Duration::ZERO).unwrap();
    apply(&mut store, vec![StoreOp::PutPrekey(Box::new(prekey(1)))]);
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM prekeys").unwrap();
    apply(&mut store, vec![StoreOp::DropPrekeys(vec![1])]);
    assert!(holds(&path, prekey(1).secret.as_bytes()));
    drop(reader);
    let large = Arrival { body: vec![0; 8 * 1024 * 1024], ..theirs(BOB, 1) };
    apply(&mut store, vec![receive(large)]);
    store.checkpoint_if_grown().unwrap();
    assert!(!holds(&path, prekey(1).secret.as_bytes()));
}

#[test]
fn a_newer_or_foreign_file_is_refused_and_left_alone() {
    let (_folder, path) = place();
    Store::open(&path, ME).unwrap().close().unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 4).unwrap();
    let error = Store::open(&path, ME).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 4, known: 3 }) && !error.is_damage(), "{error}");

    let (_folder, path) = place();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE songs (title TEXT)").unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(matches!(Store::open(&path, ME), Err(StoreError::NotAStore(_))));
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_damaged_file_is_recognised() {
    let (_folder, path) = place();
    std::fs::write(&path, vec![b'x'; 10_000]).unwrap();
    assert!(matches!(Store::open(&path, ME), Err(StoreError::Damaged(_))));

    let (_folder, path) = place();
    let mut store = Store::open(&path, ME).unwrap();
    apply(&mut store, (1..500).map(|number| receive(theirs(BOB, number))).collect());
    store.close().unwrap();
    let whole = std::fs::read(&path).unwrap();
    // Cut short.
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(Store::open(&path, ME), Err(StoreError::Damaged(_))));
    // Scribbled over.
    let mut scribbled = whole.clone();
    let middle = whole.len() / 2 / 4_096 * 4_096;
    scribbled[middle..middle + 4_096].fill(0x5a);
    std::fs::write(&path, scribbled).unwrap();
    assert!(matches!(Store::open(&path, ME), Err(StoreError::Damaged(_))));
    std::fs::write(&path, whole).unwrap();
    assert!(Store::open(&path, ME).is_ok());
}

#[test]
fn nothing_scans_the_messages_at_the_start_or_for_a_page() {
    let store = store();
    let plans = [
        (read::HISTORY, "USING INDEX history (other=?"),
        (read::UNSHOWN, "USING INDEX unshown"),
        (read::GROUP_HISTORY, "USING INDEX group_history (group_id=?"),
        (read::QUOTED, "(sender=? AND id=?"),
        (read::QUOTED_IN_GROUP, "USING INDEX group_ids (group_id=? AND id=?"),
        (read::BY_ID, "(sender=? AND id=?"),
        (talks::DELIVERED, "USING INDEX history (other=? AND anchor>? AND anchor<?"),
        (talks::OWN_UP_TO, "(sender=? AND id<?"),
        (texts::OVER, "USING COVERING INDEX vanish_at (gone_at>? AND gone_at<?"),
        (texts::NEXT, "USING COVERING INDEX vanish_at"),
        (search::LINES, "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?"),
        (arrival::LATER, "(sender=? AND id>?"),
        (snapshot::LAST_ID, "(sender=?"),
        (snapshot::OUTBOX, "USING INDEX outbox_lane"),
    ];
    for (sql, wanted) in plans {
        let mut statement = store.conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let count = statement.parameter_count();
        let rows = statement.query_map(rusqlite::params_from_iter(vec![0; count]), |row| row.get::<_, String>(3));
        let plan: Vec<String> = rows.unwrap().collect::<Result<_, _>>().unwrap();
        let plan = plan.join("; ");
        assert!(plan.contains(wanted), "{plan}");
        assert!(!plan.contains("SCAN m") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[test]
fn what_is_asked_for_every_arrival_is_planned_once() {
    let mut store = store();
    for number in 1..9 {
        arrived(&mut store, theirs(BOB, number));
    }
    let statement = store.conn.prepare_cached(arrival::LATER).unwrap();
    assert!(statement.get_status(rusqlite::StatementStatus::Run) >= 8);
    assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
}

#[test]
fn nothing_of_a_batch_without_room_is_there_and_the_same_batch_is_taken_when_there_is_some() {
    let (_folder, path) = place();
    let mut store = Store::open(&path, ME).unwrap();
    queued(&mut store, own(BOB, 1, 1));
    let used: i64 = store.conn.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    store.conn.query_row(&format!("PRAGMA max_page_count = {used}"), [], |_| Ok(())).unwrap();
    let big = Arrival { body: vec![1; 100_000], ..theirs(BOB, 2) };
    let batch = vec![(Ticket(1), vec![queue(own(BOB, 3, 2))]), (Ticket(2), vec![receive(big)])];
    assert!(matches!(store.commit(&batch), Err(StoreError::Full)));
    assert_eq!(history(&mut store, BOB, None, 9).len(), 1);
    store.conn.query_row("PRAGMA max_page_count = 1000000", [], |_| Ok(())).unwrap();
    assert_eq!(store.commit(&batch).unwrap().len(), 2);
    drop(store);
    assert_eq!(history(&mut Store::open(&path, ME).unwrap(), BOB, None, 9).len(), 3);
}

fn pin(directory: u8, key: u8) -> Pin {
    let (directory, key, name) = (PublicKey([directory; 32]), PublicKey([key; 32]), "Bob".parse().unwrap());
    Pin { directory, name, key, serial: 1, rival: None, refused: Vec::new() }
}

#[test]
fn a_name_is_pinned_for_each_directory_apart_with_the_keys_that_claim_it() {
    let mut store = store();
    let claim = |key, serial| Claim { key: PublicKey([key; 32]), serial };
    let contested =
        Pin { serial: 3, rival: Some(claim(5, u64::MAX)), refused: vec![claim(6, 2), claim(7, 4)], ..pin(1, 9) };
    let put = |pin: &Pin| StoreOp::PutPin(Box::new(pin.clone()));
    apply(&mut store, vec![put(&pin(1, 7)), put(&pin(2, 8)), put(&contested)]);
    assert_eq!(load(&mut store).pins, [contested, pin(2, 8)]);
}

#[test]
fn a_log_that_was_left_is_opened_as_a_new_file_with_the_same_content() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut before = Store::open(&file("store.db"), ME).unwrap();
    queued(&mut before, own(BOB, 1, 1));
    for end in ["", "-wal"] {
        std::fs::copy(file(&format!("store.db{end}")), file(&format!("left.db{end}"))).unwrap();
    }
    // Kept open, so that its number is not given again.
    let log = std::fs::File::open(file("left.db-wal")).unwrap();
    assert!(log.metadata().unwrap().len() > 0);
    let mut again = Store::open(&file("left.db"), ME).unwrap();
    assert_ne!(std::fs::metadata(file("left.db-wal")).unwrap().ino(), log.metadata().unwrap().ino());
    assert!(!file("left.db-wal-new").exists());
    assert_eq!(load(&mut again).outbox.len(), 1);
}
