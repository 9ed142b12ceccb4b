#ifndef SLUICE_STORE_STORE_CONFIG_H
#define SLUICE_STORE_STORE_CONFIG_H
/* Settings of the store: the sections "commit" and "streams" of the configuration. Read-only once
 * read; any thread. */
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
};

struct store_stream_config {
    char *name;
    int64_t max_bytes;
    int64_t max_age_us; /* 0: no limit */
    enum store_when_full when_full;
};

struct store_config {
    struct store_commit_config commit;
    CONFIG_LIST_OF(struct store_stream_config) streams; /* "events" is always among them */
};

extern const struct config_section store_commit_section; /* struct store_commit_config */
extern const struct config_section store_stream_section; /* an entry of streams */
extern const struct config_section store_section;        /* struct store_config: both, as rows */

/* The settings of a stream; the defaults for one that is not named. Borrowed from config or
 * static. */
const struct store_stream_config *store_config_stream(const struct store_config *config,
                                                      const char *name);

/* 1 to 64 of A-Z a-z 0-9 _ . -; with reserved also behind a leading "$", as our own streams are. */
bool store_stream_name_valid(const char *name, bool reserved);

#endif
