#ifndef SLUICE_STORE_STORE_CONFIG_H
#define SLUICE_STORE_STORE_CONFIG_H
/* Settings of the store: the sections "commit", "disk" and "streams" of the configuration.
 * Read-only once read; any thread. */
#include <stdbool.h>
#include <stdint.h>

#include "config/key.h"
#include "store/store.h"

enum {
    STORE_STREAM_NAME_LETTERS_MAX = 64,
    STORE_COMMIT_EVENTS_MAX = 1000000 /* upper bound of commit.max_events */
};

/* What a commit survives. */
enum store_durability {
    STORE_DURABILITY_POWER,  /* a power cut: synced before it is acknowledged */
    STORE_DURABILITY_PROCESS /* the end of the process; a power cut may take the last seconds */
};

struct store_commit_config {
    enum store_durability durability;
    int64_t max_delay_us;
    int64_t max_events;
    int64_t max_bytes;
    int64_t write_budget_bytes;  /* to the disk, per day; 0: none */
    int64_t budget_max_delay_us; /* how far the budget may lengthen max_delay_us */
};

/* The data directory as a whole. */
struct store_disk_config {
    int64_t max_bytes;       /* database, log and shared memory; 0: no limit but the streams' */
    int64_t reserve_bytes;   /* part of it that only streams of high priority may use */
    int64_t wal_max_bytes;   /* of the write-ahead log */
    int64_t endurance_bytes; /* that may be written in the life of the flash; 0: not known */
};

enum store_priority { STORE_PRIORITY_NORMAL, STORE_PRIORITY_HIGH };

struct store_stream_config {
    char *name;
    int64_t max_bytes;
    int64_t max_age_us; /* 0: no limit */
    enum store_when_full when_full;
    enum store_priority priority;
};

struct store_config {
    struct store_commit_config commit;
    struct store_disk_config disk;
    CONFIG_LIST_OF(struct store_stream_config) streams; /* "events" and our own always among them */
};

/* The gateway's own streams: gap records, changes of state and alarms; dead letters; who asked for
 * what. They always drop their oldest events rather than stand in anybody's way. */
#define STORE_STREAM_GATEWAY "$gateway"
#define STORE_STREAM_DEAD_LETTERS "$dlq"
#define STORE_STREAM_AUDIT "$audit"
/* Of the key "streams". */
#define STORE_STREAMS_DEFAULT                                                                      \
    "{\"events\": {}, "                                                                            \
    "\"$gateway\": {\"max_bytes\": \"16MiB\", \"max_age\": \"30d\", "                              \
    "\"when_full\": \"drop_oldest\", \"priority\": \"high\"}, "                                    \
    "\"$dlq\": {\"max_bytes\": \"64MiB\", \"max_age\": \"30d\", \"when_full\": \"drop_oldest\"}, " \
    "\"$audit\": {\"max_bytes\": \"16MiB\", \"max_age\": \"0\", "                                  \
    "\"when_full\": \"drop_oldest\"}}"

extern const struct config_section store_commit_section; /* struct store_commit_config */
extern const struct config_section store_disk_section;   /* struct store_disk_config */
extern const struct config_section store_stream_section; /* an entry of streams */
extern const struct config_section store_section;        /* struct store_config: all, as rows */

/* The settings of a stream; the defaults for one that is not named. Borrowed from config or
 * static. */
const struct store_stream_config *store_config_stream(const struct store_config *config,
                                                      const char *name);

/* What disk.wal_max_bytes and commit.max_bytes must fulfil together: a commit is half of the log at
 * most. 0, -EINVAL with error filled. */
int store_config_check(const struct store_config *config, struct error *error);

/* 1 to 64 of A-Z a-z 0-9 _ . -; with reserved also behind a leading "$", as our own streams are. */
bool store_stream_name_valid(const char *name, bool reserved);

#endif
