//! What the directory said it keeps, and whether it is there: looked up in its store now and then. An item may go when
//! its recipient holds the message, when its sender took it back or has settled it, or with a word of what became of it.

use std::collections::BTreeMap;

use common::identity::PublicKey;
use common::wire::directory::{Fate, Place};
use directory_core::{StoreOp, StoreResult, Ticket};

use super::world::World;

/// Commits of the directory between two audits.
const EVERY: u64 = 6;

/// What is kept: by submitter and place, the tag of the message.
pub(crate) type Mail = BTreeMap<(PublicKey, Place), [u8; 8]>;

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
        let mail: Vec<((PublicKey, Place), [u8; 8])> =
            self.directory.mail.iter().map(|(at, tag)| (*at, *tag)).collect();
        for of_one in mail.chunk_by(|one, other| one.0.0 == other.0.0) {
            let submitter = of_one[0].0.0;
            let places: Vec<Place> = of_one.iter().map(|((_, place), _)| *place).collect();
            let asked = vec![(Ticket(0), StoreOp::Have { submitter, places })];
            let Ok(applied) = self.directory.disk().apply(asked) else { return };
            let Some((_, StoreResult::Fates(fates))) = applied.results.into_iter().next() else { return };
            for ((at, tag), fate) in of_one.iter().zip(fates) {
                if fate == Fate::Held {
                    continue;
                }
                self.directory.mail.remove(at);
                if matches!(fate, Fate::Taken | Fate::Unknown) {
                    self.model.let_go(&at.0, &at.1.recipient, *tag);
                }
            }
        }
    }
}
