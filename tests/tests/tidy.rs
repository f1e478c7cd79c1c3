//! The shape of the code, checked: who may depend on whom, what a pure crate must not touch, how long things may be.
//!
//! Each rule stands twice: once on this project, once on a planted violation that it has to find. Not here: what the compiler,
//! clippy, rustfmt and cargo-deny check already.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::LazyLock;

use system_tests::tidy::manifest::{Manifest, against_direction, forbidden_dependencies};
use system_tests::tidy::modules::Graph;
use system_tests::tidy::rules;
use system_tests::tidy::source::{Source, read_tree};

/// Which crate of this project may use which.
const MAY_DEPEND_ON: [(&str, &[&str]); 10] = [
    ("common", &[]),
    ("event-log", &[]),
    ("wal", &[]),
    ("directory-core", &["common"]),
    ("peer-core", &["common"]),
    ("directory-server", &["common", "directory-core", "event-log", "wal"]),
    ("peer", &["common", "event-log", "peer-core", "wal"]),
    ("crash-vfs", &[]),
    ("system-tests", &["common", "crash-vfs", "directory-core", "directory-server", "peer-core", "peer"]),
    ("fuzz", &["system-tests"]),
];

/// The crates that decide without doing, and their sources.
const PURE: [&str; 3] = ["common", "directory-core", "peer-core"];
const PURE_FOLDERS: [&str; 3] = ["common/src/", "directory-server/core/src/", "peer/core/src/"];
const IMPURE_CRATES: [&str; 8] =
    ["tokio", "quinn", "socket2", "rusqlite", "rustix", "getrandom", "tracing", "tokio-rustls"];

/// Each core: its sources, its composer, and the modules of shared words that its parts may import.
const CORES: [(&str, &str, &[&str]); 2] = [
    ("directory-server/core/src", "directory", &["event", "limits", "bucket", "address", "weight"]),
    ("peer/core/src", "messenger", &["event", "limits", "stored", "command"]),
];

const CRATES: [&str; 6] = [
    "common/src",
    "common/event-log/src",
    "directory-server/core/src",
    "directory-server/src",
    "peer/core/src",
    "peer/src",
];

/// The files that start tasks, each the owner of what it starts.
const TASK_OWNERS: [&str; 7] = [
    "directory-server/src/connection.rs",
    "directory-server/src/driver.rs",
    "directory-server/src/server.rs",
    "directory-server/tests/serving/client.rs",
    "peer/src/files.rs",
    "peer/src/transport/directory.rs",
    "peer/src/transport/quic.rs",
];

const CODEC: &str = "common/src/wire/codec.rs";

static TREE: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let tree = read_tree(root).unwrap();
    assert!(tree.iter().any(|(path, _)| path == CODEC), "the project's files are not where they are looked for");
    tree
});

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let rust = TREE.iter().filter(|(path, _)| path.ends_with(".rs"));
    rust.map(|(path, text)| Source::new(path, text)).collect()
});

fn manifests() -> Vec<Manifest> {
    let all = TREE.iter().filter(|(path, _)| path.ends_with("Cargo.toml"));
    let found: Vec<Manifest> = all.filter_map(|(path, text)| Manifest::new(path, text)).collect();
    assert!(found.len() >= 6, "six crates at least");
    found
}

fn sources_below(folders: &[&str]) -> Vec<Source> {
    let below = |source: &&Source| folders.iter().any(|folder| source.path.starts_with(folder));
    let found: Vec<Source> = SOURCES.iter().filter(below).cloned().collect();
    assert!(!found.is_empty(), "nothing to look at in {folders:?}");
    found
}

fn product() -> Vec<Source> {
    sources_below(&["common/src/", "directory-server/", "peer/"])
}

#[track_caller]
fn clean(found: &[String]) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[track_caller]
fn caught(found: &[String], expected: &str) {
    assert!(found.len() == 1 && found[0].contains(expected), "expected one `{expected}`, found {found:#?}");
}

fn planted(path: &str, text: &str) -> Vec<Source> {
    vec![Source::new(path, text)]
}

#[test]
fn crates_depend_in_one_direction() {
    clean(&against_direction(&manifests(), &MAY_DEPEND_ON));
    clean(&forbidden_dependencies(&manifests(), &PURE, &IMPURE_CRATES));
}

/// Lines of manifests and scripts that could build the product with bugs in it.
fn turns_bugs_on(files: &[(String, String)]) -> Vec<String> {
    const MAY: [(&str, &str); 4] = [
        ("common/Cargo.toml", "planted = []"),
        ("tests/Cargo.toml", "planted = [\"common/planted\"]"),
        ("tests/Cargo.toml", "name = \"planted\""),
        ("tests/Cargo.toml", "required-features = [\"planted\"]"),
    ];
    let mut found = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with("Cargo.toml")) {
        for line in text.lines().filter(|line| !line.starts_with('#') && line.contains("planted")) {
            if !MAY.contains(&(path.as_str(), line.trim())) {
                found.push(format!("{path}: `{line}` plants bugs"));
            }
        }
    }
    found
}

#[test]
fn no_build_but_that_of_the_proofs_has_planted_bugs() {
    clean(&turns_bugs_on(&TREE));
}

#[test]
fn a_crate_that_plants_bugs_is_caught() {
    for line in ["default = [\"planted\"]", "common = { workspace = true, features = [\"planted\"] }"] {
        caught(&turns_bugs_on(&[("peer/Cargo.toml".to_owned(), line.to_owned())]), "plants bugs");
    }
}

#[test]
fn a_dependency_against_the_direction_is_caught() {
    let manifest = |text: &str| vec![Manifest::new("x/Cargo.toml", text).unwrap()];
    let head = "[package]\nname = \"peer-core\"\nlicense.workspace = true\n";
    clean(&against_direction(
        &manifest(&format!("{head}[dependencies]\ncommon.workspace = true\nserde = \"1\"\n")),
        &MAY_DEPEND_ON,
    ));
    for wrong in [
        "[dependencies]\npeer.workspace = true",
        "[dependencies]\npeer = { path = \"..\" }",
        "[dev-dependencies]\npeer.workspace = true",
        "[dependencies.peer]\npath = \"..\"",
        "[target.'cfg(unix)'.dependencies]\npeer.workspace = true",
    ] {
        caught(&against_direction(&manifest(&format!("{head}{wrong}\n")), &MAY_DEPEND_ON), "must not depend on `peer`");
    }
    let pure = manifest(&format!("{head}[dependencies]\ntokio.workspace = true\n"));
    caught(&forbidden_dependencies(&pure, &PURE, &IMPURE_CRATES), "`tokio` has no place");
    caught(&against_direction(&manifest("[package]\nname = \"new\"\nlicense = \"MIT\"\n"), &MAY_DEPEND_ON), "no rule");
    caught(&against_direction(&manifest("[package]\nname = \"common\"\n"), &MAY_DEPEND_ON), "no licence");
}

#[test]
fn one_file_names_the_serialisation_library() {
    let word = ["bin", "code"].concat();
    clean(&rules::named_elsewhere(&SOURCES, &word, CODEC));
    let users: Vec<String> =
        manifests().into_iter().filter(|each| each.dependencies.contains(&word)).map(|each| each.package).collect();
    assert_eq!(users, ["common"]);
}

#[test]
fn a_second_file_naming_the_serialisation_library_is_caught() {
    let word = ["bin", "code"].concat();
    let text = format!("//! {word}\nfn f() {{ {word}::serde::encode(); }}\n");
    caught(&rules::named_elsewhere(&planted("common/src/name.rs", &text), &word, CODEC), "name.rs:2");
    clean(&rules::named_elsewhere(&planted(CODEC, &text), &word, CODEC));
}

#[test]
fn parts_are_blind_to_each_other() {
    for (folder, composer, vocabulary) in CORES {
        clean(&rules::parts_that_know_parts(&Graph::new(&SOURCES, folder), composer, vocabulary));
    }
}

#[test]
fn a_part_that_names_a_part_is_caught() {
    let look = |path: &str, text: &str| {
        let mut sources = vec![
            Source::new("c/src/lib.rs", "pub mod event; pub mod lane; pub use lane::Lane;"),
            Source::new("c/src/lane.rs", "pub struct Lane;"),
            Source::new("c/src/event.rs", "pub struct Input;"),
            Source::new("c/src/outbox.rs", "mod row;"),
            Source::new("c/src/outbox/row.rs", "pub struct Row;"),
        ];
        sources.retain(|source| source.path != path);
        sources.push(Source::new(path, text));
        rules::parts_that_know_parts(&Graph::new(&sources, "c/src"), "messenger", &["event"])
    };
    let wrong = "part `outbox` names part `lane`";
    caught(&look("c/src/outbox.rs", "use crate::lane::Lane;"), wrong);
    caught(&look("c/src/outbox.rs", "use crate::{event::Input, lane};"), wrong);
    caught(&look("c/src/outbox.rs", "fn f(lane: &super::lane::Lane) {}"), wrong);
    caught(&look("c/src/outbox.rs", "fn f(lane: &crate::Lane) {}"), wrong);
    caught(&look("c/src/outbox/row.rs", "use super::super::lane::Lane;"), wrong);
    caught(&look("c/src/event.rs", "use crate::lane::Lane;"), "part `event` names part `lane`");
    clean(&look("c/src/messenger.rs", "use crate::lane::Lane; use crate::outbox;"));
    clean(&look("c/src/outbox.rs", "mod row; use row::Row; use crate::event::Input; // crate::lane::Lane"));
    clean(&look("c/src/outbox.rs", "#[cfg(test)] mod tests { use crate::lane::Lane; }"));
}

#[test]
fn front_transport_and_storage_do_not_know_each_other() {
    clean(&rules::not_apart(&Graph::new(&SOURCES, "peer/src"), &["front", "transport", "storage"]));
}

#[test]
fn a_front_that_knows_the_storage_is_caught() {
    let sources = [
        Source::new("peer/src/front/line.rs", "use crate::storage::Row;"),
        Source::new("peer/src/storage.rs", "pub struct Row;"),
        Source::new("peer/src/driver.rs", "use crate::storage::Row; use crate::front::line;"),
    ];
    caught(
        &rules::not_apart(&Graph::new(&sources, "peer/src"), &["front", "transport", "storage"]),
        "`front` knows `storage`",
    );
}

#[test]
fn no_modules_depend_in_a_ring() {
    for folder in CRATES {
        let graph = Graph::new(&SOURCES, folder);
        clean(&graph.rings());
    }
}

#[test]
fn modules_in_a_ring_are_caught() {
    let rings = |texts: &[(&str, &str)]| {
        let sources: Vec<Source> = texts.iter().map(|(path, text)| Source::new(path, text)).collect();
        Graph::new(&sources, "c/src").rings()
    };
    caught(&rings(&[("c/src/a.rs", "use crate::b::B;"), ("c/src/b.rs", "fn f() { super::a::g(); }")]), "ring");
    let through_three = [
        ("c/src/a.rs", "use crate::b::B;"),
        ("c/src/b.rs", "use crate::wire::C;"),
        ("c/src/wire.rs", "pub mod c; pub use c::C;"),
        ("c/src/wire/c.rs", "use crate::a::A;"),
    ];
    caught(&rings(&through_three), "ring");
    let folder_module = [("c/src/a.rs", "mod b; use b::B; pub struct A;"), ("c/src/a/b.rs", "use super::A;")];
    clean(&rings(&folder_module));
    clean(&rings(&[("c/src/a.rs", "use crate::b::B;"), ("c/src/b.rs", "pub struct B;")]));
}

#[test]
fn pure_crates_touch_no_clock_entropy_task_socket_file_or_thread() {
    clean(&rules::impure(&sources_below(&PURE_FOLDERS)));
}

#[test]
fn an_impure_line_is_caught() {
    for wrong in [
        "fn f() { let now = Instant::now(); }",
        "fn f() { let now = std::time::SystemTime::now(); }",
        "use std::{collections::BTreeMap, fs};",
        "fn f() { std::thread::sleep(d); }",
        "use std::net::{SocketAddr, TcpStream};",
        "fn f(socket: &UdpSocket) {}",
        "async fn f() {}",
        "fn f() { tokio::task::yield_now(); }",
        "fn f() { OsRng.fill(); }",
        "fn f() { let seed = getrandom(); }",
        "use std::process;",
        "fn f<'a>(x: &'a str) -> char { let _ = r#\"\"\"#; spawn('\"', Instant::now()); '\"' }",
    ] {
        assert!(!rules::impure(&planted("common/src/x.rs", wrong)).is_empty(), "not caught: {wrong}");
    }
    clean(&rules::impure(&planted(
        "common/src/x.rs",
        "/* async /* await */ */ use std::net::SocketAddr; // Instant::now()\nfn now() -> &'static str { \"std::fs, \\\" OsRng\" }\n\
         #[cfg(test)]\nmod tests { use std::fs; }",
    )));
}

#[test]
fn every_channel_has_a_bound() {
    clean(&rules::unbounded_channels(&product()));
}

#[test]
fn a_channel_without_a_bound_is_caught() {
    for wrong in [
        "fn f() { let (a, b) = tokio::sync::mpsc::unbounded_channel(); }",
        "use tokio::sync::mpsc::UnboundedSender;",
        "use std::sync::mpsc::{Receiver, channel};",
        "fn f() { let (a, b) = mpsc::channel(); }",
        "fn f() { let (a, b) = std::sync::mpsc::channel::<u8>(); }",
    ] {
        caught(&rules::unbounded_channels(&planted("peer/src/x.rs", wrong)), "has no bound");
    }
    let bounded = "fn f() { mpsc::channel(8); mpsc::channel::<u8>(8); mpsc::sync_channel(8); oneshot::channel(); }";
    clean(&rules::unbounded_channels(&planted("peer/src/x.rs", bounded)));
}

#[test]
fn tasks_are_started_where_they_are_owned() {
    clean(&rules::stray_spawns(&product(), &TASK_OWNERS));
    for owner in TASK_OWNERS {
        let source = SOURCES.iter().find(|source| source.path == owner);
        let starts = source.is_some_and(|source| !rules::stray_spawns(std::slice::from_ref(source), &[]).is_empty());
        assert!(starts, "{owner} is listed as an owner of tasks and starts none");
    }
}

#[test]
fn a_stray_task_is_caught() {
    for wrong in ["tokio::spawn(f);", "tokio::task::spawn_blocking(f);", "task::spawn(f);"] {
        let text = format!("fn g() {{ {wrong} }}");
        caught(&rules::stray_spawns(&planted("peer/src/x.rs", &text), &["peer/src/driver.rs"]), "starts a task");
        clean(&rules::stray_spawns(&planted("peer/src/driver.rs", &text), &["peer/src/driver.rs"]));
    }
}

#[test]
fn files_and_functions_are_short() {
    clean(&rules::long_files(&SOURCES, 500));
    clean(&rules::long_functions(&SOURCES, 70));
    let mains: Vec<Source> = product().into_iter().filter(|source| source.path.ends_with("/src/main.rs")).collect();
    assert_eq!(mains.len(), 2);
    clean(&rules::long_files(&mains, 60));
}

#[test]
fn a_long_file_and_a_long_function_are_caught() {
    caught(&rules::long_files(&planted("x.rs", &"\n".repeat(61)), 60), "61 lines");
    clean(&rules::long_files(&planted("x.rs", &"\n".repeat(60)), 60));
    let function = |lines: usize| {
        format!("impl X {{\n    fn f(self) -> [u8; 2] {{{}}}\n\n    fn g();\n}}\n", "\n".repeat(lines - 1))
    };
    caught(&rules::long_functions(&planted("x.rs", &function(71)), 70), "`f` has 71 lines");
    clean(&rules::long_functions(&planted("x.rs", &function(70)), 70));
    let in_a_test = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(71));
    caught(&rules::long_functions(&planted("x.rs", &in_a_test), 70), "`f` has 71 lines");
}

#[test]
fn every_file_opens_with_what_it_is() {
    clean(&rules::without_opening(&SOURCES));
}

#[test]
fn a_file_without_an_opening_is_caught() {
    caught(&rules::without_opening(&planted("x.rs", "use std::fmt;\n//! Late.\n")), "x.rs");
    caught(&rules::without_opening(&planted("x.rs", "//!\n")), "x.rs");
    clean(&rules::without_opening(&planted("x.rs", "//! A thing. Not another.\n")));
}

/// In halves, so that this file does not name what it looks for.
fn machine() -> (Vec<String>, Vec<String>) {
    let join = |halves: &[[&str; 2]]| halves.iter().map(|each| each.concat()).collect();
    let roots = [["/wo", "rk/"], ["/ho", "me/"], ["/ro", "ot/"], ["/Us", "ers/"], ["/t", "mp/"], ["C:", "\\"]];
    let hosts =
        [["artif", "actory"], [".inter", "nal:"], [".inter", "nal/"], ["sparse+", "http"], ["registry+http", "://"]];
    (join(&roots), join(&hosts))
}

#[test]
fn no_file_names_a_place_on_one_machine() {
    let (roots, hosts) = machine();
    clean(&rules::machine_paths(&TREE, &roots, &hosts));
}

#[test]
fn a_place_on_one_machine_is_caught() {
    let (roots, hosts) = machine();
    let file = |line: String| vec![("docs/x.md".to_owned(), format!("first\n{line}\n"))];
    for root in &roots {
        caught(&rules::machine_paths(&file(format!("look in `{root}x/y`")), &roots, &hosts), "docs/x.md:2");
    }
    for host in &hosts {
        caught(&rules::machine_paths(&file(format!("see a{host}b")), &roots, &hosts), "docs/x.md:2");
    }
    let harmless =
        "target/wo".to_owned() + "rk/x, ${TMPDIR:-/t" + "mp}, ~/ho" + "me/x, https://example.org/ho" + "me/x";
    clean(&rules::machine_paths(&file(harmless), &roots, &hosts));
}
