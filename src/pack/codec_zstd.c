#include "pack/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/result.h"

/* Level 1: measured on mixed device messages, higher levels save little and cost a multiple. */
enum { ZSTD_LEVEL = 1 };

struct zstd_state {
    ZSTD_CCtx *compressor;
    ZSTD_DCtx *decompressor;
};

static void state_free(void *state)
{
    struct zstd_state *s = state;
    if (!s)
        return;
    ZSTD_freeCCtx(s->compressor);
    ZSTD_freeDCtx(s->decompressor);
    free(s);
}

/* The state with both contexts made; NULL without memory. A thread mostly needs one of the two,
 * but an unused context costs nothing before its first frame. */
static struct zstd_state *state_get(void **state)
{
    if (*state)
        return *state;
    struct zstd_state *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->compressor = ZSTD_createCCtx();
    s->decompressor = ZSTD_createDCtx();
    if (!s->compressor || !s->decompressor) {
        state_free(s);
        return NULL;
    }
    *state = s;
    return s;
}

static int compress(void **state, struct slice raw, size_t limit, struct bytes *out)
{
    struct zstd_state *s = state_get(state);
    if (!s)
        return result_origin(-ENOMEM);
    /* No room to be long: the library gives up as soon as it is clear that it does not pay. */
    size_t n = ZSTD_compressCCtx(s->compressor, out->data + out->len, limit, raw.data, raw.len,
                                 ZSTD_LEVEL);
    if (!ZSTD_isError(n)) {
        out->len += n;
        return 0;
    }
    return ZSTD_getErrorCode(n) == ZSTD_error_dstSize_tooSmall ? PACK_EXCEEDS
                                                               : result_origin(-ENOMEM);
}

static int decompress(void **state, struct slice packed, size_t raw_bytes, struct bytes *out)
{
    struct zstd_state *s = state_get(state);
    if (!s)
        return result_origin(-ENOMEM);
    /* The frame says its own size: asked before memory is allocated for it. */
    if (ZSTD_getFrameContentSize(packed.data, packed.len) != raw_bytes)
        return result_origin(-EBADMSG);
    int r = bytes_reserve(out, raw_bytes);
    if (r)
        return result_origin(r < 0 ? r : -EBADMSG);
    uint8_t nothing;
    uint8_t *to = raw_bytes ? out->data + out->len : &nothing;
    size_t n = ZSTD_decompressDCtx(s->decompressor, to, raw_bytes, packed.data, packed.len);
    if (ZSTD_isError(n) || n != raw_bytes)
        return result_origin(-EBADMSG);
    out->len += n;
    return 0;
}

const struct pack_codec_row pack_zstd = {"zstd", compress, decompress, state_free};
