//! Direct connections: dialling, greeting, which of two stays, and the frames on them.

use std::net::SocketAddr;

use common::identity::PublicKey;
use common::wire::VERSIONS;
use common::wire::directory::Standing;
use common::wire::peer::{self as wire, CloseReason, Greeting, PeerFrame};
use rand_core::Rng;

use super::Messenger;
use crate::event::{Dropped, LinkEnd, LinkId, Output};
use crate::limits::{
    LINK_BRIEF_MS, LINKS_KNOWN_MAX, LINKS_STRANGERS_MAX, OFFER_AGAIN_MS, REDIAL_INTEREST_MS, SPARED_MS,
    STRANGER_IDLE_MS, WARM_DIALS_MAX, WARM_SECOND_MS,
};
use crate::link::Duplicate;
use crate::stored::Via;
use crate::timers::Timer;

/// Addresses remembered of one person.
const ADDRESSES_MAX: usize = 4;

impl Messenger {
    /// Dials somebody unless it is done already. True when a dial is under way.
    pub(super) fn dial(&mut self, key: PublicKey) -> bool {
        let addresses = self.addresses_of(&key);
        if addresses.is_empty() {
            return false;
        }
        if let Some(link) = self.links.dial(key) {
            self.out.push_back(Output::Dial { link, key, addresses });
        }
        true
    }

    pub(super) fn on_link_up(&mut self, link: LinkId, key: PublicKey, address: SocketAddr, dialled: bool) {
        self.links.up(link, key, address, dialled, self.now.mono_ms);
        if key == self.config.me || !self.may_talk() {
            self.close_link(link, CloseReason::Leaving);
            return;
        }
        self.timers.set(Timer::Link(link), self.now.mono_ms + STRANGER_IDLE_MS);
        if dialled {
            let hello = PeerFrame::Hello(wire::Hello(self.greeting(key)));
            self.out.push_back(Output::LinkSend { link, frame: Box::new(hello) });
        }
        let is_known = self.is_known(&key);
        let (count, oldest) = self.links.count(|other| self.is_known(other) == is_known);
        let most = if is_known { LINKS_KNOWN_MAX } else { LINKS_STRANGERS_MAX };
        if count > most
            && let Some(oldest) = oldest.filter(|oldest| *oldest != link)
        {
            self.close_link(oldest, CloseReason::Busy);
        }
    }

    /// Whether a link to somebody is wanted though nothing waits for them: they are there, and are in a group with this
    /// user or were talked with lately. Of two in a group the one with the smaller key dials, the other one if that does
    /// not come to anything.
    pub(super) fn is_kept_warm(&mut self, key: PublicKey) -> bool {
        let (now_ms, me) = (self.now.mono_ms, self.config.me);
        let fellow = self.groups.shares(&key) && !self.is_blocked(&key);
        let way = self.way(key);
        let there = matches!(way.standing, Some(Standing::Online | Standing::Away | Standing::Busy));
        let lately = way.exchange_ms.is_some_and(|at| now_ms < at + REDIAL_INTEREST_MS);
        let tried = way.redial.failures() >= WARM_DIALS_MAX;
        let first_ms = if me < key { 0 } else { way.returned_ms.unwrap_or(now_ms) + WARM_SECOND_MS };
        let spared = now_ms < way.spared_until_ms;
        if !there || spared {
            return false;
        }
        if lately {
            return true;
        }
        if !fellow || tried || self.links.count(|other| self.is_known(other)).0 >= LINKS_KNOWN_MAX {
            return false;
        }
        if now_ms < first_ms {
            self.timers.set_by(Timer::Peer(key), first_ms);
        }
        now_ms >= first_ms
    }

    fn greeting(&mut self, to: PublicKey) -> Greeting {
        Greeting {
            versions: VERSIONS,
            features: 0,
            instance: self.config.instance,
            epoch: self.meta.epoch,
            binding: self.meta.binding.clone(),
            state: self.pair_state(to, true),
        }
    }

    pub(super) fn send_state(&mut self, key: PublicKey, with_prekey: bool) {
        if let Some(link) = self.links.open_to(&key) {
            let state = self.pair_state(key, with_prekey);
            self.out.push_back(Output::LinkSend { link, frame: Box::new(PeerFrame::State(state)) });
        }
    }

    pub(super) fn close_link(&mut self, link: LinkId, reason: CloseReason) {
        if let Some(closed) = self.links.of(link) {
            closed.closing = true;
        }
        let frame = Box::new(PeerFrame::Close(wire::Close { reason }));
        self.out.push_back(Output::LinkSend { link, frame });
        self.out.push_back(Output::LinkClose { link });
    }

    pub(super) fn on_link_frame(&mut self, link: LinkId, frame: PeerFrame) {
        let now_ms = self.now.mono_ms;
        let Some(state) = self.links.of(link) else { return };
        state.heard_ms = now_ms;
        let (key, dialled, greeted) = (state.key, state.dialled, state.instance.is_some());
        match (frame, greeted) {
            (PeerFrame::Hello(hello), false) if !dialled => self.on_greeting(link, key, hello.0, true),
            (PeerFrame::Welcome(welcome), false) if dialled => self.on_greeting(link, key, welcome.0, false),
            (PeerFrame::Envelope(envelope), true) => {
                self.way(key).exchange_ms = Some(now_ms);
                self.arrive(key, envelope, Via::Direct, false, None);
            }
            (PeerFrame::State(state), true) => self.apply(key, state, Via::Direct),
            (PeerFrame::Close(close), _) => {
                if close.reason == CloseReason::Busy {
                    // They have no room for a link that carries nothing.
                    self.way(key).spared_until_ms = now_ms + SPARED_MS;
                }
                self.out.push_back(Output::LinkClose { link });
            }
            (PeerFrame::Unsupported(_), _) => {}
            (PeerFrame::Hello(_) | PeerFrame::Welcome(_) | PeerFrame::Envelope(_) | PeerFrame::State(_), _) => {
                self.close_link(link, CloseReason::Protocol);
            }
        }
    }

    pub(super) fn on_link_unknown(&mut self, link: LinkId, kind: u16) {
        if self.links.of(link).is_some() {
            let frame = Box::new(PeerFrame::Unsupported(wire::Unsupported { kind }));
            self.out.push_back(Output::LinkSend { link, frame });
        }
    }

    fn on_greeting(&mut self, link: LinkId, key: PublicKey, greeting: Greeting, answer: bool) {
        if greeting.versions.0 > VERSIONS.1 || greeting.versions.1 < VERSIONS.0 {
            self.close_link(link, CloseReason::Version);
            return;
        }
        if let Some(binding) = &greeting.binding {
            self.hear_binding(&key, binding);
        }
        if self.book.name_of(&key).is_none() {
            // Nobody by that key is believed to have a name: what they say cannot be shown under one.
            self.dropped(key, Dropped::Unnamed);
            self.close_link(link, CloseReason::Unnamed);
            return;
        }
        let blocked = self.is_blocked_for_good(&key);
        if answer {
            let welcome = PeerFrame::Welcome(wire::Welcome(self.greeting(key)));
            self.out.push_back(Output::LinkSend { link, frame: Box::new(welcome) });
        }
        if blocked {
            // The state in the greeting says it all.
            self.close_link(link, CloseReason::Blocked);
            return;
        }
        let me = self.config.me;
        match self.links.greeted(link, greeting.instance, &me) {
            Duplicate::None => {}
            Duplicate::Other { link: other } => self.close_link(other, CloseReason::Duplicate),
            Duplicate::This => {
                // The other end decides alike; it closes this one too.
                self.close_link(link, CloseReason::Duplicate);
                return;
            }
        }
        self.opened(link, key);
        self.apply(key, greeting.state, Via::Direct);
        self.tend(key);
        self.files_linked(&key);
    }

    fn opened(&mut self, link: LinkId, key: PublicKey) {
        let now_ms = self.now.mono_ms;
        if self.is_known(&key) {
            self.timers.clear(Timer::Link(link));
        }
        if let Some(address) = self.links.of(link).map(|state| state.address) {
            self.book.change(&key, |contact| {
                if contact.addresses.first() != Some(&address) {
                    contact.addresses.retain(|known| *known != address);
                    contact.addresses.insert(0, address);
                    contact.addresses.truncate(ADDRESSES_MAX);
                }
            });
        }
        let way = self.way(key);
        way.failed_ms = None;
        way.flight_full = false;
        way.linked_ms = Some(now_ms);
        way.returned_ms.get_or_insert(now_ms);
        self.timers.set_by(Timer::Peer(key), now_ms + OFFER_AGAIN_MS);
    }

    pub(super) fn on_link_down(&mut self, link: LinkId, end: LinkEnd) {
        self.timers.clear(Timer::Link(link));
        let Some((key, was_open)) = self.links.down(link) else { return };
        if self.book.of(&key).is_none() {
            // Nobody known: nothing is remembered of whoever it was.
            return;
        }
        let failed = match end {
            LinkEnd::NotReached | LinkEnd::WrongKey | LinkEnd::Garbage => true,
            LinkEnd::Lost | LinkEnd::Closed => false,
        };
        let (now_ms, jitter) = (self.now.mono_ms, self.rng.next_u32());
        if self.links.open_to(&key).is_none() {
            let way = self.way(key);
            if failed {
                way.failed_ms = Some(now_ms);
            }
            // A link that ends soon is no success: the other end believes in an older one, or has no time for strangers.
            let brief = way.linked_ms.is_some_and(|at| now_ms < at + LINK_BRIEF_MS);
            if failed || !was_open || brief {
                way.redial.failed(now_ms, jitter);
            } else {
                way.redial.reset();
            }
            if was_open && end == LinkEnd::Lost && self.received.contains_key(&key) {
                // The last acknowledgements on it may be lost with it, and nothing else would repeat them.
                self.owed.slots.insert(key);
            }
        }
        let way = self.way(key);
        if way.flight.is_some_and(|(on, _)| on == link) {
            way.flight = None;
            way.flight_full = false;
        }
        for message in self.outbox.lane(&key) {
            if message.link == Some(link) {
                message.link = None;
            }
        }
        self.tend(key);
    }

    /// What somebody sent is not taken.
    pub(super) fn dropped(&mut self, from: PublicKey, why: Dropped) {
        self.out.push_back(Output::Dropped { from, why });
    }

    /// A link that nobody greeted on, or a stranger's, has been silent too long.
    pub(super) fn link_idle(&mut self, link: LinkId) {
        let now_ms = self.now.mono_ms;
        let Some(state) = self.links.of(link) else { return };
        let (key, heard_ms, greeted) = (state.key, state.heard_ms, state.instance.is_some());
        if greeted && self.is_known(&key) {
            return;
        }
        if now_ms >= heard_ms + STRANGER_IDLE_MS {
            self.close_link(link, CloseReason::Busy);
        } else {
            self.timers.set(Timer::Link(link), heard_ms + STRANGER_IDLE_MS);
        }
    }
}
