#ifndef SLUICE_EVENT_ID_H
#define SLUICE_EVENT_ID_H
/*
 * The identity of a stored event (design: store, identity). An id is "<stream>/<offset>" and is
 * given once under its source, "/gateways/<gateway id>/<epoch>"; together they are what CloudEvents
 * calls source + id, so a consumer can drop what it has seen and notice what it has not.
 *
 * Offsets are written in decimal; the sequence is the same number with leading zeros, so that the
 * order of the texts is the order of the numbers. Pure.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    ID_STREAM_MAX_BYTES = 255,
    ID_TEXT_MAX_BYTES = ID_STREAM_MAX_BYTES + 1 + 20 + 1, /* with NUL */
    ID_SEQUENCE_BYTES = 20 + 1,                           /* with NUL */
    /* "/gateways/" + each byte of a 127 byte gateway id as %XX + "/" + epoch of 16 + NUL */
    ID_SOURCE_MAX_BYTES = 10 + 3 * 127 + 1 + 16 + 1
};

/* "<stream>/<offset>". stream at most ID_STREAM_MAX_BYTES (asserted). Returns the length. */
size_t id_format(const char *stream, uint64_t offset, char out[ID_TEXT_MAX_BYTES]);

/* Takes an id apart. 0, or -EINVAL if it is none; *ret_stream points into text. */
int id_parse(struct slice text, struct slice *ret_stream, uint64_t *ret_offset);

/* Twenty digits. Returns the length, always 20. */
size_t id_sequence(uint64_t offset, char out[ID_SEQUENCE_BYTES]);

/* "/gateways/<gateway>/<epoch>", a URI reference: bytes of the gateway id that may not stand in a
 * path segment are percent-encoded [RFC 3986 2.1]. gateway at most 127 bytes, epoch at most 16
 * (asserted). Returns the length. */
size_t id_source(const char *gateway, const char *epoch, char out[ID_SOURCE_MAX_BYTES]);

#endif
