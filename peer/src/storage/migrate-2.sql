-- From version 1 to 2, before talk.sql. What has to be read out of bodies is done in storage/migrate.rs.
ALTER TABLE meta ADD COLUMN receipts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN standing INTEGER NOT NULL DEFAULT 1;
ALTER TABLE meta ADD COLUMN note TEXT;
ALTER TABLE contacts ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN listed INTEGER NOT NULL DEFAULT 1;
ALTER TABLE messages ADD COLUMN edit_id BLOB;
ALTER TABLE messages ADD COLUMN gone INTEGER;
ALTER TABLE messages ADD COLUMN vanishes INTEGER;
ALTER TABLE messages ADD COLUMN gone_at INTEGER;
UPDATE messages SET other = sender WHERE mine = 1 AND group_id <> x'';

DROP INDEX history;
