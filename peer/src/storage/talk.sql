-- What version 2 of the schema has beyond the columns of version 1: lines that can be changed, groups, texts that vanish, search.

CREATE INDEX history ON messages (other, anchor, id) WHERE group_id = x'' AND listed = 1;
CREATE INDEX group_history ON messages (group_id, anchor, id) WHERE group_id <> x'' AND listed = 1;
-- For quotes: a group has many who may have written the line.
CREATE INDEX group_ids ON messages (group_id, id) WHERE group_id <> x'';
CREATE INDEX vanishing ON messages (n) WHERE vanishes IS NOT NULL AND gone_at IS NULL;
CREATE INDEX vanish_at ON messages (gone_at) WHERE gone_at IS NOT NULL;

-- What message `n` changes: the line that `author` wrote. Done, or waiting for the line.
CREATE TABLE amendments (
    author BLOB NOT NULL CHECK (length(author) = 32),
    target BLOB NOT NULL CHECK (length(target) = 16),
    n INTEGER NOT NULL,
    PRIMARY KEY (author, target, n)
) STRICT, WITHOUT ROWID;

-- Signs beside line `n`, and the reaction that put each. An empty one stands for one that was taken back.
CREATE TABLE reactions (
    n INTEGER NOT NULL,
    person BLOB NOT NULL CHECK (length(person) = 32),
    id BLOB NOT NULL CHECK (length(id) = 16),
    sign TEXT NOT NULL,
    PRIMARY KEY (n, person)
) STRICT, WITHOUT ROWID;

-- The last own message that each person has said to have read.
CREATE TABLE read_marks (
    person BLOB PRIMARY KEY CHECK (length(person) = 32),
    id BLOB NOT NULL CHECK (length(id) = 16)
) STRICT, WITHOUT ROWID;

-- How long texts stay, and the message that says so. One of the two that name the conversation is empty.
CREATE TABLE durations (
    person BLOB NOT NULL CHECK (length(person) IN (0, 32)),
    group_id BLOB NOT NULL CHECK (length(group_id) IN (0, 16)),
    id BLOB NOT NULL CHECK (length(id) = 16),
    after INTEGER,
    PRIMARY KEY (person, group_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE group_steps (
    group_id BLOB NOT NULL CHECK (length(group_id) = 16),
    version INTEGER NOT NULL,
    step BLOB NOT NULL,
    PRIMARY KEY (group_id, version)
) STRICT, WITHOUT ROWID;

-- What of the messages is in the index of search.sql.
CREATE TABLE searched (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    up_to INTEGER NOT NULL
) STRICT;
INSERT INTO searched (one, up_to) VALUES (1, 0);

CREATE TABLE unsearched (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT;
