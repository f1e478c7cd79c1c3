//! Who may come in before anybody knows who it is: bounds on sockets that have not logged in, in all and from one
//! address, and on descriptors. Sessions are bounded by the core.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use directory_core::address::counted;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Notify;

use crate::link::{Ending, Link};

/// Sockets not yet logged in, all; at the cap the oldest is closed. Where descriptors are few, a share of them.
pub const NEWCOMERS_MAX: usize = 1_024;
/// One in so many connections at most is not logged in yet: most of what may be open is for sessions.
pub const NEWCOMERS_SHARE: usize = 4;
/// Sockets not yet logged in from one address; loopback is exempt.
pub const NEWCOMERS_PER_ADDRESS_MAX: usize = 32;
/// Descriptors that are no connections: the store, its log, the listener, the runtime, standard streams.
pub const DESCRIPTORS_RESERVED: usize = 64;

/// Raises the descriptor limit of this process as far as it may. The limit that holds then.
pub fn raise_descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "the descriptor limit could not be raised");
    }
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |current| usize::try_from(current).unwrap_or(usize::MAX))
}

struct Newcomers {
    next: u64,
    waiting: BTreeMap<u64, (Option<IpAddr>, Arc<Link>)>,
    per_address: HashMap<IpAddr, usize>,
}

/// The doors of one server.
pub struct Doors {
    newcomers: Mutex<Newcomers>,
    open: AtomicUsize,
    open_max: usize,
    newcomers_max: usize,
    left: Notify,
}

impl Doors {
    /// Doors of a process that may have so many descriptors: 95 % of them are used.
    #[must_use]
    pub fn new(descriptors: usize) -> Arc<Self> {
        let usable = descriptors.saturating_sub(DESCRIPTORS_RESERVED) as u128 * 95 / 100;
        let open_max = usize::try_from(usable).unwrap_or(usize::MAX).max(1);
        let newcomers = Newcomers { next: 0, waiting: BTreeMap::new(), per_address: HashMap::new() };
        Arc::new(Self {
            newcomers: Mutex::new(newcomers),
            open: AtomicUsize::new(0),
            open_max,
            newcomers_max: NEWCOMERS_MAX.min(open_max / NEWCOMERS_SHARE).max(1),
            left: Notify::new(),
        })
    }

    /// Connections that may be open at once.
    #[must_use]
    pub fn open_max(&self) -> usize {
        self.open_max
    }

    /// Sessions that fit beside the newcomers.
    #[must_use]
    pub fn sessions_max(&self) -> usize {
        self.open_max.saturating_sub(self.newcomers_max).max(1)
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Waits until another connection may be accepted.
    pub async fn room(&self) {
        self.at_most(self.open_max - 1).await;
    }

    /// Waits until at most `count` connections are open.
    pub async fn at_most(&self, count: usize) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // Registered before the look, so that nobody leaves unnoticed in between.
            left.as_mut().enable();
            if self.open() <= count {
                return;
            }
            left.await;
        }
    }

    /// Closes every connection that has not logged in.
    pub fn turn_away(&self) {
        let waiting = std::mem::take(&mut self.newcomers().waiting);
        waiting.values().for_each(|(_, link)| link.end(Ending::Now));
    }

    fn newcomers(&self) -> MutexGuard<'_, Newcomers> {
        self.newcomers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a connection in; closes the oldest newcomer where there are too many.
    #[must_use]
    pub fn enter(self: &Arc<Self>, from: SocketAddr, link: &Arc<Link>) -> (Place, Newcomer) {
        self.open.fetch_add(1, Ordering::AcqRel);
        let address = counted(from.ip());
        let mut newcomers = self.newcomers();
        if let Some(address) = address {
            let here = newcomers.per_address.entry(address).or_default();
            *here += 1;
            if *here > NEWCOMERS_PER_ADDRESS_MAX {
                newcomers.close_oldest(|other| other == Some(address));
            }
        }
        if newcomers.waiting.len() >= self.newcomers_max {
            newcomers.close_oldest(|_| true);
        }
        let number = newcomers.next;
        newcomers.next += 1;
        newcomers.waiting.insert(number, (address, link.clone()));
        drop(newcomers);
        (Place { doors: self.clone() }, Newcomer { doors: self.clone(), number })
    }
}

impl Newcomers {
    /// Closes the oldest one that counts for `of` and forgets it at once, so that the next call finds another.
    fn close_oldest(&mut self, of: impl Fn(Option<IpAddr>) -> bool) {
        let oldest = self.waiting.iter().find(|(_, (address, _))| of(*address)).map(|(number, _)| *number);
        if let Some(link) = oldest.and_then(|number| self.forget(number)) {
            link.end(Ending::Now);
        }
    }

    fn forget(&mut self, number: u64) -> Option<Arc<Link>> {
        let (address, link) = self.waiting.remove(&number)?;
        if let Some(address) = address
            && let Some(here) = self.per_address.get_mut(&address)
        {
            *here -= 1;
            if *here == 0 {
                self.per_address.remove(&address);
            }
        }
        Some(link)
    }
}

/// A connection's descriptor; given back when dropped.
pub struct Place {
    doors: Arc<Doors>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.doors.open.fetch_sub(1, Ordering::AcqRel);
        self.doors.left.notify_waiters();
    }
}

/// A connection that has not logged in; no longer counted when dropped.
pub struct Newcomer {
    doors: Arc<Doors>,
    number: u64,
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.doors.newcomers().forget(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    fn ended(link: &Link) -> bool {
        link.glance(&Context::from_waker(Waker::noop())).ending.is_some()
    }

    fn enter(doors: &Arc<Doors>, from: &str) -> (Arc<Link>, (Place, Newcomer)) {
        let link = Arc::new(Link::default());
        let inside = doors.enter(from.parse().unwrap(), &link);
        (link, inside)
    }

    #[test]
    fn the_oldest_newcomer_of_a_crowded_address_makes_room() {
        let doors = Doors::new(10_000);
        let crowd: Vec<_> = (0..NEWCOMERS_PER_ADDRESS_MAX).map(|_| enter(&doors, "10.0.0.1:1")).collect();
        let other = enter(&doors, "10.0.0.2:1");
        let last = enter(&doors, "10.0.0.1:1");
        assert!(ended(&crowd[0].0));
        assert!(!ended(&crowd[1].0) && !ended(&other.0) && !ended(&last.0));
    }

    #[test]
    fn at_the_cap_the_oldest_of_all_makes_room_and_loopback_is_counted_there_only() {
        let doors = Doors::new(10_000);
        let crowd: Vec<_> = (0..NEWCOMERS_MAX).map(|_| enter(&doors, "127.0.0.1:1")).collect();
        assert!(!crowd.iter().any(|(link, _)| ended(link)));
        let late = [enter(&doors, "10.0.0.1:1"), enter(&doors, "10.0.0.1:1")];
        assert!(ended(&crowd[0].0) && ended(&crowd[1].0) && !ended(&crowd[2].0));
        assert!(!late.iter().any(|(link, _)| ended(link)));
    }

    #[test]
    fn with_few_descriptors_most_of_them_are_for_sessions() {
        let doors = Doors::new(1_024);
        assert_eq!(doors.open_max(), 912);
        assert_eq!(doors.sessions_max(), 684);
        let crowd: Vec<_> = (0..229).map(|_| enter(&doors, "127.0.0.1:1")).collect();
        assert!(ended(&crowd[0].0), "newcomers leave the sessions their room");
        assert!(!ended(&crowd[1].0));
        assert_eq!(Doors::new(1_000_000).open_max() - Doors::new(1_000_000).sessions_max(), NEWCOMERS_MAX);
    }

    #[test]
    fn who_has_logged_in_is_no_newcomer_any_more() {
        let doors = Doors::new(10_000);
        let (link, (place, newcomer)) = enter(&doors, "[2001:db8::1]:1");
        drop(newcomer);
        let _crowd: Vec<_> = (0..=NEWCOMERS_PER_ADDRESS_MAX).map(|_| enter(&doors, "[2001:db8::2]:1")).collect();
        assert!(!ended(&link));
        let open = doors.open();
        drop(place);
        assert_eq!(doors.open(), open - 1);
    }
}
