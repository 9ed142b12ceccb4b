#include "pack/codec.h"

#include <errno.h>
#include <stdlib.h>

#include "base/result.h"
#include "pack/internal.h"

struct pack_context {
    void *state[PACK_CODEC_COUNT];
};

static int none_compress(void **state, struct slice raw, size_t limit, struct bytes *out)
{
    (void)state;
    return raw.len > limit ? PACK_EXCEEDS : bytes_append_slice(out, raw);
}

static int none_decompress(void **state, struct slice packed, size_t raw_bytes, struct bytes *out)
{
    (void)state;
    return packed.len != raw_bytes ? -EBADMSG : bytes_append_slice(out, packed);
}

static void none_free(void *state)
{
    (void)state;
}

static const struct pack_codec_row pack_none = {"none", none_compress, none_decompress, none_free};

static const struct pack_codec_row *const codecs[PACK_CODEC_COUNT] = {
    [PACK_NONE] = &pack_none,
    [PACK_ZSTD] = &pack_zstd,
};

static const struct pack_codec_row *codec_find(int codec)
{
    if (codec < 0 || codec >= PACK_CODEC_COUNT || !codecs[codec] || !codecs[codec]->name)
        return NULL;
    return codecs[codec];
}

int pack_context_new(struct pack_context **ret)
{
    struct pack_context *context = calloc(1, sizeof(*context));
    if (!context)
        return result_origin(-ENOMEM);
    *ret = context;
    return 0;
}

struct pack_context *pack_context_free(struct pack_context *context)
{
    if (!context)
        return NULL;
    for (int codec = 0; codec < PACK_CODEC_COUNT; codec++)
        if (codec_find(codec))
            codec_find(codec)->free(context->state[codec]);
    free(context);
    return NULL;
}

bool pack_codec_available(int codec)
{
    return codec_find(codec) != NULL;
}

const char *pack_codec_name(int codec)
{
    return codec_find(codec) ? codec_find(codec)->name : NULL;
}

int pack_compress(struct pack_context *context, int codec, struct slice raw, size_t limit,
                  struct bytes *out)
{
    const struct pack_codec_row *row = codec_find(codec);
    if (!row)
        return result_origin(-ENOTSUP);
    if (raw.len > PACK_RAW_MAX_BYTES)
        return result_origin(-EINVAL);
    if (limit > out->max - out->len)
        limit = out->max - out->len;
    int r = bytes_reserve(out, limit);
    if (r)
        return result_origin(r);
    return row->compress(&context->state[codec], raw, limit, out);
}

int pack_decompress(struct pack_context *context, int codec, struct slice packed, size_t raw_bytes,
                    struct bytes *out)
{
    const struct pack_codec_row *row = codec_find(codec);
    if (!row)
        return result_origin(-ENOTSUP);
    if (raw_bytes > PACK_RAW_MAX_BYTES || raw_bytes > out->max - out->len)
        return result_origin(-EBADMSG);
    return row->decompress(&context->state[codec], packed, raw_bytes, out);
}
