//! The reference notices what it is there to notice.

use common::message::Conversation;
use peer_core::stored::Via;

use super::*;

const ANNA: PublicKey = PublicKey([1; 32]);
const BERT: PublicKey = PublicKey([2; 32]);

fn row(n: u8) -> OutboxRow {
    OutboxRow {
        n: u64::from(n),
        id: MessageId([n; 16]),
        recipient: BERT,
        seq: u64::from(n),
        after: None,
        ordered: true,
        urgent: false,
        conversation: Conversation::Pair,
        sent_at_ms: 0,
        kind: 1,
        body: vec![n],
        state: State::Queued,
        reason: None,
        queued_age_ms: 0,
        via: None,
        elapsed_ms: 0,
    }
}

fn arrival(n: u8) -> Arrival {
    Arrival {
        sender: ANNA,
        id: MessageId([n; 16]),
        after: None,
        ordered: true,
        urgent: false,
        conversation: Conversation::Pair,
        sent_at_ms: 0,
        received_at_ms: 0,
        kind: 1,
        body: vec![n],
        via: Via::Direct,
        waited: false,
        request: false,
        held: None,
        reply_to: None,
        amends: None,
        vanishes_ms: None,
    }
}

fn view(n: u8) -> MessageView {
    MessageView {
        n: u64::from(n),
        id: MessageId([n; 16]),
        request: false,
        from: "anna".to_owned(),
        to: "bert".to_owned(),
        conversation: "anna".to_owned(),
        text: Some(n.to_string()),
        sent_at_ms: 0,
        received_at_ms: 0,
        via: None,
        reply_to: None,
        urgent: false,
        offline: false,
        late: false,
        mine: false,
        state: None,
        verified: false,
        quote: None,
        edited: false,
        gone: None,
        reactions: Vec::new(),
        forwarded: None,
        vanishes_ms: None,
        tally: None,
    }
}

/// Anna has written messages 1 to 3 to Bert.
fn model() -> Model {
    let mut model = Model::default();
    model.machine(0, ANNA, None);
    model.machine(1, BERT, None);
    model.named("anna", 0);
    for n in 1..=3 {
        model.queued(0, 0, u64::from(n), &row(n), 1, n.to_string());
    }
    assert_eq!(model.failure(), None);
    model
}

fn is_broken_by(good: impl FnOnce(&mut Model), bad: impl FnOnce(&mut Model)) {
    let mut model = model();
    good(&mut model);
    assert_eq!(model.failure(), None);
    bad(&mut model);
    assert!(model.failure().is_some());
}

#[test]
fn a_false_delivered_and_a_false_kept_are_noticed() {
    is_broken_by(|_| {}, |model| model.state_committed(0, 0, 1, State::Delivered));
    is_broken_by(|_| {}, |model| model.state_committed(0, 0, 1, State::Kept));
    let kept = |model: &mut Model| {
        model.kept(&ANNA, MessageId([1; 16]).tag());
        model.state_committed(0, 0, 1, State::Kept);
        model.held(1, 1, &arrival(1), 1);
        model.state_committed(0, 0, 1, State::Delivered);
    };
    is_broken_by(kept, |model| model.state_committed(0, 0, 1, State::Queued));
}

#[test]
fn a_message_stored_twice_changed_or_under_another_key_is_noticed() {
    is_broken_by(|model| model.held(1, 1, &arrival(1), 1), |model| model.held(1, 1, &arrival(1), 2));
    is_broken_by(|_| {}, |model| model.held(1, 1, &Arrival { body: vec![9], ..arrival(1) }, 1));
    is_broken_by(|_| {}, |model| model.held(1, 1, &Arrival { sender: BERT, ..arrival(1) }, 1));
    is_broken_by(|_| {}, |model| model.held(1, 1, &arrival(7), 1));
}

#[test]
fn what_is_shown_twice_out_of_order_unheld_or_under_a_wrong_name_is_noticed() {
    let held = |model: &mut Model| (1..=3).for_each(|n| model.held(1, 1, &arrival(n), u64::from(n)));
    let shown = |model: &mut Model| {
        held(model);
        model.shown(1, 1, 1, &view(2));
    };
    is_broken_by(shown, |model| model.shown(1, 1, 1, &view(2)));
    is_broken_by(shown, |model| model.shown(1, 1, 1, &view(1)));
    is_broken_by(held, |model| model.shown(1, 1, 1, &MessageView { from: "carla".to_owned(), ..view(1) }));
    is_broken_by(held, |model| model.shown(1, 1, 1, &MessageView { text: None, ..view(1) }));
    is_broken_by(|_| {}, |model| model.shown(1, 1, 1, &view(1)));
    is_broken_by(held, |model| model.is_all_shown(1));
}
