#include "config/value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/result.h"

enum { HOST_MAX_BYTES = 253 }; /* of a DNS name [RFC 1035 2.3.4, as text] */

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit sizes[] = {{"PiB", INT64_C(1) << 50},
                                    {"TiB", INT64_C(1) << 40},
                                    {"TB", INT64_C(1000000000000)},
                                    {"GiB", INT64_C(1) << 30},
                                    {"GB", 1000000000},
                                    {"MiB", 1 << 20},
                                    {"MB", 1000000},
                                    {"KiB", 1 << 10},
                                    {"KB", 1000},
                                    {"kB", 1000},
                                    {"B", 1}};

static const struct unit durations[] = {{"w", INT64_C(604800000000)},
                                        {"d", INT64_C(86400000000)},
                                        {"h", INT64_C(3600000000)},
                                        {"m", 60000000},
                                        {"s", 1000000},
                                        {"ms", 1000},
                                        {"us", 1}};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* Digits at *text; moves *text behind them. */
static int read_number(const char **text, int64_t *ret)
{
    const char *p = *text;
    int64_t value = 0;
    if (!isdigit((unsigned char)*p))
        return CONFIG_VALUE_BAD;
    for (; isdigit((unsigned char)*p); p++)
        if (__builtin_mul_overflow(value, INT64_C(10), &value) ||
            __builtin_add_overflow(value, (int64_t)(*p - '0'), &value))
            return CONFIG_VALUE_HUGE;
    *text = p;
    *ret = value;
    return 0;
}

int config_parse_int(const char *text, int64_t *ret)
{
    const char *p = text;
    bool negative = *p == '-';
    int64_t value = 0;
    if (strcmp(text, "-9223372036854775808") == 0) { /* has no positive counterpart */
        *ret = INT64_MIN;
        return 0;
    }
    if (negative)
        p++;
    int r = read_number(&p, &value);
    if (r || *p)
        return r ? r : CONFIG_VALUE_BAD;
    *ret = negative ? -value : value;
    return 0;
}

int config_parse_size(const char *text, int64_t *ret_bytes)
{
    int64_t value = 0;
    int r = read_number(&text, &value);
    if (r)
        return r;
    if (!*text) {
        *ret_bytes = value;
        return 0;
    }
    if (*text == ' ')
        text++;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        if (strcmp(text, sizes[i].name) != 0)
            continue;
        if (__builtin_mul_overflow(value, sizes[i].factor, &value))
            return CONFIG_VALUE_HUGE;
        *ret_bytes = value;
        return 0;
    }
    return CONFIG_VALUE_BAD;
}

/* The unit that is exactly the letters at *text; moves *text behind them. */
static const struct unit *read_duration_unit(const char **text)
{
    size_t len = 0;
    while (isalpha((unsigned char)(*text)[len]))
        len++;
    for (size_t i = 0; i < COUNT(durations); i++)
        if (strlen(durations[i].name) == len && memcmp(durations[i].name, *text, len) == 0) {
            *text += len;
            return &durations[i];
        }
    return NULL;
}

int config_parse_duration(const char *text, int64_t *ret_us)
{
    const struct unit *last = NULL;
    int64_t total = 0;
    do {
        int64_t value = 0;
        int r = read_number(&text, &value);
        if (r)
            return r;
        const struct unit *unit = !*text && !last ? &durations[COUNT(durations) - 2] /* ms */
                                                  : read_duration_unit(&text);
        if (!unit || (last && unit <= last))
            return CONFIG_VALUE_BAD;
        if (__builtin_mul_overflow(value, unit->factor, &value) ||
            __builtin_add_overflow(total, value, &total))
            return CONFIG_VALUE_HUGE;
        last = unit;
    } while (*text);
    *ret_us = total;
    return 0;
}

static int parse_port(const char *text, uint16_t *ret)
{
    int64_t port = 0;
    if (!isdigit((unsigned char)*text) || config_parse_int(text, &port) || port > UINT16_MAX)
        return CONFIG_VALUE_BAD;
    *ret = (uint16_t)port;
    return 0;
}

/* Letters of names and IPv4, or of IPv6 (with a zone) within brackets. Whether it resolves, only
 * the resolver knows. */
static bool host_ok(const char *host, size_t len, bool brackets)
{
    if (!len || len > HOST_MAX_BYTES)
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)host[i];
        if (!isalnum(c) && !strchr(brackets ? ":.%-_" : ".-_", c))
            return false;
    }
    return !brackets || memchr(host, ':', len);
}

int config_parse_address(const char *text, struct config_address *ret)
{
    struct config_address address = {.host = NULL};
    if (strncmp(text, "unix:", 5) == 0) {
        if (!text[5])
            return CONFIG_VALUE_BAD;
        address.path = strdup(text + 5);
        *ret = address;
        return address.path ? 0 : result_origin(-ENOMEM);
    }
    bool brackets = *text == '[';
    const char *host = text + brackets;
    const char *end = strchr(host, brackets ? ']' : ':');
    if (!end || !host_ok(host, (size_t)(end - host), brackets))
        return CONFIG_VALUE_BAD;
    if (brackets)
        end++;
    if (*end != ':' || parse_port(end + 1, &address.port))
        return CONFIG_VALUE_BAD;
    address.host = strndup(host, (size_t)(end - host) - brackets);
    if (!address.host)
        return result_origin(-ENOMEM);
    *ret = address;
    return 0;
}

void config_address_deinit(struct config_address *address)
{
    free(take_ptr(address->host));
    free(take_ptr(address->path));
    address->port = 0;
}

const char *config_format_size(int64_t bytes, char out[CONFIG_VALUE_TEXT_MAX])
{
    size_t i = 0;
    while (bytes % sizes[i].factor || (!bytes && sizes[i].factor > 1))
        i++; /* the last one divides everything */
    snprintf(out, CONFIG_VALUE_TEXT_MAX, "%" PRId64 "%s", bytes / sizes[i].factor, sizes[i].name);
    return out;
}

const char *config_format_duration(int64_t us, char out[CONFIG_VALUE_TEXT_MAX])
{
    int n = 0;
    for (size_t i = 1; i < COUNT(durations); i++) { /* from days: "9d" reads better than "1w2d" */
        int64_t value = us / durations[i].factor;
        us %= durations[i].factor;
        if (value)
            n += snprintf(out + n, (size_t)(CONFIG_VALUE_TEXT_MAX - n), "%" PRId64 "%s", value,
                          durations[i].name);
    }
    if (!n)
        snprintf(out, CONFIG_VALUE_TEXT_MAX, "0s");
    return out;
}
