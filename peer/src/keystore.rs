//! The data directory: made for its owner alone, locked by one process, with the identity key in it. Not here: the
//! store's contents and the control socket, which only get their paths.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use common::identity::Identity;
use etcetera::BaseStrategy;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of the seed in `identity.key`.
const SEED_BYTES: usize = 32;
const KEY_FILE: &str = "identity.key";
const NEW_KEY_FILE: &str = "identity.key.new";
const LOCK_FILE: &str = "lock";
const STORE_FILE: &str = "store.sqlite";
const CONTROL_SOCKET: &str = "control.sock";

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// Another process owns it.
    #[error("the data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The identity key has not the size of one.
    #[error("{} is damaged: it has {bytes} bytes, an identity key has {SEED_BYTES}", path.display())]
    DamagedKey {
        /// The key file.
        path: PathBuf,
        /// Its size, counted up to one more than a key has.
        bytes: usize,
    },
    /// Others may read or write the identity key.
    #[error("others may read {} (mode {mode:o}): if they never had the chance, make it 0600", path.display())]
    OpenKey {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others may write in the directory.
    #[error("others may write in {} (mode {mode:o}): make it 0700", path.display())]
    OpenDirectory {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is a store but no identity key: a new key would not own the messages.
    #[error("{} is missing beside a message store: put it back, or use another data directory", .0.display())]
    LostKey(PathBuf),
    /// No home folder is known.
    #[error("there is no home folder for a default data directory: name one with --data-dir")]
    NoHome,
    /// The system has no entropy.
    #[error("the system gives no random bytes: {0}")]
    Entropy(getrandom::Error),
    /// Something cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

/// A data directory that this process owns until it drops it.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    identity: Identity,
    /// The lock goes with the file.
    _lock: File,
}

impl DataDir {
    /// Where the peer with this UDP port keeps its data unless told otherwise: `homing/peer-PORT` in the XDG data folder.
    ///
    /// # Errors
    /// [`DataDirError::NoHome`].
    pub fn default_path(port: u16) -> Result<PathBuf, DataDirError> {
        let strategy = etcetera::choose_base_strategy().map_err(|_| DataDirError::NoHome)?;
        Ok(strategy.data_dir().join("homing").join(format!("peer-{port}")))
    }

    /// Creates the directory if need be (mode 0700), takes its lock, loads or creates the identity key.
    ///
    /// # Errors
    /// [`DataDirError`]; nothing that exists is ever overwritten.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| failed(path, error))?;
        let mode = mode_of(path)?;
        if mode & 0o022 != 0 {
            return Err(DataDirError::OpenDirectory { path: path.to_owned(), mode });
        }
        let lock = lock(path)?;
        let identity = match load_key(&path.join(KEY_FILE))? {
            Some(identity) => identity,
            None => create_key(path)?,
        };
        Ok(Self { path: path.to_owned(), identity, _lock: lock })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The identity in it.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where the message store is, or is to be.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.path.join(STORE_FILE)
    }

    /// Where the control socket is to be. A file found there is stale: this process has the lock.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        Self::control_socket_in(&self.path)
    }

    /// Where the process that owns the data directory `path` has its control socket.
    #[must_use]
    pub fn control_socket_in(path: &Path) -> PathBuf {
        path.join(CONTROL_SOCKET)
    }

    /// Removes what an earlier process left at the control socket's place.
    ///
    /// # Errors
    /// [`DataDirError::File`] when it is there and cannot be removed.
    pub fn remove_stale_socket(&self) -> Result<(), DataDirError> {
        let path = self.control_socket();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&path, error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn failed(path: &Path, error: impl Into<std::io::Error>) -> DataDirError {
    DataDirError::File { path: path.to_owned(), error: error.into() }
}

fn mode_of(path: &Path) -> Result<u32, DataDirError> {
    let metadata = std::fs::metadata(path).map_err(|error| failed(path, error))?;
    Ok(metadata.permissions().mode() & 0o777)
}

fn lock(folder: &Path) -> Result<File, DataDirError> {
    let path = folder.join(LOCK_FILE);
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = opened.map_err(|error| failed(&path, error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(DataDirError::InUse(folder.to_owned())),
        Err(error) => Err(failed(&path, error)),
    }
}

fn load_key(path: &Path) -> Result<Option<Identity>, DataDirError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, error)),
    };
    let mode = file.metadata().map_err(|error| failed(path, error))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(DataDirError::OpenKey { path: path.to_owned(), mode });
    }
    // Room for one byte too many, and never grown: no copy of the seed stays behind in freed memory.
    let mut buffer = Zeroizing::new([0; SEED_BYTES + 1]);
    let mut bytes = 0;
    while bytes < buffer.len() {
        match file.read(&mut buffer[bytes..]).map_err(|error| failed(path, error))? {
            0 => break,
            read => bytes += read,
        }
    }
    if bytes != SEED_BYTES {
        return Err(DataDirError::DamagedKey { path: path.to_owned(), bytes });
    }
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    seed.copy_from_slice(&buffer[..SEED_BYTES]);
    Ok(Some(Identity::from_seed(&seed)))
}

/// Written aside and renamed, so that there is a whole key or none.
fn create_key(folder: &Path) -> Result<Identity, DataDirError> {
    let (path, aside) = (folder.join(KEY_FILE), folder.join(NEW_KEY_FILE));
    if folder.join(STORE_FILE).exists() {
        return Err(DataDirError::LostKey(path));
    }
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    getrandom::fill(seed.as_mut_slice()).map_err(DataDirError::Entropy)?;
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside);
    let mut file = opened.map_err(|error| failed(&aside, error))?;
    // The mode above counts only for a new file; one left by a crash may have another.
    file.set_permissions(Permissions::from_mode(0o600)).map_err(|error| failed(&aside, error))?;
    file.write_all(seed.as_slice()).and_then(|()| file.sync_all()).map_err(|error| failed(&aside, error))?;
    std::fs::rename(&aside, &path).map_err(|error| failed(&path, error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(folder, error))?;
    Ok(Identity::from_seed(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_new_directory_and_its_key_are_for_the_owner_alone() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("deep").join("peer-1");
        let dir = DataDir::open(&path).unwrap();
        assert_eq!(mode_of(&path).unwrap(), 0o700);
        assert_eq!(mode_of(&path.join(KEY_FILE)).unwrap(), 0o600);
        assert!(!path.join(NEW_KEY_FILE).exists());
        assert_eq!(dir.control_socket(), path.join("control.sock"));
    }

    #[test]
    fn the_key_stays_the_same_and_differs_between_directories() {
        let temp = tempfile::tempdir().unwrap();
        let first = DataDir::open(&temp.path().join("a")).unwrap().identity().public();
        let again = DataDir::open(&temp.path().join("a")).unwrap().identity().public();
        let other = DataDir::open(&temp.path().join("b")).unwrap().identity().public();
        assert_eq!(first, again);
        assert_ne!(first, other);
    }

    #[test]
    fn one_owner_at_a_time() {
        let temp = tempfile::tempdir().unwrap();
        let owner = DataDir::open(temp.path()).unwrap();
        assert!(matches!(DataDir::open(temp.path()), Err(DataDirError::InUse(_))));
        drop(owner);
        assert!(DataDir::open(temp.path()).is_ok());
    }

    #[test]
    fn a_damaged_key_is_refused_and_left_as_it_is() {
        let temp = tempfile::tempdir().unwrap();
        let key = temp.path().join(KEY_FILE);
        for damaged in [&[][..], &[7; 31], &[7; 33], &[7; 4096]] {
            std::fs::write(&key, damaged).unwrap();
            set_mode(&key, 0o600);
            assert!(matches!(DataDir::open(temp.path()), Err(DataDirError::DamagedKey { .. })));
            assert_eq!(std::fs::read(&key).unwrap(), damaged);
        }
    }

    #[test]
    fn a_key_others_may_read_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        drop(DataDir::open(temp.path()).unwrap());
        for mode in [0o640, 0o604, 0o620] {
            set_mode(&temp.path().join(KEY_FILE), mode);
            assert!(
                matches!(DataDir::open(temp.path()), Err(DataDirError::OpenKey { mode: found, .. }) if found == mode)
            );
        }
        set_mode(&temp.path().join(KEY_FILE), 0o600);
        set_mode(temp.path(), 0o777);
        assert!(matches!(DataDir::open(temp.path()), Err(DataDirError::OpenDirectory { .. })));
    }

    #[test]
    fn what_a_crash_left_beside_the_key_does_no_harm() {
        let temp = tempfile::tempdir().unwrap();
        let aside = temp.path().join(NEW_KEY_FILE);
        std::fs::write(&aside, [9; 7]).unwrap();
        set_mode(&aside, 0o644);
        drop(DataDir::open(temp.path()).unwrap());
        assert_eq!(mode_of(&temp.path().join(KEY_FILE)).unwrap(), 0o600);
    }

    #[test]
    fn no_new_key_is_made_beside_an_old_store() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join(STORE_FILE), b"messages").unwrap();
        assert!(matches!(DataDir::open(temp.path()), Err(DataDirError::LostKey(_))));
        assert!(!temp.path().join(KEY_FILE).exists());
    }

    #[test]
    fn a_stale_socket_is_removed_once() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        std::fs::write(dir.control_socket(), b"").unwrap();
        dir.remove_stale_socket().unwrap();
        assert!(!dir.control_socket().exists());
        dir.remove_stale_socket().unwrap();
    }
}
