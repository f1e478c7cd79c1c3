//! The client against a small TLS server on loopback.

use common::wire::Frame;
use common::wire::directory::{Ping, Pong};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, server};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    key: PublicKey,
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Server {
    async fn start() -> Self {
        let me = Identity::from_seed(&[8; 32]);
        let config = tls::server_config(&me, Alpn::Directory).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { key: me.public(), listener, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    async fn accept(&self) -> server::TlsStream<TcpStream> {
        let (tcp, _) = self.listener.accept().await.unwrap();
        self.acceptor.accept(tcp).await.unwrap()
    }
}

fn client(port: u16) -> (Directory, mpsc::Receiver<Batch>) {
    let (inputs, batches) = mpsc::channel(super::super::batch::BATCHES_MAX);
    let me = Identity::from_seed(&[1; 32]);
    (Directory::new(format!("localhost:{port}"), &me, inputs).unwrap(), batches)
}

async fn next(batches: &mut mpsc::Receiver<Batch>) -> (Session, Input) {
    match timeout(PATIENCE, batches.recv()).await.expect("nothing came").expect("the client is gone") {
        Batch::Directory { session, mut inputs } => (session, inputs.remove(0)),
        Batch::Links(_) => panic!("a directory speaks of no links"),
    }
}

fn bytes(frame: &impl Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode_into(&mut bytes);
    bytes
}

#[tokio::test]
async fn the_servers_key_is_told_first_and_frames_go_both_ways() {
    let server = Server::start().await;
    let (mut directory, mut batches) = client(server.listener.local_addr().unwrap().port());
    directory.connect();
    let mut stream = server.accept().await;
    let (session, up) = next(&mut batches).await;
    assert!(matches!(up, Input::DirectoryUp { key } if key == server.key));
    assert!(directory.is_current(session));
    assert!(directory.last_address().is_some());

    let ping = bytes(&ToDirectory::from(Ping {}));
    directory.send(&Ping {}.into());
    let mut received = vec![0; ping.len()];
    stream.read_exact(&mut received).await.unwrap();
    assert_eq!(received, ping);

    let mut answer = vec![0, 0, 0, 2, 0x7f, 0xff];
    answer.extend_from_slice(&bytes(&FromDirectory::from(Pong {})));
    stream.write_all(&answer).await.unwrap();
    assert!(matches!(next(&mut batches).await.1, Input::DirectoryFrame(frame) if *frame == Pong {}.into()));

    drop(stream);
    assert!(matches!(next(&mut batches).await.1, Input::DirectoryDown(DirectoryEnd::Lost)));
}

#[tokio::test]
async fn a_close_flushes_and_what_comes_later_is_of_another_session() {
    let server = Server::start().await;
    let (mut directory, mut batches) = client(server.listener.local_addr().unwrap().port());
    directory.connect();
    let mut stream = server.accept().await;
    let (session, _) = next(&mut batches).await;
    for _ in 0..100 {
        directory.send(&Ping {}.into());
    }
    directory.close();
    assert!(!directory.is_current(session));
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    assert_eq!(received.len(), 100 * bytes(&ToDirectory::from(Ping {})).len());
    drop(stream);

    directory.connect();
    assert!(!directory.is_current(session));
    let _stream = server.accept().await;
    let (fresh, _) = loop {
        let (session, input) = next(&mut batches).await;
        if directory.is_current(session) {
            break (session, input);
        }
    };
    assert_ne!(fresh, session);
}

#[tokio::test]
async fn nobody_listening_and_garbage_are_told_apart() {
    let server = Server::start().await;
    let port = server.listener.local_addr().unwrap().port();
    let (mut directory, mut batches) = client(port);
    directory.connect();
    let mut stream = server.accept().await;
    next(&mut batches).await;
    stream.write_all(&[0xff; 64]).await.unwrap();
    assert!(matches!(next(&mut batches).await.1, Input::DirectoryDown(DirectoryEnd::Garbage)));
    drop(server);
    directory.connect();
    assert!(matches!(next(&mut batches).await.1, Input::DirectoryDown(DirectoryEnd::NotReached)));
}
