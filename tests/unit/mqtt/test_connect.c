#include "packet.h"

#include "mqtt/connect.h"

static int decode(const char *body, struct mqtt_connect *ret)
{
    struct mqtt_frame f = test_frame(0x10, body);
    const char *detail = NULL;
    int r = mqtt_connect_decode(&f, ret, &detail);
    assert_int_equal(r != 0, detail != NULL);
    return r;
}

#define NAME "0004 4d515454 "

static void test_a_plain_connect_of_3_1_1(void **state)
{
    (void)state;
    struct mqtt_connect c;
    assert_int_equal(decode(NAME "04 02 003c 0001 70", &c), 0);
    assert_int_equal(c.level, MQTT_3_1_1);
    assert_true(c.clean_start);
    assert_int_equal(c.keep_alive_s, 60);
    assert_slice(c.client_id, "p");
    assert_false(c.has_will || c.has_user_name || c.has_password);
    assert_true(mqtt_properties_empty(&c.properties));
}

static void test_a_full_connect_of_5_0(void **state)
{
    (void)state; /* [MQTT-3.1.3-1] */
    struct mqtt_connect c;
    assert_int_equal(decode(NAME "05 f6 0000 03 210014 0001 70 05 1800000005 0001 77 0002 6869 "
                                 "0001 75 0001 00",
                            &c),
                     0);
    assert_int_equal(mqtt_property_integer(&c.properties, MQTT_RECEIVE_MAXIMUM, 65535), 20);
    assert_int_equal(mqtt_property_integer(&c.properties, MQTT_SESSION_EXPIRY, 7), 7);
    assert_true(c.has_will && c.will.retain);
    assert_int_equal(c.will.qos, 2);
    assert_slice(c.will.topic, "w");
    assert_slice(c.will.payload, "hi");
    assert_int_equal(c.will.properties.will_delay_s, 5);
    assert_slice(c.user_name, "u");
    assert_int_equal(c.password.len, 1);
}

static void test_each_breach_of_the_flags_is_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        NAME "04 03 003c 0001 70",              /* reserved [MQTT-3.1.2-3] */
        NAME "04 0a 003c 0001 70",              /* will QoS without will [MQTT-3.1.2-11] */
        NAME "04 22 003c 0001 70",              /* will retain without will [MQTT-3.1.2-13] */
        NAME "04 1e 003c 0001 70 0001 77 0000", /* will QoS 3 [MQTT-3.1.2-12] */
        NAME "04 42 003c 0001 70 0001 78",      /* password alone (3.1.1: [MQTT-3.1.2-22]) */
        NAME "04 82 003c 0001 70",              /* no user name [MQTT-3.1.2-17] */
        NAME "04 02 003c 0001 70 0001 75",      /* not flagged [MQTT-3.1.2-16] */
        NAME "04 02 003c 0002 c328",            /* not UTF-8 [MQTT-1.5.4-1] */
        NAME "04 02 003c 0001 00",              /* U+0000 [MQTT-1.5.4-2] */
        NAME "05 02 003c 0001 70",              /* property length swallows the packet */
    };
    struct mqtt_connect c;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(decode(bad[i], &c), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(NAME "05 42 003c 00 0001 70 0001 78", &c), 0); /* 5.0 allows it */
}

static void test_an_empty_client_id_of_3_1_1_needs_a_clean_session(void **state)
{
    (void)state; /* 3.1.1: [MQTT-3.1.3-7..8] */
    struct mqtt_connect c = {.keep_alive_s = 77};
    assert_int_equal(decode(NAME "04 00 003c 0000", &c), MQTT_CLIENT_IDENTIFIER_NOT_VALID);
    assert_int_equal(c.keep_alive_s, 77); /* untouched */
    assert_int_equal(decode(NAME "04 02 003c 0000", &c), 0);
    assert_int_equal(decode(NAME "05 00 003c 00 0000", &c), 0);
}

static void test_a_will_topic_is_a_topic_name(void **state)
{
    (void)state;
    struct mqtt_connect c;
    assert_int_equal(decode(NAME "04 06 003c 0001 70 0001 23 0000", &c), MQTT_TOPIC_NAME_INVALID);
    assert_int_equal(decode(NAME "05 06 003c 00 0001 70 00 0000 0000", &c),
                     MQTT_TOPIC_NAME_INVALID);
}

static void test_every_truncation_is_malformed(void **state)
{
    (void)state;
    struct mqtt_frame f = test_frame(0x10, NAME "05 f6 0000 03 210014 0001 70 05 1800000005 "
                                                "0001 77 0002 6869 0001 75 0001 00");
    struct mqtt_connect c;
    for (size_t n = f.body.len; n-- > 0;) {
        struct mqtt_frame cut = {.first = 0x10, .body = slice_make(f.body.data, n)};
        assert_int_equal(mqtt_connect_decode(&cut, &c, NULL), MQTT_MALFORMED_PACKET);
    }
}

static void test_other_protocols_are_refused_and_answered_in_their_form(void **state)
{
    (void)state; /* [MQTT-3.1.2-1..2] */
    static const struct {
        const char *body;
        int level; /* of the answer; 0: none */
    } rows[] = {
        {"0006 4d5149736470 03 02 003c 0001 70", 4}, /* MQTT 3.1 */
        {NAME "03 02 003c 0001 70", 4},
        {NAME "00 02 003c 0001 70", 4},
        {NAME "06 02 003c 0001 70", 5},
        {NAME "84 02 003c 0001 70", 5}, /* a bridge of Mosquitto tries that first */
        {"0004 4d515458 04 02 003c 0001 70", 0},
        {"0004 6d717474 05 02 003c 0001 70", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mqtt_connect c;
        enum mqtt_level level = 0;
        assert_int_equal(decode(rows[i].body, &c), MQTT_UNSUPPORTED_PROTOCOL_VERSION);
        struct mqtt_frame f = test_frame(0x10, rows[i].body);
        assert_int_equal(mqtt_connect_answer(&f, MQTT_UNSUPPORTED_PROTOCOL_VERSION, &level),
                         rows[i].level != 0);
        assert_int_equal(level, rows[i].level);
    }
}

static void test_a_malformed_connect_is_answered_under_5_0_only(void **state)
{
    (void)state; /* 3.1.1: [MQTT-3.1.4-1] */
    enum mqtt_level level;
    struct mqtt_frame f = test_frame(0x10, NAME "04 03 003c 0001 70");
    assert_false(mqtt_connect_answer(&f, MQTT_MALFORMED_PACKET, &level));
    assert_true(mqtt_connect_answer(&f, MQTT_CLIENT_IDENTIFIER_NOT_VALID, &level));
    f = test_frame(0x10, NAME "05 03 003c 0001 70");
    assert_true(mqtt_connect_answer(&f, MQTT_MALFORMED_PACKET, &level));
    assert_int_equal(level, MQTT_5_0);
    f = test_frame(0x10, "0004 4d51");
    assert_false(mqtt_connect_answer(&f, MQTT_MALFORMED_PACKET, &level));
}

static void test_connect_encodes_what_it_says_and_nothing_invalid(void **state)
{
    (void)state;
    uint8_t memory[128];
    struct bytes out = mqtt_memory(memory, sizeof memory);
    struct mqtt_connect c = {.level = MQTT_5_0,
                             .clean_start = true,
                             .keep_alive_s = 60,
                             .client_id = SLICE_LITERAL("p")};
    mqtt_property_set_integer(&c.properties, MQTT_RECEIVE_MAXIMUM, 20);
    assert_int_equal(mqtt_connect_encode(&c, 0, &out), 0);
    assert_packet(&out, "10 11 0004 4d515454 05 02 003c 03 210014 0001 70");
    out.len = 0;
    assert_int_equal(mqtt_connect_encode(&c, 18, &out), MQTT_ENCODE_TOO_LARGE);
    c.has_will = true;
    assert_int_equal(mqtt_connect_encode(&c, 0, &out), MQTT_ENCODE_INVALID); /* no topic */
    c.will.topic = SLICE_LITERAL("w");
    c.will.qos = 3;
    assert_int_equal(mqtt_connect_encode(&c, 0, &out), MQTT_ENCODE_INVALID);
    c = (struct mqtt_connect){.level = MQTT_3_1_1};
    assert_int_equal(mqtt_connect_encode(&c, 0, &out), MQTT_ENCODE_INVALID); /* empty id */
    c.clean_start = c.has_password = true;
    assert_int_equal(mqtt_connect_encode(&c, 0, &out), MQTT_ENCODE_INVALID);
    assert_int_equal(out.len, 0);
}

static void test_connack_of_both_levels(void **state)
{
    (void)state;
    struct mqtt_connack a = {.session_present = true};
    struct mqtt_frame f = test_frame(0x20, "00 05");
    assert_int_equal(mqtt_connack_decode(&f, SERVER_4, &a, NULL), 0);
    assert_int_equal(a.reason, MQTT_NOT_AUTHORIZED);
    assert_false(a.session_present);
    f = test_frame(0x20, "01 00 03 210002");
    assert_int_equal(mqtt_connack_decode(&f, SERVER_5, &a, NULL), 0);
    assert_true(a.session_present);
    assert_int_equal(a.properties.receive_maximum, 2);
    f = test_frame(0x20, "02 00 00"); /* [MQTT-3.2.2-1] */
    assert_int_equal(mqtt_connack_decode(&f, SERVER_5, &a, NULL), MQTT_MALFORMED_PACKET);
    f = test_frame(0x20, "01 87 00"); /* [MQTT-3.2.2-6] */
    assert_int_equal(mqtt_connack_decode(&f, SERVER_5, &a, NULL), MQTT_PROTOCOL_ERROR);
    f = test_frame(0x20, "00 10 00"); /* [MQTT-3.2.2-8] */
    assert_int_equal(mqtt_connack_decode(&f, SERVER_5, &a, NULL), MQTT_PROTOCOL_ERROR);
    f = test_frame(0x20, "00 06");
    assert_int_equal(mqtt_connack_decode(&f, SERVER_4, &a, NULL), MQTT_PROTOCOL_ERROR);
}

static void test_connack_says_in_3_1_1_what_it_can(void **state)
{
    (void)state; /* 3.1.1: [MQTT-3.2.2-6] */
    uint8_t memory[64];
    struct bytes out = mqtt_memory(memory, sizeof memory);
    struct mqtt_connack a = {.reason = MQTT_UNSUPPORTED_PROTOCOL_VERSION};
    assert_int_equal(mqtt_connack_encode(&a, SERVER_4, &out), 0);
    assert_packet(&out, "20 02 00 01");
    out.len = 0;
    assert_int_equal(mqtt_connack_encode(&a, SERVER_5, &out), 0);
    assert_packet(&out, "20 03 00 84 00");
    out.len = 0;
    a.reason = MQTT_MALFORMED_PACKET;
    assert_int_equal(mqtt_connack_encode(&a, SERVER_4, &out), MQTT_ENCODE_INVALID);
    a.reason = MQTT_SESSION_TAKEN_OVER; /* no code of a CONNACK */
    assert_int_equal(mqtt_connack_encode(&a, SERVER_5, &out), MQTT_ENCODE_INVALID);
    a = (struct mqtt_connack){.reason = MQTT_BANNED, .session_present = true};
    assert_int_equal(mqtt_connack_encode(&a, SERVER_5, &out), MQTT_ENCODE_INVALID);
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_connect_of_3_1_1),
        cmocka_unit_test(test_a_full_connect_of_5_0),
        cmocka_unit_test(test_each_breach_of_the_flags_is_malformed),
        cmocka_unit_test(test_an_empty_client_id_of_3_1_1_needs_a_clean_session),
        cmocka_unit_test(test_a_will_topic_is_a_topic_name),
        cmocka_unit_test(test_every_truncation_is_malformed),
        cmocka_unit_test(test_other_protocols_are_refused_and_answered_in_their_form),
        cmocka_unit_test(test_a_malformed_connect_is_answered_under_5_0_only),
        cmocka_unit_test(test_connect_encodes_what_it_says_and_nothing_invalid),
        cmocka_unit_test(test_connack_of_both_levels),
        cmocka_unit_test(test_connack_says_in_3_1_1_what_it_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
