//! Order at the recipient: which committed message is shown now, which is held back, and for how long. Knows ids and
//! predecessors; whether a lane is whole is told from outside.

use std::collections::BTreeMap;

use common::identity::PublicKey;
use common::message::{Conversation, MessageId};

use crate::limits::GAP_PATIENCE_MS;
use crate::stored::StoredMessage;

/// A message that may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Showing {
    /// The message.
    pub message: StoredMessage,
    /// A later one was shown before it.
    pub late: bool,
}

#[derive(Debug, Default)]
struct Stream {
    last_shown: Option<MessageId>,
    waiting: BTreeMap<MessageId, StoredMessage>,
}

impl Stream {
    fn follows(&self, message: &StoredMessage) -> bool {
        match (message.after, self.last_shown) {
            (None, _) => true,
            (Some(after), Some(last)) => last >= after,
            (Some(_), None) => false,
        }
    }

    fn release(&mut self, upto: Option<MessageId>, shown: &mut Vec<Showing>) {
        while let Some((id, message)) = self.waiting.first_key_value() {
            if !(self.follows(message) || upto.is_some_and(|upto| *id <= upto)) {
                break;
            }
            let Some((id, message)) = self.waiting.pop_first() else { break };
            self.last_shown = Some(id);
            shown.push(Showing { message, late: false });
        }
    }
}

/// All streams of messages, one for each (sender, conversation).
#[derive(Debug, Default)]
pub struct Inbox {
    streams: BTreeMap<(PublicKey, Conversation), Stream>,
    progress_ms: BTreeMap<PublicKey, u64>,
}

/// One sender's share of a conversation.
fn key(sender: PublicKey, conversation: Conversation) -> (PublicKey, Conversation) {
    (sender, conversation.stable())
}

impl Inbox {
    /// Remembers what was shown before this start.
    pub fn restore(&mut self, sender: PublicKey, conversation: Conversation, last_shown: MessageId) {
        let stream = self.streams.entry(key(sender, conversation)).or_default();
        stream.last_shown = stream.last_shown.max(Some(last_shown));
    }

    /// Something of `sender` came nearer: patience with its gaps starts again.
    pub fn progress(&mut self, sender: PublicKey, now_ms: u64) {
        self.progress_ms.insert(sender, now_ms);
    }

    /// A committed message. `whole`: nothing of the sender's lane is missing before it.
    pub fn arrive(&mut self, message: StoredMessage, whole: bool) -> Vec<Showing> {
        if !message.ordered {
            return vec![Showing { message, late: false }];
        }
        let stream = self.streams.entry(key(message.sender, message.conversation)).or_default();
        if stream.last_shown.is_some_and(|last| message.id < last) {
            return vec![Showing { message, late: true }];
        }
        let mut shown = Vec::new();
        let upto = whole.then_some(message.id);
        stream.waiting.insert(message.id, message);
        stream.release(upto, &mut shown);
        shown
    }

    /// Changes a message that is held back. False: it is not.
    pub fn amend(
        &mut self,
        sender: PublicKey,
        conversation: Conversation,
        id: MessageId,
        change: impl FnOnce(&mut StoredMessage),
    ) -> bool {
        let stream = self.streams.get_mut(&key(sender, conversation));
        stream.and_then(|stream| stream.waiting.get_mut(&id)).map(change).is_some()
    }

    /// The lane of `sender` changed: what is whole now may be shown. `whole` tells it of a message id.
    pub fn recheck(&mut self, sender: PublicKey, whole: impl Fn(&MessageId) -> bool) -> Vec<Showing> {
        let mut shown = Vec::new();
        for stream in self.of(sender) {
            let upto = stream.waiting.keys().rev().find(|id| whole(id)).copied();
            stream.release(upto, &mut shown);
        }
        shown
    }

    /// Messages of `sender` held back, by conversation: the first of each.
    pub fn held_back(&self, sender: PublicKey) -> Vec<(Conversation, StoredMessage)> {
        let mine = self.streams.iter().filter(|((who, _), _)| *who == sender);
        mine.filter_map(|((_, conversation), stream)| {
            stream.waiting.values().next().map(|first| (*conversation, first.clone()))
        })
        .collect()
    }

    /// How many messages of `sender` are held back.
    #[must_use]
    pub fn held_back_count(&self, sender: PublicKey) -> usize {
        self.streams.iter().filter(|((who, _), _)| *who == sender).map(|(_, stream)| stream.waiting.len()).sum()
    }

    /// When patience with the gaps of `sender` ends; none when nothing is held back.
    #[must_use]
    pub fn patience_ends_ms(&self, sender: PublicKey) -> Option<u64> {
        let waits = self.streams.iter().any(|((who, _), stream)| *who == sender && !stream.waiting.is_empty());
        waits.then(|| self.progress_ms.get(&sender).copied().unwrap_or(0) + GAP_PATIENCE_MS)
    }

    /// Patience has ended: everything held back of `sender` is shown, in order.
    pub fn give_up(&mut self, sender: PublicKey) -> Vec<Showing> {
        let mut shown = Vec::new();
        for stream in self.of(sender) {
            let upto = stream.waiting.keys().next_back().copied();
            stream.release(upto, &mut shown);
        }
        shown
    }

    fn of(&mut self, sender: PublicKey) -> impl Iterator<Item = &mut Stream> {
        self.streams.iter_mut().filter(move |((who, _), _)| *who == sender).map(|(_, stream)| stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: PublicKey = PublicKey([2; 32]);

    fn message(n: u8, after: Option<u8>) -> StoredMessage {
        StoredMessage {
            n: u64::from(n),
            id: MessageId([n; 16]),
            sender: BOB,
            other: BOB,
            mine: false,
            conversation: Conversation::Pair,
            kind: 1,
            body: Vec::new(),
            sent_at_ms: 0,
            received_at_ms: 0,
            via: None,
            request: false,
            urgent: false,
            waited: false,
            ordered: true,
            after: after.map(|n| MessageId([n; 16])),
            state: None,
            elapsed_ms: 0,
            quote: None,
            edited: false,
            gone: None,
            reactions: Vec::new(),
            tally: None,
        }
    }

    fn numbers(shown: &[Showing]) -> Vec<u64> {
        shown.iter().map(|showing| showing.message.n).collect()
    }

    #[test]
    fn what_comes_too_early_waits_for_its_predecessor() {
        let mut inbox = Inbox::default();
        assert_eq!(numbers(&inbox.arrive(message(3, Some(2)), false)), [0; 0]);
        assert_eq!(numbers(&inbox.arrive(message(2, Some(1)), false)), [0; 0]);
        assert_eq!(numbers(&inbox.arrive(message(1, None), false)), [1, 2, 3]);
    }

    #[test]
    fn a_withdrawn_predecessor_holds_nothing_up() {
        let mut inbox = Inbox::default();
        assert_eq!(numbers(&inbox.arrive(message(3, Some(2)), true)), [3]);
    }

    #[test]
    fn after_patience_the_rest_is_shown_and_the_late_one_marked() {
        let mut inbox = Inbox::default();
        inbox.progress(BOB, 100);
        inbox.arrive(message(3, Some(2)), false);
        assert_eq!(inbox.patience_ends_ms(BOB), Some(100 + GAP_PATIENCE_MS));
        assert_eq!(inbox.held_back(BOB).len(), 1);
        assert_eq!(numbers(&inbox.give_up(BOB)), [3]);
        assert_eq!(inbox.patience_ends_ms(BOB), None);
        let late = inbox.arrive(message(2, Some(1)), false);
        assert!(late[0].late);
    }

    #[test]
    fn urgent_and_control_messages_wait_for_nothing() {
        let mut inbox = Inbox::default();
        let mut urgent = message(9, None);
        urgent.ordered = false;
        inbox.arrive(message(3, Some(2)), false);
        assert_eq!(numbers(&inbox.arrive(urgent, false)), [9]);
        assert_eq!(inbox.held_back(BOB).len(), 1);
    }

    #[test]
    fn what_was_shown_before_this_start_is_no_gap() {
        let mut inbox = Inbox::default();
        inbox.restore(BOB, Conversation::Pair, MessageId([5; 16]));
        inbox.restore(BOB, Conversation::Pair, MessageId([4; 16]));
        assert_eq!(numbers(&inbox.arrive(message(6, Some(5)), false)), [6]);
        assert!(inbox.arrive(message(2, None), false)[0].late, "older than what was shown");
        assert!(!inbox.arrive(message(6, None), false)[0].late, "the last one itself is not late");
    }

    #[test]
    fn what_has_become_whole_is_shown_with_all_before_it() {
        let mut inbox = Inbox::default();
        for n in [3, 5, 7] {
            assert!(inbox.arrive(message(n, Some(n - 1)), false).is_empty());
        }
        assert_eq!((inbox.held_back_count(BOB), inbox.held_back_count(PublicKey([9; 32]))), (3, 0));
        assert_eq!(numbers(&inbox.recheck(PublicKey([9; 32]), |_| true)), [0; 0]);
        assert_eq!(numbers(&inbox.recheck(BOB, |id| *id == MessageId([5; 16]))), [3, 5]);
        assert_eq!(inbox.held_back_count(BOB), 1);
        assert_eq!(numbers(&inbox.recheck(BOB, |_| false)), [0; 0]);
    }

    #[test]
    fn what_is_held_back_comes_as_it_is_by_then() {
        let mut inbox = Inbox::default();
        inbox.arrive(message(3, Some(2)), false);
        let edit = |line: &mut StoredMessage| line.edited = true;
        assert!(!inbox.amend(BOB, Conversation::Pair, MessageId([2; 16]), edit));
        assert!(!inbox.amend(PublicKey([9; 32]), Conversation::Pair, MessageId([3; 16]), edit));
        assert!(inbox.amend(BOB, Conversation::Pair, MessageId([3; 16]), edit));
        assert!(inbox.give_up(BOB)[0].message.edited);
        assert!(!inbox.amend(BOB, Conversation::Pair, MessageId([3; 16]), edit), "shown already");
    }

    #[test]
    fn conversations_and_people_wait_for_themselves_only() {
        let mut inbox = Inbox::default();
        let group = |membership| Conversation::Group { id: [1; 16], membership };
        let other = PublicKey([3; 32]);
        inbox.progress(BOB, 100);
        inbox.arrive(message(3, Some(2)), false);
        inbox.arrive(StoredMessage { conversation: group(1), ..message(4, Some(1)) }, false);
        assert_eq!(inbox.held_back(other).len(), 0);
        assert_eq!(inbox.patience_ends_ms(other), None);
        assert_eq!(numbers(&inbox.give_up(other)), [0; 0]);
        // The membership of a group may change in the middle of a conversation.
        let first = StoredMessage { conversation: group(2), ..message(1, None) };
        assert_eq!(numbers(&inbox.arrive(first, false)), [1, 4]);
        let held = inbox.held_back(BOB);
        assert_eq!(held.iter().map(|(talk, first)| (*talk, first.n)).collect::<Vec<_>>(), [(Conversation::Pair, 3)]);
        assert_eq!(numbers(&inbox.give_up(BOB)), [3]);
    }
}
