//! The words of `!help`: what each command does, with an example. The commands themselves are the core's.

use peer_core::command::verb::Verb;

/// What one command does, and an example.
#[must_use]
pub fn of(verb: Verb) -> (&'static str, &'static str) {
    match verb {
        Verb::Help => ("this list, or one command with an example", "!help send"),
        Verb::Register => ("bind NAME to this identity and go online", "!register alice"),
        Verb::Deregister => ("release the name; asks once more when messages wait", "!deregister yes"),
        Verb::Login => ("come online with the registered name", "!login"),
        Verb::Logout => ("go offline without leaving", "!logout"),
        Verb::WhoAmI => ("your name, fingerprint, addresses, directory and state", "!whoami"),
        Verb::Who => ("people on the directory whose name contains TEXT", "!who al"),
        Verb::Send => ("send a message; without TEXT: all lines until a line '.'", "!send bob see you at eight"),
        Verb::Chat => ("open a conversation: lines without prefix go to TO", "!chat bob"),
        Verb::Close => ("leave the open conversation", "!close"),
        Verb::History => ("the last COUNT messages (20) of a conversation", "!history bob 50 before 120"),
        Verb::Status => ("where message N is, and every step it took", "!status 15"),
        Verb::Cancel => ("withdraw message N if it is not delivered yet", "!cancel 15"),
        Verb::Contacts => ("people you know; '?' marks a key you have not verified", "!contacts"),
        Verb::Verify => ("both fingerprints; 'ok': compared and right, 'no': the new one is wrong", "!verify bob ok"),
        Verb::Quit => ("send what is queued, go offline, leave", "!quit"),
    }
}

/// The lines of `!help`, or of `!help topic`; a topic is a command's first name.
#[must_use]
pub fn texts(topic: Option<&str>) -> Vec<String> {
    match topic.and_then(|topic| Verb::ALL.into_iter().find(|verb| verb.name() == topic)) {
        Some(verb) => one(verb),
        None => all(),
    }
}

fn one(verb: Verb) -> Vec<String> {
    let (does, example) = of(verb);
    let mut lines = vec![format!("{}  {does}", verb.usage()), format!("example: {example}")];
    if !verb.aliases().is_empty() {
        let aliases: Vec<String> = verb.aliases().iter().map(|alias| format!("!{alias}")).collect();
        lines.push(format!("also: {}", aliases.join(" ")));
    }
    lines
}

fn all() -> Vec<String> {
    let mut lines: Vec<String> =
        Verb::ALL.into_iter().map(|verb| format!("{:<33} {}", verb.usage(), of(verb).0)).collect();
    lines.extend(
        [
            "'/' works like '!'; in an open conversation '!!' or '//' sends a line that starts with one.",
            "TO is a name, or NAME#FINGERPRINT to demand a key; N is the number in [brackets] before a message.",
            "'?' after a name: nobody has compared its key yet, see !help verify. '!help COMMAND' shows an example.",
        ]
        .map(str::to_owned),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use peer_core::command::{Console, Fed};

    #[test]
    fn every_example_is_a_line_that_the_grammar_takes() {
        for verb in Verb::ALL {
            let fed = Console::new().feed(of(verb).1);
            assert!(matches!(fed, Fed::Command { command: Ok(_), .. }), "{verb:?}: {fed:?}");
        }
    }

    #[test]
    fn the_list_names_every_command_and_a_topic_shows_its_example() {
        let list = all().join("\n");
        assert!(Verb::ALL.into_iter().all(|verb| list.contains(verb.usage())));
        assert!(texts(Some("send")).join("\n").contains("!send bob see you"));
    }
}
