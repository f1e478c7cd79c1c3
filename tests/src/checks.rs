//! What must hold of any list of messages: nothing lost, nothing twice, in order. Pure; it starts nothing.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::programs::Peer;
use crate::programs::peer::text;

/// The texts of `messages` that came from `from`, in order.
#[must_use]
pub fn texts_from(messages: &[Value], from: &str) -> Vec<String> {
    messages.iter().filter(|message| message["from"] == from).map(|message| text(message, "text")).collect()
}

/// `prefix0`, `prefix1`, ... up to `count`.
#[must_use]
pub fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}

/// Asserts that two long lists are equal, and says where they part.
///
/// # Panics
/// When they are not.
pub fn assert_same(found: &[String], wanted: &[String], what: &str) {
    if found == wanted {
        return;
    }
    let at = found.iter().zip(wanted).position(|(left, right)| left != right);
    let at = at.unwrap_or(found.len().min(wanted.len()));
    let lost: Vec<&String> = wanted.iter().filter(|text| !found.contains(text)).take(10).collect();
    let (left, right) = (found.iter().skip(at).take(5), wanted.iter().skip(at).take(5));
    panic!(
        "{what}: {} found, {} wanted; they part at {at}: found {:?}, wanted {:?}; missing {lost:?}",
        found.len(),
        wanted.len(),
        left.collect::<Vec<_>>(),
        right.collect::<Vec<_>>()
    );
}

/// Asserts that the conversation of `peer` with `name` holds exactly `wanted` from `name`, in this order, every id
/// and every number once.
///
/// # Panics
/// When it does not.
pub fn assert_history(peer: &Peer, name: &str, wanted: &[String]) {
    let history = peer.history(name);
    assert_unique(&history, "id");
    assert_unique(&history, "n");
    assert_same(&texts_from(&history, name), wanted, &format!("history of {} with {name}", peer.setup.name));
}

/// Asserts that no two of `values` have the same `key`.
///
/// # Panics
/// When two have.
pub fn assert_unique(values: &[Value], key: &str) {
    let mut seen = HashSet::new();
    for value in values {
        assert!(!value[key].is_null(), "every message has {key}: {value}");
        assert!(seen.insert(value[key].to_string()), "{key} twice: {value}");
    }
}

/// Asserts of the `message` events of `peer` from `name`: within one run each id at most once and each run's in the
/// order of `wanted`; over all runs the same id always with the same number and text; all of `wanted` there.
///
/// # Panics
/// When one of these fails.
pub fn assert_output(peer: &Peer, name: &str, wanted: &[String]) {
    let place: HashMap<&String, usize> = wanted.iter().enumerate().map(|(place, text)| (text, place)).collect();
    let mut of_id: HashMap<String, (Value, String)> = HashMap::new();
    let mut last: Option<(usize, usize)> = None;
    for line in peer.messages_from(name) {
        let (id, words) = (text(&line.json, "id"), text(&line.json, "text"));
        let at = *place.get(&words).unwrap_or_else(|| panic!("nobody sent {words:?}"));
        if let Some((run, before)) = last {
            assert!(
                run != line.run || before < at,
                "{words:?} came out twice or out of order in run {run}, after {:?}: {}",
                wanted[before],
                line.text
            );
        }
        last = Some((line.run, at));
        let known = of_id.entry(id).or_insert_with(|| (line.json["n"].clone(), words.clone()));
        assert_eq!((&known.0, &known.1), (&line.json["n"], &words), "an id keeps its number and text");
    }
    let found: HashSet<&String> = of_id.values().map(|(_, words)| words).collect();
    let lost: Vec<&String> = wanted.iter().filter(|text| !found.contains(text)).take(10).collect();
    assert!(lost.is_empty(), "{} never printed {lost:?}", peer.setup.name);
    assert_eq!(of_id.len(), wanted.len(), "one id for each message");
}

/// Asserts that the states reported of a message only ever went forward to `delivered`, with at most the last one
/// repeated by each restart.
///
/// # Panics
/// When they did not.
pub fn assert_delivered_once(peer: &Peer, id: &str, restarts: usize) {
    let states = peer.states_of(id);
    let delivered = states.iter().filter(|state| *state == "delivered").count();
    assert!((1..=1 + restarts).contains(&delivered), "delivered is said once: {states:?}");
    assert_eq!(states.last().map(String::as_str), Some("delivered"), "{states:?}");
}
