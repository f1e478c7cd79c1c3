//! Where inputs come from: network, store, sealing thread, files, fronts. Waits for any of them and takes a fair batch of all.
//! Of a helper thread that ends without a word, the end is an input too: nothing would ever be answered again.
//! Not here: what is done with them.

use peer_core::event::{FileNews, Input};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{self, Receiver};

use super::api::{FrontInput, FrontSide, Subscriber};
use crate::storage::Reply;
use crate::transport::{Batch, Session};

/// Inputs of one kind taken in one turn. One network batch may exceed it.
const TAKE_MAX: usize = 256;

/// Inputs that are handed over in the same way.
#[derive(Debug)]
pub(super) enum Taken {
    /// As they are.
    Inputs(Vec<Input>),
    /// Of one connection to the directory, which may be gone.
    Directory { session: Session, inputs: Vec<Input> },
    /// The store's disk has no room, or has again.
    StoreFull(bool),
    /// The store's last word.
    StoreFailed(String),
}

/// All channels that lead to the loop.
#[derive(Debug)]
pub(super) struct Sources {
    network: Source<Batch>,
    replies: Source<Reply>,
    sealed: Source<Input>,
    files: Source<FileNews>,
    shown: Source<Vec<u64>>,
    commands: Source<FrontInput>,
    leave: Source<()>,
    fronts: FrontSide,
}

impl Sources {
    pub(super) fn new(
        network: Receiver<Batch>,
        replies: Receiver<Reply>,
        sealed: Receiver<Input>,
        files: Receiver<FileNews>,
        mut fronts: FrontSide,
    ) -> Self {
        let (_, none) = mpsc::channel(1);
        let (_, nothing) = mpsc::channel(1);
        let (_, nobody) = mpsc::channel(1);
        let shown = std::mem::replace(&mut fronts.shown, none);
        let commands = std::mem::replace(&mut fronts.commands, nothing);
        let leave = std::mem::replace(&mut fronts.leave, nobody);
        Self {
            network: Source::new(network),
            replies: Source::vital(replies, "its thread has ended unexpectedly"),
            sealed: Source::vital(sealed, "the sealing thread beside it has ended unexpectedly"),
            files: Source::new(files),
            shown: Source::new(shown),
            commands: Source::new(commands),
            leave: Source::new(leave),
            fronts,
        }
    }

    /// Fronts attached since the last call.
    pub(super) fn fresh(&self) -> Vec<Subscriber> {
        self.fronts.fresh()
    }

    /// Returns when there is something to take; `all`: commands and the network count too. May be dropped at any time.
    pub(super) async fn wait(&mut self, all: bool) {
        tokio::select! {
            () = self.replies.wait() => {}
            () = self.sealed.wait() => {}
            () = self.files.wait() => {}
            () = self.shown.wait() => {}
            () = self.leave.wait() => {}
            () = self.network.wait(), if all => {}
            () = self.commands.wait(), if all => {}
        }
    }

    /// What is there, each kind up to [`TAKE_MAX`].
    pub(super) fn take(&mut self, all: bool) -> Vec<Taken> {
        let mut taken = Vec::new();
        for reply in self.replies.take() {
            taken.push(match reply {
                Reply::Failed(why) => {
                    self.replies.vital = None;
                    Taken::StoreFailed(why)
                }
                Reply::Full(full) => Taken::StoreFull(full),
                Reply::Stored { ticket, results } => Taken::Inputs(vec![Input::Stored { ticket, results }]),
                Reply::Answered { ticket, result } => Taken::Inputs(vec![Input::Answered { ticket, result }]),
            });
        }
        taken.push(Taken::Inputs(self.sealed.take()));
        taken.push(Taken::Inputs(self.files.take().into_iter().map(|news| Input::File(Box::new(news))).collect()));
        taken.push(Taken::Inputs(self.shown.take().into_iter().map(Input::Shown).collect()));
        if all {
            let mut inputs = 0;
            while inputs < TAKE_MAX
                && let Some(batch) = self.network.next()
            {
                inputs += match &batch {
                    Batch::Links(inputs) | Batch::Directory { inputs, .. } => inputs.len(),
                };
                taken.push(match batch {
                    Batch::Links(inputs) => Taken::Inputs(inputs),
                    Batch::Directory { session, inputs } => Taken::Directory { session, inputs },
                });
            }
            taken.push(Taken::Inputs(self.commands.take().into_iter().map(input).collect()));
        }
        // Behind the commands that are there already.
        taken.push(Taken::Inputs(self.leave.take().into_iter().map(|()| Input::EndOfInput).collect()));
        let ended = [self.replies.missed(), self.sealed.missed()];
        taken.extend(ended.into_iter().flatten().map(|why| Taken::StoreFailed(why.to_owned())));
        taken
    }

    /// What is left when the loop leaves: the network, still to be emptied, and what fronts still put out. Everything
    /// else is let go.
    pub(super) fn last(self) -> (Receiver<Batch>, Receiver<Vec<u64>>) {
        (self.network.channel, self.shown.channel)
    }
}

fn input(told: FrontInput) -> Input {
    match told {
        FrontInput::Command { id, command } => Input::Command { id, command },
        FrontInput::Shown(numbers) => Input::Shown(numbers),
        FrontInput::EndOfInput => Input::EndOfInput,
        FrontInput::SourceClosed(source) => Input::SourceClosed(source),
    }
}

/// A channel, and what was taken from it while waiting.
#[derive(Debug)]
struct Source<T> {
    channel: Receiver<T>,
    first: Option<T>,
    ended: bool,
    /// What its end means, while that has not been told; none: the end means nothing.
    vital: Option<&'static str>,
}

impl<T> Source<T> {
    fn new(channel: Receiver<T>) -> Self {
        Self { channel, first: None, ended: false, vital: None }
    }

    /// Of a thread that the program cannot do without.
    fn vital(channel: Receiver<T>, end: &'static str) -> Self {
        Self { vital: Some(end), ..Self::new(channel) }
    }

    /// Returns when there is something, or an end that has to be told.
    async fn wait(&mut self) {
        if self.first.is_none() && !self.ended {
            self.first = self.channel.recv().await;
            self.ended = self.first.is_none();
        }
        if self.first.is_none() && self.vital.is_none() {
            std::future::pending().await
        }
    }

    /// What the end means, once.
    fn missed(&mut self) -> Option<&'static str> {
        if self.ended { self.vital.take() } else { None }
    }

    fn next(&mut self) -> Option<T> {
        if self.first.is_none() && !self.ended {
            self.first = match self.channel.try_recv() {
                Ok(next) => Some(next),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => {
                    self.ended = true;
                    None
                }
            };
        }
        self.first.take()
    }

    fn take(&mut self) -> Vec<T> {
        let mut taken = Vec::new();
        while taken.len() < TAKE_MAX
            && let Some(next) = self.next()
        {
            taken.push(next);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::super::api::{FrontInput, fronts};
    use super::*;

    fn shown_numbers(taken: Vec<Taken>) -> Vec<Vec<u64>> {
        let inputs = taken.into_iter().flat_map(|taken| match taken {
            Taken::Inputs(inputs) => inputs,
            Taken::Directory { .. } | Taken::StoreFull(_) | Taken::StoreFailed(_) => Vec::new(),
        });
        let numbers = inputs.filter_map(|input| if let Input::Shown(numbers) = input { Some(numbers) } else { None });
        numbers.collect()
    }

    #[tokio::test]
    async fn while_something_has_no_room_only_what_makes_room_is_taken() {
        let (handle, side) = fronts();
        let (network, batches) = mpsc::channel(1);
        let (_replies, replies) = mpsc::channel(1);
        let (_sealed, sealed) = mpsc::channel(1);
        let mut sources = Sources::new(batches, replies, sealed, mpsc::channel(1).1, side);
        handle.submit(FrontInput::EndOfInput).await.unwrap();
        network.send(Batch::Links(vec![Input::Wake])).await.unwrap();
        assert!(timeout(Duration::from_millis(20), sources.wait(false)).await.is_err());
        handle.submit(FrontInput::Shown(vec![7])).await.unwrap();
        sources.wait(false).await;
        assert_eq!(shown_numbers(sources.take(false)), [vec![7]]);
        sources.wait(true).await;
        let all: usize = sources
            .take(true)
            .iter()
            .map(|taken| match taken {
                Taken::Inputs(inputs) => inputs.len(),
                Taken::Directory { .. } | Taken::StoreFull(_) | Taken::StoreFailed(_) => 0,
            })
            .sum();
        assert_eq!(all, 2);
    }

    #[tokio::test]
    async fn a_thread_that_ends_without_a_word_is_a_failed_store_told_once() {
        let (_handle, side) = fronts();
        let (_network, batches) = mpsc::channel(1);
        let (replying, replies) = mpsc::channel(1);
        let (sealing, sealed) = mpsc::channel(1);
        let mut sources = Sources::new(batches, replies, sealed, mpsc::channel(1).1, side);
        let failures = |taken: Vec<Taken>| {
            taken.iter().filter(|taken| matches!(taken, Taken::StoreFailed(why) if why.contains("ended"))).count()
        };
        assert_eq!(failures(sources.take(true)), 0);
        drop(sealing);
        timeout(Duration::from_secs(20), sources.wait(false)).await.unwrap();
        assert_eq!(failures(sources.take(false)), 1);
        assert!(timeout(Duration::from_millis(20), sources.wait(true)).await.is_err());
        replying.send(Reply::Failed("the disk".to_owned())).await.unwrap();
        drop(replying);
        sources.wait(true).await;
        let taken = sources.take(true);
        assert!(taken.iter().any(|taken| matches!(taken, Taken::StoreFailed(why) if why == "the disk")));
        assert_eq!(failures(taken), 0, "it has said so itself");
    }

    #[tokio::test]
    async fn the_wish_to_leave_is_taken_whatever_is_behind() {
        let (handle, side) = fronts();
        let (_network, batches) = mpsc::channel(1);
        let (_replies, replies) = mpsc::channel(1);
        let (_sealed, sealed) = mpsc::channel(1);
        let mut sources = Sources::new(batches, replies, sealed, mpsc::channel(1).1, side);
        handle.leave();
        timeout(Duration::from_secs(20), sources.wait(false)).await.unwrap();
        let ends = |taken: &Taken| matches!(taken, Taken::Inputs(inputs) if matches!(inputs[..], [Input::EndOfInput]));
        assert_eq!(sources.take(false).iter().filter(|taken| ends(taken)).count(), 1);
    }
}
