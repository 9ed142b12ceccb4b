#include "store/store_config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "store/internal.h"

#define DATABASE_MIN_BYTES (INT64_C(1) << 20)
#define DEFAULT_MAX_BYTES (INT64_C(512) << 20)
#define DEFAULT_MAX_AGE_US (INT64_C(7) * 24 * 3600 * 1000000)

static const struct config_name durability_names[] = {
    {"power", STORE_DURABILITY_POWER}, {"process", STORE_DURABILITY_PROCESS}, {NULL, 0}};
static const struct config_name when_full_names[] = {{"block", STORE_WHEN_FULL_BLOCK},
                                                     {"drop_oldest", STORE_WHEN_FULL_DROP_OLDEST},
                                                     {"reject", STORE_WHEN_FULL_REJECT},
                                                     {NULL, 0}};
static const struct config_name priority_names[] = {
    {"normal", STORE_PRIORITY_NORMAL}, {"high", STORE_PRIORITY_HIGH}, {NULL, 0}};

/* clang-format off */
static const struct config_key commit_keys[] = {
    {"durability", CONFIG_FIELD(ENUM, struct store_commit_config, durability),
     .names = durability_names, .default_text = "power",
     .help = "What an acknowledged event survives: a power cut (synced to the disk first), or only "
             "the end of the process (fewer syncs; a power cut may take the last seconds)."},
    {"max_delay", CONFIG_FIELD(DURATION, struct store_commit_config, max_delay_us),
     .default_text = "0ms", .max = 10000000, .reloadable = true,
     .help = "How long events may wait for others to share a commit with. 0 commits at once; more "
             "means fewer writes to flash and later acknowledgements."},
    {"max_events", CONFIG_FIELD(INT, struct store_commit_config, max_events),
     .default_text = "10000", .min = 1, .max = STORE_COMMIT_EVENTS_MAX, .unit = "events",
     .reloadable = true, .help = "A commit is made at the latest when so many events wait."},
    {"max_bytes", CONFIG_FIELD(SIZE, struct store_commit_config, max_bytes),
     .default_text = "4MiB", .min = 4096, .max = 256 << 20, .reloadable = true,
     .help = "A commit is made at the latest when so many bytes wait. At most half of "
             "disk.wal_max_bytes."},
    {"write_budget", CONFIG_FIELD(SIZE, struct store_commit_config, write_budget_bytes),
     .default_text = "0", .max = INT64_C(1) << 50, .reloadable = true,
     .help = "Bytes that may be written to the disk per day, to spare flash; when they run out "
             "faster, commits are made less often, up to budget_max_delay apart. 0: no budget."},
    {"budget_max_delay", CONFIG_FIELD(DURATION, struct store_commit_config, budget_max_delay_us),
     .default_text = "5s", .max = 60000000, .reloadable = true,
     .help = "How long write_budget may make events wait for their commit."},
};
const struct config_section store_commit_section = {
    "commit", CONFIG_KEYS(commit_keys), .size = sizeof(struct store_commit_config)};

static const struct config_key disk_keys[] = {
    {"max_bytes", CONFIG_FIELD(SIZE, struct store_disk_config, max_bytes),
     .default_text = "0", .max = INT64_C(1) << 50, .reloadable = true,
     .help = "Disk space of database, write-ahead log and shared memory together. When it is used "
             "up, events that were sent are removed, and then when_full of each stream decides. "
             "0: as much as the max_bytes of the streams add up to."},
    {"reserve_bytes", CONFIG_FIELD(SIZE, struct store_disk_config, reserve_bytes),
     .default_text = "0", .max = INT64_C(1) << 50, .reloadable = true,
     .help = "Part of max_bytes that only streams with priority \"high\" may use."},
    {"wal_max_bytes", CONFIG_FIELD(SIZE, struct store_disk_config, wal_max_bytes),
     .default_text = "16MiB", .min = 1 << 20, .max = INT64_C(1) << 30, .reloadable = true,
     .help = "Largest size of the write-ahead log. Only a single event larger than half of it can "
             "exceed it."},
    {"endurance", CONFIG_FIELD(SIZE, struct store_disk_config, endurance_bytes),
     .default_text = "0", .max = INT64_C(1) << 60, .reloadable = true,
     .help = "Bytes that may be written to the flash in its life (\"TBW\" of its data sheet), from "
             "which status projects how long it will last. 0: not known."},
};
const struct config_section store_disk_section = {
    "disk", CONFIG_KEYS(disk_keys), .size = sizeof(struct store_disk_config)};

static const struct config_key stream_keys[] = {
    {"max_bytes", CONFIG_FIELD(SIZE, struct store_stream_config, max_bytes),
     .default_text = "512MiB", .min = 64 << 10, .max = INT64_C(1) << 50, .reloadable = true,
     .help = "Disk space of the stream. Beyond it the oldest events that were sent are removed; "
             "when nothing is left but unsent ones, when_full decides."},
    {"max_age", CONFIG_FIELD(DURATION, struct store_stream_config, max_age_us),
     .default_text = "7d", .reloadable = true,
     .help = "Events that were sent are removed when they are older than this, counted in running "
             "time of the gateway. 0: no limit."},
    {"when_full", CONFIG_FIELD(ENUM, struct store_stream_config, when_full),
     .names = when_full_names, .default_text = "block", .reloadable = true,
     .help = "What becomes of events that do not fit: block waits with the acknowledgement until "
             "there is room, reject refuses them, drop_oldest makes room by dropping the oldest "
             "events not yet sent, which a gap record in \"$gateway\" tells upstream. Streams with "
             "\"$\" always drop_oldest."},
    {"priority", CONFIG_FIELD(ENUM, struct store_stream_config, priority),
     .names = priority_names, .default_text = "normal", .reloadable = true,
     .help = "Streams of high priority may use disk.reserve_bytes."},
};
/* clang-format on */

static const char *const own_streams[] = {STORE_STREAM_GATEWAY, STORE_STREAM_DEAD_LETTERS,
                                          STORE_STREAM_AUDIT};

static int stream_check(const void *value, struct error *error)
{
    const struct store_stream_config *stream = value;
    if (!stream->name || store_stream_name_valid(stream->name, false))
        return 0;
    for (size_t i = 0; i < sizeof(own_streams) / sizeof(own_streams[0]); i++)
        if (strcmp(stream->name, own_streams[i]) == 0)
            return 0;
    error_what(error, "\"%s\" is not a name for a stream", LOG_QUOTE(slice_string(stream->name)));
    error_mend(error,
               "use 1 to %d letters, digits, \"_\", \".\" and \"-\" (of names with \"$\" there "
               "are only \"$gateway\", \"$dlq\" and \"$audit\")",
               STORE_STREAM_NAME_LETTERS_MAX);
    return -EINVAL;
}

const struct config_section store_stream_section = {
    "stream", CONFIG_KEYS(stream_keys), .size = sizeof(struct store_stream_config),
    .name_at = offsetof(struct store_stream_config, name), .check = stream_check};

/* clang-format off */
static const struct config_key store_keys[] = {
    {"commit", CONFIG_FIELD(SECTION, struct store_config, commit),
     .section = &store_commit_section, .help = "When and how safely events are written."},
    {"disk", CONFIG_FIELD(SECTION, struct store_config, disk),
     .section = &store_disk_section, .help = "Disk space of the store."},
    {"streams", CONFIG_FIELD(MAP, struct store_config, streams), .section = &store_stream_section,
     .default_text = STORE_STREAMS_DEFAULT, .default_stays = true, .max = STORE_STREAMS_MAX,
     .reloadable = true,
     .help = "Streams by name. \"events\" always exists; it takes what no rule sends elsewhere."},
};
/* clang-format on */

int store_config_check(const struct store_config *config, struct error *error)
{
    int64_t least =
        (int64_t)quota_log_bytes(&config->disk) + config->disk.reserve_bytes + DATABASE_MIN_BYTES;
    if (config->disk.max_bytes && config->disk.max_bytes < least) {
        error_what(error, "disk.max_bytes (%lld) leaves no room for the database",
                   (long long)config->disk.max_bytes);
        error_mend(error,
                   "it has to hold disk.wal_max_bytes, disk.reserve_bytes and some more: at "
                   "least %lld",
                   (long long)least);
        return -EINVAL;
    }
    if (config->commit.max_bytes <= config->disk.wal_max_bytes / 2)
        return 0;
    error_what(error, "commit.max_bytes (%lld) is more than half of disk.wal_max_bytes (%lld)",
               (long long)config->commit.max_bytes, (long long)config->disk.wal_max_bytes);
    error_mend(error, "lower commit.max_bytes, or raise disk.wal_max_bytes");
    return -EINVAL;
}

static int store_check(const void *value, struct error *error)
{
    return store_config_check(value, error);
}

const struct config_section store_section = {
    "store", CONFIG_KEYS(store_keys), .size = sizeof(struct store_config), .check = store_check};

const struct store_stream_config *store_config_stream(const struct store_config *config,
                                                      const char *name)
{
    static const struct store_stream_config defaults = {.max_bytes = DEFAULT_MAX_BYTES,
                                                        .max_age_us = DEFAULT_MAX_AGE_US,
                                                        .when_full = STORE_WHEN_FULL_BLOCK};
    for (size_t i = 0; i < config->streams.count; i++)
        if (config->streams.items[i].name && strcmp(config->streams.items[i].name, name) == 0)
            return &config->streams.items[i];
    return &defaults;
}

bool store_stream_name_valid(const char *name, bool reserved)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    if (reserved && name[0] == '$')
        name++;
    size_t n = strlen(name);
    return n >= 1 && n <= STORE_STREAM_NAME_LETTERS_MAX && strspn(name, letters) == n;
}
