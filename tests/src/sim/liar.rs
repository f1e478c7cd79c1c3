//! A malicious directory: a layer between an honest core and the peers that drops, doubles, delays, reorders and replays
//! frames of any session, and lies in all the ways a directory can. It cannot open what is sealed nor sign for a peer, but
//! its own word for names it can give for any key.

use common::identity::PublicKey;
use common::name::Name;
use common::record::{Binding, Bound};
use common::wire::directory::{
    BeginFile, Behind, DepositAnswer, Deposited, Done, Fate, FileRoom, FromDirectory, Item, NotOpened, Person, Piece,
    Presence, PutPiece, Refusal, Refused, Standing, TakenOver, ToDirectory,
};

use super::world::{BEGIN_MS, What, World};

/// Frames remembered for each machine.
const REMEMBERED: usize = 120;
/// One frame in so many is treated badly.
const BAD_ONE_IN: u64 = 7;
/// One answer about somebody known in so many has no lie about their name: there are few such answers.
const NAMED_ONE_IN: u64 = 4;

/// What a malicious directory remembers.
#[derive(Debug, Default)]
pub(crate) struct Liar {
    /// Frames once sent to each machine.
    past: Vec<Vec<FromDirectory>>,
    /// Names invented for keys that have others.
    invented: u64,
    /// New names that users were told of, and keys that they have refused.
    pub(crate) renamed: u64,
    pub(crate) refused: u64,
}

impl World {
    fn lies(&self) -> bool {
        self.plan.malicious && !self.healed
    }

    /// What a machine is sent in place of an honest frame, on its connection `place`.
    pub(crate) fn twist(&mut self, place: usize, machine: usize, frame: FromDirectory) -> Vec<FromDirectory> {
        if !self.lies() {
            return vec![frame];
        }
        self.remember(machine, &frame);
        if let FromDirectory::Person(person) = &frame
            && !self.dice.one_in(NAMED_ONE_IN)
            && let Some(lie) = self.misnamed(machine, person.clone())
        {
            return vec![lie.into()];
        }
        if !self.dice.one_in(BAD_ONE_IN) {
            return vec![frame];
        }
        match self.dice.below(9) {
            0 => vec![],
            1 => vec![frame.clone(), frame],
            2 | 3 => {
                let delay_ms = self.dice.between(10, 20_000);
                self.after(delay_ms, What::Late(place, Box::new(frame)));
                vec![]
            }
            4 | 5 => {
                let from = if self.dice.one_in(3) { self.any_machine() } else { machine };
                let past = self.liar.past.get(from).cloned().unwrap_or_default();
                let at = usize::try_from(self.dice.below(past.len() as u64)).unwrap_or(0);
                past.get(at).cloned().into_iter().chain([frame]).collect()
            }
            6 => {
                let invented = self.invented(machine);
                invented.into_iter().chain([frame]).collect()
            }
            _ => vec![self.falsified(machine, frame)],
        }
    }

    fn remember(&mut self, machine: usize, frame: &FromDirectory) {
        let past = &mut self.liar.past;
        past.resize_with(past.len().max(machine + 1), Vec::new);
        if past[machine].len() >= REMEMBERED {
            let at = usize::try_from(self.dice.below(REMEMBERED as u64)).unwrap_or(0);
            past[machine].swap_remove(at);
        }
        past[machine].push(frame.clone());
    }

    /// A frame kept back comes after all.
    pub(crate) fn late_frame(&mut self, place: usize, frame: FromDirectory) {
        if self.conns[place].is_open() {
            self.push_frame_down(place, frame);
        }
    }

    /// Whether a frame for the directory is answered with a lie and goes no further.
    pub(crate) fn swallows(&mut self, place: usize, frame: &ToDirectory) -> bool {
        if !self.lies() || !self.dice.one_in(BAD_ONE_IN) {
            return false;
        }
        match frame {
            ToDirectory::Deposit(deposit) => {
                const REFUSALS: [fn() -> Refusal; 5] = [
                    || Refusal::MailboxFull,
                    || Refusal::NoSuchUser,
                    || Refusal::Conflict,
                    || Refusal::QuotaExceeded,
                    || Refusal::Invalid,
                ];
                let refusal = if self.dice.one_in(2) { self.dice.pick(&REFUSALS).map(|make| make()) } else { None };
                let answers = vec![DepositAnswer { place: deposit.place, refusal }];
                self.push_frame_down(place, Deposited { answers }.into());
                true
            }
            ToDirectory::BeginFile(BeginFile { recipient, offer, .. })
            | ToDirectory::PutPiece(PutPiece { recipient, offer, .. }) => {
                let room = FileRoom { recipient: *recipient, offer: *offer, next: 0, refusal: None };
                let room = self.falsified_room(room);
                self.push_frame_down(place, room.into());
                true
            }
            ToDirectory::Ping(_) | ToDirectory::Hello(_) => false,
            _ => true,
        }
    }

    fn any_machine(&mut self) -> usize {
        usize::try_from(self.dice.below(self.machines.len() as u64)).unwrap_or(0)
    }

    fn any_key(&mut self) -> PublicKey {
        let other = self.any_machine();
        self.identities[self.machines[other].who].public()
    }

    /// Out of thin air.
    fn invented(&mut self, machine: usize) -> Vec<FromDirectory> {
        let key = self.any_key();
        let number = self.dice.below(60);
        let frame = match self.dice.below(8) {
            0 => Behind { highest_generation: self.dice.below(1 << 40) }.into(),
            1 => TakenOver {}.into(),
            2 => Done { request: u32::try_from(number).unwrap_or(0) }.into(),
            3 => Refused { request: u32::try_from(number).unwrap_or(0), reason: Refusal::NoSuchUser }.into(),
            4 | 5 => self.false_presence(key).into(),
            6 => {
                let sealed = self.dice.bytes::<200>().to_vec();
                let epoch = common::message::EpochId(self.dice.bytes());
                let (seq, prekey) = (self.dice.below(9), self.dice.below(9));
                let (submitter, item) = (key, number);
                Item { item, submitter, epoch, seq, prekey, waited: true, deposited_at_ms: 0, sealed }.into()
            }
            _ => return self.lies_about_a_name(machine),
        };
        vec![frame]
    }

    fn false_presence(&mut self, key: PublicKey) -> Presence {
        let standing = if self.dice.one_in(2) { Standing::Online } else { Standing::Offline };
        let other = self.any_machine();
        let candidates = if standing == Standing::Online { vec![self.machines[other].address] } else { vec![] };
        Presence { key, standing, since_ms: 0, candidates, note: None }
    }

    /// The answer to a question that this machine has perhaps asked, with a lie about the name of somebody it knows.
    fn lies_about_a_name(&mut self, machine: usize) -> Vec<FromDirectory> {
        let past = self.liar.past.get(machine).cloned().unwrap_or_default();
        let persons = past.into_iter().rev().filter_map(|frame| match frame {
            FromDirectory::Person(person) => Some(person),
            _ => None,
        });
        let Some(mut person) = persons.into_iter().next() else { return vec![] };
        // Whatever is asked next gets this answer.
        person.request += u32::try_from(self.dice.below(4)).unwrap_or(0);
        self.misnamed(machine, person).map(Into::into).into_iter().collect()
    }

    /// A name that this machine has pinned to the person's key, signed for another key; or another name for that key.
    fn misnamed(&mut self, machine: usize, mut person: Person) -> Option<Person> {
        let directory = self.directory.identity.public();
        let address = self.directory.which.address();
        let pins = self.machines[machine].disk.open().ok()?.load(address).ok()?.pins;
        let pin = pins.into_iter().find(|pin| pin.directory == directory && pin.key == person.profile.key)?;
        let who = self.model.who(&pin.key)?;
        let (name, key) = match self.dice.below(4) {
            0 | 1 => {
                self.liar.invented += 1;
                let name: Name = format!("alias-{}", self.liar.invented).parse().ok()?;
                self.model.named(name.as_str(), who);
                (name, pin.key)
            }
            2 => (pin.name, self.any_key()),
            _ => (pin.name, PublicKey(self.dice.bytes())),
        };
        // Above all that the honest one has given, and below what it gives later.
        let serial = BEGIN_MS.cast_unsigned() + self.now + self.dice.below(1_000);
        person.profile.binding = Binding::sign(&self.directory.identity, &Bound { directory, name, key, serial });
        person.profile.key = key;
        Some(person)
    }

    /// The frame with a lie in it.
    fn falsified(&mut self, machine: usize, frame: FromDirectory) -> FromDirectory {
        match frame {
            FromDirectory::Welcome(mut welcome) => {
                match self.dice.below(4) {
                    0 => welcome.store_id = self.dice.bytes(),
                    1 => welcome.commits = self.dice.below(1 << 30),
                    2 => welcome.now_ms += i64::try_from(self.dice.below(1 << 39)).unwrap_or(0) - (1 << 38),
                    _ => welcome.binding = None,
                }
                welcome.into()
            }
            FromDirectory::Presence(presence) => self.false_presence(presence.key).into(),
            FromDirectory::Person(mut person) => {
                match self.dice.below(4) {
                    0 => person.profile.prekey = None,
                    1 => person.profile.candidates.clear(),
                    2 => person.profile.standing = Standing::Offline,
                    _ => return Refused { request: person.request, reason: Refusal::NoSuchUser }.into(),
                }
                person.into()
            }
            FromDirectory::Deposited(mut deposited) => {
                for answer in &mut deposited.answers {
                    answer.refusal = if answer.refusal.is_none() { Some(Refusal::MailboxFull) } else { None };
                }
                deposited.into()
            }
            FromDirectory::Had(mut had) => {
                for (_, fate) in &mut had.fates {
                    const FATES: [fn() -> Fate; 5] =
                        [|| Fate::Held, || Fate::Taken, || Fate::NotOpened, || Fate::Expired, || Fate::Unknown];
                    *fate = self.dice.pick(&FATES).map_or(Fate::Taken, |make| make());
                }
                had.into()
            }
            FromDirectory::Item(item) => self.falsified_item(item),
            FromDirectory::FileRoom(room) => self.falsified_room(room).into(),
            FromDirectory::Piece(piece) => self.falsified_piece(piece).into(),
            FromDirectory::Slot(mut slot) => {
                match self.dice.below(3) {
                    0 => slot.from = self.any_key(),
                    1 => slot.serial += 1,
                    _ => slot.prekey += 1,
                }
                slot.into()
            }
            FromDirectory::NotOpened(mut not) => {
                not.prekey = self.old_prekey(machine);
                not.into()
            }
            other => other,
        }
    }

    fn falsified_item(&mut self, mut item: Item) -> FromDirectory {
        match self.dice.below(6) {
            0 => item.submitter = self.any_key(),
            1 => item.item = self.dice.below(60),
            2 => item.prekey += 1,
            3 => item.seq += 1,
            // The head of what the stand-in for sealing makes; everything behind it is beyond a directory's reach.
            4 => item.sealed[70] ^= 1,
            _ => {
                let places = vec![common::wire::directory::Place {
                    recipient: item.submitter,
                    epoch: item.epoch,
                    seq: item.seq,
                }];
                return NotOpened { places, prekey: None }.into();
            }
        }
        item.into()
    }

    /// How far a file is: further than it is, or not as far; or it is not taken.
    fn falsified_room(&mut self, mut room: FileRoom) -> FileRoom {
        const REFUSALS: [fn() -> Refusal; 5] = [
            || Refusal::TooLarge { limit: 1 },
            || Refusal::NotAllowed,
            || Refusal::MailboxFull,
            || Refusal::Invalid,
            || Refusal::NoSuchUser,
        ];
        match self.dice.below(4) {
            0 => room.refusal = self.dice.pick(&REFUSALS).map(|make| make()),
            1 => room.recipient = self.any_key(),
            _ => room.next = u32::try_from(self.dice.below(8)).unwrap_or(0),
        }
        room
    }

    /// Nothing, another one, or another one's, in the place of a piece; or one that was changed.
    fn falsified_piece(&mut self, mut piece: Piece) -> Piece {
        let past = self.liar.past.iter().flatten().filter_map(|frame| match frame {
            FromDirectory::Piece(piece) => piece.sealed.as_ref(),
            _ => None,
        });
        let past: Vec<Vec<u8>> = past.cloned().collect();
        match self.dice.below(5) {
            0 => piece.sealed = None,
            1 => piece.index = u32::try_from(self.dice.below(8)).unwrap_or(0),
            2 => piece.submitter = self.any_key(),
            3 => {
                let at = usize::try_from(self.dice.below(past.len() as u64)).unwrap_or(0);
                piece.sealed = past.get(at).cloned();
            }
            _ => {
                if let Some(last) = piece.sealed.as_mut().and_then(|sealed| sealed.last_mut()) {
                    *last ^= 1;
                }
            }
        }
        piece
    }

    fn old_prekey(&self, machine: usize) -> Option<common::record::PrekeyRecord> {
        self.liar.past.get(machine)?.iter().find_map(|frame| match frame {
            FromDirectory::Person(person) => person.profile.prekey.clone(),
            _ => None,
        })
    }
}
