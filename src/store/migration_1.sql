-- From user_version 1 to 2.
ALTER TABLE stream ADD COLUMN slack INTEGER NOT NULL DEFAULT 0;
ALTER TABLE boot RENAME TO boot_1;
CREATE TABLE boot(
    first_key INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    base_us INTEGER,
    correction_us INTEGER);
INSERT INTO boot(first_key, id) SELECT first_key, id FROM boot_1;
DROP TABLE boot_1;
ALTER TABLE "range" RENAME TO range_1;
CREATE TABLE "range"(
    id INTEGER PRIMARY KEY,
    consumer TEXT NOT NULL,
    stream INTEGER NOT NULL,
    lane TEXT NOT NULL,
    next_offset INTEGER NOT NULL,
    end_offset INTEGER,
    attributes TEXT);
INSERT INTO "range"(id, consumer, stream, lane, next_offset)
    SELECT id, consumer, stream, 'live', next_offset FROM range_1;
DROP TABLE range_1;
-- Of several epochs that begin at one offset only the last had ids there.
DELETE FROM epoch WHERE epoch <> (SELECT value FROM meta WHERE key = 'epoch') AND EXISTS(
    SELECT 1 FROM epoch AS last WHERE last.stream = epoch.stream
    AND last.first_offset = epoch.first_offset
    AND last.epoch = (SELECT value FROM meta WHERE key = 'epoch'));
PRAGMA user_version = 2;
