//! [`SafeText`]: text that a terminal, a log or a title may carry, whoever wrote it. Only the sanitiser in this file
//! makes one. Raw text stays in the store and in JSON; nothing here decides what is shown.

use std::fmt;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Lines of one text that are shown; then a line says how many more there are.
pub const LINES_MAX: usize = 400;
/// Marks that may stand on one base character.
pub const MARKS_MAX: usize = 8;

/// Stands for what was cut off.
const MORE: char = '…';
const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';
/// Carries a mark that has no base of its own, so that it does not sit on what stands before the text.
const DOTTED_CIRCLE: char = '\u{25cc}';

/// One line without anything that a terminal obeys, that changes the direction of writing, or that nobody sees.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SafeText(String);

impl SafeText {
    /// The raw text on one line: line ends become pictures.
    #[must_use]
    pub fn line(raw: &str) -> Self {
        Self(clean(raw, false))
    }

    /// The raw text by its lines, at least one and at most [`LINES_MAX`], and how many lines were left out.
    #[must_use]
    pub fn body(raw: &str) -> (Vec<Self>, usize) {
        let clean = clean(raw, true);
        let mut lines: Vec<Self> = clean.split('\n').map(|line| Self(line.to_owned())).collect();
        let more = lines.len().saturating_sub(LINES_MAX);
        lines.truncate(LINES_MAX);
        (lines, more)
    }

    /// Its characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Columns it takes on a terminal.
    #[must_use]
    pub fn width(&self) -> usize {
        self.0.width()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// At most `width` columns of it; where something is cut off, the last one is a sign for that.
    #[must_use]
    pub fn cut(&self, width: usize) -> Self {
        if self.width() <= width {
            return self.clone();
        }
        let mut first = self.rows(width.saturating_sub(1)).swap_remove(0);
        first.0.push(MORE);
        first
    }

    /// Cuts it into rows of at most `width` columns, between what a reader takes for characters. A character that is
    /// wider than a row gets one of its own.
    #[must_use]
    pub fn rows(&self, width: usize) -> Vec<Self> {
        use unicode_segmentation::UnicodeSegmentation;
        let mut rows = vec![String::new()];
        let mut used = 0;
        for cluster in self.0.graphemes(true) {
            let wide = cluster.width();
            if used > 0 && used + wide > width {
                rows.push(String::new());
                used = 0;
            }
            if let Some(row) = rows.last_mut() {
                row.push_str(cluster);
            }
            used += wide;
        }
        rows.into_iter().map(Self).collect()
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether a reader sees nothing where this character stands, or it changes how its neighbours are seen. Joiners and
/// the usual variation selectors are not among them: they depend on their place.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

/// What JSON output writes as a `\u` escape although JSON does not ask for it: everything a reader may not see, and
/// every space but the plain one.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || is_hidden(c)
        || is_noncharacter(c)
        || (c.is_whitespace() && c != ' ')
        || matches!(c, ZWNJ | ZWJ | '\u{2800}' | '\u{fe00}'..='\u{fe0f}' | '\u{e000}'..='\u{f8ff}')
        || u32::from(c) >= 0xf_0000
}

/// A picture of a control character.
fn picture(c: char) -> char {
    let picture = match u32::from(c) {
        code @ 0..=0x1f => 0x2400 + code,
        0x7f => 0x2421,
        0x85 | 0x2028 | 0x2029 => 0x2424,
        _ => 0x2426,
    };
    char::from_u32(picture).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn is_emoji(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{21ff}'
        | '\u{2300}'..='\u{23ff}' | '\u{25aa}'..='\u{27bf}' | '\u{2934}' | '\u{2935}' | '\u{2b00}'..='\u{2bff}'
        | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

/// Whether a joiner between these two means something: inside an emoji, or between letters.
fn joins(base: Option<char>, next: Option<char>) -> bool {
    let (Some(base), Some(next)) = (base, next) else { return false };
    (is_emoji(base) && is_emoji(next)) || (base.is_alphabetic() && next.is_alphabetic())
}

/// The one pass: each character by itself, so that nothing that is left out can bring its neighbours together to
/// something that a terminal obeys.
fn clean(raw: &str, keep_lines: bool) -> String {
    let mut out = Cleaned { text: String::with_capacity(raw.len()), base: None, marks: 0 };
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match c {
            '\r' if keep_lines && next == Some('\n') => {}
            '\n' | '\r' | '\u{2028}' | '\u{2029}' if keep_lines => out.line_end(),
            '\t' => (0..4).for_each(|_| out.base(' ')),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => out.base(picture(c)),
            ZWNJ | ZWJ if !out.text.ends_with([ZWNJ, ZWJ]) && joins(out.base, next) => out.text.push(c),
            ZWNJ | ZWJ => {}
            c if is_hidden(c) => {}
            c if is_noncharacter(c) => out.base(char::REPLACEMENT_CHARACTER),
            c if c.width() == Some(0) => out.mark(c),
            c => out.base(c),
        }
    }
    out.text
}

struct Cleaned {
    text: String,
    base: Option<char>,
    marks: usize,
}

impl Cleaned {
    fn line_end(&mut self) {
        self.text.push('\n');
        self.base = None;
        self.marks = 0;
    }

    fn base(&mut self, c: char) {
        self.text.push(c);
        self.base = Some(c);
        self.marks = 0;
    }

    fn mark(&mut self, c: char) {
        if self.base.is_none() {
            self.base(DOTTED_CIRCLE);
        }
        if self.marks < MARKS_MAX {
            self.text.push(c);
            self.marks += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(raw: &str) -> String {
        SafeText::line(raw).to_string()
    }

    fn body(raw: &str) -> Vec<String> {
        SafeText::body(raw).0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn control_characters_become_pictures_and_never_vanish() {
        assert_eq!(line("\u{1b}[31mred\u{7}\u{0}\u{7f}\u{9b}1m"), "␛[31mred␇␀␡␦1m");
        assert_eq!(line("\u{1b}\u{200b}]0;x"), "␛]0;x");
        assert_eq!(line("a\nb\r"), "a␊b␍");
    }

    #[test]
    fn line_ends_of_all_kinds_split_a_body_and_tabs_become_four_spaces() {
        assert_eq!(body("a\r\nb\rc\n\n\td\u{2028}e"), ["a", "b", "c", "", "    d", "e"]);
    }

    #[test]
    fn what_changes_direction_or_hides_is_left_out() {
        assert_eq!(line("\u{202e}abc\u{2066}d\u{200b}\u{feff}\u{e0041}e\u{ad}"), "abcde");
        assert_eq!(line("\u{fdd0}\u{ffff}\u{1fffe}"), "\u{fffd}\u{fffd}\u{fffd}");
    }

    #[test]
    fn joiners_stay_inside_emoji_and_between_letters_only() {
        let family = "👩\u{200d}👩\u{200d}👧";
        assert_eq!(line(family), family);
        let flag = "🏳\u{fe0f}\u{200d}🌈";
        assert_eq!(line(flag), flag);
        assert_eq!(line("می\u{200c}خواهم"), "می\u{200c}خواهم");
        assert_eq!(line("क\u{94d}\u{200d}ष"), "क\u{94d}\u{200d}ष");
        assert_eq!(line("\u{200d}a \u{200d}b\u{200d}\u{200d}c 1\u{200c}2\u{200d}"), "a b\u{200d}c 12");
    }

    #[test]
    fn a_base_carries_eight_marks_and_a_first_mark_gets_a_base() {
        assert_eq!(line(&format!("z{}x", "\u{301}".repeat(200))), format!("z{}x", "\u{301}".repeat(8)));
        assert_eq!(body("\u{301}a\n\u{301}"), ["◌\u{301}a", "◌\u{301}"]);
    }

    #[test]
    fn after_four_hundred_lines_the_rest_is_counted() {
        let (lines, more) = SafeText::body(&"x\n".repeat(999));
        assert_eq!((lines.len(), more), (LINES_MAX, 600));
        assert_eq!(SafeText::body("").0.len(), 1);
    }

    #[test]
    fn rows_are_cut_between_characters_and_lose_nothing() {
        let text = SafeText::line("日本語 e\u{301}👩\u{200d}👩\u{200d}👧x");
        let rows = text.rows(4);
        assert!(rows.iter().all(|row| row.width() <= 4));
        assert_eq!(rows.iter().map(SafeText::as_str).collect::<String>(), text.as_str());
    }

    #[test]
    fn what_is_cut_has_a_sign_for_it() {
        assert_eq!(SafeText::line("日本語").cut(6).as_str(), "日本語");
        assert_eq!(SafeText::line("日本語x").cut(6).as_str(), "日本…");
    }

    fn is_obeyed(c: char) -> bool {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    }

    proptest! {
        #[test]
        fn nothing_that_a_terminal_obeys_comes_through(
            raw in prop::collection::vec(prop_oneof![
                any::<char>(),
                prop::char::range('\u{0}', '\u{a0}'),
                prop::char::range('\u{2000}', '\u{2070}'),
                prop::char::range('\u{300}', '\u{370}'),
                Just('\u{200d}'),
            ], 0..200)
        ) {
            let raw: String = raw.into_iter().collect();
            let one = SafeText::line(&raw);
            prop_assert!(!one.as_str().chars().any(|c| is_obeyed(c) || is_hidden(c)));
            let (lines, _) = SafeText::body(&raw);
            prop_assert!(lines.iter().all(|line| !line.as_str().chars().any(is_obeyed)));
            prop_assert_eq!(SafeText::line(one.as_str()), one);
        }
    }
}
