//! Text: lines that become commands, and text from others that becomes output. What is put out is held against a terminal's own
//! parser: it must end in its ground state and have obeyed nothing but the colours that the program chose.

use std::path::{Component, Path};

use common::limits::TEXT_MAX_BYTES;
use common::message::MessageId;
use jiff::tz::TimeZone;
use peer::files::name;
use peer::front::json;
use peer::front::render::Render;
use peer::front::safe_text::{LINES_MAX, SafeText, is_invisible};
use peer::front::screen::{Form, Line};
use peer_core::command::{Command, Console, Fed, To};
use peer_core::event::{Answer, Event, FileView, MessageView, OfferedView, StateView};
use peer_core::stored::{FileState, State, Via};
use vte::{Params, Parser, Perform};

use super::Input;

/// What a stranger calls a file becomes one component of a path, harmless wherever it is carried to.
pub(super) fn file_names(bytes: &[u8]) {
    let raw = String::from_utf8_lossy(bytes);
    let clean = name::clean(&raw);
    assert!(!clean.is_empty() && clean.len() <= name::NAME_MAX_BYTES, "{clean:?}");
    let mut components = Path::new(&clean).components();
    assert_eq!((components.next(), components.next()), (Some(Component::Normal(clean.as_ref())), None));
    assert!(
        !clean.contains(['/', '\\', ':']) && !clean.chars().any(|c| c.is_control() || is_invisible(c)),
        "{clean:?}"
    );
    assert!(!clean.starts_with(['.', '-', ' ']) && !clean.ends_with(['.', ' ']), "{clean:?}");
    let stem = clean.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    assert!(!["CON", "PRN", "AUX", "NUL", "COM1", "COM9", "LPT1", "LPT9"].contains(&stem.as_str()), "{clean:?}");
    assert_eq!(name::clean(&clean), clean, "what is clean stays as it is");
    assert!(name::numbered(&clean, 9_999).len() <= 255);
}

/// Lines in order, as a prompt or a pipe gives them.
pub(super) fn commands(bytes: &[u8]) {
    let mut console = Console::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let (chat, drafting) = (console.chat().cloned(), console.in_draft());
        let fed = console.feed_bytes(line);
        match &fed {
            Fed::More => assert!(console.in_draft()),
            Fed::Nothing => assert!(!drafting && line.iter().all(|byte| *byte != b'!')),
            Fed::Command { word, command } => {
                assert!(!word.contains(char::is_whitespace));
                assert!(!console.in_draft(), "an answered line leaves nothing unfinished");
                if let Ok(command) = command {
                    carried_out(command, line, chat.as_ref(), drafting);
                }
            }
        }
        let opens = matches!(&fed, Fed::Command { command: Ok(Command::Chat(_) | Command::Close), .. });
        assert!(opens || console.chat() == chat.as_ref(), "only two commands change the conversation");
    }
    let drafting = console.in_draft();
    assert_eq!(console.end().is_some(), drafting);
    assert!(!console.in_draft() && !console.abandon());
}

/// Nothing that was meant as a command is sent as a text, and no text is longer than was typed.
fn carried_out(command: &Command, line: &[u8], chat: Option<&To>, drafting: bool) {
    let line = std::str::from_utf8(line).expect("only UTF-8 becomes a command");
    let start = line.trim_start();
    let prefixed = start.starts_with(['!', '/']);
    match command {
        Command::Send { to, text, key: None, urgent: false, reply_to: None } => {
            assert!(!text.is_empty());
            assert!(drafting || text.len() <= line.len());
            assert!(text.len() <= TEXT_MAX_BYTES + line.len() + 64 * 1_024, "a draft is bounded");
            let doubled = start.starts_with("!!") || start.starts_with("//");
            if !drafting && (!prefixed || doubled) {
                assert_eq!(Some(to), chat, "a bare line goes to the open conversation");
            }
        }
        Command::Send { .. } => panic!("a line sets no key and no urgency"),
        Command::History { count, .. } => assert!((1..=10_000).contains(count)),
        _ => assert!(prefixed && !drafting),
    }
}

/// What a terminal was told to do.
#[derive(Debug, Default)]
struct Told {
    text: String,
    line_ends: usize,
    colours: Vec<Vec<u16>>,
    obeyed: Vec<String>,
}

impl Perform for Told {
    fn print(&mut self, c: char) {
        self.text.push(c);
    }

    fn execute(&mut self, byte: u8) {
        if byte == b'\n' {
            self.line_ends += 1;
            self.text.push('\n');
        } else {
            self.obeyed.push(format!("control {byte:#x}"));
        }
    }

    fn hook(&mut self, _: &Params, _: &[u8], _: bool, action: char) {
        self.obeyed.push(format!("device control {action}"));
    }

    fn put(&mut self, byte: u8) {
        self.obeyed.push(format!("device byte {byte:#x}"));
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        self.obeyed.push(format!("system command {params:?}"));
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if action == 'm' && intermediates.is_empty() && !ignore {
            self.colours.push(params.iter().flatten().copied().collect());
        } else {
            self.obeyed.push(format!("control sequence {action}"));
        }
    }

    fn esc_dispatch(&mut self, _: &[u8], _: bool, byte: u8) {
        self.obeyed.push(format!("escape {byte:#x}"));
    }
}

/// Runs the output through a terminal's parser; a letter behind it shows that the parser is in its ground state.
fn told(output: &str) -> Told {
    let (mut parser, mut told) = (Parser::new(), Told::default());
    parser.advance(&mut told, output.as_bytes());
    parser.advance(&mut told, b"G");
    assert_eq!(told.text.pop(), Some('G'), "the terminal is left inside a sequence: {output:?}");
    assert!(told.obeyed.is_empty(), "a terminal obeys {:?} of {output:?}", told.obeyed);
    told
}

/// Text made safe.
pub(super) fn sanitiser(bytes: &[u8]) {
    let raw = String::from_utf8_lossy(bytes);
    let line = SafeText::line(&raw);
    is_harmless(&line);
    assert_eq!(SafeText::line(line.as_str()), line, "what is safe stays as it is");
    let (lines, more) = SafeText::body(&raw);
    assert!(!lines.is_empty() && lines.len() <= LINES_MAX && (more == 0 || lines.len() == LINES_MAX));
    for line in &lines {
        is_harmless(line);
        for width in [1, 2, 7, 40] {
            let rows = line.rows(width);
            assert_eq!(rows.iter().map(SafeText::as_str).collect::<String>(), line.as_str(), "rows lose nothing");
            let fits = |row: &SafeText| row.width() <= width || is_one_character(row);
            assert!(rows.iter().all(fits), "a row is wider than the screen: {rows:?}");
        }
    }
    // In JSON, the raw text is the same to whoever parses it and invisible to nobody.
    let value = serde_json::json!({ "text": raw });
    let json = json::line(&value);
    assert!(!json.chars().any(is_invisible), "{json:?}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).ok(), Some(value));
    told(&json);
}

fn is_one_character(row: &SafeText) -> bool {
    use unicode_segmentation::UnicodeSegmentation;
    row.as_str().graphemes(true).count() == 1
}

fn is_harmless(text: &SafeText) {
    let told = told(text.as_str());
    assert_eq!(told.text, text.as_str());
    assert!(told.colours.is_empty() && told.line_ends == 0);
    let turns =
        |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!text.as_str().chars().any(|c| c.is_control() || turns(c)), "{text:?}");
}

/// Somebody's message on a screen: every row has its gutter, and the only colours are the program's.
pub(super) fn screen(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let colour = input.flag();
    let form = Form { colour, markup: colour && input.flag(), columns: input.flag().then(|| input.below(100)) };
    let (mine, now_ms) = (input.flag(), i64::from_be_bytes(input.array()));
    let view = message(&mut input, mine);
    let mut render = Render::new(TimeZone::UTC);
    let written = |lines: &[Line]| lines.iter().map(|line| line.written(form)).collect::<String>();
    let lines = render.event(&Event::Message(Box::new(view.clone())), now_ms);
    check_rows(&lines, form);
    told(&written(&lines));
    let state = StateView {
        id: view.id,
        n: view.n,
        to: view.to.clone(),
        text: view.text.clone().unwrap_or_default(),
        state: if input.flag() { State::Delivered } else { State::Queued },
        via: view.via,
        reason: None,
        elapsed_ms: input.number(),
        tally: None,
    };
    let mut lines = render.event(&Event::State(state), now_ms);
    lines.extend(render.rest(now_ms));
    check_rows(&lines, form);
    told(&written(&lines));
    files(&mut render, &view, form);
    is_told(&Event::Message(Box::new(view)));
}

/// A script reads exactly what was meant, and nothing that cannot be seen.
fn is_told(event: &Event) {
    for value in json::events(event) {
        let line = json::line(&value);
        assert!(!line.chars().any(is_invisible));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).ok(), Some(value));
    }
}

/// A file whose name is the text of this message.
fn files(render: &mut Render, view: &MessageView, form: Form) {
    let name = view.text.clone().unwrap_or_default();
    let offered = OfferedView { name, size: view.n, sha256: [7; 32] };
    let offer = Event::Message(Box::new(MessageView { text: None, file: Some(offered.clone()), ..view.clone() }));
    let mut lines = render.event(&offer, view.sent_at_ms);
    is_told(&offer);
    for state in [FileState::Accepted, FileState::Progress, FileState::Done, FileState::Failed] {
        let file = FileView {
            n: view.n,
            id: view.id,
            from: view.from.clone(),
            to: view.to.clone(),
            mine: view.mine,
            file: offered.clone(),
            state,
            bytes: view.n / 2,
            rate: Some(view.n / 3),
            via: view.via,
            kept: view.late,
            path: Some(std::path::Path::new("/downloads").join(&offered.name)),
            reason: None,
        };
        lines.extend(render.answer(Ok(&Answer::Files(vec![file.clone()])), 0));
        let event = Event::File(Box::new(file));
        lines.extend(render.event(&event, 0));
        is_told(&event);
    }
    check_rows(&lines, form);
    lines.iter().for_each(|line| drop(told(&line.written(form))));
}

fn message(input: &mut Input<'_>, mine: bool) -> MessageView {
    let who = if input.flag() { "bob".to_owned() } else { String::from_utf8_lossy(input.blob(40)).into_owned() };
    let (sent_at_ms, received_at_ms) = (i64::from_be_bytes(input.array()), i64::from_be_bytes(input.array()));
    let (request, urgent, late, verified) = (input.flag(), input.flag(), input.flag(), input.flag());
    let group = input.flag();
    MessageView {
        n: input.number(),
        id: MessageId(input.array()),
        request,
        from: who.clone(),
        to: who.clone(),
        conversation: if group { format!("@{who}") } else { who },
        text: (!input.flag()).then(|| String::from_utf8_lossy(input.rest()).into_owned()),
        sent_at_ms,
        received_at_ms,
        via: Some(Via::Direct),
        reply_to: None,
        urgent,
        offline: false,
        late,
        mine,
        state: mine.then_some((State::Delivered, None)),
        verified,
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

fn check_rows(lines: &[Line], form: Form) {
    for line in lines {
        let written = line.written(form);
        let told = told(&written);
        assert!(form.colour || told.colours.is_empty());
        let own = [[0].as_slice(), &[1], &[2], &[3], &[9], &[31], &[32], &[33], &[35], &[36]];
        assert!(told.colours.iter().all(|colour| own.contains(&colour.as_slice())), "{:?}", told.colours);
        assert!(told.colours.last().is_none_or(|last| *last == [0]), "a colour goes on behind the line");
        let rows: Vec<&str> = told.text.split_terminator('\n').collect();
        assert_eq!(rows.len(), told.line_ends);
        for (place, row) in rows.iter().enumerate() {
            let first = place == 0 && row.starts_with(line.head.as_str());
            let further = place > 0 && (row.starts_with(line.again.as_str()) || row.starts_with("| "));
            assert!(first || further, "a row without its gutter: {row:?}");
        }
    }
}
