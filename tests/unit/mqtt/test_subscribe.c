#include "packet.h"

#include "mqtt/subscribe.h"

static int subscribe_decode(struct mqtt_dialect dialect, const char *body,
                            struct mqtt_subscribe *ret)
{
    struct mqtt_frame f = test_frame(0x82, body);
    const char *detail = NULL;
    int r = mqtt_subscribe_decode(&f, dialect, ret, &detail);
    assert_int_equal(r != 0, detail != NULL);
    return r;
}

static int unsubscribe_decode(struct mqtt_dialect dialect, const char *body,
                              struct mqtt_unsubscribe *ret)
{
    struct mqtt_frame f = test_frame(0xa2, body);
    return mqtt_unsubscribe_decode(&f, dialect, ret, NULL);
}

static int suback_decode(uint8_t first, struct mqtt_dialect dialect, const char *body,
                         struct mqtt_suback *ret)
{
    struct mqtt_frame f = test_frame(first, body);
    return mqtt_suback_decode(&f, dialect, ret, NULL);
}

static void test_subscriptions_are_walked_in_order(void **state)
{
    (void)state;
    struct mqtt_subscribe s;
    struct mqtt_subscription one;
    assert_int_equal(subscribe_decode(CLIENT_5, "0007 02 0b05 0003 612f2b 2d 0001 23 02", &s), 0);
    assert_int_equal(s.packet_id, 7);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.properties.subscription_id, 5);
    struct slice rest = s.filters;
    assert_true(mqtt_subscription_next(&rest, &one));
    assert_slice(one.filter, "a/+");
    assert_int_equal(one.qos, 1);
    assert_int_equal(one.retain_handling, 2);
    assert_true(one.no_local && one.retain_as_published);
    assert_true(mqtt_subscription_next(&rest, &one));
    assert_slice(one.filter, "#");
    assert_int_equal(one.qos, 2);
    assert_false(one.no_local || one.retain_as_published);
    assert_false(mqtt_subscription_next(&rest, &one));
}

static void test_each_breach_of_a_subscribe_has_its_reason(void **state)
{
    (void)state;
    static const struct {
        int level;
        const char *body;
        int reason;
    } rows[] = {
        {4, "0001", MQTT_PROTOCOL_ERROR}, /* [MQTT-3.8.3-2] */
        {5, "0001 00", MQTT_PROTOCOL_ERROR},
        {5, "0000 00 0001 61 00", MQTT_PROTOCOL_ERROR},   /* packet id 0 */
        {4, "0001 0001 61 04", MQTT_MALFORMED_PACKET},    /* reserved in 3.1.1 */
        {5, "0001 00 0001 61 40", MQTT_MALFORMED_PACKET}, /* [MQTT-3.8.3-5] */
        {5, "0001 00 0001 61 80", MQTT_MALFORMED_PACKET},
        {4, "0001 0001 61 03", MQTT_PROTOCOL_ERROR},                      /* QoS 3 */
        {5, "0001 00 0001 61 30", MQTT_PROTOCOL_ERROR},                   /* retain handling 3 */
        {5, "0001 00 000a 2473686172652f672f61 04", MQTT_PROTOCOL_ERROR}, /* [MQTT-3.8.3-4] */
        {5, "0001 00 0002 6123 00", MQTT_TOPIC_FILTER_INVALID},
        {4, "0001 0000 00", MQTT_TOPIC_FILTER_INVALID},   /* [MQTT-4.7.3-1] */
        {4, "0001 0001 61", MQTT_MALFORMED_PACKET},       /* no options */
        {4, "0001 0001 61 00 00", MQTT_MALFORMED_PACKET}, /* bytes left over */
        {4, "0001 0001 61 00 0001 ff 00", MQTT_MALFORMED_PACKET},
        {5, "0001 04 0b01 0b02 0001 61 00", MQTT_PROTOCOL_ERROR}, /* two identifiers */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mqtt_subscribe s;
        assert_int_equal(
            subscribe_decode(rows[i].level == 4 ? CLIENT_4 : CLIENT_5, rows[i].body, &s),
            rows[i].reason);
    }
}

static void test_a_subscribe_is_built_by_appending(void **state)
{
    (void)state;
    uint8_t list_memory[64], memory[64];
    struct bytes list = mqtt_memory(list_memory, sizeof list_memory);
    struct bytes out = mqtt_memory(memory, sizeof memory);
    struct mqtt_subscription one = {.filter = SLICE_LITERAL("a/+"), .qos = 1};
    assert_int_equal(mqtt_subscription_append(&list, &one), 0);
    struct mqtt_subscribe s = {.packet_id = 7, .filters = bytes_slice(&list)};
    assert_int_equal(mqtt_subscribe_encode(&s, CLIENT_4, &out), 0);
    assert_packet(&out, "82 08 0007 0003 612f2b 01");
    out.len = 0;
    one = (struct mqtt_subscription){.filter = SLICE_LITERAL("b"),
                                     .retain_handling = 2,
                                     .no_local = true,
                                     .retain_as_published = true};
    assert_int_equal(mqtt_subscription_append(&list, &one), 0);
    s.filters = bytes_slice(&list);
    assert_int_equal(mqtt_subscribe_encode(&s, CLIENT_4, &out), MQTT_ENCODE_INVALID);
    assert_int_equal(mqtt_subscribe_encode(&s, CLIENT_5, &out), 0);
    assert_packet(&out, "82 0d 0007 00 0003 612f2b 01 0001 62 2c");
}

static void test_invalid_subscriptions_are_not_appended(void **state)
{
    (void)state;
    const struct mqtt_subscription bad[] = {
        {.filter = SLICE_LITERAL("a/#/b")},
        {.filter = SLICE_LITERAL("a"), .qos = 3},
        {.filter = SLICE_LITERAL("a"), .retain_handling = 3},
        {.filter = SLICE_LITERAL("$share/g/a"), .no_local = true},
        {.filter = SLICE_EMPTY},
    };
    uint8_t memory[64];
    struct bytes list = mqtt_memory(memory, sizeof memory);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(mqtt_subscription_append(&list, &bad[i]), MQTT_ENCODE_INVALID);
    assert_int_equal(mqtt_filter_append(&list, SLICE_LITERAL("+a")), MQTT_ENCODE_INVALID);
    assert_int_equal(list.len, 0);
    struct bytes full = mqtt_memory(memory, 3);
    assert_int_equal(mqtt_filter_append(&full, SLICE_LITERAL("ab")), MQTT_ENCODE_FULL);
    struct mqtt_subscribe none = {.packet_id = 1};
    assert_int_equal(mqtt_subscribe_encode(&none, CLIENT_5, &list), MQTT_ENCODE_INVALID);
}

static void test_unsubscribe_both_ways(void **state)
{
    (void)state; /* [MQTT-3.10.3-1..2] */
    struct mqtt_unsubscribe u;
    assert_int_equal(unsubscribe_decode(CLIENT_4, "0003 0001 61 0001 23", &u), 0);
    assert_int_equal(u.count, 2);
    struct slice rest = u.filters, filter;
    assert_true(mqtt_filter_next(&rest, &filter));
    assert_slice(filter, "a");
    assert_true(mqtt_filter_next(&rest, &filter));
    assert_slice(filter, "#");
    assert_false(mqtt_filter_next(&rest, &filter));
    uint8_t memory[64];
    struct bytes out = mqtt_memory(memory, sizeof memory);
    assert_int_equal(mqtt_unsubscribe_encode(&u, CLIENT_5, &out), 0);
    assert_packet(&out, "a2 09 0003 00 0001 61 0001 23");
    assert_int_equal(unsubscribe_decode(CLIENT_4, "0003", &u), MQTT_PROTOCOL_ERROR);
    assert_int_equal(unsubscribe_decode(CLIENT_4, "0000 0001 61", &u), MQTT_PROTOCOL_ERROR);
    assert_int_equal(unsubscribe_decode(CLIENT_5, "0003 02 0b01 0001 61", &u),
                     MQTT_MALFORMED_PACKET);
    assert_int_equal(unsubscribe_decode(CLIENT_4, "0003 0002 6123", &u), MQTT_TOPIC_FILTER_INVALID);
    assert_int_equal(unsubscribe_decode(CLIENT_4, "0003 0001", &u), MQTT_MALFORMED_PACKET);
}

static void test_suback_codes_are_those_of_its_level(void **state)
{
    (void)state; /* [MQTT-3.9.3-2] */
    struct mqtt_suback s;
    assert_int_equal(suback_decode(0x90, SERVER_4, "0001 00 01 02 80", &s), 0);
    assert_int_equal(s.codes.len, 4);
    assert_int_equal(suback_decode(0x90, SERVER_4, "0001 87", &s), MQTT_PROTOCOL_ERROR);
    assert_int_equal(suback_decode(0x90, SERVER_5, "0001 00 87", &s), 0);
    assert_int_equal(suback_decode(0x90, SERVER_5, "0001 00 11", &s), MQTT_PROTOCOL_ERROR);
    assert_int_equal(suback_decode(0x90, SERVER_4, "0001", &s), MQTT_PROTOCOL_ERROR);
    assert_int_equal(suback_decode(0xb0, SERVER_5, "0001 00 11 00", &s), 0);
    assert_int_equal(s.type, MQTT_UNSUBACK);
    assert_int_equal(suback_decode(0xb0, SERVER_4, "0001", &s), 0);
    assert_int_equal(suback_decode(0xb0, SERVER_4, "0001 00", &s), MQTT_MALFORMED_PACKET);
}

static void test_suback_of_3_1_1_knows_one_failure(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct bytes out = mqtt_memory(memory, sizeof memory);
    static const uint8_t codes[] = {MQTT_SUCCESS, MQTT_GRANTED_QOS_2, MQTT_NOT_AUTHORIZED};
    struct mqtt_suback s = {.type = MQTT_SUBACK, .packet_id = 1, .codes = {codes, sizeof codes}};
    assert_int_equal(mqtt_suback_encode(&s, SERVER_4, &out), 0);
    assert_packet(&out, "90 05 0001 00 02 80");
    out.len = 0;
    assert_int_equal(mqtt_suback_encode(&s, SERVER_5, &out), 0);
    assert_packet(&out, "90 06 0001 00 00 02 87");
    out.len = 0;
    s.type = MQTT_UNSUBACK; /* 2 is no code of it */
    assert_int_equal(mqtt_suback_encode(&s, SERVER_5, &out), MQTT_ENCODE_INVALID);
    assert_int_equal(mqtt_suback_encode(&s, SERVER_4, &out), 0);
    assert_packet(&out, "b0 02 0001");
    s.codes = SLICE_EMPTY;
    assert_int_equal(mqtt_suback_encode(&s, SERVER_5, &out), MQTT_ENCODE_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subscriptions_are_walked_in_order),
        cmocka_unit_test(test_each_breach_of_a_subscribe_has_its_reason),
        cmocka_unit_test(test_a_subscribe_is_built_by_appending),
        cmocka_unit_test(test_invalid_subscriptions_are_not_appended),
        cmocka_unit_test(test_unsubscribe_both_ways),
        cmocka_unit_test(test_suback_codes_are_those_of_its_level),
        cmocka_unit_test(test_suback_of_3_1_1_knows_one_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
