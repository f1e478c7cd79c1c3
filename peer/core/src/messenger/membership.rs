//! Groups: founding, joining, leaving, inviting, taking out; keeping their chains; messages to all members.
//!
//! Submodules: `tasks` (commands on groups, from the question to the answer), `changing` (one step: made, signed, submitted),
//! `chains` (looking chains up, following them, committing steps), `hearing` (whose message counts as said in a group),
//! `restoring` (what the directory has lost), `inviting` (invitations, both ways), `listing` (who and what there is), `speaking` (messages to all), `telling` (events),
//! `words` (what such a command wants, and how far it is).

mod chains;
mod changing;
mod hearing;
mod inviting;
mod listing;
mod restoring;
mod speaking;
mod tasks;
mod telling;
#[cfg(test)]
pub(in crate::messenger) mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use common::group::{GroupId, Membership};
use common::identity::Signature;

use super::Messenger;
use crate::event::Ticket;

pub(super) use chains::Decided;
pub(super) use hearing::Hearing;
pub(super) use words::Task;

use chains::LookingUp;
use changing::{Making, Submitted};
use hearing::Care;
use inviting::Invitations;
use restoring::Lost;
use telling::Untold;

/// Why something is being signed.
#[derive(Debug)]
pub(super) enum Errand {
    /// A step of a group.
    Step(Box<Making>),
}

/// What is known of groups that is not stored.
#[derive(Debug, Default)]
pub(super) struct Chains {
    /// Chains as decided, while that is being committed. Only what is committed counts.
    decided: BTreeMap<GroupId, Membership>,
    /// Look-ups that are out, by request.
    look_ups: BTreeMap<u32, LookingUp>,
    /// Own steps that the directory has not answered, by request.
    submitted: BTreeMap<u32, Submitted>,
    /// Chains of which the directory holds less than this store.
    lost: BTreeMap<GroupId, Lost>,
    /// Hashes of the steps of this run: whoever made them knows of them.
    mine: BTreeSet<[u8; 32]>,
    /// Groups whose chain is wanted.
    care: BTreeMap<GroupId, Care>,
    /// Invitations that wait for the directory's word.
    invitations: Invitations,
    /// What is to be told once names are known.
    untold: VecDeque<Untold>,
}

impl Messenger {
    pub(super) fn on_signed(&mut self, ticket: Ticket, signature: Signature) {
        match self.errands.signing.remove(&ticket) {
            Some(Errand::Step(making)) => self.submit(*making, signature),
            None => {}
        }
    }

    /// The end of a turn: what waited for names, which may have come in it, and for its time.
    pub(super) fn tend_groups(&mut self) {
        self.tell_group_events();
        self.answer_named();
        self.ask_about_invitations();
    }

    /// Online: the chains of all groups are followed from here, and what was left open is asked for.
    pub(super) fn groups_online(&mut self) {
        self.follow_groups();
        let wanted: Vec<GroupId> = self.chains.care.keys().copied().collect();
        for id in wanted {
            self.tend_group(id);
        }
    }

    /// The session is lost, and with it every answer that was due.
    pub(super) fn groups_offline(&mut self) {
        for (_, looking) in std::mem::take(&mut self.chains.look_ups) {
            self.look_up_lost(looking);
        }
        for (_, submitted) in std::mem::take(&mut self.chains.submitted) {
            // It may have been taken: the chain tells, with the next session.
            self.want_chain(submitted.group());
        }
        self.restoring_offline();
        self.tasks_offline();
    }
}
