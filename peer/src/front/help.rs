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
        Verb::Cancel => ("withdraw message N if it is not delivered yet; stop a file", "!cancel 15"),
        Verb::Contacts => ("people you know; '?' marks a key you have not verified", "!contacts"),
        Verb::Verify => ("both fingerprints; 'ok': compared and right, 'no': the new one is wrong", "!verify bob ok"),
        Verb::Reply => ("answer message N; who reads it sees what it answers", "!reply 12 yes, at eight"),
        Verb::Edit => ("give your message N other words", "!edit 12 see you at nine"),
        Verb::Delete => ("take your message N back", "!delete 12"),
        Verb::React => ("put a sign beside message N; '-' takes it back", "!react 12 :thumbsup:"),
        Verb::Forward => ("pass message N on to TO", "!forward 12 carol"),
        Verb::Expire => ("texts with TO vanish DURATION after they are read; 'off' ends that", "!expire bob 1h"),
        Verb::Urgent => ("a message that goes first, and rings even when TO is busy", "!urgent bob the kettle is on"),
        Verb::Search => ("messages that hold all WORDS; \"a phrase\" in quotes", "!search \"at eight\" in bob"),
        Verb::Forget => ("the texts of a conversation, here only; asks once more", "!forget bob yes"),
        Verb::Add => ("make NAME a contact; accepts a request", "!add carol"),
        Verb::Remove => ("NAME is a contact no more", "!remove carol"),
        Verb::Block => ("take nothing from NAME any more", "!block mallory"),
        Verb::Unblock => ("take messages from NAME again", "!unblock mallory"),
        Verb::Away => ("you are away; others see TEXT", "!away back at noon"),
        Verb::Busy => ("messages wait until !back, urgent ones come through", "!busy in an exam"),
        Verb::Back => ("you are online again; what waited arrives", "!back"),
        Verb::Receipts => ("whether others are told that you have read them", "!receipts on"),
        Verb::Format => ("*bold*, _italic_ and :smile: shown as such, or as typed", "!format off"),
        Verb::Create => ("begin a group; private: only those invited may join", "!create family private"),
        Verb::Join => ("become a member of a group", "!join family"),
        Verb::Leave => ("leave a group", "!leave family"),
        Verb::Invite => ("open a group's door for NAME; in an open chat, make a group of it", "!invite carol family"),
        Verb::Kick => ("take NAME out of your group", "!kick carol family"),
        Verb::Groups => ("the groups of the directory that you may see", "!groups"),
        Verb::Members => ("who belongs to a group", "!members family"),
        Verb::Broadcast => ("a line to everybody online; never kept", "!broadcast dinner is ready"),
        Verb::File => ("offer a file to TO; PATH is the rest of the line", "!file bob my report.pdf"),
        Verb::Files => ("files offered by you and to you, and how each stands", "!files"),
        Verb::Accept => ("take the file that message N offers; PATH: the folder or the file it becomes", "!accept 12"),
        Verb::Decline => ("refuse the file that message N offers", "!decline 12"),
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
