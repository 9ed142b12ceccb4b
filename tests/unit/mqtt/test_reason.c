#include "packet.h"

static void test_every_code_of_the_standard_has_a_name(void **state)
{
    (void)state; /* table 2-6 */
    unsigned named = 0;
    for (unsigned code = 0; code < 256; code++) {
        bool known = strcmp(mqtt_reason_name((uint8_t)code), "Unknown") != 0;
        named += known;
        assert_int_equal(known, mqtt_reason_allowed((uint8_t)code, UINT32_MAX));
    }
    assert_int_equal(named, 43);
    assert_string_equal(mqtt_reason_name(0x81), "Malformed Packet");
    assert_string_equal(mqtt_reason_name(0xa2), "Wildcard Subscriptions not supported");
}

static unsigned allowed(uint32_t packet)
{
    unsigned n = 0;
    for (unsigned code = 0; code < 256; code++)
        n += mqtt_reason_allowed((uint8_t)code, packet);
    return n;
}

static void test_each_packet_has_as_many_codes_as_its_table(void **state)
{
    (void)state; /* tables 3-1 and following */
    assert_int_equal(allowed(mqtt_packet_bit(MQTT_CONNACK, MQTT_FROM_SERVER)), 22);
    assert_int_equal(allowed(mqtt_packet_bit(MQTT_PUBACK, MQTT_FROM_SERVER)), 9);
    assert_int_equal(allowed(mqtt_packet_bit(MQTT_PUBREC, MQTT_FROM_CLIENT)), 9);
    assert_int_equal(allowed(mqtt_packet_bit(MQTT_PUBREL, MQTT_FROM_CLIENT)), 2);
    assert_int_equal(allowed(mqtt_packet_bit(MQTT_PUBCOMP, MQTT_FROM_SERVER)), 2);
    assert_int_equal(allowed(mqtt_packet_bit(MQTT_SUBACK, MQTT_FROM_SERVER)), 12);
    assert_int_equal(allowed(mqtt_packet_bit(MQTT_UNSUBACK, MQTT_FROM_SERVER)), 7);
    assert_int_equal(allowed(mqtt_packet_bit(MQTT_AUTH, MQTT_FROM_CLIENT)), 2);
    assert_int_equal(allowed(mqtt_packet_bit(MQTT_AUTH, MQTT_FROM_SERVER)), 2);
    assert_int_equal(allowed(mqtt_packet_bit(MQTT_DISCONNECT, MQTT_FROM_CLIENT)), 14);
    assert_int_equal(allowed(mqtt_packet_bit(MQTT_PUBLISH, MQTT_FROM_CLIENT)), 0);
}

static void test_return_codes_of_3_1_1_go_there_and_back(void **state)
{
    (void)state;
    for (uint8_t code = 0; code < MQTT_V3_CODE_COUNT; code++)
        assert_int_equal(mqtt_reason_to_v3((uint8_t)mqtt_reason_from_v3(code)), code);
    assert_int_equal(mqtt_reason_to_v3(MQTT_BANNED), MQTT_V3_NOT_AUTHORIZED);
    assert_int_equal(mqtt_reason_to_v3(MQTT_MALFORMED_PACKET), -1);
    assert_int_equal(mqtt_reason_to_v3(0xff), -1);
    for (unsigned code = 1; code < 256; code++) /* no failure becomes an acceptance */
        assert_int_not_equal(mqtt_reason_to_v3((uint8_t)code), MQTT_V3_ACCEPTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_of_the_standard_has_a_name),
        cmocka_unit_test(test_each_packet_has_as_many_codes_as_its_table),
        cmocka_unit_test(test_return_codes_of_3_1_1_go_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
