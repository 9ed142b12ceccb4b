#ifndef SLUICE_CLI_TAIL_H
#define SLUICE_CLI_TAIL_H
/* "sluice tail": the events of a stream as one JSON object per line, read by the daemon's own code,
 * whether or not a daemon runs. */
#include <stdint.h>
#include <stdio.h>

#define CLI_TAIL_FROM_END UINT64_MAX /* the last count events */
#define CLI_TAIL_ALL UINT64_MAX

struct cli_tail_options {
    const char *database; /* path of the file */
    const char *stream;
    uint64_t from;  /* offset, or CLI_TAIL_FROM_END */
    uint64_t count; /* events at most, or CLI_TAIL_ALL */
};

/* Prints {"offset", "topic", "device", "type", "received", "quality", "time", "payload"} per event;
 * "payload_b64" in place of "payload" where the bytes are not UTF-8 or hold a NUL; "time" only
 * where the event has one. Ends at what was committed when it began. Gaps (retention, damage) are
 * said on stderr. Returns CLI_OK or CLI_FAILED. */
int cli_tail(const struct cli_tail_options *options, FILE *out);

#endif
