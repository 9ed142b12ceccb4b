#ifndef SLUICE_ADMIN_STATUS_H
#define SLUICE_ADMIN_STATUS_H
/*
 * The document of GET /api/v1/status, from struct admin_info and the metric sets:
 *
 *   { "version", "gateway", "epoch", "uptime_seconds", "state", "trouble",
 *     "config":    { "file", "loaded_at", "restart_required": [ key ] },
 *     "store":     { field: value },                      metrics of the process
 *     "listeners": { name: { field: value } },
 *     "streams":   { name: { field: value } },
 *     "upstreams": { name: { "state", "trouble", field: value,
 *                            "streams": { name: { field: value } } } } }
 *
 * The fields are those of metrics_table: a new row shows up by itself. Integers are exact up to 64
 * bits. Unknown texts are null. Any thread.
 */
#include <stdbool.h>

#include "base/bytes.h"

struct admin_info;

/* Appends the document. 0, BYTES_FULL, -ENOMEM. */
int status_write(const struct admin_info *info, struct bytes *out);

/* "starting", "running", "degraded" or "stopping". Static. */
const char *status_state(const struct admin_info *info);

/* Whether events are taken: the gateway runs and its store can be written. */
bool status_ready(const struct admin_info *info);

/* Why not, in one sentence; NULL if ready and nothing is the matter. Static. */
const char *status_trouble(const struct admin_info *info);

#endif
