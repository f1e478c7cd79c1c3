//! What the user's own files, options and other processes say: `config.toml`, command lines, requests on the control socket.
//! They are no enemies, but a mistake must be an error with words and never a panic.

use clap::Parser;
use peer::cli::Options;
use peer::config::{ConfigError, Settings};
use peer::control::{Request, SendRequest};
use peer_core::command::To;

/// The file, then both command lines.
pub(super) fn files_and_options(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Settings::from_text(Options::default(), &text, "config.toml".as_ref()) {
        Ok(settings) => {
            assert!(settings.directory.address.contains(':'));
            assert!(settings.advertise.is_none_or(|address| address.port() > 0));
        }
        Err(error @ ConfigError::Content { .. }) => {
            let said = error.to_string();
            assert!(said.starts_with("config.toml: ") && said.len() > 20, "{said}");
        }
        Err(ConfigError::PortZero | ConfigError::NoDataDir(_) | ConfigError::NoNotifications) => {}
        Err(ConfigError::File { .. }) => panic!("no file was read"),
    }
    let words = || std::iter::once("program").chain(text.split(['\n', '\0']).take(32));
    if let Err(error) = peer::cli::Cli::try_parse_from(words()) {
        assert!(!error.to_string().is_empty());
    }
    if let Err(error) = directory_server::cli::Cli::try_parse_from(words()) {
        assert!(!error.to_string().is_empty());
    }
}

/// One line from another process of the same user.
pub(super) fn control(bytes: &[u8]) {
    let Ok(line) = std::str::from_utf8(bytes) else { return };
    match serde_json::from_str::<Request>(line) {
        Ok(request) => {
            let again = serde_json::to_string(&request).expect("a request is written");
            assert_eq!(serde_json::from_str::<Request>(&again).ok().as_ref(), Some(&request));
            if let Request::Send(SendRequest { to, .. }) = request
                && let Ok(To::Person { name, .. } | To::Group(name)) = to.parse::<To>()
            {
                assert!(to.contains(name.as_str()));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
