//! The real programs under a harness: where their binaries are, and the world one test plays in. What a single
//! program does under it is in the modules below; nothing here decides what is right, the tests do.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub mod directory;
pub mod events;
pub mod files;
pub mod log;
pub mod one_shot;
pub mod peer;
pub mod process;

pub use crate::checker::Log;
pub use directory::Directory;
pub use one_shot::{Outcome, run};
pub use peer::{Peer, Sent, Setup};

/// How long a test waits for something that should come at once: generous, so that a slow machine fails no test.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary of `program`.
///
/// # Panics
/// When it has not been built, with the command that builds it.
#[must_use]
pub fn binary(program: &str) -> PathBuf {
    let dir = std::env::var_os("HOMING_BIN_DIR").map_or_else(beside_this_test, PathBuf::from);
    let path = dir.join(program);
    assert!(
        path.is_file(),
        "{} is not there: run scripts/test, or build it first with \
         `cargo build -p directory-server -p peer` in the profile of this test, or set HOMING_BIN_DIR",
        path.display()
    );
    path
}

/// The command that starts `program`: inside a network namespace, and with so many descriptors at most, where that is said.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn starting(program: &str, namespace: Option<&str>, open_files: Option<u32>) -> Command {
    let mut words: Vec<std::ffi::OsString> = Vec::new();
    if let Some(namespace) = namespace {
        words.extend(["ip", "netns", "exec", namespace].map(Into::into));
    }
    if let Some(open_files) = open_files {
        words.extend(["sh".into(), "-c".into(), format!("ulimit -n {open_files} && exec \"$0\" \"$@\"").into()]);
    }
    words.push(binary(program).into());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// The folder of this profile's binaries: two up of `target/<profile>/deps/<test>`.
fn beside_this_test() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    test.parent().and_then(Path::parent).expect("a test lies in target/<profile>/deps").to_path_buf()
}

/// A loopback address of a test's own, so that no other test's outgoing connection can sit on a port that a
/// restarted program wants back.
#[must_use]
pub fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let octet = |value: u32| 1 + u8::try_from(value % 250).expect("under 250");
    let address = Ipv4Addr::new(127, octet(std::process::id()), octet(next / 250), octet(next));
    match std::net::UdpSocket::bind((address, 0)) {
        Ok(_) => address,
        // Not every system answers on the whole of 127.0.0.0/8.
        Err(_) => Ipv4Addr::LOCALHOST,
    }
}

/// A directory server, a folder for everything, and the address it all happens on. Declare it before its peers:
/// the folder goes when this does.
pub struct World {
    root: tempfile::TempDir,
    /// The address all programs of this world bind.
    pub ip: Ipv4Addr,
    /// The directory server, running.
    pub directory: Directory,
}

impl World {
    /// A world with a running directory server.
    #[must_use]
    pub fn new() -> Self {
        Self::with(&["-v"], None)
    }

    /// A world whose directory server is started with `arguments` and may open so many files.
    #[must_use]
    pub fn with(arguments: &[&str], open_files: Option<u32>) -> Self {
        let ip = own_address();
        Self::around(ip, |root| {
            Directory::start_with(root, "directory", SocketAddrV4::new(ip, 0), arguments, open_files)
        })
    }

    /// A world whose directory server runs at `ip` inside a network namespace. Its peers say themselves where they run.
    #[must_use]
    pub fn inside(namespace: &str, ip: Ipv4Addr) -> Self {
        Self::around(ip, |root| Directory::start_inside(Some(namespace), root, "directory", ip, 0))
    }

    fn around(ip: Ipv4Addr, start: impl FnOnce(&Path) -> Directory) -> Self {
        let root = tempfile::Builder::new().prefix("homing-test-").tempdir().expect("a temporary folder");
        let directory = start(root.path());
        Self { root, ip, directory }
    }

    /// The event logs of all programs of this world so far.
    ///
    /// # Panics
    /// When one cannot be read.
    #[must_use]
    pub fn event_logs(&self) -> Vec<Log> {
        events::logs_in(self.root.path())
    }

    /// Asserts of everything that the programs of this world have logged so far that no promise is broken. Every world
    /// does so at its end.
    ///
    /// # Panics
    /// When one is, saying how and which lines show it.
    pub fn assert_promises(&self) {
        events::assert_promises(self.root.path(), false);
    }

    /// The same, of programs that had time to bring everything to its end.
    ///
    /// # Panics
    /// When a promise is broken, or something has no end.
    pub fn assert_healed(&self) {
        events::assert_promises(self.root.path(), true);
    }

    /// A folder of this world.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The folder of this world.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// What a peer called `name` would be started with.
    #[must_use]
    pub fn setup(&self, name: &str) -> Setup {
        Setup::new(self.root.path(), name, self.ip, self.directory.address())
    }

    /// A running peer, registered as `name` and online.
    #[must_use]
    pub fn peer(&self, name: &str) -> Peer {
        self.setup(name).registered()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.assert_promises();
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within `patience`, naming `what`.
pub fn eventually(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + patience;
    while !condition() {
        assert!(std::time::Instant::now() < end, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
