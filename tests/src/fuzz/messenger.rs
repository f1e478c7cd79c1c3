//! A whole peer (its core and its real store) under a directory that says whatever it likes, in league with one of the people,
//! mallory, whose key it has. Bobby is honest and never there. Whatever the two say, nothing for bobby is called delivered, read or
//! refused, nothing is shown under bobby's name, and no word meant for bobby goes to another key.

mod cast;
mod files;
mod frames;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::LazyLock;

use common::identity::PublicKey;
use common::limits::DAY_MS;
use common::record::Prekey;
use common::wire::directory::{self as wire, Standing, ToDirectory, Token};
use common::wire::peer::PeerFrame;
use peer::storage::Store;
use peer_core::command::{Console, Fed};
use peer_core::event::{
    CommandId, Config, DirectoryEnd, Event, Input as Told, LinkEnd, LinkId, Now, Output, Source, Ticket,
};
use peer_core::messenger::Messenger;
use peer_core::stored::{Query, State, StoreOp};

use super::Input;
use super::decoders::fits;
use crate::sim::{Dice, Seals};
use cast::{ALICE, BOBBY, BOBBYS_PREKEY, DIRECTORY, LINES, MALLORY, SECRET, SERVER, binding, is_for};
use files::Shell;

/// Outputs that one input may cause at most, in a world as small as this.
const OUTPUTS_MAX: usize = 300;
/// A store that knows bobby and holds a message for him.
static IMAGE: LazyLock<Vec<u8>> = LazyLock::new(honest_beginning);

fn honest_beginning() -> Vec<u8> {
    let mut world = World::new(&[], Store::open_in_memory(ALICE.public()).expect("a store"));
    world.settle();
    world.log_in();
    world.line("!send bobby for bobby only");
    world.settle();
    let request = world.requests.iter().next_back().copied().unwrap_or(0);
    let profile = wire::Profile {
        key: BOBBY.public(),
        binding: binding("bobby", BOBBY.public(), 1),
        standing: Standing::Offline,
        since_ms: 0,
        candidates: Vec::new(),
        prekey: Some(BOBBYS_PREKEY.clone()),
    };
    world.say(wire::Person { request, profile });
    world.settle();
    assert_eq!(world.queued, 1, "the honest beginning queues a message");
    world.store.image().expect("a copy")
}

struct World<'a> {
    input: Input<'a>,
    core: Messenger,
    store: Store,
    now: Now,
    seals: Seals,
    dice: Dice,
    jobs: VecDeque<Job>,
    shell: Shell,
    answers: VecDeque<Told>,
    console: Console,
    commands: u64,
    connecting: bool,
    connected: bool,
    requests: BTreeSet<u32>,
    places: BTreeSet<wire::Place>,
    tokens: Vec<Token>,
    /// Alice's newest prekey, as everybody can look it up.
    prekey: Option<Prekey>,
    /// What she sealed: to be sent back to her.
    sealed: Vec<Vec<u8>>,
    dials: BTreeMap<LinkId, PublicKey>,
    links: BTreeMap<LinkId, bool>,
    next_link: u64,
    shown: BTreeSet<u64>,
    queued: usize,
    /// The directory has said of something for this key that it is kept.
    said_kept: BTreeSet<PublicKey>,
    ended: bool,
}

enum Job {
    Store(Ticket, Vec<StoreOp>),
    Query(Ticket, Query),
}

/// What the directory and mallory do, in any order.
pub(super) fn hostile_directory(bytes: &[u8]) {
    let mut world = World::new(bytes, Store::from_image(&IMAGE, ALICE.public()).expect("a store"));
    world.settle();
    for _ in 0..256 {
        if world.input.is_empty() {
            break;
        }
        world.step();
        if world.ended {
            world.restart();
        }
    }
    world.settle();
}

fn start(store: &mut Store, now: Now, seed: u8) -> Messenger {
    let address = SocketAddr::from(([127, 0, 0, 1], 4_000));
    let config = Config {
        me: ALICE.public(),
        instance: [seed; 16],
        seed: [seed; 32],
        directory: DIRECTORY.to_owned(),
        directory_pin: None,
        name: Some("alice".parse().expect("a name")),
        bind: address,
        candidates: vec![address],
        shows: true,
        version: "0".to_owned(),
        accept_from: peer_core::event::AcceptFrom::Nobody,
    };
    let snapshot = store.load(DIRECTORY).expect("a store loads");
    Messenger::new(config, snapshot, now)
}

impl<'a> World<'a> {
    fn new(bytes: &'a [u8], mut store: Store) -> Self {
        let now = Now { mono_ms: 1_000, wall_ms: 1_700_000_000_000 };
        Self {
            input: Input::new(bytes),
            core: start(&mut store, now, 1),
            store,
            now,
            seals: Seals::new(false),
            dice: Dice::new(1),
            jobs: VecDeque::new(),
            shell: Shell::default(),
            answers: VecDeque::new(),
            console: Console::new(),
            commands: 0,
            connecting: false,
            connected: false,
            requests: BTreeSet::new(),
            places: BTreeSet::new(),
            tokens: Vec::new(),
            prekey: None,
            sealed: Vec::new(),
            dials: BTreeMap::new(),
            links: BTreeMap::new(),
            next_link: 1,
            shown: BTreeSet::new(),
            queued: 0,
            said_kept: BTreeSet::new(),
            ended: false,
        }
    }

    fn step(&mut self) {
        let byte = self.input.byte();
        match byte % 20 {
            // What was added later takes a few bytes of those that have many.
            _ if byte == 243 => self.file_line(),
            _ if matches!(byte, 237 | 238) => self.file_news(),
            0 | 1 => self.log_in(),
            2 => self.connect(),
            3 => self.disconnect(),
            4..=8 => self.directory_frame(),
            9 => self.raw_frame(),
            10 => self.link_up(),
            11..=13 => self.link_frame(),
            14 => self.link_down(),
            15 | 16 => self.command(),
            17 => self.leap(),
            18 if byte >= 0xc0 => self.restart(),
            18 => self.work(),
            _ => self.greet_link(),
        }
        if byte & 0x80 == 0 {
            self.settle();
        }
    }

    /// The program dies and starts again from what its disk holds.
    fn restart(&mut self) {
        self.jobs.clear();
        self.shell.die();
        self.answers.clear();
        self.dials.clear();
        self.links.clear();
        self.shown.clear();
        (self.connecting, self.connected, self.ended) = (false, false, false);
        let seed = self.input.byte().max(1);
        self.core = start(&mut self.store, self.now, seed);
        self.drain();
    }

    fn tell(&mut self, told: Told) {
        if !self.ended {
            self.core.handle(told, self.now);
            self.drain();
        }
    }

    fn drain(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.core.poll_output() {
            outputs += 1;
            assert!(outputs <= OUTPUTS_MAX, "one input causes more than {OUTPUTS_MAX} outputs");
            self.output(output);
        }
    }

    fn output(&mut self, output: Output) {
        assert!(!self.ended, "{output:?} after the exit");
        match output {
            Output::Event(event) => self.event(&event),
            Output::Store { ticket, ops } => self.jobs.push_back(Job::Store(ticket, ops)),
            Output::Query { ticket, query } => self.jobs.push_back(Job::Query(ticket, query)),
            Output::DirectoryConnect => self.connecting = true,
            Output::DirectorySend(frame) => self.sent_up(&frame),
            Output::DirectoryClose => self.connected = false,
            Output::Dropped { .. } => {}
            Output::File(job) => self.file_job(job),
            Output::Dial { link, key, addresses } => {
                assert!(addresses.len() <= 16);
                self.dials.insert(link, key);
            }
            Output::LinkSend { link, frame } => self.sent_across(link, &frame),
            Output::LinkClose { link } => {
                if self.links.remove(&link).is_some() || self.dials.remove(&link).is_some() {
                    self.answers.push_back(Told::LinkDown { link, end: LinkEnd::Closed });
                }
            }
            sealing @ (Output::Seal { .. } | Output::Open { .. } | Output::Sign { .. } | Output::MakePrekey { .. }) => {
                self.seal(sealing)
            }
            Output::Exit(exit) => {
                // What was asked of the disk before is still done.
                self.run_store();
                self.answers.clear();
                assert!(!matches!(exit, peer_core::event::Exit::StoreFailed(_)), "{exit:?}");
                self.ended = true;
            }
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Message(view) => {
                assert!(!view.from.eq_ignore_ascii_case("bobby"), "bobby never wrote {view:?}");
                assert!(self.shown.insert(view.n), "{} is shown twice in one run", view.n);
                self.answers.push_back(Told::Shown(vec![view.n]));
            }
            Event::State(view) if view.text == SECRET => self.is_true(view.state, BOBBY.public()),
            _ => {}
        }
    }

    fn is_true(&self, state: State, recipient: PublicKey) {
        let bobbys_word = matches!(state, State::Delivered | State::Read | State::Refused);
        assert!(!(bobbys_word && recipient == BOBBY.public()), "{state:?}, and bobby has said nothing");
        let kept = state == State::Kept;
        assert!(!kept || self.said_kept.contains(&recipient), "kept, and the directory has not said so");
    }

    fn sent_up(&mut self, frame: &ToDirectory) {
        fits(frame);
        assert!(self.connected, "{frame:?} without a connection");
        let (request, record) = match frame {
            ToDirectory::Register(frame) => (Some(frame.request), Some(&frame.prekey)),
            ToDirectory::Online(frame) => (Some(frame.request), Some(&frame.prekey)),
            ToDirectory::PublishPrekey(frame) => (Some(frame.request), Some(&frame.prekey)),
            ToDirectory::Deregister(frame) => (Some(frame.request), None),
            ToDirectory::Offline(frame) => (Some(frame.request), None),
            ToDirectory::LookUp(frame) => (Some(frame.request), None),
            ToDirectory::Who(frame) => (Some(frame.request), None),
            ToDirectory::Have(frame) => (Some(frame.request), None),
            ToDirectory::Deposit(deposit) => {
                self.places.insert(deposit.place);
                self.sealed.push(deposit.sealed.clone());
                (None, None)
            }
            ToDirectory::PutSlot(slot) => {
                self.sealed.push(slot.sealed.clone());
                (None, None)
            }
            _ => (None, None),
        };
        self.requests.extend(request);
        if let Some(record) = record {
            self.prekey = Some(record.verify(&ALICE.public()).expect("alice's own prekey"));
        }
    }

    fn sent_across(&mut self, link: LinkId, frame: &PeerFrame) {
        fits(frame);
        // All links here are mallory's. What is sent on one that is being closed is lost with it.
        assert!(link.0 < self.next_link || link.0.is_multiple_of(2), "{frame:?} on a link that never was");
        assert!(!self.dials.contains_key(&link), "{frame:?} on a link that is being dialled");
        if let PeerFrame::Envelope(envelope) = frame {
            is_for(&MALLORY.public(), &envelope.body);
            assert_eq!(envelope.header.recipient, MALLORY.public());
        }
    }

    fn seal(&mut self, output: Output) {
        if let Output::Seal { to, prekey, plain, .. } = &output {
            assert_eq!(prekey.owner, *to, "sealed to another's prekey");
            is_for(to, plain);
        }
        self.answers.extend(self.seals.answer(&ALICE, output, &mut self.dice));
    }

    fn run_store(&mut self) {
        while let Some(job) = self.jobs.pop_front() {
            let told = match job {
                Job::Query(ticket, query) => Told::Answered { ticket, result: self.store.query(query) },
                Job::Store(ticket, ops) => {
                    ops.iter().for_each(|op| self.committed(op));
                    let mut answers = self.store.apply(vec![(ticket, ops)]).expect("whatever is asked is written");
                    let (ticket, results) = answers.pop().expect("one answer");
                    Told::Stored { ticket, results }
                }
            };
            self.answers.push_back(told);
        }
    }

    fn committed(&mut self, op: &StoreOp) {
        match op {
            StoreOp::Queue(message) => {
                self.queued += 1;
                self.shell.queued(message);
            }
            StoreOp::PutFile(row) => self.shell.committed(row),
            StoreOp::State { recipient, state, .. } => self.is_true(*state, *recipient),
            StoreOp::Receive(arrival) => assert_eq!(arrival.sender, MALLORY.public(), "only mallory wrote"),
            StoreOp::Readdress(moves) => assert!(moves.iter().all(|each| each.from != BOBBY.public())),
            _ => {}
        }
    }

    /// One thing that the disk, the sealer or the front has done.
    fn work(&mut self) {
        self.run_store();
        if let Some(told) = self.answers.pop_front() {
            self.tell(told);
        }
    }

    fn settle(&mut self) {
        self.drain();
        for _ in 0..2_000 {
            self.run_store();
            let Some(told) = self.answers.pop_front() else { return };
            self.tell(told);
        }
        panic!("the core never comes to rest");
    }

    fn connect(&mut self) {
        if std::mem::take(&mut self.connecting) {
            self.connected = true;
            let key = if self.input.below(16) == 15 { MALLORY.public() } else { SERVER.public() };
            self.tell(Told::DirectoryUp { key });
        }
    }

    fn disconnect(&mut self) {
        let end = self.input.pick(&[DirectoryEnd::Lost, DirectoryEnd::Garbage, DirectoryEnd::NotReached]);
        if std::mem::take(&mut self.connected) || std::mem::take(&mut self.connecting) {
            self.tell(Told::DirectoryDown(end));
        }
    }

    /// As an honest directory does it, so that most inputs get behind it.
    fn log_in(&mut self) {
        if !std::mem::take(&mut self.connecting) {
            return;
        }
        self.connected = true;
        self.tell(Told::DirectoryUp { key: SERVER.public() });
        self.settle();
        self.say(wire::Welcome {
            version: 1,
            features: 0,
            store_id: [6; 16],
            commits: 10,
            now_ms: self.now.wall_ms,
            observed: SocketAddr::from(([127, 0, 0, 1], 5_000)),
            binding: Some(binding("alice", ALICE.public(), 2)),
            token: [7; 16],
        });
        self.settle();
        self.say(wire::TokenKept {});
        self.settle();
        let request = self.requests.iter().next_back().copied().unwrap_or(0);
        self.say(wire::Done { request });
        self.settle();
    }

    fn say(&mut self, frame: impl Into<wire::FromDirectory>) {
        let frame = frame.into();
        match &frame {
            wire::FromDirectory::Deposited(deposited) => {
                let kept = deposited.answers.iter().filter(|answer| answer.refusal.is_none());
                self.said_kept.extend(kept.map(|answer| answer.place.recipient));
            }
            wire::FromDirectory::Had(had) => self.said_kept.extend(had.fates.iter().map(|(place, _)| place.recipient)),
            _ => {}
        }
        if self.connected {
            self.tell(Told::DirectoryFrame(Box::new(frame)));
        }
    }

    fn link_up(&mut self) {
        let address = SocketAddr::from(([10, 0, 0, 3], 4_000));
        let Some((link, key)) = self.dials.pop_first().filter(|_| self.input.flag()) else {
            let link = LinkId(self.next_link);
            self.next_link += 2;
            self.links.insert(link, false);
            return self.tell(Told::LinkUp { link, key: MALLORY.public(), address, dialled: false });
        };
        if key == MALLORY.public() {
            self.links.insert(link, true);
            self.tell(Told::LinkUp { link, key, address, dialled: true });
        } else {
            let end = self.input.pick(&[LinkEnd::NotReached, LinkEnd::WrongKey]);
            self.tell(Told::LinkDown { link, end });
        }
    }

    fn some_link(&mut self) -> Option<LinkId> {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        (!links.is_empty()).then(|| self.input.pick(&links))
    }

    fn greet_link(&mut self) {
        let Some(link) = self.some_link() else { return self.link_up() };
        let frame = frames::greeting(self, self.links[&link]);
        self.tell(Told::LinkFrame { link, frame: Box::new(frame) });
    }

    fn link_frame(&mut self) {
        let Some(link) = self.some_link() else { return };
        let frame = frames::between(self);
        self.tell(Told::LinkFrame { link, frame: Box::new(frame) });
    }

    fn link_down(&mut self) {
        let Some(link) = self.some_link() else { return };
        self.links.remove(&link);
        let end = self.input.pick(&[LinkEnd::Lost, LinkEnd::Garbage]);
        self.tell(Told::LinkDown { link, end });
    }

    fn directory_frame(&mut self) {
        let frame = frames::from_directory(self);
        self.say(frame);
    }

    fn raw_frame(&mut self) {
        use common::wire::Frame;
        // The six newest kinds have bytes of their own, so that what the others meant to older inputs stays.
        let byte = self.input.byte();
        let kind = 0x0201 + u16::from(if byte < 240 { byte % 20 } else { 20 + byte % 8 });
        if let Ok(frame) = wire::FromDirectory::decode(kind, self.input.blob(255)) {
            self.say(frame);
        }
    }

    fn command(&mut self) {
        let line = self.input.pick(&LINES);
        self.line(line);
    }

    fn line(&mut self, line: &str) {
        let Fed::Command { command, .. } = self.console.feed(line) else { return };
        self.commands += 1;
        let id = CommandId { source: Source(1), number: self.commands };
        self.tell(Told::Command { id, command });
    }

    fn leap(&mut self) {
        let steps = [1, 20, 500, 2_000, 6_000, 31_000, 91_000, 3_700_000, DAY_MS, 31 * DAY_MS];
        let leap_ms = self.input.pick(&steps);
        self.now.mono_ms += leap_ms;
        self.now.wall_ms += i64::try_from(leap_ms).unwrap_or(0);
        if self.input.below(8) == 0 {
            self.now.wall_ms += self.input.pick(&[-315_360_000_000, -7_200_000, 7_200_000, 315_360_000_000]);
        }
        self.tell(Told::Wake);
        let due_ms = self.core.poll_timeout();
        assert!(self.ended || due_ms.is_none_or(|due_ms| due_ms > self.now.mono_ms), "a deadline that stays due");
    }
}
