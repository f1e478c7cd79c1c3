//! What users do about others: they block and take it back, are busy or away and come back, and say something to everybody.
//! One of them may do nothing else, so that it can be seen at the end that nobody keeps anything of it.

use common::wire::directory::Standing;
use peer_core::command::Command;
use peer_core::stored::{Query, QueryResult};

use super::world::World;

/// A word of everything that is said to everybody, and of nothing else.
const CRY: &str = "hearye";
/// What somebody is called who speaks to everybody and to nobody else.
pub(crate) const CRIER: &str = "gustav";

impl World {
    /// Something about others.
    pub(crate) fn act_in_company(&mut self, number: usize) {
        let act = self.dice.below(12);
        let somebody = self.somebody(number).filter(|_| act < 4);
        match (act, somebody) {
            (0, Some(name)) if self.model.blocked_by(number).is_empty() => {
                self.command(number, Command::Block(name));
            }
            (0..=2, Some(_)) => self.unblock(number),
            (3, Some(name)) => {
                let command = if self.dice.one_in(2) { Command::Add(name) } else { Command::Remove(name) };
                self.command(number, command);
            }
            (4 | 5, _) => self.stand(number, Standing::Busy),
            (6, _) => self.stand(number, Standing::Away),
            (7 | 8, _) => self.stand(number, Standing::Online),
            _ => self.shout(number),
        }
    }

    /// A crier says something to everybody, and of itself, and talks with nobody.
    pub(crate) fn act_as_crier(&mut self, number: usize) {
        if !self.machines[number].user.online {
            return self.get_online(number);
        }
        match self.dice.below(4) {
            0 => self.stand(number, Standing::Away),
            1 => {
                self.command(number, Command::Who(None));
            }
            _ => self.shout(number),
        }
    }

    fn shout(&mut self, number: usize) {
        let text = format!("{CRY} {number}.{}", self.trace.events);
        self.model.shouts(self.machines[number].who, &text);
        self.command(number, Command::Broadcast(text));
    }

    /// Says what one is.
    pub(crate) fn stand(&mut self, number: usize, standing: Standing) {
        let says = standing != Standing::Online && !self.dice.one_in(3);
        let note = says.then(|| format!("since {number}.{}", self.trace.events));
        self.model.stands_as(number, self.machines[number].who, standing, note.as_deref());
        self.command(number, Command::Stand { standing, note });
    }

    /// Takes back a block, if there is one.
    pub(crate) fn unblock(&mut self, number: usize) {
        let blocked = self.model.blocked_by(number);
        let Some(who) = self.dice.pick(&blocked) else { return };
        let Some(name) =
            self.machines.iter().find(|machine| machine.who == who).map(|machine| machine.user.name.clone())
        else {
            return;
        };
        self.model.unblocks(number);
        self.command(number, Command::Unblock(name));
    }

    /// After the storm nobody stays busy; some blocks stay.
    pub(crate) fn heal_manners(&mut self, number: usize) {
        if self.model.is_busy(number) && self.dice.one_in(3) {
            self.stand(number, Standing::Online);
        }
        if self.machines[number].who.is_multiple_of(2) {
            self.unblock(number);
        }
    }

    /// At the end: what was said to everybody is on no disk, and nobody knows whoever did nothing else.
    pub(crate) fn judge_company(&mut self, number: usize) {
        let store = self.machines[number].disk.open().expect("a healthy disk");
        let sought = Query::Search { words: vec![CRY.to_owned()], within: None, count: 10 };
        let QueryResult::History(found) = store.query(sought) else {
            return self.model.broken(format!("machine {number} cannot search"));
        };
        if !found.is_empty() {
            self.model.broken(format!("machine {number} keeps what was said to everybody"));
        }
        let crier = self.machines.iter().find(|machine| machine.user.crier).map(|machine| machine.who);
        let Some(crier) = crier.filter(|crier| *crier != self.machines[number].who) else { return };
        let key = self.identities[crier].public();
        for which in self.all_directories() {
            let store = self.machines[number].disk.open().expect("a healthy disk");
            let Ok(snapshot) = store.load(which.address()) else { return };
            let known = snapshot.contacts.iter().any(|contact| contact.key == key);
            let pinned = snapshot.pins.iter().any(|pin| pin.key == key);
            if known || pinned {
                self.model.broken(format!("machine {number} keeps who only spoke to everybody: {known} {pinned}"));
            }
        }
    }
}
