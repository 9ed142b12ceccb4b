#include "event/cloudevents.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/utf8.h"
#include "event/attribute.h"
#include "event/event.h"
#include "json/reader.h"
#include "json/text.h"

/* Names with a meaning, of CloudEvents 1.0 and its JSON format, and of this gateway. */
static const char *const taken_names[] = {
    "specversion",     "id",          "source",  "type",        "subject",  "time",
    "datacontenttype", "dataschema",  "data",    "data_base64", "sequence", "partitionkey",
    "receivedtime",    "timequality", "originid"};
enum { TAKEN_COUNT = sizeof(taken_names) / sizeof(taken_names[0]) };

static const char *const quality_names[] = {
    [CLOCK_UNSYNCED] = "unsynced", [CLOCK_SYNCED] = "synced", [CLOCK_CORRECTED] = "corrected"};

bool cloudevent_name_legal(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!((name.data[i] >= 'a' && name.data[i] <= 'z') ||
              (name.data[i] >= '0' && name.data[i] <= '9')))
            return false;
    return name.len > 0;
}

static bool has(const struct cloudevent *ce, struct slice name)
{
    for (unsigned i = 0; i < ce->count; i++)
        if (slice_equal(ce->attributes[i].name, name))
            return true;
    return false;
}

static bool taken(const struct cloudevent *ce, struct slice name)
{
    for (unsigned i = 0; i < TAKEN_COUNT; i++)
        if (slice_equal_string(name, taken_names[i]))
            return true;
    return has(ce, name);
}

bool cloudevent_add(struct cloudevent *ce, struct slice name, struct slice value)
{
    if (ce->count == CLOUDEVENT_ATTRIBUTES_MAX)
        return false;
    ce->attributes[ce->count++] = (struct cloudevent_attribute){.name = name, .value = value};
    return true;
}

static void add(struct cloudevent *ce, const char *name, struct slice value)
{
    bool added = cloudevent_add(ce, slice_string(name), value);
    assert(added); /* the gateway's own attributes come first and are fewer than the bound */
    (void)added;
}

/* What rules and profiles gave. They may set what is optional in CloudEvents, not what identifies
 * the event. */
static void add_extensions(struct cloudevent *ce, struct slice list)
{
    struct attribute a;
    while (attribute_next(&list, &a) == 0) {
        if (a.kind != ATTRIBUTE_EXTENSION || !cloudevent_name_legal(a.name) || has(ce, a.name))
            continue;
        bool optional = slice_equal_string(a.name, "dataschema") ||
                        slice_equal_string(a.name, "originid") || !taken(ce, a.name);
        if (optional && !cloudevent_add(ce, a.name, a.value))
            return;
    }
}

void cloudevent_describe(const struct event *event, const struct cloudevent_origin *origin,
                         struct cloudevent *ret)
{
    struct cloudevent *ce = ret;
    ce->count = 0;
    ce->datacontenttype = event->content_type;
    ce->data = event->payload;
    ce->user = event->attributes;

    size_t id_len = id_format(origin->stream, origin->offset, ce->id);
    size_t sequence_len = id_sequence(origin->offset, ce->sequence);
    clock_format(event->received_us, ce->received);
    add(ce, "specversion", SLICE_LITERAL("1.0"));
    add(ce, "id", slice_make(ce->id, id_len));
    add(ce, "source", slice_string(origin->source));
    add(ce, "type", event->type);
    add(ce, "subject", event->topic);
    if (event->time_us != EVENT_NO_TIME) {
        clock_format(event->time_us, ce->time);
        add(ce, "time", slice_string(ce->time));
    } else if (event->quality == CLOCK_SYNCED) {
        add(ce, "time", slice_string(ce->received));
    }
    add(ce, "sequence", slice_make(ce->sequence, sequence_len));
    add(ce, "partitionkey", event->device);
    add(ce, "receivedtime", slice_string(ce->received));
    add(ce, "timequality", slice_string(quality_names[event->quality]));
    add_extensions(ce, event->attributes);
}

int cloudevent_next_user(const struct cloudevent *ce, struct slice *list, struct bytes *scratch,
                         struct cloudevent_user *ret)
{
    static const struct slice prefix = {.data = (const uint8_t *)"mqtt", .len = 4};
    struct attribute a;
    int r;
    do {
        r = attribute_next(list, &a);
        if (r == ATTRIBUTE_END)
            return CLOUDEVENT_USER_END;
        if (r)
            return r;
    } while (a.kind != ATTRIBUTE_USER);

    struct cloudevent_user user = {.name = a.name, .value = a.value};
    if (taken(ce, a.name)) {
        bytes_reset(scratch, SIZE_MAX);
        if (bytes_append_slice(scratch, prefix) || bytes_append_slice(scratch, a.name))
            return -ENOMEM;
        user.name = bytes_slice(scratch);
    }
    user.attribute = cloudevent_name_legal(user.name);
    *ret = user;
    return 0;
}

static int append_base64(struct bytes *out, struct slice s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int r = bytes_reserve(out, (s.len + 2) / 3 * 4);
    for (size_t i = 0; !r && i < s.len; i += 3) {
        size_t n = s.len - i < 3 ? s.len - i : 3;
        uint32_t v = (uint32_t)s.data[i] << 16 | (n > 1 ? (uint32_t)s.data[i + 1] << 8 : 0) |
                     (n > 2 ? s.data[i + 2] : 0);
        char group[4] = {digits[v >> 18], digits[v >> 12 & 63], n > 1 ? digits[v >> 6 & 63] : '=',
                         n > 2 ? digits[v & 63] : '='};
        r = bytes_append(out, group, 4);
    }
    return r;
}

/* Whether a media type is JSON: application/json, text/json or the suffix +json, parameters and
 * case ignored [RFC 8259 11, RFC 6839 3.1]. */
static bool type_is_json(struct slice type)
{
    size_t len = 0;
    while (len < type.len && type.data[len] != ';' && type.data[len] != ' ')
        len++;
    const char *text = (const char *)type.data;
    return (len >= 5 && strncasecmp(text + len - 5, "/json", 5) == 0) ||
           (len >= 5 && strncasecmp(text + len - 5, "+json", 5) == 0);
}

static int append_member(struct bytes *out, const char *name, struct slice value)
{
    int r = bytes_append_format(out, ",\"%s\":", name);
    return r ? r : json_append_string(out, value);
}

/* "datacontenttype" and "data" or "data_base64" (JSON event format 3.1). */
static int append_data(const struct cloudevent *ce, struct bytes *out)
{
    static const struct json_options options = {.repeated_keys = true, .text_max_bytes = INT32_MAX};
    bool declared = ce->datacontenttype.len > 0;
    bool may_be_json = !declared || type_is_json(ce->datacontenttype);
    int r = declared ? append_member(out, "datacontenttype", ce->datacontenttype) : 0;
    if (r || ce->data.len == 0)
        return r;
    if (may_be_json) {
        int judged = json_check(ce->data, "payload", &options, NULL);
        if (judged < 0)
            return judged;
        if (judged == 0) {
            r = bytes_append_format(out, ",\"data\":");
            return r ? r : bytes_append_slice(out, ce->data);
        }
    }
    /* Under a JSON type a string would mean a JSON string, which the payload is not. */
    if ((!declared || !may_be_json) && utf8_valid(ce->data)) {
        if (!declared)
            r = append_member(out, "datacontenttype", SLICE_LITERAL("text/plain"));
        return r ? r : append_member(out, "data", ce->data);
    }
    r = bytes_append_format(out, ",\"data_base64\":\"");
    if (!r)
        r = append_base64(out, ce->data);
    return r ? r : bytes_append_u8(out, '"');
}

static bool first_of_name(const struct cloudevent *ce, struct slice before, struct slice name,
                          struct bytes *scratch)
{
    struct cloudevent_user user;
    while (cloudevent_next_user(ce, &before, scratch, &user) == 0)
        if (user.attribute && slice_equal(user.name, name))
            return false;
    return true;
}

/* The device's user properties that can be attributes. */
static int append_user(const struct cloudevent *ce, struct bytes *out)
{
    enum { SCANNED_MAX = 64 }; /* comparing each with all before it is quadratic */
    struct bytes scratch = BYTES_INIT(CLOUDEVENT_NAME_MAX_BYTES);
    struct bytes others = BYTES_INIT(CLOUDEVENT_NAME_MAX_BYTES);
    struct slice list = ce->user;
    struct cloudevent_user user;
    int r = 0, next = 0;
    for (unsigned n = 0; !r && n < SCANNED_MAX; n++) {
        struct slice before = slice_make(ce->user.data, ce->user.len - list.len);
        next = cloudevent_next_user(ce, &list, &scratch, &user);
        if (next)
            break;
        if (!user.attribute || !first_of_name(ce, before, user.name, &others))
            continue;
        r = bytes_append_u8(out, ',');
        if (!r)
            r = json_append_string(out, user.name);
        if (!r)
            r = bytes_append_u8(out, ':');
        if (!r)
            r = json_append_string(out, user.value);
    }
    bytes_deinit(&scratch);
    bytes_deinit(&others);
    return r ? r : next < 0 ? next : 0;
}

int cloudevent_encode_json(const struct cloudevent *ce, struct bytes *out)
{
    int r = bytes_append_u8(out, '{');
    for (unsigned i = 0; !r && i < ce->count; i++) {
        const struct cloudevent_attribute *a = &ce->attributes[i];
        r = bytes_append_format(out, "%s\"%.*s\":", i ? "," : "", SLICE_PRINT(a->name));
        if (!r)
            r = a->bare ? bytes_append_slice(out, a->value) : json_append_string(out, a->value);
    }
    if (!r)
        r = append_user(ce, out);
    if (!r)
        r = append_data(ce, out);
    return r ? r : bytes_append_u8(out, '}');
}
