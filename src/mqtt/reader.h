#ifndef SLUICE_MQTT_READER_H
#define SLUICE_MQTT_READER_H
/*
 * The primitives of decoding [MQTT-1.5], over a body that is complete in memory. The reader keeps
 * its first failure: after it every read yields nothing and the failure stays, so that decoders are
 * straight lines that ask once at the end. Borrows; any thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "mqtt/reason.h"

struct mqtt_reader {
    const uint8_t *at;
    const uint8_t *end;
    const char *detail; /* static text of the failure; NULL: none */
    enum mqtt_reason reason;
};

static inline struct mqtt_reader mqtt_reader_make(struct slice body)
{
    const uint8_t *at = body.data ? body.data : (const uint8_t *)""; /* arithmetic wants no NULL */
    return (struct mqtt_reader){.at = at, .end = at + body.len};
}

/* Notes a failure, unless there was one, and stops all reading. */
void mqtt_reader_fail(struct mqtt_reader *r, enum mqtt_reason reason, const char *detail);

static inline bool mqtt_reader_failed(const struct mqtt_reader *r)
{
    return r->reason != MQTT_SUCCESS;
}

static inline size_t mqtt_reader_left(const struct mqtt_reader *r)
{
    return (size_t)(r->end - r->at);
}

/* The verdict: 0, or the reason code with *ret_detail set to what is wrong (may be NULL: not
 * wanted). Bytes left over are a malformed packet. */
int mqtt_reader_finish(struct mqtt_reader *r, const char **ret_detail);

uint32_t mqtt_read_u32(struct mqtt_reader *r);
uint32_t mqtt_read_varint(struct mqtt_reader *r); /* minimal, at most 4 bytes [MQTT-1.5.5-1] */
void mqtt_reader_short(struct mqtt_reader *r);    /* fails: the packet ends too early */

static inline uint8_t mqtt_read_u8(struct mqtt_reader *r)
{
    if (r->at == r->end) {
        mqtt_reader_short(r);
        return 0;
    }
    return *r->at++;
}

static inline uint16_t mqtt_read_u16(struct mqtt_reader *r)
{
    if (mqtt_reader_left(r) < 2) {
        mqtt_reader_short(r);
        return 0;
    }
    uint16_t v = (uint16_t)(r->at[0] << 8 | r->at[1]);
    r->at += 2;
    return v;
}

/* n bytes as they are; the empty slice after a failure. */
static inline struct slice mqtt_read_raw(struct mqtt_reader *r, size_t n)
{
    if (mqtt_reader_left(r) < n) {
        mqtt_reader_short(r);
        return SLICE_EMPTY;
    }
    struct slice s = slice_make(r->at, n);
    r->at += n;
    return s;
}

/* A length of two bytes and as many bytes [MQTT-1.5.6]. */
static inline struct slice mqtt_read_binary(struct mqtt_reader *r)
{
    uint16_t n = mqtt_read_u16(r);
    return mqtt_read_raw(r, n);
}

/* Likewise, a UTF-8 string [MQTT-1.5.4-1..2]. */
struct slice mqtt_read_string(struct mqtt_reader *r);

/* A packet identifier that must not be 0 [MQTT-2.2.1-3] (3.1.1: [MQTT-2.3.1-1]). */
uint16_t mqtt_read_packet_id(struct mqtt_reader *r);

/* Well-formed UTF-8 without U+0000, at most 65535 bytes. Control characters pass: the standard
 * leaves them to the receiver. */
bool mqtt_string_valid(struct slice s);

#endif
