#include "crypto/digest.h"

#include <errno.h>
#include <mbedtls/md.h>
#include <stdio.h>

#include "base/result.h"

int digest_sha256_text(struct slice data, char ret[DIGEST_SHA256_TEXT_BYTES])
{
    const mbedtls_md_info_t *sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    uint8_t digest[DIGEST_SHA256_BYTES];
    if (!sha256 ||
        mbedtls_md(sha256, data.data ? data.data : (const uint8_t *)"", data.len, digest))
        return result_origin(-EIO);
    for (int i = 0; i < DIGEST_SHA256_BYTES; i++)
        snprintf(ret + 2 * i, 3, "%02x", digest[i]);
    return 0;
}
