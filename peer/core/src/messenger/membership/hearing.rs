//! Whose message counts as said in a group: that of somebody who was a member when they wrote it, as far as the chain is
//! known here. What a newer chain has to tell waits for it, committed and acknowledged, unshown.

use common::body::Body;
use common::group::GroupId;
use common::identity::PublicKey;
use common::limits::{GROUP_MEMBERS_MAX, GROUP_STEPS_MAX};
use common::message::Conversation;
use common::wire::directory::{Refusal, WhichGroup};

use super::super::Messenger;
use super::chains::Why;
use crate::event::Dropped;
use crate::registration::Step;
use crate::stored::StoredMessage;
use crate::timers::Timer;

/// A chain is asked for at most once in so long, and more seldom with each answer, milliseconds.
const ASK_PACE_MS: u64 = 10_000;
/// What a member wrote waits so long at most for a newer chain, milliseconds.
const PATIENCE_MS: u64 = 5_000;
/// What nobody known wrote waits so long, and for so many answers, before the directory's chain is taken for all there is.
const DOUBT_MS: u64 = 2 * 60_000;
const DOUBT_ANSWERS: u32 = 3;
/// Messages that wait for a chain in memory; more wait for the next start.
const WAITING_MAX: usize = 1_000;
/// Groups whose chain is wanted.
const CARE_MAX: usize = 500;

/// Whether something counts as said in its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Hearing {
    /// It does.
    Member,
    /// It does not.
    Outsider,
    /// The chain is not known that far.
    Unknown,
}

/// A message that waits for a chain.
#[derive(Debug)]
struct Waits {
    message: StoredMessage,
    since_ms: u64,
}

/// A group whose chain is wanted.
#[derive(Debug, Default)]
pub(super) struct Care {
    waiting: Vec<Waits>,
    /// Steps are known to be missing.
    wanted: bool,
    ask_from_ms: u64,
    answers: u32,
}

impl Messenger {
    /// Whether what `sender` says there counts, by the chain as it is committed here.
    pub(in super::super) fn hearing(&self, sender: &PublicKey, conversation: Conversation) -> Hearing {
        let Conversation::Group { id, membership } = conversation else { return Hearing::Member };
        let me = &self.config.me;
        if membership == 0 || membership > GROUP_STEPS_MAX + GROUP_MEMBERS_MAX as u64 {
            return Hearing::Outsider;
        }
        let Some(group) = self.groups.of(&id).filter(|group| membership <= group.version()) else {
            return Hearing::Unknown;
        };
        // Who was taken out still gets what was sent before; who left wants nothing more.
        let heard = group.is_member(me) || (group.is_removed(me) && group.was_member(me, membership));
        let said = group.was_member(sender, membership) || (group.is_member(me) && group.is_member(sender));
        if heard && said { Hearing::Member } else { Hearing::Outsider }
    }

    /// Whether somebody may take room and time here: accepted by the user, or in a group with them.
    pub(in super::super) fn is_known(&self, key: &PublicKey) -> bool {
        self.groups.shares(key) || self.book.of(key).is_some_and(|contact| contact.accepted)
    }

    /// A committed message of a group: goes on at once, waits for the chain, or counts for nothing. None: not now.
    pub(in super::super) fn heard(&mut self, message: StoredMessage) -> Option<StoredMessage> {
        let Conversation::Group { id, .. } = message.conversation else { return Some(message) };
        let behind = self.chains.care.get(&id).is_some_and(|care| care.waits_for(&message.sender));
        match self.hearing(&message.sender, message.conversation) {
            Hearing::Member if !behind => Some(message),
            Hearing::Outsider => {
                self.turn_away(&message);
                None
            }
            Hearing::Member | Hearing::Unknown => {
                self.wait_for_hearing(message);
                None
            }
        }
    }

    /// A committed message of a group waits for the chain.
    pub(in super::super) fn wait_for_hearing(&mut self, message: StoredMessage) {
        let Conversation::Group { id, .. } = message.conversation else { return };
        self.wait_for_chain(id, message);
        self.tend_group(id);
    }

    pub(in super::super) fn turn_away(&mut self, message: &StoredMessage) {
        self.dropped(message.sender, Dropped::NotAMember);
        self.dismiss(message);
    }

    fn wait_for_chain(&mut self, id: GroupId, message: StoredMessage) {
        let count: usize = self.chains.care.values().map(|care| care.waiting.len()).sum();
        if count < WAITING_MAX
            && let Some(care) = self.care(id)
        {
            let since_ms = self.now.mono_ms;
            if let Some(care) = self.chains.care.get_mut(&care) {
                care.waiting.push(Waits { message, since_ms });
            }
        }
    }

    /// The line of this writer and identity, while it waits for a group's chain.
    pub(in super::super) fn waiting_for_chain(&mut self, line: &StoredMessage) -> Option<&mut StoredMessage> {
        let Conversation::Group { id, .. } = line.conversation else { return None };
        let waiting = self.chains.care.get_mut(&id)?.waiting.iter_mut().map(|waits| &mut waits.message);
        waiting.into_iter().find(|waiting| (waiting.sender, waiting.id) == (line.sender, line.id))
    }

    /// Makes a place for what is wanted of a group, unless there are too many.
    fn care(&mut self, id: GroupId) -> Option<GroupId> {
        let now_ms = self.now.mono_ms;
        if self.chains.care.len() >= CARE_MAX {
            self.chains.care.retain(|_, care| care.is_wanted() || care.ask_from_ms > now_ms);
        }
        let room = self.chains.care.len() < CARE_MAX || self.chains.care.contains_key(&id);
        room.then(|| {
            self.chains.care.entry(id).or_default();
            id
        })
    }

    /// Steps of a group are missing here.
    pub(super) fn want_chain(&mut self, id: GroupId) {
        if let Some(care) = self.care(id).and_then(|id| self.chains.care.get_mut(&id)) {
            care.wanted = true;
        }
        self.tend_group(id);
    }

    /// Looks after what waits for a group's chain: what can be decided is, and the chain is asked for at its pace.
    pub(in super::super) fn tend_group(&mut self, id: GroupId) {
        self.timers.clear(Timer::Chain(id));
        let Some(mut care) = self.chains.care.remove(&id) else { return };
        let waiting = std::mem::take(&mut care.waiting);
        let (mut shown, mut next_ms) = (Vec::new(), None::<u64>);
        for waits in waiting {
            let sender = waits.message.sender;
            let hearing = self.hearing_after(&waits, &care);
            match hearing {
                Hearing::Outsider => self.turn_away(&waits.message),
                Hearing::Member if !care.waits_for(&sender) => shown.push(waits.message),
                Hearing::Member | Hearing::Unknown => {
                    let ends_ms = waits.since_ms + if self.is_fellow_in(&sender, &id) { PATIENCE_MS } else { DOUBT_MS };
                    // What is in the past has had its effect: from then on it is answers that are waited for.
                    if ends_ms > self.now.mono_ms {
                        next_ms = Some(next_ms.map_or(ends_ms, |next| next.min(ends_ms)));
                    }
                    care.waiting.push(waits);
                }
            }
        }
        let wanted = care.is_wanted();
        if wanted && self.session.is_online() {
            if self.now.mono_ms >= care.ask_from_ms {
                care.ask_from_ms = self.now.mono_ms + (ASK_PACE_MS << care.answers.min(5));
                self.look_up_group(WhichGroup::Id(id), Why::Chain(id));
            }
            next_ms = Some(next_ms.map_or(care.ask_from_ms, |next| next.min(care.ask_from_ms)));
        }
        if wanted || care.ask_from_ms > self.now.mono_ms {
            self.chains.care.insert(id, care);
        }
        if let Some(at_ms) = next_ms.filter(|_| wanted) {
            self.timers.set(Timer::Chain(id), at_ms.max(self.now.mono_ms + 1));
        }
        for message in shown {
            self.counts_now(message);
        }
    }

    /// Whether something is said in a group by somebody who is in it with this peer.
    pub(in super::super) fn is_of_fellow(&self, sender: &PublicKey, talk: Conversation) -> bool {
        matches!(talk, Conversation::Group { id, .. } if self.is_fellow_in(sender, &id))
    }

    /// Whether both are members, by what is committed here.
    pub(in super::super) fn is_fellow_in(&self, sender: &PublicKey, id: &GroupId) -> bool {
        self.groups.is_mine(id) && self.groups.of(id).is_some_and(|group| group.is_member(sender))
    }

    /// What a waiting message counts for, now that it has waited.
    fn hearing_after(&self, waits: &Waits, care: &Care) -> Hearing {
        let Conversation::Group { id, .. } = waits.message.conversation else { return Hearing::Member };
        let hearing = self.hearing(&waits.message.sender, waits.message.conversation);
        let waited_ms = self.now.mono_ms.saturating_sub(waits.since_ms);
        match hearing {
            Hearing::Unknown if self.is_fellow_in(&waits.message.sender, &id) => {
                let away = self.session.step() == Step::Idle;
                if away || waited_ms >= PATIENCE_MS { Hearing::Member } else { Hearing::Unknown }
            }
            Hearing::Unknown if care.answers >= DOUBT_ANSWERS && waited_ms >= DOUBT_MS => Hearing::Outsider,
            other => other,
        }
    }

    /// The directory has shown all it has of a chain, or will show nothing of it.
    pub(super) fn chain_answered(&mut self, id: GroupId, outcome: Result<(), Refusal>) {
        let mine = self.groups.is_mine(&id) || self.chains.decided.contains_key(&id);
        let Some(care) = self.chains.care.get_mut(&id) else { return };
        match outcome {
            Ok(()) | Err(Refusal::NoSuchGroup) => {
                care.wanted = false;
                care.answers += 1;
                if !mine {
                    // Nothing here belongs to it, or not any more.
                    for waits in std::mem::take(&mut care.waiting) {
                        self.turn_away_unless_heard(waits.message);
                    }
                }
            }
            Err(_) => {}
        }
        self.tend_group(id);
    }

    fn turn_away_unless_heard(&mut self, message: StoredMessage) {
        if self.hearing(&message.sender, message.conversation) == Hearing::Member {
            self.counts_now(message);
        } else {
            self.turn_away(&message);
        }
    }

    fn counts_now(&mut self, message: StoredMessage) {
        if Body::is_line(message.kind) {
            let whole = self.is_whole(&message.sender, &message.id);
            self.put_in_order(message, whole);
        } else {
            self.look_for_line(message);
        }
    }
}

impl Care {
    fn is_wanted(&self) -> bool {
        self.wanted || !self.waiting.is_empty()
    }

    fn waits_for(&self, sender: &PublicKey) -> bool {
        self.waiting.iter().any(|waits| waits.message.sender == *sender)
    }
}
