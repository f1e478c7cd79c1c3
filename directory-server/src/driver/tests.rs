//! The loop without sockets: what it hands to the store at its end.

use common::identity::Identity;
use common::limits::PREKEY_BYTES;
use common::message::{Epoch, EpochId};
use common::record::{Prekey, PrekeyRecord};
use common::wire::directory::{
    ConfirmToken, Deposit, Hello, Online, Place, PutSlot, Register, Take, Taking, ToDirectory, Token, Watch,
};
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
    Driver::new(core, clock, mpsc::channel(1).1, Writer::start(store).unwrap(), data_dir, None)
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

/// What waits in a link, taken out.
fn taken(link: &Link) -> Vec<FromDirectory> {
    let bytes = link.take();
    let (mut frames, mut rest) = (Vec::new(), &bytes[..]);
    while let Some(head) = wire::peek(rest, 1 << 16).unwrap() {
        frames.push(FromDirectory::decode(head.kind, &rest[PAYLOAD_AT..head.frame_bytes]).unwrap());
        rest = &rest[head.frame_bytes..];
    }
    frames
}

fn token(link: &Link) -> Token {
    match &taken(link)[..] {
        [FromDirectory::Welcome(welcome)] => welcome.token,
        other => panic!("no welcome but {other:?}"),
    }
}

fn come(session: SessionId) -> Vec<ToDirectory> {
    let owner = identity(session.0);
    let prekey = Prekey { owner: owner.public(), counter: 1, created_ms: 0, key: vec![1; PREKEY_BYTES] };
    let prekey = PrekeyRecord::sign(&owner, &prekey);
    let name = format!("user{}", session.0).parse().unwrap();
    let register = Register { request: 1, name, prekey: prekey.clone() };
    let candidates = (9001..9005).map(|port| (std::net::Ipv6Addr::LOCALHOST, port).into()).collect();
    vec![
        register.into(),
        Online { request: 2, candidates, prekey, standing: common::wire::directory::Standing::Online, note: None }
            .into(),
    ]
}

/// With everybody logged in.
async fn crowded(folder: &std::path::Path) -> Driver {
    let mut driver = driver(folder);
    for number in 1..=CROWD {
        let (session, key) = (SessionId(number), identity(number).public());
        let (address, link) = ("127.0.0.1:1".parse().unwrap(), Arc::new(Link::default()));
        driver.turn(Event::Arrivals(vec![Arrival::Opened { session, key, address, link }]));
    }
    everybody(&mut driver, |_, _| vec![hello()]).await;
    everybody(&mut driver, |_, link| vec![ConfirmToken { token: token(link) }.into()]).await;
    driver
}

#[tokio::test]
async fn everybody_who_is_online_at_the_end_is_noted_as_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut driver = crowded(folder.path()).await;
    everybody(&mut driver, |session, _| come(session)).await;
    driver.finish().await.unwrap();
    let db = rusqlite::Connection::open(folder.path().join(crate::data_dir::DATABASE_FILE)).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM accounts WHERE folded IS NOT NULL"), CROWD as i64);
    assert_eq!(count("SELECT count(*) FROM accounts WHERE candidates IS NOT NULL"), 0, "still said to be online");
}

/// Most sorts of mail that strangers may leave, at the sizes that make the most bytes of a window.
fn mail(from: SessionId, to: u64) -> Vec<ToDirectory> {
    let recipient = identity(to).public();
    let place = Place { recipient, epoch: EpochId([from.0 as u8; 16]), seq: 1 };
    let deposit = Deposit { place, tag: [1; 8], prekey: 1, urgent: false, human: true, sealed: vec![7; 576] };
    match from.0 {
        2..=201 => vec![deposit.into(), PutSlot { recipient, prekey: 1, sealed: vec![7; 768] }.into()],
        _ => vec![],
    }
}

#[tokio::test]
async fn a_full_mailbox_drains_to_a_peer_that_reads_nothing_before_everything_was_handed_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut driver = crowded(folder.path()).await;
    let slow = driver.links[&SessionId(1)].clone();
    let others = |frames: Vec<ToDirectory>, session: SessionId| if session.0 == 1 { vec![] } else { frames };
    let register = |session| come(session).remove(0);
    everybody(&mut driver, |session, _| if session.0 == 1 { vec![register(session)] } else { come(session) }).await;
    everybody(&mut driver, |session, _| others(mail(session, 1), session)).await;
    let _ = slow.take();

    let watched = (2..1_002).map(|number| identity(number).public()).collect();
    let mut frames = vec![come(SessionId(1)).remove(1), Watch { add: watched, remove: vec![] }.into()];
    frames.extend((0..256).map(|seq| {
        let place = Place { recipient: identity(2).public(), epoch: EpochId([1; 16]), seq: seq + 1 };
        Deposit { place, tag: [1; 8], prekey: 1, urgent: false, human: true, sealed: vec![7; 16] }.into()
    }));
    let mut items = 0;
    let mut presences = 0;
    while !frames.is_empty() {
        let frames_in = frames.drain(..).map(Incoming::Frame).collect();
        driver.turn(Event::Arrivals(vec![Arrival::Frames { session: SessionId(1), frames: frames_in }]));
        driver.settle().await;
        assert!(driver.links.contains_key(&SessionId(1)), "cut off with {} bytes", slow.waiting_bytes());
        for frame in taken(&slow) {
            match frame {
                FromDirectory::Item(item) => {
                    items += 1;
                    frames.push(Take { items: vec![(item.item, Taking::Stored)] }.into());
                }
                FromDirectory::Presence(_) => presences += 1,
                _ => {}
            }
        }
    }
    assert_eq!((items, presences), (200, 1_000));
}
