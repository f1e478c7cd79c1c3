//! Steps of groups that members hand in because this store has lost them: it was put back to an older copy. They follow by the
//! rule of `common::group` as any step does. What the directory asks beyond that rule was asked when they were made; who made
//! them may not be known here any more.

use std::collections::BTreeSet;

use common::group::{Change, SignedStep, Step};
use common::identity::PublicKey;
use common::wire::directory::{Refusal, WhichGroup};
use directory_core::event::{GroupResult, RestoreOp, StepOp};

use super::group_room::Judged;
use super::groups::{Group, begin, judge};
use super::ledger::{Known, Ledger};
use super::{StoreError, group_room};

pub(super) fn restore(ledger: &mut Ledger<'_>, op: &RestoreOp) -> Judged<GroupResult> {
    let Some(by) = ledger.known(&op.key)?.filter(|by| by.registered) else { return Ok(Err(Refusal::NotRegistered)) };
    let Some((first, _)) = op.steps.first() else { return Ok(Err(Refusal::Invalid)) };
    let mut members = members(ledger, first)?;
    let (mut steps, mut refused) = (Vec::new(), None);
    for (step, signed) in &op.steps {
        let limits = op.limits;
        let op = StepOp { step: step.clone(), signed: signed.clone(), limits, now_ms: op.now_ms };
        match bring(ledger, &op, by)? {
            Ok(false) => {}
            Ok(true) => steps.push(op.signed),
            Err(refusal) => {
                refused = Some(refusal);
                break;
            }
        }
    }
    match refused {
        Some(refusal) if steps.is_empty() => Ok(Err(refusal)),
        refused => {
            members.extend(self::members(ledger, first)?);
            let members = members.into_iter().collect();
            Ok(Ok(GroupResult::Restored { group: first.group, steps, members, refused }))
        }
    }
}

fn members(ledger: &Ledger<'_>, step: &Step) -> Result<BTreeSet<PublicKey>, StoreError> {
    let group = Group::of(ledger.db(), &WhichGroup::Id(step.group))?;
    let members = group.map(|group| group.members_of(ledger.db())).transpose()?;
    Ok(members.unwrap_or_default().into_iter().collect())
}

/// One step. False: it is here already.
fn bring(ledger: &mut Ledger<'_>, op: &StepOp, by: Known) -> Judged<bool> {
    let db = ledger.db();
    match (Group::of(db, &WhichGroup::Id(op.step.group))?, &op.step.change) {
        (Some(group), _) if op.step.version <= group.version => {
            let kept = group.steps(db, op.step.version - 1, op.step.version, 1)?;
            let same = kept.first().map(SignedStep::hash) == Some(op.signed.hash());
            Ok(if same { Ok(false) } else { Err(Refusal::GroupChanged) })
        }
        (Some(group), change) => {
            let about = match change {
                Change::Invite { who } | Change::Remove { who } => Some(who),
                _ => None,
            };
            let known = (ledger.known(&op.step.by)?, about.map(|who| ledger.known(who)).transpose()?.flatten());
            let ready = match judge(db, &group, op, known)? {
                Ok(ready) => ready,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if let Err(refusal) = group_room::follows(db, op)? {
                return Ok(Err(refusal));
            }
            let (maker, about) = (ledger.known_or_new(&op.step.by)?, about.map(|who| ledger.known_or_new(who)));
            let accounts = (maker.account, about.transpose()?.map(|who| who.account));
            let ended_ms = ledger.stamp(op.now_ms);
            group.apply(db, op, ready, accounts, ended_ms)?;
            Ok(Ok(true))
        }
        (None, Change::Found { name, private }) if (op.step.version, op.step.previous) == (1, [0; 32]) => {
            if let Err(refusal) = group_room::begins(db, op, by.account)? {
                return Ok(Err(refusal));
            }
            let owner = ledger.known_or_new(&op.step.by)?;
            begin(db, op, by.account, owner.account, (name, *private))?;
            Ok(Ok(true))
        }
        (None, _) => Ok(Err(Refusal::NoSuchGroup)),
    }
}
