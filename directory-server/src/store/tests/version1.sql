-- The directory's store of version 1 as it was written: never to be changed with the program.

CREATE TABLE head (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    store_id       BLOB NOT NULL,
    commits        INTEGER NOT NULL,
    item           INTEGER NOT NULL,
    binding_serial INTEGER NOT NULL,
    slot_serial    INTEGER NOT NULL,
    stranger_bytes INTEGER NOT NULL,
    slot_bytes     INTEGER NOT NULL,
    newest_ms      INTEGER NOT NULL
) STRICT;

CREATE TABLE accounts (
    account    INTEGER PRIMARY KEY AUTOINCREMENT,
    key        BLOB NOT NULL UNIQUE,
    touched_ms INTEGER NOT NULL,
    folded     TEXT UNIQUE,
    name       TEXT,
    binding    BLOB,
    generation INTEGER,
    epoch      BLOB,
    confirmed  BLOB,
    offered    BLOB,
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
    items          INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,
    human          INTEGER NOT NULL,
    stranger_items INTEGER NOT NULL,
    sent_items     INTEGER NOT NULL,
    sent_bytes     INTEGER NOT NULL,
    slots          INTEGER NOT NULL,
    stranger_slots INTEGER NOT NULL,
    accepted       INTEGER NOT NULL,
    accepted_by    INTEGER NOT NULL,
    sent_slots     INTEGER NOT NULL
) STRICT;

CREATE TABLE pairs (
    recipient INTEGER NOT NULL,
    submitter INTEGER NOT NULL,
    items     INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    accepted  INTEGER NOT NULL,
    PRIMARY KEY (recipient, submitter)
) STRICT, WITHOUT ROWID;

CREATE TABLE lanes (
    lane      INTEGER PRIMARY KEY AUTOINCREMENT,
    submitter INTEGER NOT NULL,
    recipient INTEGER NOT NULL,
    epoch     BLOB NOT NULL,
    top       INTEGER NOT NULL,
    used_ms   INTEGER NOT NULL,
    UNIQUE (submitter, recipient, epoch)
) STRICT;
CREATE INDEX lanes_by_age ON lanes (used_ms);

CREATE TABLE items (
    item         INTEGER PRIMARY KEY,
    recipient    INTEGER NOT NULL,
    late         INTEGER NOT NULL,
    lane         INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    submitter    INTEGER NOT NULL,
    human        INTEGER NOT NULL,
    waited       INTEGER NOT NULL,
    prekey       INTEGER NOT NULL,
    tag          BLOB NOT NULL,
    deposited_ms INTEGER NOT NULL,
    sealed       BLOB NOT NULL
) STRICT;
CREATE INDEX items_by_arrival ON items (recipient);
CREATE UNIQUE INDEX items_by_lane ON items (recipient, late, lane, seq);
CREATE INDEX items_by_age ON items (deposited_ms);

CREATE TABLE tombstones (
    lane    INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    fate    INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    PRIMARY KEY (lane, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_by_age ON tombstones (made_ms);

CREATE TABLE slots (
    serial    INTEGER PRIMARY KEY,
    recipient INTEGER NOT NULL,
    submitter INTEGER NOT NULL,
    prekey    INTEGER NOT NULL,
    made_ms   INTEGER NOT NULL,
    sealed    BLOB NOT NULL,
    UNIQUE (recipient, submitter)
) STRICT;
CREATE INDEX slots_by_arrival ON slots (recipient);

INSERT INTO head VALUES (1, X'03030303030303030303030303030303', 7, 1, 2, 0, 3, 0, 1000);
INSERT INTO tallies VALUES (1, 0, 0, 0, 0, 1, 3, 0, 0, 0, 0, 0), (2, 1, 3, 1, 1, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO pairs VALUES (2, 1, 1, 3, 0);
INSERT INTO lanes VALUES (1, 1, 2, X'01010101010101010101010101010101', 1, 0);
INSERT INTO items VALUES (1, 2, 1, 1, 1, 1, 1, 1, 1, X'0000000000000000', 1000, X'010203');
PRAGMA application_id = 1213156676;
PRAGMA user_version = 1;
