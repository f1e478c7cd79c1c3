//! Impersonation, handshakes: who shows something else than one Ed25519 key of their own, over TCP and QUIC, to the
//! real programs and from a false server to a real peer. Every refusal is told by the alert that belongs to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use common::identity::Identity;
use common::tls::{Alpn, Expect, SERVER_NAME, client_config, server_config};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription as Alert, ClientConfig, ServerConfig};
use system_tests::hostile::{quic_endpoint, stranger};
use system_tests::impersonation::{Shown, alert_of, answer_of_tls12, hello_of_tls12, odd_keys, quic_alert_of, spki};
use system_tests::programs::{PATIENCE, Peer, World, eventually};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// What somebody presents, with a word for it and the alert it is to be refused with.
fn presented(alpn: Alpn) -> Vec<(&'static str, ClientConfig, Alert)> {
    let (me, owner) = (stranger(1), stranger(2));
    let show = |certificates| Shown::new(&me, certificates).unwrap().client(alpn).unwrap();
    let mut cases: Vec<_> =
        odd_keys(&me).into_iter().map(|(word, keys)| (word, show(keys), Alert::BadCertificate)).collect();
    cases.push(("key-of-another", show(vec![spki(&owner)]), Alert::DecryptError));
    cases.push(("no-key", show(Vec::new()), Alert::CertificateRequired));
    let passed_off = Shown::certificate(&me, true).unwrap().client(alpn).unwrap();
    cases.push(("certificate-as-key", passed_off, Alert::BadCertificate));
    let certificate = Shown::certificate(&me, false).unwrap().client(alpn).unwrap();
    cases.push(("certificate", certificate, Alert::HandshakeFailure));
    let other = match alpn {
        Alpn::Directory => Alpn::Peer,
        Alpn::Peer => Alpn::Directory,
    };
    let own = |protocol: &[u8]| {
        let mut config = client_config(&me, Expect::Any, alpn).unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        config
    };
    cases.push(("other-alpn", own(other.as_bytes()), Alert::NoApplicationProtocol));
    cases.push((
        "later-alpn",
        own(&[&alpn.as_bytes()[..alpn.as_bytes().len() - 1], b"2"].concat()),
        Alert::NoApplicationProtocol,
    ));
    cases
}

/// A line on which whatever is sent counts as sent: who is refused before everything was said hears why all the same.
struct Stubborn(TcpStream);

impl AsyncRead for Stubborn {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Stubborn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, from).map(|written| written.or(Ok(from.len())))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx).map(|_| Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx).map(|_| Ok(()))
    }
}

/// Connects over TCP and reads what the directory ends it with.
async fn refusal(directory: SocketAddr, config: ClientConfig) -> std::io::Result<usize> {
    let tcp = Stubborn(TcpStream::connect(directory).await?);
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    tokio::time::timeout(PATIENCE, stream.read(&mut [0; 64])).await.expect("the directory ends it")
}

/// How the directory's log says it.
fn logged(alert: Alert) -> &'static str {
    match alert {
        Alert::BadCertificate => "BadEncoding",
        Alert::DecryptError => "BadSignature",
        Alert::CertificateRequired => "peer sent no certificates",
        Alert::HandshakeFailure => "IncorrectCertificateTypeExtension",
        Alert::NoApplicationProtocol => "peer doesn't support any known protocol",
        other => panic!("no case is refused with {other:?}"),
    }
}

#[test]
fn the_directory_lets_nobody_in_who_does_not_prove_one_ed25519_key() {
    let world = World::with(&["-vv"], None);
    let directory = world.directory.address();
    runtime().block_on(async {
        for (word, config, alert) in presented(Alpn::Directory) {
            let told = logged(alert);
            let before = world.directory.stderr().matches(told).count();
            let error = refusal(directory, config).await.expect_err(word);
            assert_eq!(alert_of(&error), Some(alert), "{word}: {error:?}");
            eventually(word, PATIENCE, || world.directory.stderr().matches(told).count() > before);
        }
        // The library lets a client without the extension pass; the directory does not.
        let mut silent = client_config(&stranger(1), Expect::Any, Alpn::Directory).unwrap();
        silent.alpn_protocols.clear();
        let ended = refusal(directory, silent).await;
        assert!(matches!(&ended, Ok(0)) || ended.is_err(), "no-alpn: {ended:?}");
        let told = "the other end does not speak this protocol";
        eventually("it says why", PATIENCE, || world.directory.stderr().contains(told));
        // The same harness gets in with what is right.
        let good = Shown::new(&stranger(1), vec![spki(&stranger(1))]).unwrap().client(Alpn::Directory).unwrap();
        let waits = tokio::time::timeout(Duration::from_millis(500), refusal(directory, good)).await;
        assert!(waits.is_err(), "a good key is not refused: {waits:?}");
    });
    let mut old = std::net::TcpStream::connect(directory).unwrap();
    old.write_all(&hello_of_tls12()).unwrap();
    let mut answer = Vec::new();
    old.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, u8::from(Alert::ProtocolVersion)], "tls-1.2");
}

/// Connects over QUIC and waits for the peer's word.
async fn quic_refusal(endpoint: &quinn::Endpoint, peer: SocketAddr, config: ClientConfig) -> quinn::ConnectionError {
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()));
    match endpoint.connect_with(config, peer, SERVER_NAME).unwrap().await {
        Ok(connection) => connection.closed().await,
        Err(error) => error,
    }
}

#[test]
fn a_peer_lets_nobody_in_who_does_not_prove_one_ed25519_key() {
    let world = World::new();
    let bob = world.peer("bob");
    runtime().block_on(async {
        let endpoint = quic_endpoint(world.ip.into()).unwrap();
        let mut cases = presented(Alpn::Peer);
        let mut silent = client_config(&stranger(1), Expect::Any, Alpn::Peer).unwrap();
        silent.alpn_protocols.clear();
        cases.push(("no-alpn", silent, Alert::NoApplicationProtocol));
        for (word, config, alert) in cases {
            let error = quic_refusal(&endpoint, bob.address(), config).await;
            assert_eq!(quic_alert_of(&error), Some(alert), "{word}: {error:?}");
        }
        let good = Shown::new(&stranger(1), vec![spki(&stranger(1))]).unwrap().client(Alpn::Peer).unwrap();
        let waits = tokio::time::timeout(Duration::from_millis(500), quic_refusal(&endpoint, bob.address(), good));
        assert!(waits.await.is_err(), "a good key is not refused");
    });
}

/// What a false server shows to whoever dials the real one, with the alert it gets.
fn false_servers(alpn: Alpn, owner: &Identity) -> Vec<(&'static str, ServerConfig, Alert)> {
    let me = stranger(1);
    let show = |certificates| Shown::new(&me, certificates).unwrap().server(alpn).unwrap();
    let kept = ["intermediate", "p256-key", "x25519-key", "zero-key"];
    let odd = odd_keys(&me).into_iter().filter(|(word, _)| kept.contains(word));
    let mut cases: Vec<_> = odd.map(|(word, keys)| (word, show(keys), Alert::BadCertificate)).collect();
    cases.push(("key-of-another", show(vec![spki(owner)]), Alert::DecryptError));
    let passed_off = Shown::certificate(&me, true).unwrap().server(alpn).unwrap();
    cases.push(("certificate-as-key", passed_off, Alert::BadCertificate));
    cases
}

#[test]
fn a_peer_gives_nothing_to_a_directory_that_does_not_prove_one_ed25519_key() {
    let world = World::new();
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind((world.ip, 0))).unwrap();
    let peer = world.setup("alice").at_directory(listener.local_addr().unwrap()).start();
    runtime.block_on(async {
        for (word, config, alert) in false_servers(Alpn::Directory, &stranger(2)) {
            let (tcp, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("it tries again").unwrap();
            let error = TlsAcceptor::from(Arc::new(config)).accept(tcp).await.map(drop).expect_err(word);
            assert_eq!(alert_of(&error), Some(alert), "{word}: {error:?}");
        }
        let (mut tcp, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("it tries again").unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut tcp, &answer_of_tls12()).await.unwrap();
        let mut hello = Vec::new();
        // It may reset what it has not read.
        let _ = tcp.read_to_end(&mut hello).await;
        assert!(hello.ends_with(&[21, 3, 3, 0, 2, 2, u8::from(Alert::ProtocolVersion)]), "tls-1.2: {hello:?}");
        let good = server_config(&stranger(2), Alpn::Directory).unwrap();
        let (tcp, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("it tries again").unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(good)).accept(tcp).await.expect("a good key is taken");
        let came = stream.read(&mut [0; 64]).await.unwrap();
        assert!(came > 0, "whoever proves a key is greeted");
    });
    assert!(peer.log().lines(0, |line| line.event() == "online").is_empty());
}

/// The key in a data directory.
fn key_in(peer: &Peer) -> Identity {
    let seed = std::fs::read(peer.setup.data_dir.join("identity.key")).unwrap();
    Identity::from_seed(seed.as_slice().try_into().unwrap())
}

#[test]
fn a_peer_says_nothing_to_whoever_sits_at_the_address_of_another() {
    let world = World::new();
    let (mut alice, mut bob) = (world.peer("alice"), world.peer("bob"));
    let first = alice.send("bob", "first");
    assert_eq!(alice.wait_state(&first.id, "delivered")["via"], "direct");
    let owner = key_in(&bob);
    bob.kill_9();
    let held = runtime().block_on(async {
        let config = |tls| quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
        let mut cases = false_servers(Alpn::Peer, &owner);
        let honest_self = server_config(&stranger(1), Alpn::Peer).unwrap();
        cases.push(("wrong-key", honest_self, Alert::AccessDenied));
        let first = config(server_config(&stranger(1), Alpn::Peer).unwrap());
        let endpoint = quinn::Endpoint::server(first, bob.address()).unwrap();
        let mut held = Vec::new();
        for (word, tls, alert) in cases {
            endpoint.set_server_config(Some(config(tls)));
            // Started anew it dials at once.
            alice.kill_9();
            alice.restart_online();
            held.push(alice.send("bob", word));
            // A dial of the case before may still come.
            loop {
                let incoming = tokio::time::timeout(PATIENCE, endpoint.accept()).await.expect(word).unwrap();
                let error = incoming.accept().unwrap().await.expect_err(word);
                match quic_alert_of(&error) {
                    Some(told) if told == alert => break,
                    told => assert!(held.len() > 1, "{word}: {told:?} {error:?}"),
                }
            }
        }
        alice.kill_9();
        alice.restart_online();
        let other = server_config(&owner, Alpn::Directory).unwrap();
        endpoint.set_server_config(Some(config(other)));
        loop {
            let incoming = tokio::time::timeout(PATIENCE, endpoint.accept()).await.expect("other-alpn").unwrap();
            let error = incoming.accept().unwrap().await.expect_err("other-alpn");
            match &error {
                quinn::ConnectionError::TransportError(own) if u64::from(own.code) == 0x100 + 120 => break,
                dialled_before => assert!(quic_alert_of(dialled_before).is_some(), "other-alpn: {error:?}"),
            }
        }
        held
    });
    for sent in &held {
        assert!(!alice.states_of(&sent.id).contains(&"delivered".to_string()), "nobody has it");
    }
    bob.restart_online();
    alice.wait_states(&held, "delivered", PATIENCE);
}
