#ifndef SLUICE_BASE_UTF8_H
#define SLUICE_BASE_UTF8_H
/* UTF-8 by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. Pure. */
#include <stdbool.h>

#include "base/bytes.h"

/* Whether all of s is well-formed UTF-8. U+0000 counts as well-formed. */
bool utf8_valid(struct slice s);

/* Reads one code point at s.data[0]. Returns its length in bytes (1..4) and sets *ret, or 0 if s is
 * empty or ill-formed there. */
unsigned utf8_next(struct slice s, uint32_t *ret);

/* Appends code point c (a scalar value) to out[4]; returns the number of bytes written. */
unsigned utf8_encode(uint32_t c, uint8_t out[4]);

#endif
