#include "store/crc32c.h"

#include <endian.h>
#include <pthread.h>

enum { POLYNOMIAL_BITS = 8, SLICES = 8 };
static const uint32_t polynomial = 0x82F63B78u;

/* table[k][b]: what byte b does to the sum when k further bytes follow it; so eight bytes are taken
 * in one step of eight independent look-ups. */
static uint32_t table[SLICES][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_make(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < POLYNOMIAL_BITS; bit++)
            crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
        table[0][byte] = crc;
    }
    for (int k = 1; k < SLICES; k++)
        for (uint32_t byte = 0; byte < 256; byte++)
            table[k][byte] = table[k - 1][byte] >> 8 ^ table[0][table[k - 1][byte] & 0xFF];
}

uint32_t crc32c(uint32_t crc, struct slice s)
{
    pthread_once(&table_once, table_make);
    const uint8_t *p = s.data;
    size_t left = s.len;
    crc = ~crc;
    for (; left >= SLICES; left -= SLICES, p += SLICES) {
        uint64_t eight;
        memcpy(&eight, p, sizeof(eight));
        eight = le64toh(eight) ^ crc;
        crc = table[7][eight & 0xFF] ^ table[6][eight >> 8 & 0xFF] ^ table[5][eight >> 16 & 0xFF] ^
              table[4][eight >> 24 & 0xFF] ^ table[3][eight >> 32 & 0xFF] ^
              table[2][eight >> 40 & 0xFF] ^ table[1][eight >> 48 & 0xFF] ^ table[0][eight >> 56];
    }
    for (; left; left--, p++)
        crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xFF];
    return ~crc;
}
