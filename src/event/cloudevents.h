#ifndef SLUICE_EVENT_CLOUDEVENTS_H
#define SLUICE_EVENT_CLOUDEVENTS_H
/*
 * An event in the terms of CloudEvents 1.0: a list of attributes, a content type, data.
 *
 *   specversion      1.0
 *   id               <stream>/<offset>
 *   source           /gateways/<gateway id>/<epoch>
 *   type             type of the event
 *   subject          topic as the device published it
 *   time             event time; else received time if the clock was synced then; else left out
 *   datacontenttype  Content Type of the device's message; else left out
 *   sequence         offset, 20 digits: the order of the texts is the order of the events
 *   partitionkey     device
 *   receivedtime     when the gateway received it, by its own clock
 *   timequality      what that is worth. synced: the clock was. unsynced: nobody knows. corrected:
 *                    it was not, but what it was off has become known since, so that a replay may
 *                    know better than the first sending did; "time" stays left out all the same
 *   (others)         extensions that rules and profiles gave (ATTRIBUTE_EXTENSION)
 *
 * User properties of the device. In binary mode they share one list with the attributes above, so
 * every name that CloudEvents or this gateway gives a meaning to is taken (whether or not this
 * event has it): a user property of such a name goes on as "mqtt" + name ("mqttid"). All others
 * (traceparent among them) keep their name, place and value, repeated ones too. In structured mode
 * those whose name is a legal attribute name become attributes, the first of a name only; the rest
 * is left out.
 *
 * A view: slices belong to the event it was made from, or to the struct itself. One thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "event/id.h"

struct event;

enum {
    CLOUDEVENT_ATTRIBUTES_MAX = 32, /* of CloudEvents, the gateway, rules and profiles */
    CLOUDEVENT_NAME_MAX_BYTES = 65535 + 4
};

#define CLOUDEVENT_JSON_TYPE "application/cloudevents+json; charset=utf-8"

struct cloudevent_attribute {
    struct slice name; /* a-z 0-9 */
    struct slice value;
    bool bare; /* value is the text of an integer or boolean: JSON writes it without quotes */
};

struct cloudevent {
    struct cloudevent_attribute attributes[CLOUDEVENT_ATTRIBUTES_MAX];
    unsigned count;
    struct slice datacontenttype; /* empty: none */
    struct slice data;            /* empty: none */
    struct slice user;            /* attribute list of the event (attribute.h) */
    char id[ID_TEXT_MAX_BYTES];
    char sequence[ID_SEQUENCE_BYTES];
    char time[CLOCK_TEXT_MAX], received[CLOCK_TEXT_MAX];
};

/* Where the event lives; the strings are borrowed as long as the cloudevent. */
struct cloudevent_origin {
    const char *source; /* id_source() */
    const char *stream;
    uint64_t offset;
};

/* Describes an event. Cannot fail; extensions beyond CLOUDEVENT_ATTRIBUTES_MAX, those with an
 * illegal name or one that is taken, and those given twice are left out. */
void cloudevent_describe(const struct event *event, const struct cloudevent_origin *origin,
                         struct cloudevent *ret);

/* Appends one attribute, slices borrowed. false: no room. */
bool cloudevent_add(struct cloudevent *ce, struct slice name, struct slice value);

/* A user property under the name it may have in binary mode. */
struct cloudevent_user {
    struct slice name, value;
    bool attribute; /* structured mode takes it as an attribute, if it is the first of its name */
};

/* The next user property off *list (start with ce->user). A name that had to be changed is made in
 * *scratch (reset by each call, at most CLOUDEVENT_NAME_MAX_BYTES) and lives until the next call.
 * 0; CLOUDEVENT_USER_END; -EBADMSG for a damaged list; -ENOMEM. */
enum cloudevent_outcome { CLOUDEVENT_USER_END = 1 };
int cloudevent_next_user(const struct cloudevent *ce, struct slice *list, struct bytes *scratch,
                         struct cloudevent_user *ret);

/* Appends the event in the JSON event format. data is embedded as it is if the content type is JSON
 * or absent and the payload is one JSON text; a string if it is UTF-8 (then an absent
 * datacontenttype is said to be text/plain, since absent means JSON there); else data_base64.
 * 0, BYTES_FULL, -ENOMEM, -EBADMSG (damaged attribute list); *out is undefined after a failure. */
int cloudevent_encode_json(const struct cloudevent *ce, struct bytes *out);

/* Whether name is a legal CloudEvents attribute name (a-z, 0-9). */
bool cloudevent_name_legal(struct slice name);

#endif
