/*
 * Fuzz target of mqtt/: an input is a stream of frames, read under both levels and from both sides;
 * and, so that mutations need not get the length right, also one packet whose first byte is the
 * first of the input and whose body is the rest. What decodes must encode again, to no more bytes
 * than it had, and decode to the same; the topic functions must hold their relations on any bytes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "mqtt/reason.h"
#include "mqtt/topic.h"
#include "mqtt/writer.h"
#include "mqtt_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { INPUT_MAX_BYTES = 1 << 17 };

static void round_trip(const struct mqtt_packet *packet, struct mqtt_dialect dialect, size_t size)
{
    struct bytes out = BYTES_INIT(INPUT_MAX_BYTES);
    CHECK(mqtt_packet_encode(packet, dialect, &out) == 0);
    CHECK(out.len <= size);
    struct mqtt_frame frame;
    struct mqtt_packet again;
    CHECK(mqtt_frame_next(bytes_slice(&out), INPUT_MAX_BYTES, &frame) == 0);
    CHECK(frame.consumed == out.len);
    CHECK(mqtt_packet_decode(&frame, dialect, &again, NULL) == 0);
    CHECK(mqtt_packet_equal(packet, &again));
    bytes_deinit(&out);
}

static void frame_try(const struct mqtt_frame *frame, struct mqtt_dialect dialect)
{
    size_t size = frame->consumed;
    uint8_t *copy = malloc(frame->body.len ? frame->body.len : 1);
    CHECK(copy);
    if (frame->body.len)
        memcpy(copy, frame->body.data, frame->body.len);
    struct mqtt_frame exact = {.body = slice_make(copy, frame->body.len),
                               .consumed = frame->consumed,
                               .first = frame->first};
    struct mqtt_packet packet;
    const char *detail = NULL;
    int r = mqtt_packet_decode(&exact, dialect, &packet, &detail);
    if (r == 0) {
        round_trip(&packet, dialect, size);
    } else { /* a refusal has a reason that can be said, and a text */
        enum mqtt_type type =
            mqtt_frame_type(&exact) == MQTT_CONNECT ? MQTT_CONNACK : MQTT_DISCONNECT;
        CHECK(detail && mqtt_reason_allowed((uint8_t)r, mqtt_packet_bit(type, MQTT_FROM_SERVER)));
    }
    free(copy);
}

static void frames_try(struct slice in, struct mqtt_dialect dialect)
{
    struct mqtt_frame frame;
    while (mqtt_frame_next(in, INPUT_MAX_BYTES, &frame) == 0) {
        CHECK(frame.consumed <= in.len && frame.consumed == mqtt_frame_size(in));
        frame_try(&frame, dialect);
        in = slice_make(in.data + frame.consumed, in.len - frame.consumed);
    }
}

static void body_try(struct slice in, struct mqtt_dialect dialect)
{
    uint8_t header[] = {in.data[0], 0};
    struct mqtt_frame frame;
    if (mqtt_frame_next(slice_make(header, sizeof header), INPUT_MAX_BYTES, &frame))
        return; /* no legal first byte */
    frame.body = slice_make(in.data + 1, in.len - 1);
    frame.consumed = (uint32_t)(in.len + (in.len <= 128 ? 1 : in.len <= 16384 ? 2 : 3));
    frame_try(&frame, dialect);
}

static void topics_try(struct slice in)
{
    size_t half = in.len / 2;
    struct slice a = slice_make(in.data, half), b = slice_make(in.data + half, in.len - half);
    struct mqtt_topic_filter filter;
    if (mqtt_topic_name_valid(a) && !mqtt_topic_filter_parse(a, &filter)) /* only "$share/..." */
        CHECK(a.len >= 7 && memcmp(a.data, "$share/", 7) == 0);
    if (!mqtt_topic_filter_parse(a, &filter))
        return;
    CHECK(filter.wildcard == !mqtt_topic_name_valid(filter.filter));
    if (!filter.wildcard)
        CHECK(mqtt_topic_matches(filter.filter, filter.filter));
    if (mqtt_topic_name_valid(b) && mqtt_topic_matches(filter.filter, b) && !filter.wildcard)
        CHECK(slice_equal(filter.filter, b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mqtt_dialect dialects[] = {
        {.level = MQTT_3_1_1, .sender = MQTT_FROM_CLIENT},
        {.level = MQTT_3_1_1, .sender = MQTT_FROM_SERVER},
        {.level = MQTT_5_0, .sender = MQTT_FROM_CLIENT},
        {.level = MQTT_5_0, .sender = MQTT_FROM_SERVER},
    };
    if (!size || size > INPUT_MAX_BYTES / 2)
        return 0;
    struct slice in = slice_make(data, size);
    for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; i++) {
        frames_try(in, dialects[i]);
        body_try(in, dialects[i]);
    }
    topics_try(in);
    return 0;
}
