//! Groups, as sessions ask for them and hear of them. What a step needs is the rule of `common::group`, applied by the store in
//! the transaction that keeps it; here it is checked who made it.

use common::group::{Change, GroupId, SignedStep, Step};
use common::identity::PublicKey;
use common::limits::{GROUP_STEPS_PAGE, GROUPS_PAGE};
use common::wire::directory::{
    ChangeGroup, Done, FollowGroups, GroupNews, GroupSteps, Groups, ListGroups, LookUpGroup, Refusal, RequestId,
    RestoreGroup,
};

use super::requests::{NUMBER_MAX, Request};
use super::{Asked, Directory};
use crate::event::{GroupOp, GroupResult, RestoreOp, SessionId, StepOp, StoreOp};
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
        Ok(StepOp { step, signed, limits: to.limits.groups, now_ms: self.now.wall_ms })
    }

    pub(super) fn restore_group(self, to: &mut Directory, frame: RestoreGroup) {
        let RestoreGroup { request, steps } = frame;
        let op = self.restored(to, steps).map(|op| StoreOp::Group(GroupOp::Restore(Box::new(op))));
        self.ask_or_refuse(to, request, Asked::Group(request), op);
    }

    /// Whoever made these steps has signed them, so that it is all one who hands them in: what is checked here is that they are
    /// one piece of a chain.
    fn restored(self, to: &Directory, signed: Vec<SignedStep>) -> Result<RestoreOp, Refusal> {
        if signed.len() > GROUP_STEPS_PAGE {
            return Err(Refusal::TooLarge { limit: GROUP_STEPS_PAGE as u64 });
        }
        if to.room != Room::Ample {
            return Err(Refusal::DiskFull);
        }
        let mut steps: Vec<(Step, SignedStep)> = Vec::with_capacity(signed.len());
        for signed in signed {
            let step = signed.verify().map_err(|_| Refusal::Invalid)?;
            let follows = steps.last().is_none_or(|(last, before)| {
                (step.group, step.version, step.previous) == (last.group, last.version + 1, before.hash())
            });
            if !follows || !(1..=NUMBER_MAX).contains(&step.version) {
                return Err(Refusal::Invalid);
            }
            steps.push((step, signed));
        }
        if steps.is_empty() {
            return Err(Refusal::Invalid);
        }
        Ok(RestoreOp { key: self.key, steps, limits: to.limits.groups, now_ms: self.now.wall_ms })
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
            GroupResult::Restored { group, steps, members, refused } => {
                match refused {
                    None => self.send(session, Done { request }),
                    Some(reason) => self.refuse(session, request, reason),
                }
                self.restored(group, &steps, &members);
            }
            GroupResult::Steps { steps, more } => self.send(session, GroupSteps { request, steps, more }),
            GroupResult::Groups { groups, more } => self.send(session, Groups { request, groups, more }),
            // An answer to another question: this store cannot be believed.
            GroupResult::News(_) => self.fail(),
        }
    }

    /// A step is kept: everybody it concerns hears of it who is logged in.
    pub(super) fn stepped(&mut self, op: StepOp, members: &[PublicKey]) {
        let news = GroupNews { group: op.step.group, steps: vec![op.signed] };
        for member in members {
            if let Some(session) = self.sessions.live(member) {
                self.send(session, news.clone());
            }
        }
    }

    /// Steps are kept that were handed in: everybody it concerns hears of the newest, and looks up what is missing there. Most
    /// hold them already.
    pub(super) fn restored(&mut self, group: GroupId, steps: &[SignedStep], members: &[PublicKey]) {
        let newest = &steps[steps.len().saturating_sub(NEWS_STEPS)..];
        for session in members.iter().filter_map(|member| self.sessions.live(member)).collect::<Vec<_>>() {
            self.send(session, GroupNews { group, steps: newest.to_vec() });
        }
    }

    pub(super) fn group_news(&mut self, session: SessionId, news: Vec<(GroupId, Vec<SignedStep>)>) {
        for (group, steps) in news {
            self.send(session, GroupNews { group, steps });
        }
    }
}
