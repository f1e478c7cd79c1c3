-- Store of one peer. Whole numbers of 64 bits without sign are kept as SQLite's signed ones of the same bits.
-- Times are milliseconds; codes stand in storage/codes.rs. What version 2 added stands in talk.sql.

-- Whose store this is.
CREATE TABLE store (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    me BLOB NOT NULL CHECK (length(me) = 32)
) STRICT;

CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    generation INTEGER NOT NULL,
    epoch BLOB NOT NULL,
    highest_generation INTEGER NOT NULL,
    version_reserve INTEGER NOT NULL,
    age INTEGER NOT NULL,
    wall INTEGER NOT NULL,
    wants_online INTEGER NOT NULL,
    suspended INTEGER NOT NULL,
    left_cleanly INTEGER NOT NULL,
    binding BLOB,
    receipts INTEGER NOT NULL DEFAULT 0,
    standing INTEGER NOT NULL DEFAULT 1,
    note TEXT
) STRICT;

-- Everything said, by whomever. `n` is shown to people and never given twice.
-- Place in the history: (anchor, id). The anchor is n; but a late message takes the anchor of the message it goes
-- before, whose id is higher.
-- `other`: the other person of a pair; in a group whoever wrote it, oneself included.
-- `listed`: a line of its conversation; not what only changes lines, nor what was dismissed or forgotten.
-- `edit_id`: the edit whose words it has. `gone`: why it has no words any more; where an own message that is on its way was
-- forgotten, the body stays until every copy is settled. `vanishes`: how long after it was read; `gone_at`: when, on the age
-- clock, once the countdown has begun.
CREATE TABLE messages (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL CHECK (length(id) = 16),
    sender BLOB NOT NULL CHECK (length(sender) = 32),
    other BLOB NOT NULL CHECK (length(other) = 32),
    mine INTEGER NOT NULL,
    group_id BLOB NOT NULL CHECK (length(group_id) IN (0, 16)),
    membership INTEGER NOT NULL,
    anchor INTEGER NOT NULL,
    shown INTEGER NOT NULL,
    ordered INTEGER NOT NULL,
    urgent INTEGER NOT NULL,
    request INTEGER NOT NULL,
    waited INTEGER NOT NULL,
    via INTEGER,
    after BLOB,
    reply_to BLOB,
    sent_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    body BLOB NOT NULL,
    listed INTEGER NOT NULL DEFAULT 1,
    edit_id BLOB,
    gone INTEGER,
    vanishes INTEGER,
    gone_at INTEGER,
    UNIQUE (sender, id)
) STRICT;

CREATE INDEX unshown ON messages (shown) WHERE shown = 0;

-- Own messages on their way, one row for each recipient. No seq: the recipient's floor has passed it.
CREATE TABLE outbox (
    n INTEGER NOT NULL,
    recipient BLOB NOT NULL CHECK (length(recipient) = 32),
    seq INTEGER,
    after BLOB,
    state INTEGER NOT NULL,
    reason INTEGER,
    via INTEGER,
    queued_age INTEGER NOT NULL,
    elapsed INTEGER NOT NULL,
    PRIMARY KEY (n, recipient)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX outbox_lane ON outbox (recipient, seq) WHERE seq IS NOT NULL;

CREATE TABLE steps (
    n INTEGER NOT NULL,
    step INTEGER NOT NULL,
    at INTEGER NOT NULL,
    state INTEGER,
    what TEXT,
    via INTEGER,
    reason INTEGER,
    PRIMARY KEY (n, step)
) STRICT, WITHOUT ROWID;

-- Idempotency keys.
CREATE TABLE keys (
    key TEXT PRIMARY KEY,
    n INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Inbound lanes as they are followed, and what is held of them.
CREATE TABLE lanes (
    sender BLOB PRIMARY KEY CHECK (length(sender) = 32),
    generation INTEGER NOT NULL,
    epoch BLOB NOT NULL,
    floor INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE held (
    sender BLOB NOT NULL CHECK (length(sender) = 32),
    seq INTEGER NOT NULL,
    id BLOB NOT NULL CHECK (length(id) = 16),
    PRIMARY KEY (sender, seq)
) STRICT, WITHOUT ROWID;

-- Highest seq given in the current epoch.
CREATE TABLE out_lanes (
    recipient BLOB PRIMARY KEY CHECK (length(recipient) = 32),
    last_seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Highest id of an ordered message, by conversation: put out here, and sent from here.
CREATE TABLE last_shown (
    person BLOB NOT NULL CHECK (length(person) = 32),
    group_id BLOB NOT NULL,
    membership INTEGER NOT NULL,
    id BLOB NOT NULL CHECK (length(id) = 16),
    PRIMARY KEY (person, group_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE last_sent (
    person BLOB NOT NULL CHECK (length(person) = 32),
    group_id BLOB NOT NULL,
    membership INTEGER NOT NULL,
    id BLOB NOT NULL CHECK (length(id) = 16),
    PRIMARY KEY (person, group_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE contacts (
    key BLOB PRIMARY KEY CHECK (length(key) = 32),
    name TEXT,
    serial INTEGER NOT NULL,
    verified INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    addresses TEXT NOT NULL,
    prekey BLOB,
    applied_generation INTEGER,
    applied_epoch BLOB,
    applied_version INTEGER,
    talked INTEGER NOT NULL,
    blocked INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Names pinned to keys, for each directory apart. Folded: lower case. Claims: other keys that the directory has given the
-- name to since, encoded.
CREATE TABLE pins (
    directory BLOB NOT NULL CHECK (length(directory) = 32),
    folded TEXT NOT NULL,
    name TEXT NOT NULL,
    key BLOB NOT NULL CHECK (length(key) = 32),
    serial INTEGER NOT NULL DEFAULT 0,
    claims BLOB,
    PRIMARY KEY (directory, folded)
) STRICT, WITHOUT ROWID;

CREATE TABLE directories (
    address TEXT PRIMARY KEY,
    key BLOB NOT NULL CHECK (length(key) = 32),
    store_id BLOB NOT NULL CHECK (length(store_id) = 16),
    commits INTEGER NOT NULL,
    token BLOB
) STRICT, WITHOUT ROWID;

-- Own prekeys. A dropped one is overwritten first.
CREATE TABLE prekeys (
    counter INTEGER PRIMARY KEY,
    record BLOB NOT NULL,
    secret BLOB NOT NULL,
    created_age INTEGER NOT NULL,
    replaced_age INTEGER
) STRICT;
