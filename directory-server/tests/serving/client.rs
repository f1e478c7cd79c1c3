//! A server in this process and peers that speak to it over TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::identity::{Identity, PublicKey};
use common::limits::PREKEY_BYTES;
use common::message::{Epoch, EpochId};
use common::record::{Prekey, PrekeyRecord};
use common::tls::{Alpn, Expect, SERVER_NAME, client_config};
use common::wire::directory::{
    ConfirmToken, Deposit, FromDirectory, Hello, Item, Online, Place, Register, Standing, Take, Taking, ToDirectory,
    Token,
};
use common::wire::{self, Frame, PAYLOAD_AT};
use directory_core::Limits;
use directory_server::{Config, ServeError, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Nothing here takes so long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Running {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, Limits::default())
    }

    pub fn start_with(folder: &Path, limits: Limits) -> Self {
        let bind = Some("127.0.0.1".parse().unwrap());
        let config = Config { data_dir: folder.to_owned(), bind, port: 0, limits, event_log: None };
        let server = Server::open(config).unwrap();
        let (stop, stopped) = oneshot::channel();
        let address = server.address();
        let ended = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { address, stop, ended }
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.ended).await.unwrap().unwrap().unwrap();
    }
}

pub struct Client {
    pub tls: TlsStream<TcpStream>,
    pub identity: Identity,
    bytes: Vec<u8>,
}

impl Client {
    pub async fn connect(address: SocketAddr, who: u8) -> Self {
        let identity = Identity::from_seed(&[who; 32]);
        let config = client_config(&identity, Expect::Any, Alpn::Directory).unwrap();
        let socket = TcpStream::connect(address).await.unwrap();
        let name = SERVER_NAME.try_into().unwrap();
        let tls = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
        Self { tls, identity, bytes: Vec::new() }
    }

    /// Connects and logs in; `token` is the one of the login before.
    pub async fn log_in(address: SocketAddr, who: u8, token: Option<Token>) -> (Self, Token) {
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

    /// The key of the server, as TLS proved it.
    pub fn directory(&self) -> PublicKey {
        let proved = self.tls.get_ref().1.peer_certificates().unwrap()[0].as_ref();
        PublicKey(proved[proved.len() - 32..].try_into().unwrap())
    }

    pub async fn send(&mut self, frame: impl Into<ToDirectory>) {
        let mut bytes = Vec::new();
        frame.into().encode_into(&mut bytes);
        self.tls.write_all(&bytes).await.unwrap();
        self.tls.flush().await.unwrap();
    }

    /// The next frame; none when the server closes.
    pub async fn maybe_next(&mut self) -> Option<FromDirectory> {
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

    pub async fn next(&mut self) -> FromDirectory {
        self.maybe_next().await.expect("the connection stays")
    }

    /// The next frame that is one to wait for; others are passed over.
    pub async fn wait<T>(&mut self, wanted: impl Fn(FromDirectory) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    pub fn prekey(&self) -> PrekeyRecord {
        let key = vec![1; PREKEY_BYTES];
        PrekeyRecord::sign(&self.identity, &Prekey { owner: self.identity.public(), counter: 1, created_ms: 0, key })
    }

    pub async fn register(&mut self, name: &str) {
        let (name, prekey) = (name.parse().unwrap(), self.prekey());
        self.send(Register { request: 1, name, prekey }).await;
        assert!(matches!(self.next().await, FromDirectory::Registered(_)));
    }

    /// Comes online; the items of the drain, and how many of them people wrote.
    pub async fn online(&mut self) -> (Vec<Item>, u64) {
        let prekey = self.prekey();
        let (candidates, standing) = (vec!["127.0.0.1:9999".parse().unwrap()], Standing::Online);
        self.send(Online { request: 2, candidates, prekey, standing, note: None }).await;
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
                // Others come and go all the time.
                FromDirectory::Notices(_) => {}
                other => panic!("{other:?} in a drain"),
            }
        }
    }

    pub async fn deposit(&mut self, to: u8, seq: u64) {
        let recipient = Identity::from_seed(&[to; 32]).public();
        let place = Place { recipient, epoch: EpochId([9; 16]), seq };
        let sealed = vec![seq as u8; 2_300];
        let tag = seq.to_be_bytes();
        self.send(Deposit { place, tag, prekey: 1, urgent: false, human: true, sealed }).await;
    }

    /// Waits until `count` deposits are answered, all kept.
    pub async fn kept(&mut self, mut count: usize) {
        while count > 0 {
            let answers = |frame| if let FromDirectory::Deposited(deposited) = frame { Some(deposited) } else { None };
            let deposited = self.wait(answers).await;
            assert!(deposited.answers.iter().all(|answer| answer.refusal.is_none()), "{deposited:?}");
            count -= deposited.answers.len();
        }
    }
}
