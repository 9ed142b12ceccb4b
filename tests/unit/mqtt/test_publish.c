#include "packet.h"

#include "mqtt/publish.h"

static int decode(uint8_t first, struct mqtt_dialect dialect, const char *body,
                  struct mqtt_publish *ret)
{
    struct mqtt_frame f = test_frame(first, body);
    const char *detail = NULL;
    int r = mqtt_publish_decode(&f, dialect, ret, &detail);
    assert_int_equal(r != 0, detail != NULL);
    return r;
}

static void test_a_publish_is_a_view_into_its_frame(void **state)
{
    (void)state;
    struct mqtt_frame f = test_frame(0x3b, "0003 612f62 1234 00 686921");
    struct mqtt_publish p;
    assert_int_equal(mqtt_publish_decode(&f, CLIENT_5, &p, NULL), 0);
    assert_ptr_equal(p.topic.data, f.body.data + 2);
    assert_slice(p.topic, "a/b");
    assert_slice(p.payload, "hi!");
    assert_int_equal(p.packet_id, 0x1234);
    assert_int_equal(p.qos, 1);
    assert_true(p.retain && p.dup);
    assert_true(mqtt_properties_empty(&p.properties));
    assert_int_equal(p.properties.raw.len, 0);
}

static void test_qos_0_has_no_packet_id(void **state)
{
    (void)state; /* [MQTT-2.2.1-2] */
    struct mqtt_publish p;
    assert_int_equal(decode(0x30, CLIENT_4, "0001 61 1234", &p), 0);
    assert_int_equal(p.packet_id, 0);
    assert_int_equal(p.payload.len, 2);
    assert_int_equal(decode(0x30, CLIENT_4, "0001 61", &p), 0);
    assert_int_equal(p.payload.len, 0);
}

static void test_packet_id_0_is_a_protocol_error(void **state)
{
    (void)state; /* [MQTT-2.2.1-3] */
    struct mqtt_publish p;
    assert_int_equal(decode(0x32, CLIENT_5, "0001 61 0000 00", &p), MQTT_PROTOCOL_ERROR);
    assert_int_equal(decode(0x34, CLIENT_4, "0001 61 0000", &p), MQTT_PROTOCOL_ERROR);
}

static void test_topic_names_are_judged(void **state)
{
    (void)state; /* [MQTT-3.3.2-1..2], [MQTT-4.7.3-1] */
    struct mqtt_publish p = {.packet_id = 99};
    assert_int_equal(decode(0x30, CLIENT_5, "0003 612f2b 00", &p), MQTT_TOPIC_NAME_INVALID);
    assert_int_equal(decode(0x30, CLIENT_4, "0003 612f23", &p), MQTT_TOPIC_NAME_INVALID);
    assert_int_equal(decode(0x30, CLIENT_4, "0000", &p), MQTT_TOPIC_NAME_INVALID);
    assert_int_equal(decode(0x30, CLIENT_5, "0000 00", &p), MQTT_PROTOCOL_ERROR);
    assert_int_equal(decode(0x30, CLIENT_5, "0000 05 0200000001", &p), MQTT_PROTOCOL_ERROR);
    assert_int_equal(decode(0x30, CLIENT_5, "0003 610062 00", &p), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(0x30, CLIENT_5, "0003 eda080 00", &p), MQTT_MALFORMED_PACKET);
    assert_int_equal(p.packet_id, 99); /* untouched */
}

static void test_a_topic_alias_stands_for_the_topic(void **state)
{
    (void)state;
    struct mqtt_publish p;
    assert_int_equal(decode(0x30, CLIENT_5, "0000 03 230005 78", &p), 0);
    assert_int_equal(p.topic.len, 0);
    assert_int_equal(p.properties.topic_alias, 5);
    assert_slice(p.payload, "x");
    assert_int_equal(decode(0x30, CLIENT_5, "0001 61 03 230000", &p), MQTT_TOPIC_ALIAS_INVALID);
}

static void test_subscription_identifiers_come_from_servers_only(void **state)
{
    (void)state; /* [MQTT-3.3.4-6] */
    struct mqtt_publish p;
    assert_int_equal(decode(0x30, CLIENT_5, "0001 61 02 0b01", &p), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(0x30, SERVER_5, "0001 61 05 0b01 0b8001", &p), 0);
    struct slice rest = p.properties.raw;
    uint32_t id = 0;
    assert_true(mqtt_subscription_id_next(&rest, &id));
    assert_int_equal(id, 1);
    assert_true(mqtt_subscription_id_next(&rest, &id));
    assert_int_equal(id, 128);
    assert_false(mqtt_subscription_id_next(&rest, &id));
}

static void test_truncated_headers_are_malformed(void **state)
{
    (void)state;
    static const char *const cut[] = {"",
                                      "00",
                                      "0001",
                                      "0001 61",
                                      "0001 61 00",
                                      "0001 61 0001",
                                      "0001 61 0001 80",
                                      "0001 61 0001 01",
                                      "0001 61 0001 02 01",
                                      "0001 61 0001 03 2300"};
    struct mqtt_publish p;
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++)
        assert_int_equal(decode(0x32, CLIENT_5, cut[i], &p), MQTT_MALFORMED_PACKET);
}

static void test_encoding_gives_the_bytes_of_each_level(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct bytes out = mqtt_memory(memory, sizeof memory);
    struct mqtt_publish p = {.topic = SLICE_LITERAL("a/b"),
                             .payload = SLICE_LITERAL("hi"),
                             .packet_id = 7,
                             .qos = 1,
                             .retain = true};
    mqtt_property_set_integer(&p.properties, MQTT_MESSAGE_EXPIRY, 60);
    assert_int_equal(mqtt_publish_encode(&p, SERVER_4, &out), 0);
    assert_packet(&out, "33 09 0003 612f62 0007 6869");
    out.len = 0;
    assert_int_equal(mqtt_publish_encode(&p, SERVER_5, &out), 0);
    assert_packet(&out, "33 0f 0003 612f62 0007 05 020000003c 6869");
}

static void test_subscription_identifiers_are_written_from_the_array(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct bytes out = mqtt_memory(memory, sizeof memory);
    static const uint32_t ids[] = {5, 300};
    struct mqtt_publish p = {.topic = SLICE_LITERAL("a"),
                             .properties = {.present = MQTT_PRESENT(MQTT_SUBSCRIPTION_ID),
                                            .subscription_ids = ids,
                                            .subscription_id_count = 2}};
    assert_int_equal(mqtt_publish_encode(&p, SERVER_5, &out), 0);
    assert_packet(&out, "30 09 0001 61 05 0b05 0bac02");
    assert_int_equal(mqtt_publish_encode(&p, CLIENT_5, &out), MQTT_ENCODE_INVALID);
}

static void test_nothing_invalid_is_encoded(void **state)
{
    (void)state;
    static uint8_t long_name[65536];
    memset(long_name, 'a', sizeof long_name);
    const struct mqtt_publish bad[] = {
        {.topic = SLICE_LITERAL("a/#")},
        {.topic = SLICE_EMPTY},
        {.topic = {long_name, sizeof long_name}},
        {.topic = SLICE_LITERAL("a"), .qos = 1},
        {.topic = SLICE_LITERAL("a"), .qos = 3, .packet_id = 1},
        {.topic = SLICE_LITERAL("a"), .dup = true},
        {.topic = SLICE_LITERAL("a"), .properties = {.present = MQTT_PRESENT(MQTT_TOPIC_ALIAS)}},
        {.topic = SLICE_LITERAL("a"), .properties = {.present = MQTT_PRESENT(MQTT_MAXIMUM_QOS)}},
        {.topic = SLICE_LITERAL("a"), .properties = {.present = MQTT_PRESENT(63)}},
    };
    struct bytes out = BYTES_INIT(1 << 20);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(mqtt_publish_encode(&bad[i], SERVER_5, &out), MQTT_ENCODE_INVALID);
    assert_int_equal(out.len, 0);
    bytes_deinit(&out);
}

static void test_the_receivers_maximum_and_the_buffers_are_kept(void **state)
{
    (void)state; /* [MQTT-3.1.2-24] */
    uint8_t memory[8];
    struct bytes out = mqtt_memory(memory, sizeof memory);
    struct mqtt_publish p = {.topic = SLICE_LITERAL("a"), .payload = SLICE_LITERAL("hi")};
    struct mqtt_dialect d = SERVER_4;
    d.max_packet_bytes = 6;
    assert_int_equal(mqtt_publish_encode(&p, d, &out), MQTT_ENCODE_TOO_LARGE);
    d.max_packet_bytes = 7;
    assert_int_equal(mqtt_publish_encode(&p, d, &out), 0);
    assert_int_equal(mqtt_publish_encode(&p, d, &out), MQTT_ENCODE_FULL);
    assert_int_equal(out.len, 7);
}

static void test_a_packet_beyond_the_protocol_is_refused_before_memory_is_touched(void **state)
{
    (void)state;
    struct bytes out = BYTES_INIT(SIZE_MAX / 2);
    static const uint8_t one;
    struct mqtt_publish p = {.topic = SLICE_LITERAL("a"),
                             .payload = {&one, MQTT_REMAINING_MAX_BYTES - 2}};
    assert_int_equal(mqtt_publish_encode(&p, SERVER_4, &out), MQTT_ENCODE_TOO_LARGE);
    struct mqtt_dialect generous = SERVER_5; /* a client may announce more than there is */
    generous.max_packet_bytes = UINT32_MAX;
    assert_int_equal(mqtt_publish_encode(&p, generous, &out), MQTT_ENCODE_TOO_LARGE);
    assert_null(out.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_publish_is_a_view_into_its_frame),
        cmocka_unit_test(test_qos_0_has_no_packet_id),
        cmocka_unit_test(test_packet_id_0_is_a_protocol_error),
        cmocka_unit_test(test_topic_names_are_judged),
        cmocka_unit_test(test_a_topic_alias_stands_for_the_topic),
        cmocka_unit_test(test_subscription_identifiers_come_from_servers_only),
        cmocka_unit_test(test_truncated_headers_are_malformed),
        cmocka_unit_test(test_encoding_gives_the_bytes_of_each_level),
        cmocka_unit_test(test_subscription_identifiers_are_written_from_the_array),
        cmocka_unit_test(test_nothing_invalid_is_encoded),
        cmocka_unit_test(test_the_receivers_maximum_and_the_buffers_are_kept),
        cmocka_unit_test(test_a_packet_beyond_the_protocol_is_refused_before_memory_is_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
