//! What the values of options are and what is accepted for them. Nothing is looked up or opened.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use common::identity::Fingerprint;
use common::message::MessageId;
use common::name::Name;
use peer_core::command::Which;
use peer_core::event::AcceptFrom;
use peer_core::limits::KEY_MAX_CHARS;

/// Default UDP port of a peer.
pub const PEER_PORT: u16 = 8283;
/// Default TCP port of a directory.
pub const DIRECTORY_PORT: u16 = 8282;

/// A directory as it is named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryAddress {
    /// `HOST:PORT`; an IPv6 address stands in brackets.
    pub address: String,
    /// The key it must have.
    pub pin: Option<Fingerprint>,
}

impl FromStr for DirectoryAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, pin) = match text.split_once('#') {
            Some((host, pin)) => (host, Some(pin)),
            None => (text, None),
        };
        let pin = pin.map(Fingerprint::from_str).transpose().map_err(|error| error.to_string())?;
        let address = host_and_port(host).ok_or("accepted are HOST, HOST:PORT and HOST:PORT#FINGERPRINT")?;
        Ok(Self { address, pin })
    }
}

fn host_and_port(text: &str) -> Option<String> {
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, DIRECTORY_PORT).to_string());
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return (address.port() > 0).then(|| address.to_string());
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().ok().filter(|port| *port > 0)?),
        None => (text, DIRECTORY_PORT),
    };
    let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    is_host.then(|| format!("{host}:{port}"))
}

/// Parses `--bind`.
///
/// # Errors
/// What is accepted.
pub fn bind(text: &str) -> Result<SocketAddr, String> {
    let accepted = || "accepted are IP, IP:PORT, localhost[:PORT], and IPv6 as [::1]:PORT".to_owned();
    let (host, port) = match text.split_once(':') {
        Some((host, port)) if host.eq_ignore_ascii_case("localhost") => (host, Some(port)),
        _ => (text, None),
    };
    if host.eq_ignore_ascii_case("localhost") {
        let port = port.map_or(Ok(PEER_PORT), str::parse).map_err(|_| accepted())?;
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().map(|ip| (ip, PEER_PORT).into()).map_err(|_| accepted())
}

/// Parses `--advertise`.
///
/// # Errors
/// What is accepted.
pub fn advertise(text: &str) -> Result<SocketAddr, String> {
    let usable = |address: &SocketAddr| !address.ip().is_unspecified() && address.port() > 0;
    let accepted = || "accepted is IP:PORT as others reach it, for example 203.0.113.5:8283".to_owned();
    text.parse().ok().filter(usable).ok_or_else(accepted)
}

/// Parses a name.
///
/// # Errors
/// What is wrong and what is accepted.
pub fn name(text: &str) -> Result<Name, String> {
    let accepted = "accepted are 3 to 15 of the letters a to z, digits, '-' and '_'";
    text.parse().map_err(|error| format!("{error}; {accepted}"))
}

/// Parses `--accept-from`. The three words mean what they say also where somebody is called so.
///
/// # Errors
/// What is wrong and what is accepted.
pub fn accept_from(text: &str) -> Result<AcceptFrom, String> {
    let accepted = "accepted are 'nobody', 'contacts', 'verified', and names with commas between them";
    match text.to_ascii_lowercase().as_str() {
        "nobody" => Ok(AcceptFrom::Nobody),
        "contacts" => Ok(AcceptFrom::Contacts),
        "verified" => Ok(AcceptFrom::Verified),
        _ => {
            let names: Result<_, String> = text.split(',').map(|word| name(word.trim())).collect();
            names.map(AcceptFrom::Names).map_err(|error| format!("{error}; {accepted}"))
        }
    }
}

/// Parses a duration: `500ms`, `30s`, `5m`, `2h`.
///
/// # Errors
/// What is accepted.
pub fn duration(text: &str) -> Result<Duration, String> {
    let accepted = || "accepted are a number and a unit, for example 500ms, 30s, 5m or 2h".to_owned();
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(accepted)?;
    let (number, unit) = text.split_at(unit_at);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(accepted()),
    };
    let number: u32 = number.parse().map_err(|_| accepted())?;
    Ok(Duration::from_millis(u64::from(number) * unit_ms))
}

/// Parses an idempotency key.
///
/// # Errors
/// What is accepted.
pub fn key(text: &str) -> Result<String, String> {
    let length = text.chars().count();
    if (1..=KEY_MAX_CHARS).contains(&length) {
        Ok(text.to_owned())
    } else {
        Err(format!("accepted are 1 to {KEY_MAX_CHARS} characters; this has {length}"))
    }
}

/// A program of the user's with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(pub Vec<String>);

/// Parses `--on-message`: words between white space, no shell.
///
/// # Errors
/// What is accepted.
pub fn program(text: &str) -> Result<Program, String> {
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() { Err("accepted is a program, with arguments after it".to_owned()) } else { Ok(Program(words)) }
}

/// Parses the message that is answered: its number, or its id of 32 hexadecimal digits.
///
/// # Errors
/// What is accepted.
pub fn which(text: &str) -> Result<Which, String> {
    let accepted = || "accepted are a message number and an id of 32 hexadecimal digits".to_owned();
    if text.len() == 32 {
        let number = u128::from_str_radix(text, 16).map_err(|_| accepted())?;
        return Ok(Which::Id(MessageId(number.to_be_bytes())));
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|n| is_number && (1..=i64::MAX.unsigned_abs()).contains(n));
    number.map(Which::Number).ok_or_else(accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_address_may_leave_out_the_port_and_be_localhost_or_ipv6() {
        let cases = [
            ("127.0.0.1", "127.0.0.1:8283"),
            ("10.0.0.1:99", "10.0.0.1:99"),
            ("localhost", "127.0.0.1:8283"),
            ("LOCALHOST:0", "127.0.0.1:0"),
            ("[::1]:2222", "[::1]:2222"),
            ("::1", "[::1]:8283"),
            ("[::]", "[::]:8283"),
        ];
        for (text, address) in cases {
            assert_eq!(bind(text).map(|address| address.to_string()), Ok(address.to_owned()), "{text}");
        }
        for text in ["", "host", "127.0.0.1:99999", "300.0.0.1", "localhost:x", "1.2.3.4:", "[::1", ":80"] {
            assert!(bind(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_directory_may_leave_out_the_port_and_carry_a_fingerprint() {
        let cases = [
            ("localhost", "localhost:8282"),
            ("home.example.org:99", "home.example.org:99"),
            ("::1", "[::1]:8282"),
            ("[::1]", "[::1]:8282"),
            ("[::1]:5", "[::1]:5"),
            ("192.168.1.2", "192.168.1.2:8282"),
        ];
        for (text, address) in cases {
            assert_eq!(DirectoryAddress::from_str(text).map(|found| found.address), Ok(address.to_owned()), "{text}");
        }
        let fingerprint = common::identity::PublicKey([1; 32]).fingerprint();
        let pinned: DirectoryAddress = format!("host:1#{fingerprint}").parse().unwrap();
        assert_eq!(pinned, DirectoryAddress { address: "host:1".to_owned(), pin: Some(fingerprint) });
        for text in ["", ":8282", "host:port", "host:0", "a b", "host:1:2", "host#XYZ"] {
            assert!(DirectoryAddress::from_str(text).is_err(), "{text}");
        }
    }

    #[test]
    fn files_are_accepted_from_nobody_contacts_verified_or_names() {
        assert_eq!(accept_from("nobody"), Ok(AcceptFrom::Nobody));
        assert_eq!(accept_from("Contacts"), Ok(AcceptFrom::Contacts));
        assert_eq!(accept_from("verified"), Ok(AcceptFrom::Verified));
        let names = ["bob", "Carol"].map(|name| name.parse().unwrap()).to_vec();
        assert_eq!(accept_from("bob, Carol"), Ok(AcceptFrom::Names(names)));
        for text in ["", "bob,", "x", "bob;carol", "@family"] {
            assert!(accept_from(text).unwrap_err().contains("'verified'"), "{text}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for text in ["", "30", "s", "-1s", "1.5s", "99999999999s", "1 s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_message_is_named_by_number_or_id() {
        assert_eq!(which("12"), Ok(Which::Number(12)));
        let id = MessageId([0xab; 16]);
        assert_eq!(which(&id.to_string()), Ok(Which::Id(id)));
        for text in ["", "0", "-1", "+1", "x", "zz345678901234567890123456789012"] {
            assert!(which(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_program_is_words_and_never_a_shell() {
        let words = ["notify", "-t", "$HOME;x"].map(str::to_owned).to_vec();
        assert_eq!(program(" notify  -t $HOME;x"), Ok(Program(words)));
        assert!(program(" ").is_err());
    }

    #[test]
    fn a_key_has_1_to_64_characters() {
        assert!(key("").is_err() && key(&"k".repeat(65)).is_err());
        assert!(key(&"ü".repeat(64)).is_ok());
    }

    #[test]
    fn what_is_advertised_can_be_reached() {
        assert!(advertise("203.0.113.5:8283").is_ok());
        assert!(advertise("0.0.0.0:8283").is_err() && advertise("1.2.3.4:0").is_err() && advertise("1.2.3.4").is_err());
    }
}
