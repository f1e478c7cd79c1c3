-- The directory's store as of version 1, the whole of it but for groups. Numbers of accounts, lanes and items stand for longer keys, so that what grows is
-- appended to; such a number is never given twice. All times are milliseconds since 1970. Counts are kept, never recounted.

CREATE TABLE head (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    store_id       BLOB NOT NULL,     -- 16 random bytes
    commits        INTEGER NOT NULL,  -- transactions that wrote something
    item           INTEGER NOT NULL,  -- highest item number given
    binding_serial INTEGER NOT NULL,  -- highest serial of any binding kept
    slot_serial    INTEGER NOT NULL,  -- highest serial given to a slot
    stranger_bytes INTEGER NOT NULL,  -- sealed bytes of items whose submitter the recipient has not accepted
    slot_bytes     INTEGER NOT NULL,  -- sealed bytes of all slots
    newest_ms      INTEGER NOT NULL   -- the newest time anything was stamped with; no stamp is older than one before it
) STRICT;

CREATE TABLE accounts (
    account    INTEGER PRIMARY KEY AUTOINCREMENT,
    key        BLOB NOT NULL UNIQUE,
    touched_ms INTEGER NOT NULL,      -- of the last login, or of the name's release if that was later
    folded     TEXT UNIQUE,           -- the name in lower case; none: not registered
    name       TEXT,
    binding    BLOB,
    generation INTEGER,               -- epoch of the last completed login
    epoch      BLOB,
    confirmed  BLOB,                  -- token of the last completed login
    offered    BLOB,                  -- token given out since
    login_ms   INTEGER,
    seen_ms    INTEGER,
    candidates BLOB
) STRICT;
CREATE INDEX accounts_without_name ON accounts (touched_ms) WHERE folded IS NULL;

CREATE TABLE prekeys (
    account INTEGER PRIMARY KEY,
    counter INTEGER NOT NULL,
    record  BLOB NOT NULL
) STRICT;

CREATE TABLE tallies (
    account        INTEGER PRIMARY KEY,
    items          INTEGER NOT NULL,  -- in the mailbox
    bytes          INTEGER NOT NULL,
    human          INTEGER NOT NULL,  -- of these, written by people
    stranger_items INTEGER NOT NULL,  -- of these, from submitters not accepted
    sent_items     INTEGER NOT NULL,  -- deposited by this account and still kept, for anybody
    sent_bytes     INTEGER NOT NULL,
    slots          INTEGER NOT NULL,  -- filled, for this account
    stranger_slots INTEGER NOT NULL,
    accepted       INTEGER NOT NULL,  -- senders this account has accepted
    accepted_by    INTEGER NOT NULL,  -- accounts that have accepted this one
    sent_slots     INTEGER NOT NULL   -- filled by this account, for anybody
) STRICT;

CREATE TABLE pairs (
    recipient INTEGER NOT NULL,
    submitter INTEGER NOT NULL,
    items     INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    accepted  INTEGER NOT NULL,       -- 1: the recipient has accepted the submitter
    PRIMARY KEY (recipient, submitter)
) STRICT, WITHOUT ROWID;

CREATE TABLE lanes (
    lane      INTEGER PRIMARY KEY AUTOINCREMENT,
    submitter INTEGER NOT NULL,
    recipient INTEGER NOT NULL,
    epoch     BLOB NOT NULL,
    top       INTEGER NOT NULL,       -- highest seq ever deposited
    used_ms   INTEGER NOT NULL,       -- the day on which top was last raised: its beginning
    UNIQUE (submitter, recipient, epoch)
) STRICT;
CREATE INDEX lanes_by_age ON lanes (used_ms);

CREATE TABLE items (
    item         INTEGER PRIMARY KEY,
    recipient    INTEGER NOT NULL,
    late         INTEGER NOT NULL,    -- 0: urgent, handed out first
    lane         INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    submitter    INTEGER NOT NULL,
    human        INTEGER NOT NULL,
    waited       INTEGER NOT NULL,
    prekey       INTEGER NOT NULL,
    tag          BLOB NOT NULL,
    deposited_ms INTEGER NOT NULL,
    sealed       BLOB NOT NULL        -- last, so that reading the rest leaves it on the disk
) STRICT;
CREATE INDEX items_by_arrival ON items (recipient);
CREATE UNIQUE INDEX items_by_lane ON items (recipient, late, lane, seq);
CREATE INDEX items_by_age ON items (deposited_ms);

CREATE TABLE tombstones (
    lane    INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    fate    INTEGER NOT NULL,         -- 1: not opened, 2: expired
    made_ms INTEGER NOT NULL,
    PRIMARY KEY (lane, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_by_age ON tombstones (made_ms);

CREATE TABLE slots (
    serial    INTEGER PRIMARY KEY,
    recipient INTEGER NOT NULL,
    submitter INTEGER NOT NULL,
    prekey    INTEGER NOT NULL,
    made_ms   INTEGER NOT NULL,       -- grows with serial
    sealed    BLOB NOT NULL,
    UNIQUE (recipient, submitter)
) STRICT;
CREATE INDEX slots_by_arrival ON slots (recipient);
