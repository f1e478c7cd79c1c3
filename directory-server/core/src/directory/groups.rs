//! Groups, as sessions ask for them and hear of them. What a step needs is the rule of `common::group`, applied by the store in
//! the transaction that keeps it; here it is checked who made it.

use common::group::{Change, GroupId, SignedStep};
use common::limits::{GROUP_STEPS_PAGE, GROUPS_PAGE};
use common::wire::directory::{
    ChangeGroup, Done, FollowGroups, GroupNews, GroupSteps, Groups, ListGroups, LookUpGroup, Refusal, RequestId,
};

use super::requests::{NUMBER_MAX, Request};
use super::{Asked, Directory};
use crate::event::{GroupOp, GroupResult, SessionId, StepOp, StoreOp};
use crate::limits::NEWS_STEPS;
use crate::quota::Room;

impl Request {
    pub(super) fn change_group(self, to: &mut Directory, frame: ChangeGroup) {
        let ChangeGroup { request, step } = frame;
        let op = self.step(to, step).map(|op| StoreOp::Group(GroupOp::Step(Box::new(op))));
        self.ask_or_refuse(to, request, Asked::Group(request), op);
    }

    fn step(self, to: &Directory, signed: SignedStep) -> Result<StepOp, Refusal> {
        let step = signed.verify().map_err(|_| Refusal::Invalid)?;
        if step.by != self.key || step.version > NUMBER_MAX {
            return Err(Refusal::Invalid);
        }
        let begins = (step.version, step.previous) == (1, [0; 32]);
        if matches!(step.change, Change::Found { .. }) != begins {
            return Err(Refusal::GroupChanged);
        }
        // Who wants to be out, or somebody out, is not held up by a disk that is filling.
        let lessens = matches!(step.change, Change::Leave | Change::Remove { .. });
        match to.room {
            Room::Ample => {}
            Room::NoMail if lessens => {}
            Room::NoMail | Room::Floor => return Err(Refusal::DiskFull),
        }
        Ok(StepOp { step, signed, limits: to.limits.groups })
    }

    pub(super) fn look_up_group(self, to: &mut Directory, frame: LookUpGroup) {
        let LookUpGroup { request, which, after } = frame;
        let after = after.min(NUMBER_MAX);
        let op = GroupOp::Steps { key: self.key, which, after, limit: GROUP_STEPS_PAGE };
        self.ask(to, Asked::Group(request), StoreOp::Group(op));
    }

    pub(super) fn follow_groups(self, to: &mut Directory, frame: FollowGroups) {
        let FollowGroups { groups } = frame;
        if groups.len() > GROUPS_PAGE {
            return self.break_off(to);
        }
        let groups = groups.into_iter().map(|(group, version)| (group, version.min(NUMBER_MAX))).collect();
        let op = GroupOp::News { key: self.key, groups, limit: NEWS_STEPS };
        self.ask(to, Asked::GroupNews, StoreOp::Group(op));
    }

    pub(super) fn list_groups(self, to: &mut Directory, frame: ListGroups) {
        let ListGroups { request, after } = frame;
        let op = GroupOp::List { key: self.key, after, limit: GROUPS_PAGE };
        self.ask(to, Asked::Group(request), StoreOp::Group(op));
    }
}

impl Directory {
    pub(super) fn group_answer(&mut self, session: SessionId, request: RequestId, result: GroupResult) {
        match result {
            GroupResult::Stepped { op, members } => {
                self.send(session, Done { request });
                self.stepped(*op, &members);
            }
            GroupResult::Steps { steps, more } => self.send(session, GroupSteps { request, steps, more }),
            GroupResult::Groups { groups, more } => self.send(session, Groups { request, groups, more }),
            // An answer to another question: this store cannot be believed.
            GroupResult::News(_) => self.fail(),
        }
    }

    /// A step is kept: everybody it concerns hears of it who is logged in.
    pub(super) fn stepped(&mut self, op: StepOp, members: &[common::identity::PublicKey]) {
        let news = GroupNews { group: op.step.group, steps: vec![op.signed] };
        for member in members {
            if let Some(session) = self.sessions.live(member) {
                self.send(session, news.clone());
            }
        }
    }

    pub(super) fn group_news(&mut self, session: SessionId, news: Vec<(GroupId, Vec<SignedStep>)>) {
        for (group, steps) in news {
            self.send(session, GroupNews { group, steps });
        }
    }
}
