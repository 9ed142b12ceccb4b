#include "config/key.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"
#include "config/value.h"

enum { NAME_MAX_BYTES = 64 }; /* longer names are not compared for suggestions */

static void strings_deinit(struct config_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
    *strings = (struct config_strings){.items = NULL};
}

static void entries_deinit(const struct config_key *key, struct config_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        void *entry = config_entry(key, entries, i);
        if (key->type == CONFIG_MAP)
            free(*config_entry_name(key, entry));
        config_section_deinit(key->section, entry);
    }
    free(entries->items);
    *entries = (struct config_entries){.items = NULL};
}

static void key_deinit(const struct config_key *key, void *value)
{
    void *field = (char *)value + key->offset;
    switch (key->type) {
    case CONFIG_STRING:
    case CONFIG_PATH:
        free(*(char **)field);
        break;
    case CONFIG_ADDRESS:
        config_address_deinit(field);
        break;
    case CONFIG_STRINGS:
        strings_deinit(field);
        break;
    case CONFIG_SECTION:
        config_section_deinit(key->section, field);
        break;
    case CONFIG_LIST:
    case CONFIG_MAP:
        entries_deinit(key, field);
        break;
    case CONFIG_BOOL:
    case CONFIG_INT:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
    case CONFIG_ENUM:
        break;
    }
}

void config_section_deinit(const struct config_section *section, void *value)
{
    for (size_t i = 0; i < section->count; i++)
        key_deinit(&section->keys[i], value);
    memset(value, 0, section->size);
}

const struct config_key *config_section_key(const struct config_section *section, const char *name)
{
    for (size_t i = 0; i < section->count; i++)
        if (strcmp(section->keys[i].name, name) == 0)
            return &section->keys[i];
    return NULL;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

/* Letters that nobody would call a different name. */
static bool alike(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b) || (a == '-' && b == '_');
}

/* Damerau-Levenshtein distance (optimal string alignment), three rows at a time. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][NAME_MAX_BYTES + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (unsigned k = 0; k <= b_len; k++)
        above[k] = before[k] = k;
    for (unsigned i = 1; i <= a_len; i++) {
        row[0] = i;
        for (unsigned k = 1; k <= b_len; k++) {
            unsigned change = !alike(a[i - 1], b[k - 1]);
            row[k] = min3(above[k] + 1, row[k - 1] + 1, above[k - 1] + change);
            if (i > 1 && k > 1 && alike(a[i - 1], b[k - 2]) && alike(a[i - 2], b[k - 1]) &&
                before[k - 2] + 1 < row[k])
                row[k] = before[k - 2] + 1;
        }
        unsigned *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b_len];
}

const char *config_suggest(const char *mistyped, const char *const *names)
{
    size_t len = strlen(mistyped);
    unsigned least = len <= 3 ? 1 : len <= 7 ? 2 : 3;
    const char *nearest = NULL;
    if (len > NAME_MAX_BYTES)
        return NULL;
    for (; *names; names++) {
        size_t name_len = strlen(*names);
        if (name_len > NAME_MAX_BYTES)
            continue;
        unsigned d = distance(mistyped, len, *names, name_len);
        if (d < least || (d == least && !nearest)) {
            least = d;
            nearest = *names;
        }
    }
    return nearest;
}
