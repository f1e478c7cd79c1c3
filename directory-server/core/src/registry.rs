//! Names and who they belong to: registration, its rate, look-ups, pages of people. Which names there are is the
//! store's knowledge; who is online is not known here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use common::identity::{Identity, PublicKey};
use common::limits::{NAME_MAX_CHARS, WHO_PAGE};
use common::name::Name;
use common::record::{Binding, Bound, PrekeyRecord};
use common::wire::directory::{Refusal, Register, Who};

use crate::address::counted;
use crate::bucket::Bucket;
use crate::event::{CheckedPrekey, StoreOp};
use crate::limits::Limits;

/// What the directory knows of names between two transactions.
pub struct Registry {
    identity: Identity,
    serial: u64,
    addresses: BTreeMap<IpAddr, Bucket>,
}

/// Checks who signed a prekey record.
///
/// # Errors
/// [`Refusal::Invalid`].
pub fn checked(prekey: PrekeyRecord, owner: &PublicKey) -> Result<CheckedPrekey, Refusal> {
    let counter = prekey.verify(owner).map_err(|_| Refusal::Invalid)?.counter;
    // A store keeps it as a signed number.
    if i64::try_from(counter).is_err() {
        return Err(Refusal::Invalid);
    }
    Ok(CheckedPrekey { counter, record: prekey })
}

/// The question for a page of people; none if no name can match.
///
/// # Errors
/// [`Refusal::TooLarge`] for a text longer than any name.
pub fn page(who: Who) -> Result<Option<StoreOp>, Refusal> {
    let text = who.text.unwrap_or_default();
    if text.len() > NAME_MAX_CHARS {
        return Err(Refusal::TooLarge { limit: NAME_MAX_CHARS as u64 });
    }
    let possible = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let text = (!text.is_empty()).then_some(text);
    Ok(possible.then_some(StoreOp::Who { after: who.after, text, limit: WHO_PAGE }))
}

impl Registry {
    /// A registry whose next binding has a serial above `serial`.
    pub fn new(identity: Identity, serial: u64) -> Self {
        Self { identity, serial, addresses: BTreeMap::new() }
    }

    /// The key of this directory.
    pub fn key(&self) -> PublicKey {
        self.identity.public()
    }

    /// The question that binds a name.
    ///
    /// # Errors
    /// Why it is not even asked.
    pub fn register(
        &mut self,
        register: Register,
        key: PublicKey,
        from: IpAddr,
        limits: &Limits,
        now: crate::event::Now,
    ) -> Result<StoreOp, Refusal> {
        let prekey = checked(register.prekey, &key)?;
        if let Some(bucket) = counted(from).and_then(|from| self.addresses.get(&from))
            && bucket.level(limits.registrations, now.mono_ms) == 0
        {
            let wait_ms = bucket.next_ms(limits.registrations, now.mono_ms) - now.mono_ms;
            return Err(Refusal::RateLimited(u32::try_from(wait_ms).unwrap_or(u32::MAX)));
        }
        let (binding, serial) = self.bind(&register.name, key, now.wall_ms);
        Ok(StoreOp::Register { key, name: register.name, binding, serial, prekey, now_ms: now.wall_ms })
    }

    /// A new name was bound for somebody at this address: it counts.
    pub fn registered(&mut self, from: IpAddr, limits: &Limits, now_ms: u64) {
        let Some(from) = counted(from) else { return };
        self.addresses.entry(from).or_insert_with(Bucket::full).take(limits.registrations, now_ms);
        if self.addresses.len() > limits.registration_addresses {
            self.addresses.retain(|_, bucket| bucket.full_at_ms() > now_ms);
        }
        if self.addresses.len() > limits.registration_addresses {
            let quietest = self.addresses.iter().min_by_key(|(_, bucket)| bucket.full_at_ms()).map(|(ip, _)| *ip);
            quietest.map(|ip| self.addresses.remove(&ip));
        }
    }

    /// Serials follow the clock, so that a store that was put back does not give again what others have seen.
    fn bind(&mut self, name: &Name, key: PublicKey, wall_ms: i64) -> (Binding, u64) {
        self.serial = (self.serial + 1).max(u64::try_from(wall_ms).unwrap_or(0));
        let bound = Bound { directory: self.identity.public(), name: name.clone(), key, serial: self.serial };
        (Binding::sign(&self.identity, &bound), self.serial)
    }
}
