#include "config/diff.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/internal.h"

struct comparison {
    void (*callback)(void *data, const struct config_change *change);
    void *data;
    size_t changes;
    size_t path_len;
    char path[CONFIG_PATH_TEXT_MAX];
};

static void report(struct comparison *c, enum config_change_kind kind, const struct config_key *key)
{
    struct config_change change = {
        .kind = kind, .path = c->path, .reloadable = key->reloadable, .key = key};
    c->changes++;
    if (c->callback)
        c->callback(c->data, &change);
}

__attribute__((format(printf, 2, 3))) static size_t path_push(struct comparison *c,
                                                              const char *format, ...)
{
    size_t before = c->path_len;
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(c->path + before, sizeof c->path - before, format, arguments);
    va_end(arguments);
    if (n > 0)
        c->path_len += (size_t)n;
    if (c->path_len >= sizeof c->path)
        c->path_len = sizeof c->path - 1;
    return before;
}

static void path_pop(struct comparison *c, size_t before)
{
    c->path_len = before;
    c->path[before] = '\0';
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_strings(const struct config_strings *a, const struct config_strings *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

static bool same_address(const struct config_address *a, const struct config_address *b)
{
    return same_text(a->host, b->host) && same_text(a->path, b->path) && a->port == b->port;
}

static bool same_scalar(const struct config_key *key, const void *a, const void *b)
{
    switch (key->type) {
    case CONFIG_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case CONFIG_INT:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        return *(const int64_t *)a == *(const int64_t *)b;
    case CONFIG_ENUM:
        return memcmp(a, b, sizeof(int)) == 0;
    case CONFIG_STRING:
    case CONFIG_PATH:
        return same_text(*(char *const *)a, *(char *const *)b);
    case CONFIG_ADDRESS:
        return same_address(a, b);
    case CONFIG_STRINGS:
        return same_strings(a, b);
    case CONFIG_SECTION:
    case CONFIG_LIST:
    case CONFIG_MAP:
        break;
    }
    assert(false); /* not a scalar */
    return true;
}

static void compare_section(struct comparison *c, const struct config_section *section,
                            const void *before, const void *after);

/* What an entry is matched by: the key of a map, the "name" of a list, else NULL. */
static const char *entry_name(const struct config_key *key, const struct config_entries *entries,
                              size_t index)
{
    void *entry = config_entry(key, entries, index);
    if (key->type == CONFIG_MAP)
        return *config_entry_name(key, entry);
    const struct config_key *name = config_section_key(key->section, "name");
    if (!name || name->type != CONFIG_STRING)
        return NULL;
    return *(char **)(void *)((char *)entry + name->offset);
}

/* The index of the entry in others that is the one at index of entries; others->count if none. */
static size_t find_match(const struct config_key *key, const struct config_entries *entries,
                         size_t index, const struct config_entries *others)
{
    const char *name = entry_name(key, entries, index);
    if (!name)
        return index < others->count && !entry_name(key, others, index) ? index : others->count;
    size_t i = 0;
    while (i < others->count && !same_text(name, entry_name(key, others, i)))
        i++;
    return i;
}

static size_t push_entry(struct comparison *c, const struct config_key *key,
                         const struct config_entries *entries, size_t index)
{
    const char *name = entry_name(key, entries, index);
    if (!name)
        return path_push(c, "[%zu]", index);
    return key->type == CONFIG_MAP ? path_push(c, ".%s", name) : path_push(c, "[%s]", name);
}

static void compare_entries(struct comparison *c, const struct config_key *key,
                            const struct config_entries *before, const struct config_entries *after)
{
    bool reordered = false;
    size_t last = 0;
    for (size_t i = 0; i < before->count; i++) {
        size_t match = find_match(key, before, i, after), mark = push_entry(c, key, before, i);
        if (match == after->count)
            report(c, CONFIG_REMOVED, key);
        else
            compare_section(c, key->section, config_entry(key, before, i),
                            config_entry(key, after, match));
        path_pop(c, mark);
        if (match < after->count) {
            reordered |= match < last;
            last = match;
        }
    }
    for (size_t i = 0; i < after->count; i++) {
        if (find_match(key, after, i, before) < before->count)
            continue;
        size_t mark = push_entry(c, key, after, i);
        report(c, CONFIG_ADDED, key);
        path_pop(c, mark);
    }
    if (reordered && key->type == CONFIG_LIST) /* rules and the like are tried in their order */
        report(c, CONFIG_CHANGED, key);
}

static void compare_section(struct comparison *c, const struct config_section *section,
                            const void *before, const void *after)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct config_key *key = &section->keys[i];
        const void *a = (const char *)before + key->offset, *b = (const char *)after + key->offset;
        size_t mark = path_push(c, "%s%s", c->path_len ? "." : "", key->name);
        if (key->type == CONFIG_SECTION)
            compare_section(c, key->section, a, b);
        else if (key->type == CONFIG_LIST || key->type == CONFIG_MAP)
            compare_entries(c, key, a, b);
        else if (!same_scalar(key, a, b))
            report(c, CONFIG_CHANGED, key);
        path_pop(c, mark);
    }
}

size_t config_diff(const struct config_section *section, const void *before, const void *after,
                   void (*callback)(void *data, const struct config_change *change), void *data)
{
    struct comparison c = {.callback = callback, .data = data};
    compare_section(&c, section, before, after);
    return c.changes;
}
