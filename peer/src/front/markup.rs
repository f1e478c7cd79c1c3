//! `*bold*`, `_italic_`, `~strike~`, `` `code` `` and `:smile:` in a safe text. What comes out is made of pieces of the text, of
//! signs from a fixed table and of this program's own styles: nobody's words can produce anything else.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::safe_text::SafeText;

/// How a piece is shown: any of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    bold: bool,
    italic: bool,
    strike: bool,
    code: bool,
    dim: bool,
    hit: bool,
}

/// A part of a line that is not broken and has one style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What stands there.
    pub text: String,
    /// How.
    pub style: Style,
}

/// A mark is closed within so many characters or not at all.
const SPAN_MAX: usize = 2_000;
/// Characters of a sign's short name.
const NAME_MAX: usize = 32;

impl Style {
    /// The codes that switch it on; empty for a plain piece.
    #[must_use]
    pub fn codes(self) -> String {
        let all = [(self.bold, 1), (self.dim, 2), (self.italic, 3), (self.hit, 7), (self.strike, 9), (self.code, 35)];
        all.into_iter().filter(|(on, _)| *on).map(|(_, code)| format!("\u{1b}[{code}m")).collect()
    }

    fn with(self, mark: &str) -> Option<Self> {
        match mark {
            "*" if !self.bold => Some(Self { bold: true, ..self }),
            "_" if !self.italic => Some(Self { italic: true, ..self }),
            "~" if !self.strike => Some(Self { strike: true, ..self }),
            "`" => Some(Self { code: true, ..self }),
            _ => None,
        }
    }
}

/// The text as it was typed, in what a reader takes for characters.
#[must_use]
pub fn plain(text: &SafeText) -> Vec<Piece> {
    text.as_str().graphemes(true).map(|one| piece(one, Style::default())).collect()
}

/// What the program adds to a text.
#[must_use]
pub fn dimmed(text: &SafeText) -> Vec<Piece> {
    let style = Style { dim: true, ..Style::default() };
    text.as_str().graphemes(true).map(|one| piece(one, style)).collect()
}

/// Makes the words stand out that somebody looked for, each of `sought` a word or a phrase. As the search itself does it: whole
/// words, without regard to case or to what stands between the words of a phrase.
pub fn highlight(pieces: &mut [Piece], sought: &[String]) {
    let words = words_of(pieces);
    for phrase in sought {
        let phrase = words_of(&plain(&SafeText::line(phrase)));
        if phrase.is_empty() || phrase.len() > words.len() {
            continue;
        }
        for place in words.windows(phrase.len()) {
            if place.iter().zip(&phrase).all(|((_, word), (_, wanted))| word == wanted) {
                let (from, to) = (place[0].0.start, place[place.len() - 1].0.end);
                pieces[from..to].iter_mut().for_each(|piece| piece.style.hit = true);
            }
        }
    }
}

/// The words of a text in lower case, and of which pieces they are.
fn words_of(pieces: &[Piece]) -> Vec<(Range<usize>, String)> {
    let mut words: Vec<(Range<usize>, String)> = Vec::new();
    for (at, piece) in pieces.iter().enumerate().filter(|(_, piece)| is_word(&piece.text)) {
        match words.last_mut() {
            Some((range, word)) if range.end == at => {
                range.end = at + 1;
                word.push_str(&piece.text.to_lowercase());
            }
            _ => words.push((at..at + 1, piece.text.to_lowercase())),
        }
    }
    words
}

/// The text with its marks carried out.
#[must_use]
pub fn formatted(text: &SafeText) -> Vec<Piece> {
    let clusters: Vec<&str> = text.as_str().graphemes(true).collect();
    let mut out = Vec::with_capacity(clusters.len());
    // Spans still to be looked at, the next one last: (from, to, style).
    let mut open = vec![(0, clusters.len(), Style::default())];
    while let Some((from, to, style)) = open.pop() {
        let Some(at) = (from..to).find(|at| special(&clusters, *at, to, style).is_some()) else {
            out.extend(clusters[from..to].iter().map(|one| piece(one, style)));
            continue;
        };
        out.extend(clusters[from..at].iter().map(|one| piece(one, style)));
        match special(&clusters, at, to, style) {
            Some(Special::Sign(sign, next)) => {
                out.push(piece(sign, style));
                open.push((next, to, style));
            }
            Some(Special::Span(inner, close)) => {
                open.push((close + 1, to, style));
                open.push((at + 1, close, inner));
            }
            None => {}
        }
    }
    out
}

/// Something other than a character.
enum Special {
    /// A sign, and where the text goes on.
    Sign(&'static str, usize),
    /// A span of this style, and the place of the mark that closes it.
    Span(Style, usize),
}

fn special(clusters: &[&str], at: usize, to: usize, style: Style) -> Option<Special> {
    if style.code {
        return None;
    }
    if clusters[at] == ":" {
        let (sign, next) = sign(clusters, at, to)?;
        return Some(Special::Sign(sign, next));
    }
    let mark = clusters[at];
    let inner = style.with(mark)?;
    let is_word = |at: Option<usize>| at.and_then(|at| clusters.get(at)).is_some_and(|one| is_word(one));
    let opens = !is_word(at.checked_sub(1)) && at + 1 < to && !is_space(clusters[at + 1]) && clusters[at + 1] != mark;
    if !opens {
        return None;
    }
    let last = to.min(at + SPAN_MAX);
    let closes = |place: &usize| {
        let before = clusters[*place - 1];
        let ends = !is_word((*place + 1 < to).then_some(*place + 1));
        clusters[*place] == mark && before != mark && !is_space(before) && ends
    };
    (at + 2..last).find(closes).map(|close| Special::Span(inner, close))
}

/// The sign whose short name begins at the colon `at`.
fn sign(clusters: &[&str], at: usize, to: usize) -> Option<(&'static str, usize)> {
    let last = to.min(at + 2 + NAME_MAX);
    let close = (at + 1..last).find(|place| clusters[*place] == ":")?;
    let name: String = clusters[at + 1..close].concat();
    emojis::get_by_shortcode(&name).map(|emoji| (emoji.as_str(), close + 1))
}

fn is_space(one: &str) -> bool {
    one.chars().all(char::is_whitespace)
}

fn is_word(one: &str) -> bool {
    one.chars().any(char::is_alphanumeric)
}

fn piece(text: &str, style: Style) -> Piece {
    Piece { text: text.to_owned(), style }
}

/// Rows of at most `width` columns. A piece that is wider than a row gets one of its own.
#[must_use]
pub fn rows(pieces: Vec<Piece>, width: usize) -> Vec<Vec<Piece>> {
    let mut rows = vec![Vec::new()];
    let mut used = 0;
    for piece in pieces {
        let wide = piece.text.width();
        if used > 0 && used + wide > width {
            rows.push(Vec::new());
            used = 0;
        }
        if let Some(row) = rows.last_mut() {
            row.push(piece);
        }
        used += wide;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with each change of style as `<letters>`.
    fn shown(text: &str) -> String {
        let mut out = String::new();
        let mut before = Style::default();
        for Piece { text, style } in formatted(&SafeText::line(text)) {
            if style != before {
                let letters = [(style.bold, 'b'), (style.italic, 'i'), (style.strike, 's'), (style.code, 'c')];
                out.extend(std::iter::once('<').chain(letters.into_iter().filter(|(on, _)| *on).map(|(_, c)| c)));
                out.push('>');
                before = style;
            }
            out.push_str(&text);
        }
        out
    }

    #[test]
    fn the_four_marks_and_what_is_none() {
        let cases = [
            ("a *b c* d", "a <b>b c<> d"),
            ("_i_ ~s~ `c`", "<i>i<> <s>s<> <c>c"),
            ("*a _b_ c*", "<b>a <bi>b<b> c"),
            ("`*a* :smile:` *b*", "<c>*a* :smile:<> <b>b"),
            ("2*3*4 snake_case_name", "2*3*4 snake_case_name"),
            ("* a* *a * ** *", "* a* *a * ** *"),
            ("(*a*), *b*!", "(<b>a<>), <b>b<>!"),
            ("*open", "*open"),
            ("", ""),
        ];
        for (text, wanted) in cases {
            assert_eq!(shown(text), wanted, "{text}");
        }
    }

    #[test]
    fn short_names_of_signs_become_signs_and_others_stay() {
        assert_eq!(shown(":smile: :nothing_of_that_name: 12:30:45"), "😄 :nothing_of_that_name: 12:30:45");
    }

    #[test]
    fn whole_words_that_were_sought_stand_out_in_any_case_and_phrases_as_a_whole() {
        let lit = |text: &str, sought: &[&str]| -> String {
            let mut pieces = formatted(&SafeText::line(text));
            highlight(&mut pieces, &sought.iter().map(ToString::to_string).collect::<Vec<_>>());
            pieces.iter().map(|piece| if piece.style.hit { piece.text.to_uppercase() } else { "-".into() }).collect()
        };
        assert_eq!(lit("Ärger at ten, atten", &["ärger", "TEN"]), "ÄRGER----TEN-------");
        assert_eq!(lit("at ten at, ten o'ten at", &["at ten"]), "AT TEN-AT, TEN---------");
        assert_eq!(lit("*bold* soup", &["bold"]), "BOLD-----");
        assert_eq!(lit("x", &["", "!?", "x y"]), "-");
    }

    #[test]
    fn rows_are_cut_between_pieces_and_keep_their_styles() {
        let rows = rows(formatted(&SafeText::line("*abcd* ef")), 3);
        let texts: Vec<String> = rows.iter().map(|row| row.iter().map(|piece| piece.text.as_str()).collect()).collect();
        assert_eq!(texts, ["abc", "d e", "f"]);
        assert!(rows[1][0].style.bold && !rows[1][1].style.bold);
    }

    #[test]
    fn a_line_full_of_marks_takes_no_long_time() {
        let text = "*a _b ~c `d ".repeat(1_400);
        assert!(!formatted(&SafeText::line(&text)).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn nothing_but_marks_and_short_names_is_lost(text in "[ab*_~` ]{0,60}") {
            let without = |text: &str| text.chars().filter(|c| !"*_~`".contains(*c)).collect::<String>();
            let out: String = formatted(&SafeText::line(&text)).iter().map(|piece| piece.text.as_str()).collect();
            proptest::prop_assert_eq!(without(&out), without(&text));
        }
    }
}
