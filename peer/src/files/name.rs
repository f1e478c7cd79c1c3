//! What a file from somebody is called here. The sender's name is a proposal: of it only what is harmless as one component of
//! a path stays, on this system and on those that files are carried to. Not here: folders, and whether a name is taken.

use crate::front::safe_text::is_invisible;

/// Most bytes of a name. Leaves room for a number behind it in the 255 that file systems have.
pub const NAME_MAX_BYTES: usize = 200;
/// What a file is called whose name has nothing harmless in it.
pub const NAMELESS: &str = "file";
/// An ending that is kept when a name is cut; a longer one is no ending.
const ENDING_MAX_BYTES: usize = 20;

/// The name for a file that somebody calls `raw`: never empty, at most [`NAME_MAX_BYTES`], one plain component of a path.
#[must_use]
pub fn clean(raw: &str) -> String {
    let last = raw.rsplit(['/', '\\']).find(|component| !component.is_empty()).unwrap_or_default();
    let plain: String = last.chars().filter_map(plain).collect();
    let plain = plain.trim_start_matches(['.', '-', ' ']);
    let mut name = cut(trimmed(plain)).to_owned();
    if is_device(&name) {
        name.insert(0, '_');
        name = cut(&name).to_owned();
    }
    if name.is_empty() { NAMELESS.to_owned() } else { name }
}

/// The name to try when `count` others are taken: `name_1.txt` for 1.
#[must_use]
pub fn numbered(name: &str, count: u32) -> String {
    if count == 0 {
        return name.to_owned();
    }
    match name.rfind('.') {
        Some(at) if at > 0 => format!("{}_{count}{}", &name[..at], &name[at..]),
        _ => format!("{name}_{count}"),
    }
}

/// What stands for a character; none: nothing does.
fn plain(c: char) -> Option<char> {
    match c {
        '<' | '>' | ':' | '"' | '|' | '?' | '*' => Some('_'),
        c if c.is_control() => Some('_'),
        c if c.is_whitespace() => Some(' '),
        // Nobody sees them, or they turn what is around them.
        c if is_invisible(c) => None,
        c => Some(c),
    }
}

fn trimmed(name: &str) -> &str {
    name.trim_end_matches(['.', ' '])
}

/// At most [`NAME_MAX_BYTES`] of the name, its ending included.
fn cut(name: &str) -> String {
    if name.len() <= NAME_MAX_BYTES {
        return name.to_owned();
    }
    let ending = name.rfind('.').map_or("", |at| &name[at..]);
    let ending = if ending.len() <= ENDING_MAX_BYTES { ending } else { "" };
    let mut end = NAME_MAX_BYTES - ending.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    trimmed(&format!("{}{ending}", trimmed(&name[..end]))).to_owned()
}

/// Names that some systems take for devices, whatever ending they have.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$") {
        return true;
    }
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    port.is_some_and(|number| {
        let mut digits = number.chars();
        matches!((digits.next(), digits.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
    })
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn harmless(name: &str) {
        assert!(!name.is_empty() && name.len() <= NAME_MAX_BYTES, "{name:?}");
        let components: Vec<Component> = Path::new(name).components().collect();
        assert!(matches!(components[..], [Component::Normal(only)] if only == name), "{name:?}");
        assert!(!name.contains(['/', '\\', ':', '\0']), "{name:?}");
        assert!(!name.starts_with(['.', '-', ' ']) && !name.ends_with(['.', ' ']), "{name:?}");
        assert!(!name.chars().any(|c| c.is_control() || is_invisible(c)), "{name:?}");
        assert!(!is_device(name), "{name:?}");
        assert_eq!(clean(name), name, "what is clean stays as it is");
    }

    #[test]
    fn a_usual_name_stays_as_it_is() {
        for name in
            ["a.txt", "Müller & Söhne (2).pdf", "archive.tar.gz", "日本語.png", "no ending", "a-b.c", "x.", "console"]
        {
            assert_eq!(clean(name), name.trim_end_matches('.'));
        }
    }

    #[test]
    fn hostile_names_become_harmless() {
        for (raw, expected) in [
            ("", "file"),
            ("/", "file"),
            ("..", "file"),
            ("...", "file"),
            (". . ", "file"),
            ("---", "file"),
            ("../../etc/passwd", "passwd"),
            ("/etc/shadow", "shadow"),
            ("..\\..\\windows\\system.ini", "system.ini"),
            ("a/b\\c/", "c"),
            ("D:\\x.exe", "x.exe"),
            ("D:x.exe", "D_x.exe"),
            ("a.txt:stream", "a.txt_stream"),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            (" -.x", "x"),
            ("name. .", "name"),
            ("a\nb", "a_b"),
            ("a\0b", "a_b"),
            ("\u{1b}]0;x\u{7}y", "_]0;x_y"),
            ("\u{202e}gpj.exe", "gpj.exe"),
            ("photo\u{202e}gpj.exe", "photogpj.exe"),
            ("a\u{200b}\u{feff}b", "ab"),
            ("\u{200b}.x", "x"),
            ("a\u{a0}\u{2028}b", "a  b"),
            ("CON", "_CON"),
            ("con.txt", "_con.txt"),
            ("Aux .tar.gz", "_Aux .tar.gz"),
            ("nul", "_nul"),
            ("COM1", "_COM1"),
            ("lpt9.x", "_lpt9.x"),
            ("COM¹", "_COM¹"),
            ("COM10", "COM10"),
            (".homing-0123.part", "homing-0123.part"),
            ("*?<>|\".x", "______.x"),
        ] {
            let name = clean(raw);
            assert_eq!(name, expected, "{raw:?}");
            harmless(&name);
        }
    }

    #[test]
    fn a_long_name_is_cut_and_keeps_its_ending() {
        let name = clean(&format!("{}.txt", "x".repeat(5_000)));
        assert_eq!(name, format!("{}.txt", "x".repeat(NAME_MAX_BYTES - 4)));
        let name = clean(&format!("{}.{}", "ö".repeat(300), "y".repeat(300)));
        assert!(name.len() >= NAME_MAX_BYTES - 1 && name.chars().all(|c| c == 'ö'), "{name}");
        let name = clean(&format!("{}. .{}", "x".repeat(195), "y".repeat(9)));
        harmless(&name);
        harmless(&clean(&format!("CON.{}", "x".repeat(196))));
    }

    #[test]
    fn a_taken_name_gets_a_number_before_its_ending() {
        assert_eq!(numbered("name.txt", 0), "name.txt");
        assert_eq!(numbered("name.txt", 1), "name_1.txt");
        assert_eq!(numbered("name", 12), "name_12");
        assert_eq!(numbered("a.b.c", 2), "a.b_2.c");
        assert_eq!(numbered(".x", 2), ".x_2");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn every_name_becomes_harmless(raw in any::<String>()) {
            harmless(&clean(&raw));
        }

        #[test]
        fn every_name_of_nasty_pieces_becomes_harmless(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "/", "\\", "..", ".", " ", "-", "CON", "com1", "nul", "\u{202e}", "\u{200d}", "\0", "\n", "_", "é", "x", ":",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ]), 0..12),
        ) {
            let name = clean(&pieces.concat());
            harmless(&name);
            prop_assert!(numbered(&name, 10_000).len() <= 255);
        }
    }
}
