#ifndef SLUICE_EVENT_ATTRIBUTE_H
#define SLUICE_EVENT_ATTRIBUTE_H
/*
 * The attributes of an event as one byte string, so that they are copied, stored and compressed as
 * a whole and never parsed on the way. Format, repeated:
 *
 *   kind      1 byte, enum attribute_kind
 *   name_len  2 bytes big endian (0 unless the kind has a name)
 *   name      UTF-8
 *   value_len 2 bytes big endian
 *   value     bytes (UTF-8 but for ATTRIBUTE_CORRELATION_DATA)
 *
 * Order is kept: MQTT requires the order of user properties to be preserved [MQTT-3.3.2-17].
 */
#include "base/bytes.h"

enum attribute_kind {
    ATTRIBUTE_USER = 0,           /* MQTT 5.0 User Property: name and value */
    ATTRIBUTE_RESPONSE_TOPIC = 1, /* MQTT 5.0 Response Topic */
    ATTRIBUTE_CORRELATION_DATA = 2,
    ATTRIBUTE_EXTENSION =
        3 /* CloudEvents extension attribute set by the gateway (rules, profiles) */
};

struct attribute {
    enum attribute_kind kind;
    struct slice name;
    struct slice value;
};

/* Appends one. 0, BYTES_FULL, -ENOMEM; name and value at most 65535 bytes (asserted). */
int attribute_append(struct bytes *list, const struct attribute *attribute);

/* Takes the first attribute off *list. 0; ATTRIBUTE_END when nothing is left; -EBADMSG if the list
 * is damaged (then *list is unchanged). */
enum attribute_outcome { ATTRIBUTE_END = 1 };
int attribute_next(struct slice *list, struct attribute *ret);

/* Whether the whole list is well formed: what comes from a disk is checked once. */
bool attribute_list_valid(struct slice list);

#endif
