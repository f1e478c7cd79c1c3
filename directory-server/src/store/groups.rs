//! Groups: keeping steps, and what decides about the next one beside them, so that a step costs the same in a long chain as in
//! a short one. What may be done is the rule of `common::group`.

use common::group::{Change, GroupId, Seat, SignedStep, Standpoint, StepError};
use common::identity::PublicKey;
use common::limits::GROUPS_PAGE;
use common::name::Name;
use common::wire::codec;
use common::wire::directory::{ListedGroup, Refusal, WhichGroup};
use directory_core::event::{GroupResult, StepOp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::group_room::Judged;
use super::ledger::{Known, Ledger, count};
use super::{StoreError, group_room};

/// A page of groups: those anybody may see, and the private ones that the account is a member of or invited to. Both are
/// found by an index, so that private groups of others, however many, neither cost anything nor show.
pub(super) const LIST: &str = "SELECT name, id, private, members, member, invited FROM (
        SELECT * FROM (
            SELECT g.folded, g.name, g.id, g.private, g.members, p.joined IS NOT NULL AS member, ifnull(p.invited, 0) AS invited
            FROM groups g LEFT JOIN group_people p ON p.number = g.number AND p.account = ?1
            WHERE g.private = 0 AND g.folded > ?2 AND g.folded < '~' ORDER BY g.folded LIMIT ?3)
        UNION ALL
        SELECT g.folded, g.name, g.id, g.private, g.members, p.joined IS NOT NULL, p.invited
        FROM group_people p JOIN groups g ON g.number = p.number
        WHERE p.account = ?1 AND (p.joined IS NOT NULL OR p.invited = 1) AND g.private = 1 AND g.folded > ?2
            AND g.folded < '~'
    ) ORDER BY folded LIMIT ?3";

/// A group as it is kept.
pub(super) struct Group {
    pub number: i64,
    pub id: GroupId,
    private: bool,
    pub version: u64,
    last: [u8; 32],
    members: u64,
    invited: u64,
    owner: i64,
    pub over: bool,
}

/// What somebody is, and was, to a group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Person {
    joined: Option<i64>,
    gone: Option<i64>,
    invited: bool,
    removed: bool,
}

pub(super) fn step(ledger: &mut Ledger<'_>, op: Box<StepOp>) -> Judged<GroupResult> {
    let by = ledger.known(&op.step.by)?;
    let leaves = matches!(op.step.change, Change::Leave);
    let Some(by) = by.filter(|by| by.registered || leaves) else { return Ok(Err(Refusal::NotRegistered)) };
    let done = match &op.step.change {
        Change::Found { name, private } => found(ledger, &op, by, name, *private)?.map(|()| vec![op.step.by]),
        _ => follow(ledger, &op, by)?,
    };
    Ok(done.map(|members| GroupResult::Stepped { op, members }))
}

fn found(ledger: &mut Ledger<'_>, op: &StepOp, by: Known, name: &Name, private: bool) -> Judged<()> {
    let db = ledger.db();
    if db.prepare_cached("SELECT 1 FROM groups WHERE folded = ?1")?.exists([&name.folded()])? {
        return Ok(Err(Refusal::GroupExists));
    }
    if Group::of(db, &WhichGroup::Id(op.step.group))?.is_some() {
        return Ok(Err(Refusal::GroupChanged));
    }
    let owned = db.prepare_cached("SELECT count(*) FROM groups WHERE owner = ?1 AND ended_ms IS NULL")?;
    if counted(owned, by.account)? >= op.limits.owned || joins(db, by)? >= op.limits.joined {
        return Ok(Err(Refusal::GroupFull));
    }
    if let Err(refusal) = group_room::begins(db, op, by.account)? {
        return Ok(Err(refusal));
    }
    begin(db, op, by.account, by.account, (name, private))?;
    Ok(Ok(()))
}

/// Writes the beginning of a group by `owner` that `founder` brings here. Where another has the name it gets none.
pub(super) fn begin(
    db: &Connection,
    op: &StepOp,
    founder: i64,
    owner: i64,
    (name, private): (&Name, bool),
) -> Result<(), StoreError> {
    let folded = name.folded();
    let taken = db.prepare_cached("SELECT 1 FROM groups WHERE folded = ?1")?.exists([&folded])?;
    let folded = if taken { nameless(&op.step.group) } else { folded };
    let sql = "INSERT INTO groups (id, folded, name, private, version, last, members, invited, owner, founder)
               VALUES (?1, ?2, ?3, ?4, 1, ?5, 1, 0, ?6, ?7)";
    let row = params![op.step.group, folded, name.as_str(), private, op.signed.hash(), owner, founder];
    db.prepare_cached(sql)?.execute(row)?;
    let number = db.last_insert_rowid();
    group_room::count(db, 1, 0)?;
    keep_step(db, number, op)?;
    Person { joined: Some(1), ..Person::default() }.save(db, number, owner)
}

/// What stands in place of a name, and is none: it sorts after all of them.
pub(super) fn nameless(id: &GroupId) -> String {
    format!("~{:032x}", u128::from_be_bytes(*id))
}

/// A step that is not the first: everybody who was a member before it or is one after it.
fn follow(ledger: &mut Ledger<'_>, op: &StepOp, by: Known) -> Judged<Vec<PublicKey>> {
    let db = ledger.db();
    let Some(group) = Group::of(db, &WhichGroup::Id(op.step.group))? else { return Ok(Err(Refusal::NoSuchGroup)) };
    let about = match &op.step.change {
        Change::Invite { who } | Change::Remove { who } => ledger.known(who)?,
        _ => None,
    };
    let accounts = (by.account, about.map(|who| who.account));
    let ready = match judge(db, &group, op, (Some(by), about))? {
        Ok(ready) => ready,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if let Err(refusal) = room(db, op, by, about)? {
        return Ok(Err(refusal));
    }
    if let Err(refusal) = group_room::follows(db, op)? {
        return Ok(Err(refusal));
    }
    let mut members = group.members_of(db)?;
    if matches!(op.step.change, Change::Join) {
        members.push(op.step.by);
    }
    let ended_ms = ledger.stamp(op.now_ms);
    group.apply(db, op, ready, accounts, ended_ms)?;
    Ok(Ok(members))
}

/// Whoever makes a step, and whom it is about, as they are before it.
pub(super) struct Ready {
    maker: Person,
    about: Person,
}

/// Whether a step may follow, made by and about these people as far as they are known here.
pub(super) fn judge(
    db: &Connection,
    group: &Group,
    op: &StepOp,
    (by, about): (Option<Known>, Option<Known>),
) -> Judged<Ready> {
    if group.over {
        return Ok(Err(Refusal::NoSuchGroup));
    }
    if op.step.version != group.version + 1 || op.step.previous != group.last {
        return Ok(Err(Refusal::GroupChanged));
    }
    let of = |known: Option<Known>| -> Result<(Person, Seat), StoreError> {
        let Some(Known { account, .. }) = known else { return Ok(Default::default()) };
        let person = Person::of(db, group.number, account)?.unwrap_or_default();
        Ok((person, group.seat(account, person)))
    };
    let ((maker, by), (about, who)) = (of(by)?, of(about)?);
    let standpoint = Standpoint {
        version: group.version,
        private: group.private,
        members: usize::try_from(group.members).unwrap_or(usize::MAX),
        invited: usize::try_from(group.invited).unwrap_or(usize::MAX),
        by,
        who,
    };
    Ok(standpoint.may(&op.step.change).map(|()| Ready { maker, about }).map_err(refusal))
}

/// What the directory asks beyond the rule of the chain.
fn room(db: &Connection, op: &StepOp, by: Known, who: Option<Known>) -> Judged<()> {
    Ok(match op.step.change {
        Change::Join if joins(db, by)? >= op.limits.joined => Err(Refusal::GroupFull),
        Change::Invite { .. } if !who.is_some_and(|who| who.registered) => Err(Refusal::NoSuchUser),
        _ => Ok(()),
    })
}

fn refusal(error: StepError) -> Refusal {
    match error {
        StepError::Stale => Refusal::GroupChanged,
        StepError::Forged => Refusal::Invalid,
        StepError::NotAMember | StepError::NoSuchMember => Refusal::NotAMember,
        StepError::AlreadyAMember => Refusal::AlreadyAMember,
        StepError::NotInvited | StepError::NotTheOwner => Refusal::NotAllowed,
        StepError::Full => Refusal::GroupFull,
    }
}

/// How many groups somebody is a member of.
fn joins(db: &Connection, of: Known) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM group_people WHERE account = ?1 AND joined IS NOT NULL";
    counted(db.prepare_cached(sql)?, of.account)
}

fn counted(mut statement: rusqlite::CachedStatement<'_>, account: i64) -> Result<u64, StoreError> {
    Ok(statement.query_row([account], |row| count(row, 0))?)
}

fn keep_step(db: &Connection, number: i64, op: &StepOp) -> Result<(), StoreError> {
    let step = codec::encode(&op.signed);
    group_room::count(db, 0, step.len() as i64)?;
    let row = params![number, op.step.version as i64, step];
    db.prepare_cached("INSERT INTO group_steps VALUES (?1, ?2, ?3)")?.execute(row)?;
    Ok(())
}

impl Group {
    pub fn of(db: &Connection, which: &WhichGroup) -> Result<Option<Self>, StoreError> {
        let select =
            "SELECT number, id, private, version, last, members, invited, owner, ended_ms IS NOT NULL FROM groups";
        let read = |row: &Row<'_>| {
            Ok(Self {
                number: row.get(0)?,
                id: row.get(1)?,
                private: row.get(2)?,
                version: count(row, 3)?,
                last: row.get(4)?,
                members: count(row, 5)?,
                invited: count(row, 6)?,
                owner: row.get(7)?,
                over: row.get(8)?,
            })
        };
        let found = match which {
            WhichGroup::Id(id) => db.prepare_cached(&format!("{select} WHERE id = ?1"))?.query_row([id], read),
            WhichGroup::Name(name) => {
                db.prepare_cached(&format!("{select} WHERE folded = ?1"))?.query_row([name.folded()], read)
            }
        };
        Ok(found.optional()?)
    }

    fn seat(&self, account: i64, person: Person) -> Seat {
        let member = person.joined.is_some();
        Seat { member, owner: member && self.owner == account, invited: person.invited, removed: person.removed }
    }

    /// The last step that who asks may know of: of a private group that they are of no more, the one that ended it for them.
    fn end_for(&self, asker: Person) -> Option<u64> {
        match asker.gone {
            _ if !self.over && (asker.may_see() || !self.private) => Some(self.version),
            Some(gone) if self.private => Some(gone as u64),
            gone => gone.map(|_| self.version),
        }
    }

    pub fn members_of(&self, db: &Connection) -> Result<Vec<PublicKey>, StoreError> {
        let sql = "SELECT a.key FROM group_people p JOIN accounts a USING (account)
                   WHERE p.number = ?1 AND p.joined IS NOT NULL ORDER BY p.joined";
        let mut statement = db.prepare_cached(sql)?;
        let members = statement.query_map([self.number], |row| Ok(PublicKey(row.get(0)?)))?;
        Ok(members.collect::<Result<_, _>>()?)
    }

    /// Writes a step that may be made, and what follows from it.
    pub fn apply(
        mut self,
        db: &Connection,
        op: &StepOp,
        Ready { maker, about: person }: Ready,
        (by, about): (i64, Option<i64>),
        ended_ms: i64,
    ) -> Result<(), StoreError> {
        (self.version, self.last) = (op.step.version, op.signed.hash());
        let version = self.version as i64;
        match (&op.step.change, about) {
            (Change::Join, _) => {
                self.members += 1;
                self.invited -= u64::from(maker.invited);
                let joined = Some(version);
                Person { joined, invited: false, removed: false, ..maker }.save(db, self.number, by)?;
            }
            (Change::Invite { .. }, Some(who)) => {
                self.invited += u64::from(!person.invited);
                Person { invited: true, ..person }.save(db, self.number, who)?;
            }
            (Change::Leave, _) => {
                self.members -= 1;
                Person { joined: None, gone: Some(version), ..maker }.save(db, self.number, by)?;
            }
            (Change::Remove { .. }, Some(who)) => {
                self.members -= 1;
                Person { joined: None, gone: Some(version), removed: true, ..person }.save(db, self.number, who)?;
            }
            (Change::Found { .. } | Change::Invite { .. } | Change::Remove { .. }, _) => {
                return Err(StoreError::Damaged("a step is about nobody"));
            }
        }
        keep_step(db, self.number, op)?;
        if self.members == 0 {
            // Nobody is left: its name is free.
            let sql =
                "UPDATE groups SET version = ?2, last = ?3, members = 0, folded = ?4, ended_ms = ?5 WHERE number = ?1";
            let row = params![self.number, version, self.last, nameless(&self.id), ended_ms];
            db.prepare_cached(sql)?.execute(row)?;
            return Ok(());
        }
        let sql = "UPDATE groups SET version = ?2, last = ?3, members = ?4, invited = ?5, owner =
                   (SELECT account FROM group_people WHERE number = ?1 AND joined IS NOT NULL ORDER BY joined LIMIT 1)
                   WHERE number = ?1";
        let row = params![self.number, version, self.last, self.members as i64, self.invited as i64];
        db.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    /// Steps after `after` and up to `last`, at most `limit` of them.
    pub fn steps(&self, db: &Connection, after: u64, last: u64, limit: usize) -> Result<Vec<SignedStep>, StoreError> {
        let sql = "SELECT step FROM group_steps WHERE number = ?1 AND version > ?2 AND version <= ?3
                   ORDER BY version LIMIT ?4";
        let mut statement = db.prepare_cached(sql)?;
        let mut rows = statement.query(params![self.number, after as i64, last as i64, limit as i64])?;
        let mut steps = Vec::new();
        while let Some(row) = rows.next()? {
            steps.push(codec::decode(&row.get::<_, Vec<u8>>(0)?)?);
        }
        Ok(steps)
    }
}

impl Person {
    fn of(db: &Connection, number: i64, account: i64) -> Result<Option<Self>, StoreError> {
        let sql = "SELECT joined, gone, invited, removed FROM group_people WHERE number = ?1 AND account = ?2";
        let read = |row: &Row<'_>| {
            Ok(Self { joined: row.get(0)?, gone: row.get(1)?, invited: row.get(2)?, removed: row.get(3)? })
        };
        Ok(db.prepare_cached(sql)?.query_row([number, account], read).optional()?)
    }

    fn save(self, db: &Connection, number: i64, account: i64) -> Result<(), StoreError> {
        let row = params![number, account, self.joined, self.gone, self.invited, self.removed];
        db.prepare_cached("REPLACE INTO group_people VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(row)?;
        Ok(())
    }

    fn may_see(self) -> bool {
        self.joined.is_some() || self.invited
    }
}

/// What the asker is to a group.
fn asker(ledger: &mut Ledger<'_>, key: &PublicKey, group: &Group) -> Result<Person, StoreError> {
    let Some(known) = ledger.known(key)? else { return Ok(Person::default()) };
    Ok(Person::of(ledger.db(), group.number, known.account)?.unwrap_or_default())
}

pub(super) fn steps(
    ledger: &mut Ledger<'_>,
    key: &PublicKey,
    which: &WhichGroup,
    after: u64,
    limit: usize,
) -> Judged<GroupResult> {
    let Some(group) = Group::of(ledger.db(), which)? else { return Ok(Err(Refusal::NoSuchGroup)) };
    let asker = asker(ledger, key, &group)?;
    // Who has a private group behind them may look up how it ended for them, and finds none of its name.
    let closed = group.private && !asker.may_see() && matches!(which, WhichGroup::Name(_));
    let Some(last) = group.end_for(asker).filter(|_| !closed) else { return Ok(Err(Refusal::NoSuchGroup)) };
    let after = if after > last { last - 1 } else { after };
    let steps = group.steps(ledger.db(), after, last, limit)?;
    let more = last - after > steps.len() as u64;
    Ok(Ok(GroupResult::Steps { steps, more }))
}

pub(super) fn news(
    ledger: &mut Ledger<'_>,
    key: &PublicKey,
    groups: &[(GroupId, u64)],
    mut limit: usize,
) -> Result<GroupResult, StoreError> {
    let mut news = Vec::new();
    for (id, known) in groups {
        let group = Group::of(ledger.db(), &WhichGroup::Id(*id))?;
        let end = match group {
            Some(group) => group.end_for(asker(ledger, key, &group)?).map(|last| (group, last)),
            None => None,
        };
        let Some((group, last)) = end else {
            // It is not here, or as good as that: who knows its chain learns that the directory does not.
            news.extend((*known > 0).then(|| (*id, Vec::new())));
            continue;
        };
        if last == *known {
            continue;
        }
        // Of a chain that is longer there, the newest step says how far this one goes.
        let newer = usize::try_from(last.saturating_sub(*known)).unwrap_or(usize::MAX).max(1);
        let given = newer.min(limit + 1);
        limit -= given - 1;
        let steps = group.steps(ledger.db(), last - given as u64, last, given)?;
        news.push((group.id, steps));
    }
    if let Some(known) = ledger.known(key)? {
        unnamed(ledger.db(), known.account, groups, &mut news)?;
    }
    Ok(GroupResult::News(news))
}

/// Groups that somebody is a member of here and does not name: they may have left one since this store was kept.
fn unnamed(
    db: &Connection,
    account: i64,
    named: &[(GroupId, u64)],
    news: &mut Vec<(GroupId, Vec<SignedStep>)>,
) -> Result<(), StoreError> {
    let sql =
        "SELECT g.id FROM group_people p JOIN groups g USING (number) WHERE p.account = ?1 AND p.joined IS NOT NULL
               ORDER BY p.joined, g.number LIMIT ?2";
    let mut statement = db.prepare_cached(sql)?;
    let ids = statement.query_map(params![account, GROUPS_PAGE as i64], |row| row.get::<_, GroupId>(0))?;
    for id in ids {
        let id = id?;
        if named.iter().any(|(named, _)| *named == id) || named.len().max(news.len()) >= GROUPS_PAGE {
            continue;
        }
        if let Some(group) = Group::of(db, &WhichGroup::Id(id))? {
            news.push((id, group.steps(db, group.version - 1, group.version, 1)?));
        }
    }
    Ok(())
}

pub(super) fn list(
    ledger: &mut Ledger<'_>,
    key: &PublicKey,
    after: Option<&Name>,
    limit: usize,
) -> Result<GroupResult, StoreError> {
    let account = ledger.known(key)?.map(|known| known.account);
    let mut statement = ledger.db().prepare_cached(LIST)?;
    let after = after.map(Name::folded).unwrap_or_default();
    let mut rows = statement.query(params![account, after, limit as i64 + 1])?;
    let mut groups = Vec::new();
    while let Some(row) = rows.next()? {
        if groups.len() == limit {
            return Ok(GroupResult::Groups { groups, more: true });
        }
        let name = row.get::<_, String>(0)?.parse().map_err(|_| StoreError::Damaged("a name is none"))?;
        let members = u32::try_from(count(row, 3)?).unwrap_or(u32::MAX);
        let (group, private, member, invited) = (row.get(1)?, row.get(2)?, row.get(4)?, row.get(5)?);
        groups.push(ListedGroup { name, group, private, members, member, invited });
    }
    Ok(GroupResult::Groups { groups, more: false })
}
