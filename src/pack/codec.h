#ifndef SLUICE_PACK_CODEC_H
#define SLUICE_PACK_CODEC_H
/*
 * Compression. One table of codecs, each known by a number that is written to disk and on the wire
 * and therefore never changes its meaning. The contexts of the libraries are expensive to make and
 * cheap to use again: struct pack_context owns them and belongs to one thread.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

enum pack_codec {
    PACK_NONE = 0, /* the bytes as they are */
    PACK_ZSTD = 1, /* RFC 8878, one frame, level 1 */
    PACK_GZIP = 2, /* number reserved, in no build yet */
    PACK_CODEC_COUNT
};

enum { PACK_RAW_MAX_BYTES = 512 * 1024 * 1024 }; /* of one block, uncompressed */

struct pack_context;

int pack_context_new(struct pack_context **ret);                      /* 0, -ENOMEM */
struct pack_context *pack_context_free(struct pack_context *context); /* NULL ok; returns NULL */

/* Whether this build has the codec; any number may be asked. Any thread. */
bool pack_codec_available(int codec);
const char *pack_codec_name(int codec); /* "none", "zstd"; NULL if not in this build */

/* Appends the compressed form of raw to out if it is at most limit bytes long. 0; PACK_EXCEEDS (it
 * is longer, or out may not grow so far: out->len is unchanged); -ENOMEM; -ENOTSUP for a codec that
 * is not in this build; -EINVAL if raw is over PACK_RAW_MAX_BYTES. */
enum pack_outcome { PACK_EXCEEDS = 1 };
int pack_compress(struct pack_context *context, int codec, struct slice raw, size_t limit,
                  struct bytes *out);

/* Appends the raw_bytes bytes that packed stands for to out. Never allocates more than out may
 * hold. 0; -EBADMSG if packed is damaged, does not yield exactly raw_bytes, or raw_bytes is over
 * PACK_RAW_MAX_BYTES or what out may hold; -ENOMEM; -ENOTSUP. out->len is unchanged on failure. */
int pack_decompress(struct pack_context *context, int codec, struct slice packed, size_t raw_bytes,
                    struct bytes *out);

#endif
