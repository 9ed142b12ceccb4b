#ifndef SLUICE_GATEWAY_AUDIT_H
#define SLUICE_GATEWAY_AUDIT_H
/* The gateway's own entries in the audit trail ("$audit"): its start, its end, each reload. */

struct queue;

/* Posts a record to the pipeline's queue. actor asked ("system", "signal"), action is what for
 * ("start", "reload", "stop"), result what came of it ("ok", "refused"), detail why (NULL: nothing
 * to add). Any thread. Without memory it is logged. */
void gateway_audit(struct queue *pipeline, const char *actor, const char *action,
                   const char *result, const char *detail);

#endif
