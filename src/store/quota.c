/*
 * The disk space of all streams together: disk.max_bytes bounds database, write-ahead log and
 * shared memory. The log and its index are counted as large as they may become; what is left is for
 * the pages of the database. Without it the bound is what the max_bytes of the streams and the log
 * add up to: a stream's own accounting does not see how well its rows fill their pages. Free pages
 * inside the file are used before it grows, so the file stays within the bound as long as the pages
 * in use do.
 *
 * Before it is used up, what was sent goes early (pressed), down to what an append that was refused
 * needs; when that does not help, an append is told how much is missing and when_full of its stream
 * decides. disk.reserve_bytes are left to
 * streams of high priority.
 */
#include "store/internal.h"

#include "base/metrics.h"
#include "base/result.h"

enum {
    SHM_REGION_BYTES = 32 * 1024, /* of the log's index, for each SHM_REGION_FRAMES of the log */
    SHM_REGION_FRAMES = 4096,
    BATCH_PAGES = 2,          /* of a row besides its bytes: the last page is partly used */
    GROWTH_SHARE = 64,        /* inner nodes, and what else is only known afterwards */
    MARGIN_BYTES = 64 * 1024, /* files of little size, pages of other tables */
    PRESSED_SHARE = 32
};

uint64_t quota_log_bytes(const struct store_disk_config *disk)
{
    uint64_t wal = (uint64_t)disk->wal_max_bytes;
    return wal + (wal / STORE_WAL_FRAME_BYTES / SHM_REGION_FRAMES + 1) * SHM_REGION_BYTES;
}

static uint64_t max_bytes(const struct store *store)
{
    if (store->config->disk.max_bytes)
        return (uint64_t)store->config->disk.max_bytes;
    uint64_t max = (uint64_t)store->config->disk.wal_max_bytes;
    for (unsigned i = 0; i < store->stream_count; i++)
        max += (uint64_t)store->streams[i].config->max_bytes;
    return max;
}

/* For the pages of the database. */
static uint64_t limit(const struct store *store)
{
    uint64_t max = max_bytes(store);
    uint64_t kept = quota_log_bytes(&store->config->disk) + MARGIN_BYTES;
    return max > kept ? max - kept : 0;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* A part of max_bytes, so without that there is none. */
static uint64_t reserve(const struct store *store)
{
    const struct store_disk_config *disk = &store->config->disk;
    return disk->max_bytes ? (uint64_t)disk->reserve_bytes : 0;
}

static uint64_t room_of(const struct store *store, const struct stream *stream)
{
    bool high = stream->config->priority == STORE_PRIORITY_HIGH;
    return less(limit(store), high ? 0 : reserve(store));
}

/* What bytes in so many batches may take once they are written. */
static uint64_t grown(uint64_t bytes, uint64_t batches)
{
    return bytes + bytes / GROWTH_SHARE + batches * BATCH_PAGES * STORE_PAGE_BYTES;
}

bool quota_fits_empty(const struct store *store, const struct stream *stream, uint64_t bytes)
{
    return grown(bytes, 1) + MARGIN_BYTES <= room_of(store, stream);
}

uint64_t quota_excess(const struct store *store, const struct stream *stream, uint64_t bytes)
{
    uint64_t room = room_of(store, stream);
    uint64_t open = grown(store->open_bytes + bytes, store->open_batches + 1);
    uint64_t used = store->used_pages * STORE_PAGE_BYTES;
    for (unsigned i = 0; i < store->stream_count; i++)
        used = less(used, store->streams[i].drop_bytes);
    return less(used + open, room);
}

void quota_want(struct store *store, uint64_t bytes)
{
    if (bytes > store->wanted_bytes)
        store->wanted_bytes = bytes;
    store->pressed = true;
}

int quota_measure(struct store *store)
{
    int64_t pages = 0, unused = 0;
    int r = database_number(&store->database, SQL_PAGE_COUNT, &pages);
    if (!r)
        r = database_number(&store->database, SQL_FREELIST_COUNT, &unused);
    if (r)
        return result_trace(r < 0 ? r : 0);
    store->used_pages = (uint64_t)(pages - unused);
    metric_put(metric_process(), METRIC_STORE_USED_BYTES, store->used_pages * STORE_PAGE_BYTES);
    uint64_t room = less(limit(store), reserve(store));
    uint64_t used = store->used_pages * STORE_PAGE_BYTES + store->wanted_bytes;
    store->pressed = used > room - room / PRESSED_SHARE;
    if (!store->pressed)
        store->wanted_bytes = 0;
    return 0;
}
