-- What version 3 of the directory's store adds: files in sealed pieces. What a file may take is counted when it is begun, by
-- the size it was declared with, so that it can be finished; until its recipient has it, or it is dropped or too old.

CREATE TABLE files (
    file      INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient INTEGER NOT NULL,
    submitter INTEGER NOT NULL,
    offer     BLOB,                   -- 16 bytes, the message that offers it; none: nobody asks for it any more
    begun_ms  INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,       -- sealed bytes of all pieces, as declared
    pieces    INTEGER NOT NULL,       -- how many, as declared
    next      INTEGER NOT NULL,       -- the next one wanted
    kept      INTEGER NOT NULL,       -- sealed bytes handed over so far
    stranger  INTEGER NOT NULL,       -- 1: the recipient has not accepted the submitter
    state     INTEGER NOT NULL,       -- 0: open, 1: its recipient has it, 2: its recipient does not want it, 3: forgotten
    litter    INTEGER NOT NULL,       -- 1: pieces that nobody wants are still to be deleted
    UNIQUE (recipient, submitter, offer)
) STRICT;
CREATE INDEX files_by_age ON files (begun_ms);
CREATE INDEX files_open ON files (recipient, submitter) WHERE state = 0;
-- No more rows for one recipient than its limit for strangers.
CREATE INDEX files_of_strangers ON files (recipient, bytes) WHERE state = 0 AND stranger = 1;
CREATE INDEX files_ended ON files (recipient, submitter, file) WHERE state IN (1, 2);
CREATE INDEX files_with_litter ON files (file) WHERE litter = 1;

CREATE TABLE pieces (
    piece  INTEGER PRIMARY KEY,
    file   INTEGER NOT NULL,
    number INTEGER NOT NULL,          -- from 0
    sealed BLOB NOT NULL,
    UNIQUE (file, number)
) STRICT;

CREATE TABLE file_tallies (
    account    INTEGER PRIMARY KEY,
    files      INTEGER NOT NULL,      -- open ones for this account
    bytes      INTEGER NOT NULL,      -- of these, as declared
    sent_files INTEGER NOT NULL,      -- open ones from this account, for anybody
    sent_bytes INTEGER NOT NULL
) STRICT;

CREATE TABLE file_head (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    stranger_bytes INTEGER NOT NULL   -- of all open files whose submitter the recipient has not accepted, as declared
) STRICT;
INSERT INTO file_head VALUES (1, 0);
