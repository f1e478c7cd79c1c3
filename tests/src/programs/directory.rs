//! A directory server under the harness.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

use super::events::log_of;
use super::log::Log;
use super::one_shot::{Outcome, confine, run};
use super::process::Process;
use super::{PATIENCE, starting};

/// A directory server: running, or between two runs.
pub struct Directory {
    root: PathBuf,
    data_dir: PathBuf,
    ip: Ipv4Addr,
    port: u16,
    fingerprint: String,
    inside: Option<String>,
    arguments: Vec<String>,
    open_files: Option<u32>,
    log: Arc<Log>,
    process: Option<Process>,
}

impl Directory {
    /// Starts one on `port` (0: any) with its data in `root/name`, and waits until it listens.
    #[must_use]
    pub fn start(root: &Path, name: &str, ip: Ipv4Addr, port: u16) -> Self {
        Self::start_with(root, name, SocketAddrV4::new(ip, port), &["-v"], None)
    }

    /// The same inside a network namespace, if one is named.
    #[must_use]
    pub fn start_inside(namespace: Option<&str>, root: &Path, name: &str, ip: Ipv4Addr, port: u16) -> Self {
        let mut directory = Self::stopped(root, name, SocketAddrV4::new(ip, port));
        directory.inside = namespace.map(str::to_string);
        directory.restart();
        directory
    }

    /// Starts one with `arguments` that may open so many files, at `address`.
    #[must_use]
    pub fn start_with(
        root: &Path,
        name: &str,
        address: SocketAddrV4,
        arguments: &[&str],
        open_files: Option<u32>,
    ) -> Self {
        let mut directory = Self::stopped(root, name, address);
        directory.arguments = arguments.iter().map(ToString::to_string).collect();
        directory.open_files = open_files;
        directory.restart();
        directory
    }

    fn stopped(root: &Path, name: &str, address: SocketAddrV4) -> Self {
        Self {
            root: root.to_path_buf(),
            data_dir: root.join(name),
            ip: *address.ip(),
            port: address.port(),
            fingerprint: String::new(),
            inside: None,
            arguments: vec!["-v".to_owned()],
            open_files: None,
            log: Arc::new(Log::default()),
            process: None,
        }
    }

    /// Starts it again after it was killed or stopped, on the same port with the same data.
    ///
    /// # Panics
    /// When it does not say that it listens, in the words of the contract.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "the directory server runs already");
        let mut command = starting("directory-server", self.inside.as_deref(), self.open_files);
        confine(&mut command, &self.root);
        command.arg("--bind").arg(self.ip.to_string()).arg("--port").arg(self.port.to_string());
        command.arg("--data-dir").arg(&self.data_dir).args(&self.arguments);
        command.arg("--event-log").arg(log_of(&self.data_dir));
        self.process = Some(Process::start(command, &self.log));
        let begin = self.log.run_begins_at();
        let first = self.log.wait(begin, PATIENCE, |line| Some(line.text.clone()));
        let first = first.unwrap_or_else(|missed| panic!("no first line ({missed:?})\n{}", self.log.tail(20)));
        let words: Vec<&str> = first.split_whitespace().collect();
        let ["listening", "on", address, "fingerprint", fingerprint] = words[..] else {
            panic!("the first line is {first:?}, not `listening on ADDR:PORT fingerprint FINGERPRINT`")
        };
        let address: SocketAddr = address.parse().expect("an address and port in the first line");
        assert_eq!(address.ip(), self.ip, "it listens where it was told to");
        self.port = address.port();
        self.fingerprint = fingerprint.to_string();
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (self.ip, self.port).into()
    }

    /// The fingerprint it printed.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Whether it still runs.
    #[must_use]
    pub fn runs(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::runs)
    }

    /// Waits until it ends by itself: its exit code; none when it does not within `patience`, or a signal ended it.
    pub fn ended(&mut self, patience: Duration) -> Option<i32> {
        let status = self.process.as_mut().and_then(|process| process.wait(patience))?;
        self.process = None;
        status.code()
    }

    /// Its log on standard error.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.log.stderr()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("a running directory server").signal(signal);
    }

    /// Kills it with SIGKILL.
    pub fn kill_9(&mut self) {
        self.process.take().expect("a running directory server").kill_9();
    }

    /// Stops it with SIGTERM.
    ///
    /// # Panics
    /// When it does not end with code 0 within 10 s.
    pub fn terminate(&mut self) {
        let mut process = self.process.take().expect("a running directory server");
        process.signal(Signal::TERM);
        let status = process.wait(Duration::from_secs(10));
        let code = status.expect("SIGTERM ends it within 10 s").code();
        assert_eq!(code, Some(0), "SIGTERM ends it with code 0\n{}", self.log.tail(20));
    }

    /// Runs an administrator's command on this server's data directory.
    #[must_use]
    pub fn admin(&self, arguments: &[&str]) -> Outcome {
        let data_dir = self.data_dir.to_string_lossy().into_owned();
        let mut all = vec!["--data-dir", &data_dir];
        all.extend_from_slice(arguments);
        run("directory-server", &self.root, &all, b"")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("directory server at {}:\n{}", self.address(), self.log.tail(10));
        }
    }
}
