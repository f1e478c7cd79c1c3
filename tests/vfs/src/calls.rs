//! System calls of real programs that fail on command: the kernel asks this program what a write or a flush of another
//! one is to answer (seccomp's user notification; Linux, no privilege). The programs are those that people run, on
//! a real file system; nothing in them knows of it. Not here: what they should do then.

use std::ffi::{c_int, c_long, c_ulong, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

/// What a call answers in place of being done: the disk has failed.
pub const EIO: i32 = 5;
/// The quota of the file system is used up.
pub const EDQUOT: i32 = 122;

/// A call that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `pwrite`, as SQLite writes. Nothing is written then.
    Write,
    /// `fsync` and `fdatasync`.
    Flush,
}

/// Programs whose calls can be made to fail. They may outlive this value; then their calls are done.
#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<Mutex<Rule>>);

/// What is to fail.
#[derive(Debug, Default)]
struct Rule {
    failing: Option<(Call, PathBuf, i32)>,
    failed: u64,
}

impl Calls {
    /// Does `start` in a thread of its own: the calls of the programs started there can be made to fail.
    ///
    /// # Errors
    /// When the kernel has no such thing, or forbids it.
    ///
    /// # Panics
    /// When `start` does.
    pub fn around<T: Send>(start: impl FnOnce() -> T + Send) -> io::Result<(Self, T)> {
        let calls = Self::default();
        let (tell, told) = mpsc::channel();
        let started = std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let listener = filter_this_thread();
                let filtered = listener.is_ok();
                // The receiver waits for it.
                let _ = tell.send(listener);
                filtered.then(start)
            });
            let listener = told.recv().map_err(|_| io::ErrorKind::BrokenPipe)??;
            let answering = calls.clone();
            // Not in the filtered thread, which would hand the filter down. It ends with the last of the programs.
            std::thread::spawn(move || answering.answer(&listener));
            thread.join().map_or_else(|panic| std::panic::resume_unwind(panic), Ok::<_, io::Error>)
        })?;
        started.map(|started| (calls, started)).ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// From now on this call answers `error` for all files in `folder`, and is not done.
    pub fn fail(&self, call: Call, folder: &Path, error: i32) {
        // As the kernel names files.
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        self.rule().failing = Some((call, folder, error));
    }

    /// All calls are done again.
    pub fn heal(&self) {
        self.rule().failing = None;
    }

    /// How many calls have failed on command.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.rule().failed
    }

    fn rule(&self) -> MutexGuard<'_, Rule> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers until no program is left.
    fn answer(&self, listener: &File) {
        while wait(listener) {
            let mut asked = Notice::default();
            if control(listener, RECEIVE, &mut asked).is_err() {
                // Whoever asked was interrupted or is gone.
                continue;
            }
            let error = self.decide(&asked);
            let flags = if error == 0 { CONTINUE } else { 0 };
            let mut answer = Answer { id: asked.id, value: 0, error: -error, flags };
            let _ = control(listener, SEND, &mut answer);
        }
    }

    /// The error to answer; 0: the call is done.
    fn decide(&self, asked: &Notice) -> i32 {
        let mut rule = self.rule();
        let Some((call, folder, error)) = &rule.failing else { return 0 };
        let named = std::fs::read_link(format!("/proc/{}/fd/{}", asked.pid, asked.arguments[0]));
        let number = c_long::from(asked.number);
        let concerned = match call {
            Call::Write => number == NUMBERS.pwrite,
            Call::Flush => number == NUMBERS.fsync || number == NUMBERS.fdatasync,
        };
        if !concerned || !named.is_ok_and(|path| path.starts_with(folder)) {
            return 0;
        }
        let error = *error;
        rule.failed += 1;
        error
    }
}

/// `struct seccomp_notif`.
#[repr(C)]
#[derive(Debug, Default)]
struct Notice {
    id: u64,
    pid: u32,
    flags: u32,
    number: c_int,
    architecture: u32,
    instruction: u64,
    arguments: [u64; 6],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
#[derive(Debug)]
struct Answer {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// `struct sock_filter`.
#[repr(C)]
struct Step {
    code: u16,
    if_true: u8,
    if_false: u8,
    value: u32,
}

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    len: u16,
    steps: *const Step,
}

/// `struct pollfd`.
#[repr(C)]
struct Polled {
    file: c_int,
    wanted: i16,
    found: i16,
}

const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const ASK: u32 = 0x7fc0_0000;
const NO_NEW_PRIVILEGES: c_int = 38;
const SET_FILTER: c_int = 1;
const NEW_LISTENER: c_ulong = 8;
const RECEIVE: c_ulong = 0xc050_2100;
const SEND: c_ulong = 0xc018_2101;
const CONTINUE: u32 = 1;
const READABLE: i16 = 1;

/// The numbers of the calls on this machine. Unknown on others: there the kernel refuses the first of them.
struct Numbers {
    seccomp: c_long,
    fsync: c_long,
    fdatasync: c_long,
    pwrite: c_long,
}

const NUMBERS: Numbers = if cfg!(target_arch = "x86_64") {
    Numbers { seccomp: 317, fsync: 74, fdatasync: 75, pwrite: 18 }
} else if cfg!(target_arch = "aarch64") {
    Numbers { seccomp: 277, fsync: 82, fdatasync: 83, pwrite: 68 }
} else {
    Numbers { seccomp: -1, fsync: -1, fdatasync: -1, pwrite: -1 }
};

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn prctl(option: c_int, ...) -> c_int;
    fn ioctl(file: c_int, request: c_ulong, ...) -> c_int;
    fn poll(files: *mut Polled, count: c_ulong, timeout_ms: c_int) -> c_int;
}

/// From now on the calls of this thread, and of what it starts, are asked about at the file returned.
fn filter_this_thread() -> io::Result<File> {
    let asked =
        [NUMBERS.fsync, NUMBERS.fdatasync, NUMBERS.pwrite].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let step = |code, if_true, if_false, value| Step { code, if_true, if_false, value };
    let steps = [
        step(LOAD, 0, 0, 0),
        step(JUMP_IF_EQUAL, 3, 0, asked[0]),
        step(JUMP_IF_EQUAL, 2, 0, asked[1]),
        step(JUMP_IF_EQUAL, 1, 0, asked[2]),
        step(RETURN, 0, 0, ALLOW),
        step(RETURN, 0, 0, ASK),
    ];
    let program = Program { len: 6, steps: steps.as_ptr() };
    let (one, zero): (c_ulong, c_ulong) = (1, 0);
    // SAFETY: `prctl` takes numbers. The kernel reads `program` and its steps during the call; both live longer.
    let listener = unsafe {
        if prctl(NO_NEW_PRIVILEGES, one, zero, zero, zero) != 0 {
            return Err(io::Error::last_os_error());
        }
        syscall(NUMBERS.seccomp, SET_FILTER, NEW_LISTENER, &raw const program)
    };
    match c_int::try_from(listener) {
        // SAFETY: the kernel has just opened this descriptor for us.
        Ok(file @ 0..) => Ok(unsafe { File::from_raw_fd(file) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits until somebody asks; false: nobody is left who could.
fn wait(listener: &File) -> bool {
    let mut polled = Polled { file: listener.as_raw_fd(), wanted: READABLE, found: 0 };
    // SAFETY: one entry, which lives longer than the call.
    let count = unsafe { poll(&raw mut polled, 1, -1) };
    count < 0 || polled.found & READABLE != 0
}

fn control<T>(listener: &File, request: c_ulong, about: &mut T) -> io::Result<()> {
    let about: *mut c_void = (&raw mut *about).cast();
    // SAFETY: `RECEIVE` fills a `Notice`, `SEND` reads an `Answer`; the callers give these, as the kernel lays them out.
    let done = unsafe { ioctl(listener.as_raw_fd(), request, about) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
