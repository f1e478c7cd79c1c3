//! The directory: connecting, logging in, coming online, and what its frames mean.

use common::identity::PublicKey;
use common::limits::{HAVE_MAX, KEEP_ALIVE_MS, SESSION_DEAD_MS, TAKE_MAX};
use common::wire::VERSIONS;
use common::wire::directory::{self as wire, FromDirectory, Refusal, ToDirectory};
use rand_core::Rng;

use super::commands::Pending;
use super::people::LookUp;
use super::{Messenger, Then};
use crate::command::{CommandError, ErrorCode};
use crate::event::{DirectoryEnd, Event, Exit, Output};
use crate::limits::PROBE_MS;
use crate::outbox::Deposit;
use crate::registration::Step;
use crate::stored::{DirectoryRecord, StoreOp};
use crate::timers::Timer;

/// Withdrawals remembered while there is no session.
const WITHDRAWN_MAX: usize = 10_000;

impl Messenger {
    pub(super) fn connect(&mut self) {
        if self.session.step() == Step::Idle && self.meta.wants_online && !self.meta.suspended {
            self.timers.clear(Timer::Reconnect);
            self.session.go(Step::Connecting);
            self.out.push_back(Output::DirectoryConnect);
        }
    }

    pub(super) fn send_directory(&mut self, frame: ToDirectory) {
        self.out.push_back(Output::DirectorySend(Box::new(frame)));
    }

    pub(super) fn on_directory_up(&mut self, key: PublicKey) {
        if self.session.step() != Step::Connecting {
            self.out.push_back(Output::DirectoryClose);
            return;
        }
        let first = self.session.up(self.now.mono_ms);
        let pinned = self.directory.as_ref().map(|directory| directory.key);
        let right = match self.config.directory_pin {
            Some(pin) => pin == key.fingerprint(),
            None => pinned.is_none_or(|pinned| pinned == key),
        };
        if !right {
            self.refuse_directory(key, first);
            return;
        }
        if pinned != Some(key) {
            let address = self.config.directory.clone();
            let record = DirectoryRecord { address, key, store_id: [0; 16], commits: 0, token: None };
            self.store(StoreOp::PutDirectory(Box::new(record.clone())), Then::Nothing);
            self.book.use_directory(key);
            self.directory = Some(record);
        }
        self.timers.set(Timer::KeepAlive, self.now.mono_ms + KEEP_ALIVE_MS);
        self.hello();
    }

    fn refuse_directory(&mut self, key: PublicKey, first: bool) {
        let pinned = match (self.config.directory_pin, &self.directory) {
            (Some(pin), _) => pin.to_string(),
            (None, Some(directory)) => directory.key.fingerprint().to_string(),
            (None, None) => String::new(),
        };
        let message = format!(
            "the directory {} shows the key {}, but {pinned} is pinned; nothing was sent. If its owner made a new key, \
             start once with -d {}#{}",
            self.config.directory,
            key.fingerprint(),
            self.config.directory,
            key.fingerprint()
        );
        self.tell(Event::Error(CommandError::new(ErrorCode::DirectoryKeyChanged, message)));
        self.out.push_back(Output::DirectoryClose);
        if first {
            self.exit(Exit::WrongDirectoryKey);
        } else {
            self.directory_lost();
        }
    }

    fn hello(&mut self) {
        let token = self.directory.as_ref().and_then(|directory| directory.token);
        let hello = wire::Hello {
            versions: VERSIONS,
            features: 0,
            instance: self.config.instance,
            epoch: self.meta.epoch,
            token,
        };
        self.send_directory(ToDirectory::Hello(hello));
    }

    /// After a new epoch: the session that asked for it goes on, with no token of the old one.
    pub(super) fn greet_directory_again(&mut self) {
        if self.session.step() == Step::Greeting {
            if let Some(directory) = &mut self.directory {
                directory.token = None;
            }
            self.hello();
        }
    }

    pub(super) fn on_directory_down(&mut self, end: DirectoryEnd) {
        match end {
            DirectoryEnd::NotReached | DirectoryEnd::Lost | DirectoryEnd::Garbage => self.directory_lost(),
        }
    }

    /// There is no session any more: what it carried starts over with the next one.
    pub(super) fn directory_lost(&mut self) {
        if self.session.step() == Step::Idle {
            return;
        }
        let was_online = std::mem::take(&mut self.errands.online_told);
        self.doubt_slots();
        self.errands.probe_ms = None;
        let random = self.rng.next_u32();
        let delay_ms = self.session.down(random);
        self.timers.clear(Timer::KeepAlive);
        if was_online && let Some(name) = self.my_name() {
            self.tell(Event::Offline(name));
        }
        self.errands.online = None;
        self.errands.prekey = None;
        self.errands.depositing = 0;
        self.errands.draining = false;
        self.errands.pending_told = false;
        self.lot.forget_items();
        self.groups_offline();
        self.errands.lookups.retain(|_, why| matches!(why, LookUp::Command(_)));
        for way in self.ways.values_mut() {
            way.looked_up = false;
            way.standing = None;
        }
        for key in self.outbox.recipients() {
            for message in self.outbox.lane(&key) {
                if matches!(message.deposit, Deposit::Sealing | Deposit::Sent) {
                    message.deposit = Deposit::None;
                }
            }
            self.tend(key);
        }
        if self.meta.wants_online && !self.meta.suspended && self.leaving.is_none() {
            self.timers.set(Timer::Reconnect, self.now.mono_ms + delay_ms);
        }
        self.directory_is_down_for_commands();
    }

    pub(super) fn keep_alive(&mut self) {
        if self.session.step() == Step::Idle {
            return;
        }
        let silent = self.errands.probe_ms.take().is_some_and(|probe_ms| self.session.heard_ms() < probe_ms);
        if silent || self.now.mono_ms >= self.session.heard_ms() + SESSION_DEAD_MS {
            self.out.push_back(Output::DirectoryClose);
            self.directory_lost();
            return;
        }
        self.send_directory(ToDirectory::Ping(wire::Ping {}));
        self.timers.set(Timer::KeepAlive, self.now.mono_ms + KEEP_ALIVE_MS);
    }

    pub(super) fn on_directory_frame(&mut self, frame: FromDirectory) {
        if matches!(self.session.step(), Step::Idle | Step::Connecting) {
            return;
        }
        self.session.heard(self.now.mono_ms);
        match frame {
            FromDirectory::Welcome(welcome) => self.on_welcome(welcome),
            FromDirectory::Behind(behind) => self.on_behind(behind.highest_generation),
            FromDirectory::Rejected(rejected) => self.on_rejected(&rejected.reason),
            FromDirectory::TokenKept(_) => self.on_logged_in(),
            FromDirectory::TakenOver(_) => self.suspend(),
            FromDirectory::Done(done) => self.on_done(done.request),
            FromDirectory::Refused(refused) => self.on_refused(refused.request, &refused.reason),
            FromDirectory::Registered(registered) => self.on_registered(registered),
            FromDirectory::Person(person) => self.on_person(person.request, person.profile),
            FromDirectory::People(people) => self.on_people(people),
            FromDirectory::Presence(presence) => self.on_presence(presence),
            FromDirectory::Deposited(deposited) => self.on_deposited(deposited.answers),
            FromDirectory::Had(had) => self.on_had(had.fates),
            FromDirectory::Item(item) => self.on_item(item),
            FromDirectory::DrainBegin(begin) => {
                self.errands.draining = true;
                // A drain that begins anew, after one was busy, tells it no second time.
                let news = begin.human > 0 && self.config.shows;
                if news && !std::mem::replace(&mut self.errands.pending_told, true) {
                    self.tell(Event::Pending(begin.human));
                }
            }
            FromDirectory::DrainEnd(_) => self.errands.draining = false,
            FromDirectory::Slot(slot) => self.on_slot(slot),
            FromDirectory::NotOpened(not) => self.on_not_opened_elsewhere(not),
            FromDirectory::BroadcastSent(sent) => self.on_broadcast_sent(&sent),
            FromDirectory::Shouted(shouted) => self.on_shouted(&shouted),
            FromDirectory::Notices(notices) => self.on_notices(notices.people),
            FromDirectory::GroupSteps(steps) => self.on_group_steps(steps),
            FromDirectory::GroupNews(news) => self.on_group_news(news),
            FromDirectory::Groups(page) => self.on_groups(page),
            FromDirectory::FileRoom(room) => self.on_file_room(&room),
            FromDirectory::Piece(piece) => self.on_piece(piece),
            FromDirectory::Pong(_) | FromDirectory::Unsupported(_) => {}
        }
    }

    fn on_behind(&mut self, highest_generation: u64) {
        if !self.want_epoch(highest_generation) && self.epochs.wanted.is_none() && !self.epochs.changing {
            // A directory that goes on saying so is not believed; the next try comes after the usual pause.
            self.out.push_back(Output::DirectoryClose);
            self.directory_lost();
        }
    }

    fn on_welcome(&mut self, welcome: wire::Welcome) {
        if self.session.step() != Step::Greeting {
            return;
        }
        let Some(directory) = &mut self.directory else { return };
        let known = directory.store_id != [0; 16];
        let other_store = directory.store_id != welcome.store_id || welcome.commits < directory.commits;
        directory.store_id = welcome.store_id;
        directory.commits = welcome.commits;
        directory.token = Some(welcome.token);
        let record = directory.clone();
        let counted_ms = self.clock.confirm(welcome.now_ms, self.now);
        self.age_right(counted_ms);
        self.lines.hear_the_time();
        // What was counted must not be lost with a crash: ages were written that count it.
        self.meta_changed |= counted_ms > 0;
        self.session.go(Step::Confirming);
        let bound = welcome
            .binding
            .filter(|binding| binding.verify(&record.key).is_ok_and(|bound| bound.key == self.config.me));
        self.store(StoreOp::PutDirectory(Box::new(record)), Then::Token);
        if known && other_store {
            self.check_all_soon();
        }
        if bound.is_some() {
            self.set_binding(bound);
        } else if self.meta.binding.is_some() {
            self.name_is_gone(other_store);
        }
    }

    /// The directory does not know our name. A new store has to be told again; otherwise it was released there.
    fn name_is_gone(&mut self, other_store: bool) {
        let name = self.my_name();
        self.set_binding(None);
        if other_store {
            self.config.name = name.or(self.config.name.take());
            return;
        }
        self.config.name = None;
        let name = name.map_or_else(String::new, |name| name.to_string());
        let message = format!("the name {name} was released at the directory; !register NAME takes one again");
        let error = CommandError::new(ErrorCode::NotRegistered, message);
        if !self.logins_fail(&error) {
            self.tell(Event::Error(error));
        }
    }

    fn on_rejected(&mut self, reason: &wire::Rejection) {
        let message = match reason {
            wire::Rejection::Version(low, high) => format!(
                "the directory speaks protocol versions {low} to {high}, this program {} to {}; update the older one",
                VERSIONS.0, VERSIONS.1
            ),
            wire::Rejection::Protocol => "the directory refused the session".to_owned(),
            wire::Rejection::Full(_) | wire::Rejection::ShuttingDown => return,
        };
        self.tell(Event::Error(CommandError::new(ErrorCode::DirectoryUnreachable, message)));
    }

    pub(super) fn on_token_committed(&mut self) {
        if self.session.step() == Step::Confirming
            && let Some(token) = self.directory.as_ref().and_then(|directory| directory.token)
        {
            self.send_directory(ToDirectory::ConfirmToken(wire::ConfirmToken { token }));
        }
    }

    fn on_logged_in(&mut self) {
        if self.session.step() != Step::Confirming {
            return;
        }
        self.session.go(Step::LoggedIn);
        self.come_online();
        self.commands_after_login();
    }

    /// Publishes presence if there is a name; asks for one if one is wanted.
    pub(super) fn come_online(&mut self) {
        if self.session.step() != Step::LoggedIn || self.errands.online.is_some() {
            return;
        }
        let Some(prekey) = self.prekeys.current().map(|key| key.record.clone()) else { return };
        let request = self.session.request();
        if self.meta.binding.is_some() {
            self.errands.online = Some(request);
            let candidates = self.config.candidates.clone();
            let (standing, note) = self.standing_to_tell();
            let online = wire::Online { request, candidates, prekey, standing, note };
            self.send_directory(ToDirectory::Online(online));
            return;
        }
        let wanted = self.pending.values().find_map(|pending| match pending {
            Pending::Register { name, .. } => Some(name.clone()),
            _ => None,
        });
        if let Some(name) = wanted.or_else(|| self.config.name.clone()) {
            self.errands.online = Some(request);
            self.send_directory(ToDirectory::Register(wire::Register { request, name, prekey }));
        }
    }

    fn on_registered(&mut self, registered: wire::Registered) {
        if self.errands.online != Some(registered.request) {
            return;
        }
        self.errands.online = None;
        let Some(directory) = self.directory.as_ref().map(|directory| directory.key) else { return };
        let Ok(bound) = registered.binding.verify(&directory) else { return };
        if bound.key != self.config.me {
            return;
        }
        self.set_binding(Some(registered.binding));
        self.tell(Event::Registered(bound.name));
        self.come_online();
    }

    fn on_done(&mut self, request: u32) {
        if self.errands.online == Some(request) {
            self.errands.online = None;
            self.session.go(Step::Online);
            self.prekey_confirmed();
            self.correct_standing();
            if let Some(name) = self.my_name().filter(|_| !self.errands.online_told) {
                self.errands.online_told = true;
                self.tell(Event::Online(name));
            }
            self.watch_all();
            self.groups_online();
            self.files_online();
            self.repeat_acks();
            self.send_takes();
            self.commands_after_online();
            for key in self.outbox.recipients() {
                self.tend(key);
            }
        } else if self.errands.prekey == Some(request) {
            self.errands.prekey = None;
            self.prekey_confirmed();
        } else {
            self.command_done(request);
        }
    }

    fn on_refused(&mut self, request: u32, reason: &Refusal) {
        if self.errands.lookups.contains_key(&request) {
            self.on_nobody(request, reason);
        } else if self.errands.online == Some(request) {
            self.errands.online = None;
            self.registration_refused(reason);
        } else if !self.standing_refused(request, reason) {
            self.command_refused(request, reason);
        }
    }

    /// Takings and withdrawals of this turn. What cannot be said now is said by the mail coming again.
    pub(super) fn send_takes(&mut self) {
        if !self.session.is_logged_in() {
            // What was taken comes again with the next login; what was withdrawn has to be said then.
            self.owed.takes.clear();
            self.owed.withdrawals.truncate(WITHDRAWN_MAX);
            return;
        }
        if self.epochs.wanted.is_some() {
            // Mail that is not taken stops coming, so that the store gets quiet enough for the new epoch.
            return;
        }
        while !self.owed.takes.is_empty() {
            let count = self.owed.takes.len().min(TAKE_MAX);
            let items = self.owed.takes.drain(..count).collect();
            self.send_directory(ToDirectory::Take(wire::Take { items }));
        }
        while !self.owed.withdrawals.is_empty() {
            let count = self.owed.withdrawals.len().min(HAVE_MAX);
            let places = self.owed.withdrawals.drain(..count).collect();
            self.send_directory(ToDirectory::Withdraw(wire::Withdraw { places }));
        }
    }

    pub(super) fn on_network_changed(&mut self, candidates: Vec<std::net::SocketAddr>) {
        self.config.candidates = candidates;
        self.session.forgive();
        if self.session.step() == Step::Idle {
            self.connect();
        } else if self.session.is_online() {
            // Publishes the new addresses, and finds out whether the session survived.
            self.session.go(Step::LoggedIn);
            self.come_online();
            self.send_directory(ToDirectory::Ping(wire::Ping {}));
            self.errands.probe_ms = Some(self.now.mono_ms);
            self.timers.set(Timer::KeepAlive, self.now.mono_ms + PROBE_MS);
        }
        let keys: Vec<PublicKey> = self.ways.keys().copied().collect();
        for key in keys {
            self.way(key).redial.reset();
            self.tend(key);
        }
    }
}
