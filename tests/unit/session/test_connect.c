/* CONNECT: who is accepted, what is promised, how others are refused. */
#include "client.h"

#include <string.h>

static void test_311_connect_is_accepted(void **state)
{
    struct client c;
    client_open(&c, *state, MQTT_3_1_1, "dev");
    assert_int_equal(c.session.state, SESSION_OPEN);
    assert_true(slice_equal_string(session_client(&c.session), "dev"));
    assert_int_equal(session_silence_max_us(&c.session), 90 * 1000000); /* [MQTT-3.1.2-22] */
    client_deinit(&c);
}

static void test_50_connack_says_what_the_server_can(void **state)
{
    struct client c;
    struct mqtt_connect connect = client_connect_packet(MQTT_5_0, "dev");
    client_init(&c, *state, &client_limits);
    assert_int_equal(client_connect(&c, &connect), 0);
    struct mqtt_connack connack = client_take_connack(&c, MQTT_5_0);
    const struct mqtt_properties *p = &connack.properties;
    assert_int_equal(connack.reason, MQTT_SUCCESS);
    assert_int_equal(mqtt_property_integer(p, MQTT_RECEIVE_MAXIMUM, 65535), 4);
    assert_int_equal(mqtt_property_integer(p, MQTT_MAXIMUM_QOS, 2), 1);
    assert_int_equal(mqtt_property_integer(p, MQTT_RETAIN_AVAILABLE, 1), 1);
    assert_int_equal(mqtt_property_integer(p, MQTT_MAXIMUM_PACKET_SIZE, 0), 1 << 20);
    assert_int_equal(mqtt_property_integer(p, MQTT_TOPIC_ALIAS_MAXIMUM, 0), 3);
    assert_int_equal(mqtt_property_integer(p, MQTT_WILDCARD_SUBSCRIPTION_AVAILABLE, 1), 0);
    assert_int_equal(mqtt_property_integer(p, MQTT_SUBSCRIPTION_ID_AVAILABLE, 1), 0);
    assert_int_equal(mqtt_property_integer(p, MQTT_SHARED_SUBSCRIPTION_AVAILABLE, 1), 0);
    assert_false(mqtt_has(p, MQTT_SERVER_KEEP_ALIVE));
    assert_false(mqtt_has(p, MQTT_ASSIGNED_CLIENT_ID));
    assert_false(mqtt_has(p, MQTT_SESSION_EXPIRY));
    client_deinit(&c);
}

static void test_session_expiry_is_answered_with_zero(void **state)
{
    struct client c;
    struct mqtt_connect connect = client_connect_packet(MQTT_5_0, "dev");
    connect.clean_start = false;
    mqtt_property_set_integer(&connect.properties, MQTT_SESSION_EXPIRY, 3600);
    client_init(&c, *state, &client_limits);
    assert_int_equal(client_connect(&c, &connect), 0);
    struct mqtt_connack connack = client_take_connack(&c, MQTT_5_0);
    assert_true(mqtt_has(&connack.properties, MQTT_SESSION_EXPIRY));
    assert_int_equal(mqtt_property_integer(&connack.properties, MQTT_SESSION_EXPIRY, 9), 0);
    client_deinit(&c);
}

/* [MQTT-3.1.3-6], [MQTT-3.2.2-16] */
static void test_50_empty_client_id_gets_an_unique_one(void **state)
{
    struct client a, b;
    struct mqtt_connect connect = client_connect_packet(MQTT_5_0, "");
    client_init(&a, *state, &client_limits);
    client_init(&b, *state, &client_limits);
    assert_int_equal(client_connect(&a, &connect), 0);
    assert_int_equal(client_connect(&b, &connect), 0);
    assert_null(b.turn.taken_over);
    struct mqtt_connack connack = client_take_connack(&a, MQTT_5_0);
    struct slice id = mqtt_property_slice(&connack.properties, MQTT_ASSIGNED_CLIENT_ID);
    assert_true(id.len > 20);
    assert_true(slice_equal(id, session_client(&a.session)));
    assert_false(slice_equal(id, session_client(&b.session)));
    client_deinit(&a);
    client_deinit(&b);
}

/* 3.1.1 [MQTT-3.1.3-7], [MQTT-3.1.3-8] */
static void test_311_empty_client_id_needs_clean_session(void **state)
{
    static const uint8_t unclean[] = {0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 60, 0, 0};
    struct client c;
    struct mqtt_connect connect = client_connect_packet(MQTT_3_1_1, "");
    client_init(&c, *state, &client_limits);
    assert_int_equal(client_connect(&c, &connect), 0);
    assert_true(session_client(&c.session).len > 20);
    client_deinit(&c);

    client_init(&c, *state, &client_limits);
    assert_int_equal(client_send_raw(&c, unclean, sizeof unclean), SESSION_REFUSED);
    assert_int_equal(c.out.len, 4);
    assert_memory_equal(c.out.data, "\x20\x02\x00\x02", 4);
    client_deinit(&c);
}

/* [MQTT-3.1.2-2] */
static void test_mqtt_31_is_refused_with_a_return_code(void **state)
{
    static const uint8_t old[] = {0x10, 17, 0, 6,  'M', 'Q', 'I', 's', 'd', 'p',
                                  3,    2,  0, 60, 0,   3,   'd', 'e', 'v'};
    struct client c;
    client_init(&c, *state, &client_limits);
    assert_int_equal(client_send_raw(&c, old, sizeof old), SESSION_REFUSED);
    assert_int_equal(c.out.len, 4);
    assert_memory_equal(c.out.data, "\x20\x02\x00\x01", 4);
    assert_int_equal(c.session.state, SESSION_ENDED);
    client_deinit(&c);
}

static void test_mqtt_6_is_refused_with_a_reason_code(void **state)
{
    static const uint8_t next[] = {0x10, 16, 0,  4, 'M', 'Q', 'T', 'T', 6,
                                   2,    0,  60, 0, 0,   3,   'd', 'e', 'v'};
    struct client c;
    client_init(&c, *state, &client_limits);
    assert_int_equal(client_send_raw(&c, next, sizeof next), SESSION_REFUSED);
    assert_int_equal(client_take_connack(&c, MQTT_5_0).reason, MQTT_UNSUPPORTED_PROTOCOL_VERSION);
    client_deinit(&c);
}

static void expect_refused(struct session_registry *registry, const struct session_limits *limits,
                           const struct mqtt_connect *connect, unsigned reason)
{
    struct client c;
    client_init(&c, registry, limits);
    assert_int_equal(client_connect(&c, connect), SESSION_REFUSED);
    assert_int_equal(c.turn.reason, reason);
    assert_non_null(c.turn.detail);
    if (connect->level == MQTT_5_0 || mqtt_reason_to_v3((uint8_t)reason) >= 0)
        assert_int_equal(client_take_connack(&c, connect->level).reason, reason);
    assert_int_equal(c.out.len, 0);
    assert_int_equal(registry->count, 0);
    assert_int_equal(session_end(&c.session, &c.turn), 0);
    assert_null(client_next_record(&c, NULL)); /* no will of a client that was never accepted */
    client_deinit(&c);
}

static void test_listener_without_anonymous_accepts_nobody(void **state)
{
    struct session_limits limits = client_limits;
    limits.anonymous = false;
    struct mqtt_connect connect = client_connect_packet(MQTT_5_0, "dev");
    expect_refused(*state, &limits, &connect, MQTT_NOT_AUTHORIZED);
    connect.has_user_name = connect.has_password = true;
    connect.user_name = connect.password = SLICE_LITERAL("root");
    expect_refused(*state, &limits, &connect, MQTT_NOT_AUTHORIZED);

    struct client c;
    connect.level = MQTT_3_1_1;
    client_init(&c, *state, &limits);
    assert_int_equal(client_connect(&c, &connect), SESSION_REFUSED);
    assert_int_equal(c.out.len, 4);
    assert_memory_equal(c.out.data, "\x20\x02\x00\x05", 4);
    client_deinit(&c);
}

static void test_what_is_not_offered_is_refused_by_name(void **state)
{
    static uint8_t name[SESSION_USERNAME_MAX_BYTES + 1];
    memset(name, 'n', sizeof name);
    struct mqtt_connect connect = client_connect_packet(MQTT_5_0, "dev");
    mqtt_property_set_slice(&connect.properties, MQTT_AUTHENTICATION_METHOD,
                            SLICE_LITERAL("SCRAM-SHA-256"));
    expect_refused(*state, &client_limits, &connect, MQTT_BAD_AUTHENTICATION_METHOD);

    connect = client_connect_packet(MQTT_5_0, "dev");
    connect.client_id = slice_make(name, SESSION_CLIENT_ID_MAX_BYTES + 1);
    expect_refused(*state, &client_limits, &connect, MQTT_CLIENT_IDENTIFIER_NOT_VALID);
    connect.level = MQTT_3_1_1;
    expect_refused(*state, &client_limits, &connect, MQTT_CLIENT_IDENTIFIER_NOT_VALID);

    connect = client_connect_packet(MQTT_5_0, "dev");
    connect.has_user_name = true;
    connect.user_name = slice_make(name, sizeof name);
    expect_refused(*state, &client_limits, &connect, MQTT_BAD_USER_NAME_OR_PASSWORD);

    connect = client_connect_packet(MQTT_5_0, "dev");
    connect.has_will = true; /* [MQTT-3.2.2-12] */
    connect.will = (struct mqtt_will){.topic = SLICE_LITERAL("t"), .qos = 2};
    expect_refused(*state, &client_limits, &connect, MQTT_QOS_NOT_SUPPORTED);
    connect.will = (struct mqtt_will){.topic = SLICE_LITERAL("$SYS/t"), .qos = 1};
    expect_refused(*state, &client_limits, &connect, MQTT_TOPIC_NAME_INVALID);
}

static void test_longest_client_id_is_accepted(void **state)
{
    struct client c;
    char id[SESSION_CLIENT_ID_MAX_BYTES + 1];
    memset(id, 'i', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    client_open(&c, *state, MQTT_5_0, id);
    assert_true(slice_equal_string(session_client(&c.session), id));
    client_deinit(&c);
}

/* [MQTT-3.1.2-21], [MQTT-3.2.2-21] */
static void test_server_keep_alive_is_said_when_it_differs(void **state)
{
    static const uint16_t wanted[] = {0, 10, 30, 31, 65535};
    static const uint16_t granted[] = {30, 10, 30, 30, 30};
    struct session_limits limits = client_limits;
    limits.keep_alive_max_s = 30;
    for (size_t i = 0; i < 5; i++) {
        struct client c;
        struct mqtt_connect connect = client_connect_packet(MQTT_5_0, "dev");
        connect.keep_alive_s = wanted[i];
        client_init(&c, *state, &limits);
        assert_int_equal(client_connect(&c, &connect), 0);
        struct mqtt_connack connack = client_take_connack(&c, MQTT_5_0);
        assert_int_equal(
            mqtt_property_integer(&connack.properties, MQTT_SERVER_KEEP_ALIVE, wanted[i]),
            granted[i]);
        assert_int_equal(mqtt_has(&connack.properties, MQTT_SERVER_KEEP_ALIVE),
                         wanted[i] != granted[i]);
        assert_int_equal(session_silence_max_us(&c.session), granted[i] * INT64_C(1500000));
        client_deinit(&c);
    }
}

static void test_keep_alive_zero_means_never(void **state)
{
    struct client c;
    struct mqtt_connect connect = client_connect_packet(MQTT_5_0, "dev");
    connect.keep_alive_s = 0;
    client_init(&c, *state, &client_limits);
    assert_int_equal(client_connect(&c, &connect), 0);
    assert_int_equal(session_silence_max_us(&c.session), 0);
    client_deinit(&c);
}

/* [MQTT-3.1.2-24] */
static void test_client_that_takes_no_connack_gets_none(void **state)
{
    struct client c;
    struct mqtt_connect connect = client_connect_packet(MQTT_5_0, "dev");
    mqtt_property_set_integer(&connect.properties, MQTT_MAXIMUM_PACKET_SIZE, 4);
    client_init(&c, *state, &client_limits);
    assert_int_equal(client_connect(&c, &connect), SESSION_REFUSED);
    assert_int_equal(c.out.len, 0);
    client_deinit(&c);
}

static void test_client_whose_connack_could_not_be_written_leaves_no_will(void **state)
{
    struct client c;
    struct mqtt_connect connect = client_connect_packet(MQTT_5_0, "dev");
    connect.has_will = true;
    connect.will = (struct mqtt_will){.topic = SLICE_LITERAL("dev/state")};
    client_init(&c, *state, &client_limits);
    c.out.max = 4;
    assert_true(client_connect(&c, &connect) < 0);
    assert_int_equal(session_end(&c.session, &c.turn), 0);
    assert_null(client_next_record(&c, NULL));
    client_deinit(&c);
}

static void test_takeover_names_the_older_session(void **state)
{
    struct client a, b, other;
    client_open(&a, *state, MQTT_5_0, "dev");
    client_open(&other, *state, MQTT_5_0, "dev2");
    assert_null(other.turn.taken_over);
    client_open(&b, *state, MQTT_3_1_1, "dev");
    assert_ptr_equal(b.turn.taken_over, &a.session);
    /* [MQTT-3.1.4-3] */
    assert_int_equal(session_goodbye(&a.session, MQTT_SESSION_TAKEN_OVER, NULL, &a.out), 0);
    client_expect_disconnect(&a, MQTT_SESSION_TAKEN_OVER);
    client_deinit(&a);
    assert_int_equal(b.session.state, SESSION_OPEN);
    assert_true(b.session.registered);
    client_deinit(&b);
    client_deinit(&other);
}

/* [MQTT-3.1.0-1] */
static void test_first_packet_must_be_connect(void **state)
{
    static const uint8_t ping[] = {0xc0, 0};
    struct client c;
    client_init(&c, *state, &client_limits);
    assert_int_equal(client_send_raw(&c, ping, sizeof ping), SESSION_FAULT);
    assert_int_equal(c.out.len, 0);
    client_deinit(&c);
}

/* [MQTT-3.1.0-2] */
static void test_second_connect_is_a_protocol_error(void **state)
{
    struct client c;
    struct mqtt_connect connect = client_connect_packet(MQTT_5_0, "dev");
    client_open(&c, *state, MQTT_5_0, "dev");
    client_expect_fault(&c, client_connect(&c, &connect), MQTT_PROTOCOL_ERROR);
    client_deinit(&c);
}

static void test_malformed_connect_is_answered_in_50_only(void **state)
{
    static const uint8_t five[] = {0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 5, 3, 0, 60, 0, 0, 0};
    static const uint8_t three[] = {0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 3, 0, 60, 0, 0};
    struct client c;
    client_init(&c, *state, &client_limits);
    assert_int_equal(client_send_raw(&c, five, sizeof five), SESSION_REFUSED); /* reserved flag */
    assert_int_equal(client_take_connack(&c, MQTT_5_0).reason, MQTT_MALFORMED_PACKET);
    client_deinit(&c);
    client_init(&c, *state, &client_limits);
    assert_int_equal(client_send_raw(&c, three, sizeof three), SESSION_REFUSED);
    assert_int_equal(c.out.len, 0);
    client_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        registry_test(test_311_connect_is_accepted),
        registry_test(test_50_connack_says_what_the_server_can),
        registry_test(test_session_expiry_is_answered_with_zero),
        registry_test(test_50_empty_client_id_gets_an_unique_one),
        registry_test(test_311_empty_client_id_needs_clean_session),
        registry_test(test_mqtt_31_is_refused_with_a_return_code),
        registry_test(test_mqtt_6_is_refused_with_a_reason_code),
        registry_test(test_listener_without_anonymous_accepts_nobody),
        registry_test(test_what_is_not_offered_is_refused_by_name),
        registry_test(test_longest_client_id_is_accepted),
        registry_test(test_server_keep_alive_is_said_when_it_differs),
        registry_test(test_keep_alive_zero_means_never),
        registry_test(test_client_that_takes_no_connack_gets_none),
        registry_test(test_client_whose_connack_could_not_be_written_leaves_no_will),
        registry_test(test_takeover_names_the_older_session),
        registry_test(test_first_packet_must_be_connect),
        registry_test(test_second_connect_is_a_protocol_error),
        registry_test(test_malformed_connect_is_answered_in_50_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
