//! When an own line is echoed: once when it is delivered, kept or old enough, and again at each later change. No words.

use std::collections::BTreeMap;

use peer_core::event::StateView;
use peer_core::stored::State;

/// A line that is neither delivered nor kept is echoed when it is so old, milliseconds.
const PATIENCE_MS: i64 = 1_500;

/// Own lines that were queued and not echoed yet, by number, with the time they were queued.
#[derive(Debug, Default)]
pub(super) struct Echoes(BTreeMap<u64, (i64, StateView)>);

impl Echoes {
    /// Whether this change is to be shown now; a line that was only just queued waits.
    pub(super) fn is_to_be_shown(&mut self, view: &StateView, now_ms: i64) -> bool {
        let age_ms = i64::try_from(view.elapsed_ms).unwrap_or(i64::MAX);
        let waits = view.state == State::Queued && view.reason.is_none() && age_ms < PATIENCE_MS;
        if waits {
            self.0.insert(view.n, (now_ms.saturating_sub(age_ms), view.clone()));
        } else {
            self.0.remove(&view.n);
        }
        !waits
    }

    /// The time of the next echo, milliseconds since 1970.
    pub(super) fn due_ms(&self) -> Option<i64> {
        self.0.values().map(|(queued_ms, _)| queued_ms.saturating_add(PATIENCE_MS)).min()
    }

    /// Takes the lines that are old enough, by number.
    pub(super) fn due(&mut self, now_ms: i64) -> Vec<StateView> {
        self.take(now_ms, PATIENCE_MS)
    }

    /// Takes all lines, by number.
    pub(super) fn rest(&mut self, now_ms: i64) -> Vec<StateView> {
        self.take(now_ms, i64::MIN)
    }

    fn take(&mut self, now_ms: i64, age_ms: i64) -> Vec<StateView> {
        let old = |queued_ms: i64| now_ms.saturating_sub(queued_ms) >= age_ms;
        let numbers: Vec<u64> = self.0.iter().filter(|(_, (queued_ms, _))| old(*queued_ms)).map(|(n, _)| *n).collect();
        let taken = numbers.into_iter().filter_map(|n| self.0.remove(&n));
        taken
            .map(|(queued_ms, mut view)| {
                view.elapsed_ms = u64::try_from(now_ms.saturating_sub(queued_ms)).unwrap_or(0);
                view
            })
            .collect()
    }
}
