-- The tables of a sluice store, user_version 1. The format of batches is specified at the head of
-- batch.c; here only what the columns are.

-- epoch: 16 hex digits, made at creation and whenever offsets might repeat.
-- gateway_id, clean (1 after an orderly end), durability of the last run, run_us (accumulated
-- running time in microseconds, as of the last time it was written).
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- next_offset, end_bytes, end_stored: state at the last trim; where there are batches, the last of
-- them is newer. So offsets never restart, and a commit of events does not touch this table.
CREATE TABLE stream(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    next_offset INTEGER NOT NULL DEFAULT 0,
    end_bytes INTEGER NOT NULL DEFAULT 0,
    end_stored INTEGER NOT NULL DEFAULT 0);

-- From first_offset on the ids of the stream belong to epoch.
CREATE TABLE epoch(
    stream INTEGER NOT NULL,
    first_offset INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    PRIMARY KEY(stream, first_offset, epoch)) WITHOUT ROWID;

CREATE TABLE batch(
    key INTEGER PRIMARY KEY,
    n INTEGER NOT NULL,
    t_min INTEGER NOT NULL,
    t_max INTEGER NOT NULL,
    codec INTEGER NOT NULL,
    raw_bytes INTEGER NOT NULL,
    end_bytes INTEGER NOT NULL,
    end_stored INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    data BLOB NOT NULL);

-- What is still to be sent, to whom. end_offset NULL: open.
CREATE TABLE "range"(
    id INTEGER PRIMARY KEY,
    consumer TEXT NOT NULL,
    stream INTEGER NOT NULL,
    lane TEXT NOT NULL,
    next_offset INTEGER NOT NULL,
    end_offset INTEGER,
    attributes TEXT,
    UNIQUE(consumer, stream, lane));

-- From first_key on (as in table batch) the events were received in boot id; correction_us is to be
-- added to their unsynced times, NULL while it is unknown.
CREATE TABLE boot(
    first_key INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    correction_us INTEGER);

-- Events before key were stored when the gateway had run for run_us in all: age without a wall
-- clock.
CREATE TABLE mark(
    key INTEGER PRIMARY KEY,
    run_us INTEGER NOT NULL);
