//! The relay against plain sockets: it does what its shape says. What chance alone does is tested beside the dice.

use super::*;

const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

struct Line {
    relay: Relay,
    client: std::net::UdpSocket,
    target: std::net::UdpSocket,
}

impl Line {
    fn new(shape: Shape) -> Self {
        let socket = || {
            let socket = std::net::UdpSocket::bind((IP, 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            socket
        };
        let (relay, client, target) = (Relay::open(IP, shape, 7), socket(), socket());
        relay.pass_to(target.local_addr().unwrap());
        Self { relay, client, target }
    }

    fn say(&self, bytes: &[u8]) {
        self.client.send_to(bytes, self.relay.address()).unwrap();
    }

    /// What the target hears next, and from where; none within half a second.
    fn heard(&self) -> Option<(Vec<u8>, SocketAddr)> {
        let mut buffer = [0; 2_000];
        let (bytes, from) = self.target.recv_from(&mut buffer).ok()?;
        Some((buffer[..bytes].to_vec(), from))
    }

    fn answered(&self, bytes: &[u8], to: SocketAddr) -> bool {
        self.target.send_to(bytes, to).unwrap();
        self.client.recv_from(&mut [0; 2_000]).is_ok()
    }
}

/// How many of 400 datagrams come through a relay of this shape, doubles counted.
fn arrived(shape: Shape, shut: bool) -> usize {
    let Line { relay, client, target } = Line::new(shape);
    if shut {
        relay.shut();
    }
    let counting = std::thread::spawn(move || {
        let mut sources = Vec::new();
        while let Ok((_, from)) = target.recv_from(&mut [0; 16]) {
            sources.push(from);
        }
        sources
    });
    for number in 0..400u32 {
        client.send_to(&number.to_be_bytes(), relay.address()).unwrap();
        if number % 20 == 19 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let sources = counting.join().unwrap();
    assert!(!sources.contains(&client.local_addr().unwrap()), "the target sees the relay alone");
    sources.len()
}

#[test]
fn a_relay_does_what_its_shape_says() {
    assert_eq!(arrived(Shape::default(), true), 0);
    assert_eq!(arrived(Shape { loss_percent: 100, ..Shape::default() }, false), 0);
    let doubled = arrived(Shape { double_percent: 100, reorder_percent: 50, ..Shape::default() }, false);
    assert!((401..=800).contains(&doubled), "{doubled}");
    let lossy = arrived(Shape { loss_percent: 50, ..Shape::default() }, false);
    assert!((100..300).contains(&lossy), "{lossy}");
    assert_eq!(arrived(Shape { hole_after: 30, ..Shape::default() }, false), 30);
}

#[test]
fn what_is_held_back_leaves_in_the_order_of_its_time() {
    let line = Line::new(Shape { delay_ms: 60, ..Shape::default() });
    let begin = Instant::now();
    (0..20u8).for_each(|number| line.say(&[number]));
    let order: Vec<u8> = (0..20).map(|_| line.heard().unwrap().0[0]).collect();
    assert!(begin.elapsed() >= Duration::from_millis(60), "{:?}", begin.elapsed());
    assert_eq!(order, (0..20).collect::<Vec<u8>>());
}

#[test]
fn a_rebound_client_comes_from_another_port_and_the_old_one_leads_nowhere() {
    let line = Line::new(Shape::default());
    line.say(b"one");
    let (_, before) = line.heard().unwrap();
    assert!(line.answered(b"yes", before));
    line.relay.rebind();
    assert!(!line.answered(b"lost", before), "the port is forgotten at once");
    line.say(b"two");
    let (_, after) = line.heard().unwrap();
    assert_ne!(before, after);
    assert!(line.answered(b"yes", after));
    assert_eq!(line.relay.counts().rebound.load(Ordering::Relaxed), 1);
}

#[test]
fn ports_wear_out_and_long_datagrams_do_not_pass() {
    let line = Line::new(Shape { rebind_after: 2, mtu_bytes: 100, ..Shape::default() });
    let mut ports = std::collections::HashSet::new();
    for _ in 0..6 {
        line.say(&[0; 100]);
        ports.insert(line.heard().unwrap().1);
    }
    assert_eq!(ports.len(), 3);
    line.say(&[0; 101]);
    assert!(line.heard().is_none());
    assert_eq!(line.relay.counts().too_long.load(Ordering::Relaxed), 1);
}
