//! The operator's commands on names and groups, beside a server that may be running: they open the same store as a second
//! process. A server asks the store at every look-up, so it notices by itself.

use std::fmt::Write;
use std::path::Path;

use common::name::Name;
use thiserror::Error;

use crate::cli::{GroupCommand, UserCommand};
use crate::data_dir::DATABASE_FILE;
use crate::store::StoreError;
use crate::store::group_list::GroupEntry;
use crate::store::people::{Entry, People};

/// Names read at once.
const PAGE: usize = 500;

/// Why a command did nothing.
#[derive(Debug, Error)]
pub enum AdminError {
    /// No server has run with this data folder.
    #[error("there is no directory-server's store in {0}; name its folder with --data-dir")]
    NoStore(String),
    /// Nobody has this name.
    #[error("no such user: {0:?} is not registered")]
    NoSuchUser(Name),
    /// No group has this name.
    #[error("no such group: no group is called {0:?}")]
    NoSuchGroup(Name),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The output is closed.
    #[error("the output is closed: {0}")]
    Output(#[from] std::io::Error),
}

impl AdminError {
    /// The exit code that belongs to it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoSuchUser(_) | Self::NoSuchGroup(_) => 5,
            Self::Store(StoreError::Newer { .. } | StoreError::Foreign | StoreError::Damaged(_)) => 9,
            _ => 1,
        }
    }
}

/// Carries out `command` on the store in `data_dir`; each line of the answer is given to `print`.
///
/// # Errors
/// [`AdminError`], and then nothing was changed.
pub fn run(
    data_dir: &Path,
    command: &UserCommand,
    mut print: impl FnMut(&str) -> std::io::Result<()>,
) -> Result<(), AdminError> {
    let people = open(data_dir)?;
    match command {
        UserCommand::List => list(&people, print),
        UserCommand::Show { name } => {
            let entry = people.show(name)?.ok_or_else(|| AdminError::NoSuchUser(name.clone()))?;
            Ok(print(&sheet(&entry))?)
        }
        UserCommand::Release { name } => {
            if !people.release(name)? {
                return Err(AdminError::NoSuchUser(name.clone()));
            }
            Ok(print(&format!("released {name}; another key can register it now"))?)
        }
    }
}

/// The same with groups.
///
/// # Errors
/// [`AdminError`], and then nothing was changed.
pub fn run_on_groups(
    data_dir: &Path,
    command: &GroupCommand,
    mut print: impl FnMut(&str) -> std::io::Result<()>,
) -> Result<(), AdminError> {
    let people = open(data_dir)?;
    match command {
        GroupCommand::List => list_groups(&people, print),
        GroupCommand::Release { name } => {
            if !people.release_group(name)? {
                return Err(AdminError::NoSuchGroup(name.clone()));
            }
            Ok(print(&format!("released @{name}; another group can have the name now, its members keep the group"))?)
        }
    }
}

fn open(data_dir: &Path) -> Result<People, AdminError> {
    let path = data_dir.join(DATABASE_FILE);
    if !path.exists() {
        return Err(AdminError::NoStore(data_dir.display().to_string()));
    }
    Ok(People::open(&path)?)
}

fn list_groups(people: &People, mut print: impl FnMut(&str) -> std::io::Result<()>) -> Result<(), AdminError> {
    let mut after = None;
    loop {
        let page = people.groups(after, PAGE)?;
        for entry in &page {
            let GroupEntry { name, id, private, members, steps, bytes, named, .. } = entry;
            let name = if *named { format!("@{name}") } else { format!("(@{name})") };
            let id = u128::from_be_bytes(*id);
            let kind = if *private { "private" } else { "public" };
            print(&format!("{name} {id:032x} {kind} {members} members {steps} steps {bytes} bytes"))?;
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.number),
            _ => return Ok(()),
        }
    }
}

fn list(people: &People, mut print: impl FnMut(&str) -> std::io::Result<()>) -> Result<(), AdminError> {
    let mut after: Option<Name> = None;
    loop {
        let page = people.list(after.as_ref(), PAGE)?;
        for entry in &page {
            let Entry { name, key, items, bytes, .. } = entry;
            print(&format!("{name} {} {items} waiting {bytes} bytes", key.fingerprint()))?;
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
            _ => return Ok(()),
        }
    }
}

fn sheet(entry: &Entry) -> String {
    let mut sheet = String::new();
    let time = |ms: Option<i64>| ms.map_or_else(|| "never".to_owned(), |ms| format!("{} (unix seconds)", ms / 1000));
    let lines = [
        ("name", entry.name.to_string()),
        ("fingerprint", entry.key.fingerprint().to_string()),
        ("last seen", time(entry.seen_ms)),
        ("last login", time(entry.login_ms)),
        ("waiting", format!("{} messages, {} bytes", entry.items, entry.bytes)),
        ("files waiting", format!("{} files, {} bytes", entry.files, entry.file_bytes)),
        ("sent and waiting elsewhere", format!("{} messages", entry.sent_items)),
        ("accepted senders", entry.accepted.to_string()),
    ];
    for (title, value) in lines {
        // Writing into a string does not fail.
        let _ = writeln!(sheet, "{title}: {value}");
    }
    sheet.trim_end().to_owned()
}
