/*
 * Ten times the quota goes through the store, under each policy, in events of all sizes, over
 * several streams, while a consumer acknowledges slowly and another reader reads; and the files
 * never take more room than was granted. Looked at after every commit and every step of
 * maintenance. At the end everything is acknowledged and grows old, and the room is given back.
 *
 *     test_churn [--seed N] [--times N] [--only POLICY]
 *
 * Granted is disk.max_bytes or, where only streams have quotas, their sum and the bound of the log.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "config/read.h"
#include "dice.h"
#include "specimen.h"
#include "store/range.h"
#include "store/read.h"
#include "store/store.h"
#include "store/store_config.h"

enum {
    STREAMS = 3,
    FORWARDED = 2, /* of them; nobody waits for the last one */
    EVENT_MAX_BYTES = 300 << 10,
    EVENT_MIN_BYTES = 20,
    COMMIT_BYTES = 400 << 10,
    STEPS_MAX = 10000000,
    ATTEMPTS_MAX = 10000, /* until a full stream takes an event */
    MAINTAIN_MAX = 100000,
    RETURNED_MAX_BYTES = 1536 << 10, /* of the database, when it is empty again */
};

#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)
#define HOUR_US (INT64_C(3600) * 1000000)

static const char *const names[STREAMS] = {"events", "alarms", "free"};

/* %s: the policy; %s: what disk says besides the bound of the log. */
static const char settings[] =
    "{\"commit\": {\"max_bytes\": \"512KiB\"}, \"disk\": {\"wal_max_bytes\": \"1MiB\"%s},"
    " \"streams\": {"
    "\"events\": {\"max_bytes\": \"2MiB\", \"max_age\": \"1h\", \"when_full\": \"%s\"},"
    "\"alarms\": {\"max_bytes\": \"1MiB\", \"max_age\": \"1h\", \"when_full\": \"%s\"},"
    "\"free\": {\"max_bytes\": \"1MiB\", \"max_age\": \"1h\", \"when_full\": \"%s\"},"
    "\"$gateway\": {\"max_bytes\": \"128KiB\", \"max_age\": \"1h\"},"
    "\"$dlq\": {\"max_bytes\": \"64KiB\", \"max_age\": \"1h\"},"
    "\"$audit\": {\"max_bytes\": \"64KiB\", \"max_age\": \"1h\"}}}";
#define STREAM_QUOTAS (4 * MIB + 256 * KIB)
#define LOG_QUOTA (1 * MIB)
#define DISK_QUOTA (4 * MIB)
#define DISK_SETTING ", \"max_bytes\": \"4MiB\""

struct policy {
    const char *name, *when_full, *disk;
    int64_t granted;
};

static const struct policy policies[] = {
    {"block", "block", "", STREAM_QUOTAS + LOG_QUOTA},
    {"reject", "reject", "", STREAM_QUOTAS + LOG_QUOTA},
    {"drop_oldest", "drop_oldest", "", STREAM_QUOTAS + LOG_QUOTA},
    {"block, disk", "block", DISK_SETTING, DISK_QUOTA},
    {"reject, disk", "reject", DISK_SETTING, DISK_QUOTA},
    {"drop_oldest, disk", "drop_oldest", DISK_SETTING, DISK_QUOTA},
};

struct churn {
    const struct policy *policy;
    uint64_t seed;
    struct dice dice;
    char directory[300];
    struct store_config config;
    struct store *store;
    struct store_reader *reader;
    struct range_feed *feed;
    uint32_t streams[STREAMS];
    uint64_t read_at[STREAMS];
    uint32_t serial;
    /* What came of it. */
    uint64_t appended, refused, waited, samples, over;
    int64_t appended_bytes, largest, largest_database, largest_log;
};

static int64_t now_us;

static int64_t churn_now(void *data)
{
    (void)data;
    return now_us;
}

static bool churn_synced(void *data)
{
    (void)data;
    return true;
}

static const struct clock churn_clock = {churn_now, churn_now, churn_synced, NULL};

#define CHECK(c, condition) check((c), (condition), #condition, __LINE__)

static void check(const struct churn *c, bool ok, const char *what, int line)
{
    if (ok)
        return;
    printf("BAD %s seed %" PRIu64 " event %" PRIu32 ": line %d: %s\n", c->policy->name, c->seed,
           c->serial, line, what);
    exit(1);
}

static int64_t file_bytes(const struct churn *c, const char *suffix)
{
    char path[340];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s%s", c->directory, STORE_FILE_NAME, suffix);
    return stat(path, &st) ? 0 : (int64_t)st.st_size;
}

static void sample(struct churn *c)
{
    int64_t database = file_bytes(c, ""), log = file_bytes(c, "-wal"), shm = file_bytes(c, "-shm");
    int64_t sum = database + log + shm;
    c->samples++;
    c->largest = sum > c->largest ? sum : c->largest;
    c->largest_database = database > c->largest_database ? database : c->largest_database;
    c->largest_log = log > c->largest_log ? log : c->largest_log;
    if (sum <= c->policy->granted && log <= LOG_QUOTA)
        return;
    if (!c->over++)
        printf("BAD %s seed %" PRIu64 " event %" PRIu32 ": the files take %" PRId64
               " bytes (database %" PRId64 ", log %" PRId64 ", shm %" PRId64
               "), granted are %" PRId64 "\n",
               c->policy->name, c->seed, c->serial, sum, database, log, shm, c->policy->granted);
}

static void commit(struct churn *c)
{
    CHECK(c, store_commit(c->store) == 0);
    sample(c);
}

/* As the pipeline does it: a step between commits, more only where there is time. */
static void maintain(struct churn *c, unsigned steps)
{
    bool more = true;
    for (unsigned i = 0; i < steps && more; i++) {
        CHECK(c, store_maintain(c->store, &more) == 0);
        sample(c);
    }
}

static struct store_stream_info info(const struct churn *c, unsigned stream)
{
    struct store_stream_info ret;
    CHECK(c, store_read_stream(c->reader, names[stream], &ret) == 0);
    return ret;
}

/* Acknowledges some of what one stream holds. */
static void acknowledge(struct churn *c, unsigned stream, bool all)
{
    struct store_stream_info is = info(c, stream);
    uint64_t from = atomic_load(&c->feed->ranges[stream].cursor_offset);
    if (from < is.first_offset)
        from = is.first_offset; /* dropped */
    uint64_t behind = is.next_offset - from;
    uint64_t to = from + (all ? behind : dice_below(&c->dice, behind / 2 + 2));
    if (to > is.next_offset)
        to = is.next_offset;
    store_move_cursor(c->store, c->feed, stream, to);
    atomic_store(&c->feed->ranges[stream].cursor_offset, to);
}

/* Somebody reads along, from where he was. */
static void read_some(struct churn *c)
{
    unsigned stream = (unsigned)dice_below(&c->dice, STREAMS);
    struct segment *segment;
    uint64_t skip;
    int r = store_read(c->reader, c->streams[stream], c->read_at[stream], &segment, &skip);
    CHECK(c, r == 0 || r == STORE_READ_END);
    if (r)
        return;
    c->read_at[stream] = segment_end_offset(segment);
    segment_unref(segment);
}

static struct event next_event(struct churn *c)
{
    /* Sizes are spread evenly over the powers of two, so that small ones are many. */
    unsigned power = (unsigned)dice_below(&c->dice, 15);
    uint64_t top = (uint64_t)EVENT_MIN_BYTES << power;
    if (top > EVENT_MAX_BYTES)
        top = EVENT_MAX_BYTES;
    const struct specimen specimen = {
        .serial = ++c->serial,
        .bytes = (uint32_t)(EVENT_MIN_BYTES + dice_below(&c->dice, top - EVENT_MIN_BYTES + 1)),
        .smooth = dice_one_in(&c->dice, 2)};
    return specimen_event(&specimen);
}

/* A connection is parked until its event fits: the others go on, the consumer acknowledges. */
static int wait_for_room(struct churn *c, unsigned stream, const struct event *event)
{
    uint64_t offset;
    int r = STORE_FULL;
    c->waited++;
    for (unsigned i = 0; i < ATTEMPTS_MAX && r == STORE_FULL; i++) {
        commit(c);
        if (dice_one_in(&c->dice, 4))
            acknowledge(c, (unsigned)dice_below(&c->dice, FORWARDED), false);
        maintain(c, 1);
        now_us += 10000;
        r = store_append(c->store, c->streams[stream], event, &offset);
    }
    return r;
}

static void append(struct churn *c)
{
    unsigned stream = (unsigned)dice_below(&c->dice, STREAMS);
    struct event event = next_event(c);
    uint64_t offset;
    int r = store_append(c->store, c->streams[stream], &event, &offset);
    if (r == STORE_FULL) {
        switch (store_when_full(c->store, c->streams[stream])) {
        case STORE_WHEN_FULL_BLOCK:
            r = wait_for_room(c, stream, &event);
            break;
        case STORE_WHEN_FULL_REJECT:
            c->refused++;
            return;
        case STORE_WHEN_FULL_DROP_OLDEST:
            /* Only what is open is in the way, or others hold the disk. */
            commit(c);
            r = store_append(c->store, c->streams[stream], &event, &offset);
            if (r == STORE_FULL && c->policy->disk[0])
                r = wait_for_room(c, stream, &event);
            break;
        }
    }
    CHECK(c, r == 0);
    c->appended++;
    c->appended_bytes += (int64_t)event.payload.len;
}

static void step(struct churn *c)
{
    append(c);
    now_us += (int64_t)dice_below(&c->dice, 100000);
    if (store_open_bytes(c->store) < COMMIT_BYTES && !dice_one_in(&c->dice, 20))
        return;
    commit(c);
    maintain(c, 1);
    if (dice_one_in(&c->dice, 4))
        acknowledge(c, (unsigned)dice_below(&c->dice, FORWARDED), false);
    if (dice_one_in(&c->dice, 2))
        read_some(c);
}

static void churn_open(struct churn *c)
{
    struct error error = ERROR_INIT;
    char text[1024];
    snprintf(text, sizeof(text), settings, c->policy->disk, c->policy->when_full,
             c->policy->when_full, c->policy->when_full);
    if (config_read_text(&store_section, text, &error, &c->config)) {
        error_print(&error, stdout);
        exit(1);
    }
    const struct store_options options = {
        .data_dir = c->directory, .config = &c->config, .clock = &churn_clock};
    CHECK(c, store_new(&options, &c->store) == 0);
    CHECK(c, store_open(c->store, &error) == 0);
    for (unsigned i = 0; i < STREAMS; i++)
        CHECK(c, store_stream(c->store, names[i], &c->streams[i]) == 0);
    CHECK(c, range_feed_new("slow", RANGE_START_OLDEST, names, FORWARDED, &c->feed) == 0);
    CHECK(c, store_attach(c->store, c->feed) == 0);
    CHECK(c, store_reader_open(store_path(c->store), &error, &c->reader) == 0);
}

static void churn_close(struct churn *c)
{
    c->reader = store_reader_close(c->reader);
    store_detach(c->store, c->feed);
    c->feed = range_feed_unref(c->feed);
    c->store = store_free(c->store);
    config_section_deinit(&store_section, &c->config);
}

/* Everything is acknowledged and older than max_age; what was taken is given back. */
static void drain(struct churn *c)
{
    commit(c);
    for (unsigned i = 0; i < FORWARDED; i++)
        acknowledge(c, i, true);
    commit(c);
    for (unsigned i = 0; i < 3; i++) { /* from the mark that says what is there it takes max_age */
        now_us += 2 * HOUR_US;
        maintain(c, MAINTAIN_MAX);
    }
    for (unsigned i = 0; i < STREAMS; i++) {
        struct store_stream_info is = info(c, i);
        CHECK(c, is.first_offset == is.next_offset);
    }
    /* The log keeps its size, and the database shrinks in a checkpoint. */
    bool more = true;
    for (unsigned i = 0; i < MAINTAIN_MAX && more; i++)
        CHECK(c, store_maintain(c->store, &more) == 0);
    churn_close(c);
    int64_t left = file_bytes(c, "") + file_bytes(c, "-wal") + file_bytes(c, "-shm");
    if (left > RETURNED_MAX_BYTES) {
        printf("BAD %s: empty, and the files still take %" PRId64 " bytes\n", c->policy->name,
               left);
        exit(1);
    }
    printf("%" PRId64 " KiB left when it was empty\n", left / KIB);
}

/* 0, or 1 if the files were ever too large. */
static int run(const struct policy *policy, const char *base, uint64_t seed, int64_t times)
{
    static struct churn churn;
    churn = (struct churn){.policy = policy, .seed = seed, .dice = {seed}};
    snprintf(churn.directory, sizeof(churn.directory), "%s/store", base);
    now_us = HOUR_US;
    churn_open(&churn);
    /* Half of the payloads compress to next to nothing, so twice as many bytes. */
    for (int64_t i = 0; churn.appended_bytes < 2 * times * STREAM_QUOTAS; i++) {
        CHECK(&churn, i < STEPS_MAX);
        step(&churn);
    }
    printf("%s: %" PRIu64 " events of %" PRId64 " MiB taken, %" PRIu64 " refused, %" PRIu64
           " waited; at most %" PRId64 " of %" PRId64 " KiB in %" PRIu64 " samples, %" PRIu64
           " over (database %" PRId64 " KiB, log %" PRId64 " KiB); ",
           policy->name, churn.appended, churn.appended_bytes / MIB, churn.refused, churn.waited,
           churn.largest / KIB, policy->granted / KIB, churn.samples, churn.over,
           churn.largest_database / KIB, churn.largest_log / KIB);
    fflush(stdout);
    drain(&churn);
    specimen_directory_remove(churn.directory);
    return churn.over ? 1 : 0;
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    int64_t times = 10;
    const char *only = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--times") == 0)
            times = strtoll(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--only") == 0)
            only = argv[i + 1];
        else
            argc = 0;
    }
    if (argc % 2 == 0 || times < 1) {
        fprintf(stderr, "usage: test_churn [--seed N] [--times N] [--only POLICY]\n");
        return 2;
    }
    char base[256];
    int bad = 0;
    specimen_directory(base);
    printf("seed %" PRIu64 ", %" PRId64 " times the quota\n", seed, times);
    for (unsigned i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
        if (!only || strcmp(only, policies[i].name) == 0)
            bad |= run(&policies[i], base, seed + i, times);
    return bad;
}
