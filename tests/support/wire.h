#ifndef SLUICE_TESTS_WIRE_H
#define SLUICE_TESTS_WIRE_H
/*
 * The little MQTT that the load tools speak. On purpose not the daemon's codec: a mistake in that
 * one must not cancel itself out in a test. Trusts its peer only as far as memory safety goes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WIRE_CONNACK = 2, WIRE_PUBLISH = 3, WIRE_PUBACK = 4, WIRE_SUBACK = 9, WIRE_DISCONNECT = 14 };

enum { WIRE_SMALL_MAX = 512 }; /* bytes of any packet made here but for PUBLISH */

struct wire_packet {
    unsigned type, flags;
    const uint8_t *body;
    size_t body_len;
    size_t bytes; /* of the whole packet */
};

/* 1: *ret is the next packet of data. 0: more bytes are needed. -1: malformed. */
int wire_next(const uint8_t *data, size_t len, struct wire_packet *ret);

/* Each writes a packet and returns its bytes; level is 4 (3.1.1) or 5. Clients have no will, no
 * user name and no keep-alive; in 5.0 a session that is not clean lasts an hour. */
size_t wire_connect(uint8_t out[WIRE_SMALL_MAX], const char *client, unsigned level, bool clean);
size_t wire_subscribe(uint8_t out[WIRE_SMALL_MAX], const char *filter, unsigned level);
size_t wire_puback(uint8_t out[4], uint16_t id);
size_t wire_disconnect(uint8_t out[2]);

/* A QoS 1 PUBLISH; out must have room for wire_publish_max() bytes. */
size_t wire_publish(uint8_t *out, const char *topic, size_t topic_len, uint16_t id, unsigned level,
                    const void *payload, size_t payload_len);
static inline size_t wire_publish_max(size_t topic_len, size_t payload_len)
{
    return topic_len + payload_len + 16;
}

/* Payload and packet id of a received PUBLISH (id 0 at QoS 0). False if it is malformed. */
bool wire_read_publish(const struct wire_packet *packet, unsigned level,
                       const uint8_t **ret_payload, size_t *ret_len, uint16_t *ret_id);

#endif
