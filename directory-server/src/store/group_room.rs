//! What all groups take together, and what one founder has of them: counted as they change, and held against the limits before
//! anything is written.

use common::group::{Change, SignedStep};
use common::wire::codec;
use common::wire::directory::{GroupLimit, Refusal};
use directory_core::event::StepOp;
use directory_core::limits::GroupLimits;
use rusqlite::{Connection, OptionalExtension, params};

use super::StoreError;
use super::ledger::count as number;

/// What an operation gives, or why it is refused.
pub(super) type Judged<T> = Result<Result<T, Refusal>, StoreError>;

/// So many groups more, and so many bytes of their steps.
pub(super) fn count(db: &Connection, groups: i64, bytes: i64) -> Result<(), StoreError> {
    let sql = "UPDATE group_totals SET groups = groups + ?1, bytes = bytes + ?2";
    db.prepare_cached(sql)?.execute(params![groups, bytes])?;
    Ok(())
}

/// Whether somebody may found one more group, or bring one back, and there is room for it.
pub(super) fn begins(db: &Connection, op: &StepOp, founder: i64) -> Judged<()> {
    let limits = &op.limits;
    let sql = "SELECT count(*) FROM groups WHERE founder = ?1 AND ended_ms IS NULL";
    let founded = db.prepare_cached(sql)?.query_row([founder], |row| number(row, 0))?;
    match over(founded < limits.founded, GroupLimit::Founded, limits.founded) {
        Ok(()) => holds(db, limits, &op.signed, true),
        refused => Ok(refused),
    }
}

/// Whether there is room for one more step. Who wants to be out, or somebody out, is not held up.
pub(super) fn follows(db: &Connection, op: &StepOp) -> Judged<()> {
    match op.step.change {
        Change::Leave | Change::Remove { .. } => Ok(Ok(())),
        _ => holds(db, &op.limits, &op.signed, false),
    }
}

/// Groups that are over give way, the one that ended first before others.
fn holds(db: &Connection, limits: &GroupLimits, step: &SignedStep, begins: bool) -> Judged<()> {
    let more = codec::encode(step).len() as u64;
    loop {
        let sql = "SELECT groups, bytes FROM group_totals";
        let (groups, bytes) = db.prepare_cached(sql)?.query_row([], |row| Ok((number(row, 0)?, number(row, 1)?)))?;
        let fits = over(!begins || groups < limits.all, GroupLimit::Groups, limits.all)
            .and_then(|()| over(bytes + more <= limits.bytes_all, GroupLimit::Bytes, limits.bytes_all));
        if fits.is_ok() || !gives_way(db)? {
            return Ok(fits);
        }
    }
}

fn over(fits: bool, which: GroupLimit, limit: u64) -> Result<(), Refusal> {
    if fits { Ok(()) } else { Err(Refusal::OverGroupLimit { which, limit }) }
}

/// Forgets the group that has been over for longest; false if there is none.
fn gives_way(db: &Connection) -> Result<bool, StoreError> {
    let sql = "SELECT number FROM groups WHERE ended_ms IS NOT NULL ORDER BY ended_ms LIMIT 1";
    let oldest: Option<i64> = db.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    if let Some(oldest) = oldest {
        forget(db, oldest)?;
    }
    Ok(oldest.is_some())
}

/// Forgets groups that have been over since before `before_ms`. How many they were.
pub(super) fn expire(db: &Connection, before_ms: i64, limit: u32) -> Result<usize, StoreError> {
    let sql = "SELECT number FROM groups WHERE ended_ms < ?1 ORDER BY ended_ms LIMIT ?2";
    let old: Vec<i64> =
        db.prepare_cached(sql)?.query_map(params![before_ms, limit], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for number in &old {
        forget(db, *number)?;
    }
    Ok(old.len())
}

fn forget(db: &Connection, group: i64) -> Result<(), StoreError> {
    let sql = "SELECT ifnull(sum(length(step)), 0) FROM group_steps WHERE number = ?1";
    let bytes: i64 = db.prepare_cached(sql)?.query_row([group], |row| row.get(0))?;
    for sql in [
        "DELETE FROM group_steps WHERE number = ?1",
        "DELETE FROM group_people WHERE number = ?1",
        "DELETE FROM groups WHERE number = ?1",
    ] {
        db.prepare_cached(sql)?.execute([group])?;
    }
    count(db, -1, -bytes)
}
