//! Search: what is found, in which order, that nobody's typing is syntax, and that it catches up by itself.

use proptest::prelude::*;
use tokio::sync::mpsc;

use super::super::search::{BATCH, BATCHES_BEFORE_SEARCH, SCHEMA, backlog};
use super::super::{Job, Reply, StorageThread};
use super::disk::place;
use super::*;

fn search(store: &mut Store, words: &[&str], within: Option<Talk>, count: u32) -> Vec<u64> {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    match store.query(Query::Search { words, within, count }) {
        QueryResult::History(hits) => numbers(&hits),
        other => panic!("{other:?}"),
    }
}

#[test]
fn words_and_phrases_are_found_whatever_their_case_and_accents() {
    let mut store = store();
    let lines = ["Das Café öffnet um acht", "um acht im Park", "im park um ACHT Uhr", "cafe?", "nichts davon"];
    for (number, words) in (1..).zip(lines) {
        arrived(&mut store, line(BOB, number, words));
    }
    queued(
        &mut store,
        NewMessage { row: OutboxRow { body: text("mein Cafe"), ..own(EVE, 50, 1).row }, ..own(EVE, 50, 1) },
    );
    assert_eq!(search(&mut store, &["cafe"], None, 9), [1, 4, 6]);
    assert_eq!(search(&mut store, &["CAFÉ"], Some(Talk::Pair(BOB)), 9), [1, 4]);
    assert_eq!(search(&mut store, &["um acht"], None, 9), [1, 2, 3]);
    assert_eq!(search(&mut store, &["um acht", "park"], None, 9), [2, 3]);
    assert_eq!(search(&mut store, &["acht", "um"], None, 2), [2, 3], "the newest, oldest first");
    assert_eq!(search(&mut store, &["Eve"], None, 9), [0_u64; 0]);
    // One's own word for a conversation finds nothing: it is no text.
    assert!(search(&mut store, &["p0202020202020202"], None, 9).is_empty());
}

#[test]
fn nothing_that_is_typed_is_syntax() {
    let mut store = store();
    arrived(&mut store, line(BOB, 1, "say \"AND\" or NOT near(a b) text:b* -c ^d {e} é\u{0}f"));
    for typed in [
        "\"",
        "\"\"",
        "AND",
        "a OR b",
        "NEAR(a b)",
        "text:b",
        "talk : b",
        "b*",
        "-c",
        "^d",
        "{e}",
        "(",
        ")",
        "'",
        "a\0b",
        "\0",
        ";--",
        "\u{301}",
        "👍",
        "",
        " ",
        "+",
        "\\",
        "a\"b",
    ] {
        let hits = search(&mut store, &[typed], None, 9);
        assert!(hits.len() <= 1, "{typed:?}");
    }
    assert_eq!(search(&mut store, &["and"], None, 9), [1]);
    assert_eq!(search(&mut store, &["👍", "near"], None, 9), [1], "what is no word is not looked for");
    assert!(search(&mut store, &["b*x"], None, 9).is_empty());
    let many: Vec<&str> = std::iter::repeat_n("near", 2_000).collect();
    assert_eq!(search(&mut store, &many, None, 9), [1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_is_typed_is_answered(typed in proptest::collection::vec(any::<String>(), 0..4)) {
        let mut store = store();
        arrived(&mut store, line(BOB, 1, "some words"));
        let answer = store.query(Query::Search { words: typed, within: None, count: 9 });
        let answered = matches!(answer, QueryResult::History(_));
        prop_assert!(answered, "{answer:?}");
    }
}

#[test]
fn what_changes_is_found_as_it_is_now() {
    let mut store = store();
    arrived(&mut store, line(BOB, 1, "alpha"));
    arrived(&mut store, line(BOB, 2, "beta"));
    assert_eq!(search(&mut store, &["alpha"], None, 9), [1]);
    arrived(&mut store, saying(theirs(BOB, 3), &edit(1, "gamma")));
    arrived(&mut store, saying(theirs(BOB, 4), &delete(2)));
    assert_eq!(["alpha", "beta", "gamma"].map(|word| search(&mut store, &[word], None, 9)), [vec![], vec![], vec![1]]);
    // A line that goes to another key is in the conversation with that key.
    let n = queued(
        &mut store,
        NewMessage { row: OutboxRow { body: text("delta"), ..own(BOB, 5, 1).row }, ..own(BOB, 5, 1) },
    );
    assert_eq!(search(&mut store, &["delta"], Some(Talk::Pair(BOB)), 9), [n]);
    let moved = peer_core::stored::Move { n, from: BOB, to: EVE, seq: 1, after: None };
    apply(&mut store, vec![StoreOp::Readdress(vec![moved])]);
    assert!(search(&mut store, &["delta"], Some(Talk::Pair(BOB)), 9).is_empty());
    assert_eq!(search(&mut store, &["delta"], Some(Talk::Pair(EVE)), 9), [n]);
}

#[test]
fn two_conversations_with_the_same_word_for_them_are_told_apart() {
    let mut store = store();
    let mut twin = BOB;
    twin.0[31] = 9;
    arrived(&mut store, line(BOB, 1, "alpha"));
    arrived(&mut store, line(twin, 2, "alpha"));
    arrived(&mut store, Arrival { conversation: in_family(), ..line(BOB, 3, "alpha") });
    assert_eq!(search(&mut store, &["alpha"], Some(Talk::Pair(twin)), 9), [2]);
    assert!(search(&mut store, &["alpha"], Some(Talk::Group(FAMILY)), 9).is_empty(), "its writer may be no member");
    apply(&mut store, vec![StoreOp::Shown(vec![3])]);
    assert_eq!(search(&mut store, &["alpha"], Some(Talk::Group(FAMILY)), 9), [3]);
}

/// More lines than one search takes into the index.
fn many() -> u64 {
    let many = BATCH * i64::try_from(BATCHES_BEFORE_SEARCH + 2).unwrap();
    many.cast_unsigned()
}

#[test]
fn the_newest_lines_are_found_first_and_all_in_the_end() {
    let (_folder, path) = place();
    let mut store = Store::open(&path, ME).unwrap();
    let arrive = |store: &mut Store, numbers: std::ops::RangeInclusive<u64>| {
        apply(store, numbers.map(|number| receive(line(BOB, number, "alpha"))).collect());
    };
    let many = many();
    arrive(&mut store, 1..=many);
    let known = search(&mut store, &["alpha"], None, 100_000);
    assert!(known.len() < many as usize && known.last() == Some(&many), "{}", known.len());
    arrive(&mut store, many + 1..=2 * many);
    let newest = search(&mut store, &["alpha"], None, 5);
    assert_eq!(newest, (2 * many - 4..=2 * many).collect::<Vec<_>>());
    drop(store);
    let mut store = Store::open(&path, ME).unwrap();
    while store.index().unwrap() {}
    assert_eq!(backlog(&store.conn).unwrap(), 0);
    assert_eq!(search(&mut store, &["alpha"], None, 100_000), (1..=2 * many).collect::<Vec<_>>());
    let verdict: String = store.conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    // Forgetting as much makes the index anew: with the same settings, and for the others.
    arrived(&mut store, line(EVE, 1, "alpha"));
    apply(&mut store, vec![StoreOp::Shown((1..=2 * many).collect()), StoreOp::ForgetTexts(Talk::Pair(BOB))]);
    let secure: i64 =
        store.conn.query_row("SELECT v FROM search_config WHERE k = 'secure-delete'", [], |row| row.get(0)).unwrap();
    assert_eq!((secure, SCHEMA.contains("secure-delete")), (1, true));
    while store.index().unwrap() {}
    assert_eq!(search(&mut store, &["alpha"], None, 100_000), [2 * many + 1]);
}

#[test]
fn where_there_is_no_room_for_the_index_what_is_in_it_is_searched() {
    let (_folder, path) = place();
    let mut store = Store::open(&path, ME).unwrap();
    arrived(&mut store, line(BOB, 1, "alpha"));
    assert_eq!(search(&mut store, &["alpha"], None, 9), [1]);
    apply(&mut store, (2..300).map(|number| receive(line(BOB, number, &format!("alpha {}", number * 7919)))).collect());
    let used: i64 = store.conn.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    store.conn.query_row(&format!("PRAGMA max_page_count = {used}"), [], |_| Ok(())).unwrap();
    assert_eq!(search(&mut store, &["alpha"], None, 9), [1]);
    store.conn.query_row("PRAGMA max_page_count = 1000000", [], |_| Ok(())).unwrap();
    assert_eq!(search(&mut store, &["alpha"], None, 1_000).len(), 299);
}

#[test]
fn the_thread_brings_the_index_up_while_it_has_nothing_to_do() {
    let (_folder, path) = place();
    let (sender, mut replies) = mpsc::channel(64);
    let thread = StorageThread::start(Store::open(&path, ME).unwrap(), sender).unwrap();
    let ops = (1..=many()).map(|number| receive(line(BOB, number, "alpha"))).collect();
    thread.try_submit(Job::Store { ticket: Ticket(1), ops }).unwrap();
    assert!(matches!(replies.blocking_recv(), Some(Reply::Stored { .. })));
    let reader = rusqlite::Connection::open(&path).unwrap();
    let begun = std::time::Instant::now();
    while backlog(&reader).unwrap() >= BATCH {
        assert!(begun.elapsed().as_secs() < 60, "it stays behind");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // Jobs are taken as ever.
    thread.try_submit(Job::Store { ticket: Ticket(2), ops: vec![receive(line(BOB, 100_000, "beta"))] }).unwrap();
    assert!(matches!(replies.blocking_recv(), Some(Reply::Stored { ticket: Ticket(2), .. })));
    thread.shutdown_blocking();
}
