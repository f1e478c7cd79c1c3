//! Invitations, both ways: the word that a group's door is open goes to whom it is open for, and such a word is shown here
//! only when the chain says the same.

use common::body::{Body, Invitation};
use common::group::{Change, GroupId, SignedStep};
use common::identity::PublicKey;
use common::message::Conversation;
use common::wire::directory::{Refusal, WhichGroup};

use super::super::Messenger;
use super::super::posting::{Post, Waiting};
use super::chains::{Draft, Why};
use crate::event::{Answer, CommandId, Dropped, Event, GroupChange};
use crate::stored::{StoreOp, StoredMessage};

/// Invitations that wait for the directory in memory; more are checked after the next start.
const INVITATIONS_MAX: usize = 200;

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
        let Some((group, _)) = founding_of(&message) else {
            self.dismiss(&message);
            return;
        };
        if self.session.is_online() {
            self.look_up_group(WhichGroup::Id(group), Why::Invitation(Box::new(message)));
        } else if self.chains.invitations.len() < INVITATIONS_MAX {
            self.chains.invitations.push(message);
        }
    }

    pub(super) fn invitation_checked(&mut self, message: StoredMessage, outcome: Result<Draft, Refusal>) {
        let me = self.config.me;
        let draft = match outcome {
            Ok(draft) => draft,
            Err(Refusal::NoSuchGroup) => {
                self.dismiss(&message);
                return;
            }
            Err(_) => {
                self.chains.invitations.push(message);
                return;
            }
        };
        let first = founding_of(&message);
        let open = draft.group().filter(|group| group.is_invited(&me)).cloned();
        let (Some(group), Some((_, founding))) = (open, first) else {
            self.dismiss(&message);
            return;
        };
        let known = self.groups.founding(&group.id()).or_else(|| draft.fresh().first());
        if known != Some(&founding) {
            self.dropped(message.sender, Dropped::Step);
            self.dismiss(&message);
            return;
        }
        let by = inviter(draft.fresh(), &me).unwrap_or(message.sender);
        if !self.config.shows {
            return;
        }
        self.tell(Event::Group {
            group: group.name().clone(),
            change: GroupChange::Invited,
            name: self.called(&me),
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
