//! The event log: what the store was asked and has committed, as JSON lines for whoever checks that nothing is lost
//! (`docs/proof.md` has the format). A pure observer: it decides nothing. The form of a record and the file are those of the
//! crate [`event_log`].

use std::collections::VecDeque;

use common::identity::PublicKey;
use common::wire::directory::{Place, Refusal, Taking};
use directory_core::event::{DepositOp, StoreHead};
use directory_core::{Input, Output, StoreOp, StoreResult, Ticket};
use event_log::{Lines, hex};
use serde_json::{Value, json};

/// What is told of an operation once it is committed; none: its result says it all, or nothing.
type Awaited = Option<(&'static str, Value)>;

/// Turns inputs and outputs of one run into records.
#[derive(Debug, Default)]
pub struct Observer {
    asked: VecDeque<(Ticket, Awaited)>,
    lines: Lines,
}

impl Observer {
    /// Begins a run of the directory with this key.
    #[must_use]
    pub fn start(key_of: &PublicKey, head: &StoreHead, at_ms: i64) -> Self {
        let mut observer = Self { lines: Lines::new(at_ms), ..Self::default() };
        observer.put(
            "start",
            json!({
                "role": "directory", "version": env!("CARGO_PKG_VERSION"), "key": key(key_of),
                "store": hex(&head.store_id), "commits": head.commits,
            }),
        );
        observer
    }

    /// A turn of the loop begins. What the core is told and wants until the next one belongs together.
    pub fn turn(&mut self, at_ms: i64) {
        self.lines.turn(at_ms);
    }

    /// What was noted since the last call, as whole lines. To be written before the outputs of the turn are carried
    /// out, so that nothing is said that is not here.
    pub fn take(&mut self) -> Vec<u8> {
        self.lines.take()
    }

    /// The core is told something.
    pub fn input(&mut self, input: &Input) {
        match input {
            Input::Stored { results, .. } => results.iter().for_each(|(ticket, result)| self.stored(*ticket, result)),
            Input::StoreFailed => self.put("store-failed", json!({})),
            Input::Shutdown => self.put("exit", json!({})),
            _ => {}
        }
    }

    /// The core wants something done.
    pub fn output(&mut self, output: &Output) {
        if let Output::Store { ticket, op } = output {
            self.asked.push_back((*ticket, awaited(op)));
        }
    }

    fn stored(&mut self, ticket: Ticket, result: &StoreResult) {
        while let Some((of, awaited)) = self.asked.pop_front() {
            if of != ticket {
                continue;
            }
            match result {
                StoreResult::Deposited { op, kept } => self.deposited(op, kept),
                StoreResult::Refused(_) | StoreResult::Registered { new: false, .. } => {}
                _ => {
                    if let Some((event, fields)) = awaited {
                        self.put(event, fields);
                    }
                }
            }
            return;
        }
    }

    fn deposited(&mut self, op: &DepositOp, kept: &Result<u64, Refusal>) {
        let mut fields = place(&op.deposit.place);
        fields["submitter"] = key(&op.submitter).into();
        fields["tag"] = hex(&op.deposit.tag).into();
        match kept {
            Ok(item) => {
                fields["item"] = (*item).into();
                self.put("kept", fields);
            }
            Err(refusal) => {
                fields["reason"] = format!("{refusal:?}").into();
                self.lines.put_some("refused", fields);
            }
        }
    }

    fn put(&mut self, event: &str, fields: Value) {
        self.lines.put(event, fields);
    }
}

fn awaited(op: &StoreOp) -> Awaited {
    Some(match op {
        StoreOp::Register { key: of, name, .. } => ("registered", json!({"key": key(of), "name": name.as_str()})),
        StoreOp::Deregister { key: of } => ("deregistered", json!({"key": key(of)})),
        StoreOp::ConfirmToken { key: of, epoch, .. } => {
            ("login", json!({"key": key(of), "epoch": hex(&epoch.id.0), "generation": epoch.generation}))
        }
        StoreOp::Withdraw { submitter, places } => {
            let places: Vec<Value> = places.iter().map(place).collect();
            ("withdrawn", json!({"submitter": key(submitter), "places": places}))
        }
        StoreOp::Take { recipient, items, .. } => {
            let of = |wanted| items.iter().filter(move |(_, how)| *how == wanted).map(|(item, _)| *item);
            let (stored, not_opened): (Vec<u64>, Vec<u64>) =
                (of(Taking::Stored).collect(), of(Taking::NotOpened).collect());
            ("taken", json!({"recipient": key(recipient), "stored": stored, "not_opened": not_opened}))
        }
        StoreOp::Expire(op) => ("expired", json!({"before_ms": op.items_before_ms})),
        _ => return None,
    })
}

fn place(place: &Place) -> Value {
    json!({"recipient": key(&place.recipient), "epoch": hex(&place.epoch.0), "seq": place.seq})
}

fn key(key: &PublicKey) -> String {
    hex(&key.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_told_when_it_is_committed_and_only_then() {
        let head = StoreHead { store_id: [7; 16], commits: 3, binding_serial: 0 };
        let mut observer = Observer::start(&PublicKey([1; 32]), &head, 5);
        assert!(
            String::from_utf8(observer.take()).unwrap().starts_with("{\"event\":\"start\",\"turn\":0,\"at_ms\":5,")
        );
        let op = StoreOp::Take { recipient: PublicKey([2; 32]), items: vec![(4, Taking::Stored)], now_ms: 0 };
        observer.turn(6);
        observer.output(&Output::Store { ticket: Ticket(1), op: StoreOp::Deregister { key: PublicKey([3; 32]) } });
        observer.output(&Output::Store { ticket: Ticket(2), op });
        assert!(observer.take().is_empty());
        let refused = (Ticket(1), StoreResult::Refused(Refusal::NotRegistered));
        let taken = (Ticket(2), StoreResult::Taken { not_opened: vec![], prekey: None });
        observer.input(&Input::Stored { results: vec![refused, taken], commits: 4 });
        let lines = String::from_utf8(observer.take()).unwrap();
        assert_eq!(lines.lines().count(), 1, "{lines}");
        assert!(lines.contains("\"event\":\"taken\",\"turn\":1") && lines.contains("\"stored\":[4]"), "{lines}");
    }
}
