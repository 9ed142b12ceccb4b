#ifndef SLUICE_STORE_CRC32C_H
#define SLUICE_STORE_CRC32C_H
/* CRC-32C (Castagnoli, reflected polynomial 0x82F63B78, RFC 3720 B.4). Pure; any thread. */
#include <stdint.h>

#include "base/bytes.h"

/* Continues crc (0 at the start) over s. */
uint32_t crc32c(uint32_t crc, struct slice s);

#endif
