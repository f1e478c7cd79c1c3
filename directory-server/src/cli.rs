//! The command line: options, their environment variables and what they accept. It parses and decides where the data
//! lies; it opens nothing.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser, Subcommand};
use common::limits::{KEPT_FILE_MIB_MAX, MAILBOX_FILES_MIB_MAX};
use common::name::Name;
use directory_core::Limits;
use etcetera::BaseStrategy;
use thiserror::Error;

/// Default TCP port.
pub const PORT: u16 = 8282;
/// Where a server that root starts keeps its data.
pub const ROOT_DATA_DIR: &str = "/var/lib/homing";

/// The postbox of Homing: keeps names, addresses and sealed messages for people who are away.
#[derive(Debug, Clone, Parser)]
#[command(name = "directory-server", version, propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    /// TCP port; 0 picks a free one
    #[arg(
        short, long, global = true, value_name = "PORT", env = "HOMING_PORT",
        default_value_t = PORT, value_parser = parse_port
    )]
    pub port: u16,

    /// IP address to listen on [default: all interfaces, IPv4 and IPv6]
    #[arg(long, global = true, value_name = "IP", env = "HOMING_BIND", value_parser = parse_bind)]
    pub bind: Option<IpAddr>,

    /// Identity and messages [default: the XDG data folder, homing/directory-server; for root /var/lib/homing]
    #[arg(long, global = true, value_name = "DIR", env = "HOMING_DATA_DIR", value_parser = parse_dir)]
    pub data_dir: Option<PathBuf>,

    /// More log on standard error; twice for still more
    #[arg(short, long, global = true, action = ArgAction::Count, env = "HOMING_VERBOSE")]
    pub verbose: u8,

    /// Only warnings and errors in the log
    #[arg(short, long, global = true, env = "HOMING_QUIET", value_parser = BoolishValueParser::new(),
          action = ArgAction::SetTrue, conflicts_with = "verbose")]
    pub quiet: bool,

    /// One JSON object a log line
    #[arg(long, global = true, env = "HOMING_JSON_LOG", value_parser = BoolishValueParser::new(),
          action = ArgAction::SetTrue)]
    pub json_log: bool,

    /// Append what happens to every item to this file, as JSON lines
    #[arg(long, global = true, value_name = "FILE", env = "HOMING_EVENT_LOG", value_parser = parse_file)]
    pub event_log: Option<PathBuf>,

    /// Largest file kept for people who are away, MiB; 0: none. Larger ones wait until both are there
    #[arg(
        long, global = true, value_name = "MIB", env = "HOMING_MAX_FILE",
        default_value_t = KEPT_FILE_MIB_MAX, value_parser = parse_max_file
    )]
    pub max_file: u64,

    /// What to do; without it: serve
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program is asked to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Serve (the default)
    Serve,
    /// Look after registered names, while the server runs or not
    #[command(subcommand)]
    User(UserCommand),
    /// Look after groups, while the server runs or not
    #[command(subcommand)]
    Group(GroupCommand),
    /// Print the fingerprint of this server's key
    Fingerprint,
}

/// What can be done with registered names.
#[derive(Debug, Clone, Subcommand)]
pub enum UserCommand {
    /// One line a name: name, fingerprint, waiting messages, their bytes
    List,
    /// Everything known about one name
    Show {
        /// The name
        name: Name,
    },
    /// Free a name, so that another key can register it (a lost laptop must not lock a name)
    Release {
        /// The name
        name: Name,
    },
}

/// What can be done with groups.
#[derive(Debug, Clone, Subcommand)]
pub enum GroupCommand {
    /// One line a group that lives: name, identity, private or public, members, steps, bytes of them
    List,
    /// Free a group's name, so that another group can have it; its members keep the group
    Release {
        /// The name
        name: Name,
    },
}

/// No place for the data can be worked out.
#[derive(Debug, Error)]
#[error("there is no home folder to keep data in; name one with --data-dir DIR or HOMING_DATA_DIR")]
pub struct NoHome;

impl Cli {
    /// The limits, as far as they can be chosen.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.files.file_bytes = self.max_file * 1024 * 1024;
        limits
    }

    /// The folder with identity and messages: as given, else root's own, else the XDG data folder.
    ///
    /// # Errors
    /// [`NoHome`] when nothing was given and no home folder is known.
    pub fn data_dir(&self) -> Result<PathBuf, NoHome> {
        if let Some(given) = &self.data_dir {
            return Ok(given.clone());
        }
        if rustix::process::geteuid().is_root() {
            return Ok(PathBuf::from(ROOT_DATA_DIR));
        }
        let base = etcetera::base_strategy::Xdg::new().map_err(|_| NoHome)?;
        Ok(base.data_dir().join("homing").join("directory-server"))
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "a port is a number from 0 to 65535".to_owned())
}

fn parse_bind(text: &str) -> Result<IpAddr, String> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| "accepted are an IPv4 or IPv6 address without a port, or localhost".to_owned())
}

fn parse_max_file(text: &str) -> Result<u64, String> {
    let mib = text.parse().ok().filter(|mib| *mib <= MAILBOX_FILES_MIB_MAX);
    mib.ok_or_else(|| {
        format!("accepted are whole MiB from 0 to {MAILBOX_FILES_MIB_MAX}, which is what one mailbox holds")
    })
}

fn parse_dir(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("the path of a folder is wanted".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn parse_file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("the path of a file is wanted".to_owned()) } else { Ok(PathBuf::from(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["directory-server"], arguments].concat())
    }

    #[test]
    fn options_may_stand_before_and_after_the_sub_command() {
        for line in [["--data-dir", "/x", "user", "list"], ["user", "list", "--data-dir", "/x"]] {
            let cli = parse(&line).unwrap();
            assert_eq!(cli.data_dir.as_deref(), Some(std::path::Path::new("/x")));
            assert!(matches!(cli.command, Some(Command::User(UserCommand::List))));
        }
    }

    #[test]
    fn a_bad_value_is_exit_2_and_names_option_value_and_what_is_accepted() {
        for (line, words) in [
            (["--port", "70000"], ["--port", "70000", "0 to 65535"]),
            (["--bind", "10.0.0.1:99"], ["--bind", "10.0.0.1:99", "without a port"]),
            (["--max-file", "1025"], ["--max-file", "1025", "0 to 1024"]),
        ] {
            let error = parse(&line).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
        }
        assert_eq!(parse(&["user", "show", "no name"]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn files_are_kept_up_to_10_mib_unless_it_is_said_otherwise() {
        let bytes = |arguments: &[&str]| parse(arguments).unwrap().limits().files.file_bytes;
        assert_eq!(Limits::default().files.file_bytes, 10 << 20);
        let lines: [&[&str]; 3] = [&[], &["--max-file", "0"], &["--max-file", "1024"]];
        assert_eq!(lines.map(bytes), [10 << 20, 0, 1 << 30]);
    }

    #[test]
    fn localhost_and_bracketed_addresses_are_accepted() {
        assert_eq!(parse(&["--bind", "localhost"]).unwrap().bind, Some("127.0.0.1".parse().unwrap()));
        assert_eq!(parse(&["--bind", "[::1]"]).unwrap().bind, Some("::1".parse().unwrap()));
        assert_eq!(parse(&[]).unwrap().bind, None);
    }
}
