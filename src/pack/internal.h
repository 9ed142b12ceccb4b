#ifndef SLUICE_PACK_INTERNAL_H
#define SLUICE_PACK_INTERNAL_H
/* One row of the codec table: what a codec's file gives to codec.c. */
#include "pack/codec.h"

struct pack_codec_row {
    const char *name; /* NULL: not in this build */
    /* *state is the codec's own, NULL at first, released by free. The contracts are those of
     * pack_compress() and pack_decompress(); room in out for limit or raw_bytes is reserved. */
    int (*compress)(void **state, struct slice raw, size_t limit, struct bytes *out);
    int (*decompress)(void **state, struct slice packed, size_t raw_bytes, struct bytes *out);
    void (*free)(void *state);
};

extern const struct pack_codec_row pack_zstd; /* codec_zstd.c, or codec_zstd_none.c */

#endif
