//! Where inputs come from: network, store, sealing thread, fronts. Waits for any of them and takes a fair batch of all.
//! Not here: what is done with them.

use peer_core::event::Input;
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
    /// The store's last word.
    StoreFailed(String),
}

/// All channels that lead to the loop.
#[derive(Debug)]
pub(super) struct Sources {
    network: Source<Batch>,
    replies: Source<Reply>,
    sealed: Source<Input>,
    shown: Source<Vec<u64>>,
    commands: Source<FrontInput>,
    fronts: FrontSide,
}

impl Sources {
    pub(super) fn new(
        network: Receiver<Batch>,
        replies: Receiver<Reply>,
        sealed: Receiver<Input>,
        mut fronts: FrontSide,
    ) -> Self {
        let (_, none) = mpsc::channel(1);
        let (_, nothing) = mpsc::channel(1);
        let shown = std::mem::replace(&mut fronts.shown, none);
        let commands = std::mem::replace(&mut fronts.commands, nothing);
        Self {
            network: Source::new(network),
            replies: Source::new(replies),
            sealed: Source::new(sealed),
            shown: Source::new(shown),
            commands: Source::new(commands),
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
            () = self.shown.wait() => {}
            () = self.network.wait(), if all => {}
            () = self.commands.wait(), if all => {}
        }
    }

    /// What is there, each kind up to [`TAKE_MAX`].
    pub(super) fn take(&mut self, all: bool) -> Vec<Taken> {
        let mut taken = Vec::new();
        for reply in self.replies.take() {
            taken.push(match reply {
                Reply::Failed(why) => Taken::StoreFailed(why),
                Reply::Stored { ticket, results } => Taken::Inputs(vec![Input::Stored { ticket, results }]),
                Reply::Answered { ticket, result } => Taken::Inputs(vec![Input::Answered { ticket, result }]),
            });
        }
        taken.push(Taken::Inputs(self.sealed.take()));
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
        taken
    }

    /// What is left when the loop leaves: the network, still to be emptied. Everything else is let go.
    pub(super) fn network(self) -> Receiver<Batch> {
        self.network.channel
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
    open: bool,
}

impl<T> Source<T> {
    fn new(channel: Receiver<T>) -> Self {
        Self { channel, first: None, open: true }
    }

    /// Returns when there is something; never once the other end is gone.
    async fn wait(&mut self) {
        if self.first.is_some() {
            return;
        }
        if self.open {
            self.first = self.channel.recv().await;
            self.open = self.first.is_some();
        }
        if self.first.is_none() {
            std::future::pending().await
        }
    }

    fn next(&mut self) -> Option<T> {
        self.first.take().or_else(|| self.channel.try_recv().ok())
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
            Taken::Directory { .. } | Taken::StoreFailed(_) => Vec::new(),
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
        let mut sources = Sources::new(batches, replies, sealed, side);
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
                Taken::Directory { .. } | Taken::StoreFailed(_) => 0,
            })
            .sum();
        assert_eq!(all, 2);
    }
}
