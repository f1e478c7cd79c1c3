//! Commands that only ask: who is there, what was said, where a message is, whose key is whose.

use std::collections::BTreeMap;

use common::name::Name;
use common::wire::directory::{self as wire, Standing, ToDirectory};

use super::Messenger;
use super::commands::{Asked, Pending};
use crate::command::{ErrorCode, To};
use crate::event::{Answer, CommandId, ContactView, PersonView, Reachable, SelfView, Source, Ticket};
use crate::limits::LOOKUP_TIMEOUT_MS;
use crate::registration::Step;
use crate::stored::{Contact, Query, QueryResult};

/// Most people of one `!who`.
const PEOPLE_MAX: usize = 100_000;

impl Messenger {
    pub(super) fn who_am_i(&mut self, id: CommandId) {
        let state = match self.session.step() {
            _ if self.meta.suspended => "suspended",
            _ if self.my_name().is_none() => "unregistered",
            Step::Online => "online",
            _ if self.meta.wants_online => "connecting",
            _ => "offline",
        };
        let view = SelfView {
            name: self.my_name(),
            fingerprint: self.config.me.fingerprint(),
            bind: self.config.bind,
            candidates: self.config.candidates.clone(),
            directory: self.config.directory.clone(),
            directory_fingerprint: self.directory.as_ref().map(|directory| directory.key.fingerprint()),
            state,
        };
        self.done(id, Answer::WhoAmI(Box::new(view)));
    }

    pub(super) fn who(&mut self, id: CommandId, text: Option<String>) {
        self.wait(Pending::Who { id, request: 0, text, people: Vec::new() }, LOOKUP_TIMEOUT_MS);
        if self.session.is_logged_in() {
            self.ask_who(id.source);
        } else {
            self.session.forgive();
            self.connect();
        }
    }

    pub(super) fn ask_who(&mut self, source: Source) {
        let next = self.session.request();
        let Some(Pending::Who { request, text, people, .. }) = self.pending.get_mut(&source) else { return };
        *request = next;
        let after = people.last().map(|last| last.name.clone());
        let who = wire::Who { request: next, after, text: text.clone() };
        self.send_directory(ToDirectory::Who(who));
    }

    pub(super) fn on_people(&mut self, page: wire::People) {
        let found = self.pending.iter_mut().find_map(|(source, pending)| match pending {
            Pending::Who { request, people, .. } if *request == page.request => Some((*source, people)),
            _ => None,
        });
        let Some((source, people)) = found else { return };
        let (last, count) = (people.last().map(|last| last.name.clone()), page.people.len());
        let ascends = page.people.first().is_none_or(|first| last.is_none_or(|last| last < first.name));
        people.extend(page.people);
        // A directory that goes on without getting on is not asked any further.
        if page.more && ascends && count > 0 && people.len() < PEOPLE_MAX {
            self.ask_who(source);
            return;
        }
        let people = std::mem::take(people);
        let views = people.into_iter().map(|listed| self.person_view(listed)).collect();
        self.finish(source, Ok(Box::new(Answer::People(views))));
    }

    fn person_view(&self, listed: wire::Listed) -> PersonView {
        let reachable = if listed.key == self.config.me {
            Reachable::Here
        } else if self.links.open_to(&listed.key).is_some() {
            Reachable::Direct
        } else if listed.standing == Standing::Offline {
            Reachable::Mailbox
        } else {
            Reachable::Directory
        };
        PersonView {
            name: listed.name,
            standing: listed.standing,
            since_ms: listed.since_ms,
            reachable,
            note: listed.note,
        }
    }

    pub(super) fn history(&mut self, id: CommandId, with: &To, count: u32, before: Option<u64>) {
        match self.talk_of(with) {
            Some(talk) => self.query(Query::History { with: talk, before, count }, Asked::History { id, talk }),
            None => self.nothing_with(id, with),
        }
    }

    pub(super) fn query(&mut self, query: Query, asked: Asked) {
        // A query sees everything submitted before it, so what this turn has gathered goes first.
        self.flush_ops();
        let ticket = self.ticket();
        self.asked.insert(ticket, asked);
        self.out.push_back(crate::event::Output::Query { ticket, query });
    }

    pub(super) fn on_answered(&mut self, ticket: Ticket, result: QueryResult) {
        match (self.asked.remove(&ticket), result) {
            (Some(Asked::History { id, talk }), QueryResult::History(messages)) => {
                let with = self.talk_name(&talk);
                let messages = messages.iter().map(|message| self.view(message, false)).collect();
                self.done(id, Answer::History { with, messages });
            }
            (Some(Asked::Trace { id }), QueryResult::Trace(Some((message, steps)))) => {
                let message = Box::new(self.view(&message, false));
                self.done(id, Answer::Trace { message, steps });
            }
            (Some(Asked::Trace { id }), QueryResult::Trace(None)) => {
                self.fail(id, ErrorCode::NoSuchMessage, "there is no message of that number");
            }
            (Some(Asked::Line { id, command }), QueryResult::Message(line)) => self.on_line(id, *command, line),
            (Some(Asked::Files { id }), QueryResult::Files(rows)) => self.on_files_listed(id, &rows),
            (Some(Asked::Search { id, words }), QueryResult::History(messages)) => {
                let messages = messages.iter().map(|message| self.view(message, false)).collect();
                self.done(id, Answer::Found { words, messages });
            }
            (Some(Asked::Read { n, id, elapsed_ms }), QueryResult::Message(line)) => {
                self.on_line_read(n, id, elapsed_ms, line.as_deref());
            }
            (Some(Asked::Change { message }), QueryResult::Message(line)) => {
                self.on_line_of_change(*message, line.as_deref());
            }
            (Some(Asked::Steps { group }), QueryResult::Steps(steps)) => self.hand_in(group, steps),
            (Some(Asked::Steps { group }), _) => self.hand_in(group, Vec::new()),
            (Some(asked), result) => {
                let Some(id) = asked.id() else { return };
                let why = match result {
                    QueryResult::Failed(why) => format!("the data directory cannot be read: {why}"),
                    _ => "the data directory gave another answer than was asked for".to_owned(),
                };
                self.fail(id, ErrorCode::StoreFailed, why);
            }
            (None, _) => {}
        }
    }

    pub(super) fn contacts(&mut self, id: CommandId) {
        let mut views: BTreeMap<Name, ContactView> = BTreeMap::new();
        for contact in self.book.all().filter(|contact| contact.talked) {
            let Some(view) = self.contact_view(contact) else { continue };
            views.insert(view.name.clone(), view);
        }
        self.done(id, Answer::Contacts(views.into_values().collect()));
    }

    pub(super) fn contact_view(&self, contact: &Contact) -> Option<ContactView> {
        let name = contact.name.clone()?;
        Some(ContactView {
            fingerprint: contact.key.fingerprint(),
            verified: contact.verified,
            accepted: contact.accepted,
            standing: self.standing_of(&name),
            rival: self.book.contest_of(&contact.key).map(|(name, rival)| (name.clone(), rival.fingerprint())),
            former: self.book.former_names(&contact.key).cloned().collect(),
            waiting: self.outbox.waiting_for(&contact.key) as u64,
            blocked: contact.blocked,
            note: self.ways.get(&contact.key).and_then(|way| way.note.clone()),
            name,
        })
    }
}
