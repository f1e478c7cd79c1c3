//! Two endpoints on loopback: links, refusals, ends.

use common::message::{Conversation, Envelope, Epoch, EpochId, Header, MessageId};
use common::wire::Frame;
use common::wire::peer::{Close, CloseReason, Unsupported};
use tokio::sync::mpsc;

use super::super::batch::BATCHES_MAX;
use super::super::bulk::{ACCEPTED_MAX, Accepted};
use super::super::config::client_config;
use super::*;

/// Long enough for a loaded machine; nothing waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

struct Peer {
    quic: Quic,
    key: PublicKey,
    address: SocketAddr,
    batches: mpsc::Receiver<Batch>,
    _accepted: mpsc::Receiver<Accepted>,
    pending: std::collections::VecDeque<Input>,
}

impl Peer {
    fn start(seed: u8) -> Self {
        let me = Identity::from_seed(&[seed; 32]);
        let bound = socket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (inputs, batches) = mpsc::channel(BATCHES_MAX);
        let (accepting, accepted) = mpsc::channel(ACCEPTED_MAX);
        let (key, address) = (me.public(), bound.address);
        let quic = Quic::start(bound.socket, me, inputs, accepting).unwrap();
        Self { quic, key, address, batches, _accepted: accepted, pending: std::collections::VecDeque::new() }
    }

    async fn next(&mut self) -> Input {
        while self.pending.is_empty() {
            match timeout(PATIENCE, self.batches.recv()).await.expect("nothing came").expect("the endpoint is gone") {
                Batch::Links(inputs) => self.pending.extend(inputs),
                Batch::Directory { .. } => panic!("an endpoint speaks of links"),
            }
        }
        self.pending.pop_front().unwrap()
    }

    async fn up(&mut self) -> (LinkId, PublicKey, bool) {
        match self.next().await {
            Input::LinkUp { link, key, dialled, .. } => (link, key, dialled),
            other => panic!("a link was expected to stand, not {other:?}"),
        }
    }

    async fn frame(&mut self) -> (LinkId, PeerFrame) {
        match self.next().await {
            Input::LinkFrame { link, frame } => (link, *frame),
            other => panic!("a frame was expected, not {other:?}"),
        }
    }

    async fn down(&mut self) -> (LinkId, LinkEnd) {
        loop {
            match self.next().await {
                Input::LinkDown { link, end } => return (link, end),
                Input::LinkFrame { .. } | Input::LinkUnknown { .. } => {}
                other => panic!("an end was expected, not {other:?}"),
            }
        }
    }
}

fn mark(kind: u16) -> PeerFrame {
    Unsupported { kind }.into()
}

async fn linked() -> (Peer, Peer, LinkId) {
    let (mut one, mut two) = (Peer::start(1), Peer::start(2));
    one.quic.dial(LinkId(2), two.key, vec![two.address]);
    assert_eq!(one.up().await, (LinkId(2), two.key, true));
    one.quic.send(LinkId(2), &mark(7));
    let (accepted, key, dialled) = two.up().await;
    assert_eq!((accepted.0 % 2, key, dialled), (1, one.key, false));
    assert_eq!(two.frame().await, (accepted, mark(7)));
    (one, two, accepted)
}

#[tokio::test]
async fn frames_go_both_ways_in_order() {
    let (mut one, two, accepted) = linked().await;
    for kind in 0..500 {
        two.quic.send(accepted, &mark(kind));
    }
    for kind in 0..500 {
        assert_eq!(one.frame().await, (LinkId(2), mark(kind)));
    }
}

#[tokio::test]
async fn another_key_than_the_expected_is_refused() {
    let (mut one, two) = (Peer::start(1), Peer::start(2));
    one.quic.dial(LinkId(2), Peer::start(3).key, vec![two.address]);
    assert_eq!(one.down().await, (LinkId(2), LinkEnd::WrongKey));
}

#[tokio::test]
async fn dialling_each_other_at_once_gives_each_two_links() {
    let (mut one, mut two) = (Peer::start(1), Peer::start(2));
    one.quic.dial(LinkId(2), two.key, vec![two.address]);
    two.quic.dial(LinkId(2), one.key, vec![one.address]);
    one.quic.send(LinkId(2), &mark(1));
    two.quic.send(LinkId(2), &mark(2));
    for peer in [&mut one, &mut two] {
        let (mut ups, mut frames) = (Vec::new(), 0);
        while ups.len() < 2 || frames < 1 {
            match peer.next().await {
                Input::LinkUp { dialled, .. } => ups.push(dialled),
                Input::LinkFrame { .. } => frames += 1,
                other => panic!("{other:?}"),
            }
        }
        ups.sort_unstable();
        assert_eq!(ups, [false, true]);
    }
}

#[tokio::test]
async fn a_close_flushes_what_was_sent_before_it() {
    let (mut one, mut two, accepted) = linked().await;
    for kind in 0..200 {
        one.quic.send(LinkId(2), &mark(kind));
    }
    one.quic.send(LinkId(2), &Close { reason: CloseReason::Leaving }.into());
    one.quic.close(LinkId(2));
    for kind in 0..200 {
        assert_eq!(two.frame().await, (accepted, mark(kind)));
    }
    assert_eq!(two.frame().await.1, Close { reason: CloseReason::Leaving }.into());
    assert_eq!(two.down().await, (accepted, LinkEnd::Lost));
    assert_eq!(one.down().await, (LinkId(2), LinkEnd::Closed));
}

#[tokio::test]
async fn a_dead_port_fails_in_time_and_the_next_address_is_tried_beside_it() {
    let (mut one, mut two) = (Peer::start(1), Peer::start(2));
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let dead = silent.local_addr().unwrap();
    let start = Instant::now();
    one.quic.dial(LinkId(2), two.key, vec![dead]);
    assert_eq!(one.down().await, (LinkId(2), LinkEnd::NotReached));
    assert!(start.elapsed() < OPEN_TIMEOUT + Duration::from_secs(1));
    one.quic.dial(LinkId(4), two.key, vec![dead, two.address]);
    assert_eq!(one.up().await.0, LinkId(4));
    one.quic.send(LinkId(4), &mark(1));
    two.up().await;
}

#[tokio::test]
async fn a_dial_without_a_usable_address_ends_at_once_and_a_closed_dial_too() {
    let mut one = Peer::start(1);
    one.quic.dial(LinkId(2), one.key, vec!["224.0.0.1:5000".parse().unwrap(), "127.0.0.1:53".parse().unwrap()]);
    assert_eq!(one.down().await, (LinkId(2), LinkEnd::NotReached));
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    one.quic.dial(LinkId(4), one.key, vec![silent.local_addr().unwrap()]);
    one.quic.close(LinkId(4));
    assert_eq!(one.down().await, (LinkId(4), LinkEnd::Closed));
}

/// A dialler that writes what it likes.
async fn rude(seed: u8, target: &Peer) -> (Endpoint, quinn::Connection, quinn::SendStream) {
    let me = Identity::from_seed(&[seed; 32]);
    let tls = tls::client_config(&me, tls::Expect::Key(target.key), Alpn::Peer).unwrap();
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let connecting = endpoint.connect_with(client_config(tls).unwrap(), target.address, tls::SERVER_NAME).unwrap();
    let connection = connecting.await.unwrap();
    let (send, _) = connection.open_bi().await.unwrap();
    (endpoint, connection, send)
}

#[tokio::test]
async fn garbage_ends_the_link_and_an_unknown_kind_does_not() {
    let mut two = Peer::start(2);
    let (_endpoint, connection, mut send) = rude(9, &two).await;
    let mut bytes = vec![0, 0, 0, 3, 0x7f, 0xff, 1];
    mark(5).encode_into(&mut bytes);
    bytes.extend_from_slice(&[0xff; 64]);
    send.write_all(&bytes).await.unwrap();
    let (link, ..) = two.up().await;
    assert!(matches!(two.next().await, Input::LinkUnknown { kind: 0x7fff, .. }));
    assert_eq!(two.frame().await, (link, mark(5)));
    assert_eq!(two.down().await, (link, LinkEnd::Garbage));
    assert!(matches!(connection.closed().await, quinn::ConnectionError::ApplicationClosed(_)));
}

#[tokio::test]
async fn a_third_link_of_one_key_takes_the_place_of_its_first() {
    let mut two = Peer::start(2);
    let mut kept = Vec::new();
    for _ in 0..3 {
        let (endpoint, connection, mut send) = rude(9, &two).await;
        let mut bytes = Vec::new();
        mark(1).encode_into(&mut bytes);
        send.write_all(&bytes).await.unwrap();
        kept.push((endpoint, connection, send));
        while !matches!(two.next().await, Input::LinkUp { .. }) {}
    }
    assert_eq!(two.down().await.1, LinkEnd::Lost);
    timeout(PATIENCE, kept[0].1.closed()).await.expect("the first link stayed");
    assert!(kept[1].1.close_reason().is_none() && kept[2].1.close_reason().is_none());
}

#[tokio::test]
async fn a_reader_that_is_not_emptied_stops_the_writer_and_costs_bounded_memory() {
    let (one, mut two, accepted) = linked().await;
    let envelope = PeerFrame::Envelope(big_envelope(&one, &two));
    let mut frame = Vec::new();
    envelope.encode_into(&mut frame);
    // Nobody takes anything at `two`: what was not taken by its task fills the windows, then the queue, then the link
    // is given up here.
    let enough = (QUEUE_MAX_BYTES + BATCHES_MAX * 64 * 1024 + 4 * 1024 * 1024) / frame.len();
    for _ in 0..enough {
        one.quic.send(LinkId(2), &envelope);
        tokio::task::yield_now().await;
    }
    while !one.quic.shared.links().is_empty() {
        one.quic.send(LinkId(2), &envelope);
        tokio::task::yield_now().await;
    }
    let mut one = one;
    assert_eq!(one.down().await, (LinkId(2), LinkEnd::Lost));
    assert_eq!(two.down().await, (accepted, LinkEnd::Lost));
}

#[tokio::test]
async fn too_many_open_handshakes_shut_newcomers_out() {
    let (mut one, mut two) = (Peer::start(1), Peer::start(2));
    let elsewhere = origin("203.0.113.7:1".parse().unwrap());
    let begin = |count: usize, peer: &Peer| -> Vec<Handshake> {
        (0..count).map(|_| Handshake::begin(&peer.quic.shared, elsewhere)).collect()
    };
    let _half_open = begin(HANDSHAKES_MAX - 1, &two);
    one.quic.dial(LinkId(2), two.key, vec![two.address]);
    one.quic.send(LinkId(2), &mark(1));
    assert_eq!(two.up().await.1, one.key);
    one.up().await;
    let _more = begin(1, &two);
    one.quic.dial(LinkId(4), two.key, vec![two.address]);
    assert_eq!(one.down().await, (LinkId(4), LinkEnd::NotReached));
}

#[tokio::test]
async fn after_a_shutdown_the_other_side_has_lost_the_link() {
    let (one, mut two, accepted) = linked().await;
    one.quic.send(LinkId(2), &mark(9));
    one.quic.shutdown().await;
    assert_eq!(two.frame().await, (accepted, mark(9)));
    assert_eq!(two.down().await, (accepted, LinkEnd::Lost));
}

/// A line in front of `target` that can swallow everything, both ways, for one dialler.
struct Line {
    address: SocketAddr,
    shut: Arc<std::sync::atomic::AtomicBool>,
    /// Datagrams that it swallowed on their way to the target.
    swallowed: Arc<AtomicU64>,
    carrying: JoinHandle<()>,
}

impl Line {
    async fn to(target: SocketAddr) -> Self {
        let front = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let back = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        back.connect(target).await.unwrap();
        let (address, shut) = (front.local_addr().unwrap(), Arc::new(std::sync::atomic::AtomicBool::new(false)));
        let (is_shut, swallowed) = (shut.clone(), Arc::new(AtomicU64::new(0)));
        let counted = swallowed.clone();
        let carrying = tokio::spawn(async move {
            let (mut there, mut here, mut dialler) = ([0; 2048], [0; 2048], None);
            loop {
                tokio::select! {
                    Ok((bytes, from)) = front.recv_from(&mut there) => {
                        dialler = Some(from);
                        match is_shut.load(Ordering::Relaxed) {
                            true => drop(counted.fetch_add(1, Ordering::Relaxed)),
                            false => drop(back.send(&there[..bytes]).await),
                        }
                    }
                    Ok(bytes) = back.recv(&mut here) => {
                        if let Some(dialler) = dialler.filter(|_| !is_shut.load(Ordering::Relaxed)) {
                            drop(front.send_to(&here[..bytes], dialler).await);
                        }
                    }
                }
            }
        });
        Self { address, shut, swallowed, carrying }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

/// A link over a line, on which something has gone each way.
async fn linked_over_a_line() -> (Peer, Peer, Line) {
    let (mut one, mut two) = (Peer::start(1), Peer::start(2));
    let line = Line::to(two.address).await;
    one.quic.dial(LinkId(2), two.key, vec![line.address]);
    one.up().await;
    one.quic.send(LinkId(2), &mark(1));
    let accepted = two.up().await.0;
    two.frame().await;
    two.quic.send(accepted, &mark(2));
    one.frame().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    (one, two, line)
}

#[tokio::test]
async fn a_silent_link_is_asked_again_at_short_intervals() {
    let (one, mut two, line) = linked_over_a_line().await;
    line.shut.store(true, Ordering::Relaxed);
    one.quic.send(LinkId(2), &mark(3));
    tokio::time::sleep(Duration::from_secs(4)).await;
    // By itself QUIC asks in pairs after 0.03, 0.08, 0.2 s and so on, twice as long each time: seven pairs.
    let asked = line.swallowed.load(Ordering::Relaxed);
    assert!((18..50).contains(&asked), "{asked}");
    line.shut.store(false, Ordering::Relaxed);
    let begun = Instant::now();
    assert_eq!(two.frame().await.1, mark(3));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_link_on_which_all_is_acknowledged_is_left_alone() {
    let (_one, _two, line) = linked_over_a_line().await;
    line.shut.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked = line.swallowed.load(Ordering::Relaxed);
    assert!(asked <= 2, "{asked}");
}

fn big_envelope(from: &Peer, to: &Peer) -> Envelope {
    let header = Header {
        sender: from.key,
        recipient: to.key,
        epoch: Epoch { generation: 1, id: EpochId([0; 16]) },
        seq: 1,
        floor: 1,
        id: MessageId::new(1, [0; 10]),
        after: None,
        ordered: true,
        urgent: false,
        conversation: Conversation::Pair,
        sent_at_ms: 0,
        kind: 1,
    };
    Envelope { header, body: vec![0; 32 * 1024] }
}

#[tokio::test]
async fn handshakes_are_counted_by_where_they_come_from() {
    let peer = Peer::start(9);
    let shared = &peer.quic.shared;
    let from = |text: &str| origin(text.parse().unwrap());
    let (here, there) = (from("203.0.113.7:1"), from("[2001:db8::1]:1"));
    let open = [here, here, there].map(|from| Handshake::begin(shared, from));
    assert_eq!(shared.open_handshakes(from("[::ffff:203.0.113.7]:2")), (3, 2));
    assert_eq!(shared.open_handshakes(from("[2001:db8::2:3]:9")), (3, 1), "one network is one address");
    assert_eq!(shared.open_handshakes(from("203.0.113.8:1")), (3, 0));
    drop(open);
    assert_eq!(shared.open_handshakes(here), (0, 0));
    assert!(from("[::1]:5").is_loopback() && from("[::ffff:127.0.0.9]:5").is_loopback());
}
