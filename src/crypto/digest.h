#ifndef SLUICE_CRYPTO_DIGEST_H
#define SLUICE_CRYPTO_DIGEST_H
/* SHA-256 [FIPS 180-4]. Pure; any thread. */
#include <stdint.h>

#include "base/bytes.h"

enum { DIGEST_SHA256_BYTES = 32, DIGEST_SHA256_TEXT_BYTES = 2 * DIGEST_SHA256_BYTES + 1 };

/* The digest of data as lower-case hex with NUL. 0 or -EIO (a library without SHA-256). */
int digest_sha256_text(struct slice data, char ret[DIGEST_SHA256_TEXT_BYTES]);

#endif
