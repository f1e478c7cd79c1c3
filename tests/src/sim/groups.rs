//! Groups at the end: whether all who are in one know the same of it, the directory too, and what they show of what was said.

use std::collections::{BTreeMap, BTreeSet};

use common::group::{GroupId, SignedStep};
use common::identity::PublicKey;
use common::message::MessageId;
use common::wire::directory::WhichGroup;
use directory_core::event::{GroupOp, GroupResult};
use directory_core::{StoreOp, StoreResult, Ticket};
use peer_core::stored::{Query, QueryResult, StoredMessage, Talk};

use super::world::World;

impl World {
    pub(crate) fn judge_groups(&mut self) {
        let there: Vec<usize> = (0..self.machines.len()).filter(|number| !self.machines[*number].retired).collect();
        let mut groups: BTreeMap<GroupId, Vec<(usize, usize, Vec<SignedStep>)>> = BTreeMap::new();
        for number in &there {
            let who = self.machines[*number].who;
            let address = self.machines[*number].directory.address();
            let store = self.machines[*number].disk.open().expect("a healthy disk");
            let Ok(snapshot) = store.load(address) else { return };
            for (id, chain) in snapshot.groups {
                groups.entry(id).or_default().push((*number, who, chain));
            }
        }
        for (id, chains) in groups {
            let machines: Vec<usize> = chains.iter().map(|(number, ..)| *number).collect();
            let histories: Vec<_> = machines.iter().map(|number| (*number, self.shown_of(*number, id))).collect();
            let histories = histories.into_iter().map(|(number, lines)| (number, self.machines[number].who, lines));
            let histories: Vec<(usize, usize, Vec<MessageId>)> = histories.collect();
            // Where people move from one directory to another each has its own groups, and some go on at either.
            let active =
                chains.into_iter().filter(|(number, ..)| self.machines[*number].user.active).collect::<Vec<_>>();
            if self.aside.is_none() && !active.is_empty() {
                let kept = self.kept_of(id, &active);
                self.model.chains_agree(&id, &active, &kept);
            }
            self.model.lines_agree(&id, &histories);
        }
        self.model.nothing_turned_away();
    }

    /// The lines of a group as a machine shows them; those of each who wrote them in the order in which they did.
    fn shown_of(&mut self, number: usize, id: GroupId) -> Vec<MessageId> {
        let query = Query::History { with: Talk::Group(id), before: None, count: 10_000 };
        let store = self.machines[number].disk.open().expect("a healthy disk");
        let QueryResult::History(messages) = store.query(query) else {
            self.model.broken(format!("machine {number} cannot read the history of a group"));
            return Vec::new();
        };
        let mut last: BTreeMap<PublicKey, MessageId> = BTreeMap::new();
        for StoredMessage { sender, id, .. } in messages.iter().filter(|message| message.ordered) {
            if last.insert(*sender, *id).is_some_and(|before| before > *id) {
                self.model.broken(format!("machine {number} has {id} of a group out of order"));
            }
        }
        messages.into_iter().map(|message| message.id).collect()
    }

    /// What the directory holds of a group, as it shows it to those who have been in it.
    fn kept_of(&mut self, id: GroupId, chains: &[(usize, usize, Vec<SignedStep>)]) -> Vec<SignedStep> {
        let steps = chains.iter().flat_map(|(.., chain)| chain.iter().filter_map(|step| step.verify().ok()));
        let people: BTreeSet<PublicKey> = steps.map(|step| step.by).collect();
        let asks =
            people.into_iter().map(|key| GroupOp::Steps { key, which: WhichGroup::Id(id), after: 0, limit: 10_000 });
        let asks: Vec<_> = asks.map(|op| (Ticket(0), StoreOp::Group(op))).collect();
        let Ok(applied) = self.directory.disk().apply(asks) else { return Vec::new() };
        let shown = applied.results.into_iter().filter_map(|(_, result)| match result {
            StoreResult::Group(GroupResult::Steps { steps, .. }) => Some(steps),
            _ => None,
        });
        shown.max_by_key(Vec::len).unwrap_or_default()
    }
}
