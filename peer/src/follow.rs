//! One command and what comes of it: submits it as a front of its own and hands out the JSON objects that tell of it,
//! until waiting longer changes nothing or the time is over.

use std::time::Duration;

use peer_core::command::{Command, CommandError};
use peer_core::event::{CommandId, Event};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::driver::api::{Attached, FrontInput, Gone, Handle};
use crate::front::json;
use crate::progress::{Progress, Wanted};

/// An answer is waited for at least so long: a look-up takes up to 5 s, and only the answer says whether anything was
/// stored.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(8);

/// A command on its way.
#[derive(Debug)]
pub struct Follow {
    attached: Attached,
    word: &'static str,
    begun: Instant,
    timeout: Duration,
    progress: Progress,
    /// Nothing but the answer is wanted.
    answer_only: bool,
    gone: bool,
    aside: Option<CommandError>,
}

impl Follow {
    /// Submits a message and follows it to `wanted`, for `timeout` at most.
    ///
    /// # Errors
    /// [`Gone`] when the loop has left.
    pub async fn message(
        handle: &Handle,
        attached: Attached,
        command: Command,
        wanted: Wanted,
        timeout: Duration,
    ) -> Result<Self, Gone> {
        Self::submit(handle, attached, "send", command, (wanted, timeout, false)).await
    }

    /// Submits a command of which only the answer is wanted.
    ///
    /// # Errors
    /// [`Gone`] when the loop has left.
    pub async fn answer(
        handle: &Handle,
        attached: Attached,
        word: &'static str,
        command: Command,
    ) -> Result<Self, Gone> {
        Self::submit(handle, attached, word, command, (Wanted::Queued, Duration::ZERO, true)).await
    }

    async fn submit(
        handle: &Handle,
        attached: Attached,
        word: &'static str,
        command: Command,
        (wanted, timeout, answer_only): (Wanted, Duration, bool),
    ) -> Result<Self, Gone> {
        let id = CommandId { source: attached.source, number: 1 };
        handle.submit(FrontInput::Command { id, command: Ok(command) }).await?;
        Ok(Self {
            attached,
            word,
            begun: Instant::now(),
            timeout,
            progress: Progress::new(wanted),
            answer_only,
            gone: false,
            aside: None,
        })
    }

    /// The next object about this command; none when there is nothing more to wait for.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            let answered = self.progress.is_answered();
            if self.progress.is_done() || (answered && self.answer_only) {
                return None;
            }
            let patience = if answered { self.timeout } else { self.timeout.max(ANSWER_PATIENCE) };
            let event = timeout_at(self.begun + patience, self.attached.events.recv()).await.ok()?;
            let Some(event) = event else {
                self.gone = true;
                return None;
            };
            if let Event::Error(error) = &event {
                self.aside = Some(error.clone());
            }
            let values = match &event {
                Event::Answer { answer, .. } => vec![json::answer(self.word, answer.as_deref())],
                event => json::events(event),
            };
            if let Some(value) = values.into_iter().find(|value| self.progress.take(value)) {
                return Some(value);
            }
        }
    }

    /// Whether the loop has left meanwhile.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// The last thing that went wrong beside the command.
    #[must_use]
    pub fn aside(&self) -> Option<&CommandError> {
        self.aside.as_ref()
    }

    /// What is known now.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}
