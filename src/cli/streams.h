#ifndef SLUICE_CLI_STREAMS_H
#define SLUICE_CLI_STREAMS_H
/* "sluice streams": the streams of a store, read by the daemon's own code, whether or not a daemon
 * runs. */
#include <stdbool.h>
#include <stdio.h>

/* Prints a table of the streams in the database (a file's path), or one JSON object per line:
 * {"stream", "first_offset", "next_offset", "events", "bytes"}. Complaints go to stderr. Returns
 * CLI_OK or CLI_FAILED. */
int cli_streams(const char *database, bool json, FILE *out);

#endif
