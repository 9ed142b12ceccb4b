#ifndef SLUICE_MQTT_TOPIC_H
#define SLUICE_MQTT_TOPIC_H
/*
 * Topic names and topic filters: validity, shared subscriptions, matching, levels [MQTT-4.7],
 * [MQTT-4.8.2]. The same rules under 3.1.1 and 5.0. Stands alone: rooms that know nothing else of
 * MQTT include it. Pure, any thread; slices are borrowed.
 */
#include <stdbool.h>

#include "base/bytes.h"

#define MQTT_TOPIC_MAX_BYTES 65535u /* [MQTT-4.7.3-3] */

/* A name that a message may bear: 1..65535 bytes of well-formed UTF-8 without U+0000 and without
 * wildcards [MQTT-1.5.4-1/2], [MQTT-3.3.2-2], [MQTT-4.7.3-1..3]. */
bool mqtt_topic_name_valid(struct slice name);

/* A filter that a subscription may bear: 1..65535 bytes of UTF-8 without U+0000, `#` only as the
 * whole last level, `+` only as a whole level [MQTT-4.7.1-1..2]; `$share/<group>/<filter>` with a
 * group of at least one byte without wildcards and a valid filter [MQTT-4.8.2-1..2]. */
bool mqtt_topic_filter_valid(struct slice filter);

struct mqtt_topic_filter {
    struct slice group;  /* of a shared subscription; empty if it is none */
    struct slice filter; /* what names are matched against; `$share/<group>/` is cut off */
    bool wildcard;       /* has a `+` or `#` level: can match more than one name */
};

/* Takes a filter apart. False, with *ret untouched, if it is not valid. */
bool mqtt_topic_filter_parse(struct slice text, struct mqtt_topic_filter *ret);

/* Whether a valid filter (of a shared subscription: the part after the group) matches a valid name,
 * byte by byte [MQTT-4.7.3-4]. `#` also matches the level above it; filters that begin with a
 * wildcard do not match names that begin with `$` [MQTT-4.7.2-1]. */
bool mqtt_topic_matches(struct slice filter, struct slice name);

/* Walks the levels of a name or filter. *rest begins as the whole text (not empty) and is consumed;
 * each call sets *ret_level to the next level, which may be empty ("/a" has two levels), and
 * returns true, or returns false at the end. */
bool mqtt_topic_level_next(struct slice *rest, struct slice *ret_level);

#endif
