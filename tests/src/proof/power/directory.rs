//! The directory's store under the script: people, deposits, pages and takings, withdrawals, slots, tokens, files, in batches as
//! the writer makes them.

use anyhow::{Result, ensure};
use common::identity::{Identity, PublicKey};
use common::message::{EpochId, MessageId};
use common::name::Name;
use common::piece::sealed_bytes;
use common::record::{Binding, Bound};
use common::wire::directory::{BeginFile, Deposit, Place, PutPiece, PutSlot, Taking};
use crash_vfs::{Disk, NAME};
use directory_core::event::{BeginFileOp, CheckedPrekey, DepositOp, FileOp, FileResult, PutPieceOp, PutSlotOp};
use directory_core::limits::Limits;
use directory_core::{StoreOp, StoreResult, Ticket};
use directory_server::store::Store;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::{FILE, MESSAGES, OnAnswer, Subject};
use crate::hostile::{prekey_of, stranger};

const PEOPLE: u64 = 4;
const STORE_ID: [u8; 16] = [9; 16];
/// The log goes into the file after so many batches.
const CHECKPOINT_EVERY: u64 = 9;

pub(super) const SUBJECT: Subject = Subject {
    name: "directory",
    script,
    go_on,
    contradictions: include_str!("../../../../directory-server/src/store/recounts.sql"),
};

/// Binds a name to the identity of this number, which accepts the first of all.
pub fn registration(number: u64) -> Result<[StoreOp; 2]> {
    let (owner, directory) = (stranger(number), Identity::from_seed(&[99; 32]));
    let name: Name = format!("person{number}").parse()?;
    let bound = Bound { directory: directory.public(), name: name.clone(), key: owner.public(), serial: number + 1 };
    let register = StoreOp::Register {
        key: owner.public(),
        name,
        binding: Binding::sign(&directory, &bound),
        serial: number + 1,
        prekey: CheckedPrekey { counter: 1, record: prekey_of(&owner) },
        now_ms: 1_000,
    };
    let keys = vec![stranger(0).public()];
    Ok([register, StoreOp::Accept { key: owner.public(), keys, limit: 100 }])
}

/// An item for the person of number `to`.
pub fn deposit(from: PublicKey, to: u64, seq: u64, sealed: Vec<u8>) -> StoreOp {
    let place = Place { recipient: stranger(to).public(), epoch: EpochId([1; 16]), seq };
    let deposit =
        Deposit { place, tag: seq.to_be_bytes(), prekey: 1, urgent: seq.is_multiple_of(9), human: true, sealed };
    let limits = Limits::default().mailbox;
    StoreOp::Deposit(Box::new(DepositOp { submitter: from, deposit, waited: true, now_ms: 2_000, limits }))
}

/// What one message number makes of the script.
fn ops(number: u64, dice: &mut ChaCha8Rng) -> Vec<StoreOp> {
    let to = number % PEOPLE;
    let (from, seq) = ((to + 1 + number / PEOPLE % 2) % PEOPLE, number / PEOPLE + 1);
    let (submitter, recipient) = (stranger(from).public(), stranger(to).public());
    let mut sealed = vec![0; [1_100, 4_200, 1_100, 20_500][(number % 4) as usize]];
    dice.fill_bytes(&mut sealed);
    let mut ops = vec![deposit(submitter, to, seq, sealed)];
    if number % 6 == 5 {
        let taking = |item| (item, if item % 7 == 0 { Taking::NotOpened } else { Taking::Stored });
        let items = (number.saturating_sub(16)..number.saturating_sub(4)).map(taking).collect();
        ops.push(StoreOp::Take { recipient, items, now_ms: 3_000 });
    }
    if number % 10 == 3 {
        let slot = PutSlot { recipient, prekey: 1, sealed: vec![number as u8; 300] };
        let limits = Limits::default().slots;
        ops.push(StoreOp::PutSlot(Box::new(PutSlotOp {
            from: submitter,
            slot,
            now_ms: 2_000,
            may_grow: true,
            limits,
        })));
    }
    if number % 14 == 9 {
        let places = vec![Place { recipient, epoch: EpochId([1; 16]), seq: seq.saturating_sub(2).max(1) }];
        ops.push(StoreOp::Withdraw { submitter, places });
    }
    if number % 25 == 1 {
        ops.push(StoreOp::OfferToken { key: submitter, token: [number as u8; 16], proven: None, now_ms: 2_000 });
    }
    ops.extend(files(number).into_iter().map(StoreOp::File));
    ops
}

/// The part of a file of three pieces that belongs to this number: begun, handed over, half taken, ended in one of three ways.
fn files(number: u64) -> Vec<FileOp> {
    let file = number / 5;
    let (submitter, recipient) = (stranger(0).public(), stranger(1 + file % 3).public());
    let offer = MessageId(u128::from(file).to_be_bytes());
    let begin = || {
        let begin = BeginFile { recipient, offer, bytes: sealed_bytes(70_000), pieces: 3 };
        let limits = Limits::default().files;
        FileOp::Begin(Box::new(BeginFileOp { submitter, begin, may_grow: true, now_ms: 2_000, limits }))
    };
    let put = |index: u32| {
        let put = PutPiece { recipient, offer, index, sealed: vec![number as u8; 300] };
        FileOp::Put(Box::new(PutPieceOp { submitter, put, may_grow: true }))
    };
    let get = |index| FileOp::Get { recipient, submitter, offer, index };
    match (number % 5, file % 4) {
        (0, _) => vec![begin(), put(0)],
        (1, _) => vec![put(1), put(2)],
        (2, _) => vec![get(1)],
        (3, 0) => vec![get(3)],
        (3, 1) => vec![FileOp::Drop { key: submitter, submitter, recipient, offer }],
        (3, 2) => vec![FileOp::Drop { key: recipient, submitter, recipient, offer }],
        _ => vec![],
    }
}

fn script(disk: &Disk, seed: u64, answered: OnAnswer<'_>) -> Result<()> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut store = Store::open_on(NAME, &disk.path(FILE), STORE_ID)?;
    answered()?;
    for number in 0..PEOPLE {
        apply(&mut store, registration(number)?.into())?;
        answered()?;
    }
    let (mut number, mut batches) = (0, 0);
    while number < MESSAGES {
        let count = 1 + dice.next_u64() % if batches % 4 == 3 { 9 } else { 4 };
        let end = MESSAGES.min(number + count);
        let ops = (number..end).flat_map(|number| ops(number, &mut dice)).collect();
        for result in apply(&mut store, ops)? {
            let refused = matches!(
                result,
                StoreResult::Deposited { kept: Err(_), .. }
                    | StoreResult::File(FileResult::Room { refusal: Some(_), .. })
            );
            ensure!(!refused, "the store refuses: {result:?}");
        }
        answered()?;
        number = end;
        batches += 1;
        if batches % CHECKPOINT_EVERY == 0 {
            store.checkpoint()?;
        }
        if batches % (2 * CHECKPOINT_EVERY) == 4 {
            store.make_room()?;
        }
    }
    Ok(store.close()?)
}

fn apply(store: &mut Store, ops: Vec<StoreOp>) -> Result<Vec<StoreResult>> {
    let ops = ops.into_iter().map(|op| (Ticket(0), op)).collect();
    Ok(store.apply(ops)?.results.into_iter().map(|(_, result)| result).collect())
}

fn go_on(disk: &Disk) -> Result<()> {
    let mut store = Store::open_on(NAME, &disk.path(FILE), STORE_ID)?;
    let before = store.head()?.commits;
    let (from, to) = (stranger(0).public(), 1);
    let mut ops = registration(0)?.to_vec();
    ops.extend(registration(1)?);
    ops.push(deposit(from, to, 1_000_000, vec![1; 1_100]));
    let kept = apply(&mut store, ops)?.pop();
    ensure!(matches!(kept, Some(StoreResult::Deposited { kept: Ok(_), .. })), "it keeps no more: {kept:?}");
    ensure!(store.head()?.commits == before + 1, "its commits are not counted");
    Ok(store.close()?)
}
