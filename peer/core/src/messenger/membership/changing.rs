//! One step of a group: made from what is known, signed, submitted to the directory, and taken once that has it.

use common::group::{Change, GroupId, Membership, SignedStep, Step, StepError};
use common::identity::{Context, Signature};
use common::wire::directory::{ChangeGroup, GroupLimit, Refusal, ToDirectory};

use super::super::Messenger;
use super::super::commands::Pending;
use super::Errand;
use super::words::{Stage, Task};
use crate::command::{CommandError, ErrorCode};
use crate::event::{CommandId, Output};

/// A step that is being signed.
#[derive(Debug)]
pub(in super::super) struct Making {
    command: CommandId,
    step: Step,
    /// Steps before it that are not kept here yet: those of a group one is about to join.
    before: Vec<SignedStep>,
}

/// A step that the directory has not answered.
#[derive(Debug)]
pub(super) struct Submitted {
    command: CommandId,
    group: GroupId,
    version: u64,
    /// What is to be kept when it is taken, the step itself last.
    steps: Vec<SignedStep>,
}

impl Submitted {
    pub(super) fn group(&self) -> GroupId {
        self.group
    }
}

impl Messenger {
    /// Has the step signed by which a task goes on. `before`: what is to be kept with it.
    pub(super) fn make_step(&mut self, command: CommandId, step: Step, before: Vec<SignedStep>) {
        self.set_stage(command, Stage::Signing);
        let (ticket, bytes) = (self.ticket(), step.bytes());
        self.errands.signing.insert(ticket, Errand::Step(Box::new(Making { command, step, before })));
        self.out.push_back(Output::Sign { ticket, context: Context::GroupStep, bytes });
    }

    pub(super) fn submit(&mut self, making: Making, signature: Signature) {
        let Making { command, step, before: mut steps } = making;
        if !self.is_at(command, |stage| matches!(stage, Stage::Signing)) {
            // Nobody waits for it any more: it is not made.
            return;
        }
        if !self.session.is_logged_in() {
            self.set_stage(command, Stage::Waiting);
            return;
        }
        let (group, version) = (step.group, step.version);
        let signed = SignedStep::new(step.bytes(), signature);
        self.chains.mine.insert(signed.hash());
        steps.push(signed.clone());
        let request = self.session.request();
        self.chains.submitted.insert(request, Submitted { command, group, version, steps });
        self.set_stage(command, Stage::Submitted(request));
        self.send_directory(ToDirectory::ChangeGroup(ChangeGroup { request, step: signed }));
    }

    /// The directory has done what was asked for. False: it was no step.
    pub(in super::super) fn step_taken(&mut self, request: u32) -> bool {
        let Some(submitted) = self.chains.submitted.remove(&request) else { return false };
        let Submitted { command, group, version, steps } = submitted;
        self.take_steps(group, &steps);
        if self.is_at(command, |stage| matches!(stage, Stage::Submitted(of) if *of == request)) {
            self.set_stage(command, Stage::Committing { group, version });
            let committed = self.groups.of(&group).map_or(0, Membership::version);
            if committed >= version {
                self.task_committed(group, committed);
            }
        }
        true
    }

    /// The directory refuses something about groups. False: it was nothing about groups.
    pub(in super::super) fn group_refused(&mut self, request: u32, reason: &Refusal) -> bool {
        if self.look_up_refused(request, reason)
            || self.list_refused(request, reason)
            || self.restore_refused(request, reason)
        {
            return true;
        }
        let Some(submitted) = self.chains.submitted.remove(&request) else { return false };
        if let Some(last) = submitted.steps.last() {
            self.chains.mine.remove(&last.hash());
        }
        let command = submitted.command;
        if !self.is_at(command, |stage| matches!(stage, Stage::Submitted(of) if *of == request)) {
            return true;
        }
        if *reason == Refusal::GroupChanged && self.may_try_again(command) {
            self.task_goes(command.source);
        } else {
            let name = self.task_group(command);
            self.command_failed(command, refusal(&name, reason));
        }
        true
    }

    /// Why this peer may not make a change to a group, in words.
    pub(super) fn not_allowed(&self, group: &Membership, change: &Change, why: StepError) -> CommandError {
        let name = group.name();
        let (code, message) = match (why, change) {
            (StepError::NotAMember, _) => (ErrorCode::NotAMember, format!("you are no member of @{name}")),
            (StepError::AlreadyAMember, Change::Invite { who }) => {
                (ErrorCode::AlreadyAMember, format!("{} is a member of @{name} already", self.called(who)))
            }
            (StepError::AlreadyAMember, _) => {
                (ErrorCode::AlreadyAMember, format!("you are a member of @{name} already"))
            }
            (StepError::NotInvited, _) if group.is_private() => {
                (ErrorCode::NotAllowed, format!("@{name} is private: one of its members has to invite you"))
            }
            (StepError::NotInvited, _) => {
                let message = format!("you were taken out of @{name}: one of its members has to invite you");
                (ErrorCode::NotAllowed, message)
            }
            (StepError::NotTheOwner, _) => {
                let owner = group.owner().map_or_else(String::new, |owner| self.called(owner));
                (ErrorCode::NotAllowed, format!("only the owner of @{name}, {owner}, may take somebody out"))
            }
            (StepError::NoSuchMember, Change::Remove { who }) if *who == self.config.me => {
                (ErrorCode::NotAllowed, format!("you cannot take yourself out; '!leave {name}' goes"))
            }
            (StepError::NoSuchMember, Change::Remove { who }) => {
                (ErrorCode::NotAMember, format!("{} is no member of @{name}", self.called(who)))
            }
            (StepError::Full, _) => (ErrorCode::Quota, format!("@{name} is full")),
            (StepError::NoSuchMember | StepError::Stale | StepError::Forged, _) => {
                (ErrorCode::NoSuchGroup, format!("there is no group @{name} any more"))
            }
        };
        CommandError::new(code, message)
    }
}

/// The directory's refusal in words, about the group of this name.
pub(super) fn refusal(name: &str, reason: &Refusal) -> CommandError {
    let (code, message) = match reason {
        Refusal::NoSuchGroup => (ErrorCode::NoSuchGroup, format!("there is no group @{name} that you may see")),
        Refusal::GroupExists => (ErrorCode::GroupExists, format!("there is a group @{name} already")),
        Refusal::NotAMember => (ErrorCode::NotAMember, format!("only members of @{name} may do that")),
        Refusal::AlreadyAMember => (ErrorCode::AlreadyAMember, format!("they are a member of @{name} already")),
        Refusal::NotAllowed => {
            (ErrorCode::NotAllowed, format!("@{name}: an invitation is needed, or only the owner may do that"))
        }
        Refusal::GroupFull => {
            (ErrorCode::Quota, format!("@{name} is full, or you have as many groups as one may have"))
        }
        Refusal::QuotaExceeded => (ErrorCode::Quota, "you have as many groups as one may have".to_owned()),
        Refusal::GroupChanged => {
            (ErrorCode::RateLimited, format!("@{name} is being changed by others all the time; try again"))
        }
        Refusal::OverGroupLimit { which: GroupLimit::Founded, limit } => (
            ErrorCode::Quota,
            format!("@{name}: you have founded {limit} groups that still exist, and one may no more"),
        ),
        Refusal::OverGroupLimit { which: GroupLimit::Groups, limit } => {
            (ErrorCode::Quota, format!("@{name}: the directory keeps {limit} groups, and no more"))
        }
        Refusal::OverGroupLimit { which: GroupLimit::Bytes, limit } => {
            (ErrorCode::Quota, format!("@{name}: the directory keeps {limit} bytes about groups, and no more"))
        }
        Refusal::NotRegistered => (ErrorCode::NotRegistered, "register first: !register NAME".to_owned()),
        Refusal::NoSuchUser => (ErrorCode::NoSuchUser, "nobody of that name is registered at the directory".to_owned()),
        Refusal::RateLimited(_) => (ErrorCode::RateLimited, "the directory asks to slow down; try again".to_owned()),
        other => (ErrorCode::NotAllowed, format!("the directory refused: {other:?}")),
    };
    CommandError::new(code, message)
}

/// The task of a command, if it still waits.
pub(super) fn task_of(pending: Option<&Pending>, command: CommandId) -> Option<&Task> {
    match pending {
        Some(Pending::Group(task)) if task.id == command => Some(task),
        _ => None,
    }
}
