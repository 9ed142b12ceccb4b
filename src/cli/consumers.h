#ifndef SLUICE_CLI_CONSUMERS_H
#define SLUICE_CLI_CONSUMERS_H
/* "sluice streams --consumers": what is still to be sent to whom, from the store alone, whether or
 * not a daemon runs. */
#include <stdbool.h>
#include <stdio.h>

/* Prints a table of the ranges in the database (a file's path), or one JSON object per line:
 * {"upstream", "stream", "lane", "next_offset", "end_offset" (null: open), "events", "bytes"}, the
 * last two being the lag. Complaints go to stderr. Returns CLI_OK or CLI_FAILED. */
int cli_consumers(const char *database, bool json, FILE *out);

#endif
