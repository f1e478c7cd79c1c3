//! What the directory said it keeps, and whether it is there: looked up in its store now and then. An item may go when
//! its recipient holds the message, when its sender took it back or has settled it, or with a word of what became of it.

use std::collections::BTreeMap;

use common::identity::PublicKey;
use common::limits::ITEM_LIFETIME_MS;
use common::wire::directory::{Fate, Place};
use directory_core::{StoreOp, StoreResult, Ticket};

use super::world::World;

/// Commits of the directory between two audits.
const EVERY: u64 = 6;

/// Submitter and place of an item.
type At = (PublicKey, Place);
/// The tag of its message, and when it was kept.
type Kept = ([u8; 8], u64);
/// What is kept.
pub(crate) type Mail = BTreeMap<At, Kept>;

impl World {
    /// The directory has committed; now and then its word is checked.
    pub(crate) fn audit_now_and_then(&mut self) {
        self.directory.audits += 1;
        if self.directory.audits.is_multiple_of(EVERY) {
            self.audit();
        }
    }

    fn audit(&mut self) {
        if self.plan.malicious {
            return;
        }
        let mail: Vec<(At, Kept)> = self.directory.mail.iter().map(|(at, kept)| (*at, *kept)).collect();
        for of_one in mail.chunk_by(|one, other| one.0.0 == other.0.0) {
            let submitter = of_one[0].0.0;
            let places: Vec<Place> = of_one.iter().map(|((_, place), _)| *place).collect();
            let asked = vec![(Ticket(0), StoreOp::Have { submitter, places })];
            let Ok(applied) = self.directory.disk().apply(asked) else { return };
            let Some((_, StoreResult::Fates(fates))) = applied.results.into_iter().next() else { return };
            for ((at, (tag, kept_ms)), fate) in of_one.iter().zip(fates) {
                if fate == Fate::Held {
                    continue;
                }
                self.directory.mail.remove(at);
                // A directory whose clock leaps forgets at once what it expired, and when: then the place is unknown, or
                // taken where the lane lives on.
                let forgotten = self.aged_at_the_directory_ms(*kept_ms) >= ITEM_LIFETIME_MS;
                if matches!(fate, Fate::Taken | Fate::Unknown) && !forgotten {
                    self.model.let_go(&at.0, &at.1, *tag, *kept_ms);
                }
            }
        }
    }

    /// How old by the directory's clock an item became that is there since `kept_ms`: at most, at any moment since.
    fn aged_at_the_directory_ms(&self, kept_ms: u64) -> u64 {
        let skews = &self.directory.skews;
        let ends = skews.iter().skip(1).map(|(from_ms, _)| *from_ms).chain([self.now]);
        let wall = |at_ms: u64, skew_ms: i64| skew_ms + at_ms.cast_signed();
        let periods = skews.iter().zip(ends);
        let kept_wall_ms = skews.iter().rev().find(|(from_ms, _)| *from_ms <= kept_ms).map_or(0, |(_, skew)| *skew);
        let latest_ms =
            periods.filter(|(_, end_ms)| *end_ms > kept_ms).map(|((_, skew_ms), end_ms)| wall(end_ms, *skew_ms));
        let aged_ms = latest_ms.max().unwrap_or(0) - wall(kept_ms, kept_wall_ms);
        aged_ms.max(0).cast_unsigned()
    }
}
