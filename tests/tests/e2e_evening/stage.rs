//! Plays acts with the real programs and compares what stands on the screens. What is right, the script says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use system_tests::programs::{PATIENCE, Peer, World};

use super::script::{Act, Shown, What, is_in_between, usual};

/// Somebody, and how many lines of theirs are compared already.
struct Person {
    peer: Peer,
    read: usize,
    /// The numbers of own lines that were shown before they had arrived, though they should have: these may have gone
    /// through the directory as well.
    slow: BTreeSet<String>,
}

/// Everybody who has come so far.
pub struct Stage<'a> {
    world: &'a World,
    people: BTreeMap<&'static str, Person>,
}

impl<'a> Stage<'a> {
    /// Nobody has come yet.
    #[must_use]
    pub fn new(world: &'a World) -> Self {
        Self { world, people: BTreeMap::new() }
    }

    /// Does it, and waits until everything stands on the screens that it puts there. What stands there beside it is found
    /// before the next line of the same person.
    ///
    /// # Panics
    /// When another line comes, or none.
    pub fn play(&mut self, act: &Act) {
        let at = act.at;
        match act.what {
            What::Start => self.start(act.who),
            What::Kill => self.person(act.who).peer.kill_9(),
            What::Pause(seconds) => std::thread::sleep(Duration::from_secs(seconds)),
            What::Type(line) => drop(self.person(act.who).peer.command(&[line])),
        }
        let mut waiting = act.shows.clone();
        while let Some(Shown { whose, .. }) = waiting.first().copied() {
            let shown = self.person(whose).next().unwrap_or_else(|| "nothing".to_owned());
            if let Some(place) = place_of(&waiting, whose, &shown) {
                waiting.remove(place);
            } else if is_on_its_way(&waiting, whose, &shown) {
                self.person(whose).slow.extend(number_of(&shown));
            } else {
                let wanted: Vec<&str> = waiting.iter().filter(|one| one.whose == whose).map(|one| one.line).collect();
                panic!("after line {at} of the script, {whose} is shown\n  {shown}\nnot\n  {}", wanted.join("\n  "))
            }
        }
        if act.what == What::Type("!quit") {
            let person = self.person(act.who);
            assert_eq!(person.peer.wait_exit(), Some(0), "{} leaves with code 0", act.who);
            assert_eq!(person.next(), None, "on the screen of {} after the last line", act.who);
        }
    }

    /// Nobody may be there any more, so that all has been said. How many there were.
    ///
    /// # Panics
    /// When somebody still is there.
    pub fn close(mut self) -> usize {
        for (name, person) in &mut self.people {
            assert!(!person.peer.runs(), "{name} has not left");
        }
        self.people.len()
    }

    fn start(&mut self, name: &'static str) {
        match self.people.get_mut(name) {
            Some(person) => person.peer.restart(),
            None => {
                let peer = self.world.setup(name).plain().start();
                self.people.insert(name, Person { peer, read: 0, slow: BTreeSet::new() });
            }
        }
    }

    fn person(&mut self, name: &str) -> &mut Person {
        self.people.get_mut(name).unwrap_or_else(|| panic!("{name} has not come yet"))
    }
}

impl Person {
    /// The next line of their screen; none when the program has ended or nothing comes.
    fn next(&mut self) -> Option<String> {
        let (from, mut looked, slow) = (self.read, 0, &mut self.slow);
        let found = self.peer.log().wait(from, PATIENCE, |line| {
            looked += 1;
            let line = usual(&line.text);
            let number = number_of(&line);
            if is_in_between(&line) {
                slow.extend(number);
                return None;
            }
            let either = number.is_some_and(|number| slow.contains(&number));
            Some(if either { line.replace("delivered, directory", "delivered, direct") } else { line })
        });
        self.read = from + looked;
        found.ok()
    }
}

/// Whether this own line is only on its way to what is waited for: what has not arrived directly after 1.5 s, because the
/// machine is slow, is kept first.
fn is_on_its_way(waiting: &[Shown], whose: &str, line: &str) -> bool {
    let awaited = |head: String| waiting.iter().any(|one| one.whose == whose && one.line.starts_with(&head));
    line.ends_with("kept)") && head_of(line).is_some_and(awaited)
}

/// The number of an own line, in its brackets.
fn number_of(line: &str) -> Option<String> {
    head_of(line).and_then(|head| head.split(' ').next().map(str::to_owned))
}

/// An own line up to its state.
fn head_of(line: &str) -> Option<String> {
    let (head, _) = line.rsplit_once("  (").filter(|_| line.starts_with('[') && line.contains(" you -> "))?;
    Some(format!("{head}  ("))
}

/// Which of what is waited for this line is: the first that has its fixed place, or any that has none.
fn place_of(waiting: &[Shown], whose: &str, line: &str) -> Option<usize> {
    let mut fixed_passed = false;
    waiting.iter().position(|one| {
        let candidate = one.whose == whose && (one.anywhere || !std::mem::replace(&mut fixed_passed, true));
        candidate && one.is(line)
    })
}
