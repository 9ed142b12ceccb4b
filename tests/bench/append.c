/* Durable append: the store, and bare SQLite committing the same blobs, made beforehand or, so that
 * it is seen what packing and compression cost, within the measured time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bare.h"
#include "input.h"
#include "pack/codec.h"
#include "store/batch.h"
#include "store_bench.h"
#include "subject.h"

enum {
    PATH_BYTES_MAX = 4096,
    PACKED_MAX_BYTES = 64 << 20,
    SMALL_BYTES = 512, /* not compressed below it, as in store/commit.c */
    GAIN_SHARE = 16    /* likewise: what compression must save */
};

/* The work of the store, step by step by hand: records, their compression, and nothing else. */
struct packer {
    struct batch *batch;
    struct pack_context *context;
    struct bytes packed;
};

static void packer_init(struct packer *packer)
{
    packer->packed = (struct bytes)BYTES_INIT(PACKED_MAX_BYTES);
    if (batch_new(0, 1 << 16, &packer->batch) || pack_context_new(&packer->context))
        fail("packer", "no memory");
}

static void packer_deinit(struct packer *packer)
{
    batch_free(packer->batch);
    pack_context_free(packer->context);
    bytes_deinit(&packer->packed);
}

static void packer_fill(struct packer *packer, const struct input *input, uint64_t first,
                        unsigned count, int64_t received_us)
{
    batch_reset(packer->batch, first);
    for (unsigned i = 0; i < count; i++) {
        struct event event = input_event(input, first + i, received_us);
        if (batch_append(packer->batch, &event))
            fail("packer", "no memory");
    }
}

static struct slice packer_compress(struct packer *packer, struct slice records)
{
    packer->packed.len = 0;
    if (records.len < SMALL_BYTES || !pack_codec_available(PACK_ZSTD) ||
        pack_compress(packer->context, PACK_ZSTD, records, records.len - records.len / GAIN_SHARE,
                      &packer->packed))
        return records;
    return bytes_slice(&packer->packed);
}

struct append_totals {
    uint64_t payload_bytes, stored_bytes;
};

static void append_print(const char *contender, uint64_t events, struct meter used,
                         const struct append_totals *totals)
{
    double n = (double)events;
    printf("{\"contender\": \"%s\", \"events\": %.0f, \"cpu_us\": %.4f, \"user_us\": %.4f, "
           "\"wall_us\": %.4f, \"disk_bytes\": %.2f, \"payload_bytes\": %.2f, "
           "\"stored_bytes\": %.2f}\n",
           contender, n, used.cpu_s * 1e6 / n, used.user_s * 1e6 / n, used.wall_s * 1e6 / n,
           (double)used.disk_bytes / n, (double)totals->payload_bytes / n,
           (double)totals->stored_bytes / n);
}

/* All events have one received time, so that every contender stores the same bytes. */
static void append_store(const struct input *input, const char *directory, unsigned commits,
                         unsigned per_commit, int64_t received_us)
{
    struct subject subject;
    struct append_totals totals = {.payload_bytes = 0};
    bool more;
    subject_open(&subject, subject_large, directory, false);
    struct meter begin = meter_now();
    for (unsigned i = 0; i < commits; i++) {
        for (unsigned j = 0; j < per_commit; j++) {
            struct event event = input_event(input, (uint64_t)i * per_commit + j, received_us);
            totals.payload_bytes += event.payload.len;
            subject_append(&subject, &event);
        }
        subject_commit(&subject);
        if (store_maintain(subject.store, &more))
            fail("store_maintain", "fails");
    }
    struct meter used = meter_since(begin);
    totals.stored_bytes =
        subject_stored_bytes(store_path(subject.store)) - (uint64_t)commits * BATCH_ROW_BYTES;
    append_print("store", (uint64_t)commits * per_commit, used, &totals);
    subject_close(&subject);
}

/* How much of the store's own work a bare contender repeats within its measured time. */
enum bare_work { BARE_INSERT, BARE_COMPRESS, BARE_PACK };

/* What a bare contender inserts, or makes it from: the blobs of all commits, end to end. */
struct blobs {
    struct bytes bytes;
    size_t *ends; /* of each, in bytes */
};

static void blobs_make(struct blobs *blobs, struct packer *packer, const struct input *input,
                       unsigned commits, unsigned per_commit, int64_t received_us, bool compressed)
{
    blobs->bytes = (struct bytes)BYTES_INIT(SIZE_MAX / 2);
    blobs->ends = calloc(commits, sizeof(*blobs->ends));
    if (!blobs->ends)
        fail("blobs", "no memory");
    for (unsigned i = 0; i < commits; i++) {
        packer_fill(packer, input, (uint64_t)i * per_commit, per_commit, received_us);
        struct slice records = bytes_slice(&packer->batch->records);
        if (bytes_append_slice(&blobs->bytes,
                               compressed ? packer_compress(packer, records) : records))
            fail("blobs", "no memory");
        blobs->ends[i] = blobs->bytes.len;
    }
}

static struct slice blobs_at(const struct blobs *blobs, unsigned i)
{
    size_t begin = i ? blobs->ends[i - 1] : 0;
    return slice_make(blobs->bytes.data + begin, blobs->ends[i] - begin);
}

static void append_bare(const struct input *input, const char *directory, const char *name,
                        enum bare_work work, unsigned commits, unsigned per_commit,
                        int64_t received_us)
{
    struct bare bare;
    struct packer packer;
    struct blobs blobs;
    struct append_totals totals = {.payload_bytes = 0};
    char path[PATH_BYTES_MAX];
    snprintf(path, sizeof(path), "%s/bare.db", directory);
    packer_init(&packer);
    blobs_make(&blobs, &packer, input, commits, per_commit, received_us, work == BARE_INSERT);
    bare_open(&bare, path);
    struct meter begin = meter_now();
    for (unsigned i = 0; i < commits; i++) {
        struct slice blob = blobs_at(&blobs, i);
        if (work == BARE_PACK) {
            packer_fill(&packer, input, (uint64_t)i * per_commit, per_commit, received_us);
            blob = bytes_slice(&packer.batch->records);
        }
        if (work != BARE_INSERT)
            blob = packer_compress(&packer, blob);
        totals.stored_bytes += blob.len;
        bare_append(&bare, (int64_t)i * per_commit, blob);
        bare_checkpoint(&bare);
    }
    struct meter used = meter_since(begin);
    for (uint64_t i = 0; i < (uint64_t)commits * per_commit; i++)
        totals.payload_bytes += input->events[i % input->count].payload.len;
    append_print(name, (uint64_t)commits * per_commit, used, &totals);
    bare_close(&bare);
    bytes_deinit(&blobs.bytes);
    free(blobs.ends);
    packer_deinit(&packer);
}

void run_append(const struct input *input, const char *directory, char **rest)
{
    static const char *const names[] = {
        [BARE_INSERT] = "bare", [BARE_COMPRESS] = "bare+zstd", [BARE_PACK] = "bare+pack+zstd"};
    const int64_t received_us = INT64_C(1700000000000000);
    unsigned commits = (unsigned)number(rest[1], COMMITS_MAX);
    unsigned per_commit = (unsigned)number(rest[2], PER_COMMIT_MAX);
    if (strcmp(rest[0], "store") == 0) {
        append_store(input, directory, commits, per_commit, received_us);
        return;
    }
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(rest[0], names[i]) == 0) {
            append_bare(input, directory, names[i], i, commits, per_commit, received_us);
            return;
        }
    fail(rest[0], "is no contender");
}
