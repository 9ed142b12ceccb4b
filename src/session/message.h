#ifndef SLUICE_SESSION_MESSAGE_H
#define SLUICE_SESSION_MESSAGE_H
/*
 * From what MQTT says about a message to what the house says: properties become fields and the
 * attribute list of struct event. Pure.
 */
#include <stdbool.h>

#include "base/bytes.h"

struct event;
struct mqtt_properties;

/* Whether clients may publish to a topic: $SYS, $share and $stream are ours (design: listener),
 * other topics that begin with $ are not special. */
bool message_topic_allowed(struct slice topic);

/* Fills content_type, payload_utf8 and attributes of *event. The attribute list (user properties in
 * their order [MQTT-3.3.2-17], response topic, correlation data) is built in scratch, which is
 * emptied before and lent to the event. Without properties it costs nothing. Other properties are
 * between client and server and are not kept. 0, BYTES_FULL (more than scratch may hold; then
 * *event is unchanged), -ENOMEM. */
int message_apply_properties(const struct mqtt_properties *properties, struct bytes *scratch,
                             struct event *event);

#endif
