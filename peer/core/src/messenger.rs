//! The composer: the only file family that knows all parts. It takes inputs, lets the parts decide, turns what they
//! say into outputs, and gathers everything to be written in one turn into one transaction.
//!
//! Submodules hold the flows: `beginning` (of a run), `commands`, `addressing` and `asking` (what the user wants), `posting`
//! (into the store), `lines` (replies, edits and what else is done to lines), `membership` (groups), `company` (contacts, presence, broadcasts), `session` (the directory), `people` (presence, look-ups,
//! keys), `links` (direct connections), `sending` and `depositing` (the way of own messages), `receiving` (the way of others'),
//! `pairing` (acknowledgement and epochs), `storing` (when the disk is full), `leaving` (quit, logout, takeover), `view` (what
//! fronts see).

mod addressing;
mod asking;
mod beginning;
mod commands;
mod company;
mod depositing;
mod files;
mod gaps;
mod leaving;
mod lines;
mod links;
mod membership;
mod pairing;
mod people;
mod posting;
mod receiving;
mod sending;
mod session;
mod storing;
mod verifying;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use common::identity::PublicKey;
use common::message::{Conversation, Epoch, MessageId};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use self::files::{FileKey, Files};
use crate::answers::Answers;
use crate::clock::{AgeClock, IdMaker};
use crate::contact::Book;
use crate::event::{Config, Event, Exit, Input, Now, Output, Source, Ticket};
use crate::groups::Groups;
use crate::inbox::Inbox;
use crate::lane::{Received, Sent};
use crate::limits::VERSION_RESERVE;
use crate::link::Links;
use crate::outbox::Outbox;
use crate::prekeys::Prekeys;
use crate::registration::Session;
use crate::room::Room;
use crate::stored::{
    DirectoryRecord, Meta, OutboxRow, OwnPrekey, Reason, Snapshot, State, StoreOp, StoreResult, StoredMessage, Via,
};
use crate::timers::{Timer, Timers};

use beginning::new_meta;
use commands::{Asked, Pending};
use company::Company;
use leaving::Leaving;
use lines::Lines;
use membership::{Chains, Decided, Errand};
use pairing::Epochs;
use people::{LookUp, Way};
use posting::Waiting;
use storing::Lot;

/// How often the age clock is written, milliseconds: well under what a start trusts of the wall clock.
const META_EVERY_MS: u64 = 600_000;

/// What is to happen when one op is committed.
#[derive(Debug)]
enum Then {
    Nothing,
    Queued {
        places: Vec<(PublicKey, u64)>,
        waiting: Waiting,
    },
    State(StateChange),
    Ended {
        row: Box<OutboxRow>,
        elapsed_ms: u64,
    },
    Followed {
        sender: PublicKey,
        epoch: Epoch,
        floor: u64,
    },
    Arrived {
        message: Box<StoredMessage>,
        held: Option<(Epoch, u64)>,
        item: Option<u64>,
    },
    Readdressed {
        recipient: PublicKey,
        seqs: Vec<u64>,
    },
    Steps(Box<Decided>),
    Token,
    Prekey(Box<OwnPrekey>),
    Epoch,
    Lines(lines::Committed),
    /// People are told how a file stands.
    File(FileKey, Box<crate::event::FileView>),
    /// Somebody is blocked: they are told now.
    Blocked(PublicKey),
    /// What a command asked for is written: it is answered.
    Done {
        id: crate::event::CommandId,
        answer: Box<crate::event::Answer>,
    },
}

/// A state of one copy of an own message, decided.
#[derive(Debug, Clone, Copy)]
struct StateChange {
    n: u64,
    recipient: PublicKey,
    state: State,
    via: Option<Via>,
    reason: Option<Reason>,
    elapsed_ms: u64,
}

/// Why something is being sealed.
#[derive(Debug)]
enum Sealing {
    Parcel { recipient: PublicKey, seq: u64, id: MessageId, prekey: u64 },
    State { to: PublicKey, prekey: u64 },
}

/// Why something is being opened.
#[derive(Debug)]
enum Opening {
    Item { item: u64, from: PublicKey, waited: bool, prekey: u64 },
    Slot { from: PublicKey, serial: u64, prekey: u64 },
}

/// What is under way at the directory and with the sealer, in this session.
#[derive(Debug, Default)]
struct Errands {
    lookups: BTreeMap<u32, LookUp>,
    /// The request that asks for a name or for presence.
    online: Option<u32>,
    prekey: Option<u32>,
    /// Deposits being sealed or not answered.
    depositing: usize,
    sealing: BTreeMap<Ticket, Sealing>,
    opening: BTreeMap<Ticket, Opening>,
    /// What is being signed, and why.
    signing: BTreeMap<Ticket, Errand>,
    draining: bool,
    /// The user was told in this session how much waited.
    pending_told: bool,
    /// The directory is asked for a sign of life since then.
    probe_ms: Option<u64>,
    /// The user was told `online`.
    online_told: bool,
}

/// What is to be said at the end of the turn, or as soon as there is a way.
#[derive(Debug, Default)]
struct Owed {
    /// Pair states, by whatever way is there.
    acks: BTreeSet<PublicKey>,
    /// Pair states through the directory.
    slots: BTreeSet<PublicKey>,
    slots_sealing: BTreeSet<PublicKey>,
    /// Pair states handed to the directory, and when, milliseconds: it never answers that it has them.
    slots_put: BTreeMap<PublicKey, u64>,
    takes: Vec<(u64, common::wire::directory::Taking)>,
    withdrawals: Vec<common::wire::directory::Place>,
    /// Whether the acknowledgements of an earlier run were repeated after the first login of this one.
    repeated: bool,
}

/// One peer's messenger. See the module's head.
#[derive(Debug)]
pub struct Messenger {
    config: Config,
    now: Now,
    rng: ChaCha20Rng,
    clock: AgeClock,
    ids: IdMaker,
    meta: Meta,
    meta_changed: bool,
    /// One's own name, from the verified binding.
    name: Option<common::name::Name>,
    version: u64,
    directory: Option<DirectoryRecord>,
    session: Session,
    book: Book,
    ways: BTreeMap<PublicKey, Way>,
    links: Links,
    sent: BTreeMap<PublicKey, Sent>,
    received: BTreeMap<PublicKey, Received>,
    /// Epoch and floor last decided for an inbound lane, committed or not.
    following: BTreeMap<PublicKey, (Epoch, u64)>,
    outbox: Outbox,
    /// Rows that ended without delivery and may still turn out to be delivered.
    ended: BTreeMap<(PublicKey, u64), OutboxRow>,
    last_sent: BTreeMap<(PublicKey, Conversation), MessageId>,
    inbox: Inbox,
    groups: Groups,
    chains: Chains,
    lines: Lines,
    company: Company,
    files: Files,
    /// Committed messages of keys that no believed name belongs to; not shown until the user accepts the key.
    unnamed: BTreeMap<PublicKey, Vec<StoredMessage>>,
    prekeys: Prekeys,
    answers: Answers,
    pending: BTreeMap<Source, Pending>,
    asked: BTreeMap<Ticket, Asked>,
    epochs: Epochs,
    errands: Errands,
    owed: Owed,
    timers: Timers,
    /// `!cancel` commands whose commit is awaited, by number.
    cancels: BTreeMap<u64, crate::event::CommandId>,
    /// Keys that the user has replaced in this run, with the new ones.
    successors: BTreeMap<PublicKey, PublicKey>,
    room: Room,
    lot: Lot,
    leaving: Option<Leaving>,
    exited: bool,
    failed: bool,
    out: VecDeque<Output>,
    ops: Vec<StoreOp>,
    thens: Vec<Then>,
    commits: VecDeque<(Ticket, Vec<Then>)>,
    next_ticket: u64,
}

impl Messenger {
    /// A messenger that goes on from what is committed.
    #[must_use]
    pub fn new(config: Config, snapshot: Snapshot, now: Now) -> Self {
        let mut rng = ChaCha20Rng::from_seed(config.seed);
        let fresh = snapshot.meta.is_none();
        let meta = snapshot.meta.unwrap_or_else(|| new_meta(&mut rng, now));
        let clock = AgeClock::new((!fresh).then_some((meta.age_ms, meta.wall_ms)), now);
        let directory = snapshot.directory.as_ref().map(|directory| directory.key);
        let mut messenger = Self {
            now,
            clock,
            ids: IdMaker::new(snapshot.last_id),
            version: meta.version_reserve,
            meta,
            meta_changed: true,
            name: None,
            directory: snapshot.directory,
            session: Session::default(),
            book: Book::new(snapshot.contacts, snapshot.pins, directory),
            ways: BTreeMap::new(),
            links: Links::default(),
            sent: snapshot.last_seqs.into_iter().map(|(key, last)| (key, Sent::after(last))).collect(),
            received: BTreeMap::new(),
            following: BTreeMap::new(),
            outbox: Outbox::default(),
            ended: BTreeMap::new(),
            last_sent: snapshot.last_sent.into_iter().map(|(key, talk, id)| ((key, talk.stable()), id)).collect(),
            inbox: Inbox::default(),
            groups: {
                let mut groups = Groups::new(snapshot.groups, config.me);
                for (id, directory) in snapshot.homes {
                    groups.seen_at(&id, directory);
                }
                groups
            },
            chains: Chains::default(),
            lines: Lines::new(snapshot.read, snapshot.durations, snapshot.next_vanish_ms),
            company: Company::default(),
            files: Files::new(snapshot.files),
            unnamed: BTreeMap::new(),
            prekeys: Prekeys::new(snapshot.prekeys),
            answers: Answers::default(),
            pending: BTreeMap::new(),
            asked: BTreeMap::new(),
            epochs: Epochs::default(),
            errands: Errands::default(),
            owed: Owed::default(),
            timers: Timers::default(),
            cancels: BTreeMap::new(),
            successors: BTreeMap::new(),
            room: Room::default(),
            lot: Lot::default(),
            leaving: None,
            exited: false,
            failed: false,
            out: VecDeque::new(),
            ops: Vec::new(),
            thens: Vec::new(),
            commits: VecDeque::new(),
            next_ticket: 0,
            rng,
            config,
        };
        messenger.meta.version_reserve = messenger.version + VERSION_RESERVE;
        messenger.set_binding(messenger.meta.binding.clone());
        messenger.tell_ready();
        messenger.restore_lanes(snapshot.lanes, snapshot.held);
        messenger.repeat_states(&snapshot.outbox);
        messenger.restore_outbox(snapshot.outbox);
        messenger.begin(snapshot.last_shown, snapshot.unshown);
        messenger
    }

    /// Takes one input. Outputs are ready afterwards.
    pub fn handle(&mut self, input: Input, now: Now) {
        if self.exited || self.failed {
            return;
        }
        self.now = now;
        self.clock.observe(now);
        match input {
            Input::Command { id, command } => self.on_command(id, command),
            Input::SourceClosed(source) => self.on_source_closed(source),
            Input::Shown(numbers) => self.on_shown(numbers),
            Input::Stored { ticket, results } => self.on_stored(ticket, results),
            Input::Answered { ticket, result } => self.on_answered(ticket, result),
            Input::DiskFree { free_bytes, total_bytes } => self.on_disk_free(free_bytes, total_bytes),
            Input::StoreFailed(why) => self.on_store_failed(why),
            Input::DirectoryUp { key } => self.on_directory_up(key),
            Input::DirectoryDown(end) => self.on_directory_down(end),
            Input::DirectoryFrame(frame) => self.on_directory_frame(*frame),
            Input::LinkUp { link, key, address, dialled } => self.on_link_up(link, key, address, dialled),
            Input::LinkFrame { link, frame } => self.on_link_frame(link, *frame),
            Input::LinkUnknown { link, kind } => self.on_link_unknown(link, kind),
            Input::LinkDown { link, end } => self.on_link_down(link, end),
            Input::Sealed { ticket, sealed } => self.on_sealed(ticket, sealed),
            Input::Opened { ticket, plain } => self.on_opened(ticket, plain),
            Input::Signed { ticket, signature } => {
                if !self.shout_signed(ticket, signature) {
                    self.on_signed(ticket, signature);
                }
            }
            Input::PrekeyMade { record, secret } => self.on_prekey_made(record, secret),
            Input::File(news) => self.on_file(*news),
            Input::NetworkChanged(candidates) => self.on_network_changed(candidates),
            Input::EndOfInput => self.leave(None),
            Input::Wake => {}
        }
        self.fire_timers();
    }

    /// The next thing to be done, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.out.is_empty() && !self.exited && !self.failed {
            self.finish_turn();
        }
        self.out.pop_front()
    }

    /// When [`Input::Wake`] is due, milliseconds of the monotonic clock.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        self.timers.next()
    }

    fn fire_timers(&mut self) {
        // The exit is the last output, whatever else is due.
        while !self.exited
            && let Some(timer) = self.timers.pop(self.now.mono_ms)
        {
            match timer {
                Timer::Reconnect => self.connect(),
                Timer::KeepAlive => self.keep_alive(),
                Timer::Peer(key) => self.tend(key),
                Timer::Gap(key) => self.gap_due(key),
                Timer::Command(source) => self.command_late(source),
                Timer::Leave => self.leave_now(),
                Timer::Prekeys => self.tend_prekeys(),
                Timer::Meta => {
                    self.meta_changed = true;
                    self.timers.set(Timer::Meta, self.now.mono_ms + META_EVERY_MS);
                }
                Timer::Epoch => self.epoch_due(),
                Timer::Notices => self.notices_due(),
                Timer::Standing => self.tell_standing(),
                Timer::Link(link) => self.link_idle(link),
                Timer::Chain(id) => self.tend_group(id),
                Timer::Restore => self.restore_due(),
                Timer::GroupEvents => self.tell_group_events(),
                Timer::Vanish => self.vanish_due(),
                Timer::Files => self.tend_files(),
            }
        }
    }

    /// What one turn owes: acknowledgements, takings, withdrawals, and one transaction.
    fn finish_turn(&mut self) {
        self.send_acks();
        self.send_takes();
        self.change_epoch_if_quiet();
        self.tell_tallies();
        self.tend_groups();
        self.count_down();
        for pin in self.book.take_pins() {
            self.store(StoreOp::PutPin(Box::new(pin)), Then::Nothing);
        }
        for contact in self.book.take_changed() {
            self.store(StoreOp::PutContact(Box::new(contact)), Then::Nothing);
        }
        if std::mem::take(&mut self.meta_changed) {
            self.meta.age_ms = self.clock.age_ms();
            self.meta.wall_ms = self.clock.trusted_ms();
            self.store(StoreOp::PutMeta(self.meta.clone()), Then::Nothing);
        }
        self.flush_ops();
        self.leave_if_flushed();
    }

    fn flush_ops(&mut self) {
        if !self.ops.is_empty() {
            let ticket = self.ticket();
            self.commits.push_back((ticket, std::mem::take(&mut self.thens)));
            self.out.push_back(Output::Store { ticket, ops: std::mem::take(&mut self.ops) });
        }
    }

    /// Answers a command once everything that this turn changes is written: until then a crash would undo it.
    fn done_when_written(&mut self, id: crate::event::CommandId, answer: crate::event::Answer) {
        self.store(StoreOp::PutMeta(self.meta.clone()), Then::Done { id, answer: Box::new(answer) });
    }

    fn store(&mut self, op: StoreOp, then: Then) {
        self.ops.push(op);
        self.thens.push(then);
    }

    fn on_stored(&mut self, ticket: Ticket, results: Vec<StoreResult>) {
        let Some((expected, thens)) = self.commits.pop_front() else { return };
        debug_assert_eq!(expected, ticket, "commits are answered in order");
        for (then, result) in thens.into_iter().zip(results) {
            match then {
                Then::Nothing => {}
                Then::Queued { places, waiting } => self.on_queued(places, waiting, result),
                Then::State(change) => self.on_state_committed(&change, &result),
                Then::Ended { row, elapsed_ms } => {
                    let (n, recipient, state) = (row.n, row.recipient, State::Delivered);
                    let change = StateChange { n, recipient, state, via: None, reason: None, elapsed_ms };
                    self.tell_change(&row, &change, &result);
                    self.may_count_down(row.kind);
                }
                Then::Followed { sender, epoch, floor } => self.on_followed(sender, epoch, floor),
                Then::Arrived { message, held, item } => self.on_arrived(*message, held, item, result),
                Then::Readdressed { recipient, seqs } => self.on_readdressed(recipient, seqs),
                Then::Steps(decided) => self.on_steps_committed(*decided),
                Then::Token => self.on_token_committed(),
                Then::Prekey(key) => self.on_prekey_committed(*key),
                Then::Epoch => self.on_epoch_committed(),
                Then::Done { id, answer } => self.reply(id, Ok(answer)),
                Then::File(key, view) => self.on_file_settled(key, view),
                Then::Blocked(key) => self.on_blocked(key),
                Then::Lines(committed) => self.on_lines_committed(committed, result),
            }
        }
    }

    fn on_store_failed(&mut self, why: String) {
        self.failed = true;
        self.out.clear();
        let error = crate::command::CommandError::new(
            crate::command::ErrorCode::StoreFailed,
            format!(
                "the data directory cannot be written any more ({why}); nothing more is promised, the program ends"
            ),
        );
        self.out.push_back(Output::Event(Event::Error(error)));
        self.out.push_back(Output::Exit(Exit::StoreFailed(why)));
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn tell(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// Whether anything may be sent: not suspended, not logged out, not leaving for good, epoch settled.
    fn may_talk(&self) -> bool {
        self.meta.wants_online && !self.meta.suspended && !self.epochs.changing && self.epochs.wanted.is_none()
    }
}
