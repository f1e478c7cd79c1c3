//! Files that arrive: of all sizes, resumed, repaired, beside each other and beside messages.

use std::os::unix::fs::PermissionsExt;

use common::wire::file::{Answer, Ask, Coming};

use super::super::stream::Reset;
use super::*;

#[tokio::test]
async fn files_of_all_sizes_arrive_as_they_are() {
    let (mut giver, mut taker) = linked().await;
    for size in [0, 1, 52, MIB - 1, MIB, MIB + 1, 10 * MIB] {
        let content = bytes(size);
        let (source, target) = offered(&mut giver, &format!("f{size}.bin"), &content).await;
        taker.fetch(1, &target);
        let serving = if size > 0 { Some(giver.serve_next(&source).await) } else { None };
        let path = taker.fetched(1).await.unwrap();
        assert_eq!(path, taker.downloads().join(format!("f{size}.bin")));
        assert!(std::fs::read(&path).unwrap() == content, "{size}");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        if let Some(serving) = serving {
            assert_eq!(giver.served(serving).await, Ok(()));
        }
    }
    assert_eq!(names(&taker.downloads()).len(), 7, "nothing partial is left");
    let mode = std::fs::metadata(taker.downloads()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// Answers an asking as a giver that has `content` would, with the list of its parts.
async fn begin(accepted: &mut Accepted, content: &[u8]) {
    stream::write(&mut accepted.send, &Answer { coming: Coming::Here }.into()).await.unwrap();
    let size = content.len() as u64;
    for index in 0..hash::parts(size) {
        let part = &content[index as usize * MIB..][..hash::part_bytes(size, index) as usize];
        accepted.send.write_all(&hash::part(size, index, part)).await.unwrap();
    }
}

/// A giver whose streams are the test's, and a taker that has asked for this content.
async fn asked_for(content: &[u8]) -> (Peer, Peer, FileTarget) {
    let (mut giver, mut taker) = (Peer::scripted(1), Peer::start_with(2, true, Duration::from_millis(1_500)));
    link(&mut giver, &mut taker).await;
    let target = target_of(content, "x.bin");
    taker.fetch(1, &target);
    (giver, taker, target)
}

#[tokio::test]
async fn what_is_on_the_disk_is_not_asked_for_again() {
    let content = bytes(6 * MIB + 77);
    let (mut giver, mut taker, target) = asked_for(&content).await;
    let (mut accepted, from) = giver.stream().await;
    assert_eq!(from, 0);
    begin(&mut accepted, &content).await;
    accepted.send.write_all(&content[..3 * MIB + 500]).await.unwrap();
    while taker.got().await < 3 * MIB as u64 {}
    accepted.send.reset(Reset::Stopped.code()).unwrap();
    assert_eq!(taker.fetched(1).await, Err(FileStop::Broken));
    let partial = part_path(&taker.downloads(), &target);
    assert_eq!(std::fs::metadata(&partial).unwrap().len(), 3 * MIB as u64);

    taker.fetch(2, &target);
    let (mut accepted, from) = giver.stream().await;
    assert_eq!(from, 3);
    begin(&mut accepted, &content).await;
    accepted.send.write_all(&content[3 * MIB..]).await.unwrap();
    accepted.send.finish().unwrap();
    let path = taker.fetched(2).await.unwrap();
    assert!(std::fs::read(path).unwrap() == content);
}

#[tokio::test]
async fn a_partial_file_that_was_damaged_is_cut_back_to_what_is_right() {
    let content = bytes(5 * MIB);
    for (damaged, asked) in [(vec![2], vec![5, 2]), (vec![0, 3], vec![5, 0])] {
        let (mut giver, mut taker) = (Peer::scripted(1), Peer::start(2));
        link(&mut giver, &mut taker).await;
        let target = target_of(&content, "x.bin");
        let partial = part_path(&taker.downloads(), &target);
        std::fs::create_dir(taker.downloads()).unwrap();
        let mut there = content.clone();
        damaged.iter().for_each(|part| there[part * MIB + 9] ^= 1);
        std::fs::write(&partial, &there).unwrap();
        taker.fetch(1, &target);
        for expected in asked {
            let (mut accepted, from) = giver.stream().await;
            assert_eq!(from, expected);
            begin(&mut accepted, &content).await;
            // Who has changed their mind does not take it.
            let _ = accepted.send.write_all(&content[from as usize * MIB..]).await;
            let _ = accepted.send.finish();
        }
        let path = taker.fetched(1).await.unwrap();
        assert!(std::fs::read(path).unwrap() == content);
    }
}

#[tokio::test]
async fn a_file_that_is_whole_already_is_not_asked_for() {
    let content = bytes(2 * MIB + 1);
    let (_giver, mut taker) = linked().await;
    let target = target_of(&content, "x.bin");
    std::fs::create_dir(taker.downloads()).unwrap();
    std::fs::write(part_path(&taker.downloads(), &target), &content).unwrap();
    taker.fetch(1, &target);
    assert!(std::fs::read(taker.fetched(1).await.unwrap()).unwrap() == content);
    assert_eq!(names(&taker.downloads()), ["x.bin"]);
}

#[tokio::test]
async fn a_wrong_part_is_asked_for_again_alone() {
    let content = bytes(4 * MIB);
    let (mut giver, mut taker, _) = asked_for(&content).await;
    let mut wrong = content.clone();
    wrong[2 * MIB + 5] ^= 0x80;
    for (expected, given) in [(0, &wrong), (2, &wrong), (2, &content)] {
        let (mut accepted, from) = giver.stream().await;
        assert_eq!(from, expected);
        begin(&mut accepted, &content).await;
        let _ = accepted.send.write_all(&given[from as usize * MIB..]).await;
        let _ = accepted.send.finish();
    }
    let path = taker.fetched(1).await.unwrap();
    assert!(std::fs::read(path).unwrap() == content);
}

#[tokio::test]
async fn a_part_that_stays_wrong_ends_the_file_and_what_is_right_stays() {
    let content = bytes(3 * MIB);
    let (mut giver, mut taker, target) = asked_for(&content).await;
    let mut wrong = content.clone();
    wrong[MIB] ^= 0x80;
    for expected in [0, 1, 1, 1] {
        let (mut accepted, from) = giver.stream().await;
        assert_eq!(from, expected);
        begin(&mut accepted, &content).await;
        let _ = accepted.send.write_all(&wrong[from as usize * MIB..]).await;
        let _ = accepted.send.finish();
    }
    assert_eq!(taker.fetched(1).await, Err(FileStop::Fault(FileFault::HashWrong)));
    let partial = std::fs::read(part_path(&taker.downloads(), &target)).unwrap();
    assert!(partial == content[..MIB]);
}

#[tokio::test]
async fn four_files_come_at_once_and_more_wait_for_their_turn() {
    let (mut giver, mut taker) = linked().await;
    let mut wanted = Vec::new();
    for ticket in 0..6 {
        let content = bytes(MIB + ticket);
        let (source, target) = offered(&mut giver, &format!("{ticket}.bin"), &content).await;
        let target = FileTarget { offer: MessageId([ticket as u8; 16]), ..target };
        taker.fetch(ticket as u64, &target);
        wanted.push((content, source));
    }
    let mut answered = 0;
    while answered < 6 {
        // Those that were asked for together, and not one more.
        let mut asked = Vec::new();
        while asked.len() < FETCHING_MAX.min(6 - answered) {
            let next = |news: &FileNews| match news {
                FileNews::Asked { serving, offer, .. } => Some((*serving, *offer)),
                _ => None,
            };
            asked.push(giver.news(next).await);
        }
        let more = timeout(Duration::from_millis(200), giver.asked()).await;
        assert!(more.is_err(), "more than {FETCHING_MAX} at once");
        for (serving, offer) in asked {
            let source = wanted[usize::from(offer.0[0])].1.clone();
            giver.submit(FileJob::Serve { serving, source });
            answered += 1;
        }
        for _ in 0..FETCHING_MAX.min(answered) {
            let fetched = |news: &FileNews| match news {
                FileNews::Fetched { ticket, result } => Some((ticket.0, result.clone())),
                _ => None,
            };
            if answered == 6 && names(&taker.downloads()).len() == 6 {
                break;
            }
            let (ticket, path) = taker.news(fetched).await;
            assert!(std::fs::read(path.unwrap()).unwrap() == wanted[ticket as usize].0);
        }
    }
}

#[tokio::test]
async fn messages_pass_a_file_that_nobody_reads() {
    let content = bytes(16 * MIB);
    let (mut giver, mut taker) = (Peer::start(1), Peer::scripted(2));
    let accepted_link = link(&mut giver, &mut taker).await;
    let (source, _) = offered(&mut giver, "a", &content).await;
    let bulk = taker.quic.bulk(LinkId(2)).unwrap();
    let _window = bulk.coming();
    let mut stalled = Vec::new();
    for _ in 0..SERVING_EACH_MAX {
        let (mut send, receive) = bulk.open().await.unwrap();
        stream::write(&mut send, &Ask { offer: OFFER, from_part: 0 }.into()).await.unwrap();
        giver.serve_next(&source).await;
        stalled.push((send, receive));
    }
    // Every stream is full by now; messages still go both ways.
    tokio::time::sleep(Duration::from_millis(300)).await;
    for kind in 0..200 {
        giver.quic.send(accepted_link, &common::wire::peer::Unsupported { kind }.into());
        assert!(matches!(taker.input().await, Input::LinkFrame { .. }), "{kind}");
        taker.quic.send(LinkId(2), &common::wire::peer::Unsupported { kind }.into());
        assert!(matches!(giver.input().await, Input::LinkFrame { .. }), "{kind}");
    }
}

#[tokio::test]
async fn a_file_that_has_changed_is_not_given() {
    let (mut giver, mut taker) = linked().await;
    let (source, target) = offered(&mut giver, "a.txt", b"what was offered").await;
    std::fs::write(&source.path, b"what was offered?").unwrap();
    taker.fetch(1, &target);
    let serving = giver.serve_next(&source).await;
    assert_eq!(taker.fetched(1).await, Err(FileStop::Fault(FileFault::Changed)));
    assert_eq!(giver.served(serving).await, Err(FileStop::Fault(FileFault::Changed)));
    std::fs::remove_file(&source.path).unwrap();
    taker.fetch(2, &target);
    let serving = giver.serve_next(&source).await;
    assert_eq!(taker.fetched(2).await, Err(FileStop::Fault(FileFault::Changed)));
    assert_eq!(giver.served(serving).await, Err(FileStop::Fault(FileFault::Missing)));
    assert!(names(&taker.downloads()).is_empty());
}

#[tokio::test]
async fn a_file_that_changes_while_it_goes_is_broken_off_with_the_reason() {
    let (mut giver, mut taker) = (Peer::start(1), Peer::scripted(2));
    link(&mut giver, &mut taker).await;
    let (source, _) = offered(&mut giver, "a", &bytes(32 * MIB)).await;
    let (mut send, mut receive) = taker.quic.bulk(LinkId(2)).unwrap().open().await.unwrap();
    stream::write(&mut send, &Ask { offer: OFFER, from_part: 0 }.into()).await.unwrap();
    let serving = giver.serve_next(&source).await;
    stream::read(&mut receive).await.unwrap();
    std::fs::write(&source.path, b"another").unwrap();
    let mut read = 0;
    let end = loop {
        match receive.read_chunk(MIB, true).await {
            Ok(Some(chunk)) => read += chunk.bytes.len(),
            other => break other,
        }
    };
    assert!(matches!(end, Err(quinn::ReadError::Reset(code)) if code == Reset::Changed.code()), "{end:?}");
    assert!(read < 8 * MIB, "{read}");
    assert_eq!(giver.served(serving).await, Err(FileStop::Fault(FileFault::Changed)));
}

#[tokio::test]
async fn who_lost_its_hashes_gives_the_file_as_before() {
    let content = bytes(3 * MIB + 3);
    let (mut giver, mut taker) = linked().await;
    let (source, target) = offered(&mut giver, "a", &content).await;
    giver.files.shared.hashes.keep([0; 32], vec![[0; 32]; PART_HASHES_MAX].into());
    taker.fetch(1, &target);
    let serving = giver.serve_next(&source).await;
    assert!(std::fs::read(taker.fetched(1).await.unwrap()).unwrap() == content);
    assert_eq!(giver.served(serving).await, Ok(()));
}
