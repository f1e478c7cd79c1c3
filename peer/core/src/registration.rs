//! The session with the directory, step by step: connect, hello, token, name, online; and back-off between tries.
//! Knows the steps, not what is in the frames.

use crate::limits::{RECONNECT_MAX_MS, RECONNECT_MIN_MS};

/// Where the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// No connection, none wanted now.
    Idle,
    /// A connection is being made.
    Connecting,
    /// The hello is out.
    Greeting,
    /// The token of the welcome is being committed, or its confirmation is out.
    Confirming,
    /// Logged in; presence and addresses are not (yet) published.
    LoggedIn,
    /// The directory has committed presence, addresses and prekey.
    Online,
}

/// The session.
#[derive(Debug)]
pub struct Session {
    step: Step,
    failures: u32,
    heard_ms: u64,
    ever_up: bool,
    requests: u32,
}

impl Default for Session {
    fn default() -> Self {
        Self { step: Step::Idle, failures: 0, heard_ms: 0, ever_up: false, requests: 0 }
    }
}

impl Session {
    /// Where it is.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// Whether requests may be sent.
    #[must_use]
    pub fn is_logged_in(&self) -> bool {
        matches!(self.step, Step::LoggedIn | Step::Online)
    }

    /// Whether presence is published, so that mail may be deposited and comes by itself.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.step == Step::Online
    }

    /// Goes to a step.
    pub fn go(&mut self, step: Step) {
        self.step = step;
        if step == Step::Online {
            self.failures = 0;
        }
    }

    /// The connection stands and shows a key. Returns whether it is the first of this process.
    pub fn up(&mut self, now_ms: u64) -> bool {
        self.heard_ms = now_ms;
        self.step = Step::Greeting;
        !std::mem::replace(&mut self.ever_up, true)
    }

    /// The connection is gone. Returns the delay before the next try, with jitter from `random`, milliseconds.
    pub fn down(&mut self, random: u32) -> u64 {
        self.step = Step::Idle;
        let delay_ms = (RECONNECT_MIN_MS << self.failures.min(10)).min(RECONNECT_MAX_MS);
        self.failures = self.failures.saturating_add(1);
        delay_ms / 2 + u64::from(random) % (delay_ms / 2 + 1)
    }

    /// Try at once next time: the network or the user's wish has changed.
    pub fn forgive(&mut self) {
        self.failures = 0;
    }

    /// A frame came.
    pub fn heard(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
    }

    /// When the last frame came, milliseconds of the monotonic clock.
    #[must_use]
    pub fn heard_ms(&self) -> u64 {
        self.heard_ms
    }

    /// A number for a request.
    pub fn request(&mut self) -> u32 {
        self.requests = self.requests.wrapping_add(1);
        self.requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_back_off_to_fifteen_seconds_and_start_anew_after_success() {
        let mut session = Session::default();
        let mut longest = 0;
        for _ in 0..12 {
            longest = session.down(u32::MAX).max(longest);
        }
        assert!((RECONNECT_MAX_MS / 2..=RECONNECT_MAX_MS).contains(&longest));
        session.go(Step::Online);
        assert!(session.down(0) <= RECONNECT_MIN_MS);
    }

    #[test]
    fn only_the_first_contact_is_the_first() {
        let mut session = Session::default();
        assert!(session.up(0));
        assert!(!session.up(1));
    }
}
