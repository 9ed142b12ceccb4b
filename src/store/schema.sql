-- The tables of a sluice store, user_version 2; migration_1.sql leads here from version 1. The
-- format of batches is specified at the head of batch.c; here only what the columns are.

-- epoch: 16 hex digits, made at creation and whenever offsets might repeat; epochs: how often that
-- was; run, machine (a hash) and epoch_filed (the epoch in the file beside the database when this
-- was written, "" where there was none): see epoch.c.
-- gateway_id, clean (1 after an orderly end), durability of the last run, run_us (accumulated
-- running time in microseconds), written_bytes, flash_bytes and syncs of all runs (see wear.h),
-- budget_credit (see budget.h); these five as of the last time they were written.
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- next_offset, end_bytes, end_stored: state at the last trim; where there are batches, the last of
-- them is newer. So offsets never restart, and a commit of events does not touch this table.
-- slack: stored bytes that end_stored counts between the first row and the last and that are not
-- there, because rows were re-packed into fewer bytes or lost to damage.
CREATE TABLE stream(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    next_offset INTEGER NOT NULL DEFAULT 0,
    end_bytes INTEGER NOT NULL DEFAULT 0,
    end_stored INTEGER NOT NULL DEFAULT 0,
    slack INTEGER NOT NULL DEFAULT 0);

-- From first_offset on the ids of the stream belong to epoch, until the next row; there is one row
-- at an offset. Rows that only concern evicted events go when an epoch begins.
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

-- What is still to be sent, to whom. lane: "live" (open end; one per consumer and stream),
-- "backlog" (what waited when the live range was moved to the head) or "replay" (does not hold
-- events against retention). end_offset NULL: open. attributes: JSON text of whoever made it.
CREATE TABLE "range"(
    id INTEGER PRIMARY KEY,
    consumer TEXT NOT NULL,
    stream INTEGER NOT NULL,
    lane TEXT NOT NULL,
    next_offset INTEGER NOT NULL,
    end_offset INTEGER,
    attributes TEXT);

-- From first_key on (as in table batch), until the next row of the stream, events were received in
-- boot id of the machine; those whose quality is "unsynced" by a wall clock that was base_us ahead
-- of the monotonic one (NULL: unknown). correction_us is to be added to their received times; NULL
-- while unknown. See boot.c.
CREATE TABLE boot(
    first_key INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    base_us INTEGER,
    correction_us INTEGER);

-- Events before key were stored when the gateway had run for run_us in all: age without a wall
-- clock.
CREATE TABLE mark(
    key INTEGER PRIMARY KEY,
    run_us INTEGER NOT NULL);
