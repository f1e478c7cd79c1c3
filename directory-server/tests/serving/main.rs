//! A whole server in this process, spoken to over TLS: what a peer may rely on, and what a hostile one achieves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;
mod files;
mod talk;

use client::{Client, PATIENCE, Running};
use common::identity::Identity;
use common::wire::directory::{FromDirectory, Offline, Ping};
use directory_server::store::people::People;
use directory_server::{Config, Server};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

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
