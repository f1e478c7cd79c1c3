//! How much may come in: the request rate of a session, its store operations in flight, the room on the disk.
//! What a mailbox may hold is checked by the store, in the transaction that keeps an item.

use std::collections::{BTreeMap, VecDeque};

use common::wire::directory::ToDirectory;

use crate::bucket::Bucket;
use crate::event::SessionId;
use crate::limits::Limits;
use crate::weight::requests;

/// What comes next of a session's frames.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// This frame.
    Take(Box<ToDirectory>),
    /// Nothing before this time, milliseconds.
    Delayed(u64),
    /// Nothing: the session has asked too fast for too long.
    Abuse,
    /// Nothing is waiting.
    Empty,
}

/// A change of what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Stop.
    Pause,
    /// Go on.
    Resume,
}

#[derive(Debug)]
struct Flow {
    bucket: Bucket,
    backlog: VecDeque<ToDirectory>,
    delayed: bool,
    delayed_since_ms: Option<u64>,
    in_flight: usize,
    choked: bool,
    paused: bool,
}

/// The flow of every session.
#[derive(Debug, Default)]
pub struct Flows {
    all: BTreeMap<SessionId, Flow>,
}

impl Flows {
    /// A new session.
    pub fn open(&mut self, session: SessionId) {
        let (bucket, backlog) = (Bucket::full(), VecDeque::new());
        let (delayed, delayed_since_ms, in_flight, choked, paused) = (false, None, 0, false, false);
        self.all.insert(session, Flow { bucket, backlog, delayed, delayed_since_ms, in_flight, choked, paused });
    }

    /// Forgets a session.
    pub fn close(&mut self, session: SessionId) {
        self.all.remove(&session);
    }

    /// Takes a frame in; false if too many are waiting already.
    pub fn push(&mut self, session: SessionId, frame: ToDirectory, limits: &Limits) -> bool {
        let Some(flow) = self.all.get_mut(&session) else { return true };
        flow.backlog.push_back(frame);
        flow.backlog.len() <= limits.backlog_frames
    }

    /// The next frame of a session that its rate allows.
    pub fn next(&mut self, session: SessionId, limits: &Limits, now_ms: u64) -> Next {
        let Some(flow) = self.all.get_mut(&session) else { return Next::Empty };
        flow.delayed = false;
        let Some(front) = flow.backlog.front() else { return Next::Empty };
        if let Some(weight) = requests(front) {
            // Only a pause that gives a tenth of the burst back ends the abuse.
            if flow.bucket.level(limits.requests, now_ms) > limits.requests.burst / 10 {
                flow.delayed_since_ms = None;
            }
            if !flow.bucket.take_many(weight, limits.requests, now_ms) {
                flow.delayed = true;
                let since_ms = *flow.delayed_since_ms.get_or_insert(now_ms);
                let over = now_ms.saturating_sub(since_ms) >= limits.abuse_ms;
                return if over {
                    Next::Abuse
                } else {
                    Next::Delayed(flow.bucket.next_many_ms(weight, limits.requests, now_ms))
                };
            }
        }
        flow.backlog.pop_front().map_or(Next::Empty, |frame| Next::Take(Box::new(frame)))
    }

    /// An operation of this session on so many rows went to the store.
    pub fn asked(&mut self, session: SessionId, rows: usize) {
        if let Some(flow) = self.all.get_mut(&session) {
            flow.in_flight += rows;
        }
    }

    /// It came back.
    pub fn answered(&mut self, session: SessionId, rows: usize) {
        if let Some(flow) = self.all.get_mut(&session) {
            flow.in_flight = flow.in_flight.saturating_sub(rows);
        }
    }

    /// Whether reading has to change now.
    pub fn reading(&mut self, session: SessionId, limits: &Limits) -> Option<Reading> {
        let flow = self.all.get_mut(&session)?;
        flow.choked = flow.in_flight > if flow.choked { limits.in_flight / 2 } else { limits.in_flight };
        let wanted = flow.choked || flow.delayed;
        let changed = wanted != flow.paused;
        flow.paused = wanted;
        changed.then_some(if wanted { Reading::Pause } else { Reading::Resume })
    }
}

/// The room on the disk, as last told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// There is room.
    Ample,
    /// No new mail.
    NoMail,
    /// Only acknowledging and deleting.
    Floor,
}

impl Room {
    /// What so many free bytes allow.
    pub fn of(limits: &Limits, free_bytes: u64, total_bytes: u64) -> Self {
        if free_bytes < limits.disk_floor_bytes {
            Self::Floor
        } else if free_bytes < limits.disk_mail_bytes(total_bytes) {
            Self::NoMail
        } else {
            Self::Ample
        }
    }
}
