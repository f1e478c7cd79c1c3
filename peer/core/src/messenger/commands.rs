//! What the user wants: each command is checked, carried out or begun, and answered exactly once.

use common::group::GroupId;
use common::identity::Fingerprint;
use common::message::MessageId;
use common::name::Name;
use common::wire::directory::{self as wire, Refusal, ToDirectory, Whom};

use super::Messenger;
use super::membership::Task;
use super::people::LookUp;
use crate::answers::Reply;
use crate::command::{Command, CommandError, ErrorCode, To};
use crate::event::{Answer, CommandId, Event, Source};
use crate::registration::Step;
use crate::stored::{Query, StoredMessage, Talk};
use crate::timers::Timer;

/// `!register` and `!login` wait so long for the directory, milliseconds.
const LOGIN_PATIENCE_MS: u64 = 10_000;

/// A command that waits for the directory. Its source waits behind it.
#[derive(Debug)]
pub(super) enum Pending {
    Register {
        id: CommandId,
        name: Name,
    },
    Login {
        id: CommandId,
    },
    Deregister {
        id: CommandId,
        request: u32,
    },
    Who {
        id: CommandId,
        request: u32,
        text: Option<String>,
        people: Vec<wire::Listed>,
    },
    Find {
        id: CommandId,
        name: Name,
        command: Box<Command>,
    },
    /// No request yet: it is being signed.
    Broadcast {
        id: CommandId,
        request: Option<u32>,
    },
    /// About a group.
    Group(Box<Task>),
}

impl Pending {
    pub(super) fn id(&self) -> CommandId {
        match self {
            Self::Register { id, .. }
            | Self::Login { id }
            | Self::Deregister { id, .. }
            | Self::Who { id, .. }
            | Self::Find { id, .. }
            | Self::Broadcast { id, .. } => *id,
            Self::Group(task) => task.id(),
        }
    }
}

/// A query under way.
#[derive(Debug)]
pub(super) enum Asked {
    History {
        id: CommandId,
        talk: Talk,
    },
    Trace {
        id: CommandId,
    },
    /// The line that a command is about.
    Line {
        id: CommandId,
        command: Box<Command>,
    },
    Files {
        id: CommandId,
    },
    Search {
        id: CommandId,
        words: Vec<String>,
    },
    /// An own line that was read.
    Read {
        n: u64,
        id: MessageId,
        elapsed_ms: u64,
    },
    /// The line that an arrived change is about.
    Change {
        message: Box<StoredMessage>,
    },
    /// Steps of a group that the directory has lost.
    Steps {
        group: GroupId,
    },
}

impl Asked {
    /// The command that waits for it, if it is one.
    pub(super) fn id(&self) -> Option<CommandId> {
        match self {
            Self::History { id, .. }
            | Self::Trace { id }
            | Self::Line { id, .. }
            | Self::Files { id }
            | Self::Search { id, .. } => Some(*id),
            Self::Read { .. } | Self::Change { .. } | Self::Steps { .. } => None,
        }
    }
}

pub(super) fn unreachable() -> CommandError {
    CommandError::new(
        ErrorCode::DirectoryUnreachable,
        "the directory cannot be reached now; it is tried again by itself",
    )
}

impl Messenger {
    pub(super) fn on_command(&mut self, id: CommandId, command: Result<Command, CommandError>) {
        self.answers.push(id, command);
        self.start_commands(id.source);
    }

    pub(super) fn on_source_closed(&mut self, source: Source) {
        self.answers.close(source);
        self.pending.remove(&source);
        self.timers.clear(Timer::Command(source));
    }

    pub(super) fn start_commands(&mut self, source: Source) {
        while !self.epochs.changing && self.epochs.wanted.is_none() && self.takes_commands() {
            let Some((id, command)) = self.answers.start(source) else { return };
            match command {
                Ok(command) => self.run(id, command),
                Err(error) => self.reply(id, Err(error)),
            }
        }
    }

    pub(super) fn reply(&mut self, id: CommandId, reply: Reply) {
        let held_up = self.answers.blocked_by(id.source) == Some(id);
        for (id, answer) in self.answers.reply(id, reply) {
            self.tell(Event::Answer { id, answer });
        }
        // What was looked up may be answered only after a commit: what waits behind it starts then.
        if held_up {
            self.start_commands(id.source);
        }
    }

    pub(super) fn done(&mut self, id: CommandId, answer: Answer) {
        self.reply(id, Ok(Box::new(answer)));
    }

    pub(super) fn fail(&mut self, id: CommandId, code: ErrorCode, message: impl Into<String>) {
        self.reply(id, Err(CommandError::new(code, message)));
    }

    /// A pending command has ended: answers it and lets its source go on.
    pub(super) fn finish(&mut self, source: Source, reply: Reply) {
        if let Some(pending) = self.pending.remove(&source) {
            self.timers.clear(Timer::Command(source));
            self.reply(pending.id(), reply);
            self.start_commands(source);
        }
    }

    pub(super) fn wait(&mut self, pending: Pending, patience_ms: u64) {
        let id = pending.id();
        self.answers.block(id);
        self.timers.set(Timer::Command(id.source), self.now.mono_ms + patience_ms);
        self.pending.insert(id.source, pending);
    }

    fn run(&mut self, id: CommandId, command: Command) {
        match command {
            Command::Help(topic) => self.done(id, Answer::Help(topic)),
            Command::Register(name) => self.register(id, name),
            Command::Deregister { sure } => self.deregister(id, sure),
            Command::Login => self.login(id),
            Command::Logout => self.logout(id),
            Command::WhoAmI => self.who_am_i(id),
            Command::Who(text) => self.who(id, text),
            Command::Send { to: To::Group(ref name), .. } => {
                let name = name.clone();
                if self.may_send(id, &command) {
                    self.send_to_group(id, &name, command);
                }
            }
            Command::Send { ref to, .. } => {
                if let Some((name, print)) = self.person(id, to) {
                    self.send_or_find(id, name, print, command);
                }
            }
            Command::Chat(To::Group(ref name)) => {
                let name = name.clone();
                self.chat_in_group(id, &name, &command);
            }
            Command::Chat(ref to) => {
                if let Some((name, print)) = self.person(id, to) {
                    self.chat_or_find(id, name, print, command);
                }
            }
            Command::Close => self.done(id, Answer::Closed),
            Command::History { with, count, before } => self.history(id, &with, count, before),
            Command::Status(n) => self.query(Query::Trace { n }, Asked::Trace { id }),
            Command::Cancel(n) => self.cancel(id, n),
            Command::Contacts => self.contacts(id),
            Command::Verify { name, fingerprint, verdict } => self.verify(id, &name, fingerprint, verdict),
            Command::Quit => self.leave(Some(id)),
            Command::Reply { .. }
            | Command::Edit { .. }
            | Command::Delete(_)
            | Command::React { .. }
            | Command::Forward { .. }
            | Command::Expire { .. }
            | Command::Search { .. }
            | Command::Forget { .. }
            | Command::Receipts(_) => self.run_on_lines(id, command),
            Command::Create { .. }
            | Command::Join(_)
            | Command::Leave(_)
            | Command::Invite { .. }
            | Command::Kick { .. }
            | Command::Groups
            | Command::Members(_) => self.run_on_groups(id, command),
            Command::Add(_)
            | Command::Remove(_)
            | Command::Block(_)
            | Command::Unblock(_)
            | Command::Stand { .. }
            | Command::Broadcast(_) => self.run_in_company(id, command),
            Command::File { .. } | Command::Files | Command::Accept { .. } | Command::Decline(_) => {
                self.run_on_files(id, command);
            }
            Command::Format(how) => self.done(id, Answer::Format(how)),
        }
    }

    pub(super) fn person(&mut self, id: CommandId, to: &To) -> Option<(Name, Option<Fingerprint>)> {
        match to {
            To::Person { name, fingerprint } => Some((name.clone(), *fingerprint)),
            To::Group(name) => {
                self.fail(id, ErrorCode::NoSuchGroup, format!("there is no group @{name}"));
                None
            }
        }
    }

    fn register(&mut self, id: CommandId, name: Name) {
        match self.my_name() {
            Some(mine) if mine != name => {
                self.fail(id, ErrorCode::AlreadyRegistered, format!("this identity is registered as {mine}"));
            }
            Some(mine) if self.session.is_online() => self.done(id, Answer::Registered(mine)),
            // The directory may know the name no more: then it is registered again.
            Some(_) | None => {
                self.begin_session();
                self.wait(Pending::Register { id, name }, LOGIN_PATIENCE_MS);
                self.come_online();
                for key in self.outbox.recipients() {
                    self.tend(key);
                }
            }
        }
    }

    fn begin_session(&mut self) {
        if !self.meta.wants_online || self.meta.suspended {
            self.meta.wants_online = true;
            self.meta.suspended = false;
            self.meta_changed = true;
        }
        self.session.forgive();
        self.connect();
    }

    fn login(&mut self, id: CommandId) {
        let Some(name) = self.my_name() else {
            self.fail(id, ErrorCode::NotRegistered, "no name is registered yet: !register NAME");
            return;
        };
        if self.session.is_online() {
            self.done(id, Answer::Online(name));
            return;
        }
        self.begin_session();
        self.wait(Pending::Login { id }, LOGIN_PATIENCE_MS);
        for key in self.outbox.recipients() {
            self.tend(key);
        }
    }

    /// The session is logged in; there may be no name yet.
    pub(super) fn commands_after_login(&mut self) {
        for source in self.answers.sources() {
            match self.pending.get(&source) {
                Some(Pending::Find { id, name, .. }) => {
                    let (id, name) = (*id, name.clone());
                    self.look_up(Whom::Name(name), LookUp::Command(id));
                }
                Some(Pending::Who { .. }) => self.ask_who(source),
                Some(Pending::Group(_)) => self.task_goes(source),
                Some(
                    Pending::Register { .. }
                    | Pending::Login { .. }
                    | Pending::Deregister { .. }
                    | Pending::Broadcast { .. },
                )
                | None => {}
            }
        }
    }

    pub(super) fn commands_after_online(&mut self) {
        let Some(name) = self.my_name() else { return };
        for source in self.answers.sources() {
            let answer = match self.pending.get(&source) {
                Some(Pending::Register { name: wanted, .. }) if *wanted != name => {
                    let message = format!("this identity is registered as {name}");
                    Err(CommandError::new(ErrorCode::AlreadyRegistered, message))
                }
                Some(Pending::Register { .. }) => Ok(Box::new(Answer::Registered(name.clone()))),
                Some(Pending::Login { .. }) => Ok(Box::new(Answer::Online(name.clone()))),
                Some(
                    Pending::Deregister { .. }
                    | Pending::Who { .. }
                    | Pending::Find { .. }
                    | Pending::Broadcast { .. }
                    | Pending::Group(_),
                )
                | None => continue,
            };
            self.finish(source, answer);
        }
    }

    /// There is no name to come online with any more. True when a command was told, or is about to register one.
    pub(super) fn logins_fail(&mut self, error: &CommandError) -> bool {
        let concerned = |pending: &Pending| matches!(pending, Pending::Login { .. } | Pending::Register { .. });
        let told = self.pending.values().any(concerned);
        let logins = self.pending.iter().filter(|(_, pending)| matches!(pending, Pending::Login { .. }));
        for source in logins.map(|(source, _)| *source).collect::<Vec<_>>() {
            self.finish(source, Err(error.clone()));
        }
        told
    }

    /// Coming online or registering was refused.
    pub(super) fn registration_refused(&mut self, reason: &Refusal) {
        if self.meta.binding.is_some() {
            // There is a name, so this was about coming online: a new session starts from what the directory knows.
            self.out.push_back(crate::event::Output::DirectoryClose);
            self.directory_lost();
            return;
        }
        let error = match reason {
            Refusal::NameTaken => CommandError::new(ErrorCode::NameTaken, "this name belongs to another identity"),
            Refusal::AlreadyRegistered(name) => {
                CommandError::new(ErrorCode::AlreadyRegistered, format!("this identity is registered as {name}"))
            }
            Refusal::RateLimited(_) => CommandError::new(
                ErrorCode::RateLimited,
                "too many registrations from this address; try again in some minutes",
            ),
            other => CommandError::new(ErrorCode::NotAllowed, format!("the directory refused: {other:?}")),
        };
        let waiting = self.pending.iter().find(|(_, p)| matches!(p, Pending::Register { .. } | Pending::Login { .. }));
        match waiting.map(|(source, _)| *source) {
            Some(source) => self.finish(source, Err(error)),
            None => {
                self.config.name = None;
                self.tell(Event::Error(error));
            }
        }
    }

    fn deregister(&mut self, id: CommandId, sure: bool) {
        if self.my_name().is_none() {
            self.fail(id, ErrorCode::NotRegistered, "no name is registered");
            return;
        }
        let waiting = self.outbox.len() as u64;
        if waiting > 0 && !sure {
            self.done(id, Answer::DeregisterSure(waiting));
            return;
        }
        if !self.session.is_logged_in() {
            self.reply(id, Err(unreachable()));
            return;
        }
        let request = self.session.request();
        self.send_directory(ToDirectory::Deregister(wire::Deregister { request }));
        self.wait(Pending::Deregister { id, request }, LOGIN_PATIENCE_MS);
    }

    /// The directory has done what a command asked for.
    pub(super) fn command_done(&mut self, request: u32) {
        if self.step_taken(request) || self.steps_restored(request) {
            return;
        }
        let waiting = self
            .pending
            .iter()
            .find(|(_, pending)| matches!(pending, Pending::Deregister { request: r, .. } if *r == request));
        let Some(source) = waiting.map(|(source, _)| *source) else { return };
        let Some(name) = self.my_name() else { return };
        self.set_binding(None);
        self.config.name = None;
        self.session.go(Step::LoggedIn);
        self.errands.online_told = false;
        self.tell(Event::Deregistered(name.clone()));
        self.finish(source, Ok(Box::new(Answer::Deregistered(name))));
    }

    pub(super) fn command_refused(&mut self, request: u32, reason: &Refusal) {
        if self.group_refused(request, reason) {
            return;
        }
        let waiting = self.pending.iter().find(|(_, pending)| match pending {
            Pending::Deregister { request: r, .. } | Pending::Who { request: r, .. } => *r == request,
            Pending::Broadcast { request: r, .. } => *r == Some(request),
            Pending::Register { .. } | Pending::Login { .. } | Pending::Find { .. } | Pending::Group(_) => false,
        });
        let Some(source) = waiting.map(|(source, _)| *source) else { return };
        let error = match reason {
            Refusal::RateLimited(_) => {
                CommandError::new(ErrorCode::RateLimited, "the directory asks to slow down; try again")
            }
            other => CommandError::new(ErrorCode::NotAllowed, format!("the directory refused: {other:?}")),
        };
        self.finish(source, Err(error));
    }

    /// A command has waited long enough for the directory.
    pub(super) fn command_late(&mut self, source: Source) {
        if self.pending.contains_key(&source) {
            self.finish(source, Err(unreachable()));
        }
    }

    /// Requests that were out are not answered any more; those that can be asked again wait for their time.
    pub(super) fn directory_is_down_for_commands(&mut self) {
        let lost: Vec<Source> = self
            .pending
            .iter()
            .filter(|(_, pending)| matches!(pending, Pending::Deregister { .. } | Pending::Broadcast { .. }))
            .map(|(source, _)| *source)
            .collect();
        for source in lost {
            self.finish(source, Err(unreachable()));
        }
    }
}
