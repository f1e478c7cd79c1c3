//! Notices that the host woke from sleep or moved to another network, and how much room the disk has. Asks the clocks, the
//! routing table and the file system; decides nothing about links or messages.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use peer_core::event::{Input, Now};
use rustix::fs::statvfs;

use crate::transport::addresses;

/// The routing table is asked so often.
pub(super) const CHECK_EVERY: Duration = Duration::from_secs(5);
/// The disk is measured so often.
pub(super) const DISK_EVERY: Duration = Duration::from_secs(2);
/// The wall clock went ahead of the monotonic one by more than this: the host slept (or somebody set the clock, which
/// costs one reconnect).
const SLEPT_MS: i64 = 30_000;

/// The clocks of one run of the program.
#[derive(Debug)]
pub(super) struct Clocks {
    start: Instant,
    lead_ms: Option<i64>,
}

impl Clocks {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), lead_ms: None }
    }

    pub(super) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now { mono_ms: millis(self.start.elapsed()), wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX) }
    }

    /// When `mono_ms` will be, for the runtime.
    pub(super) fn at(&self, mono_ms: u64) -> tokio::time::Instant {
        (self.start + Duration::from_millis(mono_ms)).into()
    }

    /// Whether the host slept between the last call and `now`.
    pub(super) fn slept(&mut self, now: Now) -> bool {
        let lead_ms = now.wall_ms.saturating_sub(i64::try_from(now.mono_ms).unwrap_or(i64::MAX));
        let before = self.lead_ms.replace(lead_ms);
        before.is_some_and(|before| lead_ms.saturating_sub(before).abs() > SLEPT_MS)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// This host's addresses as they were when last asked.
#[derive(Debug)]
pub(super) struct Network {
    bind: SocketAddr,
    advertise: Option<SocketAddr>,
    towards: Option<SocketAddr>,
    sources: Vec<IpAddr>,
    candidates: Vec<SocketAddr>,
}

impl Network {
    pub(super) fn new(bind: SocketAddr, advertise: Option<SocketAddr>) -> Self {
        let sources = addresses::sources(None);
        let candidates = addresses::candidates(bind, advertise, &sources);
        Self { bind, advertise, towards: None, sources, candidates }
    }

    /// What to publish.
    pub(super) fn candidates(&self) -> &[SocketAddr] {
        &self.candidates
    }

    /// Asks again; whether something has changed. `directory`: where it was last reached.
    pub(super) fn has_changed(&mut self, directory: Option<SocketAddr>) -> bool {
        self.take(directory, addresses::sources(directory))
    }

    fn take(&mut self, directory: Option<SocketAddr>, sources: Vec<IpAddr>) -> bool {
        let candidates = addresses::candidates(self.bind, self.advertise, &sources);
        // Another directory address adds another source: that alone is no change of the network.
        let moved = directory == self.towards && sources != self.sources;
        let changed = moved || candidates != self.candidates;
        (self.towards, self.sources, self.candidates) = (directory, sources, candidates);
        changed
    }
}

/// The disk that the store lies on.
#[derive(Debug)]
pub(super) struct Disk {
    folder: Option<PathBuf>,
    /// The store has found no room, whatever the file system says.
    refuses: bool,
}

impl Disk {
    pub(super) fn of(folder: Option<&Path>) -> Self {
        Self { folder: folder.map(Path::to_owned), refuses: false }
    }

    /// The store says that it finds no room, or some again.
    pub(super) fn refuses(&mut self, refuses: bool) {
        self.refuses = refuses;
    }

    /// The room there is; none when nobody knows.
    pub(super) fn measure(&self) -> Option<Input> {
        if self.refuses {
            return Some(Input::DiskFree { free_bytes: 0, total_bytes: u64::MAX });
        }
        match statvfs(self.folder.as_ref()?) {
            Ok(stat) => Some(Input::DiskFree {
                free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
                total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            }),
            Err(error) => {
                tracing::warn!(%error, "the free room on the disk is not known");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_leaps_ahead_means_sleep_and_one_that_runs_does_not() {
        let mut clocks = Clocks::new();
        let at = |mono_ms, wall_ms| Now { mono_ms, wall_ms };
        assert!(!clocks.slept(at(0, 1_000_000)));
        assert!(!clocks.slept(at(60_000, 1_061_000)));
        assert!(clocks.slept(at(61_000, 1_200_000)));
        assert!(!clocks.slept(at(62_000, 1_201_000)));
    }

    #[test]
    fn another_source_address_is_a_change_and_a_newly_known_directory_is_not() {
        let home = SocketAddr::from(([127, 0, 0, 1], 8282));
        let mut network = Network::new("0.0.0.0:8283".parse().unwrap(), None);
        network.take(None, vec![[203, 0, 113, 1].into()]);
        assert!(!network.take(Some(home), vec![[127, 0, 0, 1].into(), [203, 0, 113, 1].into()]));
        assert!(network.take(Some(home), vec![[127, 0, 0, 1].into(), [203, 0, 113, 9].into()]));
        assert!(network.take(Some(home), vec![[127, 0, 0, 1].into(), [10, 0, 0, 9].into()]));
        assert_eq!(network.candidates(), ["0.0.0.0:8283", "10.0.0.9:8283"].map(|text| text.parse().unwrap()));
    }
}
