#ifndef SLUICE_GATEWAY_RELOAD_H
#define SLUICE_GATEWAY_RELOAD_H
/* What a reload needs beside the rooms' own verbs: the keys that wait for a restart, and the new
 * settings of the pipeline as a queue item. The main thread. */
#include <stddef.h>

#include "pipeline/group.h"

struct gateway_config;
struct gateway_config_snapshot;
struct queue;

enum { GATEWAY_RESTART_KEYS_MAX = 64 };

struct gateway_restart_keys {
    char *paths[GATEWAY_RESTART_KEYS_MAX]; /* owned */
    size_t count;
};

/* Lists the keys of next that differ from startup and take effect only after a restart, and says so
 * in the log. Replaces what was listed before. */
void gateway_restart_keys_find(struct gateway_restart_keys *keys,
                               const struct gateway_config *startup,
                               const struct gateway_config *next);
void gateway_restart_keys_clear(struct gateway_restart_keys *keys);

/* When to commit, as configured. */
struct group_limits gateway_group_limits(const struct gateway_config *config);

/* Gives the pipeline the limits of config, which must live until it is replaced in turn; the
 * snapshot replaced is held until the pipeline has let go of it. 0, -ENOMEM, or the queue's
 * outcome. */
int gateway_settings_push(struct queue *pipeline, struct gateway_config_snapshot *replaced,
                          const struct gateway_config_snapshot *config);

#endif
