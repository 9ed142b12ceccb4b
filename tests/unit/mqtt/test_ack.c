#include "packet.h"

#include "mqtt/ack.h"

static int decode(uint8_t first, struct mqtt_dialect dialect, const char *body,
                  struct mqtt_ack *ret)
{
    struct mqtt_frame f = test_frame(first, body);
    const char *detail = NULL;
    int r = mqtt_ack_decode(&f, dialect, ret, &detail);
    assert_int_equal(r != 0, detail != NULL);
    return r;
}

static void test_reason_and_properties_may_be_left_out(void **state)
{
    (void)state; /* section 3.4.2.1 */
    struct mqtt_ack a;
    assert_int_equal(decode(0x40, CLIENT_5, "0102", &a), 0);
    assert_int_equal(a.type, MQTT_PUBACK);
    assert_int_equal(a.packet_id, 0x102);
    assert_int_equal(a.reason, MQTT_SUCCESS);
    assert_int_equal(decode(0x50, CLIENT_5, "0001 97", &a), 0);
    assert_int_equal(a.type, MQTT_PUBREC);
    assert_int_equal(a.reason, MQTT_QUOTA_EXCEEDED);
    assert_int_equal(decode(0x62, CLIENT_5, "0001 92 04 1f 0001 61", &a), 0);
    assert_int_equal(a.type, MQTT_PUBREL);
    assert_slice(a.properties.reason_string, "a");
    assert_int_equal(decode(0x70, CLIENT_5, "0001 00 00", &a), 0);
}

static void test_each_type_has_its_own_reason_codes(void **state)
{
    (void)state; /* [MQTT-3.4.2-1], [MQTT-3.6.2-1] */
    struct mqtt_ack a;
    assert_int_equal(decode(0x40, CLIENT_5, "0001 92", &a), MQTT_PROTOCOL_ERROR);
    assert_int_equal(decode(0x62, CLIENT_5, "0001 97", &a), MQTT_PROTOCOL_ERROR);
    assert_int_equal(decode(0x70, CLIENT_5, "0001 10", &a), MQTT_PROTOCOL_ERROR);
    assert_int_equal(decode(0x50, CLIENT_5, "0001 01", &a), MQTT_PROTOCOL_ERROR);
    assert_int_equal(decode(0x50, CLIENT_5, "0001 ff", &a), MQTT_PROTOCOL_ERROR);
}

static void test_what_is_no_acknowledgement_is_refused(void **state)
{
    (void)state;
    struct mqtt_ack a = {.packet_id = 9};
    assert_int_equal(decode(0x40, CLIENT_4, "0000", &a), MQTT_PROTOCOL_ERROR);
    assert_int_equal(decode(0x40, CLIENT_4, "01", &a), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(0x40, CLIENT_4, "", &a), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(0x40, CLIENT_4, "0001 00", &a), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(0x40, CLIENT_5, "0001 00 00 00", &a), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(0x40, CLIENT_5, "0001 00 03 210001", &a), MQTT_MALFORMED_PACKET);
    assert_int_equal(a.packet_id, 9); /* untouched */
}

static void test_the_shortest_form_is_encoded(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct bytes out = mqtt_memory(memory, sizeof memory);
    struct mqtt_ack a = {.type = MQTT_PUBREL, .packet_id = 0x1234};
    assert_int_equal(mqtt_ack_encode(&a, SERVER_5, &out), 0);
    assert_packet(&out, "62 02 1234");
    out.len = 0;
    a = (struct mqtt_ack){.type = MQTT_PUBACK, .packet_id = 1, .reason = MQTT_QUOTA_EXCEEDED};
    assert_int_equal(mqtt_ack_encode(&a, SERVER_5, &out), 0);
    assert_packet(&out, "40 03 0001 97");
    out.len = 0;
    mqtt_property_set_slice(&a.properties, MQTT_REASON_STRING, SLICE_LITERAL("no"));
    assert_int_equal(mqtt_ack_encode(&a, SERVER_5, &out), 0);
    assert_packet(&out, "40 09 0001 97 05 1f 0002 6e6f");
    out.len = 0;
    struct mqtt_dialect small = SERVER_5; /* [MQTT-3.4.2-2] */
    small.max_packet_bytes = 10;
    assert_int_equal(mqtt_ack_encode(&a, small, &out), MQTT_ENCODE_TOO_LARGE);
}

static void test_3_1_1_cannot_say_a_failure(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct bytes out = mqtt_memory(memory, sizeof memory);
    struct mqtt_ack a = {.type = MQTT_PUBACK, .packet_id = 1, .reason = MQTT_QUOTA_EXCEEDED};
    assert_int_equal(mqtt_ack_encode(&a, SERVER_4, &out), MQTT_ENCODE_INVALID);
    a.reason = MQTT_NO_MATCHING_SUBSCRIBERS;
    assert_int_equal(mqtt_ack_encode(&a, SERVER_4, &out), 0);
    assert_packet(&out, "40 02 0001");
    a.packet_id = 0;
    assert_int_equal(mqtt_ack_encode(&a, SERVER_4, &out), MQTT_ENCODE_INVALID);
    a = (struct mqtt_ack){.type = MQTT_PUBLISH, .packet_id = 1};
    assert_int_equal(mqtt_ack_encode(&a, SERVER_5, &out), MQTT_ENCODE_INVALID);
}

static void test_the_short_puback_is_the_long_ones_equal(void **state)
{
    (void)state;
    uint8_t memory[8], puback[MQTT_PUBACK_BYTES];
    struct bytes out = mqtt_memory(memory, sizeof memory);
    struct mqtt_ack a = {.type = MQTT_PUBACK, .packet_id = 0xfedc};
    assert_int_equal(mqtt_ack_encode(&a, SERVER_5, &out), 0);
    mqtt_puback_encode(0xfedc, puback);
    assert_int_equal(out.len, sizeof puback);
    assert_memory_equal(out.data, puback, sizeof puback);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reason_and_properties_may_be_left_out),
        cmocka_unit_test(test_each_type_has_its_own_reason_codes),
        cmocka_unit_test(test_what_is_no_acknowledgement_is_refused),
        cmocka_unit_test(test_the_shortest_form_is_encoded),
        cmocka_unit_test(test_3_1_1_cannot_say_a_failure),
        cmocka_unit_test(test_the_short_puback_is_the_long_ones_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
