#ifndef SLUICE_MQTT_FRAME_H
#define SLUICE_MQTT_FRAME_H
/*
 * A frame is one complete MQTT control packet as it stands in a receive buffer: the fixed header
 * taken apart, the rest still raw [MQTT-2.1]. This is the first step of every packet; the decoder
 * of its type (connect.h, publish.h, ack.h, subscribe.h, disconnect.h) is the second.
 *
 * Pure: no memory, no state, any thread. A frame borrows from the buffer it was found in and lives
 * as long as those bytes stay where they are.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum mqtt_type { /* high four bits of the first byte [MQTT-2.1.2]; 0 is forbidden */
                 MQTT_CONNECT = 1,
                 MQTT_CONNACK = 2,
                 MQTT_PUBLISH = 3,
                 MQTT_PUBACK = 4,
                 MQTT_PUBREC = 5,
                 MQTT_PUBREL = 6,
                 MQTT_PUBCOMP = 7,
                 MQTT_SUBSCRIBE = 8,
                 MQTT_SUBACK = 9,
                 MQTT_UNSUBSCRIBE = 10,
                 MQTT_UNSUBACK = 11,
                 MQTT_PINGREQ = 12,
                 MQTT_PINGRESP = 13,
                 MQTT_DISCONNECT = 14,
                 MQTT_AUTH = 15
};

enum mqtt_level { MQTT_3_1_1 = 4, MQTT_5_0 = 5 }; /* protocol level of a connection */

enum mqtt_sender { MQTT_FROM_CLIENT = 0, MQTT_FROM_SERVER = 1 };

/* What decides how the bytes of a packet are read or written, beside the packet itself. A
 * connection keeps two: one of what it receives, one of what it sends. Passed by value. */
struct mqtt_dialect {
    enum mqtt_level level;
    enum mqtt_sender sender; /* who sends the packet that is decoded or encoded */
    uint32_t
        max_packet_bytes; /* encoding: the receiver's Maximum Packet Size, whole packet; 0: no
                             limit but the protocol's. Decoding ignores it (mqtt_frame_next). */
};

#define MQTT_REMAINING_MAX_BYTES 268435455u                   /* largest remaining length */
#define MQTT_PACKET_MAX_BYTES (MQTT_REMAINING_MAX_BYTES + 5u) /* with the fixed header */
#define MQTT_STRING_MAX_BYTES 65535u

struct mqtt_frame {
    struct slice body; /* after the fixed header; borrowed from the input */
    uint32_t consumed; /* bytes of the whole packet, fixed header included */
    uint8_t first;     /* type and flags */
};

enum mqtt_frame_outcome {
    MQTT_NEED_MORE = 1, /* the beginning of a packet that may become valid */
    MQTT_MALFORMED = 2, /* type 0, wrong flags [MQTT-2.1.3-1] (3.1.1: [MQTT-2.2.2-1]), QoS 3
                           [MQTT-3.3.1-4], DUP on QoS 0 [MQTT-3.3.1-2], remaining length not minimal
                           or beyond four bytes [MQTT-1.5.5-1]: close, in 5.0 with 0x81 */
    MQTT_TOO_LARGE = 3  /* larger than max_packet_bytes; known from the header alone: 0x95 */
};

/* Finds the packet at the beginning of in. max_packet_bytes bounds the whole packet, fixed header
 * included. Faults of the header are reported as soon as their byte is there. 0 or an enum
 * mqtt_frame_outcome; the caller drops ret->consumed bytes once it is done with the packet. */
int mqtt_frame_next(struct slice in, uint32_t max_packet_bytes, struct mqtt_frame *ret);

/* Bytes of the packet at the beginning of in if its fixed header is complete and well-formed, else
 * 0: how large a receive buffer has to be after MQTT_NEED_MORE. */
uint32_t mqtt_frame_size(struct slice in);

static inline enum mqtt_type mqtt_frame_type(const struct mqtt_frame *frame)
{
    return (enum mqtt_type)(frame->first >> 4);
}

/* Whether a packet of this type may come from that side under that level at all: a server gets no
 * CONNACK, 3.1.1 knows no AUTH and no DISCONNECT from a server. */
bool mqtt_type_expected(enum mqtt_type type, struct mqtt_dialect dialect);

/* "PUBLISH"; "RESERVED" for what is no type. Static. */
const char *mqtt_type_name(enum mqtt_type type);

/* Where a property or reason code may occur is a mask of these bits: one per type and sender. The
 * will's properties, which stand inside CONNECT, have the bit that no type uses. */
#define MQTT_PACKET_WILL (UINT32_C(1) << 0)

static inline uint32_t mqtt_packet_bit(enum mqtt_type type, enum mqtt_sender sender)
{
    return UINT32_C(1) << ((unsigned)type + 16u * (unsigned)sender);
}

#endif
