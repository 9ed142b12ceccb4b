#ifndef SLUICE_MQTT_WRITER_H
#define SLUICE_MQTT_WRITER_H
/*
 * The primitives of encoding. Every packet has one function that writes its body; it runs twice,
 * first counting (nothing is written, everything is checked), then into memory reserved to the
 * byte. So lengths cannot disagree with contents, and an invalid packet is found before its first
 * byte.
 *
 * Packets go into a struct bytes. Memory of the caller serves as one, too:
 *     uint8_t memory[64];
 *     struct bytes out = mqtt_memory(memory, sizeof memory);     (never bytes_deinit)
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "mqtt/frame.h"

enum mqtt_encode_outcome { /* nothing was appended */
                           MQTT_ENCODE_INVALID =
                               1, /* the packet would break the standard: a bug of the caller, or
                                     content that this level cannot say */
                           MQTT_ENCODE_TOO_LARGE =
                               2, /* beyond dialect.max_packet_bytes or the protocol's limit */
                           MQTT_ENCODE_FULL = 3 /* the struct bytes would exceed its maximum */
};

static inline struct bytes mqtt_memory(uint8_t *memory, size_t size)
{
    return (struct bytes){.data = memory, .len = 0, .cap = size, .max = size};
}

struct mqtt_writer {
    uint8_t *at; /* NULL: counting */
    size_t len;  /* bytes written or counted */
    bool invalid;
};

typedef void mqtt_write_body(struct mqtt_writer *w, const void *packet,
                             struct mqtt_dialect dialect);

/* Appends the packet whose body is written by body(packet). 0, an enum mqtt_encode_outcome,
 * -ENOMEM; nothing is appended unless 0. */
int mqtt_write_packet(struct bytes *out, struct mqtt_dialect dialect, uint8_t first,
                      mqtt_write_body *body, const void *packet);

void mqtt_write_u8(struct mqtt_writer *w, uint8_t v);
void mqtt_write_u16(struct mqtt_writer *w, uint32_t v); /* above 65535: invalid */
void mqtt_write_u32(struct mqtt_writer *w, uint32_t v);
void mqtt_write_varint(struct mqtt_writer *w, size_t v); /* above 268435455: invalid */
void mqtt_write_raw(struct mqtt_writer *w, struct slice s);
void mqtt_write_binary(struct mqtt_writer *w, struct slice s); /* above 65535 bytes: invalid */
void mqtt_write_string(struct mqtt_writer *w, struct slice s); /* likewise, or no UTF-8 string */
void mqtt_write_packet_id(struct mqtt_writer *w, uint16_t id); /* 0: invalid */

/* Makes the packet invalid unless ok. */
static inline void mqtt_write_require(struct mqtt_writer *w, bool ok)
{
    if (!ok)
        w->invalid = true;
}

#endif
