//! Going: `!quit`, the end of input, `!logout`, another machine taking over. What is queued is flushed as far as it
//! goes in the time given, and nothing is lost: it is on the disk.

use common::wire::directory::{self as wire, ToDirectory};
use common::wire::peer::CloseReason;

use super::Messenger;
use crate::command::{CommandError, ErrorCode};
use crate::event::{Answer, CommandId, Event, Exit, Output};
use crate::limits::FLUSH_MS;
use crate::outbox::Deposit;
use crate::stored::State;
use crate::timers::Timer;

/// The program is leaving.
#[derive(Debug)]
pub(super) struct Leaving {
    command: Option<CommandId>,
    at_end_of_input: bool,
    /// Nothing more is waited for.
    closing: bool,
}

impl Leaving {
    /// Whether deposits may still be begun.
    pub(super) fn may_deposit(&self) -> bool {
        !self.closing
    }
}

impl Messenger {
    /// Flushes, goes offline, exits. `command`: the `!quit` to be answered.
    pub(super) fn leave(&mut self, command: Option<CommandId>) {
        if let Some(leaving) = &mut self.leaving {
            // A second wish to leave: what is flushed already stays flushed, and a `!quit` gets its answer.
            leaving.at_end_of_input &= command.is_none();
            leaving.command = leaving.command.or(command);
            return;
        }
        self.leaving = Some(Leaving { command, at_end_of_input: command.is_none(), closing: false });
        self.timers.set(Timer::Leave, self.now.mono_ms + FLUSH_MS);
        for key in self.outbox.recipients() {
            self.tend(key);
        }
    }

    /// Commands go on until the end of input is flushed; after `!quit` none begins.
    pub(super) fn takes_commands(&self) -> bool {
        self.leaving.as_ref().is_none_or(|leaving| leaving.at_end_of_input && !leaving.closing)
    }

    /// Whether every message is as safe as it can be made now.
    fn is_flushed(&self) -> bool {
        let safe = self.outbox.all().all(|message| match message.row.state {
            State::Queued => false,
            State::Kept | State::Held => message.deposit != Deposit::Sent && !message.ending,
            State::Delivered | State::Read | State::Expired | State::Refused | State::Cancelled => true,
        });
        let quiet = self.meta.suspended || !self.meta.wants_online;
        let answered = !self.takes_commands() || self.answers.is_idle();
        let settled = (safe && !self.owes_slots()) || quiet;
        settled && answered && self.asked.is_empty() && self.commits.is_empty() && self.ops.is_empty()
    }

    pub(super) fn leave_if_flushed(&mut self) {
        if self.leaving.as_ref().is_some_and(|leaving| !leaving.closing) && self.is_flushed() {
            self.leave_now();
        }
    }

    /// Time is up, or nothing is left to do.
    pub(super) fn leave_now(&mut self) {
        let Some(leaving) = &mut self.leaving else { return };
        leaving.closing = true;
        let command = leaving.command.take();
        if self.session.is_online()
            && let Some(name) = self.my_name()
        {
            self.tell(Event::Offline(name));
        }
        for id in self.answers.unanswered() {
            if Some(id) == command {
                self.reply(id, Ok(Box::new(Answer::Bye)));
            } else {
                let message = "not carried out: the program is leaving";
                self.reply(id, Err(CommandError::new(ErrorCode::DirectoryUnreachable, message)));
            }
        }
        self.meta_changed = false;
        // What is being committed now will not be told: the next start tells it again.
        self.meta.left_cleanly = self.commits.is_empty() && self.ops.is_empty();
        self.meta.age_ms = self.clock.age_ms();
        self.meta.wall_ms = self.clock.trusted_ms();
        self.store(crate::stored::StoreOp::PutMeta(self.meta.clone()), super::Then::Nothing);
        self.flush_ops();
        self.go_silent();
        self.exit(Exit::Done);
    }

    /// Closes every link and the session; says goodbye where there is somebody to hear it.
    fn go_silent(&mut self) {
        for link in self.links.all() {
            self.close_link(link, CloseReason::Leaving);
        }
        for link in self.links.dials() {
            self.out.push_back(Output::LinkClose { link });
        }
        if self.session.is_logged_in() {
            let request = self.session.request();
            self.send_directory(ToDirectory::Offline(wire::Offline { request }));
        }
        self.out.push_back(Output::DirectoryClose);
    }

    pub(super) fn exit(&mut self, exit: Exit) {
        self.flush_ops();
        self.out.push_back(Output::Exit(exit));
        self.exited = true;
    }

    pub(super) fn logout(&mut self, id: CommandId) {
        self.meta.wants_online = false;
        self.meta_changed = true;
        self.go_silent();
        self.directory_lost();
        self.timers.clear(Timer::Reconnect);
        self.reply(id, Ok(Box::new(Answer::Offline)));
    }

    /// Another machine has this identity now: quiet until the user says `!login`.
    pub(super) fn suspend(&mut self) {
        self.meta.suspended = true;
        self.meta_changed = true;
        self.go_silent();
        self.directory_lost();
        self.timers.clear(Timer::Reconnect);
        self.tell_suspended();
    }

    pub(super) fn tell_suspended(&mut self) {
        let message =
            "this identity is online on another machine; nothing is sent from here until !login takes over again";
        self.tell(Event::Error(CommandError::new(ErrorCode::Suspended, message)));
    }
}
