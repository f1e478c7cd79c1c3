//! What a person sees, line by line.

use super::super::screen::Form;
use super::samples::{NOW_MS, message};
use super::*;
use common::identity::PublicKey;
use common::message::MessageId;
use common::name::Name;
use common::wire::directory::Standing;
use peer_core::event::{Answer, ChangeView, ContactView, PersonView, PresenceView, Reachable};

fn state(n: u64, state: State, elapsed_ms: u64) -> Event {
    let (via, text) = (Some(Via::Direct), "ok".to_owned());
    Event::State(StateView {
        id: MessageId([2; 16]),
        n,
        to: "bob".to_owned(),
        text,
        state,
        via,
        reason: None,
        elapsed_ms,
        tally: None,
    })
}

fn render() -> Render {
    Render::new(TimeZone::UTC)
}

fn written(lines: &[Line]) -> String {
    lines.iter().map(|line| line.written(Form { colour: false, markup: false, columns: None })).collect()
}

fn shown(event: &Event) -> String {
    written(&render().event(event, NOW_MS))
}

#[test]
fn a_message_stands_behind_its_number_time_and_sender() {
    let event = Event::Message(Box::new(message(12, "bob", "on my way")));
    assert_eq!(shown(&event), "[12] 12:02:07 bob: on my way\n");
    let group = MessageView { conversation: "@family".to_owned(), ..message(14, "bob", "who cooks?") };
    assert_eq!(shown(&Event::Message(Box::new(group))), "[14] 12:02:07 @family bob: who cooks?\n");
}

#[test]
fn every_line_of_a_message_carries_the_senders_gutter() {
    let event = Event::Message(Box::new(message(9, "bob", "hi\n[99] 12:00:00 carol: lie\r* carol is online")));
    let gutter = "             bob: ";
    assert_eq!(
        shown(&event),
        format!("[9] 12:02:07 bob: hi\n{gutter}[99] 12:00:00 carol: lie\n{gutter}* carol is online\n")
    );
}

const NARROW: Form = Form { colour: false, markup: false, columns: Some(60) };

/// Padded so that on [`NARROW`] a row of its own would begin where `lie` does, if nobody broke it.
fn padded(before: &str, lie: &str) -> String {
    format!("{:1$}{lie}", "", 60 - before.len())
}

#[test]
fn a_quote_is_cut_and_none_of_its_rows_is_anothers_line() {
    let lie = "[99] 14:02:07 carol: send him the money";
    let quote = |text: &str| QuoteView { n: 3, from: "bob".to_owned(), text: Some(text.to_owned()) };
    let long = quote(&padded("    [3] bob: ", lie).repeat(99));
    let event = Event::Message(Box::new(MessageView { quote: Some(long), ..message(12, "bob", "yes") }));
    let rows: String = render().event(&event, NOW_MS).iter().map(|line| line.written(NARROW)).collect();
    assert_eq!(rows.lines().count(), 3, "{rows}");
    assert!(rows.lines().take(2).all(|row| row.starts_with("    [3] bob: ") && row.chars().count() <= 60), "{rows}");
    assert!(rows.lines().nth(1).unwrap().ends_with('…'), "{rows}");
}

#[test]
fn every_row_of_an_edit_and_of_a_note_says_whose_it_is() {
    let lie = "[99] 14:02:07 carol: lie";
    let text = format!("{}\n{lie}", padded("* [3] bob edited: ", lie));
    let (by, conversation) = ("bob".to_owned(), "bob".to_owned());
    let edited = Event::Edited(ChangeView { n: 3, by, id: MessageId([1; 16]), conversation, text, mark: 1 });
    let bob = "bob".parse().unwrap();
    let note = Some(format!("{}{lie}", padded("* bob is away: ", lie)));
    let noted = Event::Presence(vec![PresenceView { name: bob, standing: Standing::Away, note }]);
    for (event, head, again) in
        [(edited, "* [3] bob edited: ", "      bob edited: "), (noted, "* bob is away: ", "  bob: ")]
    {
        let rows: String = render().event(&event, NOW_MS).iter().map(|line| line.written(NARROW)).collect();
        assert!(rows.starts_with(head) && rows.lines().count() > 1, "{rows}");
        assert!(rows.lines().skip(1).all(|row| row.starts_with(again)), "{rows}");
    }
}

#[test]
fn what_somebody_says_of_themselves_in_a_list_looks_like_nothing_the_program_says() {
    let (name, lie) = ("bob".parse::<Name>().unwrap(), "blocked, ANOTHER KEY: see '!verify carol'  ");
    let (standing, note) = (Standing::Online, Some(lie.repeat(4)));
    let (since_ms, reachable) = (NOW_MS, Reachable::Direct);
    let person = PersonView { name: name.clone(), standing, since_ms, reachable, note: note.clone() };
    let contact = ContactView {
        name,
        fingerprint: PublicKey([1; 32]).fingerprint(),
        verified: true,
        accepted: true,
        standing: Some(standing),
        rival: None,
        former: Vec::new(),
        waiting: 0,
        blocked: false,
        note,
    };
    for answer in [Answer::People(vec![person]), Answer::Contacts(vec![contact])] {
        let lines = render().answer(Ok(&answer), NOW_MS);
        let [program, theirs] = &lines[..] else { panic!("{lines:?}") };
        assert!(!program.written(NARROW).contains("ANOTHER"));
        let rows = theirs.written(NARROW);
        assert!(rows.lines().count() == 2 && rows.lines().all(|row| row.starts_with("    bob: ")), "{rows}");
        assert!(rows.ends_with("…\n"), "{rows}");
    }
}

#[test]
fn a_hit_stands_out_on_a_screen_with_colours() {
    let found = Answer::Found { words: vec!["TEN".to_owned()], messages: vec![message(3, "bob", "at ten, *often*")] };
    let lines = render().answer(Ok(&found), NOW_MS);
    assert_eq!(written(&lines), "[3] 12:02:07 bob: at ten, *often*\n");
    let coloured = lines[0].written(Form { colour: true, markup: false, columns: None });
    assert!(coloured.ends_with("at \u{1b}[0m\u{1b}[7mten\u{1b}[0m, *often*\u{1b}[0m\n"), "{coloured:?}");
}

#[test]
fn a_long_message_ends_with_the_number_of_lines_left_out() {
    let event = Event::Message(Box::new(message(1, "bob", &"x\n".repeat(500))));
    let shown = shown(&event);
    assert_eq!(shown.lines().count(), 401);
    assert!(shown.lines().last().unwrap().ends_with("bob: ... 101 lines more"), "{shown}");
}

#[test]
fn a_request_is_marked_and_an_unverified_sender_is_named_once() {
    let request = MessageView { request: true, verified: false, ..message(3, "bob", "hi") };
    let (mut render, event) = (render(), Event::Message(Box::new(request)));
    let first = written(&render.event(&event, NOW_MS));
    assert!(first.starts_with("* bob? is not verified"), "{first}");
    assert_eq!(written(&render.event(&event, NOW_MS)), "[3] 12:02:07 bob: hi  (request)\n");
}

#[test]
fn notices_have_their_documented_words() {
    assert_eq!(shown(&Event::Pending(3)), "You have 3 messages from while you were away.\n");
    assert_eq!(shown(&Event::Pending(1)), "You have 1 message from while you were away.\n");
    let carol = "carol".parse().unwrap();
    let presence = Event::Presence(vec![PresenceView { name: carol, standing: Standing::Online, note: None }]);
    assert_eq!(shown(&presence), "* carol is online\n");
    let gap = Event::Gap { from: "bob".parse().unwrap(), conversation: "bob".to_owned(), missing: 1 };
    assert_eq!(shown(&gap), "* bob: 1 earlier message missing\n");
}

#[test]
fn another_name_and_another_key_are_told_with_what_can_be_done() {
    let (bob, robert): (Name, Name) = ("bob".parse().unwrap(), "robert".parse().unwrap());
    let prints = [[1; 32], [2; 32]].map(|key| PublicKey(key).fingerprint());
    let renamed = Event::Renamed { old: bob.clone(), new: robert.clone(), fingerprint: prints[0] };
    let told = shown(&renamed);
    let first = format!("* bob is now called robert (same key {})\n", words::grouped(&prints[0]));
    assert!(told.starts_with(&first), "{told}");
    let changed = Event::KeyChanged { name: bob, called: Some(robert), pinned: prints[0], new: prints[1] };
    let told = shown(&changed);
    assert!(told.lines().all(|line| line.starts_with("! ")), "{told}");
    for wanted in ["the name bob belongs", "Messages to robert are held", "now called robert", "bob ok'", "bob no'"] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}

#[test]
fn an_own_line_is_echoed_once_when_it_is_delivered_and_at_each_later_change() {
    let mut render = render();
    assert!(render.event(&state(15, State::Queued, 0), NOW_MS).is_empty());
    let delivered = written(&render.event(&state(15, State::Delivered, 3), NOW_MS + 3));
    assert_eq!(delivered, "[15] 12:00:00 you -> bob: ok  (delivered, direct, 3 ms)\n");
    assert_eq!(render.due_ms(), None);
    assert_eq!(render.event(&state(15, State::Read, 9_000), NOW_MS + 9_000).len(), 1);
}

#[test]
fn an_own_line_that_stays_queued_is_echoed_when_it_is_a_second_and_a_half_old() {
    let mut render = render();
    render.event(&state(15, State::Queued, 0), NOW_MS);
    assert_eq!(render.due_ms(), Some(NOW_MS + 1_500));
    assert!(render.due(NOW_MS + 1_499).is_empty());
    assert_eq!(written(&render.due(NOW_MS + 1_500)), "[15] 12:00:00 you -> bob: ok  (queued)\n");
    assert!(render.due(NOW_MS + 9_999).is_empty() && render.rest(NOW_MS).is_empty());
    render.event(&state(16, State::Queued, 0), NOW_MS);
    assert_eq!(render.rest(NOW_MS + 10).len(), 1, "what was never echoed is when the program leaves");
}

#[test]
fn remote_words_in_lists_and_errors_are_sanitised() {
    let bad = peer_core::command::CommandError::new(peer_core::command::ErrorCode::BadArgument, "\u{1b}[2J\u{202e}x");
    assert_eq!(written(&render().answer(Err(&bad), NOW_MS)), "! ␛[2Jx\n");
    let people = vec![PersonView {
        name: "bob".parse().unwrap(),
        standing: Standing::Online,
        since_ms: NOW_MS,
        reachable: Reachable::Direct,
        note: None,
    }];
    let shown = written(&render().answer(Ok(&Answer::People(people)), NOW_MS));
    assert!(shown.starts_with("bob ") && shown.contains("online") && shown.ends_with("direct\n"), "{shown}");
}

#[test]
fn a_limit_that_holds_a_message_is_named() {
    let held = |reason| state_words(State::Held, None, Some(reason), None, None);
    assert_eq!(held(Reason::MailboxFull), "held, their mailbox is full, 10,000 messages or 64 MiB");
    assert_eq!(
        held(Reason::Quota),
        "held, your quota at the directory is used up, 2,000 messages to one person, 5,000 or 128 MiB in all"
    );
    assert_eq!(
        held(Reason::StrangersFull),
        "held, they do not know you yet and their room for strangers is full, 200 messages"
    );
}
