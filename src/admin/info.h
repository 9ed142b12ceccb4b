#ifndef SLUICE_ADMIN_INFO_H
#define SLUICE_ADMIN_INFO_H
/*
 * struct admin_info: what the admin API knows of the gateway beside the metrics. A view that the
 * gateway fills anew for each request, on the edge thread; the strings stay valid until that
 * request is answered (until the callback's caller returns to the event loop).
 */
#include <stddef.h>
#include <stdint.h>

/* That the store is degraded is not among them: it follows from METRIC_STORE_DEGRADED. */
enum admin_state { ADMIN_STARTING, ADMIN_RUNNING, ADMIN_STOPPING };

enum { ADMIN_RESTART_KEYS_MAX = 256 };

struct admin_info {
    enum admin_state state;
    const char *version;      /* never NULL */
    const char *gateway_id;   /* NULL until the store is open */
    const char *epoch;        /* 16 hex digits; NULL until the store is open */
    int64_t now_us;           /* wall clock, microseconds UTC */
    int64_t uptime_us;        /* since start, monotonic */
    const char *config_file;  /* NULL: running on defaults */
    int64_t config_loaded_us; /* wall clock of the configuration in force, microseconds UTC */
    const char *const *restart_keys; /* keys that changed in the file and wait for a restart */
    size_t restart_key_count;        /* at most ADMIN_RESTART_KEYS_MAX are shown */
};

#endif
