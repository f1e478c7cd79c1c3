//! What one tells all others: how they stand, who came and left, broadcasts. How it is rated is not here.

use common::identity::PublicKey;
use common::name::Name;
use common::wire::directory::{
    Broadcast, BroadcastSent, Done, FromDirectory, Listed, Notices, Refusal, SetStanding, Shouted, Standing,
};

use super::Directory;
use super::requests::Request;
use crate::event::{Now, Output, SessionId, Ticket};
use crate::presence::{Here, Look};
use crate::timers::Timer;

/// A line about somebody who stands so since then, or was last seen then.
pub(super) fn listed(name: Name, key: PublicKey, here: Option<(Look, i64)>, last_seen_ms: i64) -> Listed {
    match here {
        Some((Look { standing, note }, since_ms)) => Listed { name, key, standing, since_ms, note },
        None => Listed { name, key, standing: Standing::Offline, since_ms: last_seen_ms, note: None },
    }
}

impl Request {
    pub(super) fn set_standing(self, to: &mut Directory, frame: SetStanding) {
        let SetStanding { request, standing, note } = frame;
        let look = match Look::new(standing, note) {
            // Who has not asked to come online has no presence to change.
            Ok(look) if to.presence.wanted(self.session).is_some() => look,
            _ => return to.refuse(self.session, request, Refusal::Invalid),
        };
        let busy = look.is_busy();
        to.presence.want(self.session, look);
        to.send(self.session, Done { request });
        let before = to.presence.of(&self.key).filter(|here| here.session == self.session).cloned();
        if to.presence.stand(self.key, self.session, self.now.wall_ms) {
            to.changed(self.key, self.now);
            to.notice(self.key, before, self.now);
        }
        if let Some(want) = to.mailboxes.set_busy(self.session, busy) {
            to.want(want);
        }
    }

    pub(super) fn broadcast(self, to: &mut Directory, frame: &Broadcast) {
        if let Err(reason) = self.speak(to, frame) {
            to.refuse(self.session, frame.request, reason);
        }
    }

    fn speak(self, to: &mut Directory, frame: &Broadcast) -> Result<(), Refusal> {
        let speaker = to.presence.of(&self.key).filter(|here| here.session == self.session);
        let binding = speaker.ok_or(Refusal::NotRegistered)?.binding.clone();
        let now_ms = self.now.mono_ms;
        // What is not allowed anyway is not worth looking at.
        to.shouts.may(&self.key, to.presence.count(), &to.limits, now_ms)?;
        let shout = frame.shout.verify(&to.registry.key(), &self.key).map_err(|_| Refusal::Invalid)?;
        let others = to.presence.all().filter(|(key, here)| **key != self.key && !here.look.is_busy());
        let listeners: Vec<SessionId> = others.map(|(_, here)| here.session).collect();
        to.shouts.speak(self.key, shout.at_ms, listeners.len(), &to.limits, now_ms)?;
        let ticket = to.share(listeners, Shouted { binding, shout: frame.shout.clone() });
        to.sharing.insert(ticket, (self.session, frame.request));
        Ok(())
    }
}

impl Directory {
    fn share(&mut self, sessions: Vec<SessionId>, frame: impl Into<FromDirectory>) -> Ticket {
        let (ticket, frame) = (self.ticket(), frame.into());
        self.outputs.push_back(Output::Share { ticket, sessions, frame });
        ticket
    }

    /// A frame was handed to so many.
    pub(super) fn shared(&mut self, ticket: Ticket, count: u32) {
        let Some((session, request)) = self.sharing.remove(&ticket) else { return };
        if self.sessions.knows(session) {
            self.send(session, BroadcastSent { request, count });
        }
    }

    /// The presence of somebody was `before` and is another now.
    pub(super) fn notice(&mut self, key: PublicKey, before: Option<Here>, now: Now) {
        let here = self.presence.of(&key);
        let Some(name) = here.or(before.as_ref()).map(|here| here.name.clone()) else { return };
        if self.presence.count() > self.limits.notices_online {
            return;
        }
        let look = |here: &Here| (here.look.clone(), here.since_ms);
        let after = listed(name.clone(), key, here.map(look), now.wall_ms);
        let before = listed(name, key, before.as_ref().map(look), now.wall_ms);
        if (before.standing, &before.note) == (after.standing, &after.note) {
            return;
        }
        if let Some(at_ms) = self.notices.changed(&before, after, &self.limits, now.mono_ms) {
            self.timers.set(Timer::Notices, at_ms);
        }
    }

    /// Tells everybody what was gathered, but for what they watch and hear anyway.
    pub(super) fn tell_everybody(&mut self, now: Now) {
        if self.presence.count() > self.limits.notices_online {
            return self.notices.clear();
        }
        let (told, next_ms) = self.notices.due(&self.limits, now.mono_ms);
        if let Some(at_ms) = next_ms {
            self.timers.set(Timer::Notices, at_ms);
        }
        let listeners: Vec<(PublicKey, SessionId)> =
            self.presence.all().map(|(key, here)| (*key, here.session)).collect();
        for (key, session) in listeners {
            let news = |person: &&Listed| person.key != key && !self.presence.is_watched_by(&person.key, session);
            let people: Vec<Listed> = told.iter().filter(news).cloned().collect();
            if !people.is_empty() {
                self.share(vec![session], Notices { people });
            }
        }
    }
}
