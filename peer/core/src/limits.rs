//! Sizes, counts and times of a messenger, with units. Those both roles share stand in `common::limits`.

/// Nothing acknowledged on a direct attempt after so many milliseconds: it has failed.
pub const DIRECT_TIMEOUT_MS: u64 = 1_500;
/// After a failed direct attempt, deposits do not wait for another for so many milliseconds.
pub const DIRECT_DISTRUST_MS: u64 = 30_000;
/// A look-up of an unknown name may take so long, milliseconds.
pub const LOOKUP_TIMEOUT_MS: u64 = 5_000;
/// Without progress for so long, a gap is shown, milliseconds.
pub const GAP_PATIENCE_MS: u64 = 5_000;
/// Flush at quit and end of input, milliseconds.
pub const FLUSH_MS: u64 = 5_000;
/// A kept message is offered again directly when it is unacknowledged so long after the recipient returned, milliseconds.
pub const OFFER_AGAIN_MS: u64 = 10_000;
/// Reconnecting to the directory: first delay, milliseconds.
pub const RECONNECT_MIN_MS: u64 = 500;
/// Reconnecting to the directory: longest delay, milliseconds.
pub const RECONNECT_MAX_MS: u64 = 15_000;
/// Redialling a peer: first delay, milliseconds.
pub const REDIAL_MIN_MS: u64 = 1_000;
/// Redialling a peer: longest delay, milliseconds.
pub const REDIAL_MAX_MS: u64 = 30_000;
/// A peer is redialled without a message waiting if one was exchanged so recently, milliseconds.
pub const REDIAL_INTEREST_MS: u64 = 10 * 60_000;
/// Somebody in a common group is dialled without a message waiting, until so many dials in a row have failed.
pub const WARM_DIALS_MAX: u32 = 4;
/// Of two in a common group the one with the larger key dials so long after the other came, milliseconds.
pub const WARM_SECOND_MS: u64 = 4_000;
/// Somebody who had no room for a link is not dialled for so long without a message waiting, milliseconds.
pub const SPARED_MS: u64 = 10 * 60_000;
/// Own messages not yet settled, all lanes together.
pub const OUTBOX_MAX: usize = 100_000;
/// Bytes of their bodies.
pub const OUTBOX_MAX_BYTES: usize = 256 * 1024 * 1024;
/// Free disk below which no message is stored: this share of the disk, one in so many ...
pub const DISK_FLOOR_SHARE: u64 = 16;
/// ... and no more than so many bytes. What is left is for acknowledgements, settling and the log.
pub const DISK_FLOOR_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Envelopes from links that wait in memory for room on the disk.
pub const PARKED_DIRECT_MAX: usize = 2_000;
/// Bytes of their bodies.
pub const PARKED_DIRECT_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Items of the mailbox that do; more than a directory hands out without hearing that they are taken.
pub const PARKED_ITEMS_MAX: usize = 512;
/// A message held because the directory's disk is full or its store failed is tried again after so long, milliseconds.
pub const DIRECTORY_ROOM_RETRY_MS: u64 = 2_500;
/// Links to known people.
pub const LINKS_KNOWN_MAX: usize = 64;
/// Links to strangers.
pub const LINKS_STRANGERS_MAX: usize = 8;
/// A link that stood for less is not redialled at once, milliseconds. Longer than strangers are suffered.
pub const LINK_BRIEF_MS: u64 = STRANGER_IDLE_MS + 5_000;
/// Messages taken directly in one run from somebody who is not accepted.
pub const STRANGER_MESSAGES_MAX: u32 = 200;
/// Bytes of them.
pub const STRANGER_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of bodies on their way on one link, unacknowledged: less than what the transport holds for a link.
pub const LINK_FLIGHT_MAX_BYTES: usize = 1024 * 1024;
/// Changes of presence are gathered for so long before they are told, milliseconds.
pub const NOTICE_GATHER_MS: u64 = 500;
/// A standing that the directory refused for its rate is told again after so long, milliseconds.
pub const STANDING_RETRY_MS: u64 = 1_000;
/// Speakers of broadcasts whose last one is remembered.
pub const SHOUTERS_MAX: usize = 1_000;
/// A session that says nothing for so long after the network changed is given up, milliseconds.
pub const PROBE_MS: u64 = 5_000;
/// What no prekey is known for is tried again after so long, milliseconds.
pub const PREKEY_RETRY_MS: u64 = 30_000;
/// A stranger's link idle for so long is closed, milliseconds.
pub const STRANGER_IDLE_MS: u64 = 10_000;
/// Prekeys are replaced after so long, milliseconds.
pub const PREKEY_ROTATE_MS: u64 = common::limits::DAY_MS;
/// A prekey that was lost is replaced at most once in so long, milliseconds.
pub const PREKEY_RENEW_MS: u64 = 5 * 60_000;
/// Counters of prekeys follow the clock; one so far ahead of it is a lie, milliseconds.
pub const PREKEY_AHEAD_MS: u64 = 3_650 * common::limits::DAY_MS;
/// A replaced prekey is kept at least so long, milliseconds.
pub const PREKEY_GRACE_MS: u64 = common::limits::HOUR_MS;
/// A replaced prekey is destroyed at the latest after so long, milliseconds.
pub const PREKEY_LAST_MS: u64 = 35 * common::limits::DAY_MS;
/// Times a recipient may fail to open a message before it is held.
pub const CANNOT_OPEN_MAX: u32 = 3;
/// A wall clock step of more than this needs the directory's word before it counts as elapsed time, milliseconds.
pub const CLOCK_TRUST_MS: i64 = 3_600_000;
/// Pair state versions reserved with one commit.
pub const VERSION_RESERVE: u64 = 1_000_000;
/// Names that stay pinned to one key of one directory. A key that was given more is called by the last of them.
pub const NAMES_OF_ONE_MAX: usize = 16;
/// Keys that the user has refused, remembered for each name.
pub const REFUSED_MAX: usize = 16;
/// Most messages of one `!history`.
pub const HISTORY_MAX: u32 = 10_000;
/// Messages of one `!history` without a count.
pub const HISTORY_DEFAULT: u32 = 20;
/// Most messages of one `!search`: the newest.
pub const SEARCH_MAX: u32 = 100;
/// Most characters of an idempotency key.
pub const KEY_MAX_CHARS: usize = 64;
