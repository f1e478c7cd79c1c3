//! What a file is: BLAKE3 and SHA-256 of its bytes, BLAKE3's tree hashes of its parts, and a stamp that changes when somebody
//! writes to it. Not here: where the bytes come from, and what is compared with what.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use common::limits::FILE_PART_BYTES;
use rustls::SupportedCipherSuite;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::hash::Context;

/// The node of BLAKE3's tree above the bytes of one part.
pub type PartHash = [u8; 32];

/// How many parts a file of so many bytes has; an empty one has one, which is empty.
#[must_use]
pub fn parts(size: u64) -> u64 {
    size.div_ceil(FILE_PART_BYTES).max(1)
}

/// How long part `index` of a file of `size` bytes is.
#[must_use]
pub fn part_bytes(size: u64, index: u64) -> u64 {
    size.saturating_sub(index.saturating_mul(FILE_PART_BYTES)).min(FILE_PART_BYTES)
}

/// The tree hash of part `index` of a file of `size` bytes. The only part of a file is its own root.
#[must_use]
pub fn part(size: u64, index: u64, bytes: &[u8]) -> PartHash {
    // The library has no node above nothing, and none above more than a subtree: neither is a part.
    if parts(size) == 1 || bytes.is_empty() || bytes.len() as u64 > FILE_PART_BYTES {
        return *blake3::hash(bytes).as_bytes();
    }
    blake3::Hasher::new().set_input_offset(index.saturating_mul(FILE_PART_BYTES)).update(bytes).finalize_non_root()
}

/// The root above the hashes of all parts; none above nothing.
#[must_use]
pub fn root(parts: &[PartHash]) -> Option<[u8; 32]> {
    match parts {
        [] => None,
        [only] => Some(*only),
        more => {
            let (left, right) = more.split_at(left_parts(more.len()));
            Some(*merge_subtrees_root(&node(left), &node(right), Mode::Hash).as_bytes())
        }
    }
}

/// The node above some parts, at least one. As deep as the number of parts has binary digits.
fn node(parts: &[PartHash]) -> PartHash {
    match parts {
        [only] => *only,
        more => {
            let (left, right) = more.split_at(left_parts(more.len()));
            merge_subtrees_non_root(&node(left), &node(right), Mode::Hash)
        }
    }
}

/// BLAKE3's trees are full on the left: the largest power of two below `count`, which is above one.
fn left_parts(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// SHA-256 of what comes piece by piece: that of the library which does TLS, the fastest one there is here.
pub struct Sha256(Box<dyn Context>);

impl Sha256 {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let SupportedCipherSuite::Tls13(suite) = TLS13_AES_128_GCM_SHA256;
        Self(suite.common.hash_provider.start())
    }

    /// More bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all of them.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        let mut hash = [0; 32];
        // SHA-256 has 32 bytes; anything else would compare unequal to every offer.
        if let Ok(whole) = <[u8; 32]>::try_from(self.0.finish().as_ref()) {
            hash = whole;
        }
        hash
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256")
    }
}

/// Changes when the file is written to or replaced: when that was, how long it is, and which file it is.
#[must_use]
pub fn stamp(metadata: &Metadata) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&metadata.mtime().to_be_bytes());
    hasher.update(&metadata.mtime_nsec().to_be_bytes());
    hasher.update(&metadata.size().to_be_bytes());
    hasher.update(&metadata.ino().to_be_bytes());
    let mut stamp = [0; 8];
    hasher.finalize_xof().fill(&mut stamp);
    u64::from_be_bytes(stamp)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    const PART: usize = FILE_PART_BYTES as usize;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 + at / 977) as u8).collect()
    }

    fn tree(bytes: &[u8]) -> Vec<PartHash> {
        let size = bytes.len() as u64;
        let at = |index: u64| &bytes[index as usize * PART..][..part_bytes(size, index) as usize];
        (0..parts(size)).map(|index| part(size, index, at(index))).collect()
    }

    #[test]
    fn the_parts_of_every_length_add_up_to_the_root() {
        let all = bytes(9 * PART + 5);
        for whole in 0..=9 {
            for more in [0, 1, 5, 1_023, 1_024, 1_025] {
                let length = (whole * PART + more).min(all.len());
                let file = &all[..length];
                assert_eq!(root(&tree(file)), Some(*blake3::hash(file).as_bytes()), "{length}");
            }
        }
        assert_eq!(root(&[]), None);
    }

    #[test]
    fn a_part_counts_only_at_its_place() {
        let file = vec![7; 3 * PART];
        let parts = tree(&file);
        assert!(parts[0] != parts[1] && parts[1] != parts[2]);
        let mut swapped = parts.clone();
        swapped.swap(0, 1);
        assert_ne!(root(&swapped), root(&parts));
        assert_ne!(root(&parts[..2]), root(&parts));
    }

    #[test]
    fn sha_256_is_what_the_standard_says() {
        let mut abc = Sha256::new();
        abc.update(b"a");
        abc.update(b"bc");
        let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(abc.finish()), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(hex(Sha256::default().finish()).starts_with("e3b0c44298fc1c14"));
    }

    #[test]
    fn a_file_that_was_written_to_or_replaced_has_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let stamp_of = |path: &std::path::Path| stamp(&fs::metadata(path).unwrap());
        fs::write(&path, b"abc").unwrap();
        let first = stamp_of(&path);
        assert_eq!(stamp_of(&path), first);
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, b"abcd").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        assert_ne!(stamp_of(&path), first, "another size, at the same time");
        let other = folder.path().join("b");
        fs::write(&other, b"abc").unwrap();
        fs::File::options().write(true).open(&other).unwrap().set_modified(written).unwrap();
        assert_ne!(stamp_of(&other), first, "another file of the same size and time");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn one_changed_byte_is_found_in_its_part(length in 1..4 * PART, at in any::<prop::sample::Index>()) {
            let right = bytes(length);
            let mut wrong = right.clone();
            let at = at.index(length);
            wrong[at] ^= 0x10;
            let (right, wrong) = (tree(&right), tree(&wrong));
            let differing: Vec<usize> = (0..right.len()).filter(|index| right[*index] != wrong[*index]).collect();
            prop_assert_eq!(differing, vec![at / PART]);
            prop_assert_ne!(root(&right), root(&wrong));
        }
    }
}
