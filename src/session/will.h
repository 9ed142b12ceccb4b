#ifndef SLUICE_SESSION_WILL_H
#define SLUICE_SESSION_WILL_H
/*
 * The will of a client [MQTT-3.1.2-7] to [MQTT-3.1.2-10]: a PUBLISH the gateway makes in its name
 * when the connection is lost. Kept as one block of memory; its delay is taken as 0, which the
 * standard allows wherever the session ends with the connection.
 */
#include <stdbool.h>

#include "base/bytes.h"

struct event;
struct mqtt_will;
struct will; /* topic, content type, attributes, payload: copies */

/* Copies a will out of a CONNECT. scratch as in message.h. 0, BYTES_FULL (properties beyond the
 * bound of attributes), -ENOMEM. */
int will_new(const struct mqtt_will *packet, struct bytes *scratch, struct will **ret);
struct will *will_free(struct will *will); /* NULL accepted; returns NULL */

/* The message of a will; borrows from it. client and username are left empty. */
void will_event(const struct will *will, struct event *ret);

#endif
