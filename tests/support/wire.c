#include "wire.h"

#include <string.h>

static size_t put_u16(uint8_t *out, size_t value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return 2;
}

static size_t put_varint(uint8_t *out, size_t value)
{
    size_t n = 0;
    do {
        out[n] = (uint8_t)(value % 128);
        value /= 128;
        if (value)
            out[n] |= 128;
        n++;
    } while (value);
    return n;
}

static size_t put_string(uint8_t *out, const char *text, size_t len)
{
    put_u16(out, len);
    memcpy(out + 2, text, len);
    return len + 2;
}

/* Bytes of the variable byte integer at data, 0 if it needs more, -1 if it is malformed. */
static int get_varint(const uint8_t *data, size_t len, size_t *ret)
{
    size_t value = 0;
    for (int i = 0; i < 4; i++) {
        if ((size_t)i >= len)
            return 0;
        value |= (size_t)(data[i] & 127) << 7 * i;
        if (!(data[i] & 128)) {
            *ret = value;
            return i + 1;
        }
    }
    return -1;
}

int wire_next(const uint8_t *data, size_t len, struct wire_packet *ret)
{
    size_t remaining = 0;
    if (len < 2)
        return 0;
    int n = get_varint(data + 1, len - 1, &remaining);
    if (n <= 0)
        return n;
    size_t head = 1 + (size_t)n;
    if (len - head < remaining)
        return 0;
    *ret = (struct wire_packet){.type = data[0] >> 4,
                                .flags = data[0] & 15,
                                .body = data + head,
                                .body_len = remaining,
                                .bytes = head + remaining};
    return 1;
}

/* Puts a fixed header before body, which stands at out + 5 and moves up. */
static size_t finish(uint8_t *out, unsigned first, size_t body_len)
{
    uint8_t head[5] = {(uint8_t)first};
    size_t n = 1 + put_varint(head + 1, body_len);
    memmove(out + n, out + 5, body_len);
    memcpy(out, head, n);
    return n + body_len;
}

size_t wire_connect(uint8_t out[WIRE_SMALL_MAX], const char *client, unsigned level, bool clean)
{
    uint8_t *at = out + 5;
    at += put_string(at, "MQTT", 4);
    *at++ = (uint8_t)level;
    *at++ = clean ? 2 : 0;
    at += put_u16(at, 0);
    if (level == 5 && clean) {
        *at++ = 0;
    } else if (level == 5) {
        static const uint8_t expiry[] = {5, 0x11, 0, 0, 0x0e, 0x10}; /* one hour */
        memcpy(at, expiry, sizeof expiry);
        at += sizeof expiry;
    }
    at += put_string(at, client, strnlen(client, 128));
    return finish(out, 0x10, (size_t)(at - out - 5));
}

size_t wire_subscribe(uint8_t out[WIRE_SMALL_MAX], const char *filter, unsigned level)
{
    uint8_t *at = out + 5;
    at += put_u16(at, 1);
    if (level == 5)
        *at++ = 0;
    at += put_string(at, filter, strnlen(filter, 256));
    *at++ = 1;
    return finish(out, 0x82, (size_t)(at - out - 5));
}

size_t wire_puback(uint8_t out[4], uint16_t id)
{
    out[0] = 0x40;
    out[1] = 2;
    put_u16(out + 2, id);
    return 4;
}

size_t wire_disconnect(uint8_t out[2])
{
    out[0] = 0xe0;
    out[1] = 0;
    return 2;
}

size_t wire_publish(uint8_t *out, const char *topic, size_t topic_len, uint16_t id, unsigned level,
                    const void *payload, size_t payload_len)
{
    uint8_t *at = out;
    *at++ = 0x32;
    at += put_varint(at, 2 + topic_len + 2 + (level == 5) + payload_len);
    at += put_string(at, topic, topic_len);
    at += put_u16(at, id);
    if (level == 5)
        *at++ = 0;
    memcpy(at, payload, payload_len);
    return (size_t)(at - out) + payload_len;
}

bool wire_read_publish(const struct wire_packet *packet, unsigned level,
                       const uint8_t **ret_payload, size_t *ret_len, uint16_t *ret_id)
{
    const uint8_t *at = packet->body, *end = at + packet->body_len;
    unsigned qos = packet->flags >> 1 & 3;
    if (end - at < 2 || end - at - 2 < (at[0] << 8 | at[1]))
        return false;
    at += 2 + (at[0] << 8 | at[1]);
    uint16_t id = 0;
    if (qos) {
        if (end - at < 2)
            return false;
        id = (uint16_t)(at[0] << 8 | at[1]);
        at += 2;
    }
    if (level == 5) {
        size_t properties = 0;
        int n = get_varint(at, (size_t)(end - at), &properties);
        if (n <= 0 || (size_t)(end - at - n) < properties)
            return false;
        at += (size_t)n + properties;
    }
    *ret_payload = at;
    *ret_len = (size_t)(end - at);
    *ret_id = id;
    return true;
}
