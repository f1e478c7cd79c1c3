//! Who is there: alice under test, bobby who is honest and away, mallory, the directory, and what they sign.

use std::sync::LazyLock;

use common::identity::{Identity, PublicKey};
use common::limits::PREKEY_BYTES;
use common::record::{Binding, Bound, Prekey, PrekeyRecord};

pub(super) const DIRECTORY: &str = "directory:1";
/// What is written to bobby, and to nobody else.
pub(super) const SECRET: &str = "for bobby only";

pub(super) static ALICE: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&[1; 32]));
pub(super) static BOBBY: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&[2; 32]));
pub(super) static MALLORY: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&[3; 32]));
pub(super) static SERVER: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&[4; 32]));
pub(super) static BOBBYS_PREKEY: LazyLock<PrekeyRecord> = LazyLock::new(|| prekey(&BOBBY, 5));

pub(super) fn prekey(owner: &Identity, counter: u64) -> PrekeyRecord {
    let key = vec![2; PREKEY_BYTES];
    PrekeyRecord::sign(owner, &Prekey { owner: owner.public(), counter, created_ms: 0, key })
}

pub(super) fn binding(name: &str, key: PublicKey, serial: u64) -> Binding {
    let bound = Bound { directory: SERVER.public(), name: name.parse().expect("a name"), key, serial };
    Binding::sign(&SERVER, &bound)
}

/// What alice's user types: never `!verify bobby ok`, which would be the word that accepts another key.
pub(super) const LINES: [&str; 16] = [
    "!send bobby for bobby only",
    "!send mallory hello",
    "!cancel 1",
    "!status 1",
    "!history bobby",
    "!history mallory",
    "!who",
    "!contacts",
    "!verify bobby",
    "!verify mallory ok",
    "!logout",
    "!login",
    "!verify bobby no",
    "!cancel 2",
    "!register alice2",
    "!quit",
];

/// What was written to bobby goes to nobody else.
pub(super) fn is_for(recipient: &PublicKey, bytes: &[u8]) {
    let secret = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    assert!(!secret || *recipient == BOBBY.public(), "a word for bobby goes to {recipient:?}");
}
