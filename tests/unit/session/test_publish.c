/* PUBLISH on its way in, and receipts on their way out. */
#include "client.h"

#include <string.h>

#include "event/attribute.h"
#include "mqtt/topic.h"

static void test_publish_becomes_an_event(void **state)
{
    struct client c;
    struct event event;
    struct mqtt_publish publish = {.topic = SLICE_LITERAL("a/b"),
                                   .payload = SLICE_LITERAL("\0\1\2"),
                                   .packet_id = 9,
                                   .qos = 1,
                                   .retain = true};
    client_open(&c, *state, MQTT_3_1_1, "dev");
    assert_int_equal(client_publish(&c, &publish), 0);
    struct ingest_record *record = client_next_record(&c, &event);
    assert_non_null(record);
    assert_true(slice_equal_string(event.topic, "a/b"));
    assert_true(slice_equal(event.payload, publish.payload));
    assert_true(slice_equal_string(event.client, "dev"));
    assert_int_equal(event.qos, 1);
    assert_true(event.retain);
    assert_int_equal(record->packet_id, 9);
    assert_int_equal(record->connection, CLIENT_CONNECTION);
    assert_int_equal(record->protocol_level, 4);
    assert_int_equal(record->outcome, INGEST_PENDING);
    assert_int_equal(c.out.len, 0); /* not acknowledged before the receipt */
    assert_int_equal(c.turn.received_qos1, 1);
    client_deinit(&c);
}

static void test_properties_become_attributes_in_order(void **state)
{
    static const char *const names[] = {"b", "a", "b"};
    struct client c;
    struct event event;
    struct attribute attribute;
    struct bytes raw = BYTES_INIT(1024);
    struct mqtt_publish publish = {.topic = SLICE_LITERAL("t"), .packet_id = 1, .qos = 1};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(
            mqtt_user_property_append(&raw, slice_string(names[i]), SLICE_LITERAL("value")), 0);
    publish.properties.raw = bytes_slice(&raw);
    publish.properties.present = MQTT_PRESENT(MQTT_USER_PROPERTY);
    mqtt_property_set_integer(&publish.properties, MQTT_PAYLOAD_FORMAT, 1);
    mqtt_property_set_slice(&publish.properties, MQTT_CONTENT_TYPE, SLICE_LITERAL("text/plain"));
    mqtt_property_set_slice(&publish.properties, MQTT_RESPONSE_TOPIC, SLICE_LITERAL("re"));
    mqtt_property_set_slice(&publish.properties, MQTT_CORRELATION_DATA, SLICE_LITERAL("\0\xff"));
    client_open(&c, *state, MQTT_5_0, "dev");
    assert_int_equal(client_publish(&c, &publish), 0);
    assert_non_null(client_next_record(&c, &event));
    assert_true(event.payload_utf8);
    assert_true(slice_equal_string(event.content_type, "text/plain"));
    for (size_t i = 0; i < 3; i++) { /* [MQTT-3.3.2-17] */
        assert_int_equal(attribute_next(&event.attributes, &attribute), 0);
        assert_int_equal(attribute.kind, ATTRIBUTE_USER);
        assert_true(slice_equal_string(attribute.name, names[i]));
    }
    assert_int_equal(attribute_next(&event.attributes, &attribute), 0);
    assert_int_equal(attribute.kind, ATTRIBUTE_RESPONSE_TOPIC);
    assert_true(slice_equal_string(attribute.value, "re"));
    assert_int_equal(attribute_next(&event.attributes, &attribute), 0);
    assert_int_equal(attribute.kind, ATTRIBUTE_CORRELATION_DATA);
    assert_int_equal(attribute.value.len, 2);
    assert_int_equal(attribute_next(&event.attributes, &attribute), ATTRIBUTE_END);
    bytes_deinit(&raw);
    client_deinit(&c);
}

/* [MQTT-4.6.0-2] */
static void test_pubacks_follow_the_order_of_publishes(void **state)
{
    struct client c;
    client_open(&c, *state, MQTT_5_0, "dev");
    for (uint16_t id = 30; id > 27; id--)
        assert_int_equal(client_publish_id(&c, id, "t"), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(client_answer(&c, i == 1 ? INGEST_TAKEN : INGEST_STORED), 0);
    for (uint16_t id = 30; id > 27; id--)
        client_expect_puback(&c, id, MQTT_SUCCESS);
    assert_int_equal(c.out.len, 0);
    assert_int_equal(c.turn.acknowledged, 3);
    client_deinit(&c);
}

static void test_refusal_waits_for_the_publishes_before_it(void **state)
{
    struct client c;
    client_open(&c, *state, MQTT_5_0, "dev");
    assert_int_equal(client_publish_id(&c, 1, "t"), 0);
    assert_int_equal(client_publish_id(&c, 2, "$SYS/broker"), 0);
    assert_int_equal(client_publish_id(&c, 3, "t"), 0);
    assert_int_equal(client_publish_id(&c, 4, "$stream/events/0/x"), 0);
    assert_int_equal(c.out.len, 0);
    assert_int_equal(client_answer(&c, INGEST_STORED), 0);
    client_expect_puback(&c, 1, MQTT_SUCCESS);
    client_expect_puback(&c, 2, MQTT_TOPIC_NAME_INVALID);
    assert_int_equal(c.out.len, 0);
    assert_int_equal(client_answer(&c, INGEST_STORED), 0);
    client_expect_puback(&c, 3, MQTT_SUCCESS);
    client_expect_puback(&c, 4, MQTT_TOPIC_NAME_INVALID);
    assert_int_equal(client_publish_id(&c, 5, "$share"), 0); /* nothing to wait for */
    client_expect_puback(&c, 5, MQTT_TOPIC_NAME_INVALID);
    assert_null(client_next_record(&c, NULL));
    assert_int_equal(c.turn.refused, 3);
    client_deinit(&c);
}

static void test_refusals_wrap_around_their_ring(void **state)
{
    struct client c;
    uint16_t id = 1;
    client_open(&c, *state, MQTT_5_0, "dev");
    for (unsigned round = 0; round < 9; round++) {
        assert_int_equal(client_publish_id(&c, id, "t"), 0);
        for (uint16_t i = 1; i < 4; i++)
            assert_int_equal(client_publish_id(&c, (uint16_t)(id + i), "$SYS"), 0);
        assert_int_equal(client_answer(&c, INGEST_STORED), 0);
        client_expect_puback(&c, id++, MQTT_SUCCESS);
        for (uint16_t i = 1; i < 4; i++)
            client_expect_puback(&c, id++, MQTT_TOPIC_NAME_INVALID);
    }
    client_deinit(&c);
}

static void test_forbidden_topic_closes_311_and_drops_qos_0(void **state)
{
    struct client c;
    struct mqtt_publish publish = {.topic = SLICE_LITERAL("$SYS/x")};
    client_open(&c, *state, MQTT_3_1_1, "dev");
    assert_int_equal(client_publish(&c, &publish), 0);
    assert_int_equal(c.turn.refused, 1);
    assert_int_equal(c.out.len, 0);
    client_expect_fault(&c, client_publish_id(&c, 1, "$SYS/x"), MQTT_TOPIC_NAME_INVALID);
    assert_null(client_next_record(&c, NULL));
    client_deinit(&c);
}

static void test_other_dollar_topics_are_ordinary(void **state)
{
    static const char *const topics[] = {"$aws/things/x", "$iothub/y", "$SYSTEM", "$shared/x", "$"};
    struct client c;
    client_open(&c, *state, MQTT_5_0, "dev");
    for (uint16_t i = 0; i < 5; i++) {
        assert_int_equal(client_publish_id(&c, (uint16_t)(i + 1), topics[i]), 0);
        assert_int_equal(client_answer(&c, INGEST_STORED), 0);
        client_expect_puback(&c, (uint16_t)(i + 1), MQTT_SUCCESS);
    }
    client_deinit(&c);
}

static void test_failures_of_the_pipeline_have_reason_codes(void **state)
{
    static const struct {
        enum ingest_outcome outcome;
        unsigned reason;
    } rows[] = {{INGEST_FULL, MQTT_QUOTA_EXCEEDED},
                {INGEST_REFUSED, MQTT_PAYLOAD_FORMAT_INVALID},
                {INGEST_TOO_LARGE, MQTT_QUOTA_EXCEEDED}};
    for (size_t i = 0; i < 3; i++) {
        struct client c;
        client_open(&c, *state, MQTT_5_0, "dev");
        assert_int_equal(client_publish_id(&c, 7, "t"), 0);
        assert_int_equal(client_answer(&c, rows[i].outcome), 0);
        client_expect_puback(&c, 7, rows[i].reason);
        assert_int_equal(c.turn.refused, 1);
        assert_int_equal(c.turn.acknowledged, 0);
        client_deinit(&c);

        client_open(&c, *state, MQTT_3_1_1, "dev");
        assert_int_equal(client_publish_id(&c, 7, "t"), 0);
        client_expect_fault(&c, client_answer(&c, rows[i].outcome), rows[i].reason);
        client_deinit(&c);
    }
}

static void test_undecided_publish_is_never_acknowledged(void **state)
{
    struct client c;
    client_open(&c, *state, MQTT_5_0, "dev");
    assert_int_equal(client_publish_id(&c, 7, "t"), 0);
    client_expect_fault(&c, client_answer(&c, INGEST_PENDING), MQTT_UNSPECIFIED_ERROR);
    client_deinit(&c);
}

static void test_qos_0_has_no_answer(void **state)
{
    struct client c;
    struct mqtt_publish publish = {.topic = SLICE_LITERAL("t")};
    client_open(&c, *state, MQTT_5_0, "dev");
    assert_int_equal(client_publish(&c, &publish), 0);
    assert_int_equal(client_answer(&c, INGEST_STORED), 0);
    assert_int_equal(c.out.len, 0);
    assert_int_equal(c.turn.received_qos0, 1);
    assert_int_equal(c.turn.acknowledged, 0);
    client_deinit(&c);
}

static void test_receipt_after_the_end_says_nothing(void **state)
{
    static const uint8_t disconnect[] = {0xe0, 0};
    struct client c;
    client_open(&c, *state, MQTT_5_0, "dev");
    assert_int_equal(client_publish_id(&c, 7, "t"), 0);
    assert_int_equal(client_send_raw(&c, disconnect, sizeof disconnect), SESSION_DISCONNECTED);
    assert_int_equal(client_answer(&c, INGEST_STORED), 0);
    assert_int_equal(c.out.len, 0);
    client_deinit(&c);
}

/* [MQTT-3.3.4-7], [MQTT-3.3.4-9] */
static void test_receive_maximum_is_enforced(void **state)
{
    struct client c;
    struct mqtt_publish qos_0 = {.topic = SLICE_LITERAL("t")};
    client_open(&c, *state, MQTT_5_0, "dev");
    for (uint16_t id = 1; id <= 3; id++)
        assert_int_equal(client_publish_id(&c, id, "t"), 0);
    assert_int_equal(client_publish_id(&c, 4, "$SYS"), 0); /* a waiting refusal counts */
    assert_int_equal(client_publish(&c, &qos_0), 0);       /* QoS 0 does not */
    assert_int_equal(client_answer(&c, INGEST_STORED), 0);
    client_expect_puback(&c, 1, MQTT_SUCCESS);
    assert_int_equal(client_publish_id(&c, 5, "t"), 0); /* one was answered: there is room */
    client_expect_fault(&c, client_publish_id(&c, 6, "t"), MQTT_RECEIVE_MAXIMUM_EXCEEDED);
    client_deinit(&c);
}

static void test_311_knows_no_receive_maximum(void **state)
{
    struct client c;
    client_open(&c, *state, MQTT_3_1_1, "dev");
    for (uint16_t id = 1; id <= 100; id++)
        assert_int_equal(client_publish_id(&c, id, "t"), 0);
    for (uint16_t id = 1; id <= 100; id++)
        assert_int_equal(client_answer(&c, INGEST_STORED), 0);
    assert_int_equal(c.out.len, 400);
    client_deinit(&c);
}

/* [MQTT-3.2.2-11] */
static void test_qos_2_is_refused(void **state)
{
    static const enum mqtt_level levels[] = {MQTT_3_1_1, MQTT_5_0};
    for (size_t i = 0; i < 2; i++) {
        struct client c;
        struct mqtt_publish publish = {.topic = SLICE_LITERAL("t"), .qos = 2, .packet_id = 1};
        client_open(&c, *state, levels[i], "dev");
        client_expect_fault(&c, client_publish(&c, &publish), MQTT_QOS_NOT_SUPPORTED);
        assert_null(client_next_record(&c, NULL));
        client_deinit(&c);
    }
}

static int publish_alias(struct client *c, const char *topic, uint32_t alias)
{
    struct mqtt_publish publish = {.topic = slice_string(topic)};
    mqtt_property_set_integer(&publish.properties, MQTT_TOPIC_ALIAS, alias);
    return client_publish(c, &publish);
}

static void test_topic_alias_stands_for_its_topic(void **state)
{
    static const char *const said[] = {"long/topic", "", "other", "", "", "new", ""};
    static const uint32_t alias[] = {1, 1, 3, 3, 1, 1, 1};
    static const char *const meant[] = {"long/topic", "long/topic", "other", "other",
                                        "long/topic", "new",        "new"};
    struct client c;
    client_open(&c, *state, MQTT_5_0, "dev");
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(publish_alias(&c, said[i], alias[i]), 0);
    for (size_t i = 0; i < 7; i++) { /* [MQTT-3.3.2-12] */
        struct event event;
        assert_non_null(client_next_record(&c, &event));
        assert_true(slice_equal_string(event.topic, meant[i]));
        assert_int_equal(event.attributes.len, 0);
    }
    client_deinit(&c);
}

static void test_bad_topic_alias_ends_the_connection(void **state)
{
    static const struct {
        const char *topic;
        uint32_t alias;
        unsigned reason;
    } rows[] = {{"t", 4, MQTT_TOPIC_ALIAS_INVALID}, /* [MQTT-3.3.2-9] */
                {"", 4, MQTT_TOPIC_ALIAS_INVALID},
                {"", 2, MQTT_PROTOCOL_ERROR}};
    for (size_t i = 0; i < 3; i++) {
        struct client c;
        client_open(&c, *state, MQTT_5_0, "dev");
        assert_int_equal(publish_alias(&c, "t", 1), 0);
        client_expect_fault(&c, publish_alias(&c, rows[i].topic, rows[i].alias), rows[i].reason);
        client_deinit(&c);
    }
}

static void test_long_topics_of_aliases_are_bounded_together(void **state)
{
    static char topic[MQTT_TOPIC_MAX_BYTES + 1];
    struct client c;
    memset(topic, 't', sizeof topic - 1);
    client_open(&c, *state, MQTT_5_0, "dev");
    assert_int_equal(publish_alias(&c, topic, 1), 0); /* one as long as can be */
    assert_int_equal(publish_alias(&c, topic, 1), 0);
    topic[ALIAS_AVERAGE_BYTES] = '\0';
    assert_int_equal(publish_alias(&c, topic, 2), 0);
    topic[ALIAS_AVERAGE_BYTES] = 't';
    client_expect_fault(&c, publish_alias(&c, topic, 3), MQTT_QUOTA_EXCEEDED);
    client_deinit(&c);
}

static void test_memory_of_an_alias_is_given_back(void **state)
{
    static char topic[MQTT_TOPIC_MAX_BYTES + 1];
    struct client c;
    memset(topic, 't', sizeof topic - 1);
    client_open(&c, *state, MQTT_5_0, "dev");
    for (uint32_t alias = 1; alias <= 3; alias++) {
        assert_int_equal(publish_alias(&c, topic, alias), 0);
        assert_int_equal(publish_alias(&c, "short", alias), 0);
        assert_true(c.session.aliases.bytes < 1024);
    }
    client_deinit(&c);
}

/* [MQTT-3.3.2-8] */
static void test_topic_alias_0_is_refused(void **state)
{
    static const uint8_t packet[] = {0x30, 7, 0, 1, 't', 3, 0x23, 0, 0};
    struct client c;
    client_open(&c, *state, MQTT_5_0, "dev");
    client_expect_fault(&c, client_send_raw(&c, packet, sizeof packet), MQTT_TOPIC_ALIAS_INVALID);
    client_deinit(&c);
}

static void test_malformed_publish_is_told_why(void **state)
{
    static const uint8_t wildcard[] = {0x30, 4, 0, 1, '#', 0};
    static const uint8_t no_id[] = {0x32, 3, 0, 1, 't'};
    struct client c;
    client_open(&c, *state, MQTT_5_0, "dev");
    client_expect_fault(&c, client_send_raw(&c, wildcard, sizeof wildcard),
                        MQTT_TOPIC_NAME_INVALID);
    client_deinit(&c);
    client_open(&c, *state, MQTT_5_0, "dev");
    client_expect_fault(&c, client_send_raw(&c, no_id, sizeof no_id), MQTT_MALFORMED_PACKET);
    client_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        registry_test(test_publish_becomes_an_event),
        registry_test(test_properties_become_attributes_in_order),
        registry_test(test_pubacks_follow_the_order_of_publishes),
        registry_test(test_refusal_waits_for_the_publishes_before_it),
        registry_test(test_refusals_wrap_around_their_ring),
        registry_test(test_forbidden_topic_closes_311_and_drops_qos_0),
        registry_test(test_other_dollar_topics_are_ordinary),
        registry_test(test_failures_of_the_pipeline_have_reason_codes),
        registry_test(test_undecided_publish_is_never_acknowledged),
        registry_test(test_qos_0_has_no_answer),
        registry_test(test_receipt_after_the_end_says_nothing),
        registry_test(test_receive_maximum_is_enforced),
        registry_test(test_311_knows_no_receive_maximum),
        registry_test(test_qos_2_is_refused),
        registry_test(test_topic_alias_stands_for_its_topic),
        registry_test(test_bad_topic_alias_ends_the_connection),
        registry_test(test_long_topics_of_aliases_are_bounded_together),
        registry_test(test_memory_of_an_alias_is_given_back),
        registry_test(test_topic_alias_0_is_refused),
        registry_test(test_malformed_publish_is_told_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
