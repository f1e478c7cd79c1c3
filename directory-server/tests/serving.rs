//! A whole server in this process, spoken to over TLS: what a peer may rely on, and what a hostile one achieves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::identity::Identity;
use common::limits::PREKEY_BYTES;
use common::message::{Epoch, EpochId};
use common::record::{Prekey, PrekeyRecord};
use common::tls::{Alpn, Expect, SERVER_NAME, client_config};
use common::wire::directory::{
    ConfirmToken, Deposit, FromDirectory, Hello, Item, Offline, Online, Ping, Place, Register, Take, Taking,
    ToDirectory, Token,
};
use common::wire::{self, Frame, PAYLOAD_AT};
use directory_server::store::people::People;
use directory_server::{Config, ServeError, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let bind = Some("127.0.0.1".parse().unwrap());
        let config = Config { data_dir: folder.to_owned(), bind, port: 0, limits: Default::default(), event_log: None };
        let server = Server::open(config).unwrap();
        let (stop, stopped) = oneshot::channel();
        let address = server.address();
        let ended = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { address, stop, ended }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.ended).await.unwrap().unwrap().unwrap();
    }
}

struct Client {
    tls: TlsStream<TcpStream>,
    identity: Identity,
    bytes: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr, who: u8) -> Self {
        let identity = Identity::from_seed(&[who; 32]);
        let config = client_config(&identity, Expect::Any, Alpn::Directory).unwrap();
        let socket = TcpStream::connect(address).await.unwrap();
        let name = SERVER_NAME.try_into().unwrap();
        let tls = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
        Self { tls, identity, bytes: Vec::new() }
    }

    /// Connects and logs in; `token` is the one of the login before.
    async fn log_in(address: SocketAddr, who: u8, token: Option<Token>) -> (Self, Token) {
        let mut client = Self::connect(address, who).await;
        let epoch = Epoch { generation: 1, id: EpochId([who; 16]) };
        let hello = Hello { versions: wire::VERSIONS, features: 0, instance: [who; 16], epoch, token };
        client.send(hello).await;
        let welcome = match client.next().await {
            FromDirectory::Welcome(welcome) => welcome,
            other => panic!("no welcome but {other:?}"),
        };
        client.send(ConfirmToken { token: welcome.token }).await;
        assert!(matches!(client.next().await, FromDirectory::TokenKept(_)));
        (client, welcome.token)
    }

    async fn send(&mut self, frame: impl Into<ToDirectory>) {
        let mut bytes = Vec::new();
        frame.into().encode_into(&mut bytes);
        self.tls.write_all(&bytes).await.unwrap();
        self.tls.flush().await.unwrap();
    }

    /// The next frame; none when the server closes.
    async fn maybe_next(&mut self) -> Option<FromDirectory> {
        tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(head) = wire::peek(&self.bytes, 1 << 20).unwrap() {
                    let frame = FromDirectory::decode(head.kind, &self.bytes[PAYLOAD_AT..head.frame_bytes]).unwrap();
                    self.bytes.drain(..head.frame_bytes);
                    return Some(frame);
                }
                if self.tls.read_buf(&mut self.bytes).await.unwrap_or(0) == 0 {
                    return None;
                }
            }
        })
        .await
        .expect("an answer in time")
    }

    async fn next(&mut self) -> FromDirectory {
        self.maybe_next().await.expect("the connection stays")
    }

    fn prekey(&self) -> PrekeyRecord {
        let key = vec![1; PREKEY_BYTES];
        PrekeyRecord::sign(&self.identity, &Prekey { owner: self.identity.public(), counter: 1, created_ms: 0, key })
    }

    async fn register(&mut self, name: &str) {
        let (name, prekey) = (name.parse().unwrap(), self.prekey());
        self.send(Register { request: 1, name, prekey }).await;
        assert!(matches!(self.next().await, FromDirectory::Registered(_)));
    }

    /// Comes online; the items of the drain, and how many of them people wrote.
    async fn online(&mut self) -> (Vec<Item>, u64) {
        let prekey = self.prekey();
        self.send(Online {
            request: 2,
            candidates: vec!["127.0.0.1:9999".parse().unwrap()],
            prekey,
            standing: common::wire::directory::Standing::Online,
            note: None,
        })
        .await;
        assert!(matches!(self.next().await, FromDirectory::Done(_)));
        let FromDirectory::DrainBegin(begin) = self.next().await else { panic!("no drain") };
        let mut items = Vec::new();
        loop {
            match self.next().await {
                FromDirectory::Item(item) => {
                    self.send(Take { items: vec![(item.item, Taking::Stored)] }).await;
                    items.push(item);
                }
                FromDirectory::DrainEnd(_) => return (items, begin.human),
                other => panic!("{other:?} in a drain"),
            }
        }
    }

    async fn deposit(&mut self, to: u8, seq: u64) {
        let recipient = Identity::from_seed(&[to; 32]).public();
        let place = Place { recipient, epoch: EpochId([9; 16]), seq };
        let sealed = vec![seq as u8; 2_300];
        let tag = seq.to_be_bytes();
        self.send(Deposit { place, tag, prekey: 1, urgent: false, human: true, sealed }).await;
    }

    /// Waits until `count` deposits are answered, all kept.
    async fn kept(&mut self, mut count: usize) {
        while count > 0 {
            let FromDirectory::Deposited(deposited) = self.next().await else { panic!("no answer to a deposit") };
            assert!(deposited.answers.iter().all(|answer| answer.refusal.is_none()), "{deposited:?}");
            count -= deposited.answers.len();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_for_somebody_away_survives_a_restart_and_is_drained_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let (mut alice, _) = Client::log_in(server.address, 1, None).await;
    let (mut bob, token) = Client::log_in(server.address, 2, None).await;
    alice.register("Alice").await;
    bob.register("Bob").await;
    bob.send(Offline { request: 3 }).await;
    while bob.maybe_next().await.is_some() {}
    for seq in 1..=150 {
        alice.deposit(2, seq).await;
    }
    alice.kept(150).await;
    server.stop().await;

    let server = Running::start(folder.path());
    let (mut bob, _) = Client::log_in(server.address, 2, Some(token)).await;
    let (items, human) = bob.online().await;
    assert_eq!(human, 150);
    assert_eq!(items.iter().map(|item| item.seq).collect::<Vec<_>>(), (1..=150).collect::<Vec<_>>());
    assert!(items.iter().all(|item| item.waited && item.sealed == vec![item.seq as u8; 2_300]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_its_recipient_is_online_is_pushed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let (mut alice, _) = Client::log_in(server.address, 1, None).await;
    let (mut bob, _) = Client::log_in(server.address, 2, None).await;
    alice.register("Alice").await;
    bob.register("Bob").await;
    assert_eq!(bob.online().await, (vec![], 0));
    alice.deposit(2, 1).await;
    let FromDirectory::Item(item) = bob.next().await else { panic!("no item") };
    assert_eq!((item.seq, item.waited), (1, false));
    alice.kept(1).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_name_is_noticed_by_the_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let (mut alice, _) = Client::log_in(server.address, 1, None).await;
    alice.register("Alice").await;
    let people = People::open(&folder.path().join(directory_server::data_dir::DATABASE_FILE)).unwrap();
    assert!(people.release(&"alice".parse().unwrap()).unwrap());
    let (mut other, _) = Client::log_in(server.address, 2, None).await;
    other.register("ALICE").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_frame_is_answered_and_garbage_ends_only_its_own_session() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let (mut good, _) = Client::log_in(server.address, 1, None).await;
    let (mut bad, _) = Client::log_in(server.address, 2, None).await;
    bad.tls.write_all(&[0, 0, 0, 3, 0x77, 0x77, 1]).await.unwrap();
    assert!(matches!(bad.next().await, FromDirectory::Unsupported(frame) if frame.kind == 0x7777));
    bad.tls.write_all(&[0xff; 100]).await.unwrap();
    while bad.maybe_next().await.is_some() {}
    good.send(Ping {}).await;
    assert!(matches!(good.next().await, FromDirectory::Pong(_)));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_login_may_take_ends_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let mut long = Client::connect(server.address, 1).await;
    // A frame that would be allowed after the login only.
    long.tls.write_all(&[0, 0, 0x20, 0, 1, 1]).await.unwrap();
    while long.maybe_next().await.is_some() {}
    let mut raw = TcpStream::connect(server.address).await.unwrap();
    let flood = async { while raw.write_all(&[0x16; 1024]).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, flood).await.expect("the flood is cut off");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_folder_is_refused_with_exit_code_9() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let bind = Some("127.0.0.1".parse().unwrap());
    let config =
        Config { data_dir: folder.path().to_owned(), bind, port: 0, limits: Default::default(), event_log: None };
    let refused = Server::open(config).err().unwrap();
    assert_eq!(refused.exit_code(), 9);
    assert!(refused.to_string().contains("in use"));
    server.stop().await;
}
