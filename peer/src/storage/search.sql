-- Words of lines, by number; `talk` is a word for the conversation (storage/search.rs). It holds every line up to `up_to` but
-- those in the ranges of `unsearched`. Secure: what is deleted from it is overwritten.
CREATE VIRTUAL TABLE search USING fts5 (text, talk, columnsize = 0, tokenize = 'unicode61 remove_diacritics 2');
INSERT INTO search (search, rank) VALUES ('secure-delete', 1);
