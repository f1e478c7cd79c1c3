//! What must hold of who blocks whom, who is busy, what people say of themselves, and what is said to everybody.

use std::collections::{BTreeMap, BTreeSet};

use common::limits::SESSION_DEAD_MS;
use common::message::MessageId;
use common::wire::directory::Standing;
use peer_core::event::{Event, PresenceView};
use peer_core::stored::{Arrival, Contact, Via};

use super::{MachineNo, Model, Who};

/// By then a frame has come, or never will, milliseconds. In a network that stands still for a while it is a session that
/// nothing is heard of for so long, and is given up.
const UNDER_WAY_MS: u64 = 30_000;
const STALLED_MS: u64 = SESSION_DEAD_MS + UNDER_WAY_MS;

/// What one disk holds of it. Saved and put back with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manners {
    /// From whom nothing is taken.
    pub(super) blocked: BTreeSet<Who>,
    /// Since when its user is busy, milliseconds.
    pub(super) busy_ms: Option<u64>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Company {
    /// Who ever blocked whom, on some disk.
    ever_blocked: BTreeSet<(Who, Who)>,
    /// Machines whose users have taken a block back, or are busy no more, by what they asked for since.
    unblocking: BTreeSet<MachineNo>,
    returning: BTreeSet<MachineNo>,
    /// What users ever said of themselves.
    notes: BTreeSet<(Who, String)>,
    /// What was said to everybody: by whom, and when.
    shouts: BTreeMap<String, (Who, u64)>,
    /// What each machine has shown of it, and in which start of the program.
    heard: BTreeMap<(MachineNo, String), u32>,
    /// Somebody may be handed out at any time what came before: the directory does not do as it is told, or disks are full.
    late: bool,
    /// The network stands still at times.
    stalls: bool,
    pub(super) told: Told,
}

/// How often what is looked at was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Messages that were refused, since their recipient blocks their sender.
    pub refused: u64,
    /// Urgent messages that came while somebody was busy.
    pub rung: u64,
    /// Lines to everybody that were shown.
    pub heard: u64,
    /// Notices with words of somebody's.
    pub noted: u64,
}

/// Asserts a promise, saying what is broken otherwise.
macro_rules! promise {
    ($model:expr, $holds:expr, $($broken:tt)*) => {
        if !$holds {
            $model.broken(format!($($broken)*));
        }
    };
}

impl Model {
    /// Mail may come late to somebody busy, whatever the directory was told; the network may stand still for a while.
    pub(crate) fn comes_late(&mut self, mail: bool, frames: bool) {
        (self.company.late, self.company.stalls) = (mail, frames);
    }

    fn under_way_ms(&self) -> u64 {
        if self.company.stalls { STALLED_MS } else { UNDER_WAY_MS }
    }

    /// Whether somebody who has it no more blocked its sender, and so took it for nothing.
    pub(super) fn is_of_somebody_blocked(&self, from: Who, to: Who) -> bool {
        self.company.ever_blocked.contains(&(to, from))
    }

    /// How often what is looked at was seen.
    pub(crate) fn told_in_company(&self) -> Told {
        self.company.told
    }

    /// Whom a machine's disk blocks.
    pub(crate) fn blocked_by(&self, machine: MachineNo) -> Vec<Who> {
        self.disks[machine].manners.blocked.iter().copied().collect()
    }

    /// Whether a machine's disk says that its user is busy.
    pub(crate) fn is_busy(&self, machine: MachineNo) -> bool {
        self.disks[machine].manners.busy_ms.is_some()
    }

    /// The user takes a block back.
    pub(crate) fn unblocks(&mut self, machine: MachineNo) {
        self.company.unblocking.insert(machine);
    }

    /// The user says what they are.
    pub(crate) fn stands_as(&mut self, machine: MachineNo, who: Who, standing: Standing, note: Option<&str>) {
        if standing != Standing::Busy {
            self.company.returning.insert(machine);
        }
        self.company.notes.extend(note.map(|note| (who, note.to_owned())));
    }

    /// The program has started anew, and knows nothing of what it was asked for and did not commit.
    pub(super) fn company_started(&mut self, machine: MachineNo) {
        self.company.unblocking.remove(&machine);
        self.company.returning.remove(&machine);
    }

    /// A disk has committed what it knows of somebody.
    pub(crate) fn contact_committed(&mut self, machine: MachineNo, who: Who, contact: &Contact) {
        let Some(of) = self.who(&contact.key) else { return };
        let blocked = &mut self.disks[machine].manners.blocked;
        if contact.blocked {
            if blocked.insert(of) {
                self.company.unblocking.remove(&machine);
            }
            self.company.ever_blocked.insert((who, of));
        } else {
            blocked.remove(&of);
        }
    }

    /// A disk has committed what its user is.
    pub(crate) fn stands_committed(&mut self, machine: MachineNo, standing: Standing) {
        let (busy, now_ms) = (standing == Standing::Busy, self.now_ms);
        let since = &mut self.disks[machine].manners.busy_ms;
        match (busy, &since) {
            (true, None) => {
                *since = Some(now_ms);
                self.company.returning.remove(&machine);
            }
            (false, Some(_)) => *since = None,
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// A recipient's disk has committed a message as new: of nobody whom it blocks, and to nobody who is busy unless it is
    /// urgent, or was on its way when the directory heard of it.
    pub(super) fn is_welcome(&mut self, machine: MachineNo, sender: Who, arrival: &Arrival) {
        let manners = &self.disks[machine].manners;
        let blocked = manners.blocked.contains(&sender) && !self.company.unblocking.contains(&machine);
        let busy_ms = manners.busy_ms.filter(|_| !self.company.returning.contains(&machine));
        let id = arrival.id;
        promise!(self, !blocked, "machine {machine} takes {id} of {sender}, whom it blocks");
        let Some(busy_ms) = busy_ms else { return };
        if arrival.urgent {
            self.company.told.rung += 1;
            return;
        }
        let direct = arrival.via == Via::Direct;
        let late = self.now_ms - busy_ms > self.under_way_ms() && !self.company.late;
        promise!(self, !direct && !late, "machine {machine} takes {id}, not urgent and {:?}, while busy", arrival.via);
    }

    /// A message is refused: somebody for whom it is has blocked its sender.
    pub(super) fn is_refused_rightly(&mut self, machine: MachineNo, who: Who, id: MessageId) {
        self.company.told.refused += 1;
        let recipients = self.written.get(&id).map(|written| written.recipients.clone()).unwrap_or_default();
        let blocked = recipients.iter().any(|to| self.company.ever_blocked.contains(&(*to, who)));
        promise!(self, blocked, "machine {machine} calls {id} refused, and nobody has blocked {who}");
    }

    /// Somebody says something to everybody.
    pub(crate) fn shouts(&mut self, who: Who, text: &str) {
        self.company.shouts.insert(text.to_owned(), (who, self.now_ms));
    }

    /// What somebody wants said is said now: these bytes end with it.
    pub(crate) fn says(&mut self, bytes: &[u8]) {
        let said = self.company.shouts.iter_mut().find(|(text, _)| bytes.ends_with(text.as_bytes()));
        if let Some((_, (_, said_ms))) = said {
            *said_ms = self.now_ms;
        }
    }

    /// What is about people and kept nowhere was shown.
    pub(crate) fn met(&mut self, machine: MachineNo, who: Who, run: u32, event: &Event) {
        match event {
            Event::Broadcast { from, text, .. } => self.heard(machine, who, run, (from, text)),
            Event::Presence(people) => people.iter().for_each(|view| self.noted(machine, view)),
            _ => {}
        }
    }

    fn heard(&mut self, machine: MachineNo, who: Who, run: u32, (from, text): (&str, &str)) {
        self.company.told.heard += 1;
        let Some((by, said_ms)) = self.company.shouts.get(text).copied() else {
            return self.broken(format!("machine {machine} shows {text:?} to everybody, which nobody said"));
        };
        let named = self.named.contains(&(from.to_owned(), by));
        promise!(self, named && by != who, "machine {machine} shows what {by} said to everybody as said by {from}");
        let manners = &self.disks[machine].manners;
        let blocked = manners.blocked.contains(&by) && !self.company.unblocking.contains(&machine);
        let busy_ms = manners.busy_ms.filter(|_| !self.company.returning.contains(&machine));
        promise!(self, !blocked, "machine {machine} shows what {by} said to everybody, whom it blocks");
        // A liar may say anything again, later.
        let lies = self.malicious;
        let spared = busy_ms.is_some_and(|busy_ms| self.now_ms - busy_ms > self.under_way_ms());
        promise!(self, lies || !spared, "machine {machine} shows what was said to everybody, and its user is busy");
        let late = self.now_ms - said_ms > self.under_way_ms();
        promise!(self, lies || !late, "machine {machine} shows what was said to everybody at {said_ms}");
        let before = self.company.heard.insert((machine, text.to_owned()), run);
        let again = before.is_some_and(|before| before == run || !lies);
        promise!(self, !again, "machine {machine} shows {text:?} to everybody twice");
    }

    /// What is told of somebody is what they said of themselves.
    fn noted(&mut self, machine: MachineNo, view: &PresenceView) {
        let Some(note) = view.note.as_deref().filter(|_| !self.malicious) else { return };
        self.company.told.noted += 1;
        let theirs = |(who, said): &(Who, String)| said == note && self.named.contains(&(view.name.to_string(), *who));
        let right = self.company.notes.iter().any(theirs);
        promise!(self, right, "machine {machine} tells {note:?} of {}, who never said so", view.name);
    }
}
