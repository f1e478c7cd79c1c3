//! What lines come to: examples for each command and properties for all.

use super::*;
use proptest::prelude::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn person(text: &str) -> To {
    To::Person { name: name(text), fingerprint: None }
}

fn text_to(to: To, text: &str) -> Command {
    Command::Send { to, text: text.to_owned(), key: None, urgent: false, reply_to: None }
}

fn parsed(line: &str) -> Result<Command, CommandError> {
    match Console::new().feed(line) {
        Fed::Command { command, .. } => command,
        other => panic!("{line:?} came to {other:?}"),
    }
}

fn code(line: &str) -> ErrorCode {
    parsed(line).unwrap_err().code
}

#[test]
fn each_command_is_understood_with_both_prefixes_and_in_any_case() {
    let print = common::identity::PublicKey([7; 32]).fingerprint();
    let verify = |fingerprint, verdict| Command::Verify { name: name("bob"), fingerprint, verdict };
    let cases = [
        ("help", Command::Help(None)),
        ("help !msg", Command::Help(Some("send".into()))),
        ("register Alice", Command::Register(name("alice"))),
        ("deregister", Command::Deregister { sure: false }),
        ("deregister YES", Command::Deregister { sure: true }),
        ("login", Command::Login),
        ("ONLINE", Command::Login),
        ("offline", Command::Logout),
        ("whoami", Command::WhoAmI),
        ("who", Command::Who(None)),
        ("names al", Command::Who(Some("al".into()))),
        ("send bob  hi ", text_to(person("bob"), " hi ")),
        ("msg @family hi", text_to(To::Group(name("family")), "hi")),
        ("chat bob", Command::Chat(person("bob"))),
        ("close", Command::Close),
        ("history bob", Command::History { with: person("bob"), count: 20, before: None }),
        ("gethistory bob 10000", Command::History { with: person("bob"), count: 10_000, before: None }),
        ("history bob before 7", Command::History { with: person("bob"), count: 20, before: Some(7) }),
        ("history bob 5 BEFORE [7]", Command::History { with: person("bob"), count: 5, before: Some(7) }),
        ("status 12", Command::Status(12)),
        ("trace [12]", Command::Status(12)),
        ("cancel 3", Command::Cancel(3)),
        ("contacts", Command::Contacts),
        ("verify bob", verify(None, None)),
        ("verify bob ok", verify(None, Some(Verdict::Right))),
        ("verify bob NO", verify(None, Some(Verdict::Wrong))),
        (&format!("verify bob#{print} ok"), verify(Some(print), Some(Verdict::Right))),
        ("exit", Command::Quit),
        ("QUIT", Command::Quit),
    ];
    for (line, command) in cases {
        assert_eq!(parsed(&format!("!{line}")), Ok(command.clone()), "{line}");
        assert_eq!(parsed(&format!("  /{line}")), Ok(command), "{line}");
    }
}

#[test]
fn wrong_arguments_are_refused_with_a_code_and_what_is_accepted() {
    for line in ["!verify", "!verify bob maybe", "!verify @family", "!verify bob#X ok", "!verify bob ok no"] {
        assert_eq!(code(line), ErrorCode::BadArgument, "{line}");
    }
    for line in ["!status", "!status x", "!status 0", "!status -1", "!status +1", "!status 1 2", "!login now"] {
        assert_eq!(code(line), ErrorCode::BadArgument, "{line}");
    }
    for line in ["!history bob 0", "!history bob 10001", "!history bob x", "!history bob 5 before", "!history", "!send"]
    {
        assert_eq!(code(line), ErrorCode::BadArgument, "{line}");
    }
    for line in ["!register ab", "!register böb", "!chat @x", "!verify a_name_too_long_", "!send b hi"] {
        assert_eq!(code(line), ErrorCode::BadName, "{line}");
    }
    assert_eq!(code("!send bob#XYZ hi"), ErrorCode::BadArgument);
    assert!(parsed("!register ab").unwrap_err().message.contains("3 to 15"));
}

#[test]
fn a_path_is_the_rest_of_the_line_with_or_without_quotes_around_it() {
    let file = |to: To, path: &str| Command::File { to, path: path.to_owned(), key: None };
    let accept = |n, place: Option<&str>| Command::Accept { n, place: place.map(str::to_owned) };
    let cases = [
        ("!file bob report.pdf", file(person("bob"), "report.pdf")),
        ("/s bob /srv/a b  c.txt ", file(person("bob"), "/srv/a b  c.txt")),
        ("!SendFile @family \"my report.pdf\"", file(To::Group(name("family")), "my report.pdf")),
        ("!file bob  ' x '", file(person("bob"), " x ")),
        ("!file bob it's", file(person("bob"), "it's")),
        ("!file bob \"half", file(person("bob"), "\"half")),
        ("!file bob a\" b\"", file(person("bob"), "a\" b\"")),
        ("!file bob \"", file(person("bob"), "\"")),
        ("!files", Command::Files),
        ("!accept 12", accept(12, None)),
        ("!accept [12]  ", accept(12, None)),
        ("!accept 12 /srv/my files", accept(12, Some("/srv/my files"))),
        ("!accept 12 \"/srv/my files/\"", accept(12, Some("/srv/my files/"))),
        ("!decline [3]", Command::Decline(3)),
    ];
    for (line, command) in cases {
        assert_eq!(parsed(line), Ok(command), "{line}");
    }
    let wrong = [
        "!file",
        "!file bob",
        "!file bob  ",
        "!file bob \"\"",
        "!file bob#x y",
        "!files all",
        "!accept",
        "!accept x y",
    ];
    for line in wrong.into_iter().chain(["!accept 0", "!accept 3 ''", "!decline", "!decline x", "!decline 1 2"]) {
        let error = parsed(line).unwrap_err();
        assert_eq!(error.code, ErrorCode::BadArgument, "{line}");
        assert!(error.message.contains("usage: !"), "{line}: {error}");
    }
    assert_eq!(code("!file b x"), ErrorCode::BadName);
}

#[test]
fn a_fingerprint_may_be_demanded_behind_the_name() {
    let fingerprint = common::identity::PublicKey([7; 32]).fingerprint();
    let to = To::Person { name: name("bob"), fingerprint: Some(fingerprint) };
    assert_eq!(parsed(&format!("!send bob#{} x", fingerprint.to_string().to_lowercase())), Ok(text_to(to, "x")));
}

#[test]
fn an_unknown_command_names_the_nearest_and_is_never_sent() {
    let mut console = Console::new();
    console.feed("!chat bob");
    let Fed::Command { word, command } = console.feed("!sedn bob hi") else { panic!("no answer") };
    let error = command.unwrap_err();
    assert_eq!((word.as_str(), error.code), ("!sedn", ErrorCode::UnknownCommand));
    assert!(error.message.contains("!send"));
    assert_eq!(code("!"), ErrorCode::UnknownCommand);
}

#[test]
fn a_bare_line_is_a_message_only_in_an_open_conversation() {
    let mut console = Console::new();
    let Fed::Command { word, command } = console.feed("hello there") else { panic!("no answer") };
    let error = command.unwrap_err();
    assert_eq!((word.as_str(), error.code), ("hello", ErrorCode::BadArgument));
    assert!(error.message.contains("!chat") && error.message.contains("!send"));
    console.feed("!chat bob");
    let fed = console.feed(" hello");
    assert_eq!(fed, Fed::Command { word: "hello".into(), command: Ok(text_to(person("bob"), " hello")) });
    console.feed("!close");
    assert!(matches!(console.feed("hello"), Fed::Command { command: Err(_), .. }));
}

#[test]
fn a_doubled_prefix_sends_a_line_that_starts_with_one() {
    let mut console = Console::new();
    assert_eq!(code("!!quit"), ErrorCode::BadArgument);
    console.feed("!chat bob");
    for (line, text) in [("!!quit", "!quit"), ("//etc", "/etc"), ("!!!", "!!")] {
        let Fed::Command { command, .. } = console.feed(line) else { panic!("no answer") };
        assert_eq!(command, Ok(text_to(person("bob"), text)));
    }
    assert!(matches!(console.feed("!/x"), Fed::Command { command: Err(_), .. }));
}

#[test]
fn a_refused_conversation_closes_unless_another_was_opened() {
    let mut console = Console::new();
    console.feed("!chat bob");
    console.chat_refused(&person("carol"));
    assert_eq!(console.chat(), Some(&person("bob")));
    console.chat_refused(&person("bob"));
    assert_eq!(console.chat(), None);
}

#[test]
fn lines_of_a_multi_line_message_are_text_until_a_single_dot() {
    let mut console = Console::new();
    for line in ["!send bob", "first", "!quit", "", "..", "...and", ". "] {
        assert_eq!(console.feed(line), Fed::More, "{line}");
    }
    let fed = console.feed(".");
    let text = "first\n!quit\n\n.\n..and\n. ";
    assert_eq!(fed, Fed::Command { word: "!send".into(), command: Ok(text_to(person("bob"), text)) });
    assert!(!console.in_draft());
}

#[test]
fn a_multi_line_message_that_ends_with_the_input_sends_nothing() {
    let mut console = Console::new();
    assert_eq!(console.end(), None);
    console.feed("!send bob");
    console.feed("text");
    let Some(Fed::Command { word, command }) = console.end() else { panic!("no answer") };
    assert_eq!((word.as_str(), command.unwrap_err().code), ("!send", ErrorCode::BadArgument));
    assert_eq!(console.end(), None);
}

#[test]
fn a_multi_line_message_to_a_bad_name_swallows_its_text_and_is_refused_once() {
    let mut console = Console::new();
    for line in ["!send b", "!quit"] {
        assert_eq!(console.feed(line), Fed::More);
    }
    let Fed::Command { command, .. } = console.feed(".") else { panic!("no answer") };
    assert_eq!(command.unwrap_err().code, ErrorCode::BadName);
}

#[test]
fn bytes_that_are_not_utf_8_are_never_sent() {
    let mut console = Console::new();
    console.feed("!chat bob");
    assert!(matches!(console.feed_bytes(b"hi \xff"), Fed::Command { command: Err(_), .. }));
    console.feed("!send bob");
    assert_eq!(console.feed_bytes(b"\xff"), Fed::More);
    assert!(matches!(console.feed("."), Fed::Command { command: Err(_), .. }));
}

#[test]
fn an_endless_multi_line_message_keeps_one_line_more_than_is_allowed() {
    let mut console = Console::new();
    console.feed("!send bob");
    for _ in 0..100_000 {
        console.feed("0123456789");
    }
    let Fed::Command { command: Ok(Command::Send { text, .. }), .. } = console.feed(".") else { panic!("no send") };
    let limit = common::limits::TEXT_MAX_BYTES;
    assert!(text.len() > limit && text.len() < limit + 20, "{}", text.len());
}

proptest! {
    #[test]
    fn no_sequence_of_lines_panics(lines in prop::collection::vec(any::<Vec<u8>>(), 0..20)) {
        let mut console = Console::new();
        for line in &lines {
            console.feed_bytes(line);
        }
        console.end();
    }

    #[test]
    fn outside_a_conversation_only_send_sends(line in "\\PC*") {
        let mut console = Console::new();
        if let Fed::Command { word, command: Ok(Command::Send { .. }) } = console.feed(&line) {
            prop_assert!(matches!(verb::look_up(&word[1..]), verb::Known::Verb(verb::Verb::Send)));
        }
    }

    #[test]
    fn in_a_conversation_a_single_prefix_never_sends_but_by_send(rest in "[^!/].*") {
        let mut console = Console::new();
        console.feed("!chat bob");
        if let Fed::Command { word, command: Ok(Command::Send { .. }) } = console.feed(&format!("!{rest}")) {
            prop_assert!(matches!(verb::look_up(&word[1..]), verb::Known::Verb(verb::Verb::Send)));
        }
    }

    #[test]
    fn the_text_of_send_is_kept_byte_for_byte(text in "\\S[^\\r\\n]*\\S") {
        prop_assert_eq!(parsed(&format!("!send bob {text}")), Ok(text_to(person("bob"), &text)));
    }

    #[test]
    fn any_text_survives_the_multi_line_form(text in "[^\\r]+") {
        let mut console = Console::new();
        console.feed("!send bob");
        for line in text.split('\n') {
            let escaped = if line.starts_with('.') { format!(".{line}") } else { line.to_owned() };
            console.feed(&escaped);
        }
        let fed = console.feed(".");
        if text.chars().all(|c| c == '\n') && text.len() < 2 {
            return Ok(());
        }
        prop_assert_eq!(fed, Fed::Command { word: "!send".into(), command: Ok(text_to(person("bob"), &text)) });
    }
}
