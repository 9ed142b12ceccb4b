#ifndef SLUICE_CLI_STATUS_H
#define SLUICE_CLI_STATUS_H
/* "sluice status": thin client of GET /api/v1/status. */
#include <stdbool.h>
#include <stdio.h>

/* Asks the daemon at the socket and prints tables for a person, or the document as it came. What
 * goes wrong is said on stderr. Returns CLI_OK or CLI_FAILED. Blocks, at most
 * ADMIN_CLIENT_DEADLINE_MS. */
int cli_status(const char *socket_path, bool json, FILE *out);

#endif
