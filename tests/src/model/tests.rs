//! The reference notices what it is there to notice.

use common::body::File;
use common::message::Conversation;
use common::wire::directory::Standing;
use peer_core::command::Command;
use peer_core::event::{Event, FileTarget, FileView, OfferedView, PresenceView};
use peer_core::stored::{FileRow, FileState, OutboxRow, Via};

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

fn new(row: OutboxRow) -> NewMessage {
    NewMessage { row, key: None, reply_to: None, copies: Vec::new(), amends: None, vanishes_ms: None, at_ms: 0 }
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
        file: None,
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
        model.queued(0, 0, u64::from(n), &new(row(n)), n.to_string());
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
    is_broken_by(|_| {}, |model| model.state_committed(0, 0, 1, None, State::Delivered));
    is_broken_by(|_| {}, |model| model.state_committed(0, 0, 1, None, State::Kept));
    let kept = |model: &mut Model| {
        model.kept(&ANNA, MessageId([1; 16]).tag());
        model.state_committed(0, 0, 1, None, State::Kept);
        model.held(1, 1, &arrival(1), 1);
        model.state_committed(0, 0, 1, None, State::Delivered);
    };
    is_broken_by(kept, |model| model.state_committed(0, 0, 1, None, State::Queued));
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

#[test]
fn a_new_name_nobody_was_told_of_and_a_name_shown_for_another_key_are_noticed() {
    let carla = PublicKey([3; 32]);
    let called = |from: &str, n| MessageView { from: from.to_owned(), ..view(n) };
    let shown = |model: &mut Model| {
        model.machine(2, carla, None);
        model.queued(2, 2, 4, &new(row(4)), "4".to_owned());
        (1..=3).for_each(|n| model.held(1, 1, &arrival(n), u64::from(n)));
        model.held(1, 1, &Arrival { sender: carla, ..arrival(4) }, 4);
        model.named("annie", 0);
        model.named("anna", 2);
        model.shown(1, 1, 1, &view(1));
    };
    let told = |model: &mut Model| {
        shown(model);
        model.renamed(1, "annie");
        model.shown(1, 1, 1, &called("annie", 2));
    };
    is_broken_by(shown, |model| model.shown(1, 1, 1, &called("annie", 2)));
    // That the first one is called annie by now makes nobody else anna.
    is_broken_by(told, |model| model.shown(1, 1, 1, &view(4)));
    let mut accepted = model();
    told(&mut accepted);
    accepted.accepted(1, "anna");
    accepted.shown(1, 1, 1, &view(4));
    assert_eq!(accepted.failure(), None);
}

const CLUB: [u8; 16] = [8; 16];

/// Anna has founded a group, Bert has joined it, and she has said something there.
fn club() -> Model {
    use common::group::{Change, Membership, SignedStep, Step};
    use common::identity::Identity;

    let [anna, bert] = [Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32])];
    let mut model = Model::default();
    model.machine(0, anna.public(), None);
    model.machine(1, bert.public(), None);
    model.named("anna", 0);
    model.groups_are_strict();
    model.wants_in(0, "club");
    model.wants_in(1, "club");
    let change = Change::Found { name: "club".parse().unwrap(), private: false };
    let first = SignedStep::sign(&anna, &Step::founding(CLUB, anna.public(), 0, change));
    let step = Membership::found(&first).unwrap().next(bert.public(), 0, Change::Join);
    model.stepped(0, CLUB, &[first, SignedStep::sign(&bert, &step)]);
    let conversation = Conversation::Group { id: CLUB, membership: 2 };
    let row = OutboxRow { recipient: bert.public(), conversation, ..row(1) };
    model.queued(0, 0, 1, &new(row), "1".to_owned());
    model.held(1, 1, &Arrival { sender: anna.public(), ..arrival(1) }, 1);
    assert_eq!(model.failure(), None);
    model
}

fn said_in_club() -> MessageView {
    MessageView { conversation: "@club".to_owned(), to: "@club".to_owned(), ..view(1) }
}

#[test]
fn what_is_said_in_a_group_and_shown_to_the_wrong_one_or_in_the_wrong_place_is_noticed() {
    let mut right = club();
    right.shown(1, 1, 1, &said_in_club());
    right.state_committed(0, 0, 1, Some(1), State::Delivered);
    assert_eq!(right.failure(), None);
    assert!(right.unsettled(0).is_empty());
    let wrong: [fn(&mut Model); 4] = [
        |model| model.shown(1, 1, 1, &view(1)),
        |model| model.shown(1, 1, 1, &MessageView { request: true, ..said_in_club() }),
        |model| model.shown(1, 2, 1, &said_in_club()),
        |model| {
            model.dismissed(1, 1, &[1]);
            model.nothing_turned_away();
        },
    ];
    for (which, wrong) in wrong.into_iter().enumerate() {
        let mut model = club();
        wrong(&mut model);
        assert!(model.failure().is_some(), "{which}");
    }
}

#[test]
fn a_member_who_never_wanted_in_is_noticed() {
    use common::group::{Change, SignedStep, Step};
    use common::identity::Identity;

    let anna = Identity::from_seed(&[1; 32]);
    let mut model = Model::default();
    model.machine(0, anna.public(), None);
    let change = Change::Found { name: "club".parse().unwrap(), private: false };
    let step = Step::founding(CLUB, anna.public(), 0, change);
    model.stepped(0, CLUB, &[SignedStep::sign(&anna, &step)]);
    assert!(model.failure().is_some());
}

fn contact(key: PublicKey, blocked: bool) -> peer_core::stored::Contact {
    peer_core::stored::Contact {
        key,
        name: None,
        serial: 0,
        verified: false,
        accepted: true,
        addresses: Vec::new(),
        prekey: None,
        applied: None,
        talked: true,
        blocked,
    }
}

#[test]
fn what_is_taken_of_somebody_blocked_and_a_refusal_by_nobody_are_noticed() {
    let blocked = |model: &mut Model| model.contact_committed(1, 1, &contact(ANNA, true));
    is_broken_by(blocked, |model| model.held(1, 1, &arrival(1), 1));
    is_broken_by(|_| {}, |model| model.state_committed(0, 0, 1, None, State::Refused));
    let mut right = model();
    blocked(&mut right);
    right.state_committed(0, 0, 1, None, State::Refused);
    right.unblocks(1);
    right.held(1, 1, &arrival(2), 2);
    right.contact_committed(1, 1, &contact(ANNA, false));
    right.held(1, 1, &arrival(3), 3);
    assert_eq!(right.failure(), None);
}

#[test]
fn what_is_not_urgent_and_taken_by_somebody_busy_is_noticed() {
    let busy = |model: &mut Model| model.stands_committed(1, Standing::Busy);
    is_broken_by(busy, |model| model.held(1, 1, &arrival(1), 1));
    let by_mail = Arrival { via: Via::Directory, ..arrival(1) };
    is_broken_by(busy, |model| {
        model.at(1_000_000);
        model.held(1, 1, &by_mail, 1);
    });
    let mut right = model();
    busy(&mut right);
    right.held(1, 1, &by_mail, 1);
    right.held(1, 1, &Arrival { urgent: true, ..arrival(2) }, 2);
    right.stands_as(1, 1, Standing::Online, None);
    right.held(1, 1, &arrival(3), 3);
    assert_eq!(right.failure(), None);
}

#[test]
fn what_is_shown_of_things_said_to_everybody_twice_late_or_of_nobody_is_noticed() {
    let cry = |from: &str| Event::Broadcast { from: from.to_owned(), text: "hear ye".to_owned(), sent_at_ms: 0 };
    let said = |model: &mut Model| {
        model.named("bert", 1);
        model.shouts(0, "hear ye");
    };
    let heard = |model: &mut Model| {
        said(model);
        model.met(1, 1, 1, &cry("anna"));
    };
    is_broken_by(heard, |model| model.met(1, 1, 2, &cry("anna")));
    is_broken_by(said, |model| model.met(1, 1, 1, &cry("bert")));
    is_broken_by(said, |model| model.met(0, 0, 1, &cry("anna")));
    is_broken_by(|_| {}, |model| model.met(1, 1, 1, &cry("anna")));
    is_broken_by(said, |model| {
        model.at(1_000_000);
        model.met(1, 1, 1, &cry("anna"));
    });
    is_broken_by(said, |model| {
        model.contact_committed(1, 1, &contact(ANNA, true));
        model.met(1, 1, 1, &cry("anna"));
    });
    let noted = |note: &str| {
        let view =
            PresenceView { name: "anna".parse().unwrap(), standing: Standing::Away, note: Some(note.to_owned()) };
        Event::Presence(vec![view])
    };
    let away = |model: &mut Model| {
        model.stands_as(0, 0, Standing::Away, Some("at sea"));
        model.met(1, 1, 1, &noted("at sea"));
    };
    is_broken_by(away, |model| model.met(1, 1, 1, &noted("ashore")));
}

const FILE: File = File { name: String::new(), size: 5, sha256: [6; 32], blake3: [7; 32], key: [8; 32] };
const OFFER: MessageId = MessageId([9; 16]);

fn stands(mine: bool, state: FileState) -> FileRow {
    FileRow {
        n: 9,
        author: ANNA,
        offer: OFFER,
        other: if mine { BERT } else { ANNA },
        conversation: Conversation::Pair,
        file: FILE,
        path: None,
        stamp: 1,
        state,
        reason: None,
        via: None,
        kept: false,
    }
}

fn done(to: &str) -> FileView {
    FileView {
        n: 9,
        id: OFFER,
        from: "anna".to_owned(),
        to: to.to_owned(),
        mine: true,
        file: OfferedView { name: String::new(), size: 5, sha256: [6; 32] },
        state: FileState::Done,
        bytes: 5,
        rate: None,
        via: None,
        kept: false,
        path: None,
        reason: None,
    }
}

/// Anna has offered a file to Bert, and he holds the offer.
fn offered(model: &mut Model) {
    let (kind, body) = Body::File(FILE).encode();
    let row = OutboxRow { id: OFFER, kind, body: body.clone(), ..row(9) };
    model.queued(0, 0, 9, &new(row.clone()), String::new());
    model.means(0, &row);
    model.held(1, 1, &Arrival { id: OFFER, kind, body, ..arrival(9) }, 9);
    model.file_committed(0, 0, &stands(true, FileState::Offered), true);
    model.file_committed(1, 1, &stands(false, FileState::Offered), true);
    model.files_are_strict();
}

fn accepted_file(model: &mut Model) {
    offered(model);
    model.file_command(1, 1, &Command::Accept { n: 9, place: None });
    model.file_committed(1, 1, &stands(false, FileState::Accepted), false);
    model.file_committed(0, 0, &stands(true, FileState::Accepted), false);
}

fn had(model: &mut Model) {
    accepted_file(model);
    let target = FileTarget { file: FILE, offer: OFFER, place: None };
    model.file_written(1, 1, OFFER);
    model.file_whole(1, 1, &target, true);
    model.file_committed(1, 1, &stands(false, FileState::Done), false);
}

const BOTH: [(MachineNo, Who); 2] = [(0, 0), (1, 1)];

#[test]
fn a_file_that_comes_unwanted_wrong_or_to_somebody_else_is_noticed() {
    let target = || FileTarget { file: FILE, offer: OFFER, place: None };
    is_broken_by(offered, |model| model.file_written(1, 1, OFFER));
    is_broken_by(accepted_file, |model| model.file_whole(1, 1, &target(), false));
    is_broken_by(accepted_file, |model| {
        model.file_whole(1, 1, &FileTarget { file: File { size: 6, ..FILE }, ..target() }, true);
    });
    is_broken_by(offered, |model| model.file_served(0, 0, 2, OFFER, &[7; 32]));
    is_broken_by(offered, |model| model.file_served(0, 0, 1, OFFER, &[1; 32]));
    is_broken_by(offered, |model| model.file_served(1, 1, 0, OFFER, &[7; 32]));
    let mut right = model();
    had(&mut right);
    right.file_served(0, 0, 1, OFFER, &[7; 32]);
    assert_eq!(right.failure(), None);
}

#[test]
fn a_state_of_a_file_that_is_false_or_leads_back_is_noticed() {
    let says = |state: FileState, mine: bool| {
        move |model: &mut Model| {
            model.file_committed(usize::from(!mine), usize::from(!mine), &stands(mine, state), false)
        }
    };
    is_broken_by(offered, says(FileState::Accepted, true));
    is_broken_by(offered, says(FileState::Accepted, false));
    is_broken_by(accepted_file, says(FileState::Done, true));
    is_broken_by(accepted_file, says(FileState::Done, false));
    is_broken_by(accepted_file, says(FileState::Offered, true));
    is_broken_by(had, says(FileState::Accepted, false));
    is_broken_by(had, says(FileState::Failed, false));
    is_broken_by(had, |model| model.file_told(0, 1, &done("bert")));
    let told = |model: &mut Model| {
        had(model);
        model.file_committed(0, 0, &stands(true, FileState::Done), false);
        model.file_told(0, 1, &done("bert"));
        model.file_told(0, 2, &done("bert"));
        model.are_files_right(0, &BOTH);
        model.are_files_right(1, &BOTH);
    };
    is_broken_by(told, |model| model.file_told(0, 2, &done("bert")));
}

#[test]
fn a_file_that_was_accepted_and_has_not_come_is_noticed() {
    is_broken_by(accepted_file, |model| model.are_files_right(0, &BOTH));
    is_broken_by(accepted_file, |model| model.are_files_right(1, &BOTH));
    let failed = |model: &mut Model| {
        accepted_file(model);
        model.file_committed(1, 1, &stands(false, FileState::Failed), false);
    };
    is_broken_by(failed, |model| model.are_files_right(1, &BOTH));
    is_broken_by(had, |model| model.are_files_right(1, &BOTH));
    let mut model = model();
    accepted_file(&mut model);
    assert_eq!((model.unsettled_files(0, &BOTH).len(), model.unsettled_files(1, &BOTH).len()), (1, 1));
    model.file_spoilt([7; 32]);
    model.file_committed(1, 1, &stands(false, FileState::Failed), false);
    model.file_committed(0, 0, &stands(true, FileState::Failed), false);
    (0..2).for_each(|machine| model.are_files_right(machine, &BOTH));
    assert_eq!(model.failure(), None);
}
