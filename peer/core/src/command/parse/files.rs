//! Lines about files to commands: whose, which, and a path that is the rest of the line.

use super::{bad_argument, number, only, recipient, split_word, too_many};
use crate::command::verb::Verb;
use crate::command::{Command, CommandError};

/// A command about files.
pub(super) fn command(verb: Verb, rest: &str) -> Result<Command, CommandError> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    match verb {
        Verb::File => offer(rest),
        Verb::Files if words.is_empty() => Ok(Command::Files),
        Verb::Accept => accept(rest),
        Verb::Decline => Ok(Command::Decline(number(verb, only(verb, &words, "the number of the offer is missing")?)?)),
        other => Err(too_many(other)),
    }
}

fn offer(rest: &str) -> Result<Command, CommandError> {
    let (to, rest) = split_word(rest.trim_start());
    if to.is_empty() {
        return Err(bad_argument(Verb::File, "whom the file is for is missing"));
    }
    let to = recipient(Verb::File, to)?;
    match path(rest) {
        "" => Err(bad_argument(Verb::File, "the path of the file is missing")),
        path => Ok(Command::File { to, path: path.to_owned(), key: None }),
    }
}

fn accept(rest: &str) -> Result<Command, CommandError> {
    let (n, rest) = split_word(rest.trim_start());
    if n.is_empty() {
        return Err(bad_argument(Verb::Accept, "the number of the offer is missing"));
    }
    let n = number(Verb::Accept, n)?;
    let place = match (rest.trim(), path(rest)) {
        ("", _) => None,
        (_, "") => return Err(bad_argument(Verb::Accept, "the path is empty")),
        (_, path) => Some(path.to_owned()),
    };
    Ok(Command::Accept { n, place })
}

/// The rest of a line as a path: spaces and all, without the quotes that may stand around the whole of it.
fn path(rest: &str) -> &str {
    let whole = rest.trim();
    let quoted = ['"', '\''].into_iter().find_map(|quote| whole.strip_prefix(quote)?.strip_suffix(quote));
    quoted.unwrap_or(whole)
}
