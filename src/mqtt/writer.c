#include "mqtt/writer.h"

#include <assert.h>

#include "mqtt/reader.h"

static size_t varint_bytes(size_t v)
{
    return v < 1u << 7 ? 1 : v < 1u << 14 ? 2 : v < 1u << 21 ? 3 : 4;
}

void mqtt_write_raw(struct mqtt_writer *w, struct slice s)
{
    if (w->at && s.len) {
        memcpy(w->at, s.data, s.len);
        w->at += s.len;
    }
    w->len += s.len;
}

void mqtt_write_u8(struct mqtt_writer *w, uint8_t v)
{
    if (w->at)
        *w->at++ = v;
    w->len++;
}

void mqtt_write_u16(struct mqtt_writer *w, uint32_t v)
{
    mqtt_write_require(w, v <= UINT16_MAX);
    uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    mqtt_write_raw(w, slice_make(b, sizeof b));
}

void mqtt_write_u32(struct mqtt_writer *w, uint32_t v)
{
    uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    mqtt_write_raw(w, slice_make(b, sizeof b));
}

void mqtt_write_varint(struct mqtt_writer *w, size_t v)
{
    mqtt_write_require(w, v <= MQTT_REMAINING_MAX_BYTES);
    for (size_t n = varint_bytes(v); n > 1; n--, v >>= 7)
        mqtt_write_u8(w, (uint8_t)(0x80 | (v & 0x7f)));
    mqtt_write_u8(w, (uint8_t)(v & 0x7f));
}

void mqtt_write_binary(struct mqtt_writer *w, struct slice s)
{
    if (s.len > MQTT_STRING_MAX_BYTES) {
        w->invalid = true;
        return;
    }
    mqtt_write_u16(w, (uint32_t)s.len);
    mqtt_write_raw(w, s);
}

void mqtt_write_string(struct mqtt_writer *w, struct slice s)
{
    if (!w->at) /* the counting pass checks, the writing pass writes the same bytes */
        mqtt_write_require(w, mqtt_string_valid(s));
    mqtt_write_binary(w, s);
}

void mqtt_write_packet_id(struct mqtt_writer *w, uint16_t id)
{
    mqtt_write_require(w, id != 0);
    mqtt_write_u16(w, id);
}

int mqtt_write_packet(struct bytes *out, struct mqtt_dialect dialect, uint8_t first,
                      mqtt_write_body *body, const void *packet)
{
    struct mqtt_writer count = {.at = NULL};
    body(&count, packet, dialect);
    if (count.invalid)
        return MQTT_ENCODE_INVALID;
    size_t max = dialect.max_packet_bytes ? dialect.max_packet_bytes : MQTT_PACKET_MAX_BYTES;
    if (count.len > MQTT_REMAINING_MAX_BYTES || 1 + varint_bytes(count.len) + count.len > max)
        return MQTT_ENCODE_TOO_LARGE;
    size_t size = 1 + varint_bytes(count.len) + count.len;
    int r = bytes_reserve(out, size);
    if (r)
        return r == BYTES_FULL ? MQTT_ENCODE_FULL : r;
    struct mqtt_writer w = {.at = out->data + out->len};
    mqtt_write_u8(&w, first);
    mqtt_write_varint(&w, count.len);
    body(&w, packet, dialect);
    assert(w.len == size && !w.invalid);
    out->len += size;
    return 0;
}
