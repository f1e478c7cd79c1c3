//! Writing and reading what is no message: contacts, the facts about the store, directories, own prekeys.

use std::net::SocketAddr;

use common::identity::PublicKey;
use common::name::Name;
use common::seal::PrekeySecret;
use common::wire::codec;
use peer_core::stored::{Claim, Contact, DirectoryRecord, Meta, OwnPrekey, Pin};
use rusqlite::types::Type;
use rusqlite::{Connection, Error, OptionalExtension, Result, Row, params};
use serde::de::DeserializeOwned;

use super::codes::{Col, epoch, key, number, signed, unsigned};
use super::write::Writer;

impl Writer<'_> {
    pub(super) fn put_contact(&self, contact: &Contact) -> Result<()> {
        let addresses: Vec<String> = contact.addresses.iter().map(ToString::to_string).collect();
        let sql = "INSERT OR REPLACE INTO contacts (key, name, serial, verified, accepted, addresses, prekey,
                       applied_generation, applied_epoch, applied_version, talked, blocked)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        self.tx.prepare_cached(sql)?.execute(params![
            contact.key.0,
            contact.name.as_ref().map(Name::as_str),
            signed(contact.serial),
            contact.verified,
            contact.accepted,
            addresses.join(" "),
            contact.prekey.as_ref().map(codec::encode),
            contact.applied.map(|(epoch, _)| signed(epoch.generation)),
            contact.applied.map(|(epoch, _)| epoch.id.0),
            contact.applied.map(|(_, version)| signed(version)),
            contact.talked,
            contact.blocked,
        ])?;
        Ok(())
    }

    pub(super) fn put_meta(&self, meta: &Meta) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO meta (one, generation, epoch, highest_generation, version_reserve, age, wall,
                       wants_online, suspended, left_cleanly, binding, receipts, standing, note)
                   VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        self.tx.prepare_cached(sql)?.execute(params![
            signed(meta.epoch.generation),
            meta.epoch.id.0,
            signed(meta.highest_generation),
            signed(meta.version_reserve),
            signed(meta.age_ms),
            meta.wall_ms,
            meta.wants_online,
            meta.suspended,
            meta.left_cleanly,
            meta.binding.as_ref().map(codec::encode),
            meta.receipts,
            Col(meta.standing),
            meta.note,
        ])?;
        Ok(())
    }

    pub(super) fn put_pin(&self, pin: &Pin) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO pins (directory, folded, name, key, serial, claims)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (name, claims) = (pin.name.as_str(), claims(pin.rival, &pin.refused));
        self.tx.prepare_cached(sql)?.execute(params![
            pin.directory.0,
            pin.name.folded(),
            name,
            pin.key.0,
            signed(pin.serial),
            claims
        ])?;
        Ok(())
    }

    pub(super) fn put_directory(&self, record: &DirectoryRecord) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO directories (address, key, store_id, commits, token)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let row = params![record.address, record.key.0, record.store_id, signed(record.commits), record.token];
        self.tx.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    pub(super) fn put_prekey(&self, prekey: &OwnPrekey) -> Result<()> {
        let sql = "INSERT INTO prekeys (counter, record, secret, created_age, replaced_age) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT DO UPDATE SET record = excluded.record, secret = excluded.secret,
                       created_age = excluded.created_age, replaced_age = excluded.replaced_age";
        self.tx.prepare_cached(sql)?.execute(params![
            signed(prekey.counter),
            codec::encode(&prekey.record),
            prekey.secret.as_bytes(),
            signed(prekey.created_age_ms),
            prekey.replaced_age_ms.map(signed),
        ])?;
        Ok(())
    }

    /// Overwritten in place, then deleted; the caller truncates the log.
    pub(super) fn drop_prekeys(&self, counters: &[u64]) -> Result<()> {
        for counter in counters {
            let counter = signed(*counter);
            let sql = "UPDATE prekeys SET secret = zeroblob(length(secret)) WHERE counter = ?1";
            self.tx.prepare_cached(sql)?.execute([counter])?;
            self.tx.prepare_cached("DELETE FROM prekeys WHERE counter = ?1")?.execute([counter])?;
        }
        Ok(())
    }
}

/// All contacts, by key.
pub fn contacts(conn: &Connection) -> Result<Vec<Contact>> {
    let sql = "SELECT key, name, serial, verified, accepted, addresses, prekey, applied_generation, applied_epoch,
                   applied_version, talked, blocked
               FROM contacts ORDER BY key";
    conn.prepare(sql)?.query_map([], contact)?.collect()
}

fn contact(row: &Row<'_>) -> Result<Contact> {
    let applied = match row.get::<_, Option<i64>>(9)? {
        Some(version) => Some((epoch(row, 7)?, unsigned(version))),
        None => None,
    };
    let name = row.get::<_, Option<String>>(1)?;
    let addresses: String = row.get(5)?;
    Ok(Contact {
        key: key(row, 0)?,
        name: name.map(|name| name.parse().map_err(|error| unreadable(1, Type::Text, error))).transpose()?,
        serial: number(row, 2)?,
        verified: row.get(3)?,
        accepted: row.get(4)?,
        addresses: addresses
            .split_whitespace()
            .map(|address| address.parse::<SocketAddr>().map_err(|error| unreadable(5, Type::Text, error)))
            .collect::<Result<_>>()?,
        prekey: maybe_record(row, 6)?,
        applied,
        talked: row.get(10)?,
        blocked: row.get(11)?,
    })
}

/// The facts about the store; none in a new one.
pub fn meta(conn: &Connection) -> Result<Option<Meta>> {
    let sql =
        "SELECT generation, epoch, highest_generation, version_reserve, age, wall, wants_online, suspended, left_cleanly,
                      binding, receipts, standing, note
               FROM meta";
    conn.query_row(sql, [], |row| {
        Ok(Meta {
            epoch: epoch(row, 0)?,
            highest_generation: number(row, 2)?,
            version_reserve: number(row, 3)?,
            age_ms: number(row, 4)?,
            wall_ms: row.get(5)?,
            wants_online: row.get(6)?,
            suspended: row.get(7)?,
            left_cleanly: row.get(8)?,
            binding: maybe_record(row, 9)?,
            receipts: row.get(10)?,
            standing: row.get::<_, Col<_>>(11)?.0,
            note: row.get(12)?,
        })
    })
    .optional()
}

/// The claims of other keys to a pinned name, as they are kept: key and serial of the one that waits for the user's word,
/// and of those that were refused.
type Claims = (Option<(PublicKey, u64)>, Vec<(PublicKey, u64)>);

/// As bytes; none where there is none.
pub fn claims(rival: Option<Claim>, refused: &[Claim]) -> Option<Vec<u8>> {
    let pair = |claim: &Claim| (claim.key, claim.serial);
    let claims: Claims = (rival.as_ref().map(pair), refused.iter().map(pair).collect());
    (claims != Claims::default()).then(|| codec::encode(&claims))
}

/// All pins.
pub fn pins(conn: &Connection) -> Result<Vec<Pin>> {
    let sql = "SELECT directory, name, key, serial, claims FROM pins ORDER BY directory, folded";
    let mut statement = conn.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let text: String = row.get(1)?;
        let name = text.parse().map_err(|error| unreadable(1, Type::Text, error))?;
        let (rival, refused): Claims = maybe_record(row, 4)?.unwrap_or_default();
        let claim = |(key, serial)| Claim { key, serial };
        Ok(Pin {
            directory: key(row, 0)?,
            name,
            key: key(row, 2)?,
            serial: number(row, 3)?,
            rival: rival.map(claim),
            refused: refused.into_iter().map(claim).collect(),
        })
    })?;
    rows.collect()
}

/// What is known of the directory at `address`.
pub fn directory(conn: &Connection, address: &str) -> Result<Option<DirectoryRecord>> {
    let sql = "SELECT address, key, store_id, commits, token FROM directories WHERE address = ?1";
    conn.query_row(sql, [address], |row| {
        Ok(DirectoryRecord {
            address: row.get(0)?,
            key: key(row, 1)?,
            store_id: row.get(2)?,
            commits: number(row, 3)?,
            token: row.get(4)?,
        })
    })
    .optional()
}

/// Own prekeys, by counter.
pub fn prekeys(conn: &Connection) -> Result<Vec<OwnPrekey>> {
    let sql = "SELECT counter, record, secret, created_age, replaced_age FROM prekeys ORDER BY counter";
    let mut statement = conn.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let secret = row.get_ref(2)?.as_blob().map_err(|error| unreadable(2, Type::Blob, error))?;
        Ok(OwnPrekey {
            counter: number(row, 0)?,
            record: record(row.get_ref(1)?.as_blob().map_err(|error| unreadable(1, Type::Blob, error))?, 1)?,
            secret: PrekeySecret::from_bytes(secret).map_err(|error| unreadable(2, Type::Blob, error))?,
            created_age_ms: number(row, 3)?,
            replaced_age_ms: row.get::<_, Option<i64>>(4)?.map(unsigned),
        })
    })?;
    rows.collect()
}

fn maybe_record<T: DeserializeOwned>(row: &Row<'_>, at: usize) -> Result<Option<T>> {
    let bytes: Option<Vec<u8>> = row.get(at)?;
    bytes.map(|bytes| record(&bytes, at)).transpose()
}

fn record<T: DeserializeOwned>(bytes: &[u8], at: usize) -> Result<T> {
    codec::decode(bytes).map_err(|error| unreadable(at, Type::Blob, error))
}

/// A column that does not hold what it should.
pub fn unreadable(at: usize, kind: Type, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::FromSqlConversionFailure(at, kind, Box::new(error))
}
