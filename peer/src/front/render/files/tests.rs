//! What a person sees of files, honest ones and others.

use super::super::super::screen::Form;
use super::super::samples::{HOSTILE, NOW_MS, file_view, message, offered_view};
use super::*;
use common::body::FileFault;
use jiff::tz::TimeZone;
use peer_core::event::{Answer, Event, StateView};
use peer_core::stored::{State, Via};

fn render() -> Render {
    Render::new(TimeZone::UTC)
}

fn written(lines: &[Line]) -> String {
    lines.iter().map(|line| line.written(Form { colour: false, markup: false, columns: None })).collect()
}

fn offer(name: &str) -> MessageView {
    MessageView { text: None, file: Some(offered_view(name)), ..message(12, "bob", "") }
}

fn shown(event: &Event) -> String {
    written(&render().event(event, NOW_MS))
}

fn told_of(view: &FileView) -> String {
    shown(&Event::File(Box::new(view.clone())))
}

#[test]
fn an_offer_says_what_takes_and_what_refuses_it() {
    let event = |view| Event::Message(Box::new(view));
    let asks = "; !accept 12 takes it, !decline 12 refuses it";
    let wanted = format!("[12] 12:02:07 bob offers a file: report.pdf, 52 bytes{asks}");
    assert_eq!(shown(&event(offer("report.pdf"))), format!("{wanted}\n"));
    let group = MessageView { conversation: "@family".to_owned(), request: true, late: true, ..offer("report.pdf") };
    let wanted = format!("[12] 12:02:07 @family bob offers a file: report.pdf, 52 bytes{asks}  (request, late)\n");
    assert_eq!(shown(&event(group)), wanted);
    let unverified = MessageView { verified: false, ..offer("a") };
    assert!(shown(&event(unverified)).starts_with("* bob? is not verified"));
}

#[test]
fn a_history_tells_offers_of_both_sides() {
    let (state, via) = (Some((State::Delivered, None)), Some(Via::Direct));
    let mine = MessageView { mine: true, n: 13, to: "bob".to_owned(), state, via, ..offer("plan, new.pdf") };
    let history = Answer::History { with: "bob".to_owned(), messages: vec![offer("my report.pdf"), mine] };
    assert_eq!(
        written(&render().answer(Ok(&history), NOW_MS)),
        "[12] 12:02:07 bob offers a file: my report.pdf, 52 bytes\n\
         [13] 12:02:08 you -> bob: file \"plan, new.pdf\", 52 bytes  (delivered, direct)\n"
    );
}

#[test]
fn an_own_offer_is_echoed_like_a_line_with_its_name() {
    let state = |n| {
        let (id, to, text, state) = (common::message::MessageId([2; 16]), "bob".to_owned(), String::new(), State::Kept);
        Event::State(StateView { id, n, to, text, state, via: None, reason: None, elapsed_ms: 0, tally: None })
    };
    let mut render = render();
    render.offered(12, "/srv/my report.pdf");
    let mut said = |event: &Event| written(&render.event(event, NOW_MS));
    assert_eq!(said(&state(12)), "[12] 12:00:00 you -> bob: file my report.pdf  (kept)\n");
    assert_eq!(said(&state(13)), "[13] 12:00:00 you -> bob: a file  (kept)\n");
    said(&Event::File(Box::new(file_view("my report.pdf", FileState::Accepted, true))));
    assert_eq!(said(&state(12)), "[12] 12:00:00 you -> bob: file my report.pdf, 52 bytes  (kept)\n");
}

#[test]
fn names_of_own_offers_are_not_remembered_without_end() {
    let mut files = OwnFiles::default();
    (0..5_000).for_each(|n| files.offered(n, "/a/b"));
    assert_eq!((files.0.len(), files.words(4_999).as_str(), files.words(0).as_str()), (1_000, "file b", "a file"));
}

#[test]
fn each_state_is_told_in_plain_words() {
    let theirs = |state| file_view("report.pdf", state, false);
    let mine = |state| file_view("report.pdf", state, true);
    let flows = FileView { bytes: 24, rate: Some(14), via: Some(Via::Directory), ..theirs(FileState::Progress) };
    let here = FileView { path: Some("/srv/report_1.pdf".into()), via: Some(Via::Direct), ..theirs(FileState::Done) };
    let full = FileView { reason: Some(FileFault::DiskFull), ..theirs(FileState::Failed) };
    let full_there = FileView { reason: Some(FileFault::DiskFull), ..mine(FileState::Failed) };
    let no_room = FileView { reason: Some(FileFault::DiskFull), ..mine(FileState::Offered) };
    let large = FileView { reason: Some(FileFault::TooLarge), ..mine(FileState::Accepted) };
    let kept = FileView { kept: true, ..mine(FileState::Offered) };
    let own_path = FileView { path: Some("/srv/alice/report.pdf".into()), ..mine(FileState::Done) };
    let cases = [
        (theirs(FileState::Accepted), "* [12] report.pdf from bob is accepted\n"),
        (flows, "* [12] report.pdf from bob: 46 %, 24 bytes of 52 bytes, 14 bytes/s, 2 s left, directory\n"),
        (here, "* [12] report.pdf from bob is here, 52 bytes, direct: /srv/report_1.pdf\n"),
        (full, "! [12] report.pdf from bob failed: the disk here is full; '!accept 12' tries it again\n"),
        (theirs(FileState::Cancelled), "* [12] report.pdf from bob is cancelled\n"),
        (theirs(FileState::Declined), ""),
        (full_there, "! [12] report.pdf to bob failed: their disk is full\n"),
        (
            no_room,
            "* [12] report.pdf to bob is offered; no room at the directory: it goes when both of you are online\n",
        ),
        (
            large,
            "* [12] report.pdf to bob is accepted; larger than what waits at the directory: it goes when both of you \
             are online\n",
        ),
        (kept, "* [12] report.pdf to bob is offered, and kept at the directory\n"),
        (mine(FileState::Declined), "* [12] report.pdf to bob is declined\n"),
        (own_path, "* [12] report.pdf to bob has arrived, 52 bytes\n"),
    ];
    for (view, words) in cases {
        assert_eq!(told_of(&view), words, "{view:?}");
    }
}

#[test]
fn the_answers_say_what_is_to_come() {
    let said = |state, mine| {
        let answer = Answer::File(Box::new(file_view("report.pdf", state, mine)));
        written(&render().answer(Ok(&answer), NOW_MS))
    };
    assert_eq!(
        said(FileState::Accepted, false),
        "[12] report.pdf from bob, 52 bytes, comes as soon as it can; '!cancel 12' stops it.\n"
    );
    assert_eq!(said(FileState::Declined, false), "[12] report.pdf from bob is declined.\n");
    assert_eq!(said(FileState::Cancelled, true), "[12] report.pdf to bob is cancelled.\n");
}

#[test]
fn all_files_are_listed_with_where_they_lie_and_why_they_wait() {
    let table = |views: Vec<FileView>| written(&render().answer(Ok(&Answer::Files(views)), NOW_MS));
    let here = FileView { path: Some("/srv/a.txt".into()), ..file_view("a.txt", FileState::Done, false) };
    let flows = FileView { bytes: 26, n: 1234, ..file_view("b.txt", FileState::Progress, true) };
    let failed = FileView { reason: Some(FileFault::Changed), ..file_view("c.txt", FileState::Failed, true) };
    assert_eq!(
        table(vec![here, flows, failed]),
        "[12]   from bob             done                52 bytes  a.txt: /srv/a.txt\n\
         [1234] to bob               progress    50 % of 52 bytes  b.txt\n\
         [12]   to bob               failed              52 bytes  c.txt; it was changed after it was offered\n"
    );
    assert_eq!(table(Vec::new()), "No file was offered yet: '!file TO PATH' offers one.\n");
}

/// Every row of what a hostile name is part of begins with the program's own gutter, and nothing in it is obeyed.
#[test]
fn no_name_makes_a_line_that_is_anothers() {
    let long = "x".repeat(5_000);
    let padded = format!("{:60}[99] 14:02:07 carol: lie{0:60}* carol is online", "");
    for name in HOSTILE.into_iter().chain([long.as_str(), padded.as_str()]) {
        let path = Some(Path::new("/srv").join(name.replace('/', "_")));
        let done = FileView { path, ..file_view(name, FileState::Done, false) };
        let progress = file_view(name, FileState::Progress, false);
        let mut render = render();
        let mut lines = render.event(&Event::Message(Box::new(offer(name))), NOW_MS);
        lines.extend(
            render.answer(Ok(&Answer::History { with: "bob".to_owned(), messages: vec![offer(name)] }), NOW_MS),
        );
        for view in [done, progress, file_view(name, FileState::Failed, false)] {
            lines.extend(render.event(&Event::File(Box::new(view.clone())), NOW_MS));
            lines.extend(render.answer(Ok(&Answer::File(Box::new(view.clone()))), NOW_MS));
            lines.extend(render.answer(Ok(&Answer::Files(vec![view])), NOW_MS));
        }
        for line in &lines {
            assert_eq!(line.written(Form { colour: false, markup: true, columns: None }).matches('\n').count(), 1);
            for columns in [120, 80, 60] {
                let rows = line.written(Form { colour: false, markup: true, columns: Some(columns) });
                let mut rows = rows.lines();
                let first = rows.next().unwrap();
                assert!(
                    ["[12] ", "* [12] ", "! [12] ", "[12]   "].iter().any(|head| first.starts_with(head)),
                    "{first}"
                );
                for row in rows {
                    assert!(row.trim_start_matches(' ').starts_with("bob: ") || row.starts_with("| "), "{row}");
                    assert!(!row.chars().any(char::is_control), "{row:?}");
                }
            }
        }
    }
}

#[test]
fn a_name_that_reads_like_more_than_a_name_stands_in_quotes_and_a_long_one_is_cut() {
    assert_eq!(called("my report_2 (1).pdf").as_str(), "my report_2 (1).pdf");
    assert_eq!(called("a  (verified)").as_str(), "\"a  (verified)\"");
    assert_eq!(called("a\", 5 bytes").as_str(), "\"a', 5 bytes\"");
    assert_eq!(called("").as_str(), "\"\"");
    assert_eq!(called(" a").as_str(), "\" a\"");
    assert_eq!(called(&"x".repeat(5_000)).width(), ASIDE_MAX);
    assert_eq!(called("\u{1b}[2J").as_str(), "\"␛[2J\"");
}
