#ifndef SLUICE_CLI_QUANTITY_H
#define SLUICE_CLI_QUANTITY_H
/* Quantities as a person reads them. Pure. */
#include <stdint.h>

enum { QUANTITY_TEXT_MAX = 32 };

/* "0 B", "1023 B", "12.3 KiB", "1.0 GiB". Returns out. */
const char *quantity_bytes(uint64_t bytes, char out[QUANTITY_TEXT_MAX]);

/* "4 s", "3 min 05 s", "5 h 04 min", "12 d 03 h". Returns out. */
const char *quantity_duration(uint64_t seconds, char out[QUANTITY_TEXT_MAX]);

#endif
