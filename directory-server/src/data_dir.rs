//! The data folder: who owns it, whether it is fit to hold a database, the server's key in it, how much room is left.
//! What lies in the database is none of its business.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use common::identity::Identity;
use rustix::fs::{FlockOperation, fstatfs, fstatvfs};
use thiserror::Error;
use zeroize::Zeroizing;

/// Name of the database file.
pub const DATABASE_FILE: &str = "directory.db";
/// Name of the file with the server's private key: 32 bytes, readable by its owner only.
pub const KEY_FILE: &str = "identity.key";
/// Name of the file whose lock says who owns the folder.
pub const LOCK_FILE: &str = "lock";

/// File systems on which locks or memory maps of another machine cannot be trusted, by their magic number
/// (statfs(2)): NFS, SMB, CIFS, SMB2, AFS, Coda, NCP, 9P, Ceph.
const NETWORK_FILE_SYSTEMS: [u64; 9] =
    [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x5346_414f, 0x7375_7245, 0x564c, 0x0102_1997, 0x00c3_6400];

/// Why a data folder cannot be used.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// Another process owns it.
    #[error("the data folder {} is in use by another directory-server; stop that one or choose another --data-dir", .0.display())]
    InUse(PathBuf),
    /// It lies on another machine's disk.
    #[error("the data folder {} lies on a network file system, where a database cannot be kept safely; choose a local one", .0.display())]
    Network(PathBuf),
    /// The key file has another size than 32 bytes.
    #[error("{} is damaged: it has {bytes} bytes where 32 are expected; put back a copy, or remove it for a new identity that every peer will have to accept", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What it has.
        bytes: usize,
    },
    /// The operating system says no.
    #[error("{}: {error}", path.display())]
    Io {
        /// At which file or folder.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// No randomness for a new key.
    #[error("the operating system gives no random numbers: {0}")]
    Entropy(String),
}

/// A data folder that this process owns until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// The lock lives as long as this file is open.
    lock: File,
}

impl DataDir {
    /// Creates the folder if needed (mode 0700) and takes its lock.
    ///
    /// # Errors
    /// [`DataDirError`] when it is owned by another process, on a network file system or not usable.
    pub fn own(path: &Path) -> Result<Self, DataDirError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))?;
        let lock_path = path.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(at(&lock_path))?;
        refuse_network(path, &lock)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(DataDirError::InUse(path.to_owned())),
            Err(error) => Err(at(&lock_path)(error.into())),
        }
    }

    /// The database file's path.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FILE)
    }

    /// The server's key; made at the first call, and on stable storage before this returns.
    ///
    /// # Errors
    /// [`DataDirError`] when the file is damaged or cannot be read or made.
    pub fn identity(&self) -> Result<Identity, DataDirError> {
        if let Some(identity) = identity_in(&self.path)? {
            return Ok(identity);
        }
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|error| DataDirError::Entropy(error.to_string()))?;
        let (path, temporary) = (self.path.join(KEY_FILE), self.path.join("identity.key.new"));
        write_private(&temporary, &*seed).map_err(at(&temporary))?;
        fs::rename(&temporary, &path).map_err(at(&path))?;
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(at(&self.path))?;
        Ok(Identity::from_seed(&seed))
    }

    /// Free and total bytes of the disk the folder lies on, for a process without privileges.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn room(&self) -> io::Result<Room> {
        let stat = fstatvfs(&self.lock)?;
        Ok(Room { free_bytes: stat.f_bavail * stat.f_frsize, total_bytes: stat.f_blocks * stat.f_frsize })
    }
}

/// Free bytes of the disk that the database's log may take before its pages go into the file.
const LOG_ROOM_BYTES: u64 = 256 * 1024 * 1024;

/// How much room a disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What may still be written.
    pub free_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
}

impl Room {
    /// What may still be kept when the database file has so many `spare_bytes` inside, which no deleting gives back to
    /// the disk. They are of no use while the disk has no room for the log, through which everything is written.
    #[must_use]
    pub fn usable_bytes(&self, spare_bytes: u64) -> u64 {
        if self.free_bytes < LOG_ROOM_BYTES { self.free_bytes } else { self.free_bytes.saturating_add(spare_bytes) }
    }
}

/// The server's key, if it has been made. Needs no ownership of the folder.
///
/// # Errors
/// [`DataDirError`] when the file is damaged or cannot be read.
pub fn identity_in(folder: &Path) -> Result<Option<Identity>, DataDirError> {
    let path = folder.join(KEY_FILE);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(&path)(error)),
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(64));
    Read::by_ref(&mut file).take(64).read_to_end(&mut bytes).map_err(at(&path))?;
    let seed: Zeroizing<[u8; 32]> = match bytes.as_slice().try_into() {
        Ok(seed) => Zeroizing::new(seed),
        Err(_) => return Err(DataDirError::Key { path, bytes: bytes.len() }),
    };
    // A key that others could read is closed again; whoever copied it before has it.
    if file.metadata().map_err(at(&path))?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(at(&path))?;
        tracing::warn!("the key file was readable by others; its mode is 0600 again");
    }
    Ok(Some(Identity::from_seed(&seed)))
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn refuse_network(path: &Path, file: &File) -> Result<(), DataDirError> {
    let magic = fstatfs(file).map_err(|error| at(path)(error.into()))?.f_type;
    // The field's width and sign differ between machines; the magic numbers are 32 bits.
    let magic = u64::from(magic as u32);
    if NETWORK_FILE_SYSTEMS.contains(&magic) { Err(DataDirError::Network(path.to_owned())) } else { Ok(()) }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_owned();
    move |error| DataDirError::Io { path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("data");
        let owner = DataDir::own(&path).unwrap();
        assert!(matches!(DataDir::own(&path), Err(DataDirError::InUse(_))));
        drop(owner);
        DataDir::own(&path).unwrap();
    }

    #[test]
    fn the_key_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let owner = DataDir::own(folder.path()).unwrap();
        assert!(identity_in(folder.path()).unwrap().is_none());
        let made = owner.identity().unwrap().public();
        assert_eq!(owner.identity().unwrap().public(), made);
        let key = folder.path().join(KEY_FILE);
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(identity_in(folder.path()).unwrap().unwrap().public(), made);
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn room_inside_the_database_counts_as_long_as_its_log_fits() {
        let room = |free_bytes| Room { free_bytes, total_bytes: 1 << 40 };
        assert_eq!(room(300 << 20).usable_bytes(1 << 30), (300 << 20) + (1 << 30));
        assert_eq!(room(200 << 20).usable_bytes(1 << 30), 200 << 20);
    }

    #[test]
    fn a_damaged_key_is_said_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let owner = DataDir::own(folder.path()).unwrap();
        for bytes in [31, 33, 0] {
            fs::write(folder.path().join(KEY_FILE), vec![1; bytes]).unwrap();
            assert!(matches!(owner.identity(), Err(DataDirError::Key { bytes: found, .. }) if found == bytes));
        }
    }
}
