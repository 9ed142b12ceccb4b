#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "json/document.h"

static struct json_document *parse(const char *text)
{
    struct json_document *doc = NULL;
    struct error error = ERROR_INIT;
    int r = json_document_parse(slice_string(text), "a.json", NULL, &error, &doc);
    if (r)
        fail_msg("%s: %s", error.where, error.what);
    return doc;
}

static const cJSON *get(const struct json_document *doc, const char *name)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(json_document_root(doc), name);
    assert_non_null(node);
    return node;
}

static void test_the_tree_is_what_cjson_would_make(void **state)
{
    static const char text[] = "{\"a\":[1,2.5,\"x\\u00e4\\n\",{}],\"b\":{\"c\":null,\"d\":true}}";
    struct json_document *doc = parse(text);
    cJSON *expected = cJSON_Parse(text);
    (void)state;
    assert_true(cJSON_Compare(json_document_root(doc), expected, true));
    cJSON_Delete(expected);
    json_document_free(doc);
}

static void test_every_node_knows_its_place(void **state)
{
    struct json_document *doc = parse("{\n  \"\xc3\xa4\": [1,\n    {\"x\": true}]}");
    const cJSON *array = get(doc, "\xc3\xa4");
    struct json_place place = json_document_place(doc, array);
    (void)state;
    assert_string_equal(place.name, "a.json");
    assert_int_equal(place.line, 2);
    assert_int_equal(place.column, 8);
    place = json_document_key_place(doc, array);
    assert_int_equal(place.column, 3);
    place = json_document_place(doc, array->child->next->child);
    assert_int_equal(place.line, 3);
    assert_int_equal(place.column, 11);
    cJSON stranger = {.type = cJSON_Number};
    assert_int_equal(json_document_place(doc, &stranger).line, 0);
    assert_string_equal(json_document_source(doc, &stranger), "");
    json_document_free(doc);
}

static void test_integers_are_exact(void **state)
{
    struct json_document *doc =
        parse("{\"max\":9223372036854775807,\"min\":-9223372036854775808,"
              "\"odd\":9007199254740993,\"umax\":18446744073709551615,"
              "\"over\":18446744073709551616,\"under\":-9223372036854775809,"
              "\"real\":1.0,\"power\":1e3,\"minus_zero\":-0,\"string\":\"1\"}");
    int64_t value = 0;
    uint64_t natural = 0;
    (void)state;
    assert_int_equal(json_document_int64(doc, get(doc, "max"), &value), 0);
    assert_true(value == INT64_MAX);
    assert_int_equal(json_document_int64(doc, get(doc, "min"), &value), 0);
    assert_true(value == INT64_MIN);
    assert_int_equal(json_document_int64(doc, get(doc, "odd"), &value), 0);
    assert_true(value == INT64_C(9007199254740993));
    assert_int_equal(json_document_int64(doc, get(doc, "umax"), &value), JSON_OUT_OF_RANGE);
    assert_int_equal(json_document_uint64(doc, get(doc, "umax"), &natural), 0);
    assert_true(natural == UINT64_MAX);
    assert_int_equal(json_document_uint64(doc, get(doc, "over"), &natural), JSON_OUT_OF_RANGE);
    assert_int_equal(json_document_uint64(doc, get(doc, "min"), &natural), JSON_OUT_OF_RANGE);
    assert_int_equal(json_document_int64(doc, get(doc, "under"), &value), JSON_OUT_OF_RANGE);
    assert_int_equal(json_document_int64(doc, get(doc, "real"), &value), JSON_NOT_INTEGER);
    assert_int_equal(json_document_int64(doc, get(doc, "power"), &value), JSON_NOT_INTEGER);
    assert_int_equal(json_document_int64(doc, get(doc, "string"), &value), JSON_NOT_INTEGER);
    assert_int_equal(json_document_uint64(doc, get(doc, "minus_zero"), &natural), 0);
    assert_true(natural == 0);
    assert_true(slice_equal_string(json_document_raw(doc, get(doc, "real")), "1.0"));
    json_document_free(doc);
}

static void test_what_a_tree_cannot_hold_is_refused(void **state)
{
    static const char *const texts[] = {"{\n\"a\": \"x\\u0000\"}", "{\n\"a\": 1e400}",
                                        "{\n\"a\": -1e400}"};
    struct json_document *doc = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct error error = ERROR_INIT;
        assert_int_equal(json_document_parse(slice_string(texts[i]), "a.json", NULL, &error, &doc),
                         JSON_REFUSED);
        assert_string_equal(error.where, "a.json:2:6");
        assert_null(doc);
    }
    assert_int_equal(json_document_parse(slice_string("{\"a\\u0000\":1}"), "a", NULL, NULL, &doc),
                     JSON_REFUSED);
}

static void test_two_texts_keep_their_names_in_one_tree(void **state)
{
    struct json_document *doc = parse("{\"a\": 1}");
    cJSON *second = NULL;
    (void)state;
    assert_int_equal(json_document_add(doc, slice_string("\n {\"b\": 18446744073709551615}"),
                                       "b.json", NULL, NULL, &second),
                     0);
    cJSON *b = cJSON_DetachItemFromObjectCaseSensitive(second, "b");
    cJSON_AddItemToArray(json_document_root(doc), b);
    cJSON_Delete(second);
    struct error error = ERROR_INIT;
    uint64_t value = 0;
    json_document_where(doc, get(doc, "b"), &error);
    assert_string_equal(error.where, "b.json:2:8");
    assert_int_equal(json_document_uint64(doc, get(doc, "b"), &value), 0);
    assert_true(value == UINT64_MAX);
    json_document_where(doc, get(doc, "a"), &error);
    assert_string_equal(error.where, "a.json:1:7");
    json_document_free(doc);
}

static void test_a_refused_text_leaves_nothing_behind(void **state)
{
    static const char *const texts[] = {"{\"a\": [1, {\"b\": \"c\", \"d\": }]}",
                                        "[\"a\", {\"k\" 1}]", "{\"a\": {\"b\": 1}} x"};
    struct json_document *doc = parse("{\"a\": 1}");
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0];
         i++) { /* leaks are seen by the sanitizer */
        cJSON *tree = NULL;
        assert_int_equal(
            json_document_add(doc, slice_string(texts[i]), "b.json", NULL, NULL, &tree),
            JSON_REFUSED);
        assert_null(tree);
    }
    assert_int_equal(json_document_place(doc, get(doc, "a")).column, 7);
    json_document_free(doc);
}

static void test_many_nodes_are_all_found_again(void **state)
{
    enum { COUNT = 20000, TEXT_MAX = COUNT * 8 };
    char *text = malloc(TEXT_MAX);
    size_t n = (size_t)snprintf(text, TEXT_MAX, "[");
    int64_t expected = 0;
    (void)state;
    for (int i = 0; i < COUNT; i++)
        n += (size_t)snprintf(text + n, TEXT_MAX - n, "%s%d", i ? "," : "", i);
    snprintf(text + n, TEXT_MAX - n, "]");
    struct json_document *doc = parse(text);
    for (const cJSON *item = json_document_root(doc)->child; item; item = item->next) {
        int64_t value = -1;
        assert_int_equal(json_document_int64(doc, item, &value), 0);
        assert_true(value == expected++);
    }
    assert_true(expected == COUNT);
    json_document_free(doc);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_tree_is_what_cjson_would_make),
        cmocka_unit_test(test_every_node_knows_its_place),
        cmocka_unit_test(test_integers_are_exact),
        cmocka_unit_test(test_what_a_tree_cannot_hold_is_refused),
        cmocka_unit_test(test_two_texts_keep_their_names_in_one_tree),
        cmocka_unit_test(test_a_refused_text_leaves_nothing_behind),
        cmocka_unit_test(test_many_nodes_are_all_found_again)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
