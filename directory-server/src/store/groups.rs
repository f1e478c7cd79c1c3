//! Groups: keeping steps, and what decides about the next one beside them, so that a step costs the same in a long chain as in
//! a short one. What may be done is the rule of `common::group`.

use common::group::{Change, GroupId, Seat, SignedStep, Standpoint, StepError};
use common::identity::PublicKey;
use common::name::Name;
use common::wire::codec;
use common::wire::directory::{ListedGroup, Refusal, WhichGroup};
use directory_core::StoreResult;
use directory_core::event::{GroupOp, GroupResult, StepOp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::StoreError;
use super::ledger::{Known, Ledger, count};

type Answer = Result<StoreResult, StoreError>;
/// What an operation gives, or why it is refused.
type Judged<T> = Result<Result<T, Refusal>, StoreError>;

/// A page of groups: those anybody may see, and the private ones that the account is a member of or invited to. Both are
/// found by an index, so that private groups of others, however many, neither cost anything nor show.
pub(super) const LIST: &str = "SELECT name, id, private, members, member, invited FROM (
        SELECT * FROM (
            SELECT g.folded, g.name, g.id, g.private, g.members, p.joined IS NOT NULL AS member, ifnull(p.invited, 0) AS invited
            FROM groups g LEFT JOIN group_people p ON p.number = g.number AND p.account = ?1
            WHERE g.private = 0 AND g.folded > ?2 ORDER BY g.folded LIMIT ?3)
        UNION ALL
        SELECT g.folded, g.name, g.id, g.private, g.members, p.joined IS NOT NULL, p.invited
        FROM group_people p JOIN groups g ON g.number = p.number
        WHERE p.account = ?1 AND (p.joined IS NOT NULL OR p.invited = 1) AND g.private = 1 AND g.folded > ?2
    ) ORDER BY folded LIMIT ?3";

/// A group as it is kept.
struct Group {
    number: i64,
    id: GroupId,
    private: bool,
    version: u64,
    last: [u8; 32],
    members: u64,
    invited: u64,
    owner: i64,
}

/// What somebody is, and was, to a group.
#[derive(Debug, Clone, Copy, Default)]
struct Person {
    joined: Option<i64>,
    gone: Option<i64>,
    invited: bool,
    removed: bool,
}

pub(super) fn answer(ledger: &mut Ledger<'_>, op: GroupOp) -> Answer {
    let judged = match op {
        GroupOp::Step(op) => step(ledger, op)?,
        GroupOp::Steps { key, which, after, limit } => steps(ledger, &key, &which, after, limit)?,
        GroupOp::News { key, groups, limit } => Ok(news(ledger, &key, &groups, limit)?),
        GroupOp::List { key, after, limit } => Ok(list(ledger, &key, after.as_ref(), limit)?),
    };
    Ok(match judged {
        Ok(result) => StoreResult::Group(result),
        Err(refusal) => StoreResult::Refused(refusal),
    })
}

fn step(ledger: &mut Ledger<'_>, op: Box<StepOp>) -> Judged<GroupResult> {
    let by = ledger.known(&op.step.by)?;
    let leaves = matches!(op.step.change, Change::Leave);
    let Some(by) = by.filter(|by| by.registered || leaves) else { return Ok(Err(Refusal::NotRegistered)) };
    let done = match &op.step.change {
        Change::Found { name, private } => found(ledger, &op, by, name, *private)?.map(|()| vec![op.step.by]),
        _ => follow(ledger, &op, by)?,
    };
    Ok(done.map(|members| GroupResult::Stepped { op, members }))
}

fn found(ledger: &Ledger<'_>, op: &StepOp, by: Known, name: &Name, private: bool) -> Judged<()> {
    let db = ledger.db();
    let folded = name.folded();
    if db.prepare_cached("SELECT 1 FROM groups WHERE folded = ?1")?.exists([&folded])? {
        return Ok(Err(Refusal::GroupExists));
    }
    if Group::of(db, &WhichGroup::Id(op.step.group))?.is_some() {
        return Ok(Err(Refusal::GroupChanged));
    }
    let owned = db.prepare_cached("SELECT count(*) FROM groups WHERE owner = ?1")?;
    if counted(owned, by.account)? >= op.limits.owned || joins(db, by)? >= op.limits.joined {
        return Ok(Err(Refusal::GroupFull));
    }
    let sql = "INSERT INTO groups (id, folded, name, private, version, last, members, invited, owner)
               VALUES (?1, ?2, ?3, ?4, 1, ?5, 1, 0, ?6)";
    let row = params![op.step.group, folded, name.as_str(), private, op.signed.hash(), by.account];
    db.prepare_cached(sql)?.execute(row)?;
    let number = db.last_insert_rowid();
    keep_step(db, number, op)?;
    Person { joined: Some(1), ..Person::default() }.save(db, number, by.account)?;
    Ok(Ok(()))
}

/// A step that is not the first: everybody who was a member before it or is one after it.
fn follow(ledger: &mut Ledger<'_>, op: &StepOp, by: Known) -> Judged<Vec<PublicKey>> {
    let db = ledger.db();
    let Some(mut group) = Group::of(db, &WhichGroup::Id(op.step.group))? else { return Ok(Err(Refusal::NoSuchGroup)) };
    if op.step.version != group.version + 1 || op.step.previous != group.last {
        return Ok(Err(Refusal::GroupChanged));
    }
    let other = match &op.step.change {
        Change::Invite { who } | Change::Remove { who } => Some(ledger.known(who)?),
        _ => None,
    };
    let about = match other.flatten() {
        Some(who) => {
            Person::of(db, group.number, who.account)?.map(|person| (who, person)).or(Some((who, Person::default())))
        }
        None => None,
    };
    let maker = Person::of(db, group.number, by.account)?.unwrap_or_default();
    let who = about.map_or_else(Seat::default, |(who, person)| group.seat(who.account, person));
    let standpoint = Standpoint {
        version: group.version,
        private: group.private,
        members: usize::try_from(group.members).unwrap_or(usize::MAX),
        invited: usize::try_from(group.invited).unwrap_or(usize::MAX),
        by: group.seat(by.account, maker),
        who,
    };
    if let Err(error) = standpoint.may(&op.step.change) {
        return Ok(Err(refusal(error)));
    }
    if let Err(refusal) = room(db, op, by, about.map(|(who, _)| who))? {
        return Ok(Err(refusal));
    }
    let mut members = group.members_of(db)?;
    if matches!(op.step.change, Change::Join) {
        members.push(op.step.by);
    }
    group.apply(db, op, (by.account, maker), about.map(|(who, person)| (who.account, person)))?;
    Ok(Ok(members))
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
    let row = params![number, op.step.version as i64, codec::encode(&op.signed)];
    db.prepare_cached("INSERT INTO group_steps VALUES (?1, ?2, ?3)")?.execute(row)?;
    Ok(())
}

impl Group {
    fn of(db: &Connection, which: &WhichGroup) -> Result<Option<Self>, StoreError> {
        let select = "SELECT number, id, private, version, last, members, invited, owner FROM groups";
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

    fn members_of(&self, db: &Connection) -> Result<Vec<PublicKey>, StoreError> {
        let sql = "SELECT a.key FROM group_people p JOIN accounts a USING (account)
                   WHERE p.number = ?1 AND p.joined IS NOT NULL ORDER BY p.joined";
        let mut statement = db.prepare_cached(sql)?;
        let members = statement.query_map([self.number], |row| Ok(PublicKey(row.get(0)?)))?;
        Ok(members.collect::<Result<_, _>>()?)
    }

    /// Writes a step that may be made, and what follows from it.
    fn apply(
        &mut self,
        db: &Connection,
        op: &StepOp,
        (by, maker): (i64, Person),
        about: Option<(i64, Person)>,
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
            (Change::Invite { .. }, Some((who, person))) => {
                self.invited += u64::from(!person.invited);
                Person { invited: true, ..person }.save(db, self.number, who)?;
            }
            (Change::Leave, _) => {
                self.members -= 1;
                Person { joined: None, gone: Some(version), ..maker }.save(db, self.number, by)?;
            }
            (Change::Remove { .. }, Some((who, person))) => {
                self.members -= 1;
                Person { joined: None, gone: Some(version), removed: true, ..person }.save(db, self.number, who)?;
            }
            (Change::Found { .. } | Change::Invite { .. } | Change::Remove { .. }, _) => {
                return Err(StoreError::Damaged("a step is about nobody"));
            }
        }
        if self.members == 0 {
            return self.forget(db);
        }
        keep_step(db, self.number, op)?;
        let sql = "UPDATE groups SET version = ?2, last = ?3, members = ?4, invited = ?5, owner =
                   (SELECT account FROM group_people WHERE number = ?1 AND joined IS NOT NULL ORDER BY joined LIMIT 1)
                   WHERE number = ?1";
        let row = params![self.number, version, self.last, self.members as i64, self.invited as i64];
        db.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    /// Nobody is left: it goes, and its name is free.
    fn forget(&self, db: &Connection) -> Result<(), StoreError> {
        db.prepare_cached("DELETE FROM group_steps WHERE number = ?1")?.execute([self.number])?;
        db.prepare_cached("DELETE FROM group_people WHERE number = ?1")?.execute([self.number])?;
        db.prepare_cached("DELETE FROM groups WHERE number = ?1")?.execute([self.number])?;
        Ok(())
    }

    /// Steps after `after` and up to `last`, at most `limit` of them.
    fn steps(&self, db: &Connection, after: u64, last: u64, limit: usize) -> Result<Vec<SignedStep>, StoreError> {
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

fn steps(
    ledger: &mut Ledger<'_>,
    key: &PublicKey,
    which: &WhichGroup,
    after: u64,
    limit: usize,
) -> Judged<GroupResult> {
    let Some(group) = Group::of(ledger.db(), which)? else { return Ok(Err(Refusal::NoSuchGroup)) };
    if group.private && !asker(ledger, key, &group)?.may_see() {
        return Ok(Err(Refusal::NoSuchGroup));
    }
    let steps = group.steps(ledger.db(), after, group.version, limit)?;
    let more = group.version.saturating_sub(after) > steps.len() as u64;
    Ok(Ok(GroupResult::Steps { steps, more }))
}

fn news(
    ledger: &mut Ledger<'_>,
    key: &PublicKey,
    groups: &[(GroupId, u64)],
    mut limit: usize,
) -> Result<GroupResult, StoreError> {
    let mut news = Vec::new();
    for (id, known) in groups {
        let Some(group) = Group::of(ledger.db(), &WhichGroup::Id(*id))? else { continue };
        let asker = asker(ledger, key, &group)?;
        let last = match asker.gone {
            _ if asker.may_see() || !group.private => group.version,
            // How it ended for them is theirs to know, and what came after is not.
            Some(gone) => gone as u64,
            None => continue,
        };
        let newer = usize::try_from(last.saturating_sub(*known)).unwrap_or(usize::MAX);
        if newer == 0 {
            continue;
        }
        let given = newer.min(limit + 1);
        limit -= given - 1;
        let steps = group.steps(ledger.db(), last - given as u64, last, given)?;
        news.push((group.id, steps));
    }
    Ok(GroupResult::News(news))
}

fn list(
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
