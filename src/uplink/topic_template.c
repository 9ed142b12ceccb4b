#include "uplink/topic_template.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "event/event.h"

static const struct {
    const char *name;
    enum topic_template_value value;
} values[] = {{"topic", TOPIC_TEMPLATE_TOPIC},
              {"device", TOPIC_TEMPLATE_DEVICE},
              {"type", TOPIC_TEMPLATE_TYPE},
              {"stream", TOPIC_TEMPLATE_STREAM},
              {"gateway", TOPIC_TEMPLATE_GATEWAY}};

static int refuse(struct error *error, const char *what, struct slice where)
{
    error_what(error, what, SLICE_PRINT(where));
    error_mend(error, "write text and ${topic}, ${device}, ${type}, ${stream} or ${gateway}, for "
                      "example \"gateways/${gateway}/${topic}\"");
    return -EINVAL;
}

static int add_part(struct topic_template *t, enum topic_template_value value, struct slice text,
                    struct error *error)
{
    if (t->count == TOPIC_TEMPLATE_PARTS_MAX)
        return refuse(error, "the topic template has too many parts at \"%.*s\"", text);
    t->parts[t->count++] = (struct topic_template_part){.value = value, .text = text};
    return 0;
}

/* The reference at text ("${" is there). Sets *ret_len to its length. */
static int parse_reference(struct slice text, struct error *error, size_t *ret_len,
                           enum topic_template_value *ret)
{
    const uint8_t *end = memchr(text.data, '}', text.len);
    if (!end)
        return refuse(error, "the topic template has no \"}\" after \"%.*s\"", text);
    struct slice name = slice_make(text.data + 2, (size_t)(end - text.data) - 2);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        if (slice_equal_string(name, values[i].name)) {
            *ret = values[i].value;
            *ret_len = name.len + 3;
            return 0;
        }
    return refuse(error, "a topic template knows no \"${%.*s}\"", name);
}

int topic_template_parse(const char *text, struct error *error, struct topic_template *ret)
{
    struct topic_template t = {.count = 0};
    struct slice rest = slice_string(text);
    if (rest.len == 0 || rest.len > TOPIC_TEMPLATE_MAX_BYTES)
        return refuse(error, "the topic template is empty or longer than 1024 bytes%.*s",
                      SLICE_EMPTY);
    if (memchr(rest.data, '+', rest.len) || memchr(rest.data, '#', rest.len) || !utf8_valid(rest))
        return refuse(error,
                      "\"%.*s\" has a wildcard or is no UTF-8: nothing can be published "
                      "under such a topic",
                      rest);
    while (rest.len) {
        const uint8_t *reference = memmem(rest.data, rest.len, "${", 2);
        size_t plain = reference ? (size_t)(reference - rest.data) : rest.len;
        size_t len = plain;
        enum topic_template_value value = TOPIC_TEMPLATE_TEXT;
        int r = plain ? 0 : parse_reference(rest, error, &len, &value);
        if (!r)
            r = add_part(&t, value, slice_make(rest.data, len), error);
        if (r)
            return r;
        rest = slice_make(rest.data + len, rest.len - len);
    }
    *ret = t;
    return 0;
}

static int append_sanitised(struct bytes *out, struct slice value)
{
    if (value.len == 0)
        return bytes_append_u8(out, '_');
    size_t start = out->len;
    int r = bytes_append_slice(out, value);
    if (r)
        return r;
    for (uint8_t *c = out->data + start; c < out->data + out->len; c++)
        if (*c == '+' || *c == '#' || *c == 0)
            *c = '_';
    return 0;
}

static struct slice value_of(enum topic_template_value value, const struct event *event,
                             const char *stream, const char *gateway)
{
    switch (value) {
    case TOPIC_TEMPLATE_TOPIC:
        return event->topic;
    case TOPIC_TEMPLATE_DEVICE:
        return event->device;
    case TOPIC_TEMPLATE_TYPE:
        return event->type;
    case TOPIC_TEMPLATE_STREAM:
        return slice_string(stream);
    case TOPIC_TEMPLATE_GATEWAY:
        return slice_string(gateway);
    case TOPIC_TEMPLATE_TEXT:
        break;
    }
    return SLICE_EMPTY;
}

int topic_template_expand(const struct topic_template *t, const struct event *event,
                          const char *stream, const char *gateway, struct bytes *out)
{
    if (topic_template_verbatim(t))
        return bytes_append_slice(out, event->topic);
    int r = 0;
    for (unsigned i = 0; !r && i < t->count; i++)
        r = t->parts[i].value == TOPIC_TEMPLATE_TEXT
                ? bytes_append_slice(out, t->parts[i].text)
                : append_sanitised(out, value_of(t->parts[i].value, event, stream, gateway));
    return r;
}

bool topic_publishable(struct slice topic)
{
    return topic.len >= 1 && topic.len <= TOPIC_MAX_BYTES && !memchr(topic.data, '+', topic.len) &&
           !memchr(topic.data, '#', topic.len) && !memchr(topic.data, 0, topic.len) &&
           utf8_valid(topic);
}
