//! Power loss: each store works through a script of 200 messages on a disk that forgets, tears and spoils what was not
//! flushed; the power goes after every single operation on that disk, and what is left is opened again. It must be whole
//! and hold exactly what was answered, or what the transaction under way would have made of it. Not here: the disk.

pub mod directory;
pub mod peer;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use crash_vfs::{Disk, History, Image, NAME};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use super::Order;

/// Messages of the script.
const MESSAGES: u64 = 200;
/// The file's name on its disk.
pub(crate) const FILE: &str = "store.db";
const THREADS: usize = 2;

/// Called when the store is open, and after each answered transaction.
type OnAnswer<'a> = &'a mut dyn FnMut() -> Result<()>;

/// A store and its script.
struct Subject {
    name: &'static str,
    /// Works through the script on a disk.
    script: fn(&Disk, u64, OnAnswer<'_>) -> Result<()>,
    /// Opens the store again as its program does, checks what only it can, and works on.
    go_on: fn(&Disk) -> Result<()>,
    /// Asks only for rows that contradict each other.
    contradictions: &'static str,
}

const SUBJECTS: [Subject; 2] = [peer::SUBJECT, directory::SUBJECT];

/// What the script did.
struct Run {
    history: History,
    /// For each answered transaction, beginning with the opening: how many operations were done then, and what a reader
    /// found.
    answered: Vec<(usize, u64)>,
}

/// Every cut of both scripts, and the proof that a disk which only pretends to flush is found out.
///
/// # Errors
/// When something answered was lost or the store is damaged, with the cut that shows it.
pub fn run(order: &Order) -> Result<()> {
    let rounds = order.amount(1, 8);
    for subject in &SUBJECTS {
        let begun = Instant::now();
        let run = work(subject, order.seed, false)?;
        let cuts = run.history.len() + 1;
        let failed = cut(subject, &run, order.seed, rounds, 1);
        if let Some(first) = failed.first() {
            bail!("{}: {} of {cuts} cuts lost something, the first: {first}", subject.name, failed.len());
        }
        let lying = work(subject, order.seed, true)?;
        let caught = cut(subject, &lying, order.seed, 1, 7);
        let tried = lying.history.len() / 7 + 1;
        ensure!(caught.len() * 4 > tried, "{}: a disk that does not flush was hardly noticed", subject.name);
        say(&format!(
            "{}: {MESSAGES} messages in {} transactions, {cuts} cuts with {rounds} choices each, nothing lost, {:.1} s; \
             without flushes {} of {tried} cuts lose something",
            subject.name,
            run.answered.len() - 1,
            begun.elapsed().as_secs_f64(),
            caught.len()
        ));
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "a proof prints its figures")]
fn say(line: &str) {
    println!("{line}");
}

/// Works through the script; `lying`: on a disk that answers flushes and does nothing.
fn work(subject: &Subject, seed: u64, lying: bool) -> Result<Run> {
    let disk = Disk::new();
    disk.ignore_flushes(lying);
    disk.record();
    let mut answered = Vec::new();
    let mut reader = None;
    (subject.script)(&disk, seed, &mut || {
        let done = disk.recorded();
        let reader = match &mut reader {
            Some(reader) => reader,
            None => reader.insert(look(&disk)?),
        };
        answered.push((done, content(reader)?));
        Ok(())
    })
    .with_context(|| format!("{}: the script itself", subject.name))?;
    drop(reader);
    Ok(Run { history: disk.history(), answered })
}

/// Cuts the power after every `step`th operation; what went wrong, in order of the cuts.
fn cut(subject: &Subject, run: &Run, seed: u64, rounds: u64, step: usize) -> Vec<String> {
    let images: Vec<(usize, Image)> = run.history.cuts().enumerate().step_by(step).collect();
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut failed = Vec::new();
        while let Some((done, image)) = images.get(next.fetch_add(1, Ordering::Relaxed)) {
            for round in 0..rounds {
                let choice = seed.wrapping_mul(1_000_003) ^ (*done as u64 * 64 + round);
                let left = image.crash(&mut ChaCha8Rng::seed_from_u64(choice));
                if let Err(error) = survive(subject, run, *done, left) {
                    failed.push((*done, format!("after operation {done}, choice {round}, seed {seed}: {error:#}")));
                    break;
                }
            }
        }
        failed
    };
    let mut failed = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    failed.sort();
    failed.into_iter().map(|(_, why)| why).collect()
}

/// The power has gone after `done` operations, and `left` is what the disk kept.
fn survive(subject: &Subject, run: &Run, done: usize, left: Image) -> Result<()> {
    let disk = Disk::from_image(left.clone());
    // Opened for reading first, so that it is seen as it was left and not as the program mends it.
    let answered = run.answered.iter().take_while(|(at, _)| *at <= done).count();
    if answered > 0 {
        let conn = look(&disk)?;
        let verdict: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        ensure!(verdict == "ok", "integrity check: {verdict}");
        let found = content(&conn)?;
        let allowed = &run.answered[answered - 1..run.answered.len().min(answered + 1)];
        ensure!(
            allowed.iter().any(|(_, content)| *content == found),
            "it is not what was answered ({answered} answers)"
        );
        for sql in subject.contradictions.split(';').map(str::trim).filter(|sql| !sql.is_empty()) {
            ensure!(!conn.prepare(sql)?.exists([])?, "a contradiction: {sql}");
        }
    }
    (subject.go_on)(&Disk::from_image(left)).context("going on")
}

/// A reader beside the store, in the same file system.
pub(crate) fn look(disk: &Disk) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags_and_vfs(disk.path(FILE), flags, NAME)?)
}

/// One number for every row of every table.
pub(crate) fn content(conn: &Connection) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    let mut tables = conn.prepare_cached("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for table in tables {
        table.hash(&mut hasher);
        let mut rows = conn.prepare_cached(&format!("SELECT * FROM {table}"))?;
        let columns = rows.column_count();
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                match row.get::<_, Value>(column)? {
                    Value::Null => 0_u8.hash(&mut hasher),
                    Value::Integer(number) => number.hash(&mut hasher),
                    Value::Real(number) => number.to_bits().hash(&mut hasher),
                    Value::Text(text) => text.hash(&mut hasher),
                    Value::Blob(bytes) => bytes.hash(&mut hasher),
                }
            }
        }
    }
    Ok(hasher.finish())
}
