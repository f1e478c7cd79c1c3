-- What version 3 adds to groups: who brought one here, when it ended, and what all of them take. A group that is over keeps
-- its chain for a while, so that nobody who missed its end brings it back; its name is free.

ALTER TABLE groups ADD COLUMN founder INTEGER;  -- the account that founded it, or brought it back
ALTER TABLE groups ADD COLUMN ended_ms INTEGER; -- when its last member left; none: it lives
UPDATE groups SET founder = owner;
CREATE INDEX groups_by_founder ON groups (founder) WHERE ended_ms IS NULL;
CREATE INDEX groups_by_end ON groups (ended_ms) WHERE ended_ms IS NOT NULL;

CREATE TABLE group_totals (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    groups INTEGER NOT NULL,                    -- how many there are, those that are over included
    bytes  INTEGER NOT NULL                     -- of the steps of all chains
) STRICT;
INSERT INTO group_totals
    SELECT 1, (SELECT count(*) FROM groups), (SELECT ifnull(sum(length(step)), 0) FROM group_steps);
