//! `docs/commands.md` is played with the real programs: what it says is what they print, but for times, durations,
//! addresses and keys. Every command has such an example. Lines that come of themselves may stand between those that are
//! documented.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use peer_core::command::verb::{Known, Verb, look_up};
use system_tests::programs::{Peer, World};

const DOCUMENT: &str = include_str!("../../docs/commands.md");
/// A documented line has to come within this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// (who, lines) of each block.
fn blocks() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut blocks = Vec::new();
    let mut lines = DOCUMENT.lines();
    while let Some(line) = lines.next() {
        if let Some(who) = line.strip_prefix("```text ") {
            blocks.push((who, lines.by_ref().take_while(|line| *line != "```").collect()));
        }
    }
    blocks
}

fn is_time(word: &str) -> bool {
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    word.split(':').count() == 3 && word.split(':').all(digits)
}

/// Groups of four characters in which a fingerprint is shown.
const KEY_GROUPS: usize = 8;
/// Words in which it is spoken.
const KEY_WORDS: usize = 15;

fn is_key_group(word: &&str) -> bool {
    word.len() == 4 && word.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
}

fn is_address(word: &str) -> bool {
    word.trim_end_matches(',').parse::<std::net::SocketAddr>().is_ok()
}

/// The words of a line, with each key as one.
fn words_of(line: &str) -> Vec<&str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let spoken = |word: &&str| (3..=8).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase());
    if words.len() == KEY_WORDS && words.iter().all(spoken) {
        return vec!["SPOKEN-KEY"];
    }
    let mut rest = words.as_slice();
    let mut out = Vec::new();
    while let [first, after @ ..] = rest {
        let is_key = rest.get(..KEY_GROUPS).is_some_and(|groups| groups.iter().all(is_key_group));
        out.push(if is_key { "KEY" } else { *first });
        rest = if is_key { &rest[KEY_GROUPS..] } else { after };
    }
    out
}

/// The line with everything that differs from run to run replaced.
fn usual(line: &str) -> String {
    let words = words_of(line);
    let unit = |word: Option<&&str>| word.is_some_and(|word| matches!(word.trim_end_matches([')', ',']), "ms" | "s"));
    let mut out = Vec::new();
    for (place, word) in words.iter().enumerate() {
        let measured = unit(words.get(place + 1)) && !line.contains("after they are") && !line.contains("after it is");
        match *word {
            // Where files lie depends on where the test does.
            word if word.starts_with('/') && word.contains("/downloads/") => {
                out.push(format!("DOWNLOADS/{}", word.rsplit('/').next().unwrap_or_default()));
            }
            word if is_time(word) => out.push("TIME".to_owned()),
            word if is_address(word) => out.push(if word.ends_with(',') { "ADDRESS," } else { "ADDRESS" }.to_owned()),
            word if measured && word.starts_with(|c: char| c.is_ascii_digit()) => out.push("FOR".to_owned()),
            word if matches!(word.trim_end_matches([')', ',']), "ms" | "s") => {
                out.push(word.replace("ms", "s"));
            }
            word => out.push(word.to_owned()),
        }
    }
    out.join(" ")
}

#[test]
fn every_example_prints_what_the_document_says() {
    let world = World::new();
    for name in ["plan.txt", "my recipe.txt"] {
        // Peers are started there.
        std::fs::write(world.setup("alice").root.join(name), [b'x'; 52]).unwrap();
    }
    let mut peers: BTreeMap<&str, (Peer, usize)> = BTreeMap::new();
    for (who, lines) in blocks() {
        let (peer, read) = peers.entry(who).or_insert_with(|| (world.setup(who).plain().start(), 0));
        for line in lines {
            match line.strip_prefix("> ") {
                Some(command) => {
                    peer.command(&[command]);
                }
                None => {
                    let (wanted, mut place) = (usual(line), *read);
                    let found = peer.log().wait(*read, PATIENCE, |printed| {
                        place += 1;
                        (usual(&printed.text) == wanted).then_some(place)
                    });
                    *read = found.unwrap_or_else(|missed| {
                        let since = peer.log().lines(*read, |_| true);
                        let since: Vec<&str> = since.iter().map(|line| line.text.as_str()).collect();
                        panic!("{who} never printed ({missed:?})\n  {wanted}\nbut\n  {}", since.join("\n  "))
                    });
                }
            }
        }
    }
}

/// The commands that the document shows with what they print.
fn shown() -> BTreeSet<&'static str> {
    let mut shown = BTreeSet::new();
    for (who, lines) in blocks() {
        for pair in lines.windows(2) {
            let [command, printed] = pair else { continue };
            let Some(word) = command.strip_prefix("> !").and_then(|command| command.split(' ').next()) else {
                continue;
            };
            let Known::Verb(verb) = look_up(word) else { panic!("{who} types {command:?}, which is no command") };
            if !printed.starts_with("> ") {
                shown.insert(verb.name());
            }
        }
    }
    shown
}

#[test]
fn every_command_has_an_example_with_what_it_prints() {
    let shown = shown();
    let bare: Vec<&str> = Verb::ALL.into_iter().map(Verb::name).filter(|name| !shown.contains(name)).collect();
    assert!(bare.is_empty(), "docs/commands.md shows nothing that these print: {}", bare.join(" "));
}
