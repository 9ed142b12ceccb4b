#ifndef SLUICE_GATEWAY_CONFIG_H
#define SLUICE_GATEWAY_CONFIG_H
/*
 * The whole configuration: the list of the rooms' sections and nothing else. A snapshot, immutable
 * once loaded, shared by reference count between the threads that use parts of it; a reload makes a
 * new one.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "admin/admin_config.h"
#include "config/key.h"
#include "listener/listener_config.h"
#include "pipeline/alarms.h"
#include "store/store_config.h"
#include "uplink/upstream_config.h"

enum { GATEWAY_ID_MAX_BYTES = 64 };

struct gateway_section_config {
    char *id;       /* NULL: made once and kept in the store */
    char *data_dir; /* NULL: gateway_config_data_dir() decides */
    int64_t in_flight_max_bytes;
};

struct log_config {
    int level; /* enum log_level */
};

struct gateway_config {
    struct gateway_section_config gateway;
    struct log_config log;
    CONFIG_LIST_OF(struct listener_config) listeners;
    struct store_config store; /* sections "commit", "disk" and "streams" */
    struct alarms_config alarms;
    CONFIG_LIST_OF(struct upstream_config) upstreams;
    struct admin_config admin;
};

extern const struct config_section gateway_config_section; /* the root of the document */

struct gateway_config_snapshot {
    struct gateway_config value;
    atomic_uint references;
    char *path; /* of the first file; NULL: defaults */
};

/* Loads and checks; this is what "sluice check" and a reload run, too. 0 or negative errno with the
 * error filled. One reference goes to the caller. */
int gateway_config_load(const char *path, struct error *error,
                        struct gateway_config_snapshot **ret);
struct gateway_config_snapshot *gateway_config_ref(struct gateway_config_snapshot *snapshot);
struct gateway_config_snapshot *gateway_config_unref(struct gateway_config_snapshot *snapshot);

/* The data directory: as configured, else $STATE_DIRECTORY (its first entry), else
 * $XDG_STATE_HOME/sluice, else /var/lib/sluice for root, else $HOME/.local/state/sluice. 0 with
 * out filled, or -ENOENT with the error filled. */
enum { GATEWAY_PATH_MAX_BYTES = 4096 };
int gateway_config_data_dir(const struct gateway_config *config, struct error *error,
                            char out[GATEWAY_PATH_MAX_BYTES]);

/* The admin socket: as configured, else "sluice.sock" in the data directory. Likewise. */
int gateway_config_admin_socket(const struct gateway_config *config, struct error *error,
                                char out[GATEWAY_PATH_MAX_BYTES]);

#endif
