#ifndef SLUICE_CONFIG_REFERENCE_H
#define SLUICE_CONFIG_REFERENCE_H
/* The reference document: every key with its default as the value, and above it a comment with its
 * help, type, range, unit and names. It is itself a valid configuration that means the same as {}.
 * Lists and maps are written with the entries of their default; where that has none, an entry is
 * shown in comments. */
#include <stdio.h>

#include "config/key.h"

/* Writes the document (JSON with comments). 0 or -errno of the stream. */
int config_reference(const struct config_section *section, FILE *out);

#endif
