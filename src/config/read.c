/*
 * Walks a document along the rows of a section. Defaults take the same way: their text is read by
 * the code that reads a document's value, so that a row cannot have a default it would refuse.
 */
#include "config/read.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/result.h"
#include "config/internal.h"
#include "config/load.h"
#include "config/scalar.h"
#include "config/value.h"

enum { NAME_MAX_BYTES = 128 }; /* of an entry of a map */

__attribute__((format(printf, 4, 5))) int config_complain(const struct config_reading *reading,
                                                          const cJSON *node, const char *mend,
                                                          const char *format, ...)
{
    if (!reading->error)
        return -EINVAL;
    char what[sizeof reading->error->what];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    json_document_where(reading->json, node, reading->error);
    if (!reading->error->where[0] && reading->doc)
        error_where(reading->error, "%s", config_document_file(reading->doc, 0));
    error_what(reading->error, "%s", what);
    error_mend(reading->error, "%s", mend);
    return -EINVAL;
}

int config_no_memory(const struct config_reading *reading)
{
    error_what(reading->error, "out of memory");
    return result_origin(-ENOMEM);
}

__attribute__((format(printf, 2, 3))) static size_t path_push(struct config_reading *reading,
                                                              const char *format, ...)
{
    size_t before = reading->path_len;
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(reading->path + before, sizeof reading->path - before, format, arguments);
    va_end(arguments);
    if (n > 0)
        reading->path_len += (size_t)n;
    if (reading->path_len >= sizeof reading->path)
        reading->path_len = sizeof reading->path - 1; /* cut, for messages only */
    return before;
}

static size_t path_push_key(struct config_reading *reading, const char *name)
{
    return path_push(reading, "%s%s", reading->path_len ? "." : "", name);
}

static void path_pop(struct config_reading *reading, size_t before)
{
    reading->path_len = before;
    reading->path[before] = '\0';
}

const char *config_known_names(const struct config_section *section, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < section->count && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s", i ? ", " : "", section->keys[i].name);
    return out;
}

static int complain_unknown(struct config_reading *reading, const struct config_section *section,
                            const cJSON *node)
{
    const char *names[CONFIG_KEYS_MAX + 1] = {NULL};
    char mend[512], known[400];
    assert(section->count <= CONFIG_KEYS_MAX);
    for (size_t i = 0; i < section->count; i++)
        names[i] = section->keys[i].name;
    const char *near = config_suggest(node->string, names);
    if (near)
        snprintf(mend, sizeof mend, "did you mean \"%s\"?", near);
    else
        snprintf(mend, sizeof mend, "the keys here are: %s",
                 config_known_names(section, known, sizeof known));
    config_complain(reading, node, mend, "unknown key \"%.64s\" in %s", node->string,
                    reading->path_len ? reading->path : "the configuration");
    struct json_place place = json_document_key_place(reading->json, node);
    if (place.line)
        error_where(reading->error, "%s:%zu:%zu", place.name, place.line, place.column);
    return -EINVAL;
}

static const cJSON *member(const cJSON *object, const char *name)
{
    const cJSON *item = object ? object->child : NULL;
    while (item && strcmp(item->string, name) != 0)
        item = item->next;
    return item;
}

static int complain_type(struct config_reading *reading, const struct config_key *key,
                         const cJSON *node)
{
    return config_complain(reading, node, "", "%s must be %s, not %s", reading->path,
                           config_type_text(key->type), json_type_text(node));
}

static int read_section(struct config_reading *reading, const struct config_section *section,
                        const cJSON *node, void *value);

static int read_strings(struct config_reading *reading, const struct config_key *key,
                        const cJSON *node, struct config_strings *strings)
{
    size_t max = config_key_max(key, CONFIG_LIST_MAX);
    size_t count = cJSON_IsArray(node) ? (size_t)cJSON_GetArraySize(node) : 1;
    const cJSON *item = cJSON_IsArray(node) ? node->child : node;
    if (!cJSON_IsArray(node) && !cJSON_IsString(node))
        return complain_type(reading, key, node);
    if (count > max || count < (size_t)key->min)
        return config_complain(reading, node, "",
                               "%s has %zu entries, allowed are %" PRId64 " to %zu", reading->path,
                               count, key->min, max);
    strings->items = count ? calloc(count, sizeof *strings->items) : NULL;
    if (count && !strings->items)
        return config_no_memory(reading);
    for (; item; item = cJSON_IsArray(node) ? item->next : NULL) {
        if (!cJSON_IsString(item))
            return config_complain(reading, item, "", "%s[%zu] must be a string, not %s",
                                   reading->path, strings->count, json_type_text(item));
        if (strlen(item->valuestring) > CONFIG_STRING_MAX_BYTES)
            return config_complain(reading, item, "", "%s[%zu] is longer than %d bytes",
                                   reading->path, strings->count, CONFIG_STRING_MAX_BYTES);
        strings->items[strings->count] = strdup(item->valuestring);
        if (!strings->items[strings->count])
            return config_no_memory(reading);
        strings->count++;
    }
    return 0;
}

/* Makes room for count more entries; they become visible one by one, so that what was read of an
 * entry is always released. */
static int reserve_entries(struct config_reading *reading, const struct config_key *key,
                           const cJSON *node, size_t more, struct config_entries *entries)
{
    size_t max = config_key_max(key, CONFIG_LIST_MAX), count = entries->count + more;
    if (count > max || count < (size_t)key->min)
        return config_complain(reading, node, "",
                               "%s has %zu entries, allowed are %" PRId64 " to %zu", reading->path,
                               count, key->min, max);
    if (!more)
        return 0;
    void *items = reallocarray(entries->items, count, key->section->size);
    if (!items)
        return config_no_memory(reading);
    entries->items = items;
    memset(config_entry(key, entries, entries->count), 0, more * key->section->size);
    return 0;
}

/* Two entries of a list with one name: later settings would refer to both. */
static int check_names(struct config_reading *reading, const struct config_key *key,
                       const cJSON *node, const struct config_entries *entries)
{
    const struct config_key *name = config_section_key(key->section, "name");
    if (!name || name->type != CONFIG_STRING)
        return 0;
    for (size_t i = 1; i < entries->count; i++) {
        const char *a = *(char **)(void *)((char *)config_entry(key, entries, i) + name->offset);
        for (size_t k = 0; k < i && a; k++) {
            const char *b =
                *(char **)(void *)((char *)config_entry(key, entries, k) + name->offset);
            if (!b || strcmp(a, b) != 0)
                continue;
            const cJSON *second = cJSON_GetArrayItem(node, (int)i);
            struct json_place first =
                json_document_place(reading->json, cJSON_GetArrayItem(node, (int)k));
            return config_complain(reading, second, "give each its own name",
                                   "%s[%zu] has the name \"%.64s\" of %s[%zu] at %s:%zu:%zu",
                                   reading->path, i, a, reading->path, k, first.name, first.line,
                                   first.column);
        }
    }
    return 0;
}

static int read_list(struct config_reading *reading, const struct config_key *key,
                     const cJSON *node, struct config_entries *entries)
{
    if (!cJSON_IsArray(node))
        return complain_type(reading, key, node);
    int r = reserve_entries(reading, key, node, (size_t)cJSON_GetArraySize(node), entries);
    const cJSON *item = node->child;
    for (size_t i = 0; item && !r; item = item->next, i++) {
        size_t before = path_push(reading, "[%zu]", i);
        entries->count++;
        r = read_section(reading, key->section, item, config_entry(key, entries, i));
        path_pop(reading, before);
    }
    return r ? r : check_names(reading, key, node, entries);
}

static int read_map_entry(struct config_reading *reading, const struct config_key *key,
                          const cJSON *item, struct config_entries *entries)
{
    void *entry = config_entry(key, entries, entries->count);
    size_t len = strlen(item->string);
    if (!len || len > NAME_MAX_BYTES)
        return config_complain(reading, item, "", "a name in %s must have 1 to %d bytes, not %zu",
                               reading->path, NAME_MAX_BYTES, len);
    entries->count++;
    *config_entry_name(key, entry) = strdup(item->string);
    if (!*config_entry_name(key, entry))
        return config_no_memory(reading);
    size_t before = path_push_key(reading, item->string);
    int r = read_section(reading, key->section, item, entry);
    path_pop(reading, before);
    return r;
}

/* The members of node; those that given has too are left out (given may be NULL). */
static int read_map(struct config_reading *reading, const struct config_key *key, const cJSON *node,
                    const cJSON *given, struct config_entries *entries)
{
    size_t count = 0;
    if (!cJSON_IsObject(node))
        return complain_type(reading, key, node);
    for (const cJSON *item = node->child; item; item = item->next)
        count += !member(given, item->string);
    int r = reserve_entries(reading, key, node, count, entries);
    for (const cJSON *item = node->child; item && !r; item = item->next)
        if (!member(given, item->string))
            r = read_map_entry(reading, key, item, entries);
    return r;
}

/* The default of a STRINGS, LIST or MAP, which is a little document of its own. */
static int read_default_text(struct config_reading *reading, const struct config_key *key,
                             const cJSON *given, void *field)
{
    struct json_document *doc = NULL;
    const char *empty = key->type == CONFIG_MAP ? "{}" : "[]";
    const char *text = key->default_text ? key->default_text : empty;
    struct config_reading own = *reading;
    int r = json_document_parse(slice_string(text), "default", NULL, reading->error, &doc);
    assert(r != JSON_REFUSED); /* the row's default is not JSON */
    if (r)
        return config_no_memory(reading);
    own.json = doc;
    own.is_default = true;
    if (key->type == CONFIG_STRINGS)
        r = read_strings(&own, key, json_document_root(doc), field);
    else if (key->type == CONFIG_LIST)
        r = read_list(&own, key, json_document_root(doc), field);
    else
        r = read_map(&own, key, json_document_root(doc), given, field);
    json_document_free(doc);
    return r;
}

static int read_entries(struct config_reading *reading, const struct config_key *key,
                        const cJSON *node, void *field)
{
    if (key->type == CONFIG_LIST)
        return read_list(reading, key, node, field);
    if (key->default_stays && cJSON_IsObject(node)) {
        int r = read_default_text(reading, key, node, field);
        if (r)
            return r;
    }
    return read_map(reading, key, node, NULL, field);
}

static int read_default(struct config_reading *reading, const struct config_key *key, void *field)
{
    if (key->type == CONFIG_SECTION)
        return read_section(reading, key->section, NULL, field);
    if (key->type == CONFIG_STRINGS || key->type == CONFIG_LIST || key->type == CONFIG_MAP)
        return read_default_text(reading, key, NULL, field);
    return config_scalar_default(reading, key, field);
}

static int read_key(struct config_reading *reading, const struct config_key *key, const cJSON *node,
                    void *value)
{
    void *field = (char *)value + key->offset;
    size_t before = path_push_key(reading, key->name);
    int r;
    assert(!key->section || key->section->size == key->field_size); /* the wrong section */
    if (!node)
        r = read_default(reading, key, field);
    else if (key->type == CONFIG_SECTION)
        r = read_section(reading, key->section, node, field);
    else if (key->type == CONFIG_STRINGS)
        r = read_strings(reading, key, node, field);
    else if (key->type == CONFIG_LIST || key->type == CONFIG_MAP)
        r = read_entries(reading, key, node, field);
    else
        r = config_scalar_read(reading, key, node, field);
    path_pop(reading, before);
    return r;
}

/* The section's own rule, with the section's place and path put before its words. */
static int run_check(struct config_reading *reading, const struct config_section *section,
                     const cJSON *node, const void *value)
{
    struct error error = ERROR_INIT;
    int r = section->check ? section->check(value, &error) : 0;
    if (r)
        config_complain(reading, node, error.mend, "%s%s%s", reading->path,
                        reading->path_len ? ": " : "", error.what);
    return r;
}

static int read_section(struct config_reading *reading, const struct config_section *section,
                        const cJSON *node, void *value)
{
    int r = 0;
    if (node && !cJSON_IsObject(node))
        return config_complain(reading, node, "", "%s must be an object, not %s",
                               reading->path_len ? reading->path : "the configuration",
                               json_type_text(node));
    assert(reading->depth < CONFIG_NESTING_MAX); /* a table that contains itself */
    reading->depth++;
    for (const cJSON *item = node ? node->child : NULL; item && !r; item = item->next)
        if (!config_section_key(section, item->string))
            r = complain_unknown(reading, section, item);
    for (size_t i = 0; i < section->count && !r; i++) {
        const struct config_key *key = &section->keys[i];
        const cJSON *item = member(node, key->name);
        if (!item && key->required && reading->doc)
            r = config_complain(reading, node, key->help ? key->help : "",
                                "%s lacks the key \"%s\"", reading->path, key->name);
        else if (item || !key->required)
            r = read_key(reading, key, item, value);
    }
    reading->depth--;
    return r || !reading->doc ? r : run_check(reading, section, node, value);
}

int config_read(const struct config_document *doc, const struct config_section *section,
                struct error *error, void *ret)
{
    struct config_reading reading = {.doc = doc, .json = config_document_json(doc), .error = error};
    CLEANUP_FREE void *value = calloc(1, section->size);
    if (!value)
        return config_no_memory(&reading);
    int r = read_section(&reading, section, config_document_root(doc), value);
    if (r) {
        config_section_deinit(section, value);
        return result_trace(r);
    }
    memcpy(ret, value, section->size);
    return 0;
}

int config_read_text(const struct config_section *section, const char *text, struct error *error,
                     void *ret)
{
    struct config_document *doc = NULL;
    int r = config_load_text(slice_string(text), "text", error, &doc);
    if (r)
        return r;
    r = config_read(doc, section, error, ret);
    config_document_free(doc);
    return r;
}

int config_section_init(const struct config_section *section, void *value)
{
    struct config_reading reading = {.doc = NULL};
    memset(value, 0, section->size);
    int r = read_section(&reading, section, NULL, value);
    assert(r != -EINVAL); /* a row would refuse its own default */
    if (r)
        config_section_deinit(section, value);
    return r;
}
