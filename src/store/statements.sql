-- Every statement of the store but the pragmas. "-- name:" begins one; sql.h has the enumeration
-- (SQL_BEGIN, ...) that the build makes from this file.

-- name: begin
BEGIN IMMEDIATE;
-- name: commit
COMMIT;
-- name: rollback
ROLLBACK;

-- name: meta_get
SELECT value FROM meta WHERE key = ?1;
-- name: meta_put
INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value;

-- Salvage (salvage.c, draft.c, resolve.c): into a database that nobody else has open.
-- name: salvage_batch
INSERT INTO batch(key, n, t_min, t_max, codec, raw_bytes, end_bytes, end_stored, crc, data)
VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
ON CONFLICT(key) DO UPDATE SET n = excluded.n, t_min = excluded.t_min, t_max = excluded.t_max,
    codec = excluded.codec, raw_bytes = excluded.raw_bytes, end_bytes = excluded.end_bytes,
    end_stored = excluded.end_stored, crc = excluded.crc, data = excluded.data
    WHERE excluded.n > n;
-- name: salvage_stream
INSERT INTO stream(id, name, next_offset, end_bytes, end_stored) VALUES(?1, ?2, ?3, ?4, ?5)
ON CONFLICT(id) DO UPDATE SET next_offset = max(next_offset, excluded.next_offset),
    end_bytes = max(end_bytes, excluded.end_bytes),
    end_stored = max(end_stored, excluded.end_stored)
ON CONFLICT(name) DO NOTHING;
-- name: salvage_range
INSERT INTO "range"(id, consumer, stream, lane, next_offset, end_offset, attributes)
VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT(id) DO UPDATE SET next_offset = min(next_offset, excluded.next_offset),
    end_offset = max(end_offset, excluded.end_offset)
    WHERE consumer = excluded.consumer AND stream = excluded.stream AND lane = excluded.lane;
-- name: salvage_epoch
INSERT OR IGNORE INTO epoch(stream, first_offset, epoch) VALUES(?1, ?2, ?3);
-- Where the epoch of a stream's first batch (?2) is lost, it is taken for the last one known.
-- name: salvage_epoch_guess
INSERT INTO epoch(stream, first_offset, epoch) SELECT ?1, 0, value FROM meta
WHERE key = 'epoch' AND NOT EXISTS(
    SELECT 1 FROM epoch WHERE stream = ?1 AND first_offset <= ?2);
-- name: salvage_boot
INSERT OR IGNORE INTO boot(first_key, id, base_us, correction_us) VALUES(?1, ?2, ?3, ?4);
-- name: salvage_mark
INSERT OR IGNORE INTO mark(key, run_us) VALUES(?1, ?2);
-- name: salvage_meta
INSERT OR IGNORE INTO meta(key, value) VALUES(?1, ?2);
-- name: salvage_next
SELECT key, n, end_stored, length(data) FROM batch
WHERE key > ?1 AND key <= ?2 ORDER BY key LIMIT 1;
-- What a stream's other rows know of its next offset, as far as it is below ?3; ?2: its first key.
-- name: salvage_mentioned
SELECT max(
    coalesce((SELECT max(next_offset) FROM "range" WHERE stream = ?1 AND next_offset < ?3), 0),
    coalesce((SELECT max(end_offset) FROM "range" WHERE stream = ?1 AND end_offset < ?3), 0),
    coalesce((SELECT max(first_offset) FROM epoch WHERE stream = ?1 AND first_offset < ?3), 0),
    coalesce((SELECT max(key) - ?2 FROM mark WHERE key BETWEEN ?2 AND ?2 + ?3 - 1), 0),
    coalesce((SELECT max(first_key) - ?2 FROM boot WHERE first_key BETWEEN ?2 AND ?2 + ?3 - 1), 0));
-- name: salvage_lowest
SELECT min(next_offset) FROM "range" WHERE stream = ?1 AND lane <> 'replay';
-- Whether anything but a name speaks of a stream.
-- name: salvage_spoken
SELECT 1 WHERE EXISTS(SELECT 1 FROM epoch WHERE stream = ?1)
    OR EXISTS(SELECT 1 FROM "range" WHERE stream = ?1);
-- name: salvage_clamp
UPDATE "range" SET next_offset = min(next_offset, ?2), end_offset = min(end_offset, ?2)
WHERE stream = ?1;
-- name: salvage_twice
DELETE FROM "range" WHERE lane = 'live' AND EXISTS(
    SELECT 1 FROM "range" AS o WHERE o.consumer = "range".consumer AND o.stream = "range".stream
    AND o.lane = 'live' AND (o.next_offset, o.id) < ("range".next_offset, "range".id));
-- Rows that were deleted turn up again, and there is a limit to what can be opened. So the backlogs
-- of a consumer in a stream become one, which may repeat and loses nothing, and of the replays,
-- which can be asked for again, the youngest stay.
-- name: salvage_backlog
UPDATE "range" SET (next_offset, end_offset) = (
    SELECT min(o.next_offset), max(o.end_offset) FROM "range" AS o
    WHERE o.consumer = "range".consumer AND o.stream = "range".stream AND o.lane = 'backlog')
WHERE lane = 'backlog';
-- name: salvage_backlogs
DELETE FROM "range" WHERE lane = 'backlog' AND EXISTS(
    SELECT 1 FROM "range" AS o WHERE o.consumer = "range".consumer AND o.stream = "range".stream
    AND o.lane = 'backlog' AND o.id < "range".id);
-- name: salvage_replays
DELETE FROM "range" WHERE lane = 'replay' AND id NOT IN (
    SELECT id FROM "range" WHERE lane = 'replay' ORDER BY id DESC LIMIT 32);
-- name: salvage_stray_ranges
DELETE FROM "range" WHERE stream NOT IN (SELECT id FROM stream);
-- name: salvage_stray_epochs
DELETE FROM epoch WHERE stream NOT IN (SELECT id FROM stream);
-- name: salvage_stray_boots
DELETE FROM boot WHERE first_key >> 48 NOT IN (SELECT id FROM stream);
-- name: salvage_stray_marks
DELETE FROM mark WHERE key >> 48 NOT IN (SELECT id FROM stream);
-- name: salvage_settled
DELETE FROM meta WHERE key = 'salvaged' OR key LIKE 'damaged:%';

-- name: stream_insert
INSERT INTO stream(name) VALUES(?1);
-- name: stream_next
SELECT id, name, next_offset, end_bytes, end_stored, slack FROM stream WHERE id > ?1
ORDER BY id LIMIT 1;
-- name: stream_find
SELECT id, next_offset, end_bytes, end_stored, slack FROM stream WHERE name = ?1;
-- name: stream_trimmed
UPDATE stream SET next_offset = ?2, end_bytes = ?3, end_stored = ?4, slack = ?5 WHERE id = ?1;
-- name: stream_slack
UPDATE stream SET slack = ?2 WHERE id = ?1;
-- name: epoch_insert
INSERT INTO epoch(stream, first_offset, epoch) VALUES(?1, ?2, ?3);
-- name: epoch_replace
DELETE FROM epoch WHERE stream = ?1 AND first_offset >= ?2;
-- name: epoch_trim
DELETE FROM epoch WHERE stream = ?1 AND first_offset <
    (SELECT max(first_offset) FROM epoch WHERE stream = ?1 AND first_offset <= ?2);
-- name: epoch_at
SELECT first_offset, epoch FROM epoch WHERE stream = ?1 AND first_offset <= ?2
ORDER BY first_offset DESC LIMIT 1;
-- name: epoch_after
SELECT first_offset FROM epoch WHERE stream = ?1 AND first_offset > ?2
ORDER BY first_offset LIMIT 1;

-- name: batch_insert
INSERT INTO batch(key, n, t_min, t_max, codec, raw_bytes, end_bytes, end_stored, crc, data)
VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10);
-- name: batch_first
SELECT key, n, end_bytes, end_stored, length(data), raw_bytes FROM batch
WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT 1;
-- name: batch_last
SELECT key, n, end_bytes, end_stored, length(data) FROM batch
WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1;
-- name: batch_walk
SELECT key, n, end_stored, length(data) FROM batch WHERE key BETWEEN ?1 AND ?2 ORDER BY key;
-- name: batch_walk_back
SELECT key, raw_bytes FROM batch WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC;
-- name: batch_delete
DELETE FROM batch WHERE key BETWEEN ?1 AND ?2;
-- name: batch_read_at
SELECT key, n, t_min, t_max, codec, raw_bytes, end_bytes, end_stored, crc, data,
    (SELECT correction_us FROM boot WHERE first_key BETWEEN batch.key >> 48 << 48 AND batch.key
     ORDER BY first_key DESC LIMIT 1)
FROM batch
WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1;
-- name: batch_read_after
SELECT key, n, t_min, t_max, codec, raw_bytes, end_bytes, end_stored, crc, data,
    (SELECT correction_us FROM boot WHERE first_key BETWEEN batch.key >> 48 << 48 AND batch.key
     ORDER BY first_key DESC LIMIT 1)
FROM batch
WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT 1;
-- name: batch_read_all
SELECT key, n, t_min, t_max, codec, raw_bytes, end_bytes, end_stored, crc, data FROM batch
WHERE key BETWEEN ?1 AND ?2 ORDER BY key;
-- name: batch_time_at
SELECT key, n, t_max FROM batch WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1;
-- name: batch_time_walk
SELECT key, n, t_max FROM batch WHERE key BETWEEN ?1 AND ?2 ORDER BY key;
-- name: batch_key_after
SELECT key FROM batch WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT 1;

-- name: range_next
SELECT id, consumer, stream, lane, next_offset, end_offset FROM "range" WHERE id > ?1
ORDER BY id LIMIT 1;
-- name: range_insert
INSERT INTO "range"(id, consumer, stream, lane, next_offset, end_offset, attributes)
VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7);
-- name: range_move
UPDATE "range" SET next_offset = ?2 WHERE id = ?1;
-- name: range_end
UPDATE "range" SET end_offset = ?2 WHERE id = ?1;
-- name: range_delete
DELETE FROM "range" WHERE id = ?1;
-- name: range_list
SELECT r.id, r.consumer, r.stream, s.name, r.lane, r.next_offset, r.end_offset, r.attributes
FROM "range" AS r LEFT JOIN stream AS s ON s.id = r.stream WHERE r.id > ?1 ORDER BY r.id LIMIT 1;

-- name: boot_last
SELECT id, base_us, correction_us FROM boot
WHERE first_key BETWEEN ?1 AND ?2 ORDER BY first_key DESC LIMIT 1;
-- name: boot_after
SELECT first_key, correction_us FROM boot
WHERE first_key BETWEEN ?1 AND ?2 ORDER BY first_key LIMIT 1;
-- name: boot_count
SELECT count(*) FROM boot WHERE first_key BETWEEN ?1 AND ?2 AND id = ?3;
-- name: boot_insert
INSERT OR REPLACE INTO boot(first_key, id, base_us, correction_us) VALUES(?1, ?2, ?3, ?4);
-- name: boot_correct
UPDATE boot SET correction_us = ?4 - base_us
WHERE first_key BETWEEN ?1 AND ?2 AND id = ?3 AND base_us IS NOT NULL AND correction_us IS NULL;
-- name: boot_trim
DELETE FROM boot WHERE first_key >= ?1 AND first_key <
    (SELECT max(first_key) FROM boot WHERE first_key BETWEEN ?1 AND ?2);

-- name: mark_last
SELECT key, run_us FROM mark WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1;
-- name: mark_after
SELECT key FROM mark WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT 1 OFFSET ?3;
-- name: mark_aged
SELECT max(key) FROM mark WHERE key BETWEEN ?1 AND ?2 AND run_us <= ?3;
-- name: mark_insert
INSERT OR REPLACE INTO mark(key, run_us) VALUES(?1, ?2);
-- name: mark_trim
DELETE FROM mark WHERE key BETWEEN ?1 AND ?2;

-- name: user_version
PRAGMA user_version;
-- name: page_count
PRAGMA page_count;
-- name: freelist_count
PRAGMA freelist_count;
