//! SQLite on disks that lose power: what was committed stays, what was not is gone or whole, and a disk that lies is found
//! out. Not here: the programs' stores.

#![allow(clippy::unwrap_used, clippy::panic)]

use crash_vfs::{Disk, Fault, Image, NAME};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

fn open(disk: &Disk) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags_and_vfs(disk.path("test.db"), flags, NAME).unwrap();
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0").unwrap();
    conn.execute_batch("CREATE TABLE IF NOT EXISTS rows (n INTEGER PRIMARY KEY, body BLOB)").unwrap();
    conn
}

fn insert(conn: &Connection, n: i64) -> rusqlite::Result<usize> {
    conn.execute("INSERT INTO rows VALUES (?1, randomblob(900))", [n])
}

fn count(conn: &Connection) -> i64 {
    conn.query_row("SELECT count(*) FROM rows", [], |row| row.get(0)).unwrap()
}

fn code(error: &rusqlite::Error) -> i32 {
    error.sqlite_error().unwrap().extended_code
}

/// How many rows are there, if the file is whole.
fn rows_on(image: Image) -> Option<i64> {
    let disk = Disk::from_image(image);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let conn = Connection::open_with_flags_and_vfs(disk.path("test.db"), flags, NAME).ok()?;
    let verdict: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).ok()?;
    let made: bool =
        conn.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0)).unwrap_or(false);
    (verdict == "ok").then(|| if made { count(&conn) } else { 0 })
}

/// Commits 30 rows with a checkpoint now and then; after how many operations each was said to be committed.
fn script(disk: &Disk) -> Vec<usize> {
    disk.record();
    let conn = open(disk);
    let mut said = Vec::new();
    for n in 1..=30 {
        insert(&conn, n).unwrap();
        said.push(disk.recorded());
        if n % 10 == 0 {
            let mode = if n == 20 { "TRUNCATE" } else { "PASSIVE" };
            conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())).unwrap();
        }
    }
    said
}

/// At how many cuts something was lost, or the file was damaged.
fn losses(disk: &Disk, said: &[usize]) -> usize {
    let mut lost = 0;
    for (done, image) in disk.history().cuts().enumerate() {
        for seed in 0..3 {
            let promised = said.iter().filter(|at| **at <= done).count() as i64;
            let left = image.crash(&mut ChaCha8Rng::seed_from_u64(done as u64 * 3 + seed));
            lost += usize::from(rows_on(left).is_none_or(|rows| rows < promised || rows > promised + 1));
        }
    }
    lost
}

#[test]
fn no_cut_of_the_power_takes_what_was_committed() {
    let disk = Disk::new();
    let said = script(&disk);
    assert!(disk.recorded() > 100, "{}", disk.recorded());
    assert_eq!(losses(&disk, &said), 0);
}

#[test]
fn a_disk_that_ignores_flushes_is_found_out() {
    let disk = Disk::new();
    disk.ignore_flushes(true);
    let said = script(&disk);
    assert!(losses(&disk, &said) > 50);
}

#[test]
fn the_same_seed_loses_the_same() {
    let disk = Disk::new();
    script(&disk);
    let image = disk.history().cuts().nth(100).unwrap();
    let left = |seed| {
        let left = image.crash(&mut ChaCha8Rng::seed_from_u64(seed));
        (left.read("test.db"), left.read("test.db-wal"))
    };
    assert_eq!(left(7), left(7));
    assert!((0..20).any(|seed| left(seed) != left(7)));
}

#[test]
fn two_threads_write_through_one_log() {
    let disk = Disk::new();
    open(&disk);
    let write = |from: i64| {
        let disk = disk.clone();
        std::thread::spawn(move || {
            let conn = open(&disk);
            conn.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
            for n in from..from + 50 {
                insert(&conn, n).unwrap();
            }
        })
    };
    let threads = [write(0), write(1_000)];
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(count(&open(&disk)), 100);
    // The last to close leaves no log behind.
    assert_eq!(disk.image().files().map(|(name, _)| name.to_owned()).collect::<Vec<_>>(), ["test.db"]);
}

#[test]
fn who_writes_is_alone() {
    let disk = Disk::new();
    let (one, other) = (open(&disk), open(&disk));
    one.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = other.execute_batch("BEGIN IMMEDIATE").unwrap_err();
    assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
    assert_eq!(count(&other), 0);
    one.execute_batch("COMMIT").unwrap();
    other.execute_batch("BEGIN IMMEDIATE; COMMIT").unwrap();
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let disk = Disk::new();
    let conn = open(&disk);
    insert(&conn, 1).unwrap();
    disk.set_room(Some(disk.image().bytes() as u64 + 500));
    assert_eq!(code(&insert(&conn, 2).unwrap_err()), ffi::SQLITE_FULL);
    disk.set_room(None);
    insert(&conn, 2).unwrap();
    for nth in 1..=2 {
        disk.fail_at(Fault::Full, nth);
        assert_eq!(code(&insert(&conn, 3).unwrap_err()), ffi::SQLITE_FULL);
        assert_eq!(count(&conn), 2);
    }
    disk.fail_while(Some(Fault::Full));
    assert_eq!(code(&insert(&conn, 3).unwrap_err()), ffi::SQLITE_FULL);
    disk.fail_while(None);
    insert(&conn, 3).unwrap();
    assert_eq!(rows_on(disk.crash(&mut ChaCha8Rng::seed_from_u64(1))), Some(3));
}

#[test]
fn a_failed_write_and_a_failed_flush_are_said() {
    let disk = Disk::new();
    let conn = open(&disk);
    disk.fail_at(Fault::Write, 1);
    assert_eq!(code(&insert(&conn, 1).unwrap_err()), ffi::SQLITE_IOERR_WRITE);
    disk.fail_at(Fault::Sync, 1);
    assert_eq!(code(&insert(&conn, 1).unwrap_err()), ffi::SQLITE_IOERR_FSYNC);
    assert_eq!(count(&conn), 0);
}

#[test]
fn a_disk_without_power_does_nothing() {
    let disk = Disk::new();
    let conn = open(&disk);
    disk.power_off();
    let done = disk.done();
    insert(&conn, 1).unwrap_err();
    drop(conn);
    assert_eq!(disk.done(), done);
}
