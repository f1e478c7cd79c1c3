//! How words of the contract stand in columns, and back. No SQL here.

use common::body::FileFault;
use common::identity::PublicKey;
use common::message::{Conversation, Epoch, EpochId, MessageId};
use common::wire::directory::Standing;
use peer_core::stored::{FileState, Gone, Reason, State, Via};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Result, Row};

/// States above this code are settled; the schema's queries rely on it.
pub const SETTLED_ABOVE: i64 = 10;

/// Whether copies of an own message in this row of messages are on their way. For `concat!` and `format!`.
macro_rules! unsettled {
    ($table:literal) => {
        concat!(
            "(",
            $table,
            ".mine = 1 AND EXISTS (SELECT 1 FROM outbox o WHERE o.n = ",
            $table,
            ".n AND o.state < 10))"
        )
    };
}
pub(super) use unsettled;

/// A word of the contract in a column.
pub struct Col<T>(pub T);

/// A number without sign as SQLite's signed one of the same bits: what others claim may be any number, and must come
/// back as it was.
pub fn signed(number: u64) -> i64 {
    number.cast_signed()
}

/// The other way.
pub fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

fn state_code(state: State) -> i64 {
    match state {
        State::Queued => 1,
        State::Kept => 2,
        State::Held => 3,
        State::Delivered => 11,
        State::Read => 12,
        State::Expired => 13,
        State::Refused => 14,
        State::Cancelled => 15,
    }
}

const STATES: [State; 8] = [
    State::Queued,
    State::Kept,
    State::Held,
    State::Delivered,
    State::Read,
    State::Expired,
    State::Refused,
    State::Cancelled,
];

fn reason_code(reason: Reason) -> i64 {
    match reason {
        Reason::Undelivered24h => 1,
        Reason::MailboxFull => 2,
        Reason::Quota => 3,
        Reason::StrangersFull => 4,
        Reason::DiskFull => 5,
        Reason::RateLimited => 6,
        Reason::NoSuchUser => 7,
        Reason::KeyChanged => 8,
        Reason::NoPrekey => 9,
        Reason::CannotOpen => 10,
        Reason::DirectoryStore => 11,
        Reason::Blocked => 12,
        Reason::Suspended => 13,
        Reason::Lifetime => 14,
        Reason::User => 15,
    }
}

const REASONS: [Reason; 15] = Reason::ALL;

fn via_code(via: Via) -> i64 {
    match via {
        Via::Direct => 1,
        Via::Directory => 2,
    }
}

fn standing_code(standing: Standing) -> i64 {
    match standing {
        Standing::Online => 1,
        Standing::Away => 2,
        Standing::Busy => 3,
        Standing::Offline => 4,
    }
}

const STANDINGS: [Standing; 4] = [Standing::Online, Standing::Away, Standing::Busy, Standing::Offline];

fn gone_code(gone: Gone) -> i64 {
    match gone {
        Gone::Deleted => 1,
        Gone::Vanished => 2,
        Gone::Forgotten => 3,
    }
}

const GONE: [Gone; 3] = [Gone::Deleted, Gone::Vanished, Gone::Forgotten];

fn file_state_code(state: FileState) -> i64 {
    match state {
        FileState::Offered => 1,
        // What flows was accepted.
        FileState::Accepted | FileState::Progress => 2,
        FileState::Declined => 3,
        FileState::Done => 4,
        FileState::Cancelled => 5,
        FileState::Failed => 6,
    }
}

const FILE_STATES: [FileState; 6] = [
    FileState::Offered,
    FileState::Accepted,
    FileState::Declined,
    FileState::Done,
    FileState::Cancelled,
    FileState::Failed,
];

fn fault_code(fault: FileFault) -> i64 {
    match fault {
        FileFault::Missing => 1,
        FileFault::NoFile => 2,
        FileFault::Unreadable => 3,
        FileFault::NoName => 4,
        FileFault::TooLarge => 5,
        FileFault::Changed => 6,
        FileFault::DiskFull => 7,
        FileFault::HashWrong => 8,
        FileFault::NoPlace => 9,
        FileFault::Withdrawn => 10,
        FileFault::TooMany => 11,
    }
}

const FAULTS: [FileFault; 11] = FileFault::ALL;

const VIAS: [Via; 2] = [Via::Direct, Via::Directory];

fn decode<T: Copy>(value: ValueRef<'_>, all: &[T], code: fn(T) -> i64) -> FromSqlResult<Col<T>> {
    let wanted = value.as_i64()?;
    let found = all.iter().copied().find(|each| code(*each) == wanted);
    found.map(Col).ok_or(FromSqlError::OutOfRange(wanted))
}

macro_rules! column {
    ($word:ty, $all:ident, $code:ident) => {
        impl ToSql for Col<$word> {
            fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
                Ok($code(self.0).into())
            }
        }
        impl FromSql for Col<$word> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                decode(value, &$all, $code)
            }
        }
    };
}

column!(State, STATES, state_code);
column!(Reason, REASONS, reason_code);
column!(Via, VIAS, via_code);
column!(Standing, STANDINGS, standing_code);
column!(Gone, GONE, gone_code);
column!(FileState, FILE_STATES, file_state_code);
column!(FileFault, FAULTS, fault_code);

/// A conversation's two columns: group id (empty for the pair) and membership version.
pub fn conversation_columns(conversation: &Conversation) -> (&[u8], i64) {
    match conversation {
        Conversation::Pair => (&[], 0),
        Conversation::Group { id, membership } => (id, signed(*membership)),
    }
}

/// The conversation of columns `at` and `at + 1`.
pub fn conversation(row: &Row<'_>, at: usize) -> Result<Conversation> {
    if row.get_ref(at)?.as_blob().is_ok_and(<[u8]>::is_empty) {
        return Ok(Conversation::Pair);
    }
    Ok(Conversation::Group { id: row.get(at)?, membership: number(row, at + 1)? })
}

/// The key of column `at`.
pub fn key(row: &Row<'_>, at: usize) -> Result<PublicKey> {
    row.get(at).map(PublicKey)
}

/// The message id of column `at`.
pub fn id(row: &Row<'_>, at: usize) -> Result<MessageId> {
    row.get(at).map(MessageId)
}

/// The message id of column `at`, if any.
pub fn maybe_id(row: &Row<'_>, at: usize) -> Result<Option<MessageId>> {
    Ok(row.get::<_, Option<[u8; 16]>>(at)?.map(MessageId))
}

/// The number without sign of column `at`.
pub fn number(row: &Row<'_>, at: usize) -> Result<u64> {
    row.get(at).map(unsigned)
}

/// The epoch of columns `at` (generation) and `at + 1`.
pub fn epoch(row: &Row<'_>, at: usize) -> Result<Epoch> {
    Ok(Epoch { generation: number(row, at)?, id: EpochId(row.get(at + 1)?) })
}

/// The word of column `at`, if any.
pub fn maybe<T>(row: &Row<'_>, at: usize) -> Result<Option<T>>
where
    Col<T>: FromSql,
{
    Ok(row.get::<_, Option<Col<T>>>(at)?.map(|column| column.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_and_settled_states_lie_above_the_mark() {
        for state in STATES {
            let code = state_code(state);
            assert_eq!(decode(ValueRef::Integer(code), &STATES, state_code).unwrap().0, state);
            assert_eq!(code > SETTLED_ABOVE, state.is_settled(), "{state:?}");
        }
        for reason in Reason::ALL {
            let code = reason_code(reason);
            assert_eq!(decode(ValueRef::Integer(code), &Reason::ALL, reason_code).unwrap().0, reason);
        }
        for gone in GONE {
            assert_eq!(decode(ValueRef::Integer(gone_code(gone)), &GONE, gone_code).unwrap().0, gone);
        }
        for state in FILE_STATES {
            let code = file_state_code(state);
            assert_eq!(decode(ValueRef::Integer(code), &FILE_STATES, file_state_code).unwrap().0, state);
        }
        for fault in FAULTS {
            assert_eq!(decode(ValueRef::Integer(fault_code(fault)), &FAULTS, fault_code).unwrap().0, fault);
        }
        assert!(decode(ValueRef::Integer(99), &Reason::ALL, reason_code).is_err());
    }

    #[test]
    fn codes_that_stand_in_queries_are_what_these_mean_by_them() {
        assert_eq!([State::Delivered, State::Read].map(state_code), [11, 12]);
        assert_eq!(gone_code(Gone::Forgotten), 3);
        use common::body::Body;
        let unlisted: Vec<u16> = (0..100).filter(|kind| !Body::is_line(*kind)).collect();
        assert_eq!(unlisted, [2, 3, 4, 7, 8, 10]);
        let open = [FileState::Offered, FileState::Accepted, FileState::Failed].map(file_state_code);
        assert_eq!(open, [1, 2, 6]);
        assert_eq!([Body::EDIT, Body::DELETE, Body::REACTION], [2, 3, 4]);
    }

    #[test]
    fn numbers_without_sign_come_back_as_they_were() {
        for number in [0, 1, u64::MAX, 1 << 63, (1 << 63) - 1] {
            assert_eq!(unsigned(signed(number)), number);
        }
    }
}
