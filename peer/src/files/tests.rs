//! Two peers on loopback, their disks, and what hostile ones do.

mod disk;
mod hostile;
mod moving;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use common::body::File as Offer;
use common::identity::{Identity, PublicKey};
use common::message::MessageId;
use peer_core::event::{FileFacts, FileSource, FileStep, Input};
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::transport::{ACCEPTED_MAX, BATCHES_MAX, Batch, Quic, socket};

/// Long enough for a loaded machine; nothing waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(20);
const MIB: usize = 1024 * 1024;
/// Whatever the machine that tests run on has left.
const NO_RESERVE: Reserve = Reserve { bytes: 0, percent: 0 };
const OFFER: MessageId = MessageId([7; 16]);

/// A peer without a messenger. Streams of others go to its `files`, or stay in `accepted`.
struct Peer {
    quic: Quic,
    key: PublicKey,
    address: SocketAddr,
    batches: mpsc::Receiver<Batch>,
    inputs: VecDeque<Input>,
    folder: TempDir,
    files: Files,
    news: mpsc::Receiver<FileNews>,
    kept: VecDeque<FileNews>,
    accepted: Option<mpsc::Receiver<Accepted>>,
}

impl Peer {
    fn start(seed: u8) -> Self {
        Self::start_with(seed, true, SILENT)
    }

    /// Its streams are the test's.
    fn scripted(seed: u8) -> Self {
        Self::start_with(seed, false, SILENT)
    }

    fn start_with(seed: u8, serves: bool, patience: Duration) -> Self {
        let me = Identity::from_seed(&[seed; 32]);
        let bound = socket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (batching, batches) = mpsc::channel(BATCHES_MAX);
        let (streams, accepted) = mpsc::channel(ACCEPTED_MAX);
        let (key, address) = (me.public(), bound.address);
        let quic = Quic::start(bound.socket, me, batching, streams).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (nothing, accepted) = if serves { (accepted, None) } else { (mpsc::channel(1).1, Some(accepted)) };
        let (files, news) = Files::start_with(folder.path().join("downloads"), NO_RESERVE, patience, nothing);
        Self {
            quic,
            key,
            address,
            batches,
            inputs: VecDeque::new(),
            folder,
            files,
            news,
            kept: VecDeque::new(),
            accepted,
        }
    }

    fn downloads(&self) -> PathBuf {
        self.folder.path().join("downloads")
    }

    fn submit(&mut self, job: FileJob) {
        self.files.submit(job, |link| self.quic.bulk(link));
    }

    async fn input(&mut self) -> Input {
        while self.inputs.is_empty() {
            match timeout(PATIENCE, self.batches.recv()).await.expect("nothing came").expect("the endpoint is gone") {
                Batch::Links(inputs) => self.inputs.extend(inputs),
                Batch::Directory { .. } => panic!("an endpoint speaks of links"),
            }
        }
        self.inputs.pop_front().unwrap()
    }

    /// The news that `wanted` picks; others are kept for later.
    async fn news<T>(&mut self, mut wanted: impl FnMut(&FileNews) -> Option<T>) -> T {
        if let Some((at, found)) = self.kept.iter().enumerate().find_map(|(at, news)| Some((at, wanted(news)?))) {
            self.kept.remove(at);
            return found;
        }
        loop {
            let news = timeout(PATIENCE, self.news.recv()).await.expect("no news came").expect("the files are gone");
            if let Some(found) = wanted(&news) {
                return found;
            }
            self.kept.push_back(news);
        }
    }

    async fn measure(&mut self, path: &Path) -> Result<FileFacts, FileFault> {
        self.submit(FileJob::Measure { ticket: Ticket(1), path: path.to_owned() });
        let measured = |news: &FileNews| match news {
            FileNews::Measured { facts, .. } => Some(facts.clone().map(|facts| *facts)),
            _ => None,
        };
        self.news(measured).await
    }

    async fn asked(&mut self) -> (Serving, LinkId) {
        let asked = |news: &FileNews| match news {
            FileNews::Asked { serving, link, offer } => {
                assert_eq!(*offer, OFFER);
                Some((*serving, *link))
            }
            _ => None,
        };
        self.news(asked).await
    }

    async fn serve_next(&mut self, source: &FileSource) -> Serving {
        let (serving, _) = self.asked().await;
        self.submit(FileJob::Serve { serving, source: source.clone() });
        serving
    }

    async fn served(&mut self, wanted: Serving) -> Result<(), FileStop> {
        let served = |news: &FileNews| match news {
            FileNews::Served { serving, result } if *serving == wanted => Some(*result),
            _ => None,
        };
        self.news(served).await
    }

    fn fetch(&mut self, ticket: u64, target: &FileTarget) {
        self.submit(FileJob::Fetch { ticket: Ticket(ticket), link: LinkId(2), target: Box::new(target.clone()) });
    }

    async fn fetched(&mut self, wanted: u64) -> Result<PathBuf, FileStop> {
        let fetched = |news: &FileNews| match news {
            FileNews::Fetched { ticket: Ticket(ticket), result } if *ticket == wanted => Some(result.clone()),
            _ => None,
        };
        self.news(fetched).await
    }

    async fn got(&mut self) -> u64 {
        self.news(|news| if let FileNews::Got { bytes, .. } = news { Some(*bytes) } else { None }).await
    }

    async fn written(&mut self, target: &FileTarget, piece: Option<(u32, Vec<u8>)>) -> Result<FileStep, FileFault> {
        self.submit(FileJob::Write { ticket: Ticket(9), target: Box::new(target.clone()), piece });
        self.news(|news| if let FileNews::Written { step, .. } = news { Some(step.clone()) } else { None }).await
    }

    async fn piece(&mut self, source: &FileSource, index: u32) -> Result<Vec<u8>, FileFault> {
        let source = source.clone();
        self.submit(FileJob::Read { ticket: Ticket(8), source, offer: OFFER, key: KEY, index });
        self.news(|news| if let FileNews::Piece { piece, .. } = news { Some(piece.clone()) } else { None }).await
    }

    /// The next stream that somebody opens, and from which part on it asks.
    async fn stream(&mut self) -> (Accepted, u64) {
        let accepted = self.accepted.as_mut().expect("a scripted peer");
        let mut accepted = timeout(PATIENCE, accepted.recv()).await.expect("nobody asks").unwrap();
        let (frame, _) = stream::read(&mut accepted.receive).await.expect("no asking");
        match frame {
            common::wire::file::FileFrame::Ask(ask) => (accepted, ask.from_part),
            other => panic!("{other:?}"),
        }
    }
}

const KEY: [u8; 32] = [5; 32];

/// Bytes that differ everywhere.
fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn target_of(bytes: &[u8], name: &str) -> FileTarget {
    let mut sha256 = hash::Sha256::new();
    sha256.update(bytes);
    let (size, blake3) = (bytes.len() as u64, *blake3::hash(bytes).as_bytes());
    let file = Offer { name: name.to_owned(), size, sha256: sha256.finish(), blake3, key: KEY };
    FileTarget { file, offer: OFFER, place: None }
}

fn part_path(folder: &Path, target: &FileTarget) -> PathBuf {
    let hex: String = target.file.blake3.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    folder.join(format!(".homing-{hex}.part"))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The second has dialled the first; its link is number 2.
async fn link(giver: &mut Peer, taker: &mut Peer) -> LinkId {
    taker.quic.dial(LinkId(2), giver.key, vec![giver.address]);
    assert!(matches!(taker.input().await, Input::LinkUp { .. }));
    taker.quic.send(LinkId(2), &common::wire::peer::Unsupported { kind: 1 }.into());
    let Input::LinkUp { link, .. } = giver.input().await else { panic!("no link") };
    link
}

async fn linked() -> (Peer, Peer) {
    let (mut giver, mut taker) = (Peer::start(1), Peer::start(2));
    link(&mut giver, &mut taker).await;
    (giver, taker)
}

/// An own file of the giver's, measured, and what it offers.
async fn offered(giver: &mut Peer, name: &str, bytes: &[u8]) -> (FileSource, FileTarget) {
    let path = giver.folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let facts = giver.measure(&path).await.unwrap();
    let FileFacts { name, sha256, source } = facts;
    let file = Offer { name, size: source.size, sha256, blake3: source.blake3, key: KEY };
    (source, FileTarget { file, offer: OFFER, place: None })
}
