#ifndef SLUICE_CONFIG_READ_H
#define SLUICE_CONFIG_READ_H
/*
 * From a document to the structs of the rooms, by their rows (key.h). Every complaint names
 * file:line:column, the key path and the remedy: unknown keys (with the nearest known one), wrong
 * types, values out of bounds (with the range and the unit), unknown enum names (with all names),
 * missing required keys, entries of a list with the same "name".
 */
#include "config/key.h"

struct config_document;
struct error;

/* Fills *ret, a struct of section->size bytes, to be released by config_section_deinit(); untouched
 * on failure. 0, or -EINVAL or -ENOMEM with the error filled (may be NULL). A string that was
 * substituted (${env:…}, ${file:…}) is also read as a bool or an int. null stands for "not set"
 * where the default is NULL. */
int config_read(const struct config_document *doc, const struct config_section *section,
                struct error *error, void *ret);

/* The same from a text, called "text" in errors; for tests and command lines. */
int config_read_text(const struct config_section *section, const char *text, struct error *error,
                     void *ret);

#endif
