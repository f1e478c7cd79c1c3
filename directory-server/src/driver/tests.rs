//! The loop without sockets: what it hands to the store at its end.

use common::identity::Identity;
use common::limits::PREKEY_BYTES;
use common::message::{Epoch, EpochId};
use common::record::{Prekey, PrekeyRecord};
use common::wire::directory::{ConfirmToken, Hello, Online, Register, ToDirectory, Token};
use common::wire::{self, Frame, PAYLOAD_AT};
use directory_core::Limits;

use super::*;
use crate::store::Store;

/// More sessions than the store is given operations at once.
const CROWD: u64 = IN_FLIGHT_MAX as u64 + 100;

fn identity(number: u64) -> Identity {
    let mut seed = [9; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    Identity::from_seed(&seed)
}

fn driver(folder: &std::path::Path) -> Driver {
    let data_dir = DataDir::own(folder).unwrap();
    let store = Store::open(&data_dir.database()).unwrap();
    let (clock, head) = (Clock::start(), store.head().unwrap());
    let core = Directory::new(Limits::default(), identity(0), [1; 32], head, clock.now());
    Driver::new(core, clock, mpsc::channel(1).1, Writer::start(store).unwrap(), data_dir)
}

/// Every session says something, and everything is answered.
async fn everybody(driver: &mut Driver, frames: impl Fn(SessionId, &Link) -> Vec<ToDirectory>) {
    let links: Vec<_> = driver.links.iter().map(|(session, link)| (*session, link.clone())).collect();
    for (session, link) in links {
        let frames = frames(session, &link).into_iter().map(Incoming::Frame).collect();
        driver.turn(Event::Arrivals(vec![Arrival::Frames { session, frames }]));
    }
    driver.settle().await;
}

fn hello() -> ToDirectory {
    let epoch = Epoch { generation: 1, id: EpochId([1; 16]) };
    Hello { versions: wire::VERSIONS, features: 0, instance: [1; 16], epoch, token: None }.into()
}

fn token(link: &Link) -> Token {
    let bytes = link.take();
    let head = wire::peek(&bytes, 1 << 16).unwrap().unwrap();
    match FromDirectory::decode(head.kind, &bytes[PAYLOAD_AT..head.frame_bytes]).unwrap() {
        FromDirectory::Welcome(welcome) => welcome.token,
        other => panic!("no welcome but {other:?}"),
    }
}

fn come(session: SessionId) -> Vec<ToDirectory> {
    let owner = identity(session.0);
    let prekey = Prekey { owner: owner.public(), counter: 1, created_ms: 0, key: vec![1; PREKEY_BYTES] };
    let prekey = PrekeyRecord::sign(&owner, &prekey);
    let name = format!("user{}", session.0).parse().unwrap();
    let register = Register { request: 1, name, prekey: prekey.clone() };
    vec![register.into(), Online { request: 2, candidates: vec![], prekey }.into()]
}

#[tokio::test]
async fn everybody_who_is_online_at_the_end_is_noted_as_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut driver = driver(folder.path());
    for number in 1..=CROWD {
        let (session, key) = (SessionId(number), identity(number).public());
        let (address, link) = ("127.0.0.1:1".parse().unwrap(), Arc::new(Link::default()));
        driver.turn(Event::Arrivals(vec![Arrival::Opened { session, key, address, link }]));
    }
    everybody(&mut driver, |_, _| vec![hello()]).await;
    everybody(&mut driver, |_, link| vec![ConfirmToken { token: token(link) }.into()]).await;
    everybody(&mut driver, |session, _| come(session)).await;
    driver.finish().await.unwrap();
    let db = rusqlite::Connection::open(folder.path().join(crate::data_dir::DATABASE_FILE)).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM accounts WHERE folded IS NOT NULL"), CROWD as i64);
    assert_eq!(count("SELECT count(*) FROM accounts WHERE candidates IS NOT NULL"), 0, "still said to be online");
}
