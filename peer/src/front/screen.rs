//! What a person's screen is made of: [`Line`]s of safe text, and their form on a terminal: colour and rows. The only
//! file that writes escape codes, and never around anything but its own choice of colour.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::markup::{self, Piece, Style};
use super::safe_text::SafeText;

/// What a line is, and so its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Somebody's message.
    Theirs,
    /// An own message.
    Mine,
    /// What the program says.
    System,
    /// Something went wrong.
    Error,
    /// The result of a command.
    Plain,
}

/// One line, on a narrow terminal several rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its kind.
    pub look: Look,
    /// The gutter: number, time, who speaks.
    pub head: SafeText,
    /// The gutter of its further rows.
    pub again: SafeText,
    /// What is said.
    pub text: SafeText,
    /// What the program adds, dimmed.
    pub tail: SafeText,
    /// Somebody wrote the text: marks in it mean something.
    pub marked: bool,
    /// Words that somebody looked for: with colours they stand out in the text.
    pub sought: Vec<String>,
}

/// How lines are put on this screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Whether colours are wanted.
    pub colour: bool,
    /// Whether marks in texts are carried out.
    pub markup: bool,
    /// Columns of the terminal; none: lines are not broken.
    pub columns: Option<usize>,
}

/// A text needs so many columns beside its gutter; on a narrower screen the gutter gets a row of its own.
const ROW_MIN: usize = 12;
/// The gutter of the text's rows there.
const BAR: &str = "| ";
/// Rings, see [`Bell`].
pub const RING: &str = "\u{7}";
/// A row up, and down again: on the screen nothing happens.
pub const NOTHING: &str = "\u{1b}[A\n";
/// The bell rings at most once in this time.
const BELL_EVERY: Duration = Duration::from_secs(5);

/// When the bell rang last: nobody else can make it ring all the time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bell(Option<Instant>);

impl Bell {
    /// Whether it may ring at `now`; then it does.
    pub fn may_ring(&mut self, now: Instant) -> bool {
        let may = self.0.is_none_or(|last| now.saturating_duration_since(last) >= BELL_EVERY);
        if may {
            self.0 = Some(now);
        }
        may
    }
}

impl Line {
    /// A line of the program's own.
    #[must_use]
    pub fn plain(look: Look, text: &str) -> Self {
        let head = match look {
            Look::System => SafeText::line("* "),
            Look::Error => SafeText::line("! "),
            Look::Theirs | Look::Mine | Look::Plain => SafeText::default(),
        };
        let again = SafeText::line("  ");
        let (text, tail) = (SafeText::line(text), SafeText::default());
        Self { look, head, again, text, tail, marked: false, sought: Vec::new() }
    }

    /// The line as it is written, with its line ends.
    #[must_use]
    pub fn written(&self, form: Form) -> String {
        let mut out = String::new();
        let gutter = self.head.width().max(self.again.width());
        let bar = SafeText::line(BAR);
        let (mut head, mut again) = (&self.head, &self.again);
        let mut pieces =
            if form.markup && self.marked { markup::formatted(&self.text) } else { markup::plain(&self.text) };
        if form.colour {
            markup::highlight(&mut pieces, &self.sought);
        }
        // Broken like the text: others' words may be in it, and a row of them must not begin at the edge of the screen.
        pieces.extend(markup::dimmed(&self.tail));
        let rows = match form.columns {
            None => vec![pieces],
            Some(columns) if columns >= gutter + ROW_MIN => markup::rows(pieces, columns - gutter),
            Some(columns) => {
                self.write_row(&mut out, form, head, &[]);
                (head, again) = (&bar, &bar);
                markup::rows(pieces, columns.saturating_sub(bar.width()).max(1))
            }
        };
        for row in &rows {
            let gutter = std::mem::replace(&mut head, again);
            self.write_row(&mut out, form, gutter, row);
        }
        out
    }

    fn write_row(&self, out: &mut String, form: Form, head: &SafeText, text: &[Piece]) {
        let (tint, off) = if form.colour { (self.tint(), "\u{1b}[0m") } else { ("", "") };
        let body = if self.look == Look::Plain || head.is_empty() { "" } else { off };
        // Writing to a `String` cannot fail.
        let _ = write!(out, "{tint}{head}{body}");
        let mut style = Style::default();
        for piece in text {
            // Without colours no text is marked up; only what the program adds has a style.
            if form.colour && piece.style != style {
                style = piece.style;
                let _ = write!(out, "{off}{}", style.codes());
            }
            out.push_str(&piece.text);
        }
        let _ = writeln!(out, "{off}");
    }

    fn tint(&self) -> &'static str {
        match self.look {
            Look::Theirs => "\u{1b}[36m",
            Look::Mine => "\u{1b}[32m",
            Look::System => "\u{1b}[33m",
            Look::Error => "\u{1b}[31m",
            Look::Plain => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Line {
        let (head, again) = (SafeText::line("[1] bob: "), SafeText::line("    bob: "));
        let (text, tail) = (SafeText::line(text), SafeText::default());
        Line { look: Look::Theirs, head, again, text, tail, marked: true, sought: Vec::new() }
    }

    #[test]
    fn marks_are_carried_out_and_switched_off_again_on_every_row() {
        let form = Form { colour: true, markup: true, columns: Some(24) };
        let written = message("*bold _both and more_* :smile:").written(form);
        assert_eq!(
            written,
            "\u{1b}[36m[1] bob: \u{1b}[0m\u{1b}[0m\u{1b}[1mbold \u{1b}[0m\u{1b}[1m\u{1b}[3mboth and m\u{1b}[0m\n\
             \u{1b}[36m    bob: \u{1b}[0m\u{1b}[0m\u{1b}[1m\u{1b}[3more\u{1b}[0m 😄\u{1b}[0m\n"
        );
        let typed = message("*a* :smile:").written(Form { markup: false, ..form });
        assert!(typed.contains("*a* :smile:"), "{typed:?}");
    }

    #[test]
    fn every_row_of_a_long_text_carries_the_gutter() {
        let form = Form { colour: false, markup: false, columns: Some(24) };
        assert_eq!(
            message("0123456789abcde[99] carol: hi").written(form),
            "[1] bob: 0123456789abcde\n    bob: [99] carol: hi\n"
        );
    }

    #[test]
    fn what_the_program_adds_is_broken_behind_the_gutter_like_the_text() {
        let form = Form { colour: false, markup: false, columns: Some(24) };
        let tail = SafeText::line("  (forwarded from mallory)");
        assert_eq!(
            Line { tail: tail.clone(), ..message("hi") }.written(form),
            "[1] bob: hi  (forwarded \n    bob: from mallory)\n"
        );
        let written = Line { tail, ..message("*hi*") }.written(Form { colour: true, markup: true, columns: Some(24) });
        let rows = [
            "\u{1b}[36m[1] bob: \u{1b}[0m\u{1b}[0m\u{1b}[1mhi\u{1b}[0m\u{1b}[2m  (forwarded \u{1b}[0m",
            "\u{1b}[36m    bob: \u{1b}[0m\u{1b}[0m\u{1b}[2mfrom mallory)\u{1b}[0m",
        ];
        assert_eq!(written, rows.map(|row| format!("{row}\n")).concat());
    }

    #[test]
    fn what_was_sought_stands_out_where_there_are_colours_only() {
        let line = Line { sought: vec!["soup".to_owned()], ..message("Soup again") };
        let form = Form { colour: true, markup: false, columns: None };
        assert_eq!(line.written(form), "\u{1b}[36m[1] bob: \u{1b}[0m\u{1b}[0m\u{1b}[7mSoup\u{1b}[0m again\u{1b}[0m\n");
        assert_eq!(line.written(Form { colour: false, ..form }), "[1] bob: Soup again\n");
    }

    #[test]
    fn on_a_screen_too_narrow_for_the_gutter_every_row_still_has_one() {
        let form = Form { colour: false, markup: false, columns: Some(12) };
        assert_eq!(
            message("0123456789[99] carol: hi").written(form),
            "[1] bob: \n| 0123456789\n| [99] carol\n| : hi\n"
        );
    }

    #[test]
    fn the_bell_rings_at_most_once_in_its_time() {
        let (mut bell, start) = (Bell::default(), Instant::now());
        let rings = [0, 1_000, 4_999, 5_000, 9_999].map(|ms| bell.may_ring(start + Duration::from_millis(ms)));
        assert_eq!(rings, [true, false, false, true, false]);
    }

    #[test]
    fn without_a_terminal_a_line_is_one_line_and_has_no_colour() {
        let form = Form { colour: false, markup: false, columns: None };
        assert_eq!(message(&"x".repeat(500)).written(form).matches('\n').count(), 1);
        assert_eq!(Line::plain(Look::Error, "no").written(form), "! no\n");
    }

    #[test]
    fn colour_is_switched_off_at_the_end_of_every_row() {
        let form = Form { colour: true, markup: true, columns: None };
        for look in [Look::Theirs, Look::Mine, Look::System, Look::Error] {
            let written = Line { look, ..message("x") }.written(form);
            assert!(written.ends_with("\u{1b}[0m\n") && written.starts_with("\u{1b}[3"), "{written:?}");
        }
    }
}
