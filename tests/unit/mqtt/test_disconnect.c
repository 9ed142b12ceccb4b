#include "packet.h"

#include "mqtt/disconnect.h"

static int disconnect_decode(struct mqtt_dialect dialect, const char *body,
                             struct mqtt_disconnect *ret)
{
    struct mqtt_frame f = test_frame(0xe0, body);
    const char *detail = NULL;
    int r = mqtt_disconnect_decode(&f, dialect, ret, &detail);
    assert_int_equal(r != 0, detail != NULL);
    return r;
}

static int auth_decode(struct mqtt_dialect dialect, const char *body, struct mqtt_auth *ret)
{
    struct mqtt_frame f = test_frame(0xf0, body);
    return mqtt_auth_decode(&f, dialect, ret, NULL);
}

static void test_disconnect_of_each_side(void **state)
{
    (void)state; /* [MQTT-3.14.2-1..2] */
    struct mqtt_disconnect d;
    assert_int_equal(disconnect_decode(CLIENT_4, "", &d), 0);
    assert_int_equal(disconnect_decode(CLIENT_4, "00", &d), MQTT_MALFORMED_PACKET);
    assert_int_equal(disconnect_decode(SERVER_4, "", &d), MQTT_PROTOCOL_ERROR);
    assert_int_equal(disconnect_decode(CLIENT_5, "", &d), 0);
    assert_int_equal(d.reason, MQTT_SUCCESS);
    assert_int_equal(disconnect_decode(CLIENT_5, "04", &d), 0);
    assert_int_equal(d.reason, MQTT_DISCONNECT_WITH_WILL);
    assert_int_equal(disconnect_decode(CLIENT_5, "00 05 1100000000", &d), 0);
    assert_true(mqtt_has(&d.properties, MQTT_SESSION_EXPIRY));
    assert_int_equal(disconnect_decode(SERVER_5, "00 05 1100000000", &d), MQTT_MALFORMED_PACKET);
    assert_int_equal(disconnect_decode(SERVER_5, "9c 04 1c 0001 78", &d), 0);
    assert_slice(d.properties.server_reference, "x");
    assert_int_equal(disconnect_decode(CLIENT_5, "00 04 1c 0001 78", &d), MQTT_MALFORMED_PACKET);
    assert_int_equal(disconnect_decode(SERVER_5, "04", &d), MQTT_PROTOCOL_ERROR);
    assert_int_equal(disconnect_decode(CLIENT_5, "8e", &d), MQTT_PROTOCOL_ERROR);
    assert_int_equal(disconnect_decode(CLIENT_5, "00 00 00", &d), MQTT_MALFORMED_PACKET);
}

static void test_disconnect_is_encoded_in_its_shortest_form(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct bytes out = mqtt_memory(memory, sizeof memory);
    struct mqtt_disconnect d = {.reason = MQTT_SUCCESS};
    assert_int_equal(mqtt_disconnect_encode(&d, CLIENT_4, &out), 0);
    assert_packet(&out, "e0 00");
    out.len = 0;
    assert_int_equal(mqtt_disconnect_encode(&d, SERVER_4, &out), MQTT_ENCODE_INVALID);
    d.reason = MQTT_DISCONNECT_WITH_WILL; /* 3.1.1 has no room for it */
    assert_int_equal(mqtt_disconnect_encode(&d, CLIENT_4, &out), MQTT_ENCODE_INVALID);
    d.reason = MQTT_SERVER_SHUTTING_DOWN;
    assert_int_equal(mqtt_disconnect_encode(&d, SERVER_5, &out), 0);
    assert_packet(&out, "e0 01 8b");
    out.len = 0;
    assert_int_equal(mqtt_disconnect_encode(&d, CLIENT_5, &out), MQTT_ENCODE_INVALID);
    mqtt_property_set_slice(&d.properties, MQTT_REASON_STRING, SLICE_LITERAL("x"));
    assert_int_equal(mqtt_disconnect_encode(&d, SERVER_5, &out), 0);
    assert_packet(&out, "e0 06 8b 04 1f 0001 78");
}

static void test_auth_needs_5_0_and_a_method(void **state)
{
    (void)state; /* [MQTT-3.15.2-1] */
    struct mqtt_auth a;
    assert_int_equal(auth_decode(CLIENT_5, "18 08 15 0001 78 16 0001 00", &a), 0);
    assert_int_equal(a.reason, MQTT_CONTINUE_AUTHENTICATION);
    assert_slice(a.properties.authentication_method, "x");
    assert_int_equal(auth_decode(CLIENT_5, "19 04 15 0001 78", &a), 0);
    assert_int_equal(auth_decode(SERVER_5, "19 04 15 0001 78", &a), MQTT_PROTOCOL_ERROR);
    assert_int_equal(auth_decode(SERVER_5, "", &a), 0);
    assert_int_equal(auth_decode(CLIENT_5, "", &a), MQTT_PROTOCOL_ERROR);
    assert_int_equal(auth_decode(CLIENT_5, "18 00", &a), MQTT_PROTOCOL_ERROR);
    assert_int_equal(auth_decode(CLIENT_5, "18", &a), MQTT_MALFORMED_PACKET);
    assert_int_equal(auth_decode(CLIENT_4, "18 04 15 0001 78", &a), MQTT_PROTOCOL_ERROR);
}

static void test_auth_is_encoded_under_5_0_only(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct bytes out = mqtt_memory(memory, sizeof memory);
    struct mqtt_auth a = {.reason = MQTT_CONTINUE_AUTHENTICATION};
    assert_int_equal(mqtt_auth_encode(&a, SERVER_5, &out), MQTT_ENCODE_INVALID);
    mqtt_property_set_slice(&a.properties, MQTT_AUTHENTICATION_METHOD, SLICE_LITERAL("x"));
    assert_int_equal(mqtt_auth_encode(&a, SERVER_4, &out), MQTT_ENCODE_INVALID);
    assert_int_equal(mqtt_auth_encode(&a, SERVER_5, &out), 0);
    assert_packet(&out, "f0 06 18 04 15 0001 78");
    out.len = 0;
    a = (struct mqtt_auth){.reason = MQTT_SUCCESS};
    assert_int_equal(mqtt_auth_encode(&a, SERVER_5, &out), 0);
    assert_packet(&out, "f0 00");
}

static void test_pings_have_no_body(void **state)
{
    (void)state;
    struct mqtt_frame f = test_frame(0xc0, "");
    assert_int_equal(mqtt_ping_decode(&f, NULL), 0);
    f = test_frame(0xd0, "00");
    const char *detail = NULL;
    assert_int_equal(mqtt_ping_decode(&f, &detail), MQTT_MALFORMED_PACKET);
    assert_non_null(detail);
    uint8_t ping[MQTT_PING_BYTES];
    mqtt_ping_encode(MQTT_PINGRESP, ping);
    assert_int_equal(ping[0], 0xd0);
    assert_int_equal(ping[1], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disconnect_of_each_side),
        cmocka_unit_test(test_disconnect_is_encoded_in_its_shortest_form),
        cmocka_unit_test(test_auth_needs_5_0_and_a_method),
        cmocka_unit_test(test_auth_is_encoded_under_5_0_only),
        cmocka_unit_test(test_pings_have_no_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
