-- What version 3 adds: the directory at which a group was last seen. It is brought back there, and to no other.
CREATE TABLE group_homes (
    group_id BLOB PRIMARY KEY CHECK (length(group_id) = 16),
    directory BLOB NOT NULL CHECK (length(directory) = 32)
) STRICT, WITHOUT ROWID;
