//! Sessions from hello to close: versions, login tokens, takeover, keep-alive. What a logged-in session asks for is
//! not here.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use common::identity::PublicKey;
use common::limits::{LOGIN_TIMEOUT_MS, SESSION_DEAD_MS};
use common::message::Epoch;
use common::record::Binding;
use common::wire::VERSIONS;
use common::wire::directory::{
    Behind, ConfirmToken, FromDirectory, Hello, Rejected, Rejection, TakenOver, Token, TokenKept, Welcome,
};

use crate::address::counted;
use crate::event::{Account, SessionId};
use crate::limits::Limits;

/// What is to be done for a session.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send.
    Send(SessionId, FromDirectory),
    /// Send the last frame, if there is one, and close.
    End(SessionId, Option<FromDirectory>),
    /// Load the account of the key; answered with `loaded`.
    Load(SessionId, PublicKey),
    /// Commit an offered token; answered with `offered`.
    Offer {
        /// For whom.
        session: SessionId,
        /// Its key.
        key: PublicKey,
        /// The new token.
        token: Token,
        /// The token offered before, if the hello proved that it was committed.
        proven: Option<Token>,
    },
    /// Commit a confirmed token; answered with `confirmed`.
    Confirm {
        /// For whom.
        session: SessionId,
        /// Its key.
        key: PublicKey,
        /// The token of the welcome.
        token: Token,
        /// The epoch of the hello.
        epoch: Epoch,
    },
    /// The session is logged in: what it sent meanwhile may be taken up.
    LoggedIn(SessionId),
}

/// What a welcome tells about the directory.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// See [`Welcome::store_id`].
    pub store_id: [u8; 16],
    /// See [`Welcome::commits`].
    pub commits: u64,
    /// See [`Welcome::now_ms`].
    pub now_ms: i64,
}

#[derive(Debug)]
enum Stage {
    /// Waits for a hello, the first or one after `Behind`.
    New,
    /// The account is being loaded.
    Loading(Hello),
    /// The offered token is being committed.
    Offering { epoch: Epoch, token: Token, binding: Option<Binding> },
    /// Waits for the confirmation of the token.
    Welcomed { epoch: Epoch, token: Token },
    /// The confirmed token is being committed.
    Confirming,
    /// Logged in.
    In,
}

#[derive(Debug)]
struct Session {
    key: PublicKey,
    address: SocketAddr,
    instance: [u8; 16],
    version: u16,
    stage: Stage,
    tries: u32,
    opened_ms: u64,
    heard_ms: u64,
}

/// The sessions of one key: one is logged in, one on its way to be.
#[derive(Debug, Default)]
struct Seat {
    live: Option<SessionId>,
    coming: Option<SessionId>,
}

/// Every session there is.
#[derive(Debug, Default)]
pub struct Sessions {
    all: BTreeMap<SessionId, Session>,
    seats: BTreeMap<PublicKey, Seat>,
    addresses: BTreeMap<IpAddr, usize>,
}

/// The last frame to a session that broke the protocol.
pub fn rejected(reason: Rejection) -> Option<FromDirectory> {
    Some(Rejected { reason }.into())
}

impl Sessions {
    /// A new connection.
    ///
    /// # Errors
    /// Why there is no room for it.
    pub fn open(
        &mut self,
        session: SessionId,
        key: PublicKey,
        address: SocketAddr,
        limits: &Limits,
        now_ms: u64,
    ) -> Result<(), Rejection> {
        let from = counted(address.ip());
        let from_there = from.and_then(|from| self.addresses.get(&from)).copied().unwrap_or(0);
        if from_there >= limits.sessions_per_address || self.all.len() >= limits.sessions {
            return Err(Rejection::Full(limits.full_retry_ms));
        }
        if let Some(from) = from {
            *self.addresses.entry(from).or_default() += 1;
        }
        let stage = Stage::New;
        let (instance, version, tries) = ([0; 16], 0, 0);
        let new = Session { key, address, instance, version, stage, tries, opened_ms: now_ms, heard_ms: now_ms };
        self.all.insert(session, new);
        Ok(())
    }

    /// Forgets a session; true if it was known.
    pub fn remove(&mut self, session: SessionId) -> bool {
        let Some(gone) = self.all.remove(&session) else { return false };
        if let Some(from) = counted(gone.address.ip())
            && let Some(count) = self.addresses.get_mut(&from)
        {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&from);
            }
        }
        if let Some(seat) = self.seats.get_mut(&gone.key) {
            seat.live = seat.live.filter(|id| *id != session);
            seat.coming = seat.coming.filter(|id| *id != session);
            if seat.live.is_none() && seat.coming.is_none() {
                self.seats.remove(&gone.key);
            }
        }
        true
    }

    /// Every session, in order of numbers.
    pub fn ids(&self) -> Vec<SessionId> {
        self.all.keys().copied().collect()
    }

    /// Is this one known, logged in or not?
    pub fn knows(&self, session: SessionId) -> bool {
        self.all.contains_key(&session)
    }

    /// Its key, if it is logged in.
    pub fn key(&self, session: SessionId) -> Option<PublicKey> {
        self.all.get(&session).filter(|known| matches!(known.stage, Stage::In)).map(|known| known.key)
    }

    /// Where it comes from.
    pub fn ip(&self, session: SessionId) -> Option<IpAddr> {
        self.all.get(&session).map(|known| known.address.ip())
    }

    /// The logged-in session of a key.
    pub fn live(&self, key: &PublicKey) -> Option<SessionId> {
        self.seats.get(key).and_then(|seat| seat.live)
    }

    /// The confirmed token is being committed: what it sends has to wait.
    pub fn is_confirming(&self, session: SessionId) -> bool {
        self.all.get(&session).is_some_and(|known| matches!(known.stage, Stage::Confirming))
    }

    /// Something was heard of it.
    pub fn heard(&mut self, session: SessionId, now_ms: u64) {
        if let Some(known) = self.all.get_mut(&session) {
            known.heard_ms = now_ms;
        }
    }

    /// When a session is to be closed if nothing changes.
    pub fn deadline_ms(&self, session: SessionId) -> Option<u64> {
        self.all.get(&session).map(|known| match known.stage {
            Stage::In => known.heard_ms + SESSION_DEAD_MS,
            Stage::New | Stage::Loading(_) | Stage::Offering { .. } | Stage::Welcomed { .. } | Stage::Confirming => {
                known.opened_ms + LOGIN_TIMEOUT_MS
            }
        })
    }

    /// A hello came.
    pub fn hello(&mut self, session: SessionId, hello: Hello, limits: &Limits) -> Vec<Step> {
        let Some(known) = self.all.get_mut(&session) else { return vec![] };
        known.tries += 1;
        // A store keeps numbers signed.
        let absurd = i64::try_from(hello.epoch.generation).is_err();
        if !matches!(known.stage, Stage::New) || known.tries > limits.hello_tries || absurd {
            return vec![Step::End(session, rejected(Rejection::Protocol))];
        }
        let version = hello.versions.1.min(VERSIONS.1);
        if version < hello.versions.0.max(VERSIONS.0) {
            return vec![Step::End(session, rejected(Rejection::Version(VERSIONS.0, VERSIONS.1)))];
        }
        known.version = version;
        known.instance = hello.instance;
        known.stage = Stage::Loading(hello);
        let key = known.key;
        let before = self.seats.entry(key).or_default().coming.replace(session);
        // One login at a time for each key, or the token of one would spoil the other's.
        let spoiled = before.filter(|other| *other != session && !self.is_confirming(*other));
        spoiled.map(|other| Step::End(other, None)).into_iter().chain([Step::Load(session, key)]).collect()
    }

    /// The account is loaded: welcome or behind. `fresh` is a new random token.
    pub fn loaded(&mut self, session: SessionId, account: Account, fresh: Token) -> Vec<Step> {
        let live = self.all.get(&session).and_then(|known| self.live(&known.key)).filter(|other| *other != session);
        let live_instance = live.and_then(|other| self.all.get(&other)).map(|other| other.instance);
        let Some(known) = self.all.get_mut(&session) else { return vec![] };
        let Stage::Loading(hello) = &known.stage else { return vec![] };
        let elsewhere = live_instance.is_some_and(|instance| instance != known.instance);
        match judge(hello, &account, elsewhere) {
            Verdict::Behind => {
                known.stage = Stage::New;
                let highest_generation = account.epoch.map_or(0, |epoch| epoch.generation);
                vec![Step::Send(session, Behind { highest_generation }.into())]
            }
            Verdict::Good { proven } => {
                known.stage = Stage::Offering { epoch: hello.epoch, token: fresh, binding: account.binding };
                vec![Step::Offer { session, key: known.key, token: fresh, proven }]
            }
        }
    }

    /// The offered token is committed.
    pub fn offered(&mut self, session: SessionId, facts: Facts) -> Vec<Step> {
        let Some(known) = self.all.get_mut(&session) else { return vec![] };
        let Stage::Offering { epoch, token, binding } = &mut known.stage else { return vec![] };
        let (epoch, token, binding) = (*epoch, *token, binding.take());
        known.stage = Stage::Welcomed { epoch, token };
        let Facts { store_id, commits, now_ms } = facts;
        let (version, observed) = (known.version, known.address);
        let welcome = Welcome { version, features: 0, store_id, commits, now_ms, observed, binding, token };
        vec![Step::Send(session, welcome.into())]
    }

    /// The peer confirms that it has committed the token.
    pub fn confirm(&mut self, session: SessionId, confirm: &ConfirmToken) -> Vec<Step> {
        let Some(known) = self.all.get_mut(&session) else { return vec![] };
        match known.stage {
            Stage::Welcomed { epoch, token } if token == confirm.token => {
                known.stage = Stage::Confirming;
                vec![Step::Confirm { session, key: known.key, token, epoch }]
            }
            Stage::New
            | Stage::Loading(_)
            | Stage::Offering { .. }
            | Stage::Welcomed { .. }
            | Stage::Confirming
            | Stage::In => vec![Step::End(session, rejected(Rejection::Protocol))],
        }
    }

    /// The confirmed token is committed: the session is logged in and takes over from an older one.
    pub fn confirmed(&mut self, session: SessionId, now_ms: u64) -> Vec<Step> {
        let Some(known) = self.all.get_mut(&session) else { return vec![] };
        known.stage = Stage::In;
        known.heard_ms = now_ms;
        let (key, instance) = (known.key, known.instance);
        let seat = self.seats.entry(key).or_default();
        seat.coming = seat.coming.filter(|id| *id != session);
        let older = seat.live.replace(session).filter(|id| *id != session);
        let older = older.and_then(|id| self.all.get(&id).map(|other| (id, other.instance)));
        let farewell = |other| (other != instance).then(|| TakenOver {}.into());
        let ended = older.map(|(id, other)| Step::End(id, farewell(other)));
        ended.into_iter().chain([Step::Send(session, TokenKept {}.into()), Step::LoggedIn(session)]).collect()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Good { proven: Option<Token> },
    Behind,
}

/// Is a hello from the store that logged in last, or from one that says itself that it is newer?
///
/// An account without a confirmed token (a first login, or a directory restored with the tokens forgotten) has nothing
/// to hold a token against; the epoch alone decides then.
fn judge(hello: &Hello, account: &Account, live_elsewhere: bool) -> Verdict {
    let Some(recorded) = account.epoch else { return Verdict::Good { proven: hello_proves(hello, account) } };
    if hello.epoch.generation > recorded.generation {
        return Verdict::Good { proven: None };
    }
    let proven = hello_proves(hello, account);
    let token_fits = account.confirmed.is_none() || hello.token == account.confirmed || proven.is_some();
    if hello.epoch == recorded && token_fits && !live_elsewhere { Verdict::Good { proven } } else { Verdict::Behind }
}

fn hello_proves(hello: &Hello, account: &Account) -> Option<Token> {
    hello.token.filter(|token| account.offered == Some(*token))
}
