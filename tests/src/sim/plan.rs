//! What a seed stands for: how many people, how long a storm, and which faults it brings.

use super::dice::Dice;

/// The kinds of storms, taken in turn by the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// No faults at all.
    Calm,
    /// Slow, uneven networks; connections and links that break.
    Lossy,
    /// Programs that die at any output and come back.
    Crashes,
    /// Networks cut in parts, UDP blocked, connections half open, addresses that change.
    Partitions,
    /// Peers whose disks are put back.
    PeerRollbacks,
    /// A directory whose disk is put back, with a new number or silently.
    DirectoryRollbacks,
    /// A copied disk that runs beside its original.
    Copies,
    /// A name that goes over to another key.
    KeyChanges,
    /// Clocks that are wrong and step, and days on which everything is switched off.
    Clocks,
    /// Clocks, the directory's too, that jump by ten years and back.
    Years,
    /// No datagram ever gets through: everything goes through the directory.
    NoDirect,
    /// Disks that refuse a write, at either side.
    Disks,
    /// A directory that starts, dies and is put back all the time.
    Restarts,
    /// A directory that lies.
    Malicious,
    /// All of it.
    Everything,
    /// Disks that are full at any write, at either side, and have room again later.
    Full,
    /// A directory that lies, and old backups of it and of peers.
    MaliciousBackups,
    /// Two directories, both restarted and put back, and peers that move from one to the other.
    TwoDirectories,
}

const PROFILES: [Profile; 18] = [
    Profile::Calm,
    Profile::Lossy,
    Profile::Crashes,
    Profile::Partitions,
    Profile::PeerRollbacks,
    Profile::DirectoryRollbacks,
    Profile::Copies,
    Profile::KeyChanges,
    Profile::Clocks,
    Profile::Years,
    Profile::NoDirect,
    Profile::Disks,
    Profile::Restarts,
    Profile::Malicious,
    Profile::Everything,
    Profile::Full,
    Profile::MaliciousBackups,
    Profile::TwoDirectories,
];

/// Faults of a storm, one drawn at a time by these weights.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weights {
    pub crash: u64,
    pub crash_directory: u64,
    pub break_session: u64,
    pub half_open: u64,
    pub break_link: u64,
    pub cut_off: u64,
    pub block_udp: u64,
    pub isolate: u64,
    pub move_address: u64,
    pub save: u64,
    pub put_back: u64,
    pub save_directory: u64,
    pub put_back_directory: u64,
    pub copy: u64,
    pub rename: u64,
    pub step_clock: u64,
    pub all_off: u64,
    pub disk_full: u64,
    pub years: u64,
    pub write_fails: u64,
    pub write_fails_directory: u64,
    pub no_room: u64,
    pub no_room_directory: u64,
    pub move_directory: u64,
}

/// One storm.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub profile: Profile,
    pub people: usize,
    pub storm_ms: u64,
    /// Between two acts of one user, at most.
    pub pause_ms: u64,
    /// Between two faults, at most; 0: none.
    pub fault_ms: u64,
    pub weights: Weights,
    /// Usual latency, at most.
    pub latency_ms: u64,
    /// Once in so many frames the latency is up to two seconds.
    pub slow_one_in: u64,
    /// Once in so many outputs of a peer its program dies there.
    pub die_one_in: u64,
    /// Once in so many outputs of the directory it dies there.
    pub die_directory_one_in: u64,
    /// Items are really sealed.
    pub real_seal: bool,
    /// No datagram ever gets through.
    pub no_direct: bool,
    /// The directory lies until the storm is over.
    pub malicious: bool,
    /// Users have files.
    pub files: bool,
}

/// What the seed's storm is.
#[must_use]
pub fn profile_of(seed: u64) -> Profile {
    PROFILES[usize::try_from(seed % PROFILES.len() as u64).unwrap_or(0)]
}

impl Plan {
    pub(crate) fn new(profile: Profile, seed: u64, dice: &mut Dice) -> Self {
        let malicious = matches!(profile, Profile::Malicious | Profile::MaliciousBackups);
        let calm = Self {
            profile,
            people: usize::try_from(dice.between(2, 4)).unwrap_or(2),
            storm_ms: dice.between(60_000, 240_000),
            pause_ms: dice.between(4_000, 15_000),
            fault_ms: 0,
            weights: Weights::default(),
            latency_ms: dice.between(2, 80),
            slow_one_in: 0,
            die_one_in: 0,
            die_directory_one_in: 0,
            real_seal: seed % 47 == 7,
            no_direct: profile == Profile::NoDirect || (malicious && dice.one_in(2)),
            malicious,
            files: true,
        };
        let fault_ms = dice.between(5_000, 25_000);
        calm.stormy(fault_ms)
    }

    fn stormy(self, fault_ms: u64) -> Self {
        let weights = weights(self.profile);
        match self.profile {
            Profile::Calm => self,
            Profile::Lossy => Self { fault_ms, weights, slow_one_in: 12, ..self },
            Profile::Crashes => Self { fault_ms, weights, die_one_in: 300, die_directory_one_in: 500, ..self },
            // The stand-in shows the liar where it may falsify.
            Profile::Malicious | Profile::MaliciousBackups => Self { fault_ms, weights, real_seal: false, ..self },
            Profile::Everything => Self {
                fault_ms,
                weights,
                people: 3,
                slow_one_in: 40,
                die_one_in: 600,
                die_directory_one_in: 900,
                ..self
            },
            Profile::Partitions
            | Profile::PeerRollbacks
            | Profile::DirectoryRollbacks
            | Profile::Copies
            | Profile::KeyChanges
            | Profile::Clocks
            | Profile::Years
            | Profile::NoDirect
            | Profile::Disks
            | Profile::Full
            | Profile::TwoDirectories
            | Profile::Restarts => Self { fault_ms, weights, ..self },
        }
    }
}

fn weights(profile: Profile) -> Weights {
    let none = Weights::default();
    let breaks = Weights { break_session: 2, half_open: 1, break_link: 3, ..none };
    let cuts = Weights { cut_off: 3, block_udp: 3, isolate: 2, move_address: 2, half_open: 2, ..none };
    match profile {
        Profile::Calm => none,
        Profile::Lossy => Weights { block_udp: 1, ..breaks },
        Profile::Crashes => Weights { crash: 6, crash_directory: 2, break_session: 1, disk_full: 1, ..none },
        Profile::Partitions => Weights { break_link: 1, ..cuts },
        Profile::PeerRollbacks => {
            Weights { save: 5, put_back: 4, block_udp: 3, cut_off: 2, crash: 1, all_off: 1, ..none }
        }
        Profile::DirectoryRollbacks => {
            Weights { save_directory: 4, put_back_directory: 3, block_udp: 4, cut_off: 2, crash: 2, all_off: 1, ..none }
        }
        Profile::Copies => Weights { copy: 4, crash: 1, block_udp: 1, cut_off: 1, ..none },
        Profile::KeyChanges => Weights { rename: 4, block_udp: 2, crash: 1, cut_off: 1, ..none },
        Profile::Clocks => Weights { step_clock: 5, all_off: 2, crash: 2, block_udp: 3, cut_off: 2, ..none },
        Profile::Years => Weights { years: 6, crash: 2, block_udp: 3, cut_off: 2, all_off: 1, ..none },
        Profile::NoDirect => Weights { crash: 3, crash_directory: 1, cut_off: 2, all_off: 1, half_open: 1, ..none },
        Profile::Disks => Weights {
            write_fails: 6,
            write_fails_directory: 3,
            disk_full: 2,
            block_udp: 3,
            cut_off: 1,
            crash: 1,
            ..none
        },
        Profile::Restarts => Weights {
            save_directory: 3,
            put_back_directory: 5,
            crash_directory: 6,
            write_fails_directory: 1,
            block_udp: 3,
            all_off: 1,
            ..none
        },
        Profile::Malicious => Weights { crash: 3, block_udp: 4, break_session: 3, all_off: 1, ..none },
        Profile::MaliciousBackups | Profile::TwoDirectories | Profile::Full | Profile::Everything => {
            wide(profile, cuts)
        }
    }
}

/// The storms that bring most kinds of faults.
fn wide(profile: Profile, cuts: Weights) -> Weights {
    let none = Weights::default();
    match profile {
        Profile::MaliciousBackups => Weights {
            crash: 2,
            crash_directory: 1,
            save: 4,
            put_back: 3,
            save_directory: 4,
            put_back_directory: 3,
            block_udp: 3,
            break_session: 2,
            ..none
        },
        Profile::TwoDirectories => Weights {
            move_directory: 6,
            crash: 2,
            crash_directory: 4,
            save_directory: 1,
            put_back_directory: 1,
            break_session: 1,
            block_udp: 4,
            cut_off: 1,
            all_off: 1,
            ..none
        },
        Profile::Full => Weights {
            no_room: 6,
            no_room_directory: 3,
            crash: 2,
            crash_directory: 1,
            block_udp: 3,
            cut_off: 1,
            all_off: 1,
            ..none
        },
        _ => Weights {
            no_room: 1,
            no_room_directory: 1,
            years: 1,
            write_fails: 1,
            write_fails_directory: 1,
            crash: 4,
            crash_directory: 2,
            save: 4,
            put_back: 2,
            save_directory: 2,
            put_back_directory: 1,
            copy: 1,
            rename: 1,
            step_clock: 1,
            all_off: 1,
            disk_full: 1,
            break_link: 1,
            break_session: 1,
            ..cuts
        },
    }
}
