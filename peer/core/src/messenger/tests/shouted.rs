//! Broadcasts of others: whose word they are, under which name they are told, and that they are told once.

use common::record::{Binding, Bound};
use common::shout::{Shout, SignedShout};
use common::wire::directory::Shouted;

use super::*;
use crate::stored::{DirectoryRecord, Pin};

const DIRECTORY: u8 = 8;
const MALLORY: u8 = 9;

fn bench() -> Bench {
    let directory = DirectoryRecord {
        address: "localhost:4600".to_owned(),
        key: key(DIRECTORY),
        store_id: [0; 16],
        commits: 0,
        token: None,
    };
    let pin = |of: u8, name: &str| {
        let (directory, name, key) = (key(DIRECTORY), name.parse().unwrap(), key(of));
        Pin { directory, name, key, serial: 1, rival: None, refused: Vec::new() }
    };
    let pins = vec![pin(BOB, "bob"), pin(EVE, "eve")];
    let mut bench = Bench::from(Snapshot { directory: Some(directory), pins, ..Snapshot::default() });
    bench.forget();
    bench
}

/// `by` is called `name` by the directory, and says something to the people of `of`.
fn shouted(by: u8, name: &str, of: u8, at_ms: i64) -> Shouted {
    let bound = Bound { directory: key(DIRECTORY), name: name.parse().unwrap(), key: key(by), serial: 2 };
    let shout = Shout { directory: key(of), by: key(by), at_ms, text: "all out".to_owned() };
    Shouted {
        binding: Binding::sign(&Identity::from_seed(&[DIRECTORY; 32]), &bound),
        shout: SignedShout::sign(&Identity::from_seed(&[by; 32]), &shout),
    }
}

impl Bench {
    /// What is told of a broadcast: from whom.
    fn hears(&mut self, shouted: &Shouted) -> Option<String> {
        self.forget();
        self.core.on_shouted(shouted);
        self.settle();
        self.out.iter().find_map(|output| match output {
            Output::Event(Event::Broadcast { from, .. }) => Some(from.clone()),
            _ => None,
        })
    }
}

#[test]
fn a_broadcast_is_told_once_under_the_name_that_its_key_is_known_by() {
    let mut bench = bench();
    assert_eq!(bench.hears(&shouted(BOB, "bob", DIRECTORY, 10)).as_deref(), Some("bob"));
    for again_ms in [10, 9] {
        assert_eq!(bench.hears(&shouted(BOB, "bob", DIRECTORY, again_ms)), None);
    }
    let renamed = shouted(BOB, "carol", DIRECTORY, 11);
    assert_eq!(bench.hears(&renamed).as_deref(), Some("bob"), "no name is given to a known key by a broadcast");
    assert_eq!(bench.hears(&shouted(MALLORY, "mallory", DIRECTORY, 1)).as_deref(), Some("mallory"));
}

#[test]
fn a_broadcast_that_is_not_its_speakers_word_to_these_people_is_not_told() {
    let mut bench = bench();
    assert_eq!(bench.hears(&shouted(MALLORY, "bob", DIRECTORY, 1)), None, "a name that is pinned to another key");
    assert_eq!(bench.hears(&shouted(MALLORY, "mallory", MALLORY, 1)), None, "said elsewhere");
    assert_eq!(bench.hears(&shouted(ALICE, "alice", DIRECTORY, 1)), None, "one's own");
    let (bobs, forged) = (shouted(BOB, "bob", DIRECTORY, 1), shouted(MALLORY, "mallory", DIRECTORY, 1));
    let mixed = Shouted { binding: bobs.binding, shout: forged.shout.clone() };
    assert_eq!(bench.hears(&mixed), None, "signed by another key");
    let bound = Bound { directory: key(MALLORY), name: "bob".parse().unwrap(), key: key(MALLORY), serial: 9 };
    let binding = Binding::sign(&Identity::from_seed(&[MALLORY; 32]), &bound);
    assert_eq!(bench.hears(&Shouted { binding, shout: forged.shout }), None, "named by another directory");
}
