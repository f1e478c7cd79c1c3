//! The loop with a real messenger and a real store; the directory is a port where nobody listens.

use std::time::Duration;

use peer_core::command::Command;
use peer_core::event::{Answer, CommandId, Event, Source};
use tokio::time::timeout;

use super::api::{Attached, FrontInput, Handle, Patience, fronts};
use super::*;
use crate::storage::tests::{BOB, receive, theirs};
use crate::transport::socket;

const PATIENCE: Duration = Duration::from_secs(20);

fn parts(seed: u8) -> Parts {
    let identity = Identity::from_seed(&[seed; 32]);
    let me = identity.public();
    let bound = socket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // Bound and gone again: nobody listens there.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut store = Store::open_in_memory(me).unwrap();
    let directory = nobody.to_string();
    let snapshot = store.load(&directory).unwrap();
    let config = Config {
        me,
        instance: [seed; 16],
        seed: [seed; 32],
        directory,
        directory_pin: None,
        name: None,
        bind: bound.address,
        candidates: candidates(bound.address, None),
        shows: true,
        version: "0".to_owned(),
        accept_from: peer_core::event::AcceptFrom::Nobody,
    };
    Parts {
        identity,
        config,
        snapshot,
        store,
        socket: bound.socket,
        advertise: None,
        downloads: PathBuf::new(),
        event_log: None,
    }
}

/// Takes what comes until the loop lets go.
async fn drain(front: &mut Attached) {
    while timeout(PATIENCE, front.events.recv()).await.expect("the loop does not let go").is_some() {}
}

fn start(seed: u8) -> (tokio::task::JoinHandle<Exit>, Handle, Attached) {
    let (handle, side) = fronts();
    let attached = handle.attach(Patience::Wait);
    let running = tokio::spawn(async move { run(parts(seed), side).await.unwrap() });
    (running, handle, attached)
}

async fn next(front: &mut Attached) -> Event {
    timeout(PATIENCE, front.events.recv()).await.expect("no event came").expect("the loop has left")
}

async fn answer_to(front: &mut Attached, number: u64) -> Answer {
    loop {
        if let Event::Answer { id, answer } = next(front).await {
            assert_eq!(id, CommandId { source: front.source, number }, "answers come in order, to who asked");
            return *answer.unwrap();
        }
    }
}

fn ask(source: Source, number: u64, command: Command) -> FrontInput {
    FrontInput::Command { id: CommandId { source, number }, command: Ok(command) }
}

#[tokio::test]
async fn ready_comes_first_without_a_directory_and_the_end_of_input_ends_the_program() {
    let (running, handle, mut front) = start(1);
    assert!(matches!(next(&mut front).await, Event::Ready { name: None, bind, .. } if bind.port() != 0));
    handle.submit(FrontInput::EndOfInput).await.unwrap();
    assert_eq!(timeout(PATIENCE, running).await.unwrap().unwrap(), Exit::Done);
    assert_eq!(handle.submit(FrontInput::EndOfInput).await, Err(api::Gone));
    while front.events.recv().await.is_some() {}
}

#[tokio::test]
async fn every_command_of_every_front_is_answered_once_in_order_to_the_one_that_asked() {
    let (running, handle, mut one) = start(2);
    let mut two = handle.attach(Patience::CutOff);
    let many = 2_000;
    let (first, second) = (one.source, two.source);
    let asking = async {
        for number in 0..many {
            handle.submit(ask(first, number, Command::WhoAmI)).await.unwrap();
            if number % 10 == 0 {
                handle.submit(ask(second, number / 10, Command::Contacts)).await.unwrap();
            }
        }
    };
    let ones = async {
        for number in 0..many {
            assert!(matches!(answer_to(&mut one, number).await, Answer::WhoAmI(_)));
        }
    };
    let twos = async {
        for number in 0..many / 10 {
            assert!(matches!(answer_to(&mut two, number).await, Answer::Contacts(_)));
        }
    };
    tokio::join!(asking, ones, twos);
    handle.submit(ask(first, many, Command::Quit)).await.unwrap();
    assert_eq!(answer_to(&mut one, many).await, Answer::Bye);
    assert_eq!(timeout(PATIENCE, running).await.unwrap().unwrap(), Exit::Done);
}

#[tokio::test]
async fn a_front_that_takes_nothing_holds_the_commands_up_and_loses_no_answer() {
    let (running, handle, mut front) = start(3);
    let many = 3 * api::EVENTS_MAX as u64;
    let source = front.source;
    let asker = handle.clone();
    let mut asking = tokio::spawn(async move {
        for number in 0..many {
            asker.submit(ask(source, number, Command::WhoAmI)).await.unwrap();
        }
    });
    let held_up = timeout(Duration::from_millis(500), &mut asking).await;
    assert!(held_up.is_err(), "the loop took {many} commands that nobody takes the answers of");
    for number in 0..many {
        answer_to(&mut front, number).await;
    }
    asking.await.unwrap();
    handle.submit(FrontInput::EndOfInput).await.unwrap();
    assert_eq!(timeout(PATIENCE, running).await.unwrap().unwrap(), Exit::Done);
}

#[tokio::test]
async fn a_front_that_takes_nothing_does_not_keep_the_program_from_leaving() {
    let (running, handle, front) = start(4);
    let source = front.source;
    let asker = handle.clone();
    let asking = tokio::spawn(async move {
        for number in 0.. {
            if asker.submit(ask(source, number, Command::WhoAmI)).await.is_err() {
                return;
            }
        }
    });
    while front.events.len() < api::EVENTS_MAX {
        tokio::task::yield_now().await;
    }
    handle.leave();
    assert_eq!(timeout(PATIENCE, running).await.unwrap().unwrap(), Exit::Done);
    asking.await.unwrap();
}

#[tokio::test]
async fn what_is_put_out_while_the_loop_leaves_is_not_shown_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut parts = parts(5);
    let me = parts.config.me;
    let mut store = Store::open(&path, me).unwrap();
    store.apply(vec![(Ticket(1), vec![receive(theirs(BOB, 1))])]).unwrap();
    parts.snapshot = store.load(&parts.config.directory).unwrap();
    let [unshown] = &parts.snapshot.unshown[..] else { panic!("one message") };
    let n = unshown.n;
    parts.store = store;
    let (handle, side) = fronts();
    let mut front = handle.attach(Patience::Wait);
    let running = tokio::spawn(async move { run(parts, side).await.unwrap() });
    handle.leave();
    drain(&mut front).await;
    handle.submit(FrontInput::Shown(vec![n])).await.unwrap();
    drop(front);
    assert_eq!(timeout(PATIENCE, running).await.unwrap().unwrap(), Exit::Done);
    let snapshot = Store::open(&path, me).unwrap().load("").unwrap();
    assert!(snapshot.unshown.is_empty(), "{:?}", snapshot.unshown);
}
