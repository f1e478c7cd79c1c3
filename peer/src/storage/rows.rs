//! Small words that several files of the store share: who changes what, and lengths of time as columns. No SQL here.

use common::identity::PublicKey;
use common::message::MessageId;

/// Longest countdown and latest time that are counted with: what others claim may be any number.
const FAR_MS: i64 = i64::MAX / 4;

/// Who changes something, by which message, in which conversation.
pub struct By {
    /// That message's number.
    pub n: i64,
    /// Who wrote it.
    pub sender: PublicKey,
    /// Its identity: of several the highest counts.
    pub id: MessageId,
    /// The group, empty in a pair.
    pub group: Vec<u8>,
    /// The other person of the pair.
    pub other: PublicKey,
}

/// A length of time as a column that can be counted with.
pub fn span(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(FAR_MS).min(FAR_MS)
}
