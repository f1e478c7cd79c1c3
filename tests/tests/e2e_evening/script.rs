//! The form of the script, and of a line on a screen with everything replaced that differs from run to run. It starts
//! nothing and compares nothing.
//!
//! A script has remarks (`# ...`), acts (`NAME> LINE` is typed, `@start NAME`, `@kill NAME`, `@pause SECONDS`) and, four
//! blanks further in, what an act puts on screens: `NAME NAME: LINE`, or `NAME: LINE || LINE` where either may come; with
//! `~` before it a line may come at any place among the others of its act.

/// Something that is done, and what it puts on screens.
#[derive(Debug)]
pub struct Act {
    /// Where it stands in the script, from 1.
    pub at: usize,
    /// Who does it, or has it done to them.
    pub who: &'static str,
    /// What it is.
    pub what: What,
    /// What it shows, in order for each person.
    pub shows: Vec<Shown>,
}

/// A line that comes on a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Whose.
    pub whose: &'static str,
    /// The line, or several of which one comes.
    pub line: &'static str,
    /// It comes at any place among the others of its act.
    pub anywhere: bool,
}

impl Shown {
    /// Whether this is the line.
    #[must_use]
    pub fn is(&self, line: &str) -> bool {
        self.line.split(" || ").any(|one| one == line)
    }
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The program starts.
    Start,
    /// It is killed.
    Kill,
    /// This line is typed.
    Type(&'static str),
    /// Nothing, for so many seconds.
    Pause(u64),
}

/// The acts of a script.
///
/// # Panics
/// When a line of it has no meaning.
#[must_use]
pub fn acts(script: &'static str) -> Vec<Act> {
    let mut acts: Vec<Act> = Vec::new();
    for (place, line) in script.lines().enumerate() {
        let at = place + 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(shown) = line.strip_prefix("    ") {
            let (names, text) = shown.split_once(": ").unwrap_or_else(|| panic!("line {at} of the script: {line}"));
            let act = acts.last_mut().unwrap_or_else(|| panic!("line {at} of the script comes before all acts"));
            let line = text.strip_prefix("~ ").unwrap_or(text);
            let shown = |whose| Shown { whose, line, anywhere: line != text };
            act.shows.extend(names.split(' ').map(shown));
            continue;
        }
        let (who, what) = act(line).unwrap_or_else(|| panic!("line {at} of the script: {line}"));
        acts.push(Act { at, who, what, shows: Vec::new() });
    }
    acts
}

fn act(line: &'static str) -> Option<(&'static str, What)> {
    if let Some(name) = line.strip_prefix("@start ") {
        return Some((name, What::Start));
    }
    if let Some(name) = line.strip_prefix("@kill ") {
        return Some((name, What::Kill));
    }
    if let Some(seconds) = line.strip_prefix("@pause ") {
        return seconds.parse().ok().map(|seconds| ("nobody", What::Pause(seconds)));
    }
    line.split_once("> ").map(|(name, typed)| (name, What::Type(typed)))
}

/// Whether this line comes only because the machine is slow: one's own line is echoed when it is 1.5 s old, however it is,
/// and again when it has changed.
#[must_use]
pub fn is_in_between(line: &str) -> bool {
    line.starts_with('[') && line.contains(" you -> ") && line.ends_with("queued)")
}

/// The line with everything replaced that differs from run to run.
#[must_use]
pub fn usual(line: &str) -> String {
    if let Some((_, rest)) = line.strip_prefix("* Homing ").and_then(|rest| rest.split_once("; ")) {
        return format!("* Homing VERSION on ADDRESS, directory ADDRESS; {rest}");
    }
    let mut words: Vec<&str> = Vec::new();
    for word in line.split(' ') {
        let time = like(word, "00:00:00");
        // Of what was said before midnight the date is shown as well.
        if time && words.last().is_some_and(|before| like(before, "0000-00-00")) {
            words.pop();
        }
        words.push(if time { "TIME" } else { word });
    }
    without_duration(&without_key(&words).join(" "))
}

/// A fingerprint, eight groups of four characters, is `KEY`.
fn without_key<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let base32 = |c: u8| c.is_ascii_uppercase() || (b'2'..=b'7').contains(&c);
    let group = |word: &&str| word.len() == 4 && word.bytes().all(base32);
    match words.windows(8).position(|eight| eight.iter().all(group)) {
        Some(at) => [&words[..at], &["KEY"], &words[at + 8..]].concat(),
        None => words.to_vec(),
    }
}

/// `(delivered, direct, 3 ms)` is `(delivered, direct, FOR)`.
fn without_duration(line: &str) -> String {
    let duration = |words: &str| {
        let (number, unit) = words.split_once(' ')?;
        let measured = number.starts_with(|c: char| c.is_ascii_digit()) && ["ms)", "s)", "min)"].contains(&unit);
        measured.then_some(())
    };
    match line.rsplit_once(", ") {
        Some((head, tail)) if duration(tail).is_some() => format!("{head}, FOR)"),
        _ => line.to_owned(),
    }
}

/// Whether a word has digits where this form has them, and everything else as it stands.
fn like(word: &str, form: &str) -> bool {
    word.len() == form.len()
        && word.bytes().zip(form.bytes()).all(|(is, form)| if form == b'0' { is.is_ascii_digit() } else { is == form })
}

#[test]
fn a_line_keeps_all_but_times_durations_addresses_and_keys() {
    for (line, as_usual) in [
        (
            "[7] 17:02:11 you -> @class: a, b  (7/7 delivered, 1.5 s)",
            "[7] TIME you -> @class: a, b  (7/7 delivered, FOR)",
        ),
        ("[7] 2026-11-25 23:59:59 anna: at 23:59, 3 ms", "[7] TIME anna: at 23:59, 3 ms"),
        ("[7] 17:02:11 you -> anna: x  (kept)", "[7] TIME you -> anna: x  (kept)"),
        ("emil?  FVF2 3E7I UO5Q LUS4 3T6S VI4M KTTT YXNP  online", "emil?  KEY  online"),
        ("    [2] bob: two  blanks", "    [2] bob: two  blanks"),
    ] {
        assert_eq!(usual(line), as_usual);
    }
    assert!(is_in_between("[7] 17:02:11 you -> @class: x  (1 delivered, 6 queued)"));
    assert!(!is_in_between("[7] 17:02:11 you -> @class: x  (6 delivered, 1 kept)"));
    assert!(!is_in_between("[7] 17:02:11 anna: (queued)"));
}
