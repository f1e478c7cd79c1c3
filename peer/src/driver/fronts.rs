//! The attached fronts, as the loop serves them: each event to each, answers to the one that asked, without ever
//! waiting. Not here: what fronts do with events.

use std::collections::VecDeque;
use std::time::Duration;

use peer_core::event::{Event, Source};
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::timeout;

use super::api::{Patience, Subscriber};

/// Fronts get so long to take their last events.
const LAST_EVENTS_TIMEOUT: Duration = Duration::from_secs(2);

/// All fronts.
#[derive(Debug, Default)]
pub(super) struct Fronts {
    fronts: Vec<Front>,
    gone: Vec<Source>,
}

#[derive(Debug)]
struct Front {
    subscriber: Subscriber,
    /// What its channel had no room for. Grows only with what the loop had begun when it filled up.
    backlog: VecDeque<Event>,
    gone: bool,
}

impl Fronts {
    pub(super) fn adopt(&mut self, fresh: Vec<Subscriber>) {
        let fresh = fresh.into_iter();
        self.fronts.extend(fresh.map(|subscriber| Front { subscriber, backlog: VecDeque::new(), gone: false }));
    }

    /// Hands an event to everybody it concerns.
    pub(super) fn publish(&mut self, event: &Event) {
        for front in &mut self.fronts {
            if front.wants(event) {
                front.backlog.push_back(event.clone());
                front.deliver();
            }
        }
        self.part();
    }

    /// Hands out what found no room before.
    pub(super) fn retry(&mut self) {
        for front in &mut self.fronts {
            front.deliver();
        }
        self.part();
    }

    /// Some front does not keep up.
    pub(super) fn are_behind(&self) -> bool {
        self.fronts.iter().any(|front| !front.backlog.is_empty())
    }

    /// Returns when a front that was behind has room again, or has gone.
    pub(super) async fn room(&self) {
        match self.fronts.iter().find(|front| !front.backlog.is_empty()) {
            // Room or gone: both are for `retry` to find out.
            Some(front) => drop(front.subscriber.sender.reserve().await),
            None => std::future::pending().await,
        }
    }

    /// Fronts that have gone or were cut off since the last call.
    pub(super) fn gone(&mut self) -> Vec<Source> {
        std::mem::take(&mut self.gone)
    }

    /// The loop leaves: waits a while for the last events to be taken, lets go of all, and waits a while for what was
    /// taken to be put out.
    pub(super) async fn finish(mut self) {
        let last = async {
            while self.are_behind() {
                self.room().await;
                self.retry();
            }
        };
        if timeout(LAST_EVENTS_TIMEOUT, last).await.is_err() {
            tracing::warn!("a front end did not take its last events");
            return;
        }
        let patient = self.fronts.into_iter().map(|front| front.subscriber);
        let patient = patient.filter(|subscriber| subscriber.patience == Patience::Wait);
        // Only the end of its events makes a front finish.
        let waited: Vec<_> = patient.map(|subscriber| subscriber.done).collect();
        let put_out = async {
            for done in waited {
                // An error is the word: the other end was dropped.
                let _ = done.await;
            }
        };
        if timeout(LAST_EVENTS_TIMEOUT, put_out).await.is_err() {
            tracing::warn!("a front end did not put out its last events");
        }
    }

    fn part(&mut self) {
        let gone = &mut self.gone;
        self.fronts.retain(|front| {
            if front.gone {
                gone.push(front.subscriber.source);
            }
            !front.gone
        });
    }
}

impl Front {
    fn wants(&self, event: &Event) -> bool {
        match event {
            Event::Answer { id, .. } => id.source == self.subscriber.source,
            _ => true,
        }
    }

    fn deliver(&mut self) {
        while let Some(event) = self.backlog.pop_front() {
            match self.subscriber.sender.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.backlog.push_front(event);
                    self.gone = self.subscriber.patience == Patience::CutOff;
                    return;
                }
                Err(TrySendError::Closed(_)) => {
                    self.gone = true;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use peer_core::event::{Answer, CommandId};

    use super::super::api::{Attached, EVENTS_MAX, Handle, fronts};
    use super::*;

    fn two(patience: Patience) -> (Fronts, Attached, Attached, Handle) {
        let (handle, side) = fronts();
        let (one, two) = (handle.attach(Patience::Wait), handle.attach(patience));
        let mut served = Fronts::default();
        served.adopt(side.fresh());
        (served, one, two, handle)
    }

    fn answer(source: Source, number: u64) -> Event {
        Event::Answer { id: CommandId { source, number }, answer: Ok(Box::new(Answer::Done)) }
    }

    #[test]
    fn an_answer_reaches_the_front_that_asked_and_an_event_reaches_all() {
        let (mut served, mut one, mut two, _handle) = two(Patience::CutOff);
        served.publish(&answer(two.source, 1));
        served.publish(&Event::Pending(3));
        assert_eq!(one.events.try_recv(), Ok(Event::Pending(3)));
        assert_eq!(two.events.try_recv(), Ok(answer(two.source, 1)));
        assert_eq!(two.events.try_recv(), Ok(Event::Pending(3)));
    }

    #[tokio::test]
    async fn a_slow_front_loses_nothing_and_says_so() {
        let (mut served, mut one, two, _handle) = two(Patience::CutOff);
        drop(two);
        let many = EVENTS_MAX as u64 + 100;
        (0..many).for_each(|n| served.publish(&Event::Pending(n)));
        assert!(served.are_behind());
        let reader = async {
            for n in 0..many {
                assert_eq!(one.events.recv().await, Some(Event::Pending(n)));
            }
            drop(one);
        };
        tokio::join!(reader, served.finish());
    }

    #[test]
    fn a_front_that_may_be_cut_off_holds_nobody_up() {
        let (mut served, mut one, mut two, _handle) = two(Patience::CutOff);
        for n in 0..EVENTS_MAX as u64 + 100 {
            served.publish(&Event::Pending(n));
            assert_eq!(one.events.try_recv(), Ok(Event::Pending(n)));
        }
        assert!(!served.are_behind());
        assert_eq!(served.gone(), [two.source]);
        let taken = std::iter::from_fn(|| two.events.try_recv().ok()).count();
        assert_eq!(taken, EVENTS_MAX);
    }
}
