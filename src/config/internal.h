#ifndef SLUICE_CONFIG_INTERNAL_H
#define SLUICE_CONFIG_INTERNAL_H
/* What the files of config/ share. */
#include <stddef.h>

#include "config/key.h"

enum { CONFIG_KEYS_MAX = 128 }; /* rows of one section, names of one enum */

/* A LIST or MAP field, whatever its entries. */
struct config_entries {
    void *items;
    size_t count;
};

static inline void *config_entry(const struct config_key *key, const struct config_entries *entries,
                                 size_t index)
{
    return (char *)entries->items + index * key->section->size;
}

/* The name of an entry of a MAP. */
static inline char **config_entry_name(const struct config_key *key, void *entry)
{
    return (char **)(void *)((char *)entry + key->section->name_at);
}

/* The most entries or bytes a row allows. */
static inline size_t config_key_max(const struct config_key *key, size_t limit)
{
    return key->max && (size_t)key->max < limit ? (size_t)key->max : limit;
}

/* The range of an INT, SIZE or DURATION in words ("1 to 64 connections", "at least 1MiB"), or "" if
 * everything is allowed. Returns out. */
enum { CONFIG_RANGE_TEXT_MAX = 256 };
const char *config_key_range(const struct config_key *key, char out[CONFIG_RANGE_TEXT_MAX]);

/* What a value of this row looks like: "a size such as \"512MiB\" or a number of bytes". Static. */
const char *config_type_text(enum config_type type);

#endif
