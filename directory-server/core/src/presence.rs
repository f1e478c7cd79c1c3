//! Who is here, where to try them directly, and who wants to know. Names, mail and what lies on disk are not here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use common::identity::PublicKey;
use common::limits::{CANDIDATES_MAX, NOTE_MAX_BYTES, WATCH_MAX};
use common::name::Name;
use common::record::Binding;
use common::wire::directory::{Presence as Notice, Refusal, Standing, Watch};

use crate::bucket::Bucket;
use crate::event::SessionId;
use crate::limits::Limits;

/// Ports below this belong to services, never to a peer.
const PORT_MIN: u16 = 1024;

/// How somebody wants to be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Never [`Standing::Offline`].
    pub standing: Standing,
    /// Shown beside it.
    pub note: Option<String>,
}

impl Look {
    /// A look that somebody who is here may have.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for `Offline`, and for a note that is too long or holds control characters.
    pub fn new(standing: Standing, note: Option<String>) -> Result<Self, Refusal> {
        let fits = |note: &String| note.len() <= NOTE_MAX_BYTES && !note.chars().any(char::is_control);
        let valid = standing != Standing::Offline && note.as_ref().is_none_or(fits);
        if valid { Ok(Self { standing, note: note.filter(|note| !note.is_empty()) }) } else { Err(Refusal::Invalid) }
    }

    /// Nothing but what is urgent is to be handed out.
    pub fn is_busy(&self) -> bool {
        self.standing == Standing::Busy
    }
}

/// Somebody who is online.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here {
    /// In which session.
    pub session: SessionId,
    /// Under which name.
    pub name: Name,
    /// The directory's word for it.
    pub binding: Binding,
    /// Where to try directly.
    pub candidates: Vec<SocketAddr>,
    /// How they want to be seen.
    pub look: Look,
    /// Since when they stand so, milliseconds since 1970.
    pub since_ms: i64,
}

/// What a subscription asks for at once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// The state of those who are here.
    pub here: Vec<Notice>,
    /// Those whose last time has to be looked up.
    pub absent: Vec<PublicKey>,
}

/// What a change of state asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fanout {
    /// To be sent now.
    pub notices: Vec<(SessionId, Notice)>,
    /// When `due` is to be called for this person, milliseconds.
    pub due_ms: Option<u64>,
}

#[derive(Debug)]
struct Rated {
    bucket: Bucket,
    /// The state that nobody has been told yet.
    pending: Option<Notice>,
}

/// Everybody who is here and everybody who watches.
#[derive(Debug, Default)]
pub struct Presence {
    here: BTreeMap<PublicKey, Here>,
    keys: BTreeMap<SessionId, PublicKey>,
    /// What each session has asked to be seen as, online yet or not.
    looks: BTreeMap<SessionId, Look>,
    watchers: BTreeMap<PublicKey, BTreeSet<SessionId>>,
    watches: BTreeMap<SessionId, BTreeSet<PublicKey>>,
    addresses: BTreeMap<SessionId, IpAddr>,
    rated: BTreeMap<PublicKey, Rated>,
}

/// The addresses of `given` that a peer may publish from a session seen from `observed`: so that nobody is made to
/// knock at somebody else's door. The others are passed over, and what is left after the first
/// [`CANDIDATES_MAX`]: one address that is not allowed is no reason to keep a peer from coming online.
pub fn candidates(given: &[SocketAddr], observed: IpAddr) -> Vec<SocketAddr> {
    let mut allowed = Vec::with_capacity(CANDIDATES_MAX);
    for candidate in given {
        let ip = match candidate.ip().to_canonical() {
            ip if ip.is_unspecified() => observed,
            ip => ip,
        };
        let candidate = SocketAddr::new(ip, candidate.port());
        if candidate.port() >= PORT_MIN && may_publish(ip, observed) && !allowed.contains(&candidate) {
            allowed.push(candidate);
        }
    }
    allowed.truncate(CANDIDATES_MAX);
    allowed
}

fn may_publish(ip: IpAddr, observed: IpAddr) -> bool {
    let private = match ip {
        IpAddr::V4(v4) if v4.is_broadcast() => return false,
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    };
    if ip.is_multicast() || ip.is_unspecified() {
        return false;
    }
    if ip.is_loopback() { observed.is_loopback() } else { private || ip == observed }
}

/// What somebody at `viewer` may see of candidates: a loopback address means nothing on another machine.
pub fn visible(candidates: &[SocketAddr], viewer: IpAddr) -> Vec<SocketAddr> {
    let seen = |candidate: &&SocketAddr| viewer.is_loopback() || !candidate.ip().is_loopback();
    candidates.iter().filter(seen).copied().collect()
}

impl Presence {
    /// Somebody who is here.
    pub fn of(&self, key: &PublicKey) -> Option<&Here> {
        self.here.get(key)
    }

    /// Everybody who is here, in order of keys.
    pub fn all(&self) -> impl Iterator<Item = (&PublicKey, &Here)> {
        self.here.iter()
    }

    /// How many are here.
    pub fn count(&self) -> usize {
        self.here.len()
    }

    /// Does this session watch that key?
    pub fn is_watched_by(&self, key: &PublicKey, session: SessionId) -> bool {
        self.watches.get(&session).is_some_and(|mine| mine.contains(key))
    }

    /// Notes how a session wants to be seen, from now on or once it is online.
    pub fn want(&mut self, session: SessionId, look: Look) {
        self.looks.insert(session, look);
    }

    /// How a session wants to be seen; none: it has not said.
    pub fn wanted(&self, session: SessionId) -> Option<&Look> {
        self.looks.get(&session)
    }

    /// Whether the look of a key that is here in `session` has to change to the one wanted.
    pub fn stand(&mut self, key: PublicKey, session: SessionId, now_ms: i64) -> bool {
        let Some(look) = self.looks.get(&session) else { return false };
        let Some(here) = self.here.get_mut(&key).filter(|here| here.session == session) else { return false };
        if here.look == *look {
            return false;
        }
        if here.look.standing != look.standing {
            here.since_ms = now_ms;
        }
        here.look = look.clone();
        true
    }

    /// Comes, or changes addresses or look; true if this is news.
    pub fn come(&mut self, key: PublicKey, arrival: Here) -> bool {
        let before = self.here.get(&key).filter(|here| here.session == arrival.session);
        let same = before.filter(|before| before.look.standing == arrival.look.standing);
        let here = Here { since_ms: same.map_or(arrival.since_ms, |same| same.since_ms), ..arrival };
        let news = before != Some(&here);
        self.keys.insert(here.session, key);
        self.here.insert(key, here);
        news
    }

    /// Goes; who it was, if the session was what kept them here.
    pub fn leave(&mut self, session: SessionId) -> Option<(PublicKey, Here)> {
        let key = self.keys.remove(&session)?;
        self.here.get(&key).filter(|here| here.session == session)?;
        self.here.remove(&key).map(|here| (key, here))
    }

    /// Forgets what a session watches and wants.
    pub fn forget(&mut self, session: SessionId) {
        self.looks.remove(&session);
        self.addresses.remove(&session);
        for key in self.watches.remove(&session).unwrap_or_default() {
            self.unwatch(session, &key);
        }
    }

    fn unwatch(&mut self, session: SessionId, key: &PublicKey) {
        if let Some(watchers) = self.watchers.get_mut(key) {
            watchers.remove(&session);
            if watchers.is_empty() {
                self.watchers.remove(key);
            }
        }
    }

    /// Adds and removes subscriptions of a session that comes from `viewer`; above the limit the rest is passed over.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] when the frame itself names too many.
    pub fn watch(
        &mut self,
        session: SessionId,
        viewer: IpAddr,
        watch: Watch,
        limits: &Limits,
    ) -> Result<Watched, Refusal> {
        if watch.add.len() > WATCH_MAX || watch.remove.len() > WATCH_MAX {
            return Err(Refusal::TooLarge { limit: WATCH_MAX as u64 });
        }
        self.addresses.insert(session, viewer);
        for key in &watch.remove {
            if self.watches.get_mut(&session).is_some_and(|mine| mine.remove(key)) {
                self.unwatch(session, key);
            }
        }
        let mut watched = Watched::default();
        let mine = self.watches.entry(session).or_default();
        for key in watch.add {
            if !mine.contains(&key) && mine.len() >= limits.watches {
                continue;
            }
            mine.insert(key);
            self.watchers.entry(key).or_default().insert(session);
            match self.here.get(&key) {
                Some(here) => watched.here.push(online(key, here, viewer)),
                None => watched.absent.push(key),
            }
        }
        Ok(watched)
    }

    /// What to tell about somebody who was looked up: here by now, or last seen then.
    pub fn told(&self, key: PublicKey, viewer: IpAddr, last_seen_ms: i64) -> Notice {
        self.here.get(&key).map_or_else(|| offline(key, last_seen_ms), |here| online(key, here, viewer))
    }

    /// The state of somebody has changed; `now_ms` is the deadline clock, `wall_ms` when they went, if they went.
    pub fn changed(&mut self, key: PublicKey, wall_ms: i64, limits: &Limits, now_ms: u64) -> Fanout {
        if !self.watchers.contains_key(&key) {
            return Fanout::default();
        }
        // Nobody's own address: what each watcher may see is cut when it is sent.
        let state = self
            .here
            .get(&key)
            .map_or_else(|| offline(key, wall_ms), |here| present(key, here, here.candidates.clone()));
        self.rated.entry(key).or_insert_with(|| Rated { bucket: Bucket::full(), pending: None }).pending = Some(state);
        self.due(key, limits, now_ms)
    }

    /// Sends the last state of somebody if the rate allows, or says when.
    pub fn due(&mut self, key: PublicKey, limits: &Limits, now_ms: u64) -> Fanout {
        let Some(rated) = self.rated.get_mut(&key) else { return Fanout::default() };
        if rated.pending.is_some() && !rated.bucket.take(limits.notices, now_ms) {
            return Fanout { notices: vec![], due_ms: Some(rated.bucket.next_ms(limits.notices, now_ms)) };
        }
        let state = rated.pending.take();
        let due_ms = Some(rated.bucket.full_at_ms()).filter(|full_at_ms| *full_at_ms > now_ms);
        if due_ms.is_none() {
            self.rated.remove(&key);
        }
        let notices = state.map(|state| self.fan(&state)).unwrap_or_default();
        Fanout { notices, due_ms }
    }

    fn fan(&self, state: &Notice) -> Vec<(SessionId, Notice)> {
        let watchers = self.watchers.get(&state.key).into_iter().flatten();
        watchers
            .filter_map(|session| {
                let candidates = visible(&state.candidates, *self.addresses.get(session)?);
                Some((*session, Notice { candidates, ..state.clone() }))
            })
            .collect()
    }
}

fn online(key: PublicKey, here: &Here, viewer: IpAddr) -> Notice {
    present(key, here, visible(&here.candidates, viewer))
}

fn present(key: PublicKey, here: &Here, candidates: Vec<SocketAddr>) -> Notice {
    let Look { standing, note } = here.look.clone();
    Notice { key, standing, since_ms: here.since_ms, candidates, note }
}

fn offline(key: PublicKey, since_ms: i64) -> Notice {
    Notice { key, standing: Standing::Offline, since_ms, candidates: vec![], note: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(candidate: &str, observed: &str) -> Option<String> {
        let allowed = candidates(&[candidate.parse().unwrap()], observed.parse().unwrap());
        allowed.first().map(ToString::to_string)
    }

    #[test]
    fn a_candidate_is_the_observed_address_or_a_private_one() {
        assert_eq!(allowed("0.0.0.0:8283", "203.0.113.7").as_deref(), Some("203.0.113.7:8283"));
        assert_eq!(allowed("[::]:8283", "203.0.113.7").as_deref(), Some("203.0.113.7:8283"));
        assert!(allowed("203.0.113.7:8283", "203.0.113.7").is_some());
        assert!(allowed("[::ffff:203.0.113.7]:8283", "203.0.113.7").is_some());
        assert!(allowed("192.168.1.2:8283", "203.0.113.7").is_some());
        assert!(allowed("[fd00::1]:8283", "203.0.113.7").is_some());
        assert_eq!(allowed("203.0.113.8:8283", "203.0.113.7"), None);
    }

    #[test]
    fn a_candidate_is_never_loopback_from_afar_nor_multicast_broadcast_or_a_service_port() {
        assert!(allowed("127.0.0.1:8283", "127.0.0.1").is_some());
        assert_eq!(allowed("127.0.0.1:8283", "192.168.1.2"), None);
        assert_eq!(allowed("[::ffff:127.0.0.1]:8283", "192.168.1.2"), None);
        assert_eq!(allowed("[::1]:8283", "192.168.1.2"), None);
        assert_eq!(allowed("224.0.0.1:8283", "224.0.0.1"), None);
        assert_eq!(allowed("255.255.255.255:8283", "255.255.255.255"), None);
        assert_eq!(allowed("192.168.1.2:53", "192.168.1.2"), None);
    }

    #[test]
    fn the_first_four_allowed_candidates_are_kept_and_each_once() {
        let ip: IpAddr = "192.168.1.2".parse().unwrap();
        assert_eq!(candidates(&[SocketAddr::new(ip, 8283); 4], ip).len(), 1);
        let mut given: Vec<_> = (0..6).map(|port| SocketAddr::new(ip, 8283 + port)).collect();
        given[1] = "203.0.113.8:8283".parse().unwrap();
        let kept: Vec<_> = candidates(&given, ip).iter().map(SocketAddr::port).collect();
        assert_eq!(kept, [8283, 8285, 8286, 8287]);
    }

    #[test]
    fn a_loopback_candidate_is_not_shown_on_another_machine() {
        let both = ["127.0.0.1:8283".parse().unwrap(), "192.168.1.2:8283".parse().unwrap()];
        assert_eq!(visible(&both, "192.168.1.3".parse().unwrap()), both[1..]);
        assert_eq!(visible(&both, "127.0.0.1".parse().unwrap()), both);
    }
}
