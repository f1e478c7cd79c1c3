-- What version 3 of the schema has beyond version 2: files, one row for each offer and person. `place`: where an own one lies, one that
-- came, or where the user wants it; `stamp`: of an own one.
CREATE TABLE files (
    author BLOB NOT NULL CHECK (length(author) = 32),
    offer BLOB NOT NULL CHECK (length(offer) = 16),
    other BLOB NOT NULL CHECK (length(other) = 32),
    group_id BLOB NOT NULL CHECK (length(group_id) IN (0, 16)),
    membership INTEGER NOT NULL,
    file BLOB NOT NULL,
    place TEXT,
    stamp INTEGER NOT NULL,
    state INTEGER NOT NULL,
    reason INTEGER,
    via INTEGER,
    kept INTEGER NOT NULL,
    PRIMARY KEY (author, offer, other)
) STRICT, WITHOUT ROWID;
