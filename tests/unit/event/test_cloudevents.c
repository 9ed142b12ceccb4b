#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "event/attribute.h"
#include "event/cloudevents.h"
#include "event/event.h"

static struct event sample(void)
{
    return (struct event){.topic = SLICE_LITERAL("a/b"),
                          .device = SLICE_LITERAL("dev"),
                          .type = SLICE_LITERAL("t"),
                          .received_us = 1700000000000000,
                          .time_us = EVENT_NO_TIME,
                          .quality = CLOCK_UNSYNCED};
}

static void describe(const struct event *event, struct cloudevent *ce)
{
    struct cloudevent_origin origin = {.source = "/gateways/g/e", .stream = "events", .offset = 3};
    cloudevent_describe(event, &origin, ce);
}

static const struct cloudevent_attribute *find(const struct cloudevent *ce, const char *name)
{
    for (unsigned i = 0; i < ce->count; i++)
        if (slice_equal_string(ce->attributes[i].name, name))
            return &ce->attributes[i];
    return NULL;
}

static void assert_attribute(const struct cloudevent *ce, const char *name, const char *value)
{
    const struct cloudevent_attribute *a = find(ce, name);
    if (!a || !slice_equal_string(a->value, value))
        fail_msg("%s is not %s", name, value);
}

/* The JSON form of a payload under a content type, from "datacontenttype" or "data" on. */
static void assert_data(const char *content_type, struct slice payload, const char *expected)
{
    struct event event = sample();
    event.content_type = slice_string(content_type);
    event.payload = payload;
    struct cloudevent ce;
    struct bytes out = BYTES_INIT(1 << 20);
    describe(&event, &ce);
    assert_int_equal(cloudevent_encode_json(&ce, &out), 0);
    assert_int_equal(bytes_append_u8(&out, 0), 0);
    const char *at = strstr((const char *)out.data, "\"timequality\":\"unsynced\"");
    assert_non_null(at);
    assert_string_equal(at + strlen("\"timequality\":\"unsynced\""), expected);
    bytes_deinit(&out);
}

static void test_time_is_event_time_or_synced_received_time_or_absent(void **state)
{
    (void)state;
    struct event event = sample();
    struct cloudevent ce;
    describe(&event, &ce);
    assert_null(find(&ce, "time"));
    assert_attribute(&ce, "receivedtime", "2023-11-14T22:13:20Z");
    assert_attribute(&ce, "timequality", "unsynced");
    event.quality = CLOCK_SYNCED;
    describe(&event, &ce);
    assert_attribute(&ce, "time", "2023-11-14T22:13:20Z");
    event.quality = CLOCK_CORRECTED; /* what was first sent without a time stays without */
    describe(&event, &ce);
    assert_null(find(&ce, "time"));
    event.time_us = 1000000;
    describe(&event, &ce);
    assert_attribute(&ce, "time", "1970-01-01T00:00:01Z");
    assert_attribute(&ce, "timequality", "corrected");
}

static void test_extensions_of_rules_join_but_never_replace(void **state)
{
    (void)state;
    static const struct attribute given[] = {
        {ATTRIBUTE_EXTENSION, SLICE_LITERAL("dataschema"), SLICE_LITERAL("urn:s")},
        {ATTRIBUTE_EXTENSION, SLICE_LITERAL("id"), SLICE_LITERAL("forged")},
        {ATTRIBUTE_EXTENSION, SLICE_LITERAL("time"), SLICE_LITERAL("forged")},
        {ATTRIBUTE_EXTENSION, SLICE_LITERAL("Bad-Name"), SLICE_LITERAL("x")},
        {ATTRIBUTE_EXTENSION, SLICE_LITERAL("site"), SLICE_LITERAL("a")},
        {ATTRIBUTE_EXTENSION, SLICE_LITERAL("site"), SLICE_LITERAL("b")},
        {ATTRIBUTE_USER, SLICE_LITERAL("site"), SLICE_LITERAL("c")},
    };
    struct bytes list = BYTES_INIT(4096);
    for (unsigned i = 0; i < sizeof(given) / sizeof(given[0]); i++)
        assert_int_equal(attribute_append(&list, &given[i]), 0);
    struct event event = sample();
    event.attributes = bytes_slice(&list);
    struct cloudevent ce;
    describe(&event, &ce);
    assert_int_equal(ce.count, 11);
    assert_attribute(&ce, "dataschema", "urn:s");
    assert_attribute(&ce, "id", "events/3");
    assert_null(find(&ce, "time"));
    assert_attribute(&ce, "site", "a");

    struct slice rest = ce.user;
    struct bytes scratch = BYTES_INIT(CLOUDEVENT_NAME_MAX_BYTES);
    struct cloudevent_user user;
    assert_int_equal(cloudevent_next_user(&ce, &rest, &scratch, &user), 0);
    assert_true(slice_equal_string(user.name, "mqttsite"));
    assert_true(user.attribute);
    assert_int_equal(cloudevent_next_user(&ce, &rest, &scratch, &user), CLOUDEVENT_USER_END);
    bytes_deinit(&scratch);
    bytes_deinit(&list);
}

static void test_json_payloads_are_embedded_verbatim(void **state)
{
    (void)state;
    assert_data(NULL, SLICE_LITERAL("{\"b\": 1.0, \"a\":12345678901234567890}"),
                ",\"data\":{\"b\": 1.0, \"a\":12345678901234567890}}");
    assert_data("application/json", SLICE_LITERAL("21.50"),
                ",\"datacontenttype\":\"application/json\",\"data\":21.50}");
    assert_data("application/vnd.x+JSON; v=1", SLICE_LITERAL("[1]"),
                ",\"datacontenttype\":\"application/vnd.x+JSON; v=1\",\"data\":[1]}");
    assert_data(NULL, SLICE_LITERAL("{\"a\":1,\"a\":2}"), ",\"data\":{\"a\":1,\"a\":2}}");
}

static void test_text_becomes_a_string_and_says_so(void **state)
{
    (void)state;
    assert_data(NULL, SLICE_LITERAL("ON \"\\\n\xc3\xa9"),
                ",\"datacontenttype\":\"text/plain\",\"data\":\"ON \\\"\\\\\\u000a\xc3\xa9\"}");
    assert_data("text/plain", SLICE_LITERAL("21.5"),
                ",\"datacontenttype\":\"text/plain\",\"data\":\"21.5\"}");
    assert_data(NULL, SLICE_LITERAL("{\"a\":}"),
                ",\"datacontenttype\":\"text/plain\",\"data\":\"{\\\"a\\\":}\"}");
}

static void test_bytes_become_base64(void **state)
{
    (void)state;
    assert_data(NULL, SLICE_LITERAL("\xff"), ",\"data_base64\":\"/w==\"}");
    assert_data(NULL, SLICE_LITERAL("\xff\x00"), ",\"data_base64\":\"/wA=\"}");
    assert_data(NULL, SLICE_LITERAL("\xff\x00\x01"), ",\"data_base64\":\"/wAB\"}");
    assert_data(NULL, SLICE_LITERAL("\xff\x00\x01\x02"), ",\"data_base64\":\"/wABAg==\"}");
    /* a string under a JSON type would mean a JSON string */
    assert_data("application/json", SLICE_LITERAL("ON"),
                ",\"datacontenttype\":\"application/json\",\"data_base64\":\"T04=\"}");
    assert_data("application/json", SLICE_EMPTY, ",\"datacontenttype\":\"application/json\"}");
}

static void test_attribute_values_are_always_valid_json(void **state)
{
    (void)state;
    struct event event = sample();
    event.topic = SLICE_LITERAL("a\x01\xff\"\\");
    struct cloudevent ce;
    struct bytes out = BYTES_INIT(4096);
    describe(&event, &ce);
    assert_int_equal(cloudevent_encode_json(&ce, &out), 0);
    assert_int_equal(bytes_append_u8(&out, 0), 0);
    assert_non_null(strstr((char *)out.data, "\"subject\":\"a\\u0001\xef\xbf\xbd\\\"\\\\\""));
    bytes_deinit(&out);
}

static void test_first_legal_user_property_of_a_name_becomes_an_attribute(void **state)
{
    (void)state;
    static const struct attribute given[] = {
        {ATTRIBUTE_USER, SLICE_LITERAL("tag"), SLICE_LITERAL("a")},
        {ATTRIBUTE_USER, SLICE_LITERAL("my-tag"), SLICE_LITERAL("x")},
        {ATTRIBUTE_USER, SLICE_LITERAL("tag"), SLICE_LITERAL("b")},
        {ATTRIBUTE_USER, SLICE_LITERAL("data"), SLICE_LITERAL("c")},
        {ATTRIBUTE_USER, SLICE_LITERAL("mqttdata"), SLICE_LITERAL("d")},
    };
    struct bytes list = BYTES_INIT(4096);
    for (unsigned i = 0; i < sizeof(given) / sizeof(given[0]); i++)
        assert_int_equal(attribute_append(&list, &given[i]), 0);
    struct event event = sample();
    event.attributes = bytes_slice(&list);
    struct cloudevent ce;
    struct bytes out = BYTES_INIT(4096);
    describe(&event, &ce);
    assert_int_equal(cloudevent_encode_json(&ce, &out), 0);
    assert_int_equal(bytes_append_u8(&out, 0), 0);
    const char *end = strstr((char *)out.data, "\"timequality\":\"unsynced\"");
    assert_string_equal(end, "\"timequality\":\"unsynced\",\"tag\":\"a\",\"mqttdata\":\"c\"}");
    bytes_deinit(&out);
    bytes_deinit(&list);
}

/* ---- the shared conformance cases ---- */

static cJSON *load_cases(void)
{
    char path[4096];
    const char *shared = getenv("SLUICE_SHARED");
    snprintf(path, sizeof(path), "%s/conformance/cloudevents/mqtt-binding.json",
             shared ? shared : SHARED_DEFAULT);
    FILE *file = fopen(path, "rb");
    if (!file && getenv("CI"))
        fail_msg("%s is missing", path);
    if (!file)
        return NULL;
    struct bytes text = BYTES_INIT(1 << 22);
    char part[4096];
    size_t n;
    while ((n = fread(part, 1, sizeof(part), file)) > 0)
        assert_int_equal(bytes_append(&text, part, n), 0);
    fclose(file);
    cJSON *root = cJSON_ParseWithLength((char *)text.data, text.len);
    assert_non_null(root);
    bytes_deinit(&text);
    return root;
}

static const char *member(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static bool emitted(const cJSON *test)
{
    const cJSON *direction;
    cJSON_ArrayForEach(
        direction, cJSON_GetObjectItem(test, "directions")) if (strcmp(direction->valuestring,
                                                                       "emit") == 0) return true;
    return false;
}

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* The payload as bytes: by the binary twin of a case, whose payload_hex is the data verbatim. */
static struct slice payload_of(const cJSON *cases, const cJSON *test, uint8_t *buffer)
{
    const char *id = member(cJSON_GetObjectItem(test, "event"), "id");
    const cJSON *twin;
    cJSON_ArrayForEach(twin, cases)
    {
        const char *hex = member(cJSON_GetObjectItem(twin, "publish"), "payload_hex");
        const char *twin_id = member(cJSON_GetObjectItem(twin, "event"), "id");
        if (!hex || !twin_id || strcmp(twin_id, id) != 0)
            continue;
        size_t len = strlen(hex) / 2;
        for (size_t i = 0; i < len; i++)
            buffer[i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
        return slice_make(buffer, len);
    }
    fail_msg("no binary twin of %s", id);
    return SLICE_EMPTY;
}

/* The event of a case as the room describes events. texts keeps what numbers are printed into. */
static void build(const cJSON *event, struct slice payload, char texts[8][32],
                  struct cloudevent *ce)
{
    *ce = (struct cloudevent){.data = payload};
    unsigned used = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, event)
    {
        if (strcmp(item->string, "data") == 0 || strcmp(item->string, "data_base64") == 0)
            continue;
        if (strcmp(item->string, "datacontenttype") == 0) {
            ce->datacontenttype = slice_string(item->valuestring);
            continue;
        }
        struct slice value = slice_string(item->valuestring);
        if (!cJSON_IsString(item)) {
            char *text = texts[used++];
            if (cJSON_IsBool(item))
                snprintf(text, 32, "%s", cJSON_IsTrue(item) ? "true" : "false");
            else
                snprintf(text, 32, "%d", item->valueint);
            value = slice_string(text);
        }
        assert_true(cloudevent_add(ce, slice_string(item->string), value));
        ce->attributes[ce->count - 1].bare = !cJSON_IsString(item);
    }
}

static void check_structured(const cJSON *test, const struct cloudevent *ce)
{
    struct bytes out = BYTES_INIT(1 << 20);
    assert_int_equal(cloudevent_encode_json(ce, &out), 0);
    cJSON *made = cJSON_ParseWithLength((char *)out.data, out.len);
    assert_non_null(made);
    const cJSON *publish = cJSON_GetObjectItem(test, "publish");
    if (!cJSON_Compare(made, cJSON_GetObjectItem(publish, "payload_json"), true))
        fail_msg("%s: %.*s", member(test, "id"), (int)out.len, (char *)out.data);
    const char *type = member(publish, "content_type");
    if (type)
        assert_string_equal(type, CLOUDEVENT_JSON_TYPE);
    cJSON_Delete(made);
    bytes_deinit(&out);
}

static void check_binary(const cJSON *test, const struct cloudevent *ce)
{
    const cJSON *publish = cJSON_GetObjectItem(test, "publish");
    const cJSON *properties = cJSON_GetObjectItem(publish, "user_properties"), *pair;
    assert_int_equal(cJSON_GetArraySize(properties), ce->count);
    cJSON_ArrayForEach(pair, properties)
    {
        const struct cloudevent_attribute *a = find(ce, cJSON_GetArrayItem(pair, 0)->valuestring);
        assert_non_null(a);
        assert_true(slice_equal_string(a->value, cJSON_GetArrayItem(pair, 1)->valuestring));
    }
    assert_true(slice_equal(ce->datacontenttype, slice_string(member(publish, "content_type"))));
}

static void test_conformance_cases_are_emitted_as_the_binding_says(void **state)
{
    (void)state;
    cJSON *root = load_cases();
    if (!root)
        skip();
    const cJSON *cases = cJSON_GetObjectItem(root, "cases"), *test;
    unsigned checked = 0;
    cJSON_ArrayForEach(test, cases)
    {
        if (!emitted(test))
            continue;
        uint8_t buffer[1024];
        char texts[8][32];
        struct cloudevent ce;
        build(cJSON_GetObjectItem(test, "event"), payload_of(cases, test, buffer), texts, &ce);
        if (strcmp(member(test, "mode"), "structured") == 0)
            check_structured(test, &ce);
        else
            check_binary(test, &ce);
        checked++;
    }
    assert_true(checked >= 27);
    cJSON_Delete(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_is_event_time_or_synced_received_time_or_absent),
        cmocka_unit_test(test_extensions_of_rules_join_but_never_replace),
        cmocka_unit_test(test_json_payloads_are_embedded_verbatim),
        cmocka_unit_test(test_text_becomes_a_string_and_says_so),
        cmocka_unit_test(test_bytes_become_base64),
        cmocka_unit_test(test_attribute_values_are_always_valid_json),
        cmocka_unit_test(test_first_legal_user_property_of_a_name_becomes_an_attribute),
        cmocka_unit_test(test_conformance_cases_are_emitted_as_the_binding_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
