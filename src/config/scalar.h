#ifndef SLUICE_CONFIG_SCALAR_H
#define SLUICE_CONFIG_SCALAR_H
/* Reading one scalar value into its field, shared inside config/ with the walk of read.c. */
#include <stdbool.h>
#include <stddef.h>

#include "config/key.h"
#include "json/document.h"

struct config_document;
struct error;

/* Where the walk is. */
struct config_reading {
    const struct config_document *doc; /* NULL: defaults alone (config_section_init) */
    const struct json_document *json;  /* of the nodes at hand; the default's own for defaults */
    struct error *error;               /* may be NULL */
    bool is_default;                   /* json is that of a row's default */
    unsigned depth;
    size_t path_len;
    char path[CONFIG_PATH_TEXT_MAX];
};

/* Fills the error with the place of the node (or the first file). Returns -EINVAL. */
__attribute__((format(printf, 4, 5))) int config_complain(const struct config_reading *reading,
                                                          const cJSON *node, const char *mend,
                                                          const char *format, ...);
int config_no_memory(const struct config_reading *reading); /* -ENOMEM */

/* The names of all keys, "a, b, c", cut to size bytes. Returns out. */
const char *config_known_names(const struct config_section *section, char *out, size_t size);

/* Reads a node, or the row's default, into the field. 0, -EINVAL, -ENOMEM. */
int config_scalar_read(const struct config_reading *reading, const struct config_key *key,
                       const cJSON *node, void *field);
int config_scalar_default(const struct config_reading *reading, const struct config_key *key,
                          void *field);

#endif
