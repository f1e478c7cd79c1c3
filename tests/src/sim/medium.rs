//! The disk of a machine with its store: the store's own code on a disk in memory that loses power, fails and fills up on
//! command (crate `crash-vfs`). A program may die at any operation on it. Not here: what a store's answers mean.

use std::path::Path;

use common::identity::PublicKey;
use crash_vfs::{Disk, Fault, Image, NAME};
use directory_server::store::Applied;
use directory_server::store::writer::{Batch, commit_or_refuse};
use peer::storage::{Answered, Store as PeerStore, StoreError as PeerError, Written};

use super::dice::Dice;
use crate::proof::power;

/// Bytes that a full disk takes at most before it refuses.
const LAST_ROOM_BYTES: u64 = 96 * 1024;
/// A fault strikes within so many operations.
const FAULT_WITHIN: u64 = 24;

/// Why a store did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There is no room; nothing happened.
    Full,
    /// It has failed, or cannot be opened, and says why.
    Failed(String),
}

/// A store of either program.
pub(crate) trait Stored: Sized {
    /// Whose it is.
    type Owner: Copy;
    type Batch: Clone;
    type Answer;
    fn open(path: &Path, owner: Self::Owner) -> Result<Self, Trouble>;
    /// One transaction, as the store's thread does it.
    fn write(&mut self, batch: &Self::Batch) -> Result<Self::Answer, Trouble>;
    fn checkpoint(&mut self) -> Result<(), Trouble>;
    fn leave(self) -> Result<(), Trouble>;
}

/// A disk and the store on it.
#[derive(Debug)]
pub(crate) struct Medium<S: Stored> {
    owner: S::Owner,
    disk: Disk,
    /// None: nobody has it open.
    store: Option<S>,
    /// Bytes that it takes in all.
    room: Option<u64>,
    /// Something other than a lack of room is to fail.
    spoilt: bool,
    /// It has failed, and what it could not flush may still be read.
    unflushed: bool,
}

/// What was found of the transaction under way after a death.
pub(crate) enum Found<A> {
    /// It never happened.
    Before,
    /// It did, with these answers.
    After(A),
}

impl<S: Stored> Medium<S> {
    pub(crate) fn new(owner: S::Owner) -> Self {
        Self::of(Image::default(), owner)
    }

    /// A disk with the content of another one.
    pub(crate) fn of(image: Image, owner: S::Owner) -> Self {
        Self { owner, disk: Disk::from_image(image), store: None, room: None, spoilt: false, unflushed: false }
    }

    /// The disk as it is, with what is not flushed.
    pub(crate) fn image(&self) -> Image {
        self.disk.image()
    }

    /// A copy of its files.
    pub(crate) fn copy(&self) -> Image {
        self.disk.image().flushed()
    }

    /// Opens the store unless it is open, in the way of the programs: a log that was left is copied first.
    pub(crate) fn open(&mut self) -> Result<&mut S, Trouble> {
        if self.store.is_none() {
            match self.room {
                None => {
                    self.disk.renew(&format!("{}-wal", power::FILE));
                    self.unflushed = false;
                }
                // Of a disk that fails and is full at the next start nothing is promised (decision 0013).
                Some(_) if self.unflushed => return Err(Trouble::Full),
                Some(_) => {}
            }
            self.store = Some(S::open(&self.disk.path(power::FILE), self.owner)?);
        }
        self.store.as_mut().ok_or(Trouble::Full)
    }

    /// One transaction. After a failure nobody has the store open any more.
    pub(crate) fn write(&mut self, batch: &S::Batch) -> Result<S::Answer, Trouble> {
        self.open()?.write(batch)
    }

    /// Brings in the log and tries again, as the stores' threads do when there is no room.
    pub(crate) fn write_again(&mut self, batch: &S::Batch) -> Result<S::Answer, Trouble> {
        let store = self.open()?;
        store.checkpoint()?;
        store.write(batch)
    }

    /// The program leaves in order.
    pub(crate) fn leave(&mut self) -> Result<(), Trouble> {
        match self.store.take().map_or(Ok(()), S::leave) {
            Err(Trouble::Full) => Ok(()),
            other => other,
        }
    }

    /// The next write or flush but some fails, whatever program does it.
    pub(crate) fn spoil(&mut self, dice: &mut Dice) {
        let fault = if dice.one_in(2) { Fault::Write } else { Fault::Sync };
        self.spoilt = true;
        self.disk.fail_at(fault, dice.between(1, FAULT_WITHIN));
    }

    /// Whether a failure was asked for, and not met yet. Met now.
    pub(crate) fn takes_blame(&mut self) -> bool {
        std::mem::take(&mut self.spoilt)
    }

    /// From now on it takes a little more, and then nothing.
    pub(crate) fn fill_up(&mut self, dice: &mut Dice) {
        let left = if dice.one_in(3) { 0 } else { dice.below(LAST_ROOM_BYTES) };
        self.room = Some(self.disk.image().bytes() as u64 + left);
        self.disk.set_room(self.room);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.room.is_some()
    }

    /// There is room again.
    pub(crate) fn clear(&mut self) {
        self.room = None;
        self.disk.set_room(None);
    }

    /// Nothing fails any more.
    pub(crate) fn heal(&mut self) {
        self.clear();
        self.spoilt = false;
        self.disk.fail_at(Fault::Write, u64::MAX);
    }

    /// The program dies at some operation of the transaction under way; with it the power, perhaps. What is found then must
    /// be the disk before that transaction or the one after it.
    pub(crate) fn die(
        &mut self,
        under_way: Option<&S::Batch>,
        power_lost: bool,
        dice: &mut Dice,
    ) -> Result<Found<S::Answer>, String> {
        let before = self.disk.image();
        if self.store.is_none() || (under_way.is_none() && !power_lost) {
            self.become_image(before);
            return Ok(Found::Before);
        }
        self.disk.record();
        let answer = match under_way {
            Some(batch) => self.open().and_then(|store| store.write(batch)).ok(),
            None => {
                // Perhaps it was bringing in the log. What that fails with dies with the program.
                let _ = self.open().and_then(S::checkpoint);
                None
            }
        };
        let history = self.disk.history();
        let after = self.disk.image();
        let cut = usize::try_from(dice.below(history.len() as u64 + 1)).unwrap_or(0);
        let left = history.cuts().nth(cut).unwrap_or(after.clone());
        let left = if power_lost { left.crash(dice.rng()) } else { left };
        self.become_image(left.clone());
        let found = content(left)?;
        if found == content(before.clone())? {
            return Ok(Found::Before);
        }
        let after = match (answer, under_way) {
            (Some(answer), _) => Some((answer, after)),
            // What found no room may be in the log all the same.
            (None, Some(batch)) => self.as_if(before, batch),
            (None, None) => None,
        };
        match after {
            Some((answer, after)) if found == content(after.clone())? => Ok(Found::After(answer)),
            _ => Err(format!(
                "after its death at operation {cut} of {} (power lost: {power_lost}) a disk holds neither what was \
                 committed nor what was under way",
                history.len()
            )),
        }
    }

    /// The store has failed in a transaction: which of the two is on the disk?
    pub(crate) fn fail(&mut self, under_way: &S::Batch, before: Image) -> Result<Found<S::Answer>, String> {
        let left = self.disk.image();
        self.become_image(left.clone());
        self.unflushed = true;
        let found = content(left)?;
        if found == content(before.clone())? {
            return Ok(Found::Before);
        }
        match self.as_if(before, under_way) {
            Some((answer, after)) if found == content(after.clone())? => Ok(Found::After(answer)),
            _ => Err("a disk that failed holds neither what was committed nor what was under way".to_owned()),
        }
    }

    /// What a disk would be that did not fail.
    fn as_if(&self, before: Image, batch: &S::Batch) -> Option<(S::Answer, Image)> {
        let mut other = Self::of(before, self.owner);
        let answer = other.write(batch).ok()?;
        Some((answer, other.image()))
    }

    /// Nobody has the store open any more, and the disk is this.
    fn become_image(&mut self, image: Image) {
        // Closing writes nothing then.
        self.disk.power_off();
        self.store = None;
        self.disk = Disk::from_image(image);
        self.disk.set_room(self.room);
        // A failure that was to come has come with the death, or never will.
        self.spoilt = false;
    }
}

/// Every row of every table in one number.
fn content(image: Image) -> Result<u64, String> {
    let disk = Disk::from_image(image);
    let read = || power::content(&power::look(&disk)?);
    read().map_err(|error| format!("a disk cannot be read: {error:#}"))
}

impl Stored for PeerStore {
    type Owner = PublicKey;
    type Batch = Vec<Written>;
    type Answer = Vec<Answered>;

    fn open(path: &Path, owner: PublicKey) -> Result<Self, Trouble> {
        Ok(Self::open_on(NAME, path, owner)?)
    }

    fn write(&mut self, batch: &Vec<Written>) -> Result<Vec<Answered>, Trouble> {
        Ok(self.commit(batch)?)
    }

    fn checkpoint(&mut self) -> Result<(), Trouble> {
        Ok(self.make_room()?)
    }

    fn leave(self) -> Result<(), Trouble> {
        Ok(self.close()?)
    }
}

impl From<PeerError> for Trouble {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::Full => Self::Full,
            other => Self::Failed(other.to_string()),
        }
    }
}

/// The directory's store.
pub(crate) type DirectoryStore = directory_server::store::Store;

impl Stored for DirectoryStore {
    type Owner = [u8; 16];
    type Batch = Batch;
    type Answer = Applied;

    fn open(path: &Path, owner: [u8; 16]) -> Result<Self, Trouble> {
        Ok(Self::open_on(NAME, path, owner)?)
    }

    fn write(&mut self, batch: &Batch) -> Result<Applied, Trouble> {
        // Nobody waits for room here: the world does.
        Ok(commit_or_refuse(self, batch, || false)?)
    }

    fn checkpoint(&mut self) -> Result<(), Trouble> {
        Ok(self.make_room()?)
    }

    fn leave(self) -> Result<(), Trouble> {
        Ok(self.close()?)
    }
}

impl From<directory_server::store::StoreError> for Trouble {
    fn from(error: directory_server::store::StoreError) -> Self {
        if error.is_full() { Self::Full } else { Self::Failed(error.to_string()) }
    }
}
