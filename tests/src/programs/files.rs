//! Copies of data directories: what a backup, a second machine or a rolled-back disk is made of.

use std::path::Path;

/// Copies a folder with everything in it but sockets.
///
/// # Panics
/// When something cannot be read or written.
pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the copy's folder");
    let mode = std::fs::metadata(from).expect("a folder to copy").permissions();
    std::fs::set_permissions(to, mode).expect("the copy's mode");
    for entry in std::fs::read_dir(from).expect("a folder to copy") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("an entry's kind");
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_dir(&entry.path(), &target);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), &target).unwrap_or_else(|error| panic!("{:?}: {error}", entry.path()));
        }
    }
}

/// Puts `copy` in the place of `dir`.
///
/// # Panics
/// When something cannot be read or written.
pub fn put_back(copy: &Path, dir: &Path) {
    super::events::note_put_back(dir);
    std::fs::remove_dir_all(dir).expect("a folder to replace");
    copy_dir(copy, dir);
}

/// The sum of the sizes of all files below `dir`, in bytes.
#[must_use]
pub fn size_of_dir(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.flatten().map(|entry| entry.metadata().map_or(0, |about| about.len())).sum()
}

/// Every file name below `dir`, relative to it, sorted.
#[must_use]
pub fn names_in(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
