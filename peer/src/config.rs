//! Settings of one run: the command line and its environment over `config.toml` over the defaults, checked together.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use common::name::Name;
use etcetera::BaseStrategy;
use peer_core::event::AcceptFrom;
use serde::Deserialize;
use thiserror::Error;

use crate::cli::Options;
use crate::cli::values::{self, DIRECTORY_PORT, DirectoryAddress, PEER_PORT};
use crate::front::hooks::CAN_NOTIFY;
use crate::keystore::DataDir;

/// Bytes of a configuration file that are read.
const FILE_MAX_BYTES: u64 = 64 * 1024;

/// Why the settings cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file is no configuration.
    #[error("{}: {why}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong, with the key, the value and what is accepted.
        why: String,
    },
    /// A port that changes from start to start names no folder.
    #[error("'--bind' with port 0 picks another port at each start and needs '--data-dir DIR'")]
    PortZero,
    /// Built without.
    #[error("'--notify': this build shows no notifications; build it with '--features notifications'")]
    NoNotifications,
    /// No default data directory.
    #[error("{0}")]
    NoDataDir(#[from] crate::keystore::DataDirError),
}

/// Everything that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// UDP address to bind.
    pub bind: SocketAddr,
    /// The directory.
    pub directory: DirectoryAddress,
    /// Identity and messages.
    pub data_dir: PathBuf,
    /// Name to register if none is.
    pub name: Option<Name>,
    /// Address to publish instead of the own one.
    pub advertise: Option<SocketAddr>,
    /// JSON lines.
    pub json: bool,
    /// No colour even on a terminal.
    pub no_color: bool,
    /// The program to be run for every message put out, with its arguments; empty: none.
    pub on_message: Vec<String>,
    /// Desktop notifications.
    pub notify: bool,
    /// Where to log what happens to every message.
    pub event_log: Option<PathBuf>,
    /// Where accepted files are put, absolute.
    pub downloads: PathBuf,
    /// Whose files are accepted without asking.
    pub accept_from: AcceptFrom,
    /// How much is logged.
    pub verbose: u8,
    /// Errors only.
    pub quiet: bool,
}

/// `config.toml` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct File {
    bind: Option<String>,
    directory: Option<String>,
    data_dir: Option<PathBuf>,
    name: Option<String>,
    advertise: Option<String>,
    json: bool,
    no_color: bool,
    on_message: Option<String>,
    notify: bool,
    event_log: Option<PathBuf>,
    downloads: Option<PathBuf>,
    accept_from: Option<String>,
    verbose: u8,
    quiet: bool,
}

impl Settings {
    /// Resolves the options with the configuration file of this user, if there is one.
    ///
    /// # Errors
    /// [`ConfigError`]: all of them wrong usage.
    pub fn resolve(options: Options) -> Result<Self, ConfigError> {
        let path = etcetera::choose_base_strategy().ok().map(|base| base.config_dir().join("homing/config.toml"));
        Self::resolve_with(options, path.as_deref())
    }

    fn resolve_with(options: Options, path: Option<&Path>) -> Result<Self, ConfigError> {
        let text = path.map(read).transpose()?.flatten().unwrap_or_default();
        Self::from_text(options, &text, path.unwrap_or(Path::new("")))
    }

    /// Resolves the options with the text of a configuration file, which errors call `path`.
    ///
    /// # Errors
    /// [`ConfigError`]: all of them wrong usage.
    pub fn from_text(options: Options, text: &str, path: &Path) -> Result<Self, ConfigError> {
        let content = |why: String| ConfigError::Content { path: path.to_owned(), why };
        let file: File = toml::from_str(text).map_err(|error| content(error.to_string()))?;
        let bind = or_file(options.bind, "bind", file.bind, values::bind).map_err(content)?;
        let directory = or_file(options.directory, "directory", file.directory, DirectoryAddress::from_str);
        let advertise = or_file(options.advertise, "advertise", file.advertise, values::advertise);
        let program = or_file(options.on_message, "on-message", file.on_message, values::program).map_err(content)?;
        let notify = options.notify || file.notify;
        if notify && !CAN_NOTIFY {
            return Err(ConfigError::NoNotifications);
        }
        let bind = bind.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, PEER_PORT).into());
        let accept_from = or_file(options.accept_from, "accept-from", file.accept_from, values::accept_from);
        let data_dir = data_dir(options.data_dir.or(file.data_dir), bind.port())?;
        let here = || DirectoryAddress { address: format!("localhost:{DIRECTORY_PORT}"), pin: None };
        Ok(Self {
            bind,
            directory: directory.map_err(content)?.unwrap_or_else(here),
            downloads: absolute(options.downloads.or(file.downloads).unwrap_or_else(|| data_dir.join("downloads"))),
            data_dir,
            name: or_file(options.name, "name", file.name, values::name).map_err(content)?,
            advertise: advertise.map_err(content)?,
            json: options.json || file.json,
            no_color: options.no_color || file.no_color,
            on_message: program.map(|program| program.0).unwrap_or_default(),
            notify,
            event_log: options.event_log.or(file.event_log),
            accept_from: accept_from.map_err(content)?.unwrap_or_default(),
            verbose: if options.verbose > 0 || options.quiet { options.verbose } else { file.verbose },
            quiet: options.quiet || (file.quiet && options.verbose == 0),
        })
    }
}

fn data_dir(given: Option<PathBuf>, port: u16) -> Result<PathBuf, ConfigError> {
    match given {
        Some(given) => Ok(given),
        None if port == 0 => Err(ConfigError::PortZero),
        None => Ok(DataDir::default_path(port)?),
    }
}

/// The path as it is from everywhere: it is shown, and stored.
fn absolute(path: PathBuf) -> PathBuf {
    // Without a working directory a path stays as it was given.
    std::path::absolute(&path).unwrap_or(path)
}

/// What was given, else what the file says, parsed alike.
fn or_file<T>(
    given: Option<T>,
    key: &str,
    text: Option<String>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    match (given, text) {
        (Some(given), _) => Ok(Some(given)),
        (None, Some(text)) => {
            parse(&text).map(Some).map_err(|accepted| format!("invalid value '{text}' for '{key}': {accepted}"))
        }
        (None, None) => Ok(None),
    }
}

/// The text of the file; none when there is no such file.
fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    use std::io::Read;
    let failed = |error| ConfigError::File { path: path.to_owned(), error };
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let mut text = String::new();
    file.take(FILE_MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(options: Options, content: &str) -> Result<Settings, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, content).unwrap();
        Settings::resolve_with(options, Some(&path))
    }

    fn at(data_dir: &str) -> Options {
        Options { data_dir: Some(data_dir.into()), ..Options::default() }
    }

    #[test]
    fn options_beat_the_file_which_beats_the_defaults() {
        let content = "bind = \"10.0.0.1:7\"\ndirectory = \"file.example\"\nname = \"alice\"\njson = true\n\
                       event-log = \"/x/events\"\n";
        let options = Options { bind: Some("127.0.0.1:5".parse().unwrap()), ..at("/x") };
        let settings = resolve(options, content).unwrap();
        assert_eq!(settings.bind, "127.0.0.1:5".parse().unwrap());
        assert_eq!(settings.directory.address, "file.example:8282");
        assert_eq!(settings.event_log.as_deref(), Some(Path::new("/x/events")));
        assert!(settings.json && settings.name == Some("alice".parse().unwrap()));
        let defaults = Settings::resolve_with(at("/x"), None).unwrap();
        assert_eq!(
            (defaults.bind.to_string(), defaults.directory.address),
            ("0.0.0.0:8283".into(), "localhost:8282".into())
        );
    }

    #[test]
    fn files_lie_in_the_data_directory_and_are_accepted_from_nobody_unless_said_otherwise() {
        let defaults = resolve(at("/x"), "").unwrap();
        assert_eq!((defaults.downloads, defaults.accept_from), (PathBuf::from("/x/downloads"), AcceptFrom::Nobody));
        let content = "downloads = \"/srv/in\"\naccept-from = \"verified\"\n";
        let of_file = resolve(at("/x"), content).unwrap();
        assert_eq!((of_file.downloads, of_file.accept_from), (PathBuf::from("/srv/in"), AcceptFrom::Verified));
        let (downloads, accept_from) = (Some("in".into()), Some(AcceptFrom::Nobody));
        let given = resolve(Options { downloads, accept_from, ..at("/x") }, content).unwrap();
        assert_eq!((given.downloads.is_absolute(), given.downloads.ends_with("in")), (true, true));
        assert_eq!(given.accept_from, AcceptFrom::Nobody);
        let error = resolve(at("/x"), "accept-from = \"x\"").unwrap_err().to_string();
        assert!(["accept-from", "'x'", "contacts"].iter().all(|word| error.contains(word)), "{error}");
    }

    #[test]
    fn a_bad_file_names_the_key_the_value_and_what_is_accepted() {
        let error = resolve(at("/x"), "bind = \"nonsense\"").unwrap_err().to_string();
        assert!(["bind", "nonsense", "localhost", "config.toml"].iter().all(|word| error.contains(word)), "{error}");
        assert!(resolve(at("/x"), "frob = 1").unwrap_err().to_string().contains("frob"));
    }

    #[test]
    fn port_0_needs_a_data_directory() {
        let options = Options { bind: Some("127.0.0.1:0".parse().unwrap()), ..Options::default() };
        assert!(matches!(Settings::resolve_with(options.clone(), None), Err(ConfigError::PortZero)));
        assert!(Settings::resolve_with(Options { data_dir: Some("/x".into()), ..options }, None).is_ok());
    }
}
