//! A store in memory, for tests: keeps what the operations say and no more. Not durable, not fast, quotas by items only.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use common::identity::PublicKey;
use common::message::EpochId;
use common::record::PrekeyRecord;
use common::wire::directory::{Fate, Item, Place, Refusal, Slot, Taking, Whom};

use crate::event::*;

type Lane = (PublicKey, PublicKey, EpochId);

struct Row {
    lane: u64,
    op: DepositOp,
}

#[derive(Default)]
struct User {
    account: Account,
    name: Option<common::name::Name>,
    prekey: Option<CheckedPrekey>,
    candidates: Vec<SocketAddr>,
    seen_ms: i64,
    accepted: BTreeSet<PublicKey>,
}

#[derive(Default)]
pub struct Shelf {
    users: BTreeMap<PublicKey, User>,
    rows: BTreeMap<u64, Row>,
    lanes: BTreeMap<Lane, (u64, u64)>,
    tombs: BTreeMap<(PublicKey, Place), (Fate, i64)>,
    slots: BTreeMap<(PublicKey, PublicKey), (u64, PutSlotOp)>,
    last_item: u64,
    last_serial: u64,
}

impl Shelf {
    pub fn items_of(&self, recipient: &PublicKey) -> usize {
        self.rows.values().filter(|row| row.op.deposit.place.recipient == *recipient).count()
    }

    pub fn prekey_counter(&self, key: &PublicKey) -> Option<u64> {
        Some(self.users.get(key)?.prekey.as_ref()?.counter)
    }

    pub fn candidates(&self, key: &PublicKey) -> Vec<SocketAddr> {
        self.users[key].candidates.clone()
    }

    fn user(&mut self, key: PublicKey) -> &mut User {
        self.users.entry(key).or_default()
    }

    fn put_prekey(&mut self, key: PublicKey, prekey: CheckedPrekey) {
        let user = self.user(key);
        if user.prekey.as_ref().is_none_or(|kept| kept.counter <= prekey.counter) {
            user.prekey = Some(prekey);
        }
    }

    fn record(&self, key: &PublicKey) -> Option<PrekeyRecord> {
        self.users.get(key)?.prekey.as_ref().map(|prekey| prekey.record.clone())
    }

    pub fn run(&mut self, op: StoreOp) -> StoreResult {
        match op {
            StoreOp::LoadAccount { key } => StoreResult::Account(Box::new(
                self.users.get(&key).map(|user| user.account.clone()).unwrap_or_default(),
            )),
            StoreOp::OfferToken { key, token, proven, now_ms: _ } => {
                let account = &mut self.user(key).account;
                account.confirmed = proven.or(account.confirmed);
                account.offered = Some(token);
                StoreResult::Done
            }
            StoreOp::ConfirmToken { key, token, epoch, now_ms: _ } => {
                let account = &mut self.user(key).account;
                if account.offered != Some(token) {
                    return StoreResult::NotOffered;
                }
                (account.confirmed, account.offered, account.epoch) = (Some(token), None, Some(epoch));
                StoreResult::Done
            }
            StoreOp::WentOffline { key, now_ms } => {
                self.user(key).seen_ms = now_ms;
                StoreResult::Done
            }
            StoreOp::PutPrekey { key, prekey } => {
                self.put_prekey(key, prekey);
                StoreResult::Done
            }
            StoreOp::LastSeen { keys } => {
                StoreResult::LastSeen(keys.iter().map(|key| self.users.get(key).map(|user| user.seen_ms)).collect())
            }
            StoreOp::Accept { key, keys, limit: _ } => {
                self.user(key).accepted.extend(keys);
                StoreResult::Done
            }
            op @ (StoreOp::Register { .. }
            | StoreOp::Deregister { .. }
            | StoreOp::Online { .. }
            | StoreOp::LookUp { .. }
            | StoreOp::Who { .. }) => self.names(op),
            op => self.mail(op),
        }
    }

    fn names(&mut self, op: StoreOp) -> StoreResult {
        match op {
            StoreOp::Register { key, name, binding, prekey, .. } => {
                if self.users.iter().any(|(other, user)| *other != key && user.name.as_ref() == Some(&name)) {
                    return StoreResult::Refused(Refusal::NameTaken);
                }
                let user = self.user(key);
                if let Some(mine) = user.name.clone().filter(|mine| *mine != name) {
                    return StoreResult::Refused(Refusal::AlreadyRegistered(mine));
                }
                let new = user.name.is_none();
                user.name.get_or_insert(name);
                let binding = user.account.binding.get_or_insert(binding).clone();
                self.put_prekey(key, prekey);
                StoreResult::Registered { binding, new }
            }
            StoreOp::Deregister { key } => {
                let user = self.user(key);
                user.account.binding = None;
                match user.name.take() {
                    Some(_) => StoreResult::Done,
                    None => StoreResult::Refused(Refusal::NotRegistered),
                }
            }
            StoreOp::Online { key, prekey, candidates, now_ms } => {
                if self.user(key).name.is_none() {
                    return StoreResult::Refused(Refusal::NotRegistered);
                }
                self.put_prekey(key, prekey);
                let user = self.user(key);
                (user.candidates, user.seen_ms) = (candidates, now_ms);
                let of_key = self.rows.values().filter(|row| row.op.deposit.place.recipient == key);
                let human = of_key.filter(|row| row.op.deposit.human).count() as u64;
                let user = &self.users[&key];
                let (name, binding) = (user.name.clone().unwrap(), user.account.binding.clone().unwrap());
                let waiting = Waiting { human, newest: self.last_item };
                StoreResult::Online { waiting, name, binding: Box::new(binding) }
            }
            StoreOp::LookUp { whom } => {
                let found = self.users.iter().find(|(key, user)| match &whom {
                    Whom::Name(name) => user.name.as_ref() == Some(name),
                    Whom::Key(wanted) => *key == wanted && user.name.is_some(),
                });
                StoreResult::Profile(found.and_then(|(key, user)| {
                    let binding = user.account.binding.clone()?;
                    let (prekey, last_seen_ms) = (self.record(key), user.seen_ms);
                    Some(Box::new(StoredProfile { key: *key, binding, prekey, last_seen_ms }))
                }))
            }
            StoreOp::Who { after, text, limit } => {
                let text = text.unwrap_or_default().to_lowercase();
                let mut people: Vec<_> =
                    self.users.iter().filter_map(|(key, user)| Some((user.name.clone()?, key, user))).collect();
                people.retain(|(name, ..)| {
                    name.folded().contains(&text) && after.as_ref().is_none_or(|after| name > after)
                });
                people.sort_by(|a, b| a.0.cmp(&b.0));
                let more = people.len() > limit;
                people.truncate(limit);
                let listed = |(name, key, user): (_, &PublicKey, &User)| StoredListed {
                    name,
                    key: *key,
                    last_seen_ms: user.seen_ms,
                };
                StoreResult::People { people: people.into_iter().map(listed).collect(), more }
            }
            other => panic!("not about names: {other:?}"),
        }
    }

    fn mail(&mut self, op: StoreOp) -> StoreResult {
        match op {
            StoreOp::Deposit(op) => {
                let kept = self.deposit(&op);
                StoreResult::Deposited { op, kept }
            }
            StoreOp::Withdraw { submitter, places } => {
                self.rows.retain(|_, row| row.op.submitter != submitter || !places.contains(&row.op.deposit.place));
                StoreResult::Done
            }
            StoreOp::Have { submitter, places } => {
                StoreResult::Fates(places.iter().map(|place| self.fate(submitter, place)).collect())
            }
            StoreOp::Take { recipient, items, now_ms } => self.take(recipient, &items, now_ms),
            StoreOp::Page { recipient, from, limit_items, limit_bytes, urgent_only } => {
                self.page(&recipient, from, (limit_items, limit_bytes), urgent_only)
            }
            StoreOp::Waiting { recipient } => {
                let of_key = self.rows.values().filter(|row| row.op.deposit.place.recipient == recipient);
                let human = of_key.filter(|row| row.op.deposit.human).count() as u64;
                StoreResult::Waiting(Waiting { human, newest: self.last_item })
            }
            StoreOp::PutSlot(op) => {
                if self.users.get(&op.slot.recipient).is_none_or(|user| user.name.is_none()) {
                    return StoreResult::SlotRefused;
                }
                if !op.may_grow && !self.slots.contains_key(&(op.slot.recipient, op.from)) {
                    return StoreResult::SlotRefused;
                }
                self.last_serial += 1;
                self.slots.insert((op.slot.recipient, op.from), (self.last_serial, (*op).clone()));
                StoreResult::SlotKept { op, serial: self.last_serial }
            }
            StoreOp::TakeSlot { recipient, from, serial } => {
                if self.slots.get(&(recipient, from)).is_some_and(|(kept, _)| *kept == serial) {
                    self.slots.remove(&(recipient, from));
                }
                StoreResult::Done
            }
            StoreOp::SlotPage { recipient, after_serial, limit_slots, limit_bytes: _ } => {
                let mut slots: Vec<Slot> = self
                    .slots
                    .iter()
                    .filter(|((to, _), (serial, _))| *to == recipient && *serial > after_serial)
                    .map(|((_, from), (serial, op))| {
                        let (prekey, sealed) = (op.slot.prekey, op.slot.sealed.clone());
                        Slot { from: *from, serial: *serial, prekey, sealed }
                    })
                    .collect();
                slots.sort_by_key(|slot| slot.serial);
                let more = slots.len() > limit_slots;
                slots.truncate(limit_slots);
                StoreResult::Slots { slots, more }
            }
            StoreOp::Expire(ExpireOp { items_before_ms, now_ms, limit, .. }) => {
                let old = self.rows.iter().filter(|(_, row)| row.op.now_ms < items_before_ms);
                let old: Vec<u64> = old.map(|(number, _)| *number).collect();
                for number in old.iter().take(limit as usize) {
                    let row = self.rows.remove(number).unwrap();
                    self.tombs.insert((row.op.submitter, row.op.deposit.place), (Fate::Expired, now_ms));
                }
                StoreResult::Expired { more: old.len() > limit as usize }
            }
            other => panic!("not about mail: {other:?}"),
        }
    }

    fn deposit(&mut self, op: &DepositOp) -> Result<u64, Refusal> {
        let place = op.deposit.place;
        let known = self.users.get(&place.recipient).filter(|user| user.name.is_some()).ok_or(Refusal::NoSuchUser)?;
        known.prekey.as_ref().ok_or(Refusal::NoPrekey)?;
        let here = |row: &&Row| row.op.submitter == op.submitter && row.op.deposit.place == place;
        if let Some(row) = self.rows.values().find(here)
            && row.op.deposit.tag != op.deposit.tag
        {
            return Err(Refusal::Conflict);
        }
        self.rows.retain(|_, row| !here(&&*row));
        if self.items_of(&place.recipient) as u64 >= op.limits.mailbox_items {
            return Err(Refusal::MailboxFull);
        }
        let fresh = self.lanes.len() as u64;
        let lane = self.lanes.entry((op.submitter, place.recipient, place.epoch)).or_insert((fresh, 0));
        lane.1 = lane.1.max(place.seq);
        self.last_item += 1;
        self.rows.insert(self.last_item, Row { lane: lane.0, op: op.clone() });
        self.tombs.remove(&(op.submitter, place));
        Ok(self.last_item)
    }

    fn fate(&self, submitter: PublicKey, place: &Place) -> Fate {
        if self.rows.values().any(|row| row.op.submitter == submitter && row.op.deposit.place == *place) {
            return Fate::Held;
        }
        if let Some((fate, _)) = self.tombs.get(&(submitter, *place)) {
            return fate.clone();
        }
        let highest = self.lanes.get(&(submitter, place.recipient, place.epoch)).map_or(0, |lane| lane.1);
        if place.seq <= highest { Fate::Taken } else { Fate::Unknown }
    }

    fn take(&mut self, recipient: PublicKey, items: &[(u64, Taking)], now_ms: i64) -> StoreResult {
        let mut not_opened = vec![];
        for (number, taking) in items {
            if self.rows.get(number).is_none_or(|row| row.op.deposit.place.recipient != recipient) {
                continue;
            }
            let Row { op, .. } = self.rows.remove(number).unwrap();
            if *taking == Taking::NotOpened {
                let Place { epoch, seq, .. } = op.deposit.place;
                not_opened.push(Origin { submitter: op.submitter, epoch, seq });
                self.tombs.insert((op.submitter, op.deposit.place), (Fate::NotOpened, now_ms));
            }
        }
        StoreResult::Taken { not_opened, prekey: self.record(&recipient) }
    }

    fn page(
        &self,
        recipient: &PublicKey,
        from: PageFrom,
        (limit_items, limit_bytes): (usize, usize),
        urgent_only: bool,
    ) -> StoreResult {
        let order = |at: &DrainPosition| (!at.urgent, at.lane, at.seq);
        let mut items: Vec<PageItem> = self
            .rows
            .iter()
            .filter(|(_, row)| row.op.deposit.place.recipient == *recipient)
            .filter(|(_, row)| row.op.deposit.urgent || !urgent_only)
            .map(|(number, row)| {
                let (op, place) = (&row.op, row.op.deposit.place);
                let position = DrainPosition { urgent: op.deposit.urgent, lane: row.lane, seq: place.seq };
                let item = Item {
                    item: *number,
                    submitter: op.submitter,
                    epoch: place.epoch,
                    seq: place.seq,
                    prekey: op.deposit.prekey,
                    waited: op.waited,
                    deposited_at_ms: op.now_ms,
                    sealed: op.deposit.sealed.clone(),
                };
                PageItem { item, position }
            })
            .filter(|page_item| match from {
                PageFrom::Drain { after, newest } => {
                    page_item.item.item <= newest
                        && after.is_none_or(|after| order(&page_item.position) > order(&after))
                }
                PageFrom::Since { item } => page_item.item.item > item,
            })
            .collect();
        if matches!(from, PageFrom::Drain { .. }) {
            items.sort_by_key(|page_item| order(&page_item.position));
        }
        let all = items.len();
        let mut bytes = 0;
        let fits = |page_item: &PageItem| {
            bytes += page_item.item.sealed.len();
            bytes <= limit_bytes || bytes == page_item.item.sealed.len()
        };
        let count = items.iter().take(limit_items).take_while({
            let mut fits = fits;
            move |page_item| fits(page_item)
        });
        let count = count.count();
        items.truncate(count);
        StoreResult::Page { items, more: count < all }
    }
}
