#ifndef SLUICE_CONFIG_SUBSTITUTE_H
#define SLUICE_CONFIG_SUBSTITUTE_H
/* ${env:NAME}, ${file:PATH}, ${machine_id} and $${ inside one string; load.h says what they
 * mean. */
#include <stdbool.h>

struct error;

/* Whether the text contains anything to replace. */
bool config_substitute_needed(const char *text);

/* The text with everything replaced; relative paths are taken below directory ("" is the working
 * directory). *ret is freed by the caller; *ret_origin gets bits of enum config_origin. 0, or
 * -errno with what and mend filled (where is the caller's). Blocks on files. */
int config_substitute(const char *text, const char *directory, struct error *error,
                      unsigned *ret_origin, char **ret);

#endif
