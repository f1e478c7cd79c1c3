//! What asking costs: rows that a question may read or write in the store, and its share of the request rate. What is
//! allowed is a matter of limits, and not here.

use common::limits::GROUPS_PAGE;
use common::wire::directory::ToDirectory;

use crate::event::{FileOp, GroupOp, StoreOp};

/// Rows of names that one page of people may look through, by which it weighs as below.
pub const WHO_ROWS_MAX: usize = 20_000;
/// For each row of a page of groups: its name, what the asker is to it, and as much again for private groups.
const LISTED_ROWS: usize = 4;
/// Rows that a step reads and writes, the members who are to hear of it read in order among them.
const STEP_ROWS: usize = 16;
/// A row only read in order costs about so much less than one that is looked up or written.
const READ_SHARE: usize = 40;
/// Keys or places of one frame that count as one more request.
const ENTRIES_PER_REQUEST: usize = 50;
/// A question about a file: a piece is as much to read or write as so many rows. What it deletes was paid for when it was put.
const FILE_ROWS: usize = 8;
/// A step that is handed in counts as so many of them: its signature is checked.
const RESTORED_ENTRIES: usize = 12;
/// Sorts of rows that expiry looks for.
const EXPIRY_SORTS: usize = 6;

/// Rows that an operation may touch, at least one.
#[must_use]
pub fn rows(op: &StoreOp) -> usize {
    let rows = match op {
        StoreOp::LastSeen { keys } | StoreOp::Accept { keys, .. } => keys.len(),
        StoreOp::Withdraw { places, .. } | StoreOp::Have { places, .. } => places.len(),
        StoreOp::Take { items, .. } => items.len(),
        StoreOp::Page { limit_items, .. } => *limit_items,
        StoreOp::SlotPage { limit_slots, .. } => *limit_slots,
        StoreOp::Who { .. } => WHO_ROWS_MAX / READ_SHARE,
        StoreOp::Expire(op) => op.limit as usize * EXPIRY_SORTS,
        StoreOp::Group(GroupOp::Step(_)) => STEP_ROWS,
        StoreOp::Group(GroupOp::Restore(op)) => STEP_ROWS * op.steps.len(),
        StoreOp::Group(GroupOp::Steps { limit, .. }) => limit / READ_SHARE + 2,
        StoreOp::Group(GroupOp::News { limit, .. }) => GROUPS_PAGE + limit / READ_SHARE,
        StoreOp::Group(GroupOp::List { limit, .. }) => limit * LISTED_ROWS,
        StoreOp::File(_) => FILE_ROWS,
        StoreOp::LoadAccount { .. }
        | StoreOp::OfferToken { .. }
        | StoreOp::ConfirmToken { .. }
        | StoreOp::Register { .. }
        | StoreOp::Deregister { .. }
        | StoreOp::Online { .. }
        | StoreOp::WentOffline { .. }
        | StoreOp::PutPrekey { .. }
        | StoreOp::LookUp { .. }
        | StoreOp::Waiting { .. }
        | StoreOp::Deposit(_)
        | StoreOp::PutSlot(_)
        | StoreOp::TakeSlot { .. } => 1,
    };
    rows.max(1)
}

/// How much an operation depends on room on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// It makes room, overwrites, reads, or is what a known key needs to log in.
    None,
    /// It adds little or nothing, and what is lost without it is only late.
    Little,
    /// It adds something.
    Much,
}

/// See [`Need`].
#[must_use]
pub fn need(op: &StoreOp) -> Need {
    match op {
        StoreOp::Deposit(_)
        | StoreOp::Register { .. }
        | StoreOp::Accept { .. }
        | StoreOp::Group(GroupOp::Step(_) | GroupOp::Restore(_))
        | StoreOp::File(FileOp::Begin(_) | FileOp::Put(_)) => Need::Much,
        StoreOp::PutSlot(_) => Need::Little,
        StoreOp::LoadAccount { .. }
        | StoreOp::OfferToken { .. }
        | StoreOp::ConfirmToken { .. }
        | StoreOp::Deregister { .. }
        | StoreOp::Online { .. }
        | StoreOp::WentOffline { .. }
        | StoreOp::PutPrekey { .. }
        | StoreOp::LookUp { .. }
        | StoreOp::Who { .. }
        | StoreOp::LastSeen { .. }
        | StoreOp::Withdraw { .. }
        | StoreOp::Have { .. }
        | StoreOp::Take { .. }
        | StoreOp::Page { .. }
        | StoreOp::Waiting { .. }
        | StoreOp::Group(_)
        | StoreOp::File(FileOp::Get { .. } | FileOp::Drop { .. })
        | StoreOp::TakeSlot { .. }
        | StoreOp::SlotPage { .. }
        | StoreOp::Expire(_) => Need::None,
    }
}

/// How many requests a frame counts as; none: deposits, takes and acknowledgements are not rationed, nor are pieces.
#[must_use]
pub fn requests(frame: &ToDirectory) -> Option<u32> {
    let entries = match frame {
        ToDirectory::Deposit(_)
        | ToDirectory::Withdraw(_)
        | ToDirectory::Take(_)
        | ToDirectory::PutSlot(_)
        | ToDirectory::TakeSlot(_)
        | ToDirectory::PutPiece(_)
        | ToDirectory::GetPiece(_)
        | ToDirectory::DropFile(_)
        | ToDirectory::ConfirmToken(_) => return None,
        ToDirectory::Hello(_)
        | ToDirectory::Register(_)
        | ToDirectory::Deregister(_)
        | ToDirectory::Online(_)
        | ToDirectory::Offline(_)
        | ToDirectory::LookUp(_)
        | ToDirectory::PublishPrekey(_)
        | ToDirectory::SetStanding(_)
        | ToDirectory::Broadcast(_)
        | ToDirectory::BeginFile(_)
        | ToDirectory::Ping(_) => 0,
        ToDirectory::ChangeGroup(_) | ToDirectory::LookUpGroup(_) | ToDirectory::ListGroups(_) => {
            4 * ENTRIES_PER_REQUEST
        }
        ToDirectory::RestoreGroup(frame) => RESTORED_ENTRIES * frame.steps.len(),
        ToDirectory::FollowGroups(_) => GROUPS_PAGE,
        ToDirectory::Who(_) => 4 * ENTRIES_PER_REQUEST,
        ToDirectory::Watch(frame) => frame.add.len() + frame.remove.len(),
        ToDirectory::Have(frame) => frame.places.len(),
        ToDirectory::Accept(frame) => frame.keys.len(),
    };
    Some(1 + u32::try_from(entries / ENTRIES_PER_REQUEST).unwrap_or(u32::MAX - 1))
}
