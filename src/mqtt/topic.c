#include "mqtt/topic.h"

#include "base/utf8.h"

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (uint8_t)(b))
#define HIGH_BITS EACH_BYTE(0x80)

/* High bits where a byte of v is zero (and perhaps in the byte above one: good enough to look
 * closer). */
static inline uint64_t zero_bytes(uint64_t v)
{
    return (v - EACH_BYTE(1)) & ~v;
}

/* Whether eight bytes are plain ASCII without NUL and without wildcards: nearly every name is, and
 * this runs for every PUBLISH. */
static inline bool eight_plain(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return !((v | zero_bytes(v) | zero_bytes(v ^ EACH_BYTE('+')) | zero_bytes(v ^ EACH_BYTE('#'))) &
             HIGH_BITS);
}

static inline bool byte_plain(uint8_t b)
{
    return b && b < 0x80 && b != '+' && b != '#';
}

static bool string_valid(struct slice s)
{
    return s.len && s.len <= MQTT_TOPIC_MAX_BYTES && !memchr(s.data, 0, s.len) && utf8_valid(s);
}

bool mqtt_topic_name_valid(struct slice name)
{
    if (!name.len || name.len > MQTT_TOPIC_MAX_BYTES)
        return false;
    size_t i = 0;
    while (name.len - i >= 8 && eight_plain(name.data + i))
        i += 8;
    while (i < name.len && byte_plain(name.data[i]))
        i++;
    if (i == name.len)
        return true;
    struct slice rest = slice_make(name.data + i, name.len - i); /* begins a code point */
    return !memchr(rest.data, '+', rest.len) && !memchr(rest.data, '#', rest.len) &&
           string_valid(rest);
}

bool mqtt_topic_level_next(struct slice *rest, struct slice *ret_level)
{
    if (!rest->data)
        return false;
    const uint8_t *slash = rest->len ? memchr(rest->data, '/', rest->len) : NULL;
    size_t n = slash ? (size_t)(slash - rest->data) : rest->len;
    *ret_level = slice_make(rest->data, n);
    *rest = slash ? slice_make(slash + 1, rest->len - n - 1) : SLICE_EMPTY;
    return true;
}

static bool has_wildcard(struct slice s)
{
    return s.len && (memchr(s.data, '+', s.len) || memchr(s.data, '#', s.len));
}

/* [MQTT-4.7.1-1..2]; the string itself is known to be valid. */
static bool levels_valid(struct slice filter)
{
    struct slice rest = filter, level;
    while (mqtt_topic_level_next(&rest, &level)) {
        if (level.len > 1 && has_wildcard(level))
            return false;
        if (level.len == 1 && level.data[0] == '#' && rest.data)
            return false;
    }
    return true;
}

bool mqtt_topic_filter_parse(struct slice text, struct mqtt_topic_filter *ret)
{
    static const struct slice share = {.data = (const uint8_t *)"$share/", .len = 7};
    if (!string_valid(text))
        return false;
    struct mqtt_topic_filter f = {.filter = text};
    if (text.len >= share.len && memcmp(text.data, share.data, share.len) == 0) {
        struct slice rest = slice_make(text.data + share.len, text.len - share.len);
        mqtt_topic_level_next(&rest, &f.group);
        if (!f.group.len || has_wildcard(f.group) || !rest.len)
            return false;
        f.filter = rest;
    }
    if (!levels_valid(f.filter))
        return false;
    f.wildcard = has_wildcard(f.filter);
    *ret = f;
    return true;
}

bool mqtt_topic_filter_valid(struct slice filter)
{
    struct mqtt_topic_filter f;
    return mqtt_topic_filter_parse(filter, &f);
}

bool mqtt_topic_matches(struct slice filter, struct slice name)
{
    const uint8_t *f = filter.data, *f_end = f + filter.len;
    const uint8_t *n = name.data, *n_end = n + name.len;
    if (*n == '$' && (*f == '+' || *f == '#'))
        return false;
    for (;;) { /* both stand at the beginning of a level */
        if (f < f_end && *f == '#')
            return true;
        if (f < f_end && *f == '+') {
            f++;
            while (n < n_end && *n != '/')
                n++;
        } else {
            while (f < f_end && *f != '/')
                if (n == n_end || *n++ != *f++)
                    return false;
            if (n < n_end && *n != '/')
                return false;
        }
        if (n == n_end) /* "a/#" matches "a", too */
            return f == f_end || (f_end - f == 2 && f[1] == '#');
        if (f == f_end)
            return false;
        f++;
        n++;
    }
}
