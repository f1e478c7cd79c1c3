-- What version 2 of the directory's store adds: groups. A group is the sum of its steps; what decides about the next one is
-- kept beside them, so that a chain is never read to judge it.

CREATE TABLE groups (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    id      BLOB NOT NULL UNIQUE,     -- 16 bytes, chosen by who founded it
    folded  TEXT NOT NULL UNIQUE,     -- the name in lower case
    name    TEXT NOT NULL,
    private INTEGER NOT NULL,         -- 1: an invitation is needed
    version INTEGER NOT NULL,         -- of the last step
    last    BLOB NOT NULL,            -- hash of the last step
    members INTEGER NOT NULL,         -- how many there are
    invited INTEGER NOT NULL,         -- how many the door stands open for
    owner   INTEGER NOT NULL          -- the account of the longest-standing member
) STRICT;
CREATE INDEX groups_by_owner ON groups (owner);
CREATE INDEX groups_for_all ON groups (folded) WHERE private = 0;

CREATE TABLE group_steps (
    number  INTEGER NOT NULL,
    version INTEGER NOT NULL,
    step    BLOB NOT NULL,            -- with its signature
    PRIMARY KEY (number, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE group_people (
    number  INTEGER NOT NULL,
    account INTEGER NOT NULL,
    joined  INTEGER,                  -- the version with which they became a member; none: they are not
    gone    INTEGER,                  -- the version with which they last ceased to be one; none: they never did
    invited INTEGER NOT NULL,         -- 1: the door stands open
    removed INTEGER NOT NULL,         -- 1: they were taken out and have not come back
    PRIMARY KEY (number, account)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX group_members ON group_people (number, joined) WHERE joined IS NOT NULL;
CREATE INDEX group_people_by_account ON group_people (account, joined);
