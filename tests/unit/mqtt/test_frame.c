#include "packet.h"

static int next(const char *hex, uint32_t max, struct mqtt_frame *ret)
{
    static uint8_t memory[TEST_PACKET_MAX_BYTES];
    return mqtt_frame_next(slice_make(memory, test_unhex(hex, memory)), max, ret);
}

static void test_a_complete_packet_is_taken_apart_and_the_rest_left(void **state)
{
    (void)state;
    struct mqtt_frame f;
    assert_int_equal(next("32 05 0001 61 0007 c000", 100, &f), 0);
    assert_int_equal(f.first, 0x32);
    assert_int_equal(mqtt_frame_type(&f), MQTT_PUBLISH);
    assert_int_equal(f.consumed, 7);
    assert_int_equal(f.body.len, 5);
    assert_int_equal(f.body.data[2], 'a');
    assert_int_equal(next("c000", 100, &f), 0);
    assert_int_equal(f.consumed, 2);
    assert_int_equal(f.body.len, 0);
}

static void test_every_beginning_of_a_packet_needs_more(void **state)
{
    (void)state;
    uint8_t packet[300] = {0x30, 0xa9, 0x02}; /* 297 bytes */
    struct mqtt_frame f = {.first = 0x55};
    for (size_t n = 0; n < sizeof packet; n++)
        assert_int_equal(mqtt_frame_next(slice_make(packet, n), 300, &f), MQTT_NEED_MORE);
    assert_int_equal(f.first, 0x55); /* untouched */
    assert_int_equal(mqtt_frame_next(slice_make(packet, sizeof packet), 300, &f), 0);
    assert_int_equal(f.consumed, 300);
}

static void test_too_large_is_known_from_the_header(void **state)
{
    (void)state;
    struct mqtt_frame f;
    assert_int_equal(next("30 63", 100, &f), MQTT_TOO_LARGE); /* 2 + 99 bytes */
    assert_int_equal(next("30 62", 100, &f), MQTT_NEED_MORE);
    assert_int_equal(next("30 ffffff7f", MQTT_PACKET_MAX_BYTES - 1, &f), MQTT_TOO_LARGE);
    assert_int_equal(next("30 ffffff7f", MQTT_PACKET_MAX_BYTES, &f), MQTT_NEED_MORE);
}

static void test_remaining_length_is_minimal_and_has_four_bytes_at_most(void **state)
{
    (void)state; /* [MQTT-1.5.5-1] */
    struct mqtt_frame f;
    assert_int_equal(next("c0 8000", 100, &f), MQTT_MALFORMED);
    assert_int_equal(next("30 858000", 100, &f), MQTT_MALFORMED);
    assert_int_equal(next("30 ffffffff", 100, &f), MQTT_MALFORMED); /* the fifth is not awaited */
    assert_int_equal(next("30 ffffff", 100, &f), MQTT_NEED_MORE);
}

static void test_flags_of_each_type_are_the_legal_ones_only(void **state)
{
    (void)state; /* [MQTT-2.1.3-1], [MQTT-3.3.1-2], [MQTT-3.3.1-4] */
    struct mqtt_frame f;
    for (unsigned first = 0; first < 256; first++) {
        unsigned type = first >> 4, flags = first & 15, qos = flags >> 1 & 3;
        bool legal = type == MQTT_PUBLISH ? qos != 3 && (qos || !(flags & 8))
                     : type == MQTT_PUBREL || type == MQTT_SUBSCRIBE || type == MQTT_UNSUBSCRIBE
                         ? flags == 2
                         : type != 0 && flags == 0;
        uint8_t packet[] = {(uint8_t)first, 0};
        assert_int_equal(mqtt_frame_next(slice_make(packet, 2), 100, &f),
                         legal ? 0 : MQTT_MALFORMED);
        assert_int_equal(mqtt_frame_next(slice_make(packet, 1), 100, &f),
                         legal ? MQTT_NEED_MORE : MQTT_MALFORMED); /* at once */
    }
}

static void test_the_size_of_a_packet_is_known_from_its_header(void **state)
{
    (void)state;
    uint8_t header[] = {0x30, 0x80, 0x01};
    assert_int_equal(mqtt_frame_size(slice_make(header, 3)), 131);
    assert_int_equal(mqtt_frame_size(slice_make(header, 2)), 0);
    assert_int_equal(mqtt_frame_size(SLICE_EMPTY), 0);
}

static void test_each_side_sends_its_own_types(void **state)
{
    (void)state;
    static const struct {
        enum mqtt_type type;
        bool client_4, server_4, client_5, server_5;
    } rows[] = {
        {MQTT_CONNECT, true, false, true, false},  {MQTT_CONNACK, false, true, false, true},
        {MQTT_PUBLISH, true, true, true, true},    {MQTT_PUBACK, true, true, true, true},
        {MQTT_PUBREC, true, true, true, true},     {MQTT_PUBREL, true, true, true, true},
        {MQTT_PUBCOMP, true, true, true, true},    {MQTT_SUBSCRIBE, true, false, true, false},
        {MQTT_SUBACK, false, true, false, true},   {MQTT_UNSUBSCRIBE, true, false, true, false},
        {MQTT_UNSUBACK, false, true, false, true}, {MQTT_PINGREQ, true, false, true, false},
        {MQTT_PINGRESP, false, true, false, true}, {MQTT_DISCONNECT, true, false, true, true},
        {MQTT_AUTH, false, false, true, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(mqtt_type_expected(rows[i].type, CLIENT_4), rows[i].client_4);
        assert_int_equal(mqtt_type_expected(rows[i].type, SERVER_4), rows[i].server_4);
        assert_int_equal(mqtt_type_expected(rows[i].type, CLIENT_5), rows[i].client_5);
        assert_int_equal(mqtt_type_expected(rows[i].type, SERVER_5), rows[i].server_5);
        assert_string_not_equal(mqtt_type_name(rows[i].type), "RESERVED");
    }
    assert_string_equal(mqtt_type_name(MQTT_PUBREC), "PUBREC");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_complete_packet_is_taken_apart_and_the_rest_left),
        cmocka_unit_test(test_every_beginning_of_a_packet_needs_more),
        cmocka_unit_test(test_too_large_is_known_from_the_header),
        cmocka_unit_test(test_remaining_length_is_minimal_and_has_four_bytes_at_most),
        cmocka_unit_test(test_flags_of_each_type_are_the_legal_ones_only),
        cmocka_unit_test(test_the_size_of_a_packet_is_known_from_its_header),
        cmocka_unit_test(test_each_side_sends_its_own_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
