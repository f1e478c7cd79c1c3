//! The line against plain sockets: what passes, how fast, and how it ends.

use std::io::{ErrorKind, Read, Write};
use std::time::Instant;

use super::*;

const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// A line in front of somebody who sends back what comes.
fn echo_line() -> Cutter {
    let listener = std::net::TcpListener::bind((IP, 0)).unwrap();
    let line = Cutter::open(IP, listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || {
                let mut reader = stream.try_clone().unwrap();
                let mut writer = stream;
                let _ = std::io::copy(&mut reader, &mut writer);
            });
        }
    });
    line
}

fn connected(line: &Cutter) -> std::net::TcpStream {
    let stream = std::net::TcpStream::connect(line.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// What comes until the end, and whether that was a reset.
fn rest(stream: &mut std::net::TcpStream) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Ok(_) => (all, false),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => (all, true),
        Err(error) => panic!("neither end nor reset: {error}"),
    }
}

#[test]
fn a_connection_is_cut_at_exactly_the_byte_asked_for_and_the_next_is_not() {
    let line = echo_line();
    for (way, bytes) in [(Way::Down, 0), (Way::Down, 1), (Way::Down, 77), (Way::Up, 77)] {
        let before = line.cuts();
        line.arm(CutAt { way, bytes, reset: false });
        let mut stream = connected(&line);
        // The cut may come in the middle of it.
        let _ = stream.write_all(&[5; 100]);
        let came = rest(&mut stream).0.len() as u64;
        if way == Way::Down {
            assert_eq!(came, bytes);
        } else {
            assert!(came <= bytes);
        }
        assert_eq!(line.cuts(), before + 1);
        let mut next = connected(&line);
        next.write_all(&[6; 100]).unwrap();
        next.read_exact(&mut [0; 100]).unwrap();
    }
}

#[test]
fn a_reset_is_a_reset_and_a_cut_is_none() {
    let line = echo_line();
    for (mode, reset) in [(Mode::Reset, true), (Mode::Cut, false)] {
        line.set(Mode::Carry);
        let mut stream = connected(&line);
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        line.set(mode);
        assert_eq!(rest(&mut stream), (Vec::new(), reset), "{mode:?}");
    }
    line.set(Mode::Carry);
    line.arm(CutAt { way: Way::Down, bytes: 3, reset: true });
    let mut stream = connected(&line);
    stream.write_all(b"four").unwrap();
    assert!(rest(&mut stream).1);
}

#[test]
fn a_trickle_takes_its_time_and_a_stall_carries_nothing() {
    let line = echo_line();
    line.set(Mode::Trickle(100));
    let mut stream = connected(&line);
    let begin = Instant::now();
    stream.write_all(&[1; 50]).unwrap();
    stream.read_exact(&mut [0; 50]).unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(500), "{:?}", begin.elapsed());
    line.set(Mode::Stall);
    stream.write_all(b"y").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(stream.read(&mut [0; 1]).is_err());
    line.set(Mode::Carry);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.read_exact(&mut [0; 1]).unwrap();
}
