#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "event/attribute.h"
#include "event/event.h"
#include "uplink/envelope.h"

struct fixture {
    struct event event;
    struct bytes attributes;
    struct topic_template topic;
    struct envelope_rules rules;
    struct envelope envelope;
};

static void add(struct fixture *f, enum attribute_kind kind, const char *name, const char *value)
{
    struct attribute a = {.kind = kind, .name = slice_string(name), .value = slice_string(value)};
    assert_int_equal(attribute_append(&f->attributes, &a), 0);
    f->event.attributes = bytes_slice(&f->attributes);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->event = (struct event){.topic = SLICE_LITERAL("tele/x/STATE"),
                              .device = SLICE_LITERAL("x"),
                              .type = SLICE_LITERAL("tasmota.state"),
                              .payload = SLICE_LITERAL("{\"n\": 12345678901234567890}"),
                              .received_us = 1700000000000000,
                              .time_us = EVENT_NO_TIME,
                              .quality = CLOCK_SYNCED,
                              .qos = 1};
    f->attributes = (struct bytes)BYTES_INIT(1 << 20);
    assert_int_equal(topic_template_parse("${topic}", NULL, &f->topic), 0);
    f->rules = (struct envelope_rules){.envelope = UPSTREAM_BINARY,
                                       .mqtt5 = true,
                                       .topic = &f->topic,
                                       .gateway = "gw1",
                                       .source = "/gateways/gw1/e0",
                                       .stream = "events"};
    f->envelope = (struct envelope)ENVELOPE_INIT;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    envelope_deinit(&f->envelope);
    bytes_deinit(&f->attributes);
    free(f);
    return 0;
}

static const struct envelope *encode(struct fixture *f)
{
    assert_int_equal(envelope_encode(&f->envelope, &f->rules, &f->event, 42), 0);
    return &f->envelope;
}

/* The n-th user property of that name; fails if there is none. */
static struct slice user(const struct envelope *e, const char *name, unsigned n)
{
    for (size_t i = 0; i < e->user_count; i++)
        if (slice_equal_string(e->user[i].name, name) && n-- == 0)
            return e->user[i].value;
    fail_msg("no user property %s", name);
    return SLICE_EMPTY;
}

static unsigned count(const struct envelope *e, const char *name)
{
    unsigned n = 0;
    for (size_t i = 0; i < e->user_count; i++)
        n += slice_equal_string(e->user[i].name, name);
    return n;
}

static void assert_text(struct slice s, const char *expected)
{
    if (!slice_equal_string(s, expected))
        fail_msg("\"%.*s\" is not \"%s\"", SLICE_PRINT(s), expected);
}

static void test_raw_forwards_everything_as_it_came(void **state)
{
    struct fixture *f = *state;
    f->rules.envelope = UPSTREAM_RAW;
    f->event.content_type = SLICE_LITERAL("application/json");
    f->event.payload_utf8 = true;
    f->event.retain = true;
    add(f, ATTRIBUTE_USER, "id", "7");
    add(f, ATTRIBUTE_RESPONSE_TOPIC, "", "answer/x");
    add(f, ATTRIBUTE_USER, "b", "2");
    add(f, ATTRIBUTE_EXTENSION, "dataschema", "s");
    add(f, ATTRIBUTE_CORRELATION_DATA, "", "\x01\x02");
    add(f, ATTRIBUTE_USER, "b", "1");
    const struct envelope *e = encode(f);
    assert_text(e->topic, "tele/x/STATE");
    assert_int_equal(e->topic.data[e->topic.len], 0);
    assert_ptr_equal(e->payload.data, f->event.payload.data);
    assert_int_equal(e->payload.len, f->event.payload.len);
    assert_text(e->content_type, "application/json");
    assert_text(e->response_topic, "answer/x");
    assert_text(e->correlation_data, "\x01\x02");
    assert_true(e->payload_utf8 && e->retain);
    assert_int_equal(e->user_count, 3);
    assert_text(e->user[0].name, "id");
    assert_text(e->user[1].value, "2");
    assert_text(e->user[2].value, "1");
}

static void test_binary_carries_attributes_and_the_payload_verbatim(void **state)
{
    struct fixture *f = *state;
    f->event.content_type = SLICE_LITERAL("application/json");
    const struct envelope *e = encode(f);
    assert_ptr_equal(e->payload.data, f->event.payload.data);
    assert_text(e->content_type, "application/json");
    assert_text(user(e, "specversion", 0), "1.0");
    assert_text(user(e, "id", 0), "events/42");
    assert_text(user(e, "source", 0), "/gateways/gw1/e0");
    assert_text(user(e, "type", 0), "tasmota.state");
    assert_text(user(e, "subject", 0), "tele/x/STATE");
    assert_text(user(e, "sequence", 0), "00000000000000000042");
    assert_text(user(e, "partitionkey", 0), "x");
    assert_text(user(e, "time", 0), "2023-11-14T22:13:20Z");
    assert_text(user(e, "timequality", 0), "synced");
    assert_int_equal(count(e, "datacontenttype"), 0);
}

static void test_properties_of_the_device_never_pass_for_attributes(void **state)
{
    struct fixture *f = *state;
    f->event.quality = CLOCK_UNSYNCED;
    add(f, ATTRIBUTE_USER, "id", "forged");
    add(f, ATTRIBUTE_USER, "time", "yesterday");
    add(f, ATTRIBUTE_USER, "traceparent", "00-1-2-01");
    add(f, ATTRIBUTE_USER, "Room Name", "kitchen");
    add(f, ATTRIBUTE_USER, "tag", "a");
    add(f, ATTRIBUTE_USER, "tag", "b");
    const struct envelope *e = encode(f);
    assert_int_equal(count(e, "id"), 1);
    assert_text(user(e, "id", 0), "events/42");
    assert_text(user(e, "mqttid", 0), "forged");
    assert_int_equal(count(e, "time"), 0); /* unknown, and the device cannot set it */
    assert_text(user(e, "mqtttime", 0), "yesterday");
    assert_text(user(e, "traceparent", 0), "00-1-2-01");
    assert_text(user(e, "Room Name", 0), "kitchen");
    assert_text(user(e, "tag", 0), "a");
    assert_text(user(e, "tag", 1), "b");
}

static void test_many_changed_names_keep_their_bytes(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2000; i++)
        add(f, ATTRIBUTE_USER, i % 2 ? "id" : "source", "v");
    const struct envelope *e = encode(f);
    assert_int_equal(count(e, "mqttid"), 1000);
    assert_int_equal(count(e, "mqttsource"), 1000);
}

static void test_binary_goes_out_structured_on_3_1_1(void **state)
{
    struct fixture *f = *state;
    f->rules.mqtt5 = false;
    add(f, ATTRIBUTE_USER, "tag", "a");
    const struct envelope *e = encode(f);
    assert_int_equal(e->user_count, 0);
    assert_text(e->content_type, CLOUDEVENT_JSON_TYPE);
    static const char expected[] =
        "{\"specversion\":\"1.0\",\"id\":\"events/42\",\"source\":\"/gateways/gw1/e0\","
        "\"type\":\"tasmota.state\",\"subject\":\"tele/x/STATE\","
        "\"time\":\"2023-11-14T22:13:20Z\",\"sequence\":\"00000000000000000042\","
        "\"partitionkey\":\"x\",\"receivedtime\":\"2023-11-14T22:13:20Z\","
        "\"timequality\":\"synced\",\"tag\":\"a\",\"data\":{\"n\": 12345678901234567890}}";
    assert_text(e->payload, expected);
}

static void test_a_template_changes_the_topic_but_not_the_subject(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(topic_template_parse("up/${gateway}/${topic}", NULL, &f->topic), 0);
    const struct envelope *e = encode(f);
    assert_text(e->topic, "up/gw1/tele/x/STATE");
    assert_text(user(e, "subject", 0), "tele/x/STATE");
}

static void test_a_topic_that_cannot_be_published_is_an_outcome(void **state)
{
    struct fixture *f = *state;
    f->event.topic = SLICE_LITERAL("a/+");
    assert_int_equal(envelope_encode(&f->envelope, &f->rules, &f->event, 1),
                     ENVELOPE_TOPIC_INVALID);
}

static void test_damaged_attributes_are_an_error_not_a_crash(void **state)
{
    struct fixture *f = *state;
    f->event.attributes = SLICE_LITERAL("\0\0\x05"
                                        "ab");
    for (int envelope = UPSTREAM_RAW; envelope <= UPSTREAM_STRUCTURED; envelope++) {
        f->rules.envelope = (enum upstream_envelope)envelope;
        assert_true(envelope_encode(&f->envelope, &f->rules, &f->event, 1) < 0);
    }
}

/* MQTT 5.0 3.3: fixed header, topic, packet identifier, properties, payload, counted by hand. */
static void test_packet_bytes_are_those_of_the_publish(void **state)
{
    struct fixture *f = *state;
    f->rules.envelope = UPSTREAM_RAW;
    f->event.topic = SLICE_LITERAL("abc");
    f->event.payload = SLICE_LITERAL("12345");
    assert_int_equal(envelope_packet_bytes(encode(f), false), 2 + 2 + 3 + 2 + 5);
    assert_int_equal(envelope_packet_bytes(encode(f), true), 2 + 2 + 3 + 2 + 1 + 5);
    f->event.payload_utf8 = true;
    f->event.content_type = SLICE_LITERAL("t/p");
    add(f, ATTRIBUTE_USER, "k", "vv");
    add(f, ATTRIBUTE_RESPONSE_TOPIC, "", "r");
    add(f, ATTRIBUTE_CORRELATION_DATA, "", "c");
    assert_int_equal(envelope_packet_bytes(encode(f), true),
                     2 + 2 + 3 + 2 + 1 + (2 + 6 + 8 + 4 + 4) + 5);
    char *big = calloc(1, 20000);
    f->event.payload = slice_make(big, 20000);
    assert_int_equal(envelope_packet_bytes(encode(f), false), 4 + 2 + 3 + 2 + 20000);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_raw_forwards_everything_as_it_came, setup, teardown),
        cmocka_unit_test_setup_teardown(test_binary_carries_attributes_and_the_payload_verbatim,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_properties_of_the_device_never_pass_for_attributes,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_changed_names_keep_their_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_binary_goes_out_structured_on_3_1_1, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_template_changes_the_topic_but_not_the_subject,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_topic_that_cannot_be_published_is_an_outcome, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_damaged_attributes_are_an_error_not_a_crash, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_packet_bytes_are_those_of_the_publish, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
