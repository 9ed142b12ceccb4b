#ifndef SLUICE_CLI_RECOVER_H
#define SLUICE_CLI_RECOVER_H
/* "sluice recover": offline, what the daemon does at its start with a damaged store. */
#include <stdbool.h>
#include <stdio.h>

/* Reads every batch of the store in data_dir, which no gateway may be using. check: prints what was
 * found, a line per stream, and CLI_FAILED says that something is damaged. Otherwise a store that
 * is damaged is set aside and what is readable goes into a new one. Complaints go to stderr.
 * Returns CLI_OK or CLI_FAILED. */
int cli_recover(const char *data_dir, bool check, FILE *out);

#endif
