#ifndef SLUICE_UPLINK_TOPIC_TEMPLATE_H
#define SLUICE_UPLINK_TOPIC_TEMPLATE_H
/*
 * The upstream topic of an event, from a template with ${topic}, ${device}, ${type}, ${stream} and
 * ${gateway}. "${topic}" alone passes the topic on as it came. Otherwise the values are sanitised:
 * what may not stand in a topic name [MQTT-3.3.2-2] [MQTT-1.5.4-2] ('+', '#', U+0000) becomes '_',
 * an empty value becomes "_", so that no value can widen or empty the topic. Pure.
 */
#include <stdbool.h>

#include "base/bytes.h"

struct error;
struct event;

enum {
    TOPIC_TEMPLATE_PARTS_MAX = 32,
    TOPIC_TEMPLATE_MAX_BYTES = 1024,
    TOPIC_MAX_BYTES = 65535 /* of a topic name [MQTT-4.7.3-3] */
};

enum topic_template_value {
    TOPIC_TEMPLATE_TEXT,
    TOPIC_TEMPLATE_TOPIC,
    TOPIC_TEMPLATE_DEVICE,
    TOPIC_TEMPLATE_TYPE,
    TOPIC_TEMPLATE_STREAM,
    TOPIC_TEMPLATE_GATEWAY
};

struct topic_template {
    struct topic_template_part {
        enum topic_template_value value;
        struct slice text; /* TOPIC_TEMPLATE_TEXT: into the text parsed */
    } parts[TOPIC_TEMPLATE_PARTS_MAX];
    unsigned count;
};

/* text is borrowed and outlives the template. 0, or -EINVAL with what and mend of *error (may be
 * NULL) filled. */
int topic_template_parse(const char *text, struct error *error, struct topic_template *ret);

/* Whether the topic goes through unchanged. */
static inline bool topic_template_verbatim(const struct topic_template *t)
{
    return t->count == 1 && t->parts[0].value == TOPIC_TEMPLATE_TOPIC;
}

/* Appends the topic. 0, BYTES_FULL, -ENOMEM. */
int topic_template_expand(const struct topic_template *t, const struct event *event,
                          const char *stream, const char *gateway, struct bytes *out);

/* Whether a PUBLISH may carry it: 1..65535 bytes of UTF-8 without '+', '#' and U+0000. */
bool topic_publishable(struct slice topic);

#endif
