//! The rules on sources. Each takes what it looks at and what is allowed, and returns one line for each violation.
//!
//! Not here: which files and which names of this project a rule applies to.

use super::modules::{Graph, Module};
use super::source::{Source, functions};

/// Words that have no place in a crate that decides without doing.
const IMPURE_WORDS: [&str; 12] = [
    "async",
    "await",
    "getrandom",
    "thread_rng",
    "OsRng",
    "SysRng",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
];

/// Beginnings of paths that have no place there.
const IMPURE_PATHS: [&[&str]; 5] =
    [&["std", "fs"], &["std", "thread"], &["std", "process"], &["std", "env"], &["tokio"]];

/// Clocks, entropy, tasks, sockets, files and threads.
#[must_use]
pub fn impure(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let words = source.tokens.iter().filter(|token| IMPURE_WORDS.contains(&token.text.as_str()));
        found.extend(words.map(|token| format!("{}: `{}` in a pure crate", source.at(token.line), token.text)));
        for path in source.paths() {
            let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
            let reads_clock = segments.len() > 1 && segments.last() == Some(&"now");
            if reads_clock || IMPURE_PATHS.iter().any(|start| segments.starts_with(start)) {
                found.push(format!("{}: `{}` in a pure crate", source.at(path.line), segments.join("::")));
            }
        }
    }
    found
}

/// Channels without a bound: tokio's, and the standard library's default.
#[must_use]
pub fn unbounded_channels(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for path in source.paths() {
            let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
            let named = segments.iter().any(|segment| segment.to_lowercase().starts_with("unbounded"));
            let imported = path.name.is_some() && segments.ends_with(&["std", "sync", "mpsc", "channel"]);
            let empty_call = (path.next.as_str(), path.next_but_one.as_str()) == ("(", ")");
            let called = segments.ends_with(&["mpsc", "channel"]) && (empty_call || segments.starts_with(&["std"]));
            if named || imported || called {
                found.push(format!("{}: `{}` has no bound", source.at(path.line), segments.join("::")));
            }
        }
    }
    found
}

/// Tasks started outside the files that own tasks.
#[must_use]
pub fn stray_spawns(sources: &[Source], owners: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !owners.contains(&source.path.as_str())) {
        for path in source.paths() {
            let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
            let spawns =
                segments.last().is_some_and(|last| matches!(*last, "spawn" | "spawn_blocking" | "spawn_local"));
            let of_tokio = segments.contains(&"tokio") || segments.ends_with(&["task", segments.last().unwrap_or(&"")]);
            if spawns && of_tokio {
                found.push(format!("{}: starts a task, and is not listed as an owner of tasks", source.at(path.line)));
            }
        }
    }
    found
}

/// A word that only one file may name.
#[must_use]
pub fn named_elsewhere(sources: &[Source], word: &str, home: &str) -> Vec<String> {
    let strangers = sources.iter().filter(|source| source.path != home);
    let named = strangers.flat_map(|source| source.all_tokens.iter().map(move |token| (source, token)));
    let wrong = named.filter(|(_, token)| token.text == word);
    wrong.map(|(source, token)| format!("{}: only {home} names `{word}`", source.at(token.line))).collect()
}

fn unit(module: &Module) -> &str {
    module.first().map_or("", String::as_str)
}

/// Parts that name sibling parts. Units are the top modules of a crate; its root and `composer` may name all, everybody else
/// only themselves and `vocabulary`.
#[must_use]
pub fn parts_that_know_parts(graph: &Graph, composer: &str, vocabulary: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for edge in &graph.edges {
        let (from, to) = (unit(&edge.from), unit(&edge.to));
        let free = from.is_empty() || from == composer || to.is_empty() || from == to || vocabulary.contains(&to);
        if !free {
            found.push(format!("{}: part `{from}` names part `{to}`", edge.at));
        }
    }
    found
}

/// Units out of `apart` that name each other.
#[must_use]
pub fn not_apart(graph: &Graph, apart: &[&str]) -> Vec<String> {
    let both = |from: &str, to: &str| from != to && apart.contains(&from) && apart.contains(&to);
    let wrong = graph.edges.iter().filter(|edge| both(unit(&edge.from), unit(&edge.to)));
    wrong.map(|edge| format!("{}: `{}` knows `{}`", edge.at, unit(&edge.from), unit(&edge.to))).collect()
}

/// Files over `limit` lines.
#[must_use]
pub fn long_files(sources: &[Source], limit: usize) -> Vec<String> {
    let counted = sources.iter().map(|source| (source, source.text.lines().count()));
    let long = counted.filter(|(_, lines)| *lines > limit);
    long.map(|(source, lines)| format!("{}: {lines} lines, at most {limit}", source.path)).collect()
}

/// Functions over `limit` lines, tests included.
#[must_use]
pub fn long_functions(sources: &[Source], limit: usize) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let long = functions(&source.all_tokens).into_iter().filter(|(_, _, lines)| *lines > limit);
        found.extend(
            long.map(|(name, line, lines)| format!("{}: `{name}` has {lines} lines, at most {limit}", source.at(line))),
        );
    }
    found
}

/// Files that do not open with a `//!` that says something.
#[must_use]
pub fn without_opening(sources: &[Source]) -> Vec<String> {
    let says = |text: &str| {
        text.lines().next().and_then(|line| line.strip_prefix("//!")).is_some_and(|rest| !rest.trim().is_empty())
    };
    let silent = sources.iter().filter(|source| !says(&source.text));
    silent.map(|source| format!("{}: does not open with `//!`", source.path)).collect()
}

/// Lines that name a place on somebody's machine: `roots` are beginnings of absolute paths, found where no path goes on before
/// them and a name follows; `hosts` are found anywhere.
#[must_use]
pub fn machine_paths(files: &[(String, String)], roots: &[String], hosts: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files {
        for (index, line) in text.lines().enumerate() {
            let rooted = roots.iter().any(|root| names_root(line, root));
            if rooted || hosts.iter().any(|host| line.contains(host.as_str())) {
                found.push(format!("{path}:{}: names a place on one machine", index + 1));
            }
        }
    }
    found
}

fn names_root(line: &str, root: &str) -> bool {
    line.match_indices(root).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + root.len()..].chars().next();
        let begins =
            before.is_none_or(|each| !each.is_alphanumeric() && !matches!(each, '/' | '.' | '_' | '-' | '}' | '~'));
        begins && after.is_some_and(|each| each.is_alphanumeric() || matches!(each, '.' | '_'))
    })
}
