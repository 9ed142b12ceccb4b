#include "pack/internal.h"

/* A build without zstd: the codec has no name and is never called. */
const struct pack_codec_row pack_zstd = {.name = NULL};
