//! Accounts: tokens, names, prekeys, when somebody was there.

use std::net::SocketAddr;

use common::identity::PublicKey;
use common::message::{Epoch, EpochId};
use common::name::Name;
use common::record::Binding;
use common::wire::codec;
use common::wire::directory::{Refusal, Token};
use directory_core::StoreResult;
use directory_core::event::{Account, CheckedPrekey, Waiting};
use rusqlite::{OptionalExtension, params};

use super::StoreError;
use super::ledger::Ledger;

type Answer = Result<StoreResult, StoreError>;

/// A name to be bound.
pub(super) struct Wanted {
    pub name: Name,
    pub binding: Binding,
    pub serial: u64,
}

pub(super) fn load(ledger: &Ledger<'_>, key: &PublicKey) -> Answer {
    type Columns = (Option<Vec<u8>>, Option<i64>, Option<[u8; 16]>, Option<Token>, Option<Token>);
    let sql = "SELECT binding, generation, epoch, confirmed, offered FROM accounts WHERE key = ?1";
    let columns: Option<Columns> = ledger
        .db()
        .prepare_cached(sql)?
        .query_row([&key.0[..]], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((binding, generation, epoch, confirmed, offered)) = columns else {
        return Ok(StoreResult::Account(Box::default()));
    };
    let binding = binding.map(|bytes| codec::decode(&bytes)).transpose()?;
    let epoch = generation.zip(epoch).map(|(generation, id)| Epoch { generation: generation as u64, id: EpochId(id) });
    Ok(StoreResult::Account(Box::new(Account { binding, epoch, confirmed, offered })))
}

pub(super) fn offer_token(
    ledger: &mut Ledger<'_>,
    key: &PublicKey,
    token: Token,
    proven: Option<Token>,
    now_ms: i64,
) -> Answer {
    let touched_ms = ledger.stamp(now_ms);
    let known = ledger.known_or_new(key)?;
    let sql = "UPDATE accounts SET confirmed = CASE WHEN offered = ?3 THEN offered ELSE confirmed END, offered = ?2,
               touched_ms = ?4 WHERE account = ?1";
    ledger.db().prepare_cached(sql)?.execute(params![known.account, token, proven, touched_ms])?;
    Ok(StoreResult::Done)
}

pub(super) fn confirm_token(ledger: &Ledger<'_>, key: &PublicKey, token: Token, epoch: Epoch, now_ms: i64) -> Answer {
    let sql = "UPDATE accounts SET confirmed = offered, offered = NULL, generation = ?3, epoch = ?4, login_ms = ?5
               WHERE key = ?1 AND offered = ?2";
    let row = params![&key.0[..], token, epoch.generation as i64, epoch.id.0, now_ms];
    let changed = ledger.db().prepare_cached(sql)?.execute(row)?;
    Ok(if changed == 0 { StoreResult::NotOffered } else { StoreResult::Done })
}

pub(super) fn register(
    ledger: &mut Ledger<'_>,
    key: &PublicKey,
    wanted: Wanted,
    prekey: &CheckedPrekey,
    now_ms: i64,
) -> Answer {
    let known = ledger.known_or_new(key)?;
    let db = ledger.db();
    let own: (Option<String>, Option<Vec<u8>>) = db
        .prepare_cached("SELECT name, binding FROM accounts WHERE account = ?1")?
        .query_row([known.account], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if let (Some(name), Some(binding)) = own {
        let name: Name = name.parse().map_err(|_| StoreError::Damaged("a name is none"))?;
        if name != wanted.name {
            return Ok(StoreResult::Refused(Refusal::AlreadyRegistered(name)));
        }
        keep_prekey(ledger, key, known.account, prekey)?;
        return Ok(StoreResult::Registered { binding: codec::decode(&binding)?, new: false });
    }
    let folded = wanted.name.folded();
    if db.prepare_cached("SELECT 1 FROM accounts WHERE folded = ?1")?.exists([&folded])? {
        return Ok(StoreResult::Refused(Refusal::NameTaken));
    }
    let sql = "UPDATE accounts SET folded = ?2, name = ?3, binding = ?4, seen_ms = ?5 WHERE account = ?1";
    let binding = codec::encode(&wanted.binding);
    db.prepare_cached(sql)?.execute(params![known.account, folded, wanted.name.as_str(), binding, now_ms])?;
    let head = ledger.change_head();
    head.binding_serial = head.binding_serial.max(wanted.serial);
    keep_prekey(ledger, key, known.account, prekey)?;
    ledger.forget(key);
    Ok(StoreResult::Registered { binding: wanted.binding, new: true })
}

pub(super) fn deregister(ledger: &mut Ledger<'_>, key: &PublicKey) -> Answer {
    let sql = "UPDATE accounts SET folded = NULL, name = NULL, binding = NULL, candidates = NULL, touched_ms = ?2
               WHERE key = ?1 AND folded IS NOT NULL";
    let changed = ledger.db().prepare_cached(sql)?.execute(params![&key.0[..], ledger.head().newest_ms])?;
    ledger.forget(key);
    Ok(if changed == 0 { StoreResult::Refused(Refusal::NotRegistered) } else { StoreResult::Done })
}

pub(super) fn online(
    ledger: &mut Ledger<'_>,
    key: &PublicKey,
    prekey: &CheckedPrekey,
    candidates: &[SocketAddr],
    now_ms: i64,
) -> Answer {
    let Some(known) = ledger.known(key)?.filter(|known| known.registered) else {
        return Ok(StoreResult::Refused(Refusal::NotRegistered));
    };
    let sql = "UPDATE accounts SET candidates = ?2, seen_ms = ?3 WHERE account = ?1";
    let row = params![known.account, codec::encode(&candidates), now_ms];
    ledger.db().prepare_cached(sql)?.execute(row)?;
    keep_prekey(ledger, key, known.account, prekey)?;
    let waiting = waiting(ledger, key)?;
    let (name, binding): (String, Vec<u8>) = ledger
        .db()
        .prepare_cached("SELECT name, binding FROM accounts WHERE account = ?1")?
        .query_row([known.account], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let name = name.parse().map_err(|_| StoreError::Damaged("a name is none"))?;
    Ok(StoreResult::Online { waiting, name, binding: Box::new(codec::decode(&binding)?) })
}

/// What waits in a mailbox.
pub(super) fn waiting(ledger: &mut Ledger<'_>, key: &PublicKey) -> Result<Waiting, StoreError> {
    let human = match ledger.known(key)? {
        Some(known) => ledger.tally(known.account)?.human,
        None => 0,
    };
    Ok(Waiting { human, newest: ledger.head().item as u64 })
}

pub(super) fn went_offline(ledger: &Ledger<'_>, key: &PublicKey, now_ms: i64) -> Answer {
    let sql = "UPDATE accounts SET seen_ms = ?2, candidates = NULL WHERE key = ?1";
    ledger.db().prepare_cached(sql)?.execute(params![&key.0[..], now_ms])?;
    Ok(StoreResult::Done)
}

pub(super) fn put_prekey(ledger: &mut Ledger<'_>, key: &PublicKey, prekey: &CheckedPrekey) -> Answer {
    let Some(known) = ledger.known(key)?.filter(|known| known.registered) else {
        return Ok(StoreResult::Refused(Refusal::NotRegistered));
    };
    keep_prekey(ledger, key, known.account, prekey)?;
    Ok(StoreResult::Done)
}

/// Keeps a prekey unless the one there has a higher counter. Counters use all 64 bits, so SQLite cannot compare them.
fn keep_prekey(
    ledger: &mut Ledger<'_>,
    key: &PublicKey,
    account: i64,
    prekey: &CheckedPrekey,
) -> Result<(), StoreError> {
    let db = ledger.db();
    let kept: Option<i64> = db
        .prepare_cached("SELECT counter FROM prekeys WHERE account = ?1")?
        .query_row([account], |row| row.get(0))
        .optional()?;
    if kept.is_some_and(|counter| counter as u64 > prekey.counter) {
        return Ok(());
    }
    let row = params![account, prekey.counter as i64, codec::encode(&prekey.record)];
    db.prepare_cached("REPLACE INTO prekeys VALUES (?1, ?2, ?3)")?.execute(row)?;
    ledger.forget(key);
    Ok(())
}
