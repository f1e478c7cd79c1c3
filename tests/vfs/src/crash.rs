//! What is left of a disk when the power goes: chance decides over everything that was not flushed. Not here: what was
//! flushed, which is never touched.

use std::collections::BTreeMap;

use rand_core::Rng;

use crate::content::Content;
use crate::image::{File, FileId, Image, Pending};

/// What a disk writes at once, at best.
const SECTOR: usize = 512;

/// How a disk loses what was not flushed.
#[derive(Debug, Clone, Copy)]
enum Mood {
    /// All of it.
    Everything,
    /// Nothing of it.
    Nothing,
    /// Everything after some moment; what was being written then is torn.
    Tail,
    /// Each sector has a fate of its own.
    Sectors,
}

/// What becomes of one sector's share of a write.
enum Fate {
    Written,
    Lost,
    /// So many of the first bytes were written.
    Torn(usize),
    /// Something else was written.
    Spoilt,
}

impl Image {
    /// What this disk holds after the power has gone and come back: all of it stable.
    #[must_use]
    pub fn crash(&self, rng: &mut impl Rng) -> Self {
        let mood = match below(rng, 6) {
            0 => Mood::Everything,
            1 => Mood::Nothing,
            2 => Mood::Tail,
            _ => Mood::Sectors,
        };
        let names = self.names_after(mood, rng);
        let mut files: BTreeMap<FileId, File> = BTreeMap::new();
        for file in names.values() {
            if let Some(before) = self.files.get(file) {
                let stable = before.after(mood, rng);
                files.insert(*file, File { cached: stable.clone(), stable, pending: Vec::new() });
            }
        }
        Self { files, stable_names: names.clone(), names, pending_names: Vec::new(), next: self.next }
    }

    /// Each name is, by itself, as it was at some moment since the folder was flushed.
    fn names_after(&self, mood: Mood, rng: &mut impl Rng) -> BTreeMap<String, FileId> {
        match mood {
            Mood::Everything => return self.stable_names.clone(),
            Mood::Nothing => return self.names.clone(),
            Mood::Tail | Mood::Sectors => {}
        }
        let mut names = self.stable_names.clone();
        let mut settled: BTreeMap<&str, bool> = BTreeMap::new();
        for (name, file) in &self.pending_names {
            // Once a change of a name is lost, so are its later ones.
            let goes_on = settled.entry(name).or_insert(true);
            *goes_on = *goes_on && below(rng, 2) == 0;
            match file {
                Some(file) if *goes_on => names.insert(name.clone(), *file),
                None if *goes_on => names.remove(name),
                _ => None,
            };
        }
        names
    }
}

impl File {
    fn after(&self, mood: Mood, rng: &mut impl Rng) -> Content {
        let mut left = self.stable.clone();
        let sectors: usize = self.pending.iter().map(sectors_of).sum();
        // For `Tail`: how many sectors were written, and the one that was being written.
        let mut whole = below(rng, sectors as u64 + 1) as usize;
        for pending in &self.pending {
            match pending {
                Pending::Resize(len) => match mood {
                    Mood::Everything => {}
                    Mood::Nothing => left.resize(*len),
                    Mood::Tail if whole == 0 => {}
                    Mood::Tail => left.resize(*len),
                    Mood::Sectors if below(rng, 2) == 0 => left.resize(*len),
                    Mood::Sectors => {}
                },
                Pending::Write { offset, bytes } => {
                    for (at, piece) in pieces(*offset, bytes) {
                        let fate = fate(mood, whole, piece.len(), rng);
                        whole = whole.saturating_sub(1);
                        // Sometimes a file was made longer, and what belongs there was not written.
                        let longer = matches!(mood, Mood::Sectors) && below(rng, 4) == 0;
                        settle(&mut left, at, piece, &fate, longer, rng);
                    }
                }
            }
        }
        left
    }
}

fn sectors_of(pending: &Pending) -> usize {
    match pending {
        Pending::Write { offset, bytes } => pieces(*offset, bytes).count(),
        Pending::Resize(_) => 0,
    }
}

/// A write cut at the bounds of sectors.
fn pieces(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done;
        let count = (SECTOR - at % SECTOR).min(bytes.len() - done);
        done += count;
        (count > 0).then(|| (at, &bytes[done - count..done]))
    })
}

fn fate(mood: Mood, whole: usize, len: usize, rng: &mut impl Rng) -> Fate {
    let torn = |rng: &mut _| Fate::Torn(below(rng, len as u64) as usize);
    match mood {
        Mood::Everything => Fate::Lost,
        Mood::Nothing => Fate::Written,
        Mood::Tail if whole > 1 => Fate::Written,
        Mood::Tail if whole == 1 => torn(rng),
        Mood::Tail => Fate::Lost,
        Mood::Sectors => match below(rng, 8) {
            0..=2 => Fate::Written,
            3..=5 => Fate::Lost,
            6 => torn(rng),
            _ => Fate::Spoilt,
        },
    }
}

fn settle(left: &mut Content, at: usize, piece: &[u8], fate: &Fate, longer: bool, rng: &mut impl Rng) {
    match fate {
        Fate::Written => left.write(at, piece),
        Fate::Torn(count) => left.write(at, &piece[..*count]),
        Fate::Spoilt => {
            let mut bytes = vec![0; piece.len()];
            rng.fill_bytes(&mut bytes);
            left.write(at, &bytes);
        }
        Fate::Lost if longer => left.extend(at + piece.len()),
        Fate::Lost => {}
    }
}

fn below(rng: &mut impl Rng, n: u64) -> u64 {
    rng.next_u64() % n.max(1)
}
