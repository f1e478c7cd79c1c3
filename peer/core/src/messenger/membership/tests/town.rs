//! Several messengers, a directory that keeps groups, and nothing between them that loses anything: what is said arrives in
//! the same moment. The directory is a stand-in; the real one has its own tests, and both meet in the simulation.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use common::identity::{Identity, PublicKey};
use common::message::{Epoch, EpochId};
use common::name::Name;
use common::record::{Binding, Bound, Prekey, PrekeyRecord};
use common::seal::PrekeySecret;
use common::wire::directory::Standing;

use super::disk::{Disk, keep_file, tally};
use super::registry::Registry;
use crate::event::{AcceptFrom, Config, DirectoryEnd, Dropped, Event, FileJob, Input, LinkEnd, LinkId, Now, Output};
use crate::messenger::Messenger;
use crate::stored::{
    Arrived, DirectoryRecord, Meta, OwnPrekey, Query, QueryResult, Snapshot, State, StoreOp, StoreResult, StoredMessage,
};

const START_MS: i64 = 1_700_000_000_000;

pub(in crate::messenger) fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub(in crate::messenger) struct Person {
    pub identity: Identity,
    core: Option<Messenger>,
    disk: Disk,
    pub events: Vec<Event>,
    pub dropped: Vec<(PublicKey, Dropped)>,
    pub dismissed: Vec<u64>,
    pub jobs: Vec<FileJob>,
    pub accept_from: AcceptFrom,
    pub next: u64,
}

impl Person {
    /// Another directory was the last to show them their groups.
    pub fn seen_groups_at(&mut self, directory: PublicKey) {
        self.disk.snapshot.homes.iter_mut().for_each(|(_, home)| *home = directory);
    }
}

pub(in crate::messenger) struct Town {
    pub people: Vec<Person>,
    pub registry: Registry,
    pub now: Now,
    /// Nobody reaches the directory.
    pub away: bool,
    /// No datagram passes.
    pub cut: bool,
    /// Both ends of each link.
    pub links: BTreeMap<(usize, LinkId), (usize, LinkId)>,
    accepted: u64,
    pub inputs: VecDeque<(usize, Input)>,
    /// How often deadlines have woken anybody.
    pub wakes: u64,
}

impl Town {
    /// People who are registered and online.
    pub fn new(names: &[&str]) -> Self {
        let mut town = Self {
            people: Vec::new(),
            registry: Registry::new(),
            now: Now { mono_ms: 0, wall_ms: START_MS },
            away: false,
            cut: false,
            links: BTreeMap::new(),
            accepted: 1,
            inputs: VecDeque::new(),
            wakes: 0,
        };
        for text in names {
            town.moves_in(text);
        }
        town.settle();
        town
    }

    fn moves_in(&mut self, text: &str) {
        let number = self.people.len();
        let identity = Identity::from_seed(&[u8::try_from(number + 1).expect("few"); 32]);
        let (key, name) = (identity.public(), name(text));
        self.registry.people.insert(key, (name.clone(), None));
        let disk = Disk { snapshot: new_snapshot(&self.registry, key, &name), ..Disk::default() };
        self.people.push(Person {
            identity,
            core: None,
            disk,
            events: Vec::new(),
            dropped: Vec::new(),
            dismissed: Vec::new(),
            jobs: Vec::new(),
            accept_from: AcceptFrom::Nobody,
            next: 0,
        });
        self.start(number);
    }

    pub fn start(&mut self, who: usize) {
        let person = &mut self.people[who];
        let config = Config {
            me: person.identity.public(),
            instance: [u8::try_from(who).expect("few"); 16],
            seed: [u8::try_from(who + 1).expect("few"); 32],
            directory: "d:1".to_owned(),
            directory_pin: None,
            name: None,
            bind: address(who),
            candidates: vec![address(who)],
            shows: true,
            version: "0".to_owned(),
            accept_from: person.accept_from.clone(),
        };
        person.core = Some(Messenger::new(config, person.disk.snapshot.clone(), self.now));
    }

    /// The program of somebody is gone at once.
    pub fn stop(&mut self, who: usize) {
        self.people[who].core = None;
        self.inputs.retain(|(to, _)| *to != who);
        let gone: Vec<_> = self.links.iter().filter(|((of, _), _)| *of == who).map(|(_, other)| *other).collect();
        self.links.retain(|(of, _), (other, _)| *of != who && *other != who);
        for (other, link) in gone {
            self.inputs.push_back((other, Input::LinkDown { link, end: LinkEnd::Lost }));
        }
        let key = self.key(who);
        self.registry.offline(&key);
        self.settle();
    }

    /// Does something with somebody's messenger that no user could.
    pub fn with(&mut self, who: usize, what: impl FnOnce(&mut Messenger)) {
        if let Some(core) = self.people[who].core.as_mut() {
            what(core);
        }
    }

    pub fn key(&self, who: usize) -> PublicKey {
        self.people[who].identity.public()
    }

    fn number(&self, key: &PublicKey) -> Option<usize> {
        (0..self.people.len()).find(|who| self.key(*who) == *key)
    }

    /// Everything that follows at once happens.
    pub fn settle(&mut self) {
        loop {
            for who in 0..self.people.len() {
                while let Some(output) = self.people[who].core.as_mut().and_then(Messenger::poll_output) {
                    self.carry_out(who, output);
                }
            }
            let now = self.now;
            for (to, frame) in std::mem::take(&mut self.registry.outbox) {
                if let Some(who) = self.number(&to).filter(|_| !self.away) {
                    self.inputs.push_back((who, Input::DirectoryFrame(Box::new(frame))));
                }
            }
            let Some((who, input)) = self.inputs.pop_front() else { break };
            if let Some(core) = self.people[who].core.as_mut() {
                core.handle(input, now);
            }
        }
    }

    pub fn wait(&mut self, for_ms: u64) {
        let until_ms = self.now.mono_ms + for_ms;
        loop {
            let due = self.people.iter().filter_map(|person| person.core.as_ref()?.poll_timeout()).min();
            let at_ms = due.unwrap_or(until_ms).clamp(self.now.mono_ms, until_ms);
            self.now.wall_ms += i64::try_from(at_ms - self.now.mono_ms).expect("not so long");
            self.now.mono_ms = at_ms;
            for who in 0..self.people.len() {
                let is_due = |core: &Messenger| core.poll_timeout().is_some_and(|due_ms| due_ms <= at_ms);
                if self.people[who].core.as_ref().is_some_and(is_due) {
                    self.inputs.push_back((who, Input::Wake));
                    self.wakes += 1;
                }
            }
            let idle = self.inputs.is_empty();
            self.settle();
            if idle && at_ms >= until_ms {
                return;
            }
        }
    }

    pub fn directory_goes(&mut self) {
        self.away = true;
        for who in 0..self.people.len() {
            let key = self.key(who);
            self.registry.offline(&key);
            self.inputs.push_back((who, Input::DirectoryDown(DirectoryEnd::Lost)));
        }
        self.settle();
    }

    /// A change gets through, and the answer to it does not: the directory is gone.
    pub fn lose_the_answer_to_a_change(&mut self, who: usize) {
        let steps = |registry: &Registry| registry.groups.values().map(Vec::len).sum::<usize>();
        let before = steps(&self.registry);
        while steps(&self.registry) == before {
            let (to, input) = self.inputs.pop_front().expect("the change is on its way");
            let now = self.now;
            if let Some(core) = self.people[to].core.as_mut() {
                core.handle(input, now);
            }
            while let Some(output) = self.people[to].core.as_mut().and_then(Messenger::poll_output) {
                self.carry_out(to, output);
            }
            if steps(&self.registry) == before {
                for (to, frame) in std::mem::take(&mut self.registry.outbox) {
                    let to = self.number(&to).expect("a person");
                    self.inputs.push_back((to, Input::DirectoryFrame(Box::new(frame))));
                }
            }
        }
        assert_eq!(
            self.key(who),
            self.registry
                .groups
                .values()
                .next_back()
                .expect("a group")
                .last()
                .expect("a step")
                .verify()
                .expect("a step")
                .by
        );
        self.registry.outbox.clear();
        self.directory_goes();
    }

    /// It is there again, and everybody has found it.
    pub fn directory_comes(&mut self) {
        self.away = false;
        self.wait(20_000);
    }

    fn carry_out(&mut self, who: usize, output: Output) {
        let person = &mut self.people[who];
        match output {
            Output::Event(event) => {
                let shown = event.mark();
                person.events.push(event);
                if let Some(n) = shown {
                    self.inputs.push_back((who, Input::Shown(vec![n])));
                }
            }
            Output::Store { ticket, ops } => {
                let results = ops.into_iter().map(|op| self.commit(who, op)).collect();
                self.inputs.push_back((who, Input::Stored { ticket, results }));
            }
            Output::Query { ticket, query } => {
                let result = match query {
                    Query::Steps { group, after, count } => QueryResult::Steps(person.disk.steps(group, after, count)),
                    _ => QueryResult::History(Vec::new()),
                };
                self.inputs.push_back((who, Input::Answered { ticket, result }));
            }
            Output::DirectoryConnect if self.away => {
                self.inputs.push_back((who, Input::DirectoryDown(DirectoryEnd::NotReached)));
            }
            Output::DirectoryConnect => {
                let key = self.registry.identity.public();
                self.inputs.push_back((who, Input::DirectoryUp { key }));
            }
            Output::DirectorySend(frame) if !self.away => {
                let from = self.key(who);
                self.registry.take(from, *frame, self.now.wall_ms);
            }
            Output::Dial { link, key, .. } => self.dial(who, link, &key),
            Output::LinkSend { link, frame } => {
                if let Some((other, at)) = self.links.get(&(who, link)).copied() {
                    self.inputs.push_back((other, Input::LinkFrame { link: at, frame }));
                }
            }
            Output::LinkClose { link } => self.hang_up(who, link),
            Output::Seal { ticket, plain, .. } => {
                self.inputs.push_back((who, Input::Sealed { ticket, sealed: Some(plain) }));
            }
            Output::Open { ticket, sealed, .. } => {
                self.inputs.push_back((who, Input::Opened { ticket, plain: Ok(sealed) }));
            }
            Output::Sign { ticket, context, bytes } => {
                let signature = person.identity.sign(context, &bytes);
                self.inputs.push_back((who, Input::Signed { ticket, signature }));
            }
            Output::MakePrekey { counter, created_ms } => {
                let (owner, key) = (person.identity.public(), vec![1; common::limits::PREKEY_BYTES]);
                let prekey = Prekey { owner, counter, created_ms, key };
                let record = PrekeyRecord::sign(&person.identity, &prekey);
                let secret = PrekeySecret::from_bytes(&[2; 32]).expect("32 bytes");
                self.inputs.push_back((who, Input::PrekeyMade { record, secret }));
            }
            Output::File(job) => person.jobs.push(job),
            Output::Dropped { from, why } => person.dropped.push((from, why)),
            Output::DirectorySend(_) | Output::DirectoryClose | Output::Exit(_) => {}
        }
    }

    fn dial(&mut self, who: usize, link: LinkId, key: &PublicKey) {
        let other = self.number(key).filter(|other| self.people[*other].core.is_some() && !self.cut);
        let Some(other) = other else {
            self.inputs.push_back((who, Input::LinkDown { link, end: LinkEnd::NotReached }));
            return;
        };
        let at = LinkId(self.accepted);
        self.accepted += 2;
        self.links.insert((who, link), (other, at));
        self.links.insert((other, at), (who, link));
        let (here, there) = (self.key(who), *key);
        let up = |link, key, address, dialled| Input::LinkUp { link, key, address, dialled };
        self.inputs.push_back((other, up(at, here, address(who), false)));
        self.inputs.push_back((who, up(link, there, address(other), true)));
    }

    fn hang_up(&mut self, who: usize, link: LinkId) {
        self.inputs.push_back((who, Input::LinkDown { link, end: LinkEnd::Closed }));
        if let Some((other, at)) = self.links.remove(&(who, link)) {
            self.links.remove(&(other, at));
            self.inputs.push_back((other, Input::LinkDown { link: at, end: LinkEnd::Lost }));
        }
    }

    fn commit(&mut self, who: usize, op: StoreOp) -> StoreResult {
        let person = &mut self.people[who];
        let Person { disk, dismissed, .. } = person;
        let snapshot = &mut disk.snapshot;
        match op {
            StoreOp::Queue(new) => {
                disk.next += 1;
                disk.known.insert((person.identity.public(), new.row.id), disk.next);
                let others = new.copies.iter().map(|copy| copy.recipient);
                let all = std::iter::once(new.row.recipient).chain(others).map(|key| (key, State::Queued));
                disk.copies.insert(disk.next, all.collect());
                return StoreResult::Queued { n: disk.next };
            }
            StoreOp::State { n, recipient, state, .. } => {
                if let Some(copies) = disk.copies.get_mut(&n) {
                    copies.insert(recipient, state);
                    return StoreResult::Tallied(tally(copies));
                }
            }
            StoreOp::Receive(arrival) => {
                if let Some(n) = disk.known.get(&(arrival.sender, arrival.id)) {
                    return StoreResult::Arrived(Arrived::Double { n: *n });
                }
                disk.next += 1;
                let n = disk.next;
                disk.known.insert((arrival.sender, arrival.id), n);
                snapshot.unshown.push(stored(n, &arrival));
                return StoreResult::Arrived(Arrived::New { n, late: false, line: None, settled: Vec::new() });
            }
            StoreOp::Shown(numbers) => snapshot.unshown.retain(|message| !numbers.contains(&message.n)),
            StoreOp::Dismiss(numbers) => {
                snapshot.unshown.retain(|message| !numbers.contains(&message.n));
                dismissed.extend(numbers);
            }
            StoreOp::PutGroupHome { group, directory } => {
                snapshot.homes.retain(|(id, _)| *id != group);
                snapshot.homes.push((group, directory));
            }
            StoreOp::PutSteps { group, first, steps } => {
                let at = snapshot.groups.iter().position(|(id, _)| *id == group);
                let at = at.unwrap_or_else(|| {
                    snapshot.groups.push((group, Vec::new()));
                    snapshot.groups.len() - 1
                });
                let chain = &mut snapshot.groups[at].1;
                assert_eq!(chain.len() as u64 + 1, first, "steps are put after those that are there");
                chain.extend(steps);
            }
            StoreOp::NewFile(row) => keep_file(disk, *row, false),
            StoreOp::PutFile(row) => keep_file(disk, *row, true),
            StoreOp::PutContact(contact) => {
                snapshot.contacts.retain(|known| known.key != contact.key);
                snapshot.contacts.push(*contact);
            }
            StoreOp::PutPin(pin) => {
                snapshot.pins.retain(|known| known.name != pin.name);
                snapshot.pins.push(*pin);
            }
            StoreOp::PutMeta(meta) => snapshot.meta = Some(meta),
            StoreOp::PutDirectory(record) => snapshot.directory = Some(*record),
            StoreOp::PutPrekey(key) => keep_prekey(snapshot, *key),
            StoreOp::Vanish { .. } => return StoreResult::Vanished { numbers: Vec::new(), next_age_ms: None },
            StoreOp::Read { .. } => return StoreResult::Read(Vec::new()),
            StoreOp::ForgetTexts(_) => return StoreResult::Forgotten(0),
            _ => {}
        }
        StoreResult::Done
    }
}

fn keep_prekey(snapshot: &mut Snapshot, key: OwnPrekey) {
    snapshot.prekeys.retain(|known| known.counter != key.counter);
    snapshot.prekeys.push(key);
}

fn stored(n: u64, arrival: &crate::stored::Arrival) -> StoredMessage {
    StoredMessage {
        n,
        id: arrival.id,
        sender: arrival.sender,
        other: arrival.sender,
        mine: false,
        conversation: arrival.conversation,
        kind: arrival.kind,
        body: arrival.body.clone(),
        sent_at_ms: arrival.sent_at_ms,
        received_at_ms: arrival.received_at_ms,
        via: Some(arrival.via),
        request: arrival.request,
        urgent: arrival.urgent,
        waited: arrival.waited,
        ordered: arrival.ordered,
        after: arrival.after,
        state: None,
        elapsed_ms: 0,
        quote: None,
        edited: false,
        gone: None,
        reactions: Vec::new(),
        tally: None,
    }
}

fn address(who: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(who + 1).expect("few")], 2222))
}

fn new_snapshot(registry: &Registry, key: PublicKey, name: &Name) -> Snapshot {
    let directory = registry.identity.public();
    let bound = Bound { directory, name: name.clone(), key, serial: 1 };
    let meta = Meta {
        epoch: Epoch { generation: 1, id: EpochId([key.0[0]; 16]) },
        highest_generation: 1,
        version_reserve: 1,
        age_ms: 1_000,
        wall_ms: START_MS,
        wants_online: true,
        suspended: false,
        left_cleanly: true,
        binding: Some(Binding::sign(&registry.identity, &bound)),
        receipts: false,
        standing: Standing::Online,
        note: None,
    };
    let address = "d:1".to_owned();
    let record = DirectoryRecord { address, key: directory, store_id: [1; 16], commits: 0, token: None };
    Snapshot { meta: Some(meta), directory: Some(record), ..Snapshot::default() }
}
