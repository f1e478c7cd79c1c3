//! A store of version 1 keeps everything and is of the current version afterwards, in all that its schema says.

use std::collections::BTreeMap;

use peer_core::stored::{Claim, Gone, Pin};
use rusqlite::{Connection, params};

use super::disk::place;
use super::*;

/// The schema of version 1, as it was.
const VERSION_1: &str = include_str!("version-1.sql");

/// Columns and indexes, by table.
fn shape(conn: &Connection) -> BTreeMap<String, Vec<String>> {
    let mut shape: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let sql = "SELECT t.name, c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || coalesce(c.dflt_value, '-') || ' ' || c.pk
               FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c WHERE t.type = 'table'
               UNION ALL SELECT tbl_name, coalesce(sql, name) FROM sqlite_schema WHERE type = 'index'";
    let mut statement = conn.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        shape.entry(row.get(0).unwrap()).or_default().push(row.get(1).unwrap());
    }
    shape.values_mut().for_each(|of| of.sort());
    shape
}

fn insert(conn: &Connection, number: u64, sender: PublicKey, other: PublicKey, kind: u16, body: &[u8]) {
    let sql =
        "INSERT INTO messages (id, sender, other, mine, group_id, membership, anchor, shown, ordered, urgent, request,
                   waited, sent_at, received_at, kind, body)
               VALUES (?1, ?2, ?3, ?4, x'', 0, ?5, 0, 1, 0, 0, 0, 1000, 2000, ?6, ?7)";
    let mine = sender == ME;
    conn.execute(sql, params![id(number).0, sender.0, other.0, mine, number.cast_signed(), kind, body]).unwrap();
    if mine {
        let n = conn.last_insert_rowid();
        conn.execute("UPDATE messages SET shown = 1 WHERE n = ?1", [n]).unwrap();
        let sql = "INSERT INTO outbox (n, recipient, seq, state, queued_age, elapsed) VALUES (?1, ?2, ?1, 1, 5, 0)";
        conn.execute(sql, params![n, other.0]).unwrap();
        conn.execute("INSERT INTO steps (n, step, at, state) VALUES (?1, 1, 1000, 1)", [n]).unwrap();
    }
}

fn version_1(path: &std::path::Path) -> Connection {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(VERSION_1).unwrap();
    conn.execute("INSERT INTO store (one, me) VALUES (1, ?1)", [ME.0]).unwrap();
    let sql = "INSERT INTO meta VALUES (1, 2, ?1, 3, 4, 5, 6, 1, 0, 1, NULL)";
    conn.execute(sql, [[2_u8; 16]]).unwrap();
    let sql = "INSERT INTO contacts VALUES (?1, 'Bobby', 7, NULL, 1, 1, '127.0.0.1:9', NULL, NULL, NULL, NULL, 1)";
    conn.execute(sql, [BOB.0]).unwrap();
    conn.pragma_update(None, "application_id", 0x486f_6d67).unwrap();
    conn.pragma_update(None, "user_version", 1).unwrap();
    conn
}

#[test]
fn a_store_of_version_1_keeps_everything_and_understands_more() {
    let (_folder, path) = place();
    let conn = version_1(&path);
    insert(&conn, 1, BOB, BOB, Body::TEXT, &text("first"));
    insert(&conn, 2, ME, BOB, Body::TEXT, &text("own"));
    let reply = Body::Text(Text { text: "answer".into(), reply_to: Some(id(2)) }).encode().1;
    insert(&conn, 3, BOB, BOB, Body::TEXT, &reply);
    // What a newer version had sent it.
    for (number, body) in [(4, edit(1, "second")), (5, react(ME, 2, "👍")), (6, delete(9))] {
        let (kind, bytes) = body.encode();
        insert(&conn, number, BOB, BOB, kind, &bytes);
    }
    drop(conn);

    let mut store = Store::open(&path, ME).unwrap();
    let lines = history(&mut store, BOB, None, 9);
    assert_eq!(numbers(&lines), [1, 2, 3]);
    let words: Vec<_> = lines.iter().map(|line| said(line).unwrap()).collect();
    assert_eq!(words, ["second", "own", "answer"]);
    assert_eq!((lines[0].edited, lines[1].reactions.as_slice()), (true, [(BOB, "👍".to_owned())].as_slice()));
    assert_eq!(lines[2].quote.as_ref().map(|quote| quote.n), Some(2));
    assert_eq!(lines[1].state, Some((State::Queued, None)));
    let snapshot = load(&mut store);
    let meta = snapshot.meta.unwrap();
    assert_eq!((meta.age_ms, meta.left_cleanly, meta.receipts, meta.note), (5, true, false, None));
    assert_eq!(meta.standing, common::wire::directory::Standing::Online);
    assert_eq!((snapshot.contacts[0].verified, snapshot.contacts[0].blocked), (true, false));
    assert_eq!((snapshot.outbox.len(), numbers(&snapshot.unshown)), (1, vec![1, 3, 4, 5, 6]));
    let QueryResult::History(hits) =
        store.query(Query::Search { words: vec!["answer".into()], within: None, count: 9 })
    else {
        panic!()
    };
    assert_eq!(numbers(&hits), [3]);
    // It goes on: ids are known, what waited is done, numbers go on.
    assert_eq!(arrived(&mut store, line(BOB, 1, "first")), Arrived::Double { n: 1 });
    let Arrived::New { n: 7, line: Some(now), .. } = arrived(&mut store, line(BOB, 9, "late")) else { panic!() };
    assert_eq!(now.gone, Some(Gone::Deleted));
    assert_eq!(shape(&store.conn), shape(&super::store().conn));
}

#[test]
fn a_store_of_version_1_keeps_its_pins_and_what_waits_for_the_users_word() {
    let (_folder, path) = place();
    let conn = version_1(&path);
    // A serial may be any number of 64 bits.
    let serial = u64::from(u32::MAX) * 1_000;
    conn.execute("UPDATE contacts SET rival = ?1, serial = ?2", params![EVE.0, serial.cast_signed()]).unwrap();
    let pinned = "INSERT INTO pins (directory, folded, name, key) VALUES (?1, 'bobby', 'Bobby', ?2)";
    conn.execute(pinned, params![[9_u8; 32], BOB.0]).unwrap();
    drop(conn);
    let snapshot = load(&mut Store::open(&path, ME).unwrap());
    let rival = Some(Claim { key: EVE, serial: serial + 1 });
    let (directory, name) = (PublicKey([9; 32]), "Bobby".parse().unwrap());
    assert_eq!(snapshot.pins, [Pin { directory, name, key: BOB, serial, rival, refused: Vec::new() }]);
    assert_eq!((snapshot.contacts.len(), snapshot.contacts[0].serial), (1, serial));
}

#[test]
fn a_store_that_could_not_be_brought_up_is_as_it_was() {
    let (_folder, path) = place();
    let conn = version_1(&path);
    insert(&conn, 1, BOB, BOB, Body::TEXT, &text("first"));
    // Something stands in the way of the last step.
    conn.execute_batch("CREATE TABLE search (other INTEGER)").unwrap();
    let before = shape(&conn);
    drop(conn);
    assert!(Store::open(&path, ME).is_err());
    let conn = Connection::open(&path).unwrap();
    assert_eq!(shape(&conn), before);
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 1);
    conn.execute_batch("DROP TABLE search").unwrap();
    drop(conn);
    assert_eq!(history(&mut Store::open(&path, ME).unwrap(), BOB, None, 9).len(), 1);
}
