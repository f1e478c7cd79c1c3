//! The beginning of a run: what was committed is taken up again.

use common::body::Body;
use common::identity::PublicKey;
use common::message::{Conversation, Epoch, EpochId, MessageId};
use common::wire::directory::Standing;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use super::{META_EVERY_MS, Messenger};
use crate::event::{Event, Now, Output};
use crate::lane::Received;
use crate::outbox::Outgoing;
use crate::stored::{Meta, OutboxRow, State, StoredMessage};
use crate::timers::Timer;

impl Messenger {
    pub(super) fn restore_lanes(
        &mut self,
        lanes: Vec<(PublicKey, Epoch, u64)>,
        held: Vec<(PublicKey, u64, MessageId)>,
    ) {
        for (sender, epoch, floor) in lanes {
            self.received.insert(sender, Received::new(epoch, floor));
            self.following.insert(sender, (epoch, floor));
        }
        for (sender, seq, id) in held {
            if let Some(lane) = self.received.get_mut(&sender) {
                lane.hold(seq, id);
            }
        }
    }

    /// After a crash the last state of each message may not have been told: it is told again.
    pub(super) fn repeat_states(&mut self, rows: &[OutboxRow]) {
        let crashed = !std::mem::replace(&mut self.meta.left_cleanly, false);
        for row in rows.iter().filter(|_| crashed) {
            self.repeat_state(row);
        }
    }

    pub(super) fn restore_outbox(&mut self, rows: Vec<OutboxRow>) {
        for row in rows {
            let lane = self.sent.entry(row.recipient).or_default();
            lane.restore(row.seq, row.id, row.state.is_settled());
            if row.state.is_settled() {
                if matches!(row.state, State::Expired | State::Cancelled) {
                    self.ended.insert((row.recipient, row.seq), row);
                }
                continue;
            }
            let mut message = Outgoing::new(row, true);
            if message.row.state == State::Kept {
                message.deposit = crate::outbox::Deposit::Kept;
                message.plan_check(self.now.mono_ms);
                if self.clock.age_ms().saturating_sub(message.row.queued_age_ms) >= common::limits::HOUR_MS {
                    // Its time came while the program was not running: soon, not all at once with the login.
                    message.check_at_ms = Some(self.now.mono_ms + 60_000);
                }
            }
            self.outbox.put(message);
        }
    }

    pub(super) fn begin(&mut self, shown: Vec<(PublicKey, Conversation, MessageId)>, mut unshown: Vec<StoredMessage>) {
        self.lines.tells_read(self.meta.receipts);
        // They came in any order and may have been held back for each other: numbers tell nothing of their places.
        unshown.sort_by_key(|message| message.id);
        for (sender, conversation, id) in shown {
            self.inbox.restore(sender, conversation, id);
            self.restore_reading(sender, conversation, id);
        }
        let (lines, changes): (Vec<_>, Vec<_>) = unshown.into_iter().partition(|message| Body::is_line(message.kind));
        for line in &lines {
            self.not_read_yet(line);
        }
        if self.config.shows {
            let here = lines.iter().map(|line| (line.sender, line.id)).collect();
            for message in lines {
                let whole = self.is_whole(&message.sender, &message.id);
                self.bring_in(message, whole);
            }
            self.begin_changes(changes, &here);
        }
        self.timers.set(Timer::Meta, self.now.mono_ms + META_EVERY_MS);
        self.timers.set(Timer::Prekeys, self.now.mono_ms);
        if self.meta.suspended {
            self.tell_suspended();
        }
        self.connect();
        for key in self.outbox.recipients() {
            self.tend(key);
        }
    }

    pub(super) fn tell_ready(&mut self) {
        self.out.push_back(Output::Event(Event::Ready {
            name: self.my_name(),
            fingerprint: self.config.me.fingerprint(),
            bind: self.config.bind,
            directory: self.config.directory.clone(),
            version: self.config.version.clone(),
        }));
    }
}

pub(super) fn new_meta(rng: &mut ChaCha20Rng, now: Now) -> Meta {
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    Meta {
        epoch: Epoch { generation: 1, id: EpochId(id) },
        highest_generation: 1,
        version_reserve: 0,
        age_ms: 0,
        wall_ms: now.wall_ms,
        wants_online: true,
        suspended: false,
        left_cleanly: true,
        binding: None,
        receipts: false,
        standing: Standing::Online,
        note: None,
    }
}
