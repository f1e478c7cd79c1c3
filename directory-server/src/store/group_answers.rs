//! Questions about groups, each to who answers it.

use directory_core::StoreResult;
use directory_core::event::GroupOp;

use super::groups::{list, news, step, steps};
use super::ledger::Ledger;
use super::{StoreError, restore};

pub(super) fn answer(ledger: &mut Ledger<'_>, op: GroupOp) -> Result<StoreResult, StoreError> {
    let judged = match op {
        GroupOp::Step(op) => step(ledger, op)?,
        GroupOp::Restore(op) => restore::restore(ledger, &op)?,
        GroupOp::Steps { key, which, after, limit } => steps(ledger, &key, &which, after, limit)?,
        GroupOp::News { key, groups, limit } => Ok(news(ledger, &key, &groups, limit)?),
        GroupOp::List { key, after, limit } => Ok(list(ledger, &key, after.as_ref(), limit)?),
    };
    Ok(match judged {
        Ok(result) => StoreResult::Group(result),
        Err(refusal) => StoreResult::Refused(refusal),
    })
}
