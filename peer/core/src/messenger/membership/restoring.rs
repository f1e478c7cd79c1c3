//! Steps that the directory has lost: its store was put back to an older copy. A member who sees that the chain it shows ends
//! before the one that is committed here hands in the rest. The steps carry their makers' signatures, so it is all one who does.

use common::group::{GroupId, Membership, SignedStep};
use common::limits::GROUP_STEPS_PAGE;
use common::wire::directory::{Refusal, RestoreGroup, ToDirectory};

use super::super::commands::{Asked, Pending};
use super::super::{Messenger, Then};
use super::changing::refusal;
use super::words::Stage;
use crate::command::{CommandError, ErrorCode};
use crate::event::{CommandId, Source};
use crate::stored::{Query, StoreOp};
use crate::timers::Timer;

/// All members of a group find out at once when a directory comes back: each waits so long at most, so that most of them find
/// that another was faster, milliseconds.
const SPREAD_MS: u64 = 1_500;
/// Unless a command needs it, a chain is handed in once in so long at most, whatever the directory shows, milliseconds; ...
const AGAIN_MS: u64 = 60_000;
/// ... and so often twice as seldom as before, while it is refused.
const SLOWER_MAX: u32 = 6;

/// A chain of which the directory holds less than this store.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// As far as the directory was seen to hold it.
    held: u64,
    /// To be handed in then.
    from_ms: u64,
    under_way: Option<UnderWay>,
    /// Not again before.
    again_ms: u64,
    /// How often it was refused.
    refused: u32,
}

/// A part of a chain that is being handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnderWay {
    /// It is read from the store.
    Read,
    /// It is with the directory, up to this version.
    Out { request: u32, up_to: u64 },
}

impl Messenger {
    /// The directory's chain of a group was seen to end with this version.
    pub(super) fn directory_holds(&mut self, id: GroupId, version: u64) {
        let known = self.groups.of(&id).map_or(0, Membership::version);
        if version > 0 {
            self.seen_at_home(id);
        } else if !self.groups.is_mine(&id) || self.groups.home(&id) != self.directory.as_ref().map(|it| it.key) {
            // One that it does not know at all is brought back by members only, and only to where it was.
            return;
        }
        if version >= known {
            if let Some(lost) = self.chains.lost.get_mut(&id) {
                lost.held = lost.held.max(version);
            }
            return;
        }
        let spread_ms = u64::from(u16::from_le_bytes(self.random())) % SPREAD_MS;
        let now_ms = self.now.mono_ms;
        let lost = self.chains.lost.entry(id).or_default();
        lost.held = version;
        if lost.under_way.is_none() && lost.from_ms <= now_ms {
            lost.from_ms = (now_ms + spread_ms).max(lost.again_ms);
            self.timers.set_by(Timer::Restore, lost.from_ms);
        }
    }

    /// The directory knows a group.
    pub(super) fn seen_at_home(&mut self, group: GroupId) {
        let Some(directory) = self.directory.as_ref().map(|directory| directory.key) else { return };
        if self.groups.seen_at(&group, directory) {
            self.store(StoreOp::PutGroupHome { group, directory }, Then::Nothing);
        }
    }

    /// What is to be handed in by now, is, unless another was faster.
    pub(in super::super) fn restore_due(&mut self) {
        let now_ms = self.now.mono_ms;
        let waits = self.chains.lost.iter().filter(|(_, lost)| lost.under_way.is_none() && lost.from_ms > 0);
        let (due, later): (Vec<_>, Vec<_>) =
            waits.map(|(id, lost)| (*id, lost.from_ms)).partition(|(_, from_ms)| *from_ms <= now_ms);
        if let Some(next_ms) = later.iter().map(|(_, from_ms)| *from_ms).min() {
            self.timers.set_by(Timer::Restore, next_ms);
        }
        for (id, _) in due {
            self.restore(id);
        }
    }

    fn restore(&mut self, id: GroupId) {
        let known = self.groups.of(&id).map_or(0, Membership::version);
        let again_ms = self.now.mono_ms + AGAIN_MS;
        let there = self.session.is_logged_in();
        let Some(lost) = self.chains.lost.get_mut(&id) else { return };
        lost.from_ms = 0;
        if lost.held >= known || !there {
            self.restored_group(id, Ok(()));
            return;
        }
        (lost.under_way, lost.again_ms) = (Some(UnderWay::Read), again_ms);
        let after = lost.held;
        self.ask_own_steps(id, after);
    }

    fn ask_own_steps(&mut self, group: GroupId, after: u64) {
        let count = u32::try_from(GROUP_STEPS_PAGE).unwrap_or(u32::MAX);
        self.query(Query::Steps { group, after, count }, Asked::Steps { group });
    }

    /// A page of a chain as it is kept here.
    pub(in super::super) fn hand_in(&mut self, id: GroupId, steps: Vec<SignedStep>) {
        let there = self.session.is_logged_in();
        let Some(lost) = self.chains.lost.get_mut(&id).filter(|lost| lost.under_way == Some(UnderWay::Read)) else {
            return;
        };
        let last = steps.last().and_then(|step| step.verify().ok()).filter(|_| there);
        let Some(last) = last else {
            self.restored_group(id, Ok(()));
            return;
        };
        let request = self.session.request();
        lost.under_way = Some(UnderWay::Out { request, up_to: last.version });
        self.send_directory(ToDirectory::RestoreGroup(RestoreGroup { request, steps }));
    }

    /// Which group was handed in with a request, and up to which version.
    fn handed_in(&self, of: u32) -> Option<(GroupId, u64)> {
        self.chains.lost.iter().find_map(|(id, lost)| match lost.under_way {
            Some(UnderWay::Out { request, up_to }) if request == of => Some((*id, up_to)),
            _ => None,
        })
    }

    /// The directory keeps what was handed in. False: nothing was.
    pub(in super::super) fn steps_restored(&mut self, request: u32) -> bool {
        let Some((id, up_to)) = self.handed_in(request) else { return false };
        let known = self.groups.of(&id).map_or(0, Membership::version);
        if let Some(lost) = self.chains.lost.get_mut(&id) {
            lost.held = lost.held.max(up_to);
            if lost.held < known {
                lost.under_way = Some(UnderWay::Read);
                let after = lost.held;
                self.ask_own_steps(id, after);
                return true;
            }
            lost.refused = 0;
        }
        self.restored_group(id, Ok(()));
        true
    }

    /// The directory refuses what was handed in. False: nothing was.
    pub(super) fn restore_refused(&mut self, request: u32, reason: &Refusal) -> bool {
        let Some((id, _)) = self.handed_in(request) else { return false };
        if let Some(lost) = self.chains.lost.get_mut(&id) {
            let final_word = matches!(reason, Refusal::GroupChanged | Refusal::NoSuchGroup | Refusal::Invalid);
            lost.again_ms = self.now.mono_ms + (AGAIN_MS << lost.refused.min(SLOWER_MAX));
            lost.refused += 1;
            if !final_word {
                // It has no room now, or does not know this peer yet.
                lost.from_ms = lost.again_ms;
                self.timers.set_by(Timer::Restore, lost.from_ms);
            }
        }
        self.restored_group(id, Err(reason.clone()));
        true
    }

    fn restored_group(&mut self, id: GroupId, outcome: Result<(), Refusal>) {
        if let Some(lost) = self.chains.lost.get_mut(&id) {
            lost.under_way = None;
        }
        for (command, source) in self.restoring_tasks(|of| *of == id) {
            match &outcome {
                Ok(()) if self.may_try_again(command) => {
                    self.set_stage(command, Stage::Waiting);
                    self.task_goes(source);
                }
                Ok(()) => self.command_failed(command, refusal(&self.task_group(command), &Refusal::GroupChanged)),
                Err(reason) => {
                    let name = self.task_group(command);
                    let error = if *reason == Refusal::GroupChanged { forked(&name) } else { refusal(&name, reason) };
                    self.command_failed(command, error);
                }
            }
        }
    }

    /// A command is to add a step to a chain that the directory has lost some of: first it gets these. False: it has all.
    pub(super) fn restores_first(&mut self, command: CommandId, id: GroupId) -> bool {
        let known = self.groups.of(&id).map_or(0, Membership::version);
        let Some(lost) = self.chains.lost.get(&id).filter(|lost| lost.held < known) else { return false };
        let under_way = lost.under_way.is_some();
        self.set_stage(command, Stage::Restoring(id));
        if !under_way {
            self.restore(id);
        }
        true
    }

    fn restoring_tasks(&self, of: impl Fn(&GroupId) -> bool) -> Vec<(CommandId, Source)> {
        let tasks = self.pending.iter().filter_map(|(source, pending)| match pending {
            Pending::Group(task) if matches!(&task.stage, Stage::Restoring(id) if of(id)) => Some((task.id, *source)),
            _ => None,
        });
        tasks.collect()
    }

    /// The session is lost; the next one shows anew what the directory holds.
    pub(super) fn restoring_offline(&mut self) {
        self.chains.lost.clear();
    }
}

/// Somebody went on with the chain that the directory was put back to, before it got the rest.
fn forked(name: &str) -> CommandError {
    let message = format!(
        "the directory lost part of @{name}, and others went on without it: two chains of one group cannot be joined; found it anew"
    );
    CommandError::new(ErrorCode::NotAllowed, message)
}
