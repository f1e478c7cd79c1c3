//! The words of files: how one stands and why, for scripts and for people; sizes, and how long something still takes.

use common::body::FileFault;
use peer_core::stored::FileState;

/// How a file stands, for scripts and people alike.
#[must_use]
pub fn file_state(state: FileState) -> &'static str {
    match state {
        FileState::Offered => "offered",
        FileState::Accepted => "accepted",
        FileState::Declined => "declined",
        FileState::Progress => "progress",
        FileState::Done => "done",
        FileState::Failed => "failed",
        FileState::Cancelled => "cancelled",
    }
}

/// Why, for scripts.
#[must_use]
pub fn fault(fault: FileFault) -> &'static str {
    match fault {
        FileFault::Missing => "missing",
        FileFault::NoFile => "not-a-file",
        FileFault::Unreadable => "unreadable",
        FileFault::NoName => "no-name",
        FileFault::TooLarge => "too-large",
        FileFault::Changed => "changed",
        FileFault::DiskFull => "disk-full",
        FileFault::HashWrong => "hash-wrong",
        FileFault::NoPlace => "no-place",
        FileFault::Withdrawn => "withdrawn",
        FileFault::TooMany => "too-many",
    }
}

/// The reason that scripts know by this word.
#[must_use]
pub fn fault_of(word: &str) -> Option<FileFault> {
    FileFault::ALL.into_iter().find(|known| fault(*known) == word)
}

/// Why a file has ended, for people: one's own (`mine`), or one that comes.
#[must_use]
pub fn fault_because(fault: FileFault, mine: bool) -> &'static str {
    match (fault, mine) {
        (FileFault::Missing, true) => "it is not where it was any more",
        (FileFault::Missing, false) => "its sender does not have it any more",
        (FileFault::NoFile, _) => "it is a folder, or something else that is no file",
        (FileFault::Unreadable, true) => "it cannot be read",
        (FileFault::Unreadable, false) => "its sender cannot read it any more",
        (FileFault::NoName, _) => "it has no name that can be used",
        (FileFault::TooLarge, _) => "it is larger than what is accepted",
        (FileFault::Changed, true) => "it was changed after it was offered",
        (FileFault::Changed, false) => "its sender changed it after offering it",
        (FileFault::DiskFull, true) => "their disk is full",
        (FileFault::DiskFull, false) => "the disk here is full",
        (FileFault::HashWrong, _) => "what came is not what was offered",
        (FileFault::NoPlace, true) => "they cannot write where it is to lie",
        (FileFault::NoPlace, false) => "it cannot be written where it is to lie",
        (FileFault::Withdrawn, true) => "it is not offered any more",
        (FileFault::Withdrawn, false) => "its sender does not offer it any more",
        (FileFault::TooMany, _) => "too many files are under way",
    }
}

/// Why an own file that is still wanted does not wait at the directory.
#[must_use]
pub fn not_kept_because(fault: FileFault) -> String {
    let why = match fault {
        FileFault::TooLarge => "larger than what waits at the directory",
        FileFault::DiskFull => "no room at the directory",
        other => fault_because(other, true),
    };
    format!("{why}: it goes when both of you are online")
}

/// `52 bytes`, `10.0 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1_024 {
        return super::counted(bytes, "byte");
    }
    // In tenths of a unit, rounded down: nothing is called larger than it is.
    let (mut tenths, mut place) = (u128::from(bytes) * 10 / 1_024, 0);
    while tenths >= 10_240 && place + 1 < UNITS.len() {
        (tenths, place) = (tenths / 1_024, place + 1);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[place])
}

/// How far it is, whole percents; 100 only at the end.
#[must_use]
pub fn percent(bytes: u64, size: u64) -> u64 {
    let percent = u128::from(bytes.min(size)) * 100 / u128::from(size.max(1));
    if size == 0 { 100 } else { u64::try_from(percent).unwrap_or(100) }
}

/// `45 %, 4.5 MiB of 10.0 MiB, 3.2 MiB/s, 2 s left`.
#[must_use]
pub fn flow(bytes: u64, whole: u64, rate: Option<u64>) -> String {
    let mut words = format!("{} %, {} of {}", percent(bytes, whole), size(bytes), size(whole));
    if let Some(rate) = rate {
        words = format!("{words}, {}/s", size(rate));
        if rate > 0 {
            words = format!("{words}, {} left", left(whole.saturating_sub(bytes).div_ceil(rate)));
        }
    }
    words
}

/// `2 s`, `4 min`, `3 h`, `2 d`.
fn left(seconds: u64) -> String {
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", seconds.div_ceil(60)),
        6_000..172_800 => format!("{} h", seconds.div_ceil(3_600)),
        _ => format!("{} d", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_largest_unit_that_fits() {
        let cases = [
            (0, "0 bytes"),
            (1, "1 byte"),
            (52, "52 bytes"),
            (1_023, "1023 bytes"),
            (1_024, "1.0 KiB"),
            (1_048_575, "1023.9 KiB"),
            (10 * 1_048_576, "10.0 MiB"),
            (3 * 1_073_741_824 / 2, "1.5 GiB"),
            (u64::MAX, "16383.9 PiB"),
        ];
        for (bytes, words) in cases {
            assert_eq!(size(bytes), words);
        }
    }

    #[test]
    fn only_the_whole_is_a_hundred_percent() {
        assert_eq!([percent(0, 3), percent(999, 1_000), percent(3, 3), percent(0, 0)], [0, 99, 100, 100]);
        assert_eq!([percent(9, 3), percent(u64::MAX, u64::MAX), percent(u64::MAX - 1, u64::MAX)], [100, 100, 99]);
    }

    #[test]
    fn what_flows_is_told_with_its_rate_and_the_time_left() {
        assert_eq!(flow(512, 1_024, None), "50 %, 512 bytes of 1.0 KiB");
        assert_eq!(flow(512, 1_024, Some(0)), "50 %, 512 bytes of 1.0 KiB, 0 bytes/s");
        assert_eq!(flow(512, 1_024, Some(256)), "50 %, 512 bytes of 1.0 KiB, 256 bytes/s, 2 s left");
        assert_eq!(flow(0, u64::MAX, Some(1)), "0 %, 0 bytes of 16383.9 PiB, 1 byte/s, 213503982334602 d left");
        assert_eq!([left(99), left(100), left(5_999), left(6_000)], ["99 s", "2 min", "100 min", "2 h"]);
    }

    #[test]
    fn each_reason_is_found_by_its_word() {
        for known in FileFault::ALL {
            assert_eq!(fault_of(fault(known)), Some(known));
            assert!([true, false].into_iter().all(|mine| fault_because(known, mine).len() > 10));
        }
        assert_eq!(fault_of("rain"), None);
    }
}
