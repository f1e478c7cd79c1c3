//! Files that wait in sealed pieces: handed over by one, taken by the other, whatever is restarted meanwhile.

use common::identity::PublicKey;
use common::limits::{PIECE_BYTES, PIECES_ASKED_MAX};
use common::message::MessageId;
use common::piece;
use common::wire::directory::{
    Accept, BeginFile, DropFile, FileRoom, GetPiece, LookUp, Piece, PutPiece, Refusal, Whom,
};
use directory_core::Limits;

use super::client::{Client, Running};
use super::*;

const SIZE: usize = 7 * PIECE_BYTES as usize + 100;
const OFFER: MessageId = MessageId([5; 16]);
const KEY: [u8; 32] = [8; 32];

fn bytes() -> Vec<u8> {
    (0..SIZE).map(|at| (at * 7 / 3) as u8).collect()
}

fn sealed(index: u32) -> Vec<u8> {
    let bytes = bytes();
    let plain = bytes.chunks(PIECE_BYTES as usize).nth(index as usize).unwrap();
    piece::seal(&KEY, OFFER, index, [index as u8; 24], plain).unwrap()
}

fn begin(recipient: PublicKey) -> BeginFile {
    let size = SIZE as u64;
    BeginFile { recipient, offer: OFFER, bytes: piece::sealed_bytes(size), pieces: piece::count(size).unwrap() }
}

async fn room(client: &mut Client) -> (u32, Option<Refusal>) {
    let room = |frame| if let FromDirectory::FileRoom(room) = frame { Some(room) } else { None };
    let FileRoom { next, refusal, .. } = client.wait(room).await;
    (next, refusal)
}

async fn piece(client: &mut Client) -> Piece {
    client.wait(|frame| if let FromDirectory::Piece(piece) = frame { Some(piece) } else { None }).await
}

/// Says whom somebody has accepted, and waits until it is kept.
async fn accept(client: &mut Client, key: PublicKey) {
    client.send(Accept { keys: vec![key] }).await;
    client.send(LookUp { request: 9, whom: Whom::Key(key) }).await;
    client.wait(|frame| matches!(frame, FromDirectory::Person(_)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_handed_over_and_taken_across_restarts_and_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let (mut alice, alices) = Client::log_in(server.address, 1, None).await;
    let (mut bob, bobs) = Client::log_in(server.address, 2, None).await;
    alice.register("Alice").await;
    bob.register("Bob").await;
    let (from, to) = (alice.identity.public(), bob.identity.public());
    alice.send(begin(to)).await;
    assert_eq!(room(&mut alice).await, (0, None), "a first contact has room too");
    accept(&mut bob, from).await;
    for index in 0..5 {
        alice.send(PutPiece { recipient: to, offer: OFFER, index, sealed: sealed(index) }).await;
    }
    for next in 1..=5 {
        assert_eq!(room(&mut alice).await, (next, None));
    }
    server.stop().await;

    let server = Running::start(folder.path());
    let (mut alice, _) = Client::log_in(server.address, 1, Some(alices)).await;
    let (mut bob, bobs) = Client::log_in(server.address, 2, Some(bobs)).await;
    let mut file = Vec::new();
    for index in 0..PIECES_ASKED_MAX as u32 {
        bob.send(GetPiece { submitter: from, offer: OFFER, index }).await;
    }
    for index in 0..PIECES_ASKED_MAX as u32 {
        let piece = piece(&mut bob).await;
        assert_eq!((piece.submitter, piece.offer, piece.index), (from, OFFER, index));
        file.extend(piece::open(&KEY, OFFER, index, &piece.sealed.unwrap()).unwrap());
    }
    alice.send(begin(to)).await;
    assert_eq!(room(&mut alice).await, (5, None));
    for index in 5..8 {
        alice.send(PutPiece { recipient: to, offer: OFFER, index, sealed: sealed(index) }).await;
        assert_eq!(room(&mut alice).await, (index + 1, None));
    }
    drop(alice);
    server.stop().await;

    let server = Running::start(folder.path());
    let (mut bob, _) = Client::log_in(server.address, 2, Some(bobs)).await;
    for index in PIECES_ASKED_MAX as u32..8 {
        bob.send(GetPiece { submitter: from, offer: OFFER, index }).await;
        file.extend(piece::open(&KEY, OFFER, index, &piece(&mut bob).await.sealed.unwrap()).unwrap());
    }
    assert!(file == bytes());
    bob.send(GetPiece { submitter: from, offer: OFFER, index: 8 }).await;
    assert_eq!(piece(&mut bob).await.sealed, None);
    let people = People::open(&folder.path().join(directory_server::data_dir::DATABASE_FILE)).unwrap();
    assert_eq!(people.show(&"Bob".parse().unwrap()).unwrap().unwrap().file_bytes, 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_its_recipient_drops_is_not_taken_again_and_a_directory_may_keep_none() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path());
    let (mut alice, token) = Client::log_in(server.address, 1, None).await;
    let (mut bob, _) = Client::log_in(server.address, 2, None).await;
    alice.register("Alice").await;
    bob.register("Bob").await;
    let (from, to) = (alice.identity.public(), bob.identity.public());
    accept(&mut bob, from).await;
    alice.send(begin(to)).await;
    alice.send(PutPiece { recipient: to, offer: OFFER, index: 0, sealed: sealed(0) }).await;
    assert_eq!((room(&mut alice).await, room(&mut alice).await), ((0, None), (1, None)));
    bob.send(DropFile { submitter: from, recipient: to, offer: OFFER }).await;
    bob.send(GetPiece { submitter: from, offer: OFFER, index: 0 }).await;
    assert_eq!(piece(&mut bob).await.sealed, None);
    alice.send(begin(to)).await;
    assert_eq!(room(&mut alice).await, (1, Some(Refusal::NotAllowed)));
    server.stop().await;

    let mut limits = Limits::default();
    limits.files.file_bytes = 0;
    let server = Running::start_with(folder.path(), limits);
    let (mut alice, _) = Client::log_in(server.address, 1, Some(token)).await;
    alice.send(BeginFile { offer: MessageId([6; 16]), ..begin(to) }).await;
    assert_eq!(room(&mut alice).await, (0, Some(Refusal::TooLarge { limit: 0 })));
    server.stop().await;
}
