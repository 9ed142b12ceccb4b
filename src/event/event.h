#ifndef SLUICE_EVENT_EVENT_H
#define SLUICE_EVENT_EVENT_H
/*
 * struct event: the noun of the house. One message of one device, as it was admitted, with what is
 * known about it. A view: all slices belong to the batch or segment it was taken from and live as
 * long as that. Pure, no thread of its own.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"

enum {
    EVENT_TOPIC_MAX_BYTES = 65535,
    EVENT_TEXT_MAX_BYTES = 65535,        /* device, type, client, content type */
    EVENT_ATTRIBUTES_MAX_BYTES = 1 << 20 /* all attributes of one event, encoded */
};

#define EVENT_NO_TIME INT64_MIN

struct event {
    struct slice topic;         /* as published, aliases resolved; never empty */
    struct slice device;        /* partition key; UTF-8, never empty */
    struct slice type;          /* CloudEvents type; UTF-8, never empty */
    struct slice client;        /* MQTT client identifier of the sender; may be empty */
    struct slice username;      /* of the sender; may be empty; not stored */
    struct slice content_type;  /* MQTT 5.0 Content Type; empty: none */
    struct slice attributes;    /* encoded attribute list, see attribute.h; empty: none */
    struct slice payload;       /* verbatim bytes */
    int64_t received_us;        /* wall clock of reception, microseconds UTC */
    int64_t time_us;            /* event time from the payload, or EVENT_NO_TIME */
    enum clock_quality quality; /* of received_us */
    uint8_t qos;                /* 0..2, as published */
    bool retain;                /* retain flag of the PUBLISH */
    bool payload_utf8;          /* MQTT 5.0 Payload Format Indicator 1 */
};

#endif
