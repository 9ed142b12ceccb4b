/* What is neither CONNECT nor PUBLISH: ping, subscriptions, goodbye, wills. */
#include "client.h"

#include <string.h>

#include "event/attribute.h"

static void test_pingreq_is_answered(void **state)
{
    static const uint8_t ping[] = {0xc0, 0};
    struct client c;
    client_open(&c, *state, MQTT_5_0, "dev");
    assert_int_equal(client_send_raw(&c, ping, sizeof ping), 0);
    assert_int_equal(c.out.len, 2);
    assert_memory_equal(c.out.data, "\xd0\x00", 2);
    client_deinit(&c);
}

static struct mqtt_suback subscribe(struct client *c, bool with_id)
{
    static const char *const filters[] = {"a/b", "a/#", "$share/g/a"};
    struct bytes list = BYTES_INIT(1024);
    for (size_t i = 0; i < 3; i++) {
        struct mqtt_subscription s = {.filter = slice_string(filters[i]), .qos = 1};
        assert_int_equal(mqtt_subscription_append(&list, &s), 0);
    }
    struct mqtt_subscribe packet = {.packet_id = 5, .filters = bytes_slice(&list)};
    if (with_id)
        mqtt_property_set_integer(&packet.properties, MQTT_SUBSCRIPTION_ID, 1);
    assert_int_equal(mqtt_subscribe_encode(&packet, client_dialect(c), &c->packet), 0);
    bytes_deinit(&list);
    assert_int_equal(client_send_packet(c), 0);
    struct mqtt_suback suback;
    struct mqtt_frame frame = client_take(c);
    assert_int_equal(mqtt_frame_type(&frame), MQTT_SUBACK);
    assert_int_equal(mqtt_suback_decode(&frame, server_dialect(c), &suback, NULL), 0);
    assert_int_equal(suback.packet_id, 5);
    assert_int_equal(suback.codes.len, 3); /* [MQTT-3.9.3-1] */
    return suback;
}

static void test_subscriptions_are_refused_one_by_one(void **state)
{
    struct client c;
    client_open(&c, *state, MQTT_5_0, "dev");
    assert_memory_equal(subscribe(&c, false).codes.data, "\x83\xa2\x9e", 3);
    assert_memory_equal(subscribe(&c, true).codes.data, "\xa1\xa1\xa1", 3);
    assert_int_equal(c.session.state, SESSION_OPEN);
    client_deinit(&c);
    client_open(&c, *state, MQTT_3_1_1, "dev");
    assert_memory_equal(subscribe(&c, false).codes.data, "\x80\x80\x80", 3);
    client_deinit(&c);
}

static void test_unsubscribe_finds_nothing(void **state)
{
    static const uint8_t five[] = {0xa2, 6, 0, 9, 0, 0, 1, 't'};
    static const uint8_t three[] = {0xa2, 5, 0, 9, 0, 1, 't'};
    struct client c;
    client_open(&c, *state, MQTT_5_0, "dev");
    assert_int_equal(client_send_raw(&c, five, sizeof five), 0);
    assert_int_equal(c.out.len, 6);
    assert_memory_equal(c.out.data, "\xb0\x04\x00\x09\x00\x11", 6);
    client_deinit(&c);
    client_open(&c, *state, MQTT_3_1_1, "dev");
    assert_int_equal(client_send_raw(&c, three, sizeof three), 0);
    assert_int_equal(c.out.len, 4);
    assert_memory_equal(c.out.data, "\xb0\x02\x00\x09", 4);
    client_deinit(&c);
}

static void test_packets_of_a_server_are_protocol_errors(void **state)
{
    static const struct {
        uint8_t bytes[6];
        size_t len;
    } packets[] = {{{0x20, 3, 0, 0, 0}, 5},    /* CONNACK */
                   {{0x90, 4, 0, 1, 0, 0}, 6}, /* SUBACK */
                   {{0xb0, 4, 0, 1, 0, 0}, 6}, /* UNSUBACK */
                   {{0xd0, 0}, 2},             /* PINGRESP */
                   {{0x40, 2, 0, 1}, 4},       /* PUBACK: nothing was published to it */
                   {{0x50, 2, 0, 1}, 4},       /* PUBREC */
                   {{0x70, 2, 0, 1}, 4},       /* PUBCOMP */
                   {{0xf0, 0}, 2}};            /* AUTH */
    for (size_t i = 0; i < sizeof packets / sizeof *packets; i++) {
        struct client c;
        client_open(&c, *state, MQTT_5_0, "dev");
        client_expect_fault(&c, client_send_raw(&c, packets[i].bytes, packets[i].len),
                            MQTT_PROTOCOL_ERROR);
        client_deinit(&c);
        client_open(&c, *state, MQTT_3_1_1, "dev");
        client_expect_fault(&c, client_send_raw(&c, packets[i].bytes, packets[i].len),
                            MQTT_PROTOCOL_ERROR);
        client_deinit(&c);
    }
}

static void test_pubrel_of_an_unknown_id_is_completed(void **state)
{
    static const uint8_t pubrel[] = {0x62, 2, 0, 9};
    struct client c;
    client_open(&c, *state, MQTT_5_0, "dev");
    assert_int_equal(client_send_raw(&c, pubrel, sizeof pubrel), 0);
    assert_int_equal(c.out.len, 5);
    assert_memory_equal(c.out.data, "\x70\x03\x00\x09\x92", 5);
    client_deinit(&c);
}

/* A will with properties of a connected client. */
static void open_with_will(struct client *c, struct session_registry *registry,
                           enum mqtt_level level)
{
    struct mqtt_connect connect = client_connect_packet(level, "dev");
    connect.has_user_name = true;
    connect.user_name = SLICE_LITERAL("user");
    connect.has_will = true;
    connect.will = (struct mqtt_will){.topic = SLICE_LITERAL("dev/state"),
                                      .payload = SLICE_LITERAL("offline"),
                                      .qos = 1,
                                      .retain = true};
    if (level == MQTT_5_0) {
        mqtt_property_set_slice(&connect.will.properties, MQTT_CONTENT_TYPE,
                                SLICE_LITERAL("text/plain"));
        mqtt_property_set_slice(&connect.will.properties, MQTT_RESPONSE_TOPIC, SLICE_LITERAL("re"));
        mqtt_property_set_integer(&connect.will.properties, MQTT_WILL_DELAY, 30);
    }
    client_init(c, registry, &client_limits);
    assert_int_equal(client_connect(c, &connect), 0);
    assert_int_equal(client_take_connack(c, level).reason, MQTT_SUCCESS);
}

static void expect_will(struct client *c, bool properties)
{
    struct event event;
    struct attribute attribute;
    assert_int_equal(session_end(&c->session, &c->turn), 0);
    struct ingest_record *record = client_next_record(c, &event);
    assert_non_null(record);
    assert_true(slice_equal_string(event.topic, "dev/state"));
    assert_true(slice_equal_string(event.payload, "offline"));
    assert_true(slice_equal_string(event.client, "dev"));
    assert_true(slice_equal_string(event.username, "user"));
    assert_int_equal(event.qos, 1);
    assert_true(event.retain);
    assert_int_equal(record->connection, 0); /* nobody waits for an answer */
    assert_int_equal(record->packet_id, 0);
    assert_int_equal(event.attributes.len > 0, properties);
    if (properties) {
        assert_true(slice_equal_string(event.content_type, "text/plain"));
        assert_int_equal(attribute_next(&event.attributes, &attribute), 0);
        assert_true(slice_equal_string(attribute.value, "re"));
    }
    assert_int_equal(session_end(&c->session, &c->turn), 0);
    assert_null(client_next_record(c, NULL)); /* once */
}

/* [MQTT-3.1.2-8] */
static void test_will_is_published_when_the_connection_is_lost(void **state)
{
    struct client c;
    open_with_will(&c, *state, MQTT_5_0);
    expect_will(&c, true);
    client_deinit(&c);
    open_with_will(&c, *state, MQTT_3_1_1);
    expect_will(&c, false);
    client_deinit(&c);
}

/* [MQTT-3.1.2-10], [MQTT-3.14.4-3] */
static void test_disconnect_takes_the_will_back(void **state)
{
    static const uint8_t disconnect[] = {0xe0, 0};
    static const enum mqtt_level levels[] = {MQTT_3_1_1, MQTT_5_0};
    for (size_t i = 0; i < 2; i++) {
        struct client c;
        open_with_will(&c, *state, levels[i]);
        assert_int_equal(client_send_raw(&c, disconnect, sizeof disconnect), SESSION_DISCONNECTED);
        assert_int_equal(c.out.len, 0);
        assert_int_equal(session_end(&c.session, &c.turn), 0);
        assert_null(client_next_record(&c, NULL));
        client_deinit(&c);
    }
}

static void test_disconnect_0x04_leaves_the_will(void **state)
{
    static const uint8_t disconnect[] = {0xe0, 1, 4};
    struct client c;
    open_with_will(&c, *state, MQTT_5_0);
    assert_int_equal(client_send_raw(&c, disconnect, sizeof disconnect), SESSION_DISCONNECTED);
    expect_will(&c, true);
    client_deinit(&c);
}

static void test_fault_publishes_the_will(void **state)
{
    static const uint8_t pingresp[] = {0xd0, 0};
    struct client c;
    open_with_will(&c, *state, MQTT_5_0);
    client_expect_fault(&c, client_send_raw(&c, pingresp, 2), MQTT_PROTOCOL_ERROR);
    expect_will(&c, true);
    client_deinit(&c);
}

static void test_will_that_is_lost_is_counted(void **state)
{
    struct client c;
    open_with_will(&c, *state, MQTT_5_0);
    c.turn.batch = NULL;
    assert_true(session_end(&c.session, &c.turn) < 0);
    assert_int_equal(c.turn.refused, 1);
    assert_int_equal(c.turn.received_qos0, 0);
    client_deinit(&c);
}

/* [MQTT-3.14.2-2] */
static void test_disconnect_may_not_invent_a_session_expiry(void **state)
{
    static const uint8_t disconnect[] = {0xe0, 7, 0, 5, 0x11, 0, 0, 0, 9};
    struct client c;
    client_open(&c, *state, MQTT_5_0, "dev");
    client_expect_fault(&c, client_send_raw(&c, disconnect, sizeof disconnect),
                        MQTT_PROTOCOL_ERROR);
    client_deinit(&c);
}

static void test_goodbye_is_said_once_and_in_50_only(void **state)
{
    struct client c;
    client_open(&c, *state, MQTT_5_0, "dev");
    assert_int_equal(session_goodbye(&c.session, MQTT_SERVER_SHUTTING_DOWN, NULL, &c.out), 0);
    assert_int_equal(session_goodbye(&c.session, MQTT_KEEP_ALIVE_TIMEOUT, NULL, &c.out), 0);
    client_expect_disconnect(&c, MQTT_SERVER_SHUTTING_DOWN);
    client_deinit(&c);
    client_open(&c, *state, MQTT_3_1_1, "dev");
    assert_int_equal(session_goodbye(&c.session, MQTT_SERVER_SHUTTING_DOWN, NULL, &c.out), 0);
    assert_int_equal(c.out.len, 0);
    client_deinit(&c);
}

/* [MQTT-3.14.2-3]; the CONNACK needs 49 bytes or fewer, the text with the reason more than that */
static void test_reason_string_is_left_out_if_it_is_too_long(void **state)
{
    static char text[200];
    struct client c;
    struct mqtt_connect connect = client_connect_packet(MQTT_5_0, "dev");
    memset(text, 'x', sizeof text - 1);
    mqtt_property_set_integer(&connect.properties, MQTT_MAXIMUM_PACKET_SIZE, 60);
    client_init(&c, *state, &client_limits);
    assert_int_equal(client_connect(&c, &connect), 0);
    client_take_connack(&c, MQTT_5_0);
    assert_int_equal(session_goodbye(&c.session, MQTT_SERVER_BUSY, text, &c.out), 0);
    assert_int_equal(c.out.len, 3);
    client_expect_disconnect(&c, MQTT_SERVER_BUSY);
    client_deinit(&c);
}

static void test_packet_bound_before_connect_is_smaller(void **state)
{
    struct client c;
    struct mqtt_connect connect = client_connect_packet(MQTT_5_0, "dev");
    client_init(&c, *state, &client_limits);
    assert_int_equal(session_packet_max(&c.session), SESSION_CONNECT_MAX_BYTES);
    assert_int_equal(client_connect(&c, &connect), 0);
    assert_int_equal(session_packet_max(&c.session), 1 << 20);
    client_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        registry_test(test_pingreq_is_answered),
        registry_test(test_subscriptions_are_refused_one_by_one),
        registry_test(test_unsubscribe_finds_nothing),
        registry_test(test_packets_of_a_server_are_protocol_errors),
        registry_test(test_pubrel_of_an_unknown_id_is_completed),
        registry_test(test_will_is_published_when_the_connection_is_lost),
        registry_test(test_disconnect_takes_the_will_back),
        registry_test(test_disconnect_0x04_leaves_the_will),
        registry_test(test_fault_publishes_the_will),
        registry_test(test_will_that_is_lost_is_counted),
        registry_test(test_disconnect_may_not_invent_a_session_expiry),
        registry_test(test_goodbye_is_said_once_and_in_50_only),
        registry_test(test_reason_string_is_left_out_if_it_is_too_long),
        registry_test(test_packet_bound_before_connect_is_smaller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
