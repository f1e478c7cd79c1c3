//! Givers that lie or fall silent, takers that ask without end or read nothing, and the end of everything in the middle.

use common::wire::file::{Answer, Ask, Coming};
use tokio::time::Instant;

use super::super::stream::Reset;
use super::*;

async fn answer(accepted: &mut Accepted, coming: Coming) {
    stream::write(&mut accepted.send, &Answer { coming }.into()).await.unwrap();
}

/// A giver whose streams are the test's, and a taker that fetches `content` under this offer and has asked.
async fn asking(target: &FileTarget) -> (Peer, Peer, Accepted) {
    let (mut giver, mut taker) = (Peer::scripted(1), Peer::start_with(2, true, Duration::from_millis(700)));
    link(&mut giver, &mut taker).await;
    taker.fetch(1, target);
    let (accepted, _) = giver.stream().await;
    (giver, taker, accepted)
}

#[tokio::test]
async fn a_list_that_does_not_add_up_is_refused_before_anything_is_written() {
    let content = bytes(2 * MIB);
    let target = target_of(&content, "x");
    let right: Vec<u8> =
        (0..2).flat_map(|at| hash::part(target.file.size, at, &content[at as usize * MIB..][..MIB])).collect();
    let mut wrong = right.clone();
    wrong[40] ^= 1;
    let (_giver, mut taker, mut accepted) = asking(&target).await;
    answer(&mut accepted, Coming::Here).await;
    // Whoever has seen the list does not take the rest.
    let _ = accepted.send.write_all(&[wrong, content].concat()).await;
    assert_eq!(taker.fetched(1).await, Err(FileStop::Fault(FileFault::HashWrong)));
    assert!(names(&taker.downloads()).is_empty());
}

#[tokio::test]
async fn an_endless_a_short_and_a_silent_giver_come_to_an_end() {
    let content = bytes(MIB + 100);
    let target = target_of(&content, "x");
    let list = |content: &[u8]| -> Vec<u8> {
        let part =
            |at: usize| hash::part(target.file.size, at as u64, &content[at * MIB..content.len().min((at + 1) * MIB)]);
        [part(0), part(1)].concat()
    };
    // One byte more than was offered.
    let (_giver, mut taker, mut accepted) = asking(&target).await;
    answer(&mut accepted, Coming::Here).await;
    accepted.send.write_all(&list(&content)).await.unwrap();
    accepted.send.write_all(&content).await.unwrap();
    accepted.send.write_all(b"!").await.unwrap();
    assert_eq!(taker.fetched(1).await, Err(FileStop::Fault(FileFault::HashWrong)));
    assert_eq!(std::fs::metadata(part_path(&taker.downloads(), &target)).unwrap().len(), content.len() as u64);
    // One byte less, and nothing more.
    let (_giver, mut taker, mut accepted) = asking(&target).await;
    answer(&mut accepted, Coming::Here).await;
    accepted.send.write_all(&list(&content)).await.unwrap();
    accepted.send.write_all(&content[1..]).await.unwrap();
    accepted.send.finish().unwrap();
    assert!(taker.fetched(1).await.is_err());
    assert_eq!(names(&taker.downloads()), Vec::<String>::new(), "no part was right");
    // Nothing at all, at each place where something is expected.
    for place in 0..3 {
        let (_giver, mut taker, mut accepted) = asking(&target).await;
        if place > 0 {
            answer(&mut accepted, Coming::Here).await;
        }
        if place > 1 {
            accepted.send.write_all(&list(&content)).await.unwrap();
            accepted.send.write_all(&content[..MIB]).await.unwrap();
        }
        let begun = Instant::now();
        assert_eq!(taker.fetched(1).await, Err(FileStop::Broken));
        assert!(begun.elapsed() >= Duration::from_millis(600), "{place}");
        assert_eq!(names(&taker.downloads()).len(), usize::from(place > 1), "what came stays");
    }
}

#[tokio::test]
async fn every_answer_is_taken_for_what_it_says() {
    let target = target_of(b"abc", "x");
    for (coming, expected) in [
        (Coming::NotOffered, FileStop::Fault(FileFault::Withdrawn)),
        (Coming::Changed, FileStop::Fault(FileFault::Changed)),
        (Coming::Later, FileStop::Later),
    ] {
        let (_giver, mut taker, mut accepted) = asking(&target).await;
        answer(&mut accepted, coming).await;
        assert_eq!(taker.fetched(1).await, Err(expected));
    }
    let (_giver, mut taker, mut accepted) = asking(&target).await;
    accepted.send.write_all(&[0xff; 64]).await.unwrap();
    assert_eq!(taker.fetched(1).await, Err(FileStop::Broken));
    let (_giver, mut taker, mut accepted) = asking(&target).await;
    accepted.send.reset(Reset::Changed.code()).unwrap();
    assert_eq!(taker.fetched(1).await, Err(FileStop::Broken), "no answer is no reason to give up");
}

#[tokio::test]
async fn sizes_that_cannot_be_are_refused_without_asking() {
    let (_giver, mut taker) = linked().await;
    for (size, fault) in [(u64::MAX, FileFault::TooLarge), (1 << 40, FileFault::DiskFull)] {
        let mut target = target_of(b"abc", "x");
        target.file.size = size;
        taker.fetch(1, &target);
        assert_eq!(taker.fetched(1).await, Err(FileStop::Fault(fault)), "{size}");
    }
    // A size that is a lie: what comes has another one.
    let mut target = target_of(b"abc", "x");
    target.file.size = 0;
    let (mut giver, mut taker, mut accepted) = asking(&target).await;
    for _ in 0..2 {
        answer(&mut accepted, Coming::Here).await;
        let _ = accepted.send.write_all(&[target.file.blake3.as_slice(), b"abc"].concat()).await;
        accepted = match timeout(Duration::from_millis(100), giver.stream()).await {
            Ok((again, from)) => {
                assert_eq!(from, 0, "nothing on the disk is the one part of it");
                again
            }
            Err(_) => break,
        };
    }
    assert_eq!(taker.fetched(1).await, Err(FileStop::Fault(FileFault::HashWrong)));
    assert!(names(&taker.downloads()).is_empty());
}

#[tokio::test]
async fn a_sha_256_that_is_a_lie_keeps_the_file_from_its_name() {
    let content = bytes(100);
    let mut target = target_of(&content, "x");
    target.file.sha256 = [1; 32];
    let (_giver, mut taker, mut accepted) = asking(&target).await;
    answer(&mut accepted, Coming::Here).await;
    accepted.send.write_all(&target.file.blake3).await.unwrap();
    accepted.send.write_all(&content).await.unwrap();
    accepted.send.finish().unwrap();
    assert_eq!(taker.fetched(1).await, Err(FileStop::Fault(FileFault::HashWrong)));
    assert_eq!(names(&taker.downloads()).len(), 1);
    assert!(!taker.downloads().join("x").exists());
}

#[tokio::test]
async fn askers_who_say_nothing_hold_up_nobody() {
    let (mut giver, mut taker) = linked().await;
    let mut hostile = Peer::scripted(3);
    hostile.quic.dial(LinkId(2), giver.key, vec![giver.address]);
    assert!(matches!(hostile.input().await, Input::LinkUp { .. }));
    let bulk = hostile.quic.bulk(LinkId(2)).unwrap();
    let mut silent = Vec::new();
    for garbage in 0..6_u8 {
        let (mut send, receive) = bulk.open().await.unwrap();
        send.write_all(&[[0, 0, 0, 9].as_slice(), &vec![garbage; usize::from(garbage)]].concat()).await.unwrap();
        silent.push((send, receive));
    }
    let (source, target) = offered(&mut giver, "a", b"abc").await;
    taker.fetch(1, &target);
    giver.serve_next(&source).await;
    assert!(taker.fetched(1).await.is_ok());
    // Five seconds, and they are gone.
    for (_, receive) in &mut silent {
        let end = timeout(PATIENCE, receive.read_chunk(1, true)).await.expect("a silent stream stays");
        assert!(matches!(end, Err(quinn::ReadError::Reset(_))), "{end:?}");
    }
}

#[tokio::test]
async fn a_thousand_askings_are_answered_at_a_bounded_pace() {
    let (mut giver, mut taker) = (Peer::start(1), Peer::scripted(2));
    link(&mut giver, &mut taker).await;
    let bulk = taker.quic.bulk(LinkId(2)).unwrap();
    let asking = async {
        loop {
            let (mut send, mut receive) = bulk.open().await.unwrap();
            stream::write(&mut send, &Ask { offer: OFFER, from_part: u64::MAX }.into()).await.unwrap();
            let _ = stream::read(&mut receive).await;
        }
    };
    let mut refused = 0;
    let refusing = async {
        loop {
            let (serving, _) = giver.asked().await;
            giver.submit(FileJob::Refuse { serving, later: refused % 2 == 0 });
            refused += 1;
        }
    };
    let both = async { tokio::join!(asking, refusing) };
    let _: Result<((), ()), _> = timeout(Duration::from_secs(3), both).await;
    assert!((40..120).contains(&refused), "{refused}");
    assert!(giver.files.shared.askings.is_idle(), "nothing is left of them");
}

#[tokio::test]
async fn a_taker_that_reads_nothing_is_given_up_and_the_place_is_free() {
    let (mut giver, mut taker) = (Peer::start_with(1, true, Duration::from_millis(500)), Peer::scripted(2));
    link(&mut giver, &mut taker).await;
    let (source, _) = offered(&mut giver, "a", &bytes(16 * MIB)).await;
    let bulk = taker.quic.bulk(LinkId(2)).unwrap();
    let mut streams = Vec::new();
    let mut servings = Vec::new();
    for _ in 0..SERVING_EACH_MAX {
        let (mut send, receive) = bulk.open().await.unwrap();
        stream::write(&mut send, &Ask { offer: OFFER, from_part: 0 }.into()).await.unwrap();
        servings.push(giver.serve_next(&source).await);
        streams.push((send, receive));
    }
    let (mut send, mut receive) = bulk.open().await.unwrap();
    stream::write(&mut send, &Ask { offer: OFFER, from_part: 0 }.into()).await.unwrap();
    let fifth = giver.serve_next(&source).await;
    let (frame, _) = stream::read(&mut receive).await.unwrap();
    assert_eq!(frame, Answer { coming: Coming::Later }.into());
    assert_eq!(giver.served(fifth).await, Err(FileStop::Later));
    for serving in servings {
        assert_eq!(giver.served(serving).await, Err(FileStop::Broken));
    }
    assert!(giver.files.shared.askings.is_idle());
}

#[tokio::test]
async fn asking_from_beyond_the_end_gives_the_list_and_nothing_more() {
    let (mut giver, mut taker) = (Peer::start(1), Peer::scripted(2));
    link(&mut giver, &mut taker).await;
    let (source, _) = offered(&mut giver, "a", b"abc").await;
    let bulk = taker.quic.bulk(LinkId(2)).unwrap();
    for from_part in [1, u64::MAX] {
        let (mut send, mut receive) = bulk.open().await.unwrap();
        stream::write(&mut send, &Ask { offer: OFFER, from_part }.into()).await.unwrap();
        let serving = giver.serve_next(&source).await;
        let (_, mut rest) = stream::read(&mut receive).await.unwrap();
        rest.extend(receive.read_to_end(100).await.unwrap());
        assert_eq!(rest, source.blake3);
        assert_eq!(giver.served(serving).await, Ok(()));
    }
}

async fn something_lies(partial: &Path) {
    while !std::fs::metadata(partial).is_ok_and(|found| found.len() > 0) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn either_side_may_break_off_and_what_is_there_stays() {
    let content = bytes(64 * MIB);
    let (mut giver, mut taker) = linked().await;
    let (source, target) = offered(&mut giver, "a", &content).await;
    let partial = part_path(&taker.downloads(), &target);
    taker.fetch(1, &target);
    let serving = giver.serve_next(&source).await;
    something_lies(&partial).await;
    let begun = Instant::now();
    taker.submit(FileJob::Stop { ticket: Ticket(1) });
    assert_eq!(taker.fetched(1).await, Err(FileStop::Stopped));
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(giver.served(serving).await, Err(FileStop::Broken));
    let before = std::fs::metadata(&partial).unwrap().len();
    assert!(before > 0);

    taker.fetch(2, &target);
    let serving = giver.serve_next(&source).await;
    giver.submit(FileJob::StopServing { serving });
    assert_eq!(giver.served(serving).await, Err(FileStop::Stopped));
    assert_eq!(taker.fetched(2).await, Err(FileStop::Broken));
    assert!(std::fs::metadata(&partial).unwrap().len() >= before);

    taker.fetch(3, &target);
    giver.serve_next(&source).await;
    assert!(std::fs::read(taker.fetched(3).await.unwrap()).unwrap() == content);
}

#[tokio::test]
async fn a_link_that_goes_and_a_program_that_ends_leave_the_part() {
    let content = bytes(64 * MIB);
    let (mut giver, mut taker) = linked().await;
    let (source, target) = offered(&mut giver, "a", &content).await;
    let partial = part_path(&taker.downloads(), &target);
    taker.fetch(1, &target);
    giver.serve_next(&source).await;
    something_lies(&partial).await;
    taker.quic.close(LinkId(2));
    assert_eq!(taker.fetched(1).await, Err(FileStop::Broken));
    taker.fetch(2, &target);
    assert_eq!(taker.fetched(2).await, Err(FileStop::Broken), "there is no such link");
    let begun = Instant::now();
    taker.files.shutdown().await;
    giver.files.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(std::fs::metadata(&partial).unwrap().len() >= MIB as u64);
}
