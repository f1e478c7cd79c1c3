//! Commands on groups, from the question to the answer. Each begins with the chain as the directory has it now, so that what
//! is refused is refused for what is; each change is answered when it is committed here.

use std::collections::VecDeque;

use common::group::{Change, GroupId, Membership, SignedStep, Step, StepError};
use common::identity::PublicKey;
use common::name::Name;
use common::wire::directory::{Refusal, WhichGroup};

use super::super::Messenger;
use super::super::commands::{Pending, unreachable};
use super::chains::{Draft, Why};
use super::changing::{refusal, task_of};
use super::words::{Stage, Task, Want};
use crate::command::{Command, CommandError, ErrorCode};
use crate::event::{Answer, CommandId, GroupChange, Source};
use crate::limits::LOOKUP_TIMEOUT_MS;

/// A change that others were faster with is made anew so often.
const TRIES_MAX: u32 = 4;
/// Bytes of an invitation, at most: for the room it takes here.
const INVITATION_BYTES: usize = 512;

impl Messenger {
    pub(in super::super) fn run_on_groups(&mut self, id: CommandId, command: Command) {
        match command {
            Command::Create { group, private } => self.begin_task(id, group, Want::Create { private }),
            Command::Join(group) => self.begin_task(id, group, Want::Join),
            Command::Leave(group) => self.begin_task(id, group, Want::Leave),
            Command::Members(group) => self.members(id, group),
            Command::Groups => self.list_groups(id),
            Command::Invite { ref name, ref group, ref chat } => {
                let (who, group) = (name.clone(), group.clone());
                let partner = chat.as_ref().and_then(|chat| self.book.named(chat)).map(|contact| contact.key);
                if let Some(key) = self.key_or_find(id, &who, command)
                    && !self.lacks_room(id)
                {
                    match self.refuses_post(2, INVITATION_BYTES) {
                        Some(full) => self.reply(id, Err(full)),
                        None => self.begin_task(id, group, Want::Invite { key, who, partner }),
                    }
                }
            }
            Command::Kick { ref name, ref group } => {
                let (who, group) = (name.clone(), group.clone());
                if let Some(key) = self.key_or_find(id, &who, command) {
                    self.begin_task(id, group, Want::Kick { key, who });
                }
            }
            _ => self.fail(id, ErrorCode::Unsupported, "this is nothing about groups"),
        }
    }

    /// The key of somebody; an unknown name is looked up, and the command begins again with the answer.
    fn key_or_find(&mut self, id: CommandId, name: &Name, command: Command) -> Option<PublicKey> {
        if self.lacks_name(id) {
            return None;
        }
        if self.my_name().as_ref() == Some(name) {
            return Some(self.config.me);
        }
        let key = self.book.named(name).map(|contact| contact.key);
        if key.is_none() {
            self.find(id, name.clone(), command);
        }
        key
    }

    /// Without a name, or taken over elsewhere, one has no groups.
    pub(super) fn lacks_name(&mut self, id: CommandId) -> bool {
        if self.my_name().is_none() {
            self.fail(id, ErrorCode::NotRegistered, "register first: !register NAME");
            true
        } else if self.meta.suspended {
            self.fail(id, ErrorCode::Suspended, "this identity is online on another machine; !login takes over again");
            true
        } else {
            false
        }
    }

    pub(super) fn begin_task(&mut self, id: CommandId, group: Name, want: Want) {
        if self.lacks_name(id) {
            return;
        }
        let (stage, founded, guests) = (Stage::Waiting, None, VecDeque::new());
        let task = Task { id, group, want, stage, tries: 0, founded, guests };
        self.wait(Pending::Group(Box::new(task)), LOOKUP_TIMEOUT_MS);
        if self.session.is_logged_in() {
            self.task_goes(id.source);
        } else {
            self.session.forgive();
            self.connect();
        }
    }

    /// A task begins, or begins again, with what the directory knows.
    pub(in super::super) fn task_goes(&mut self, source: Source) {
        let Some(Pending::Group(task)) = self.pending.get(&source) else { return };
        let (id, name, founded) = (task.id, task.group.clone(), task.founded);
        match (&task.want, founded) {
            (Want::List { .. }, _) => self.ask_for_groups(id),
            (_, Some(founded)) => self.invite_guests(id, founded),
            (Want::Create { private }, None) => {
                let private = *private;
                self.found(id, name, private);
            }
            (_, None) => {
                let mine = self.groups.named(&name).filter(|group| group.is_member(&self.config.me));
                let which = mine.map_or(WhichGroup::Name(name), |group| WhichGroup::Id(group.id()));
                let request = self.look_up_group(which, Why::Command(id));
                self.set_stage(id, Stage::Asked(request));
            }
        }
    }

    fn found(&mut self, id: CommandId, name: Name, private: bool) {
        let (group, me, at_ms) = (self.random(), self.config.me, self.now.wall_ms);
        self.make_step(id, Step::founding(group, me, at_ms, Change::Found { name, private }), Vec::new());
    }

    pub(super) fn set_stage(&mut self, command: CommandId, stage: Stage) {
        if let Some(task) = self.task(command) {
            task.stage = stage;
        }
    }

    pub(super) fn is_at(&self, command: CommandId, at: impl Fn(&Stage) -> bool) -> bool {
        task_of(self.pending.get(&command.source), command).is_some_and(|task| at(&task.stage))
    }

    pub(super) fn task_group(&self, command: CommandId) -> String {
        task_of(self.pending.get(&command.source), command).map_or_else(String::new, |task| task.group.to_string())
    }

    fn task(&mut self, command: CommandId) -> Option<&mut Task> {
        match self.pending.get_mut(&command.source) {
            Some(Pending::Group(task)) if task.id == command => Some(task),
            _ => None,
        }
    }

    /// The task is over; its answer follows.
    pub(super) fn end_task(&mut self, command: CommandId) -> Option<Task> {
        self.task(command)?;
        self.timers.clear(crate::timers::Timer::Command(command.source));
        match self.pending.remove(&command.source) {
            Some(Pending::Group(task)) => Some(*task),
            _ => None,
        }
    }

    /// A long chain comes in pages.
    pub(super) fn task_asks_on(&mut self, before: u32, request: u32) {
        let tasks = self.pending.values_mut().filter_map(|pending| match pending {
            Pending::Group(task) => Some(task),
            _ => None,
        });
        for task in tasks {
            if matches!(task.stage, Stage::Asked(of) if of == before) {
                task.stage = Stage::Asked(request);
            }
        }
    }

    pub(super) fn may_try_again(&mut self, command: CommandId) -> bool {
        let Some(task) = self.task(command) else { return false };
        task.tries += 1;
        task.tries <= TRIES_MAX
    }

    /// The chain that a command waits for, or why there is none.
    pub(super) fn task_found(&mut self, command: CommandId, outcome: Result<Draft, Refusal>) {
        if !self.is_at(command, |stage| matches!(stage, Stage::Asked(_))) {
            return;
        }
        let Some(task) = self.task(command) else { return };
        let name = task.group.clone();
        let steps = matches!(task.want, Want::Leave | Want::Invite { .. } | Want::Kick { .. });
        let mine = self.groups.named(&name).filter(|group| group.is_member(&self.config.me)).map(Membership::id);
        let lost = mine.filter(|_| matches!(outcome, Ok(_) | Err(Refusal::NoSuchGroup)));
        if let Some(id) = lost.filter(|_| steps)
            && self.restores_first(command, id)
        {
            return;
        }
        let Some(task) = self.task(command) else { return };
        let grows = match &task.want {
            Want::Invite { key, partner: Some(partner), .. } => Some((*partner, *key)),
            _ => None,
        };
        let draft = match (outcome, grows) {
            (Ok(draft), _) => draft,
            (Err(Refusal::NoSuchGroup), _) if lost.is_some() => Draft::after(None, lost),
            (Err(Refusal::NoSuchGroup), Some((partner, key))) => {
                task.guests = if partner == key { VecDeque::from([key]) } else { VecDeque::from([partner, key]) };
                self.found(command, name, true);
                return;
            }
            (Err(Refusal::NoSuchGroup), None) if self.is_left(&name) && !self.wants_in(command) => {
                let message = format!("you are no member of @{name}");
                self.command_failed(command, CommandError::new(ErrorCode::NotAMember, message));
                return;
            }
            (Err(reason), _) => {
                self.command_failed(command, refusal(name.as_str(), &reason));
                return;
            }
        };
        let id = draft.group().map(Membership::id).or(lost);
        let kept = id.and_then(|id| self.chain(&id).cloned());
        let unsaved = if kept.is_some() { Vec::new() } else { draft.fresh().to_vec() };
        match kept.or_else(|| draft.group().cloned()).filter(|group| !group.members().is_empty()) {
            Some(group) => self.task_decides(command, group, unsaved),
            None => self.command_failed(command, refusal(name.as_str(), &Refusal::NoSuchGroup)),
        }
    }

    fn wants_in(&self, command: CommandId) -> bool {
        let task = task_of(self.pending.get(&command.source), command);
        task.is_some_and(|task| matches!(task.want, Want::Join | Want::Members))
    }

    /// Whether this peer has belonged to a group of this name, and does no more.
    fn is_left(&self, name: &Name) -> bool {
        self.groups.named(name).is_some_and(|group| !group.is_member(&self.config.me))
    }

    fn task_decides(&mut self, command: CommandId, group: Membership, unsaved: Vec<SignedStep>) {
        let me = self.config.me;
        let Some(task) = self.task(command) else { return };
        let change = match &task.want {
            Want::Join => Change::Join,
            Want::Leave => Change::Leave,
            Want::Invite { key, .. } => Change::Invite { who: *key },
            Want::Kick { key, .. } => Change::Remove { who: *key },
            Want::Members => {
                self.name_members(command, group);
                return;
            }
            Want::Chat | Want::Say(_) | Want::Create { .. } | Want::List { .. } => {
                if group.is_member(&me) {
                    self.await_commit(command, group.id(), group.version());
                } else {
                    let message = format!("you are no member of @{}", group.name());
                    self.command_failed(command, CommandError::new(ErrorCode::NotAMember, message));
                }
                return;
            }
        };
        match (group.may(&me, &change), &change) {
            // The door is open already: only the word of it goes again.
            (Err(StepError::AlreadyAMember), Change::Invite { who }) if group.is_invited(who) => {
                self.await_commit(command, group.id(), group.version());
            }
            (Err(why), _) => {
                let error = self.not_allowed(&group, &change, why);
                self.command_failed(command, error);
            }
            (Ok(()), _) => {
                let step = group.next(me, self.now.wall_ms, change);
                self.make_step(command, step, unsaved);
            }
        }
    }

    fn await_commit(&mut self, command: CommandId, group: GroupId, version: u64) {
        self.set_stage(command, Stage::Committing { group, version });
        if let Some(committed) = self.groups.of(&group).map(Membership::version).filter(|there| *there >= version) {
            self.task_committed(group, committed);
        }
    }

    /// A chain is committed up to a version: what waited for it goes on.
    pub(super) fn task_committed(&mut self, group: GroupId, version: u64) {
        let waits = |task: &Task| matches!(task.stage, Stage::Committing { group: of, version: at } if of == group && at <= version);
        let tasks = self.pending.values().filter_map(|pending| match pending {
            Pending::Group(task) if waits(task) => Some(task.id),
            _ => None,
        });
        for command in tasks.collect::<Vec<_>>() {
            self.task_is_committed(command, group);
        }
    }

    fn task_is_committed(&mut self, command: CommandId, group: GroupId) {
        let Some(task) = self.task(command) else { return };
        if task.founded.is_none() && !task.guests.is_empty() {
            task.founded = Some(group);
            let name = task.group.clone();
            self.note_founded(name);
        }
        if self.task(command).is_some_and(|task| task.founded.is_some()) {
            self.invite_guests(command, group);
        } else {
            self.task_done(command, group);
        }
    }

    /// A conversation that grows into a group: one guest after the other is let in.
    fn invite_guests(&mut self, command: CommandId, id: GroupId) {
        let Some(group) = self.chain(&id).cloned() else { return };
        let (me, at_ms) = (self.config.me, self.now.wall_ms);
        let Some(task) = self.task(command) else { return };
        let open = |who: &PublicKey| group.is_invited(who) || group.is_member(who);
        match task.guests.iter().find(|guest| !open(guest)).copied() {
            Some(who) => {
                let step = group.next(me, at_ms, Change::Invite { who });
                self.make_step(command, step, Vec::new());
            }
            None => self.task_done(command, id),
        }
    }

    fn task_done(&mut self, command: CommandId, id: GroupId) {
        let Some(task) = self.end_task(command) else { return };
        let mine = self.called(&self.config.me);
        // As the group is called, not as the user typed it.
        let group = self.chain(&id).map_or(task.group, |group| group.name().clone());
        let (change, name) = match task.want {
            Want::Create { .. } => (GroupChange::Created, mine),
            Want::Join => {
                // What was done there meanwhile was told to nobody here.
                self.want_chain(id);
                (GroupChange::Joined, mine)
            }
            Want::Leave => (GroupChange::Left, mine),
            Want::Kick { who, .. } => (GroupChange::Kicked, who.to_string()),
            Want::Invite { key, who, .. } => {
                let guests = if task.guests.is_empty() { vec![key] } else { task.guests.into() };
                let answer = Answer::Group { group, change: GroupChange::Invited, name: who.to_string() };
                self.send_invitations(command, id, guests, answer);
                return;
            }
            Want::Say(said) => {
                // A message is answered when it is committed; what comes behind it need not wait for that.
                self.answers.unblock(command);
                self.say_in_group(command, id, *said);
                self.start_commands(command.source);
                return;
            }
            Want::Chat => {
                let name = self.groups.called(&id);
                self.done(command, Answer::Chat(name));
                return;
            }
            Want::Members | Want::List { .. } => return,
        };
        self.done(command, Answer::Group { group, change, name });
    }

    /// The session is lost. A step that was out may have been taken or not; questions are asked again.
    pub(super) fn tasks_offline(&mut self) {
        let mut unsure = Vec::new();
        for (source, pending) in &mut self.pending {
            let Pending::Group(task) = pending else { continue };
            match task.stage {
                Stage::Submitted(_) => unsure.push(*source),
                Stage::Asked(_) | Stage::Restoring(_) => {
                    task.stage = Stage::Waiting;
                    if let Want::List { groups } = &mut task.want {
                        groups.clear();
                    }
                }
                Stage::Waiting | Stage::Signing | Stage::Committing { .. } | Stage::Naming(_) => {}
            }
        }
        for source in unsure {
            self.finish(source, Err(unreachable()));
        }
    }
}
