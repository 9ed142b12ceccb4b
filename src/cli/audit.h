#ifndef SLUICE_CLI_AUDIT_H
#define SLUICE_CLI_AUDIT_H
/* "sluice audit": the audit trail, and whether its chain of digests holds. Reads the store, whether
 * or not a daemon runs. */
#include <stdbool.h>
#include <stdio.h>

/* Prints the payload of every record of "$audit", one per line (not if quiet), and on stderr where
 * the chain is broken and how much was checked. Retention takes the oldest records: the first one
 * that is there is believed. database is the path of the file. Returns CLI_OK, or CLI_FAILED if a
 * record is missing, damaged or not the one that its successor names. */
int cli_audit(const char *database, bool quiet, FILE *out);

#endif
