#ifndef SLUICE_CLI_FORGET_H
#define SLUICE_CLI_FORGET_H
/* "sluice forget": gives up what the store keeps for an upstream, while no gateway runs. */
#include <stdio.h>

/* Deletes the ranges of an upstream in one stream or, with NULL, in all of the store in data_dir,
 * and prints them with what they held that nobody else is to get. Complaints go to stderr, also
 * when there is nothing to forget. Returns CLI_OK or CLI_FAILED. */
int cli_forget(const char *data_dir, const char *upstream, const char *stream, FILE *out);

#endif
