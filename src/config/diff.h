#ifndef SLUICE_CONFIG_DIFF_H
#define SLUICE_CONFIG_DIFF_H
/* What differs between two readings of one section, for reload: which key paths, and whether the
 * change takes effect without a restart. Pure. */
#include <stdbool.h>
#include <stddef.h>

#include "config/key.h"

enum config_change_kind { CONFIG_CHANGED, CONFIG_ADDED, CONFIG_REMOVED };

struct config_change {
    enum config_change_kind kind; /* ADDED, REMOVED: an entry of a list or map as a whole */
    const char *path; /* "commit.max_delay", "streams.events.max_age", "upstreams[cloud].url"; valid
                         during the call */
    bool reloadable;  /* the row's own flag; for entries that came or went that of the list */
    const struct config_key *key;
};

/* Calls back once per difference, in the order of the rows (callback may be NULL), and returns
 * their number. Entries of maps are matched by key, entries of lists by their "name" (a changed
 * order of the same entries is one change of the list), of lists without that key by position. */
size_t config_diff(const struct config_section *section, const void *before, const void *after,
                   void (*callback)(void *data, const struct config_change *change), void *data);

#endif
