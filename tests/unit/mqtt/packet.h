#ifndef SLUICE_TEST_MQTT_PACKET_H
#define SLUICE_TEST_MQTT_PACKET_H
/* Packets of the tests as hexadecimal text; blanks separate fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include "base/bytes.h"
#include "mqtt/frame.h"
#include "mqtt/reason.h"
#include "mqtt/writer.h"

enum { TEST_PACKET_MAX_BYTES = 4096 };

#define CLIENT_4 ((struct mqtt_dialect){.level = MQTT_3_1_1, .sender = MQTT_FROM_CLIENT})
#define SERVER_4 ((struct mqtt_dialect){.level = MQTT_3_1_1, .sender = MQTT_FROM_SERVER})
#define CLIENT_5 ((struct mqtt_dialect){.level = MQTT_5_0, .sender = MQTT_FROM_CLIENT})
#define SERVER_5 ((struct mqtt_dialect){.level = MQTT_5_0, .sender = MQTT_FROM_SERVER})

static inline size_t test_unhex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    for (; *hex; hex++) {
        unsigned byte;
        if (*hex == ' ')
            continue;
        assert_int_equal(sscanf(hex, "%2x", &byte), 1);
        assert_true(n < TEST_PACKET_MAX_BYTES);
        out[n++] = (uint8_t)byte;
        hex++;
    }
    return n;
}

/* A frame of a first byte and a body, in memory of its own until the next call. */
static inline struct mqtt_frame test_frame(uint8_t first, const char *body)
{
    static uint8_t memory[TEST_PACKET_MAX_BYTES];
    size_t n = test_unhex(body, memory);
    return (struct mqtt_frame){
        .first = first, .body = slice_make(memory, n), .consumed = (uint32_t)n + 2};
}

/* That what was encoded is this. */
static inline void assert_packet(const struct bytes *out, const char *hex)
{
    uint8_t expected[TEST_PACKET_MAX_BYTES];
    size_t n = test_unhex(hex, expected);
    assert_int_equal(out->len, n);
    assert_memory_equal(out->data, expected, n);
}

#define assert_slice(s, text) assert_true(slice_equal_string((s), (text)))

#endif
