//! One command and what comes of it: submits it as a front of its own and hands out the JSON objects that tell of it,
//! until waiting longer changes nothing or the time is over.

use std::collections::VecDeque;
use std::time::Duration;

use peer_core::command::{Command, CommandError};
use peer_core::event::{Answer, CommandId, Event};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::driver::api::{Attached, FrontInput, Gone, Handle};
use crate::front::json;
use crate::progress::{Progress, Wanted};

/// An answer is waited for at least so long: a look-up takes up to 5 s, and only the answer says whether anything was
/// stored.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(8);

/// The number of the command that is followed.
const SUBMITTED: u64 = 1;
/// The number of the command that asks how files stand.
const LISTED: u64 = 2;

/// A command on its way.
#[derive(Debug)]
pub struct Follow {
    handle: Handle,
    attached: Attached,
    word: &'static str,
    begun: Instant,
    timeout: Duration,
    progress: Progress,
    /// What was told at once and is not handed out yet.
    told: VecDeque<Value>,
    /// Nothing but the answer is wanted.
    answer_only: bool,
    gone: bool,
    aside: Option<CommandError>,
}

impl Follow {
    /// Submits a message, or a file, and follows it to `wanted`, for `timeout` at most.
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
        let id = CommandId { source: attached.source, number: SUBMITTED };
        let is_file = matches!(command, Command::File { .. });
        let progress = if is_file { Progress::of_file(wanted) } else { Progress::new(wanted) };
        handle.submit(FrontInput::Command { id, command: Ok(command) }).await?;
        Ok(Self {
            handle: handle.clone(),
            attached,
            word,
            begun: Instant::now(),
            timeout,
            progress,
            told: VecDeque::new(),
            answer_only,
            gone: false,
            aside: None,
        })
    }

    /// The next object about this command; none when there is nothing more to wait for.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some(value) = self.told.pop_front() {
                if self.progress.take(&value) {
                    return Some(value);
                }
            }
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
            self.hear(&event).await;
        }
    }

    async fn hear(&mut self, event: &Event) {
        match event {
            Event::Error(error) => {
                self.aside = Some(error.clone());
                self.told.extend(json::events(event));
            }
            Event::Answer { id, answer } if id.number == SUBMITTED => {
                self.told.push_back(json::answer(self.word, answer.as_deref()));
                let before = |answer: &Answer| matches!(answer, Answer::Sent { before: Some(_), .. });
                if self.progress.is_of_file() && answer.as_deref().is_ok_and(before) {
                    // Offered before: how the file stands is told again only to who asks.
                    let id = CommandId { source: self.attached.source, number: LISTED };
                    // A loop that has left says so by its last event.
                    let _ = self.handle.submit(FrontInput::Command { id, command: Ok(Command::Files) }).await;
                }
            }
            Event::Answer { answer: Ok(answer), .. } => {
                if let Answer::Files(views) = answer.as_ref() {
                    let mine = views.iter().filter(|view| view.mine).cloned();
                    self.told.extend(mine.flat_map(|view| json::events(&Event::File(Box::new(view)))));
                }
            }
            Event::Answer { answer: Err(_), .. } => {}
            event => self.told.extend(json::events(event)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::api::{FrontSide, Patience, fronts};
    use crate::front::render::samples::file_view;
    use crate::progress::exit;
    use common::message::MessageId;
    use peer_core::event::{FileView, Source};
    use peer_core::stored::{FileState, State};
    use tokio::sync::mpsc::Sender;

    type Before = Option<(State, Option<peer_core::stored::Via>, Option<peer_core::stored::Reason>, u64)>;

    /// A file for bob, submitted to a loop that the test plays, which has offered it as [12].
    async fn offered(wanted: Wanted, patience: Duration, before: Before) -> (Follow, FrontSide, Sender<Event>, Source) {
        let (handle, mut side) = fronts();
        let attached = handle.attach(Patience::Wait);
        let (source, tells) = (attached.source, side.tells().unwrap());
        let file = Command::File { to: "bob".parse().unwrap(), path: "/a".to_owned(), key: None };
        let follow = Follow::message(&handle, attached, file.clone(), wanted, patience).await.unwrap();
        let Some(FrontInput::Command { id, command }) = side.command().await else { panic!("no command") };
        assert_eq!(command, Ok(file));
        let answer = Answer::Sent { id: MessageId([3; 16]), n: 12, to: "bob".to_owned(), before };
        tells.send(Event::Answer { id, answer: Ok(Box::new(answer)) }).await.unwrap();
        (follow, side, tells, source)
    }

    fn told(state: FileState, n: u64) -> FileView {
        FileView { n, ..file_view("a", state, true) }
    }

    #[tokio::test]
    async fn a_file_is_followed_until_it_is_where_it_is_wanted() {
        let (mut follow, _side, tells, _) = offered(Wanted::Delivered, Duration::from_secs(60), None).await;
        assert_eq!(follow.next().await.unwrap()["event"], "result");
        for view in [told(FileState::Done, 11), told(FileState::Progress, 12), told(FileState::Done, 12)] {
            tells.send(Event::File(Box::new(view))).await.unwrap();
        }
        assert_eq!(follow.next().await.unwrap()["state"], "progress");
        assert_eq!(follow.next().await.unwrap()["state"], "done");
        assert_eq!((follow.next().await, follow.progress().exit_code()), (None, exit::DONE));
    }

    #[tokio::test]
    async fn a_file_that_nobody_accepts_ends_with_its_time() {
        let (mut follow, _side, tells, _) = offered(Wanted::Delivered, Duration::from_millis(50), None).await;
        let kept = FileView { kept: true, ..told(FileState::Offered, 12) };
        tells.send(Event::File(Box::new(kept))).await.unwrap();
        while follow.next().await.is_some() {}
        assert_eq!((follow.is_gone(), follow.progress().exit_code()), (false, exit::KEPT));
    }

    #[tokio::test]
    async fn how_a_file_stands_that_was_offered_before_is_asked_for() {
        let before = Some((State::Delivered, None, None, 5));
        let (mut follow, mut side, tells, source) = offered(Wanted::Delivered, Duration::from_secs(60), before).await;
        assert_eq!(follow.next().await.unwrap()["state"], "delivered");
        let Some(FrontInput::Command { id, command }) = side.command().await else { panic!("no command") };
        assert_eq!((id.source, command), (source, Ok(Command::Files)));
        let theirs = FileView { mine: false, ..told(FileState::Failed, 12) };
        let views = vec![told(FileState::Declined, 11), theirs, told(FileState::Done, 12)];
        tells.send(Event::Answer { id, answer: Ok(Box::new(Answer::Files(views))) }).await.unwrap();
        assert_eq!(follow.next().await.unwrap()["state"], "done");
        assert_eq!((follow.next().await, follow.progress().exit_code()), (None, exit::DONE));
    }
}
