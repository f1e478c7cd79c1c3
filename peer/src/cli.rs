//! The command line: options, their environment variables, sub-commands. Values that are given nowhere are left open,
//! for the configuration file and the defaults. It opens nothing.

pub mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use common::name::Name;
use peer_core::command::{To, Which};
use peer_core::event::AcceptFrom;
use values::{DirectoryAddress, Program};

/// Talk to people directly, and through their directory while they are away
///
/// Every option can stand in the environment as HOMING_OPTION (HOMING_BIND ...) and in config.toml in the XDG config folder.
#[derive(Debug, Clone, Parser)]
#[command(name = "peer", version, propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    /// The options.
    #[command(flatten)]
    pub options: Options,
    /// What to do; without it: start and talk.
    #[command(subcommand)]
    pub task: Option<Task>,
}

/// Options that hold for everything.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// UDP address of this peer [default: 0.0.0.0:8283; an IP without a port takes 8283]
    #[arg(short = 's', long, global = true, value_name = "IP[:PORT]", env = "HOMING_BIND", value_parser = values::bind)]
    pub bind: Option<SocketAddr>,

    /// Directory server [default: localhost:8282; a name without a port takes 8282]; a fingerprint pins its key
    #[arg(short, long, global = true, value_name = "HOST[:PORT][#FINGERPRINT]", env = "HOMING_DIRECTORY")]
    pub directory: Option<DirectoryAddress>,

    /// Identity and messages [default: the XDG data folder, homing/peer-PORT, PORT being the UDP port]
    #[arg(long, global = true, value_name = "DIR", env = "HOMING_DATA_DIR", value_parser = folder)]
    pub data_dir: Option<PathBuf>,

    /// Register this name at start if none is registered yet
    #[arg(long, global = true, value_name = "NAME", env = "HOMING_NAME", value_parser = values::name)]
    pub name: Option<Name>,

    /// Address to publish instead of the own one, for a forwarded port
    #[arg(long, global = true, value_name = "IP:PORT", env = "HOMING_ADVERTISE", value_parser = values::advertise)]
    pub advertise: Option<SocketAddr>,

    /// Standard output is one JSON object a line; input lines are the same commands
    #[arg(long, global = true, env = "HOMING_JSON", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub json: bool,

    /// No colour (also NO_COLOR, and when the output is no terminal)
    #[arg(long, global = true, env = "HOMING_NO_COLOR", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub no_color: bool,

    /// Run this program for every message put out, with the message as JSON on its standard input (no shell)
    #[arg(long, global = true, value_name = "COMMAND", env = "HOMING_ON_MESSAGE", value_parser = values::program)]
    pub on_message: Option<Program>,

    /// Show a desktop notification for every message put out (in builds with the feature "notifications")
    #[arg(long, global = true, env = "HOMING_NOTIFY", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub notify: bool,

    /// Append what happens to every message to this file, as JSON lines without texts
    #[arg(long, global = true, value_name = "FILE", env = "HOMING_EVENT_LOG", value_parser = file)]
    pub event_log: Option<PathBuf>,

    /// Where accepted files are put [default: downloads in the data directory]
    #[arg(long, global = true, value_name = "DIR", env = "HOMING_DOWNLOADS", value_parser = folder)]
    pub downloads: Option<PathBuf>,

    /// Accept files without asking: from contacts, verified, or NAME,... [default: nobody]
    #[arg(long, global = true, value_name = "WHOM", env = "HOMING_ACCEPT_FROM", value_parser = values::accept_from)]
    pub accept_from: Option<AcceptFrom>,

    /// More log on standard error; twice for still more
    #[arg(short, long, global = true, env = "HOMING_VERBOSE", action = ArgAction::Count)]
    pub verbose: u8,

    /// Only errors in the log
    #[arg(short, long, global = true, env = "HOMING_QUIET", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new(), conflicts_with = "verbose")]
    pub quiet: bool,
}

/// One thing to do, and out.
#[derive(Debug, Clone, Subcommand)]
pub enum Task {
    /// Send one message, or one file, and leave
    Send(SendOptions),
    /// The key of this peer
    #[command(subcommand)]
    Identity(IdentityTask),
}

/// What can be done with the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum IdentityTask {
    /// Print the name and the fingerprint
    Show,
}

/// `peer send`.
#[derive(Debug, Clone, Args)]
pub struct SendOptions {
    /// To whom: a name, NAME#FINGERPRINT to demand a key, or @GROUP
    #[arg(value_name = "TO")]
    pub to: To,

    /// The text; from standard input when absent
    #[arg(value_name = "TEXT", conflicts_with = "file")]
    pub text: Vec<String>,

    /// Send this file in place of a text; while it goes directly, this program stays
    #[arg(long, value_name = "PATH", conflicts_with_all = ["urgent", "reply"], value_parser = path)]
    pub file: Option<String>,

    /// What to wait for
    #[arg(long, value_name = "STATE", default_value = "kept")]
    pub wait: Wait,

    /// How long to wait for it, for example 500ms, 30s, 5m or 2h [default: 30s; 10m for a file]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub timeout: Option<Duration>,

    /// Goes first, and rings even when they are busy
    #[arg(long)]
    pub urgent: bool,

    /// The message this one answers: its number here, or its id
    #[arg(long, value_name = "ID", value_parser = values::which)]
    pub reply: Option<Which>,

    /// Idempotency key: the same key twice sends once
    #[arg(long, value_name = "KEY", value_parser = values::key)]
    pub id: Option<String>,
}

/// A text is waited for so long unless said otherwise.
const TEXT_PATIENCE: Duration = Duration::from_secs(30);
/// A file is waited for so long unless said otherwise: it has to be accepted, and flows for a while.
const FILE_PATIENCE: Duration = Duration::from_secs(600);

impl SendOptions {
    /// How long the wanted state is waited for.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.timeout.unwrap_or(if self.file.is_some() { FILE_PATIENCE } else { TEXT_PATIENCE })
    }
}

/// The state that `peer send` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wait {
    /// On this disk; a file: offered
    Queued,
    /// Safe on the directory, or already delivered; a file: the whole of it
    Kept,
    /// On the recipient's disk; a file: the whole of it
    Delivered,
}

fn folder(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("the path of a folder is wanted".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("the path of a file is wanted".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn path(text: &str) -> Result<String, String> {
    file(text).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("peer").chain(line.split_whitespace()))
    }

    #[test]
    fn options_of_send_may_stand_before_and_after_the_text() {
        for line in ["send --wait queued bob a b", "send bob --wait queued a b", "send bob a b --wait queued"] {
            let Some(Task::Send(send)) = parse(line).unwrap().task else { panic!("{line}") };
            assert_eq!((send.wait, send.text.join(" ")), (Wait::Queued, "a b".to_owned()), "{line}");
            assert_eq!(send.patience(), Duration::from_secs(30));
        }
    }

    #[test]
    fn a_file_is_sent_in_place_of_a_text_and_waited_for_longer() {
        for line in ["send --file /a/b bob", "send bob --file /a/b"] {
            let Some(Task::Send(send)) = parse(line).unwrap().task else { panic!("{line}") };
            assert_eq!((send.file.as_deref(), send.text.len()), (Some("/a/b"), 0), "{line}");
            assert_eq!(send.patience(), Duration::from_secs(600));
        }
        let Some(Task::Send(send)) = parse("send --file /a/b --timeout 5s bob").unwrap().task else { panic!("a send") };
        assert_eq!(send.patience(), Duration::from_secs(5));
        for line in
            ["send --file /a bob hello", "send bob hello --file /a", "send bob --file /a --urgent", "send bob --file"]
        {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
        assert_eq!(Cli::try_parse_from(["peer", "send", "--file", "", "bob"]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_bad_value_is_exit_2_and_names_option_value_and_what_is_accepted() {
        let cases = [
            ("--bind nonsense", ["--bind", "nonsense", "localhost"]),
            ("-d host:port", ["--directory", "host:port", "HOST:PORT"]),
            ("--name a", ["--name", "a", "3 to 15"]),
            ("--accept-from bob,x", ["--accept-from", "bob,x", "verified"]),
            ("send --wait ever bob x", ["--wait", "ever", "delivered"]),
            ("send --timeout soon bob x", ["--timeout", "soon", "30s"]),
            ("send bo x", ["TO", "bo", "3 to 15"]),
        ];
        for (line, words) in cases {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(words.iter().all(|word| error.to_string().contains(word)), "{line}: {error}");
        }
    }

    #[test]
    fn options_hold_behind_a_sub_command_too() {
        let cli = parse("send bob hi --downloads /y --accept-from contacts").unwrap();
        assert_eq!(cli.options.downloads.as_deref(), Some(std::path::Path::new("/y")));
        assert_eq!(cli.options.accept_from, Some(AcceptFrom::Contacts));
        let cli = parse("identity show --json --data-dir /x").unwrap();
        assert!(cli.options.json && matches!(cli.task, Some(Task::Identity(IdentityTask::Show))));
    }
}
