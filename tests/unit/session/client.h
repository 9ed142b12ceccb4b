#ifndef SLUICE_TESTS_SESSION_CLIENT_H
#define SLUICE_TESTS_SESSION_CLIENT_H
/* A session under test with everything around it, and the client's half of the conversation:
 * packets are made by the codec, answers are read by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/event.h"
#include "event/ingest.h"
#include "mqtt/ack.h"
#include "mqtt/connect.h"
#include "mqtt/disconnect.h"
#include "mqtt/publish.h"
#include "mqtt/subscribe.h"
#include "mqtt/writer.h"
#include "session/registry.h"
#include "session/session.h"

enum { CLIENT_CONNECTION = 77, CLIENT_OUT_MAX = 4 << 20 };

struct client {
    struct session session;
    struct session_registry *registry;
    struct ingest_batch *batch;
    struct bytes out, scratch, packet;
    struct session_turn turn;
    size_t read_position; /* records of the batch seen by client_next_record() */
};

static const struct session_limits client_limits = {
    .anonymous = true,
    .max_packet_bytes = 1 << 20,
    .receive_maximum = 4,
    .topic_alias_max = 3,
    .keep_alive_max_s = 65535,
};

static inline void client_init(struct client *c, struct session_registry *registry,
                               const struct session_limits *limits)
{
    *c = (struct client){.registry = registry,
                         .out = BYTES_INIT(CLIENT_OUT_MAX),
                         .scratch = SESSION_SCRATCH_INIT,
                         .packet = BYTES_INIT(CLIENT_OUT_MAX)};
    assert_int_equal(ingest_batch_new(NULL, &c->batch), 0);
    c->turn = (struct session_turn){.batch = c->batch, .out = &c->out, .scratch = &c->scratch};
    session_init(&c->session, limits, registry, CLIENT_CONNECTION);
}

static inline void client_deinit(struct client *c)
{
    assert_int_equal(session_end(&c->session, &c->turn), 0);
    session_deinit(&c->session);
    ingest_batch_free(c->batch);
    bytes_deinit(&c->out);
    bytes_deinit(&c->scratch);
    bytes_deinit(&c->packet);
}

static inline int client_send_packet(struct client *c)
{
    struct mqtt_frame frame;
    assert_int_equal(mqtt_frame_next(bytes_slice(&c->packet), MQTT_PACKET_MAX_BYTES, &frame), 0);
    assert_int_equal(frame.consumed, c->packet.len);
    int r = session_receive(&c->session, &frame, &c->turn);
    bytes_reset(&c->packet, 0); /* the session may not keep what it borrowed */
    return r;
}

static inline int client_send_raw(struct client *c, const void *data, size_t len)
{
    assert_int_equal(bytes_append(&c->packet, data, len), 0);
    return client_send_packet(c);
}

static inline int client_connect(struct client *c, const struct mqtt_connect *connect)
{
    assert_int_equal(mqtt_connect_encode(connect, 0, &c->packet), 0);
    return client_send_packet(c);
}

static inline struct mqtt_dialect client_dialect(const struct client *c)
{
    return (struct mqtt_dialect){.level = c->session.out.level, .sender = MQTT_FROM_CLIENT};
}

static inline int client_publish(struct client *c, const struct mqtt_publish *publish)
{
    assert_int_equal(mqtt_publish_encode(publish, client_dialect(c), &c->packet), 0);
    return client_send_packet(c);
}

/* PUBLISH with QoS 1 and this id. */
static inline int client_publish_id(struct client *c, uint16_t id, const char *topic)
{
    struct mqtt_publish publish = {.topic = slice_string(topic),
                                   .payload = SLICE_LITERAL("payload"),
                                   .packet_id = id,
                                   .qos = 1};
    return client_publish(c, &publish);
}

/* Takes the next packet out of what the server sent. Its body stays valid until the next send. */
static inline struct mqtt_frame client_take(struct client *c)
{
    static uint8_t memory[1 << 16];
    struct mqtt_frame frame;
    assert_true(c->out.len > 0);
    assert_true(c->out.len <= sizeof memory);
    memcpy(memory, c->out.data, c->out.len);
    assert_int_equal(mqtt_frame_next(slice_make(memory, c->out.len), MQTT_PACKET_MAX_BYTES, &frame),
                     0);
    bytes_consume(&c->out, frame.consumed);
    return frame;
}

static inline struct mqtt_dialect server_dialect(const struct client *c)
{
    return (struct mqtt_dialect){.level = c->session.out.level, .sender = MQTT_FROM_SERVER};
}

static inline struct mqtt_connack client_take_connack(struct client *c, enum mqtt_level level)
{
    struct mqtt_connack connack;
    struct mqtt_frame frame = client_take(c);
    struct mqtt_dialect dialect = {.level = level, .sender = MQTT_FROM_SERVER};
    assert_int_equal(mqtt_frame_type(&frame), MQTT_CONNACK);
    assert_int_equal(mqtt_connack_decode(&frame, dialect, &connack, NULL), 0);
    assert_false(connack.session_present);
    return connack;
}

static inline void client_expect_puback(struct client *c, uint16_t id, unsigned reason)
{
    struct mqtt_ack ack;
    struct mqtt_frame frame = client_take(c);
    assert_int_equal(mqtt_frame_type(&frame), MQTT_PUBACK);
    assert_int_equal(mqtt_ack_decode(&frame, server_dialect(c), &ack, NULL), 0);
    assert_int_equal(ack.packet_id, id);
    assert_int_equal(ack.reason, reason);
}

static inline void client_expect_disconnect(struct client *c, unsigned reason)
{
    struct mqtt_disconnect disconnect;
    struct mqtt_frame frame = client_take(c);
    assert_int_equal(mqtt_frame_type(&frame), MQTT_DISCONNECT);
    assert_int_equal(mqtt_disconnect_decode(&frame, server_dialect(c), &disconnect, NULL), 0);
    assert_int_equal(disconnect.reason, reason);
    assert_int_equal(c->out.len, 0);
}

/* The session ended with this fault; a 5.0 client was told, a 3.1.1 client sees the close only. */
static inline void client_expect_fault(struct client *c, int r, unsigned reason)
{
    assert_int_equal(r, SESSION_FAULT);
    assert_int_equal(c->turn.reason, reason);
    assert_non_null(c->turn.detail);
    assert_int_equal(c->session.state, SESSION_ENDED);
    if (c->session.out.level == MQTT_5_0)
        client_expect_disconnect(c, reason);
    assert_int_equal(c->out.len, 0);
}

/* The next event the session handed on; NULL: none. */
static inline struct ingest_record *client_next_record(struct client *c, struct event *ret)
{
    struct ingest_record *record = ingest_batch_next(c->batch, &c->read_position);
    if (record && ret)
        ingest_record_event(c->batch, record, ret);
    return record;
}

/* The pipeline's answer to the next record. */
static inline int client_answer(struct client *c, enum ingest_outcome outcome)
{
    struct ingest_record *record = client_next_record(c, NULL);
    assert_non_null(record);
    record->outcome = (uint8_t)outcome;
    return session_receive_receipt(&c->session, record, &c->turn);
}

static inline struct mqtt_connect client_connect_packet(enum mqtt_level level, const char *id)
{
    return (struct mqtt_connect){
        .level = level, .clean_start = true, .keep_alive_s = 60, .client_id = slice_string(id)};
}

/* A client that is connected, with its CONNACK read. */
static inline void client_open(struct client *c, struct session_registry *registry,
                               enum mqtt_level level, const char *id)
{
    struct mqtt_connect connect = client_connect_packet(level, id);
    client_init(c, registry, &client_limits);
    assert_int_equal(client_connect(c, &connect), 0);
    assert_int_equal(client_take_connack(c, level).reason, MQTT_SUCCESS);
    assert_int_equal(c->out.len, 0);
}

/* The registry of a test. */
static inline int registry_setup(void **state)
{
    struct session_registry *registry = malloc(sizeof *registry);
    if (!registry || session_registry_init(registry))
        return -1;
    *state = registry;
    return 0;
}

static inline int registry_teardown(void **state)
{
    struct session_registry *registry = *state;
    int left = (int)registry->count;
    session_registry_deinit(registry);
    free(registry);
    return left;
}

#define registry_test(function)                                                                    \
    cmocka_unit_test_setup_teardown(function, registry_setup, registry_teardown)

#endif
