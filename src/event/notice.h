#ifndef SLUICE_EVENT_NOTICE_H
#define SLUICE_EVENT_NOTICE_H
/*
 * Notices: the events that the gateway itself writes, into streams of its own that are stored,
 * forwarded and replayed like any other. The payload is one flat JSON object; the topic is
 * "sluice/<gateway id>/<kind>", never below "$", which clouds forbid.
 *
 *   gap     events that an upstream will never get, and why:
 *           {"stream", "from", "to", "count", "reason", "upstream"?, "epoch"?}
 *           from is the first offset, to the one after the last; both null where the events never
 *           had any
 *   epoch   offsets go on under another epoch: {"epoch", "previous", "reason"}
 *   state   something is in another state: {"subject", "state", "was"?, ...}
 *   alarm   something needs a person: {"subject", "raised", ...}; raised is false when it is over
 *   audit   who asked for what and what came of it: {"actor", "action", "result", ...}
 *
 * A struct notice is filled member by member; a failure on the way (memory, NOTICE_MAX_BYTES) is
 * kept and told at the end. One thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"

struct event;

enum { NOTICE_MAX_BYTES = 16 * 1024, NOTICE_TOPIC_MAX_BYTES = 256 };

enum notice_kind { NOTICE_GAP, NOTICE_EPOCH, NOTICE_STATE, NOTICE_ALARM, NOTICE_AUDIT };

struct notice {
    enum notice_kind kind;
    struct bytes json;
    int failure; /* the first one; 0: none */
    char topic[NOTICE_TOPIC_MAX_BYTES];
};

void notice_init(struct notice *notice, enum notice_kind kind);
void notice_deinit(struct notice *notice);

/* Members; names are static and need no escaping. text NULL writes null. */
void notice_add_text(struct notice *notice, const char *name, const char *text);
void notice_add_slice(struct notice *notice, const char *name, struct slice text);
void notice_add_number(struct notice *notice, const char *name, uint64_t number);
void notice_add_integer(struct notice *notice, const char *name, int64_t number);
void notice_add_null(struct notice *notice, const char *name);
void notice_add_bool(struct notice *notice, const char *name, bool value);

/* "sluice/<gateway id>/<kind>"; what may not stand in a topic level of a gateway id becomes "_". */
void notice_topic(const char *gateway_id, const char *kind, char out[NOTICE_TOPIC_MAX_BYTES]);

/* Ends the object and describes it as an event whose device is the gateway; the slices of *ret live
 * as long as notice (the strings given too). 0 or the first failure: BYTES_FULL, -ENOMEM. */
int notice_finish(struct notice *notice, const char *gateway_id, const struct clock_stamp *stamp,
                  struct event *ret);

#endif
