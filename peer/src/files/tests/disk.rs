//! Own files measured, pieces, places, and what lies there already.

use std::os::unix::fs::symlink;

use common::limits::PIECE_BYTES;
use peer_core::event::FileStep::{Next, Whole};

use super::*;

const PIECE: usize = PIECE_BYTES as usize;

#[tokio::test]
async fn an_own_file_is_measured_and_what_is_none_says_why() {
    let mut peer = Peer::start(1);
    let folder = peer.folder.path().to_owned();
    let content = bytes(3 * MIB + 9);
    let (path, link) = (folder.join("a ü.txt"), folder.join("link"));
    std::fs::write(&path, &content).unwrap();
    symlink(&path, &link).unwrap();
    let facts = peer.measure(&path).await.unwrap();
    let offer = target_of(&content, "").file;
    assert_eq!((facts.name.as_str(), facts.sha256), ("a ü.txt", offer.sha256));
    assert_eq!((facts.source.size, facts.source.blake3, &facts.source.path), (offer.size, offer.blake3, &path));
    let followed = peer.measure(&link).await.unwrap();
    assert_eq!((followed.name.as_str(), followed.source.blake3), ("link", offer.blake3));

    let pipe = folder.join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    symlink("loop", folder.join("loop")).unwrap();
    for (path, fault) in [
        (folder.join("none"), FileFault::Missing),
        (path.join("below a file"), FileFault::Missing),
        (folder.join("loop"), FileFault::Missing),
        (PathBuf::from("a\0b"), FileFault::Missing),
        (folder.clone(), FileFault::NoFile),
        (pipe, FileFault::NoFile),
        ("/dev/null".into(), FileFault::NoFile),
        ("".into(), FileFault::NoName),
    ] {
        assert_eq!(peer.measure(&path).await, Err(fault), "{path:?}");
    }
}

#[test]
fn a_path_begins_where_the_program_was_started_or_at_home() {
    let here = std::env::current_dir().unwrap();
    assert_eq!(own::absolute(Path::new("a/b")), Ok(here.join("a/b")));
    assert_eq!(own::absolute(Path::new("/a")), Ok("/a".into()));
    let home = etcetera::home_dir().unwrap();
    assert_eq!(own::absolute(Path::new("~/a")), Ok(home.join("a")));
    assert_eq!(own::absolute(Path::new("~a")), Ok(here.join("~a")));
}

#[tokio::test]
async fn pieces_arrive_in_order_and_the_last_one_finishes_the_file() {
    let (mut giver, mut taker) = (Peer::start(1), Peer::start(2));
    for size in [0, 1, PIECE, PIECE + 1, 5 * PIECE - 1] {
        let content = bytes(size);
        let (source, target) = offered(&mut giver, &format!("f{size}"), &content).await;
        let count = common::piece::count(size as u64).unwrap();
        if size > 0 {
            assert_eq!(taker.written(&target, None).await, Ok(Next(0)));
            assert!(names(&taker.downloads()).iter().all(|name| !name.ends_with(".part")), "looking writes nothing");
        }
        for index in 0..count {
            let sealed = giver.piece(&source, index).await.unwrap();
            let step = taker.written(&target, Some((index, sealed))).await.unwrap();
            let expected = taker.downloads().join(format!("f{size}"));
            assert_eq!(step, if index + 1 < count { Next(index + 1) } else { Whole(expected) });
        }
        assert!(std::fs::read(taker.downloads().join(format!("f{size}"))).unwrap() == content);
        assert_eq!(giver.piece(&source, count).await, Err(FileFault::Changed), "there is none");
    }
    assert_eq!(names(&taker.downloads()).len(), 5);
}

#[tokio::test]
async fn only_the_next_piece_is_written_and_only_a_right_one() {
    let (mut giver, mut taker) = (Peer::start(1), Peer::start(2));
    let (source, target) = offered(&mut giver, "a", &bytes(3 * PIECE)).await;
    let mut pieces = Vec::new();
    for index in 0..3 {
        pieces.push(giver.piece(&source, index).await.unwrap());
    }
    assert_eq!(taker.written(&target, Some((1, pieces[1].clone()))).await, Ok(Next(0)));
    assert_eq!(taker.written(&target, Some((0, pieces[1].clone()))).await, Err(FileFault::HashWrong));
    let mut damaged = pieces[0].clone();
    damaged[100] ^= 1;
    assert_eq!(taker.written(&target, Some((0, damaged))).await, Err(FileFault::HashWrong));
    // A sender's own lie: a piece that opens and has not the length it should have.
    let short = common::piece::seal(&KEY, OFFER, 0, [1; 24], b"short").unwrap();
    assert_eq!(taker.written(&target, Some((0, short))).await, Err(FileFault::HashWrong));
    assert!(names(&taker.downloads()).is_empty());
    assert_eq!(taker.written(&target, Some((0, pieces[0].clone()))).await, Ok(Next(1)));
    assert_eq!(taker.written(&target, Some((0, pieces[0].clone()))).await, Ok(Next(1)), "it came twice");
    // A write that a crash has cut.
    let partial = part_path(&taker.downloads(), &target);
    std::fs::File::options().write(true).open(&partial).unwrap().set_len(PIECE_BYTES + 77).unwrap();
    assert_eq!(taker.written(&target, None).await, Ok(Next(1)));
    assert_eq!(taker.written(&target, Some((1, pieces[1].clone()))).await, Ok(Next(2)));
    assert_eq!(std::fs::metadata(&partial).unwrap().len(), 2 * PIECE_BYTES);
    // Whole, and another file than was offered: begun anew.
    let lie = common::piece::seal(&KEY, OFFER, 2, [1; 24], &vec![0; PIECE]).unwrap();
    assert_eq!(taker.written(&target, Some((2, lie))).await, Err(FileFault::HashWrong));
    assert_eq!(taker.written(&target, None).await, Ok(Next(0)));
    for (index, piece) in pieces.into_iter().enumerate() {
        assert!(taker.written(&target, Some((index as u32, piece))).await.is_ok());
    }
    assert_eq!(names(&taker.downloads()), ["a"]);
}

#[tokio::test]
async fn a_file_begun_in_pieces_goes_on_on_a_link_and_the_other_way_round() {
    let content = bytes(2 * MIB + MIB / 2);
    let (mut giver, mut taker) = linked().await;
    let (source, target) = offered(&mut giver, "a", &content).await;
    for index in 0..40 {
        let sealed = giver.piece(&source, index).await.unwrap();
        assert_eq!(taker.written(&target, Some((index, sealed))).await, Ok(Next(index + 1)));
    }
    taker.fetch(1, &target);
    let (serving, _) = giver.asked().await;
    giver.submit(FileJob::Refuse { serving, later: true });
    assert_eq!(taker.fetched(1).await, Err(FileStop::Later));
    assert_eq!(taker.written(&target, None).await, Ok(Next(40)), "nothing is lost by asking");
    taker.fetch(2, &target);
    giver.serve_next(&source).await;
    assert!(std::fs::read(taker.fetched(2).await.unwrap()).unwrap() == content);

    let target = FileTarget { place: Some(taker.folder.path().join("b")), ..target };
    std::fs::write(part_path(taker.folder.path(), &target), &content[..2 * MIB]).unwrap();
    for index in 64..80 {
        let sealed = giver.piece(&source, index).await.unwrap();
        assert!(taker.written(&target, Some((index, sealed))).await.is_ok());
    }
    assert!(std::fs::read(taker.folder.path().join("b")).unwrap() == content);
}

#[tokio::test]
async fn an_own_file_that_changed_gives_no_piece() {
    let mut giver = Peer::start(1);
    let (source, _) = offered(&mut giver, "a", b"abc").await;
    std::fs::write(&source.path, b"abcd").unwrap();
    assert_eq!(giver.piece(&source, 0).await, Err(FileFault::Changed));
    std::fs::remove_file(&source.path).unwrap();
    assert_eq!(giver.piece(&source, 0).await, Err(FileFault::Missing));
}

/// Writes a small file in pieces, to this place.
async fn put(taker: &mut Peer, name: &str, place: Option<PathBuf>) -> Result<PathBuf, FileFault> {
    let target = FileTarget { place, ..target_of(name.as_bytes(), name) };
    let sealed = common::piece::seal(&KEY, OFFER, 0, [1; 24], name.as_bytes()).unwrap();
    match taker.written(&target, Some((0, sealed))).await? {
        Whole(path) => {
            assert_eq!(std::fs::read(&path).unwrap(), name.as_bytes());
            Ok(path)
        }
        Next(_) => panic!("one piece is all of it"),
    }
}

#[tokio::test]
async fn nothing_that_lies_there_is_replaced_or_followed() {
    let mut taker = Peer::start(1);
    let (downloads, elsewhere) = (taker.downloads(), taker.folder.path().join("elsewhere"));
    std::fs::write(&elsewhere, b"mine").unwrap();
    assert_eq!(put(&mut taker, "a.txt", None).await, Ok(downloads.join("a.txt")));
    assert_eq!(put(&mut taker, "a.txt", None).await, Ok(downloads.join("a_1.txt")));
    symlink(&elsewhere, downloads.join("b.txt")).unwrap();
    symlink("nowhere", downloads.join("b_1.txt")).unwrap();
    std::fs::create_dir(downloads.join("b_2.txt")).unwrap();
    assert_eq!(put(&mut taker, "b.txt", None).await, Ok(downloads.join("b_3.txt")));
    assert_eq!(put(&mut taker, "../../etc/passwd", None).await, Ok(downloads.join("passwd")));

    // The name of the partial file, taken by somebody who would like it to be written elsewhere.
    let partial = part_path(&downloads, &target_of(b"c", "c"));
    symlink(&elsewhere, &partial).unwrap();
    assert_eq!(put(&mut taker, "c", None).await, Err(FileFault::NoPlace));
    std::fs::remove_file(&partial).unwrap();
    std::fs::create_dir(&partial).unwrap();
    assert_eq!(put(&mut taker, "c", None).await, Err(FileFault::NoPlace));
    std::fs::remove_dir(&partial).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &partial, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_eq!(put(&mut taker, "c", None).await, Err(FileFault::NoPlace));
    std::fs::remove_file(&partial).unwrap();
    std::fs::hard_link(&elsewhere, &partial).unwrap();
    assert_eq!(put(&mut taker, "c", None).await, Ok(downloads.join("c")));
    assert_eq!(std::fs::read(&elsewhere).unwrap(), b"mine");
}

#[tokio::test]
async fn the_user_may_name_a_folder_or_a_path() {
    let mut taker = Peer::start(1);
    let folder = taker.folder.path().to_owned();
    assert_eq!(put(&mut taker, "a.txt", Some(folder.clone())).await, Ok(folder.join("a.txt")));
    let path = folder.join("-my own.txt");
    assert_eq!(put(&mut taker, "b", Some(path.clone())).await, Ok(path.clone()), "the user's own name stays");
    assert_eq!(put(&mut taker, "b", Some(path)).await, Ok(folder.join("-my own_1.txt")));
    for nowhere in [folder.join("none/x"), folder.join("none/"), folder.join("a.txt/x"), PathBuf::new()] {
        assert_eq!(put(&mut taker, "b", Some(nowhere.clone())).await, Err(FileFault::NoPlace), "{nowhere:?}");
    }
    assert!(!taker.downloads().exists());
}

#[tokio::test]
async fn the_rest_of_the_disk_stays_free() {
    let mut taker = Peer::start(1);
    let (_, nothing) = mpsc::channel(1);
    let reserve = Reserve { bytes: u64::MAX, percent: 0 };
    (taker.files, taker.news) = Files::start(taker.downloads(), reserve, nothing);
    assert_eq!(put(&mut taker, "a", None).await, Err(FileFault::DiskFull));
    assert!(names(&taker.downloads()).is_empty());
    let place = |reserve| {
        let target = target_of(b"", "");
        place::Place::of(&target, &taker.downloads(), reserve).unwrap().room().unwrap()
    };
    assert!(place(NO_RESERVE) > 0);
    let disk = rustix::fs::statvfs(taker.folder.path()).unwrap();
    let total = disk.f_blocks * disk.f_frsize;
    let left = place(NO_RESERVE).saturating_sub(place(Reserve { bytes: 0, percent: 1 }));
    assert!(
        left.abs_diff(total / 100) < total / 1_000 || place(Reserve { bytes: 0, percent: 1 }) == 0,
        "{left} of {total}"
    );
}

#[tokio::test]
async fn two_never_write_one_partial_file() {
    let (mut giver, mut taker) = (Peer::scripted(1), Peer::start(2));
    link(&mut giver, &mut taker).await;
    let content = bytes(2 * MIB);
    let target = target_of(&content, "x");
    std::fs::create_dir(taker.downloads()).unwrap();
    std::fs::write(part_path(&taker.downloads(), &target), &content[..MIB + 5]).unwrap();
    taker.fetch(1, &target);
    let (_open, from) = giver.stream().await;
    assert_eq!(from, 1);
    taker.fetch(2, &target);
    assert_eq!(taker.fetched(2).await, Err(FileStop::Later));
    let sealed = common::piece::seal(&KEY, OFFER, 32, [1; 24], &content[MIB..][..PIECE]).unwrap();
    assert_eq!(taker.written(&target, Some((32, sealed))).await, Ok(Next(32)), "not written");
    assert_eq!(std::fs::metadata(part_path(&taker.downloads(), &target)).unwrap().len(), MIB as u64 + 5);
}
