//! The table of impersonation cases in `docs/proof.md` and the tests it speaks of are the same: every case named there
//! stands in a file named in its row or in the row above that names one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// So many cases at least.
const CASES_MIN: usize = 40;

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn file_of(root: &Path, name: &str) -> PathBuf {
    if name.contains('/') { root.join(name) } else { root.join("tests/tests").join(name) }
}

#[test]
fn every_case_of_the_table_stands_in_its_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let document = std::fs::read_to_string(root.join("docs/proof.md")).expect("the document");
    let section = document.split("## 9 Impersonation").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let mut sources = String::new();
    let mut cases = BTreeSet::new();
    for row in section.lines().filter(|line| line.starts_with("| ")).skip(2) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let files: Vec<&str> = quoted(cells[1]).into_iter().filter(|word| word.ends_with(".rs")).collect();
        if !files.is_empty() {
            let read =
                |name: &&str| std::fs::read_to_string(file_of(root, name)).unwrap_or_else(|e| panic!("{name}: {e}"));
            sources = files.iter().map(read).collect();
        }
        let place = files.first().copied().unwrap_or("the same");
        for case in quoted(cells[3]) {
            assert!(sources.contains(case), "{case} stands in no file of its row ({place})");
            cases.insert((cells[1].to_string(), cells[2].to_string(), case.to_string()));
        }
    }
    assert!(cases.len() >= CASES_MIN, "{} cases", cases.len());
}
