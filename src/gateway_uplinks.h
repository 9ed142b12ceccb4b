#ifndef SLUICE_GATEWAY_UPLINKS_H
#define SLUICE_GATEWAY_UPLINKS_H
/*
 * The uplinks of a gateway, one per configured upstream, and their replacement when a reload
 * changes them: the old one ends first, within its drain time, and its consumer is detached; then
 * the new one is attached and goes on at the same cursor. The main thread.
 */
#include <stdbool.h>

struct gateway_config_snapshot;
struct gateway_uplinks;
struct queue;

int gateway_uplinks_new(struct queue *pipeline, struct gateway_uplinks **ret); /* -ENOMEM */

/* Makes it so: starts what is new, asks what is gone or changed to end. gateway_uplinks_tend() does
 * the rest. */
void gateway_uplinks_apply(struct gateway_uplinks *uplinks, struct gateway_config_snapshot *config);

/* Goes on with replacements. Whether there is still something to do. */
bool gateway_uplinks_tend(struct gateway_uplinks *uplinks);

void gateway_uplinks_request_stop(struct gateway_uplinks *uplinks); /* all of them, for good */
bool gateway_uplinks_stopped(const struct gateway_uplinks *uplinks);
void gateway_uplinks_join(struct gateway_uplinks *uplinks); /* waits for their threads */
struct gateway_uplinks *gateway_uplinks_free(struct gateway_uplinks *uplinks); /* NULL ok */

#endif
