//! Invitations, both ways: the word that a group's door is open goes to whom it is open for, and such a word is shown here
//! only when the chain says the same.

use std::collections::VecDeque;

use common::body::{Body, Invitation};
use common::group::{Change, GroupId, Membership, SignedStep};
use common::identity::PublicKey;
use common::message::Conversation;
use common::wire::directory::{Refusal, WhichGroup};

use super::super::Messenger;
use super::super::posting::{Post, Waiting};
use super::chains::{Draft, Why};
use crate::event::{Answer, CommandId, Dropped, Event, GroupChange};
use crate::stored::{StoreOp, StoredMessage};
use crate::timers::Timer;

/// Invitations that wait for the directory at once, and those of one sender. What is over it is dismissed: whoever means it
/// invites again.
const INVITATIONS_MAX: usize = 200;
const INVITATIONS_OF_ONE: usize = 20;
/// So long after the answer about one group comes the question about the next, milliseconds: a chain may be long, and what
/// strangers say must leave room for what the user asks.
const ASK_PACE_MS: u64 = 1_000;
/// And so long after the directory had no answer.
const ASK_AGAIN_MS: u64 = 10_000;

/// Invitations that wait for the directory's word.
#[derive(Debug, Default)]
pub(super) struct Invitations {
    waiting: VecDeque<Invited>,
    /// The one group that is being asked about.
    asked: Option<GroupId>,
    ask_from_ms: u64,
}

#[derive(Debug)]
struct Invited {
    group: GroupId,
    founding: SignedStep,
    message: StoredMessage,
}

impl Invitations {
    fn has_room(&self, sender: &PublicKey) -> bool {
        let of_them = self.waiting.iter().filter(|invited| invited.message.sender == *sender).count();
        self.waiting.len() < INVITATIONS_MAX && of_them < INVITATIONS_OF_ONE
    }

    /// The group to ask about now.
    fn next(&self, now_ms: u64) -> Option<GroupId> {
        let free = self.asked.is_none() && now_ms >= self.ask_from_ms;
        self.waiting.front().filter(|_| free).map(|invited| invited.group)
    }

    /// All that is said about a group.
    fn take(&mut self, group: GroupId) -> Vec<Invited> {
        let (about, others) = std::mem::take(&mut self.waiting).into_iter().partition(|invited| invited.group == group);
        self.waiting = others;
        Vec::from(about)
    }

    /// There is no answer about this group: the others come first.
    pub(super) fn put_off(&mut self, group: GroupId) {
        self.asked = None;
        let about: Vec<Invited> = self.take(group);
        self.waiting.extend(about);
    }
}

impl Messenger {
    /// Tells those whom a group is open for. Answered when the last word is queued.
    pub(super) fn send_invitations(&mut self, id: CommandId, group: GroupId, guests: Vec<PublicKey>, answer: Answer) {
        let Some(founding) = self.groups.founding(&group).cloned() else {
            self.done(id, answer);
            return;
        };
        let mut answer = Some(Box::new(answer));
        for (place, guest) in guests.iter().enumerate() {
            let last = place + 1 == guests.len();
            let waiting = match answer.take_if(|_| last) {
                Some(answer) => Waiting::With(id, answer),
                None => Waiting::Nobody,
            };
            self.talked_with(*guest, true);
            let body = Body::Invitation(Invitation { founding: founding.clone() });
            let (conversation, recipients) = (Conversation::Pair, vec![*guest]);
            self.post(waiting, Post { conversation, recipients, body, urgent: false, key: None, amends: None });
        }
    }

    /// Somebody says that a group is open for this user: the directory's chain has to say so too.
    pub(in super::super) fn check_invitation(&mut self, message: StoredMessage) {
        match founding_of(&message).filter(|_| self.chains.invitations.has_room(&message.sender)) {
            Some((group, founding)) => {
                self.chains.invitations.waiting.push_back(Invited { group, founding, message });
            }
            None => self.dismiss(&message),
        }
    }

    /// The next group that one may be invited to is looked up: one at a time, at a pace.
    pub(super) fn ask_about_invitations(&mut self) {
        if !self.session.is_online() {
            return;
        }
        let invitations = &mut self.chains.invitations;
        if let Some(group) = invitations.next(self.now.mono_ms) {
            invitations.asked = Some(group);
            self.look_up_group(WhichGroup::Id(group), Why::Invitation(group));
        } else if invitations.asked.is_none() && !invitations.waiting.is_empty() {
            self.timers.set_by(Timer::GroupEvents, invitations.ask_from_ms);
        }
    }

    /// The answer decides everything that is said about a group. One invitation is shown; the others say no more.
    pub(super) fn invitations_checked(&mut self, id: GroupId, outcome: Result<Draft, Refusal>) {
        let now_ms = self.now.mono_ms;
        let invitations = &mut self.chains.invitations;
        (invitations.asked, invitations.ask_from_ms) = (None, now_ms + ASK_PACE_MS);
        let draft = match outcome {
            Ok(draft) => draft,
            Err(Refusal::NoSuchGroup) => Draft::default(),
            Err(_) => {
                invitations.put_off(id);
                invitations.ask_from_ms = now_ms + ASK_AGAIN_MS;
                return;
            }
        };
        let me = self.config.me;
        let open = draft.group().filter(|group| group.is_invited(&me)).cloned();
        let known = self.groups.founding(&id).or_else(|| draft.fresh().first()).cloned();
        let mut shown = false;
        for Invited { founding, message, .. } in self.chains.invitations.take(id) {
            let Some(group) = open.as_ref().filter(|_| !shown) else {
                self.dismiss(&message);
                continue;
            };
            if known.as_ref() == Some(&founding) {
                let by = inviter(draft.fresh(), &me).unwrap_or(message.sender);
                self.tell_invitation(group, by, &message);
                shown = true;
            } else {
                self.dropped(message.sender, Dropped::Step);
                self.dismiss(&message);
            }
        }
    }

    fn tell_invitation(&mut self, group: &Membership, by: PublicKey, message: &StoredMessage) {
        if !self.config.shows {
            return;
        }
        self.tell(Event::Group {
            group: group.name().clone(),
            change: GroupChange::Invited,
            name: self.called(&self.config.me),
            by: Some(self.called(&by)),
            mark: Some(message.n),
        });
    }

    /// It is no line of any conversation, and nothing is put out of it.
    pub(super) fn dismiss(&mut self, message: &StoredMessage) {
        self.store(StoreOp::Dismiss(vec![message.n]), super::super::Then::Nothing);
    }
}

fn founding_of(message: &StoredMessage) -> Option<(GroupId, SignedStep)> {
    let Body::Invitation(Invitation { founding }) = Body::decode(message.kind, &message.body) else { return None };
    let step = founding.verify().ok().filter(|step| matches!(step.change, Change::Found { .. }))?;
    Some((step.group, founding))
}

/// Who opened the door last.
fn inviter(steps: &[SignedStep], me: &PublicKey) -> Option<PublicKey> {
    let invites = steps.iter().rev().filter_map(|step| step.verify().ok());
    invites.filter(|step| step.change == Change::Invite { who: *me }).map(|step| step.by).next()
}
