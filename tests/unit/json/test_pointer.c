#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "json/pointer.h"

/* The document of RFC 6901 section 5. */
static const char text[] = "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,"
                           "\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8,\"~1\":9}";

static struct json_document *load(void)
{
    struct json_document *doc = NULL;
    assert_int_equal(json_document_parse(slice_string(text), "rfc", NULL, NULL, &doc), 0);
    return doc;
}

static void test_the_examples_of_rfc_6901_are_found(void **state)
{
    static const char *const numbered[] = {"/",     "/a~1b", "/c%d", "/e^f",  "/g|h",
                                           "/i\\j", "/k\"l", "/ ",   "/m~0n", "/~01"};
    struct json_document *doc = load();
    const cJSON *node = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof numbered / sizeof numbered[0]; i++) {
        int64_t value = -1;
        assert_int_equal(
            json_pointer_get(json_document_root(doc), slice_string(numbered[i]), &node), 0);
        assert_int_equal(json_document_int64(doc, node, &value), 0);
        assert_int_equal(value, (int64_t)i);
    }
    assert_int_equal(json_pointer_get(json_document_root(doc), slice_string(""), &node), 0);
    assert_ptr_equal(node, json_document_root(doc));
    assert_int_equal(json_pointer_get(json_document_root(doc), slice_string("/foo/1"), &node), 0);
    assert_string_equal(node->valuestring, "baz");
    json_document_free(doc);
}

static void test_what_is_not_there_is_told_from_what_is_no_pointer(void **state)
{
    static const char *const missing[] = {
        "/foo/2", "/foo/01",  "/foo/-", "/foo/x", "/fo",
        "/fooo",  "/foo/0/1", "/foo/",  "/FOO",   "/foo/99999999999999999999999"};
    static const char *const bad[] = {"foo", "/~", "/~2", "/m~", "x/foo"};
    struct json_document *doc = load();
    const cJSON *node = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++)
        assert_int_equal(json_pointer_get(json_document_root(doc), slice_string(missing[i]), &node),
                         JSON_POINTER_MISSING);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(json_pointer_get(json_document_root(doc), slice_string(bad[i]), &node),
                         JSON_POINTER_BAD);
    assert_null(node);
    json_document_free(doc);
}

static void test_built_pointers_are_escaped_and_bounded(void **state)
{
    struct bytes pointer = BYTES_INIT(32);
    (void)state;
    assert_int_equal(json_pointer_push_key(&pointer, slice_string("a/b~c")), 0);
    assert_int_equal(json_pointer_push_index(&pointer, 12), 0);
    assert_true(slice_equal_string(bytes_slice(&pointer), "/a~1b~0c/12"));
    assert_int_equal(json_pointer_push_key(&pointer, slice_string("0123456789012345678901234")),
                     BYTES_FULL);
    assert_true(slice_equal_string(bytes_slice(&pointer), "/a~1b~0c/12"));
    bytes_deinit(&pointer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_examples_of_rfc_6901_are_found),
        cmocka_unit_test(test_what_is_not_there_is_told_from_what_is_no_pointer),
        cmocka_unit_test(test_built_pointers_are_escaped_and_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
