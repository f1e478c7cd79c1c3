//! `docs/commands.md` is played with the real programs: what it says is what they print, but for times, durations and
//! keys. Lines that come of themselves may stand between those that are documented.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

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

/// The line with everything that differs from run to run replaced.
fn usual(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
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
