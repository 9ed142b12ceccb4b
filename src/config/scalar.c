/*
 * Every scalar is brought to text first (a string's own, a number's digits, "true") and parsed from
 * there; so a document, a default and a substituted "${env:PORT}" share one parser per type.
 */
#include "config/scalar.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "config/internal.h"
#include "config/load.h"
#include "config/value.h"

enum { SHOWN_MAX_BYTES = 64, NUMBER_MAX_BYTES = 64 };

const char *config_type_text(enum config_type type)
{
    static const char *const texts[] = {
        [CONFIG_BOOL] = "true or false",
        [CONFIG_INT] = "a whole number",
        [CONFIG_SIZE] = "a size such as \"512MiB\" or \"1MB\", or a number of bytes",
        [CONFIG_DURATION] = "a duration such as \"100ms\", \"1h30m\" or \"7d\", or a number of "
                            "milliseconds",
        [CONFIG_STRING] = "a string",
        [CONFIG_ENUM] = "a string",
        [CONFIG_PATH] = "a path in a string",
        [CONFIG_ADDRESS] = "an address such as \"127.0.0.1:1883\", \"[::1]:1883\" or "
                           "\"unix:/run/x.sock\"",
        [CONFIG_STRINGS] = "an array of strings",
        [CONFIG_SECTION] = "an object",
        [CONFIG_LIST] = "an array of objects",
        [CONFIG_MAP] = "an object of objects"};
    return texts[type];
}

static const char *format_number(enum config_type type, int64_t value,
                                 char out[CONFIG_VALUE_TEXT_MAX])
{
    if (type == CONFIG_SIZE)
        return config_format_size(value, out);
    if (type == CONFIG_DURATION)
        return config_format_duration(value, out);
    snprintf(out, CONFIG_VALUE_TEXT_MAX, "%" PRId64, value);
    return out;
}

const char *config_key_range(const struct config_key *key, char out[CONFIG_RANGE_TEXT_MAX])
{
    char low[CONFIG_VALUE_TEXT_MAX], high[CONFIG_VALUE_TEXT_MAX];
    const char *unit = key->unit ? key->unit : "", *space = key->unit ? " " : "";
    format_number(key->type, key->min, low);
    out[0] = '\0';
    if (key->max)
        snprintf(out, CONFIG_RANGE_TEXT_MAX, "%s to %s%s%.32s", low,
                 format_number(key->type, key->max, high), space, unit);
    else if (key->min)
        snprintf(out, CONFIG_RANGE_TEXT_MAX, "at least %s%s%.32s", low, space, unit);
    return out;
}

/* Whether a string came from the environment or a secret file. */
static bool from_outside(const struct config_reading *reading, const cJSON *node)
{
    return node && reading->doc && !reading->is_default &&
           config_document_origin(reading->doc, node) != CONFIG_WRITTEN;
}

/* The value for a message: quoted if a string, hidden if it came from outside the document. */
static const char *shown(const struct config_reading *reading, const cJSON *node, const char *text,
                         char out[SHOWN_MAX_BYTES + 8])
{
    const char *quote = node && cJSON_IsString(node) ? "\"" : "";
    if (from_outside(reading, node))
        snprintf(out, SHOWN_MAX_BYTES + 8, "what was substituted");
    else
        snprintf(out, SHOWN_MAX_BYTES + 8, "%s%.*s%s", quote, SHOWN_MAX_BYTES, text, quote);
    return out;
}

static int complain_value(const struct config_reading *reading, const struct config_key *key,
                          const cJSON *node, const char *text)
{
    char buffer[SHOWN_MAX_BYTES + 8];
    return config_complain(reading, node, "", "%s must be %s, not %s", reading->path,
                           config_type_text(key->type), shown(reading, node, text, buffer));
}

static int set_number(const struct config_reading *reading, const struct config_key *key,
                      const cJSON *node, const char *text, int64_t *field)
{
    int64_t value = 0;
    int r = key->type == CONFIG_SIZE       ? config_parse_size(text, &value)
            : key->type == CONFIG_DURATION ? config_parse_duration(text, &value)
                                           : config_parse_int(text, &value);
    char buffer[SHOWN_MAX_BYTES + 8], range[CONFIG_RANGE_TEXT_MAX];
    char mend[CONFIG_RANGE_TEXT_MAX + 32] = "";
    if (r == CONFIG_VALUE_BAD)
        return complain_value(reading, key, node, text);
    bool bounded = key->min || key->max || key->type != CONFIG_INT;
    bool outside = r || (bounded && value < key->min) || (key->max && value > key->max);
    if (!outside) {
        *field = value;
        return 0;
    }
    config_key_range(key, range);
    if (range[0])
        snprintf(mend, sizeof mend, "allowed: %s", range);
    return config_complain(reading, node, mend, "%s is %s, out of bounds%s%s%s", reading->path,
                           shown(reading, node, text, buffer), range[0] ? " (" : "", range,
                           range[0] ? ")" : "");
}

static int set_bool(const struct config_reading *reading, const struct config_key *key,
                    const cJSON *node, const char *text, bool *field)
{
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0)
        return complain_value(reading, key, node, text);
    *field = yes;
    return 0;
}

static int set_enum(const struct config_reading *reading, const struct config_key *key,
                    const cJSON *node, const char *text, void *field)
{
    const char *names[CONFIG_KEYS_MAX + 1] = {NULL};
    char known[256] = "", mend[128] = "", buffer[SHOWN_MAX_BYTES + 8];
    size_t n = 0;
    for (size_t i = 0; key->names[i].name; i++) {
        assert(i < CONFIG_KEYS_MAX);
        if (strcmp(key->names[i].name, text) == 0) {
            memcpy(field, &key->names[i].value, sizeof key->names[i].value);
            return 0;
        }
        names[i] = key->names[i].name;
        if (n < sizeof known)
            n += (size_t)snprintf(known + n, sizeof known - n, "%s\"%s\"", i ? ", " : "",
                                  key->names[i].name);
    }
    const char *near = config_suggest(text, names);
    if (near)
        snprintf(mend, sizeof mend, "did you mean \"%s\"?", near);
    return config_complain(reading, node, mend, "%s must be one of %s, not %s", reading->path,
                           known, shown(reading, node, text, buffer));
}

static char *resolve(const struct config_reading *reading, const cJSON *node, const char *path)
{
    if (!reading->doc)
        return strdup(path);
    return config_document_resolve(reading->doc, reading->is_default ? NULL : node, path);
}

static int set_string(const struct config_reading *reading, const struct config_key *key,
                      const cJSON *node, const char *text, char **field)
{
    size_t len = strlen(text), max = config_key_max(key, CONFIG_STRING_MAX_BYTES);
    if (len > max || len < (size_t)key->min)
        return config_complain(reading, node, "",
                               "%s has %zu bytes, allowed are %" PRId64 " to %zu", reading->path,
                               len, key->min, max);
    if (key->type == CONFIG_PATH && !len)
        return config_complain(reading, node, "", "%s is an empty path", reading->path);
    *field = key->type == CONFIG_PATH ? resolve(reading, node, text) : strdup(text);
    return *field ? 0 : config_no_memory(reading);
}

static int set_address(const struct config_reading *reading, const struct config_key *key,
                       const cJSON *node, const char *text, struct config_address *field)
{
    struct config_address address = {.host = NULL};
    int r = config_parse_address(text, &address);
    if (r == CONFIG_VALUE_BAD)
        return complain_value(reading, key, node, text);
    if (r)
        return config_no_memory(reading);
    if (address.path) {
        char *path = resolve(reading, node, address.path);
        config_address_deinit(&address);
        if (!path)
            return config_no_memory(reading);
        address.path = path;
    }
    *field = address;
    return 0;
}

static int set_text(const struct config_reading *reading, const struct config_key *key,
                    const cJSON *node, const char *text, void *field)
{
    switch (key->type) {
    case CONFIG_BOOL:
        return set_bool(reading, key, node, text, field);
    case CONFIG_INT:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        return set_number(reading, key, node, text, field);
    case CONFIG_STRING:
    case CONFIG_PATH:
        return set_string(reading, key, node, text, field);
    case CONFIG_ENUM:
        return set_enum(reading, key, node, text, field);
    case CONFIG_ADDRESS:
        return set_address(reading, key, node, text, field);
    case CONFIG_STRINGS:
    case CONFIG_SECTION:
    case CONFIG_LIST:
    case CONFIG_MAP:
        break;
    }
    assert(false); /* not a scalar */
    return -EINVAL;
}

static bool null_default(const struct config_key *key)
{
    return !key->default_text &&
           (key->type == CONFIG_STRING || key->type == CONFIG_PATH || key->type == CONFIG_ADDRESS);
}

int config_scalar_read(const struct config_reading *reading, const struct config_key *key,
                       const cJSON *node, void *field)
{
    char number[NUMBER_MAX_BYTES + 1];
    bool takes_number =
        key->type == CONFIG_INT || key->type == CONFIG_SIZE || key->type == CONFIG_DURATION;
    if (cJSON_IsNull(node) && null_default(key) && !key->required)
        return 0; /* the field is zero already */
    if (cJSON_IsBool(node) && key->type == CONFIG_BOOL)
        return set_text(reading, key, node, cJSON_IsTrue(node) ? "true" : "false", field);
    if (cJSON_IsNumber(node) && takes_number) {
        struct slice raw = json_document_raw(reading->json, node);
        snprintf(number, sizeof number, "%.*s", SLICE_PRINT(raw));
        return set_text(reading, key, node, number, field);
    }
    bool takes_string =
        from_outside(reading, node) || (key->type != CONFIG_BOOL && key->type != CONFIG_INT);
    if (cJSON_IsString(node) && takes_string)
        return set_text(reading, key, node, node->valuestring, field);
    return config_complain(reading, node, "", "%s must be %s, not %s", reading->path,
                           config_type_text(key->type), json_type_text(node));
}

int config_scalar_default(const struct config_reading *reading, const struct config_key *key,
                          void *field)
{
    if (null_default(key))
        return 0;
    assert(key->default_text); /* every key has a default */
    return set_text(reading, key, NULL, key->default_text, field);
}
