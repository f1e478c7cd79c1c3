//! Every size, count and time that both roles share, with units; relations are asserted at compile time.
//! Limits of one role only stand in that role's core.

/// Fewest characters of a name.
pub const NAME_MIN_CHARS: usize = 3;
/// Most characters of a name.
pub const NAME_MAX_CHARS: usize = 15;

/// Most bytes of a text message.
pub const TEXT_MAX_BYTES: usize = 16 * 1024;
/// Most bytes of a sign beside a message: one emoji with all that modifies it.
pub const EMOJI_MAX_BYTES: usize = 32;
/// Most bytes of a note beside one's presence.
pub const NOTE_MAX_BYTES: usize = 200;
/// Most bytes of a line to everybody online.
pub const BROADCAST_MAX_BYTES: usize = 4 * 1024;
/// Texts of a conversation go at the earliest so long after they were read, milliseconds.
pub const EXPIRY_MIN_MS: u64 = 1_000;
/// And at the latest: a year.
pub const EXPIRY_MAX_MS: u64 = 365 * DAY_MS;

/// Most members of a group.
pub const GROUP_MEMBERS_MAX: usize = 256;
/// Most steps of a group's chain: then nobody may join any more, only leave or be taken out.
pub const GROUP_STEPS_MAX: u64 = 4_096;
/// Steps in one frame.
pub const GROUP_STEPS_PAGE: usize = 100;
/// Groups in one page, and in one `FollowGroups` frame.
pub const GROUPS_PAGE: usize = 200;

/// Plain bytes that a sealed item is padded to, by class.
pub const SEAL_CLASSES_BYTES: [usize; 3] = [1024, 4 * 1024, 20 * 1024];
/// Most bytes of a sealed item or slot.
pub const SEALED_MAX_BYTES: usize = 24 * 1024;
/// Bytes of an X-Wing public key.
pub const PREKEY_BYTES: usize = 1216;

/// Most bytes of a frame, kind included, after login and between peers.
pub const FRAME_MAX_BYTES: usize = 64 * 1024;
/// Most bytes of a frame before login.
pub const FRAME_LOGIN_MAX_BYTES: usize = 4 * 1024;
/// TLS and login as a whole, milliseconds.
pub const LOGIN_TIMEOUT_MS: u64 = 10_000;
/// A peer pings its directory after so many milliseconds of silence.
pub const KEEP_ALIVE_MS: u64 = 30_000;
/// A session silent for so many milliseconds is dead, on both ends.
pub const SESSION_DEAD_MS: u64 = 90_000;

/// Most addresses a peer publishes.
pub const CANDIDATES_MAX: usize = 4;
/// People in one page.
pub const WHO_PAGE: usize = 200;
/// Keys in one `Watch` frame.
pub const WATCH_MAX: usize = 1_000;
/// Places in one `Have` or `Withdraw` frame.
pub const HAVE_MAX: usize = 500;
/// Items in one `Take` frame.
pub const TAKE_MAX: usize = 1_000;

/// Envelopes of a lane that may be on their way at once: seqs from the floor on.
pub const LANE_WINDOW: u64 = 2_000;
/// Missing ranges a recipient keeps for one lane; what needs more is refused unstored.
pub const LANE_MISSING_RANGES_MAX: usize = 2_048;

/// A message is given up after so many milliseconds, unless delivered: 30 days.
pub const MESSAGE_LIFETIME_MS: u64 = 30 * DAY_MS;
/// The directory keeps an item so long at most: 35 days.
pub const ITEM_LIFETIME_MS: u64 = 35 * DAY_MS;
/// First warning about an undelivered message.
pub const UNDELIVERED_WARNING_MS: u64 = DAY_MS;

/// Items that a directory keeps for one recipient.
pub const MAILBOX_ITEMS_MAX: u64 = 10_000;
/// Sealed MiB that a directory keeps for one recipient.
pub const MAILBOX_MIB_MAX: u64 = 64;
/// Items that a directory keeps from one submitter for one recipient.
pub const PAIR_ITEMS_MAX: u64 = 2_000;
/// Items that a directory keeps from one submitter for everybody.
pub const SUBMITTER_ITEMS_MAX: u64 = 5_000;
/// Sealed MiB that a directory keeps from one submitter for everybody.
pub const SUBMITTER_MIB_MAX: u64 = 128;
/// Items that a directory keeps for one recipient from people whom the recipient has not accepted.
pub const STRANGER_ITEMS_MAX: u64 = 200;

/// Bytes of a part of a file that is checked on its own, when it comes on a link. A power of two: a subtree of BLAKE3.
pub const FILE_PART_BYTES: u64 = 1024 * 1024;
/// Bytes of a piece of a file, when it travels through the directory.
pub const PIECE_BYTES: u64 = 32 * 1024;
/// Most bytes of a sealed piece.
pub const PIECE_SEALED_MAX_BYTES: usize = PIECE_BYTES as usize + 64;
/// Pieces of files that one peer asks a directory for before it has read the answers.
pub const PIECES_ASKED_MAX: usize = 4;
/// Most bytes of a file that a directory keeps: larger ones wait until both are there. MiB.
pub const KEPT_FILE_MIB_MAX: u64 = 10;
/// MiB of files that a directory keeps for one recipient.
pub const MAILBOX_FILES_MIB_MAX: u64 = 1024;
/// MiB of files that a directory keeps from one submitter for everybody.
pub const SUBMITTER_FILES_MIB_MAX: u64 = 1024;
/// Files that a directory keeps from one submitter for one recipient.
pub const PAIR_FILES_MAX: u64 = 100;
/// Files that a directory keeps for one recipient from people whom the recipient has not accepted.
pub const STRANGER_FILES_MAX: u64 = 50;

/// A day in milliseconds.
pub const DAY_MS: u64 = 24 * HOUR_MS;
/// An hour in milliseconds.
pub const HOUR_MS: u64 = 3_600_000;

const _: () = {
    assert!(SEAL_CLASSES_BYTES[2] > TEXT_MAX_BYTES + 2048);
    assert!(SEALED_MAX_BYTES > SEAL_CLASSES_BYTES[2] + 2048);
    assert!(FRAME_MAX_BYTES > SEALED_MAX_BYTES + 1024);
    assert!(FRAME_LOGIN_MAX_BYTES > 2 * PREKEY_BYTES);
    assert!(MESSAGE_LIFETIME_MS < ITEM_LIFETIME_MS);
    assert!(SESSION_DEAD_MS >= 3 * KEEP_ALIVE_MS);
    assert!(LANE_MISSING_RANGES_MAX as u64 > LANE_WINDOW);
    assert!(FRAME_MAX_BYTES > PIECE_SEALED_MAX_BYTES + 1024);
    assert!(FILE_PART_BYTES.is_power_of_two() && FILE_PART_BYTES.is_multiple_of(PIECE_BYTES));
};
