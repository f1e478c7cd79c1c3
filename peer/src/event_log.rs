//! The event log: what flows between the messenger and the program around it, as JSON lines for whoever checks that
//! nothing is lost (`docs/proof.md` has the format). A pure observer: it decides nothing, and writes no text that anybody
//! wrote. The form of a record and the file are those of the crate [`event_log`].

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use common::identity::PublicKey;
use common::message::{Conversation, Envelope, Epoch, MessageId, PairState};
use common::wire::codec;
use common::wire::peer::{Parcel, PeerFrame};
use event_log::{Lines, hex};
use peer_core::command::Command;
use peer_core::event::{Answer, CommandId, Config, Event, Input, Output, SealedKind, Ticket};
use peer_core::stored::{Arrival, Arrived, Copy, Move, NewMessage, Pin, Reason, Snapshot, StoreOp, StoreResult, Via};
use serde_json::{Value, json};

use crate::front::words;

/// What is told of an operation once it is committed: its place in the transaction, the event, the fields.
type Awaited = (usize, &'static str, Value);

/// Turns inputs and outputs of one run into records.
#[derive(Debug, Default)]
pub struct Observer {
    epoch: Option<Epoch>,
    commits: VecDeque<(Ticket, Vec<Awaited>)>,
    lines: Lines,
    /// What each key was told last that is held of its lane, in short.
    said: HashMap<PublicKey, u64>,
}

impl Observer {
    /// Begins a run: who it is, and what its store holds that is still open.
    #[must_use]
    pub fn start(config: &Config, snapshot: &Snapshot, at_ms: i64) -> Self {
        let epoch = snapshot.meta.as_ref().map(|meta| meta.epoch);
        let mut observer = Self { epoch, lines: Lines::new(at_ms), ..Self::default() };
        let crashed = snapshot.meta.as_ref().is_some_and(|meta| !meta.left_cleanly);
        observer.put(
            "start",
            json!({
                "role": "peer", "version": config.version, "instance": hex(&config.instance), "key": key(&config.me),
                "fingerprint": config.me.fingerprint().to_string(), "directory": config.directory,
                "new": snapshot.meta.is_none(), "crashed": crashed, "shows": config.shows,
                "epoch": epoch.map(|epoch| hex(&epoch.id.0)), "generation": epoch.map(|epoch| epoch.generation),
            }),
        );
        observer.list(snapshot);
        observer
    }

    fn list(&mut self, snapshot: &Snapshot) {
        for pin in &snapshot.pins {
            self.pin(pin);
        }
        for row in &snapshot.outbox {
            let mut fields = json!({
                "n": row.n, "id": id(&row.id), "to": key(&row.recipient), "seq": row.seq,
                "state": words::state(row.state), "reason": why(row.reason), "kind": row.kind,
            });
            self.name_epoch(&mut fields);
            self.put("outbox", fields);
        }
        for (sender, epoch, floor) in &snapshot.lanes {
            let held = snapshot.held.iter().filter(|(from, _, _)| from == sender).map(|(_, seq, _)| *seq);
            let fields = json!({
                "from": key(sender), "epoch": hex(&epoch.id.0), "generation": epoch.generation, "floor": floor,
                "held": ranges(held),
            });
            self.put("lane", fields);
        }
        for (sender, conversation, last) in &snapshot.last_shown {
            let fields = json!({"from": key(sender), "conversation": talk(conversation), "id": id(last)});
            self.put("last-shown", fields);
        }
        for message in &snapshot.unshown {
            let fields = json!({
                "n": message.n, "id": id(&message.id), "from": key(&message.sender), "ordered": message.ordered,
                "after": message.after.as_ref().map(id), "conversation": talk(&message.conversation),
                "kind": message.kind,
            });
            self.put("unshown", fields);
        }
    }

    /// A turn of the loop begins. What the messenger is told and wants until the next one belongs together.
    pub fn turn(&mut self, at_ms: i64) {
        self.lines.turn(at_ms);
    }

    /// What was noted since the last call, as whole lines. To be written before the outputs noted are carried out, so
    /// that nothing is said that is not here.
    pub fn take(&mut self) -> Vec<u8> {
        self.lines.take()
    }

    /// The messenger is told something.
    pub fn input(&mut self, input: &Input) {
        match input {
            Input::Command { id: command, command: Ok(Command::Send { to, key, .. }) } => {
                self.put_command("submitted", command, json!({"to": to.to_string(), "idempotency": key}));
            }
            Input::Shown(numbers) => self.put("put-out", json!({"n": numbers})),
            Input::Stored { ticket, results } => self.committed(*ticket, results),
            Input::StoreFailed(why) => self.put("store-failed", json!({"why": why})),
            Input::DirectoryUp { key: of } => {
                self.lines.put_some("key-seen", json!({"at": "directory", "key": key(of)}));
            }
            Input::LinkUp { key: of, .. } => self.lines.put_some("key-seen", json!({"at": "link", "key": key(of)})),
            _ => {}
        }
    }

    /// The messenger wants something done.
    pub fn output(&mut self, output: &Output) {
        match output {
            Output::Event(event) => self.event(event),
            Output::Store { ticket, ops } => self.asked(*ticket, ops),
            Output::LinkSend { frame, .. } => match &**frame {
                PeerFrame::Envelope(envelope) => self.sent(envelope, Via::Direct),
                PeerFrame::State(state) => self.acknowledged(state, Via::Direct),
                PeerFrame::Hello(hello) => self.acknowledged(&hello.0.state, Via::Direct),
                PeerFrame::Welcome(welcome) => self.acknowledged(&welcome.0.state, Via::Direct),
                PeerFrame::Close(_) | PeerFrame::Unsupported(_) => {}
            },
            Output::Seal { kind: SealedKind::Parcel, plain, .. } => {
                if let Ok(parcel) = codec::decode::<Parcel>(plain) {
                    self.sent(&parcel.envelope, Via::Directory);
                }
            }
            Output::Seal { kind: SealedKind::State, plain, .. } => {
                if let Ok(state) = codec::decode::<PairState>(plain) {
                    self.acknowledged(&state, Via::Directory);
                }
            }
            Output::Dropped { from, why } => {
                self.lines.put_some("dropped", json!({"from": key(from), "why": format!("{why:?}")}));
            }
            Output::Exit(exit) => self.put("exit", json!({"how": format!("{exit:?}")})),
            _ => {}
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Message(view) => self.put(
                "shown",
                json!({
                    "n": view.n, "id": id(&view.id), "name": view.from, "conversation": view.conversation,
                    "late": view.late, "request": view.request, "urgent": view.urgent,
                }),
            ),
            Event::Edited(_)
            | Event::Deleted(_)
            | Event::Reacted(_)
            | Event::Expiry { .. }
            | Event::Group { mark: Some(_), .. } => self.put("changed", json!({"n": event.mark()})),
            Event::State(view) => {
                let tally = view
                    .tally
                    .map(|tally| json!([tally.total, tally.delivered, tally.kept, tally.waiting, tally.ended]));
                let fields = json!({
                    "n": view.n, "id": id(&view.id), "state": words::state(view.state), "via": way(view.via),
                    "reason": why(view.reason), "tally": tally,
                });
                self.put("told", fields);
            }
            Event::Gap { from, conversation, missing } => {
                let fields = json!({"name": from.as_str(), "conversation": conversation, "missing": missing});
                self.put("gap", fields);
            }
            Event::Renamed { old, new, fingerprint } => self.put(
                "renamed",
                json!({"old": old.as_str(), "new": new.as_str(), "fingerprint": fingerprint.to_string()}),
            ),
            Event::KeyChanged { name, pinned, new, .. } => self.put(
                "key-changed",
                json!({"name": name.as_str(), "pinned": pinned.to_string(), "new": new.to_string()}),
            ),
            Event::Online(name) => self.put("online", json!({"name": name.as_str()})),
            Event::Offline(name) => self.put("offline", json!({"name": name.as_str()})),
            Event::Answer { id: command, answer } => match answer.as_deref() {
                Ok(Answer::Sent { id: message, n, before, .. }) => {
                    let fields = json!({"id": id(message), "n": n, "again": before.is_some()});
                    self.put_command("answered", command, fields);
                }
                Ok(_) => {}
                Err(error) => self.put_command("answered", command, json!({"error": error.code.as_str()})),
            },
            _ => {}
        }
    }

    fn sent(&mut self, envelope: &Envelope, via: Via) {
        let header = &envelope.header;
        let fields = json!({
            "id": id(&header.id), "to": key(&header.recipient), "epoch": hex(&header.epoch.id.0), "seq": header.seq,
            "floor": header.floor, "via": words::via(via),
        });
        self.put("sent", fields);
    }

    fn acknowledged(&mut self, state: &PairState, via: Via) {
        let Some(held) = &state.held else { return };
        // Whoever repeats a message is answered the same again and again.
        let said = hash(&codec::encode(held));
        if self.said.insert(state.to, said) == Some(said) {
            return;
        }
        let fields = json!({
            "to": key(&state.to), "epoch": hex(&held.epoch.id.0), "floor": held.floor, "top": held.top,
            "missing": held.missing, "via": words::via(via),
        });
        self.put("acknowledged", fields);
    }

    fn asked(&mut self, ticket: Ticket, ops: &[StoreOp]) {
        let mut awaited = Vec::new();
        for (place, op) in ops.iter().enumerate() {
            match op {
                StoreOp::PutPin(pin) => self.pin(pin),
                // Asked, and so perhaps committed without a record when the program dies.
                StoreOp::Dismiss(numbers) => {
                    self.put("dismissing", json!({"n": numbers}));
                    awaited.push((place, "dismissed", json!({"n": numbers})));
                }
                StoreOp::PutMeta(meta) if self.epoch != Some(meta.epoch) => {
                    self.epoch = Some(meta.epoch);
                    awaited.push((place, "epoch", self.with_epoch(json!({}))));
                }
                StoreOp::NewEpoch { epoch, moves } => {
                    self.epoch = Some(*epoch);
                    awaited.push((place, "epoch", self.with_epoch(json!({}))));
                    awaited.extend(moves.iter().map(|each| (place, "moved", self.moved(each))));
                }
                StoreOp::Readdress(moves) => {
                    awaited.extend(moves.iter().map(|each| (place, "moved", self.moved(each))));
                }
                // One record for each copy: each has its place in a lane.
                StoreOp::Queue(message) => {
                    let row = &message.row;
                    let first = Copy { recipient: row.recipient, seq: row.seq, after: row.after };
                    let copies = std::iter::once(&first).chain(&message.copies);
                    awaited.extend(copies.map(|copy| (place, "queued", self.with_epoch(queued(message, copy)))));
                }
                other => awaited.extend(own_or_theirs(other).map(|(event, fields)| (place, event, fields))),
            }
        }
        self.commits.push_back((ticket, awaited));
    }

    fn committed(&mut self, ticket: Ticket, results: &[StoreResult]) {
        while let Some((of, awaited)) = self.commits.pop_front() {
            if of != ticket {
                continue;
            }
            for (place, event, mut fields) in awaited {
                let event = match results.get(place) {
                    Some(StoreResult::Read(read)) => {
                        for (n, ..) in read {
                            let fields =
                                json!({"n": n, "to": fields["to"], "state": "read", "via": null, "reason": null});
                            self.put(event, fields);
                        }
                        continue;
                    }
                    Some(
                        StoreResult::Done
                        | StoreResult::Tallied(_)
                        | StoreResult::Vanished { .. }
                        | StoreResult::Forgotten(_),
                    ) => event,
                    Some(StoreResult::Queued { n }) => {
                        fields["n"] = (*n).into();
                        event
                    }
                    Some(StoreResult::Arrived(Arrived::New { n, late, settled, .. })) => {
                        fields["n"] = (*n).into();
                        fields["late"] = (*late).into();
                        if !settled.is_empty() {
                            self.put("marked", json!({"n": settled}));
                        }
                        event
                    }
                    Some(StoreResult::Arrived(Arrived::Double { n })) => {
                        fields["n"] = (*n).into();
                        "double"
                    }
                    Some(StoreResult::Arrived(Arrived::Conflict)) => {
                        self.lines.put_some("conflict", fields);
                        continue;
                    }
                    Some(StoreResult::QueuedBefore(_)) | None => continue,
                };
                self.put(event, fields);
            }
            return;
        }
    }

    fn pin(&mut self, pin: &Pin) {
        let fields = json!({"directory": key(&pin.directory), "name": pin.name.as_str(), "key": key(&pin.key)});
        self.put("pin", fields);
    }

    fn moved(&self, each: &Move) -> Value {
        let after = each.after.as_ref().map(id);
        self.with_epoch(
            json!({"n": each.n, "from": key(&each.from), "to": key(&each.to), "seq": each.seq, "after": after}),
        )
    }

    fn with_epoch(&self, mut fields: Value) -> Value {
        self.name_epoch(&mut fields);
        fields
    }

    fn name_epoch(&self, fields: &mut Value) {
        fields["epoch"] = self.epoch.map(|epoch| hex(&epoch.id.0)).into();
        fields["generation"] = self.epoch.map(|epoch| epoch.generation).into();
    }

    fn put_command(&mut self, event: &str, command: &CommandId, mut fields: Value) {
        fields["source"] = command.source.0.into();
        fields["number"] = command.number.into();
        self.put(event, fields);
    }

    fn put(&mut self, event: &str, fields: Value) {
        self.lines.put(event, fields);
    }
}

fn own_or_theirs(op: &StoreOp) -> Option<(&'static str, Value)> {
    Some(match op {
        StoreOp::Receive(arrival) => ("committed", received(arrival)),
        StoreOp::Shown(numbers) => ("marked", json!({"n": numbers})),
        StoreOp::Read { recipient, .. } => ("state", json!({"to": key(recipient)})),
        StoreOp::State { n, recipient, state, via, reason, .. } => {
            let (to, state) = (key(recipient), words::state(*state));
            ("state", json!({"n": n, "to": to, "state": state, "via": way(*via), "reason": why(*reason)}))
        }
        StoreOp::Follow { sender, epoch, floor } => {
            let fields = json!({
                "from": key(sender), "epoch": hex(&epoch.id.0), "generation": epoch.generation, "floor": floor,
            });
            ("follow", fields)
        }
        _ => return None,
    })
}

fn queued(message: &NewMessage, copy: &Copy) -> Value {
    let row = &message.row;
    json!({
        "id": id(&row.id), "to": key(&copy.recipient), "seq": copy.seq, "ordered": row.ordered, "urgent": row.urgent,
        "after": copy.after.as_ref().map(id), "conversation": talk(&row.conversation), "kind": row.kind,
    })
}

fn received(arrival: &Arrival) -> Value {
    json!({
        "id": id(&arrival.id), "from": key(&arrival.sender), "via": words::via(arrival.via),
        "epoch": arrival.held.map(|(epoch, _)| hex(&epoch.id.0)), "seq": arrival.held.map(|(_, seq)| seq),
        "ordered": arrival.ordered, "urgent": arrival.urgent, "after": arrival.after.as_ref().map(id),
        "conversation": talk(&arrival.conversation), "request": arrival.request, "kind": arrival.kind,
    })
}

fn why(reason: Option<Reason>) -> Option<&'static str> {
    reason.map(words::reason)
}

fn way(via: Option<Via>) -> Option<&'static str> {
    via.map(words::via)
}

fn talk(conversation: &Conversation) -> String {
    match conversation {
        Conversation::Pair => "pair".to_owned(),
        Conversation::Group { id, .. } => hex(id),
    }
}

fn id(id: &MessageId) -> String {
    hex(&id.0)
}

fn key(key: &PublicKey) -> String {
    hex(&key.0)
}

fn hash(bytes: &[u8]) -> u64 {
    BuildHasherDefault::<DefaultHasher>::new().hash_one(bytes)
}

/// Ascending numbers as inclusive ranges.
fn ranges(numbers: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests;
