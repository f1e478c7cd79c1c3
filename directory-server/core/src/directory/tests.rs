//! The directory as its peers see it, over a store in memory. Nothing here opens a socket or waits for a clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use common::identity::{Identity, PublicKey};
use common::limits::PREKEY_BYTES;
use common::message::{Epoch, EpochId};
use common::record::{Prekey, PrekeyRecord};
use common::wire::directory::*;

use super::Directory;
use crate::event::{Input, Now, Output, SessionId, StoreHead, StoreOp, Ticket};
use crate::limits::Limits;
use shelf::Shelf;

mod files;
mod groups;
mod login;
mod mail;
mod people;
mod shelf;
mod talk;

const LOOPBACK: &str = "127.0.0.1:50000";

fn identity(of: u8) -> Identity {
    Identity::from_seed(&[of; 32])
}

fn key(of: u8) -> PublicKey {
    identity(of).public()
}

fn epoch(generation: u64, id: u8) -> Epoch {
    Epoch { generation, id: EpochId([id; 16]) }
}

fn prekey(of: u8, counter: u64) -> PrekeyRecord {
    let key = vec![of; PREKEY_BYTES];
    PrekeyRecord::sign(&identity(of), &Prekey { owner: identity(of).public(), counter, created_ms: 0, key })
}

/// A directory, its store and everybody connected to it.
struct World {
    directory: Directory,
    shelf: Shelf,
    now: Now,
    heard: BTreeMap<SessionId, Vec<FromDirectory>>,
    closed: BTreeSet<SessionId>,
    paused: BTreeSet<SessionId>,
    /// Those who have too much waiting to be given what is shared.
    deaf: BTreeSet<SessionId>,
    asked: VecDeque<(Ticket, StoreOp)>,
    /// The store answers nothing while this is set.
    stalled: bool,
    fatal: bool,
    commits: u64,
    last_session: u64,
}

impl World {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let now = Now { mono_ms: 1_000, wall_ms: 1_800_000_000_000 };
        let head = StoreHead { store_id: [9; 16], commits: 5, binding_serial: 0 };
        Self {
            directory: Directory::new(limits, identity(200), [7; 32], head, now),
            shelf: Shelf::default(),
            now,
            heard: BTreeMap::new(),
            closed: BTreeSet::new(),
            paused: BTreeSet::new(),
            deaf: BTreeSet::new(),
            asked: VecDeque::new(),
            stalled: false,
            fatal: false,
            commits: 5,
            last_session: 0,
        }
    }

    fn input(&mut self, input: Input) {
        self.directory.handle(input, self.now);
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            while let Some(output) = self.directory.poll_output() {
                self.carry_out(output);
            }
            if self.stalled || self.asked.is_empty() {
                return;
            }
            let asked = std::mem::take(&mut self.asked);
            let results = asked.into_iter().map(|(ticket, op)| (ticket, self.shelf.run(op))).collect();
            self.commits += 1;
            self.directory.handle(Input::Stored { results, commits: self.commits }, self.now);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { session, frame } => {
                assert!(!self.closed.contains(&session), "{frame:?} to a closed session");
                self.heard.entry(session).or_default().push(frame);
            }
            Output::Share { ticket, sessions, frame } => {
                let deaf = &self.deaf;
                let hearing = sessions.into_iter().filter(|session| !deaf.contains(session));
                let hearing: Vec<_> = hearing.collect();
                let count = u32::try_from(hearing.len()).unwrap();
                for session in hearing {
                    self.carry_out(Output::Send { session, frame: frame.clone() });
                }
                self.directory.handle(Input::Shared { ticket, count }, self.now);
            }
            Output::Close { session } => assert!(self.closed.insert(session), "closed twice"),
            Output::Pause { session } => assert!(self.paused.insert(session), "paused twice"),
            Output::Resume { session } => assert!(self.paused.remove(&session), "resumed twice"),
            Output::Store { ticket, op } => self.asked.push_back((ticket, op)),
            Output::Fatal => self.fatal = true,
        }
    }

    fn pass(&mut self, ms: u64) {
        let until_ms = self.now.mono_ms + ms;
        let start = self.now;
        while let Some(at_ms) = self.directory.poll_timeout().filter(|at_ms| *at_ms <= until_ms) {
            self.now.mono_ms = self.now.mono_ms.max(at_ms);
            self.now.wall_ms = start.wall_ms + i64::try_from(self.now.mono_ms - start.mono_ms).unwrap();
            self.input(Input::Timeout);
        }
        self.now = Now { mono_ms: until_ms, wall_ms: start.wall_ms + i64::try_from(ms).unwrap() };
    }

    fn connect_from(&mut self, who: u8, address: &str) -> SessionId {
        self.last_session += 1;
        let session = SessionId(self.last_session);
        self.input(Input::SessionOpened { session, key: key(who), address: address.parse().unwrap() });
        session
    }

    fn connect(&mut self, who: u8) -> SessionId {
        self.connect_from(who, LOOPBACK)
    }

    fn send(&mut self, session: SessionId, frame: impl Into<ToDirectory>) {
        self.input(Input::Frame { session, frame: frame.into() });
    }

    /// What was sent to a session since this was last asked.
    fn hear(&mut self, session: SessionId) -> Vec<FromDirectory> {
        self.heard.remove(&session).unwrap_or_default()
    }

    fn hello(&mut self, session: SessionId, instance: u8, epoch: Epoch, token: Option<Token>) {
        self.send(session, Hello { versions: (1, 1), features: 0, instance: [instance; 16], epoch, token });
    }

    /// The token of the welcome that a session must just have got.
    fn welcomed(&mut self, session: SessionId) -> Token {
        match self.hear(session).as_slice() {
            [FromDirectory::Welcome(welcome)] => welcome.token,
            other => panic!("no welcome: {other:?}"),
        }
    }

    /// Logs in from an address; the first time, with the first epoch.
    fn log_in_from(&mut self, who: u8, address: &str) -> SessionId {
        let session = self.connect_from(who, address);
        self.hello(session, who, epoch(1, who), None);
        let token = self.welcomed(session);
        self.send(session, ConfirmToken { token });
        assert_eq!(self.hear(session), [TokenKept {}.into()]);
        session
    }

    /// Logs in, registers, comes online; what was heard is forgotten.
    fn come(&mut self, who: u8, name: &str) -> SessionId {
        let session = self.log_in_from(who, LOOPBACK);
        self.send(session, Register { request: 1, name: name.parse().unwrap(), prekey: prekey(who, 1) });
        self.online(session, who, &["127.0.0.1:8283"]);
        self.hear(session);
        session
    }

    fn online(&mut self, session: SessionId, who: u8, candidates: &[&str]) {
        let candidates = candidates.iter().map(|candidate| candidate.parse().unwrap()).collect();
        self.send(
            session,
            Online {
                request: 2,
                candidates,
                prekey: prekey(who, 1),
                standing: common::wire::directory::Standing::Online,
                note: None,
            },
        );
    }

    /// Registers somebody and goes away.
    fn absent(&mut self, who: u8, name: &str) {
        let session = self.come(who, name);
        self.input(Input::SessionClosed { session });
    }

    /// The same store comes back after `absent`, in a new epoch.
    fn back(&mut self, who: u8) -> SessionId {
        let session = self.connect(who);
        self.hello(session, who, epoch(2, who), None);
        let token = self.welcomed(session);
        self.send(session, ConfirmToken { token });
        self.hear(session);
        session
    }
}

fn place(to: u8, seq: u64) -> Place {
    Place { recipient: key(to), epoch: EpochId([1; 16]), seq }
}

fn deposit(to: u8, seq: u64) -> Deposit {
    let sealed = vec![u8::try_from(seq % 256).unwrap(); 100];
    Deposit { place: place(to, seq), tag: seq.to_be_bytes(), prekey: 1, urgent: false, human: true, sealed }
}

fn refused(request: u32, reason: Refusal) -> FromDirectory {
    Refused { request, reason }.into()
}
