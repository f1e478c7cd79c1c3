//! SQLite's interface: the tables of functions that it calls, and how they find the disk. Not here: what a disk does.
//!
//! SQLite calls the functions of an open file with the pointer it gave to `open`, never after `close`, and one connection
//! never from two threads at once. That is all that the `unsafe` here rests on.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{Duration, SystemTime};

use rusqlite::ffi;

use crate::calls::{EDQUOT, EIO};
use crate::disk::Disk;
use crate::faults::Fault;
use crate::image::{FileId, Op};
use crate::locks::Holder;
use crate::shared::Mapped;

/// The name by which SQLite knows this file system.
pub const NAME: &str = "crash";
const NAME_C: &CStr = c"crash";

/// As SQLite's own file system on Linux reports them, so that it does here what it does there.
const SECTOR_BYTES: c_int = 4_096;
const CHARACTERISTICS: c_int = ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE | ffi::SQLITE_IOCAP_SUBPAGE_READ;
const PATH_MAX: c_int = 512;
/// The first day of Unix, in milliseconds of SQLite's calendar.
const UNIX_EPOCH_MS: i64 = 210_866_760_000_000;

/// What SQLite allocates for an open file.
#[repr(C)]
struct Slot {
    base: ffi::sqlite3_file,
    open: *mut Open,
}

/// An open file.
struct Open {
    disk: Disk,
    file: FileId,
    name: String,
    holder: Holder,
    /// The first flush flushes the folder too, as SQLite's own file system does whenever it opens a log, new or not.
    flushes_folder: bool,
    deletes_on_close: bool,
}

/// Makes the file system known to SQLite, once.
pub fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let vfs = Box::leak(Box::new(vfs()));
        // SAFETY: the table is valid and lives for ever.
        let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
        assert_eq!(code, ffi::SQLITE_OK, "SQLite takes no file system");
    });
}

fn vfs() -> ffi::sqlite3_vfs {
    ffi::sqlite3_vfs {
        iVersion: 2,
        szOsFile: c_int::try_from(size_of::<Slot>()).unwrap_or(c_int::MAX),
        mxPathname: PATH_MAX,
        pNext: ptr::null_mut(),
        zName: NAME_C.as_ptr(),
        pAppData: ptr::null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: Some(last_error),
        xCurrentTimeInt64: Some(current_time_ms),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The open file behind SQLite's pointer.
///
/// # Safety
/// `file` was filled by `open` with success and is not closed.
unsafe fn opened<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Open {
    // SAFETY: as the caller promises, `file` is the first field of a `Slot` whose `open` came from a box.
    unsafe { &mut *(*file.cast::<Slot>()).open }
}

/// # Safety
/// `text` is null or a C string.
unsafe fn text<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

fn set_errno(code: c_int) {
    unsafe extern "C" {
        #[cfg_attr(not(target_os = "linux"), link_name = "__error")]
        fn __errno_location() -> *mut c_int;
    }
    // SAFETY: the C library gives the address of this thread's error number.
    unsafe { *__errno_location() = code }
}

fn offset_of(offset: i64) -> usize {
    usize::try_from(offset).unwrap_or(0)
}

unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    static HOLDERS: AtomicU64 = AtomicU64::new(1);
    // SAFETY: SQLite gives room for a `Slot`; without methods it does not call `close` after a failure.
    unsafe { (*file).pMethods = ptr::null() };
    // SAFETY: SQLite gives a C string or null.
    let Some((disk, name)) = unsafe { text(name) }.and_then(Disk::find) else { return ffi::SQLITE_CANTOPEN };
    let mut state = disk.state();
    let there = state.image.names.get(name).copied();
    let may_create = flags & ffi::SQLITE_OPEN_CREATE != 0;
    let must_create = flags & ffi::SQLITE_OPEN_EXCLUSIVE != 0;
    let (number, is_new) = match there {
        Some(number) if !must_create => (number, false),
        None if may_create && !state.dead => (state.image.next, true),
        _ => return ffi::SQLITE_CANTOPEN,
    };
    if is_new {
        state.carry_out(Op::Create { file: number, name: name.to_owned() });
    }
    drop(state);
    let logs = ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;
    let open = Box::new(Open {
        name: name.to_owned(),
        disk: disk.clone(),
        file: number,
        holder: HOLDERS.fetch_add(1, Ordering::Relaxed),
        flushes_folder: may_create && flags & logs != 0,
        deletes_on_close: flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0,
    });
    // SAFETY: SQLite gives room for a `Slot`, and an address for the flags or null.
    unsafe {
        (*file.cast::<Slot>()).open = Box::into_raw(open);
        (*file).pMethods = &raw const METHODS;
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: see `opened`; the box goes here, and SQLite does not use the file any more.
    let open = unsafe { Box::from_raw((*file.cast::<Slot>()).open) };
    let mut state = open.disk.state();
    state.locks.entry(open.file).or_default().unlock(open.holder, ffi::SQLITE_LOCK_NONE);
    leave_shared(&mut state, &open);
    if open.deletes_on_close && !state.dead {
        state.carry_out(Op::Delete { name: open.name.clone(), folder: false });
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, count: c_int, offset: i64) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: see `opened`; SQLite gives room for `count` bytes.
    let (open, into) = unsafe { (opened(file), std::slice::from_raw_parts_mut(into.cast::<u8>(), count)) };
    let state = open.disk.state();
    if state.dead {
        return ffi::SQLITE_IOERR_READ;
    }
    let Some(found) = state.image.files.get(&open.file) else { return ffi::SQLITE_IOERR_READ };
    if found.cached.read(offset_of(offset), into) < count { ffi::SQLITE_IOERR_SHORT_READ } else { ffi::SQLITE_OK }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, count: c_int, offset: i64) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: see `opened`; SQLite gives `count` bytes.
    let (open, bytes) = unsafe { (opened(file), std::slice::from_raw_parts(from.cast::<u8>(), count)) };
    let mut state = open.disk.state();
    if state.dead {
        return ffi::SQLITE_IOERR_WRITE;
    }
    let offset = offset_of(offset);
    let len = state.image.files.get(&open.file).map_or(0, |file| file.cached.len());
    let grows = (offset + count).saturating_sub(len);
    let room = usize::try_from(state.room()).unwrap_or(usize::MAX);
    let strikes = state.faults.strikes(&[Fault::Full, Fault::Quota, Fault::Write]);
    let (code, taken) = match strikes {
        Some(Fault::Write) => (ffi::SQLITE_IOERR_WRITE, count / 2),
        Some(Fault::Quota) => (ffi::SQLITE_IOERR_WRITE, 0),
        Some(_) => (ffi::SQLITE_FULL, 0),
        None if grows > room => (ffi::SQLITE_FULL, count - (grows - room).min(count)),
        None => (ffi::SQLITE_OK, count),
    };
    if taken > 0 {
        state.carry_out(Op::Write { file: open.file, offset, bytes: bytes[..taken].into() });
    }
    drop(state);
    if code == ffi::SQLITE_IOERR_WRITE {
        // As a call that failed leaves it behind.
        set_errno(if strikes == Some(Fault::Quota) { EDQUOT } else { EIO });
    }
    code
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: i64) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    let mut state = open.disk.state();
    if state.dead {
        return ffi::SQLITE_IOERR_TRUNCATE;
    }
    state.carry_out(Op::Resize { file: open.file, len: offset_of(len) });
    ffi::SQLITE_OK
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    let mut state = open.disk.state();
    if state.dead {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    if state.faults.strikes(&[Fault::Sync]).is_some() {
        state.carry_out(Op::SyncFailed { file: open.file });
        return ffi::SQLITE_IOERR_FSYNC;
    }
    if !state.faults.flushes_ignored {
        state.carry_out(Op::Sync { file: open.file, folder: open.flushes_folder });
        open.flushes_folder = false;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: see `opened`; SQLite gives an address for the size.
    unsafe {
        let open = opened(file);
        let len = open.disk.state().image.files.get(&open.file).map_or(0, |file| file.cached.len());
        *size = i64::try_from(len).unwrap_or(i64::MAX);
    }
    ffi::SQLITE_OK
}

fn busy_unless(done: bool) -> c_int {
    if done { ffi::SQLITE_OK } else { ffi::SQLITE_BUSY }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    busy_unless(open.disk.state().locks.entry(open.file).or_default().lock(open.holder, level))
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    open.disk.state().locks.entry(open.file).or_default().unlock(open.holder, level);
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, reserved: *mut c_int) -> c_int {
    // SAFETY: see `opened`; SQLite gives an address for the answer.
    unsafe {
        let open = opened(file);
        *reserved = c_int::from(open.disk.state().locks.entry(open.file).or_default().is_reserved());
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_file: *mut ffi::sqlite3_file, _op: c_int, _argument: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    SECTOR_BYTES
}

unsafe extern "C" fn characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    CHARACTERISTICS
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    bytes: c_int,
    extend: c_int,
    at: *mut *mut c_void,
) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    let mut state = open.disk.state();
    let room = !state.faults.is_full() && state.room() > 0;
    let shared = state.shared.entry(open.file).or_default();
    let (region, bytes) = (usize::try_from(region).unwrap_or(0), usize::try_from(bytes).unwrap_or(0));
    let (code, found) = match shared.map(open.holder, region, bytes, extend != 0, room) {
        Mapped::At(start) => (ffi::SQLITE_OK, start.as_ptr().cast()),
        Mapped::Absent => (ffi::SQLITE_OK, ptr::null_mut()),
        Mapped::NoRoom => (ffi::SQLITE_IOERR_SHMSIZE, ptr::null_mut()),
    };
    // SAFETY: SQLite gives an address for the address.
    unsafe { *at = found };
    code
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, first: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    let mut state = open.disk.state();
    let (first, count) = (usize::try_from(first).unwrap_or(0), usize::try_from(count).unwrap_or(0));
    busy_unless(state.shared.entry(open.file).or_default().lock(open.holder, first, count, flags))
}

unsafe extern "C" fn shm_barrier(_file: *mut ffi::sqlite3_file) {
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    leave_shared(&mut open.disk.state(), open);
    ffi::SQLITE_OK
}

fn leave_shared(state: &mut crate::disk::State, open: &Open) {
    if state.shared.get_mut(&open.file).is_some_and(|shared| shared.leave(open.holder)) {
        state.shared.remove(&open.file);
    }
}

unsafe extern "C" fn delete(_vfs: *mut ffi::sqlite3_vfs, name: *const c_char, folder: c_int) -> c_int {
    // SAFETY: SQLite gives a C string.
    let Some((disk, name)) = unsafe { text(name) }.and_then(Disk::find) else { return ffi::SQLITE_IOERR_DELETE };
    let mut state = disk.state();
    if state.dead {
        return ffi::SQLITE_IOERR_DELETE;
    }
    if !state.image.names.contains_key(name) {
        return ffi::SQLITE_IOERR_DELETE_NOENT;
    }
    let folder = folder != 0 && !state.faults.flushes_ignored;
    state.carry_out(Op::Delete { name: name.to_owned(), folder });
    ffi::SQLITE_OK
}

unsafe extern "C" fn access(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _flags: c_int,
    answer: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a C string, and an address for the answer.
    unsafe {
        let found = text(name).and_then(Disk::find);
        *answer = c_int::from(found.is_some_and(|(disk, name)| disk.state().image.names.contains_key(name)));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite gives a C string and room for `room` bytes.
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > usize::try_from(room).unwrap_or(0) {
            return ffi::SQLITE_CANTOPEN;
        }
        ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len());
    }
    ffi::SQLITE_OK
}

/// SQLite asks the default file system for its own random numbers, not this one.
unsafe extern "C" fn randomness(_vfs: *mut ffi::sqlite3_vfs, count: c_int, out: *mut c_char) -> c_int {
    // SAFETY: SQLite gives room for `count` bytes.
    unsafe { ptr::write_bytes(out, 0, usize::try_from(count).unwrap_or(0)) };
    count
}

unsafe extern "C" fn sleep(_vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    std::thread::sleep(Duration::from_micros(u64::try_from(microseconds).unwrap_or(0)));
    microseconds
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH_MS + i64::try_from(since.as_millis()).unwrap_or(0)
}

unsafe extern "C" fn current_time(_vfs: *mut ffi::sqlite3_vfs, days: *mut f64) -> c_int {
    // SAFETY: SQLite gives an address for the time.
    unsafe { *days = now_ms() as f64 / 86_400_000.0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time_ms(_vfs: *mut ffi::sqlite3_vfs, ms: *mut i64) -> c_int {
    // SAFETY: SQLite gives an address for the time.
    unsafe { *ms = now_ms() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn last_error(_vfs: *mut ffi::sqlite3_vfs, _room: c_int, _out: *mut c_char) -> c_int {
    0
}
