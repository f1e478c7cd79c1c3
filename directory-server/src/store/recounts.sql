-- Each finds rows only where a count that is kept contradicts what it counts.

SELECT account FROM tallies t WHERE (items, bytes, human, sent_items, sent_bytes) IS NOT
    (SELECT count(*), ifnull(sum(length(sealed)), 0), ifnull(sum(human), 0),
    (SELECT count(*) FROM items WHERE submitter = t.account),
    (SELECT ifnull(sum(length(sealed)), 0) FROM items WHERE submitter = t.account)
    FROM items WHERE recipient = t.account);

SELECT account FROM tallies t WHERE (stranger_items, accepted) IS NOT
    ((SELECT count(*) FROM items i WHERE i.recipient = t.account AND NOT EXISTS
    (SELECT 1 FROM pairs p WHERE p.recipient = i.recipient AND p.submitter = i.submitter AND p.accepted)),
    (SELECT count(*) FROM pairs p WHERE p.recipient = t.account AND p.accepted));

SELECT account FROM tallies t WHERE (slots, stranger_slots) IS NOT
    ((SELECT count(*) FROM slots s WHERE s.recipient = t.account),
    (SELECT count(*) FROM slots s WHERE s.recipient = t.account AND NOT EXISTS
    (SELECT 1 FROM pairs p WHERE p.recipient = s.recipient AND p.submitter = s.submitter AND p.accepted)));

SELECT recipient FROM pairs p WHERE (items, bytes) IS NOT
    (SELECT count(*), ifnull(sum(length(sealed)), 0) FROM items i
    WHERE i.recipient = p.recipient AND i.submitter = p.submitter);

SELECT 0 FROM head WHERE stranger_bytes IS NOT
    (SELECT ifnull(sum(length(sealed)), 0) FROM items i WHERE NOT EXISTS
    (SELECT 1 FROM pairs p WHERE p.recipient = i.recipient AND p.submitter = i.submitter AND p.accepted));

SELECT 0 FROM head WHERE slot_bytes IS NOT (SELECT ifnull(sum(length(sealed)), 0) FROM slots);

SELECT account FROM tallies t WHERE (sent_slots, accepted_by) IS NOT
    ((SELECT count(*) FROM slots s WHERE s.submitter = t.account),
    (SELECT count(*) FROM pairs p WHERE p.submitter = t.account AND p.accepted));

SELECT account FROM file_tallies t WHERE (files, bytes, sent_files, sent_bytes) IS NOT
    ((SELECT count(*) FROM files WHERE recipient = t.account AND state = 0),
    (SELECT ifnull(sum(bytes), 0) FROM files WHERE recipient = t.account AND state = 0),
    (SELECT count(*) FROM files WHERE submitter = t.account AND state = 0),
    (SELECT ifnull(sum(bytes), 0) FROM files WHERE submitter = t.account AND state = 0));

SELECT file FROM files WHERE next > pieces OR kept > bytes OR (offer IS NULL) != (state = 3)
    OR (state = 0 AND NOT EXISTS (SELECT 1 FROM file_tallies WHERE account IN (recipient, submitter)))
    OR (litter = 0 AND state != 0 AND EXISTS (SELECT 1 FROM pieces p WHERE p.file = files.file))
    OR kept < (SELECT ifnull(sum(length(sealed)), 0) FROM pieces p WHERE p.file = files.file AND p.number < next);

SELECT 0 FROM file_head WHERE stranger_bytes IS NOT
    (SELECT ifnull(sum(bytes), 0) FROM files WHERE state = 0 AND stranger = 1);

SELECT file FROM files f WHERE state = 0 AND stranger IS
    EXISTS (SELECT 1 FROM pairs p WHERE p.recipient = f.recipient AND p.submitter = f.submitter AND p.accepted);

SELECT piece FROM pieces p WHERE NOT EXISTS (SELECT 1 FROM files f WHERE f.file = p.file AND p.number < f.next);

SELECT 0 FROM group_totals WHERE (groups, bytes) IS NOT
    ((SELECT count(*) FROM groups), (SELECT ifnull(sum(length(step)), 0) FROM group_steps));

SELECT 1 FROM items WHERE NOT EXISTS
    (SELECT 1 FROM tallies WHERE account IN (recipient, submitter));
