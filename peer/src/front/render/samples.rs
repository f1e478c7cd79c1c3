//! Views for tests.

use common::message::MessageId;
use peer_core::event::{FileView, MessageView, OfferedView};
use peer_core::stored::{FileState, Via};

/// The time of the tests, milliseconds since 1970.
pub const NOW_MS: i64 = 1_700_049_600_000;

/// Names that are meant to be taken for something else.
pub const HOSTILE: [&str; 8] = [
    "report.pdf\n[99] 12:00:00 carol: lie",
    "\u{1b}[2J\u{1b}]0;title\u{7}x",
    "\u{202e}fdp.exe\u{2066}",
    "a.txt, 52 bytes; !accept 99 takes it",
    "x\r* carol is online\u{2028}! lost",
    "../../etc/passwd",
    "a.txt  (verified)",
    "\u{200b}",
];

/// A message from somebody whose key was compared.
pub fn message(n: u64, from: &str, text: &str) -> MessageView {
    MessageView {
        n,
        id: MessageId([1; 16]),
        request: false,
        from: from.to_owned(),
        to: "me".to_owned(),
        conversation: from.to_owned(),
        text: Some(text.to_owned()),
        sent_at_ms: NOW_MS + 127_000,
        received_at_ms: NOW_MS + 128_000,
        via: Some(Via::Direct),
        reply_to: None,
        urgent: false,
        offline: false,
        late: false,
        mine: false,
        state: None,
        verified: true,
        quote: None,
        edited: false,
        gone: None,
        reactions: Vec::new(),
        forwarded: None,
        vanishes_ms: None,
        file: None,
        tally: None,
    }
}

/// 52 bytes.
pub fn offered_view(name: &str) -> OfferedView {
    OfferedView { name: name.to_owned(), size: 52, sha256: [0xab; 32] }
}

/// A file between alice, who reads this, and bob.
pub fn file_view(name: &str, state: FileState, mine: bool) -> FileView {
    let (from, to) = if mine { ("alice", "bob") } else { ("bob", "alice") };
    FileView {
        n: 12,
        id: MessageId([3; 16]),
        from: from.to_owned(),
        to: to.to_owned(),
        mine,
        file: offered_view(name),
        state,
        bytes: 0,
        rate: None,
        via: None,
        kept: false,
        path: None,
        reason: None,
    }
}
