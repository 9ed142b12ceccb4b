#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "json/document.h"
#include "json/reader.h"

static int check(const char *text, const struct json_options *options, struct error *error)
{
    *error = (struct error)ERROR_INIT;
    return json_check(slice_string(text), "a.json", options, error);
}

struct refusal {
    const char *text, *where, *what;
};

static void test_every_mistake_is_named_with_line_and_column(void **state)
{
    static const struct refusal refusals[] = {
        {"", "a.json:1:1", "expected a value, found the end of the text"},
        {"{\"a\": 1,\n  \"b\" 2}", "a.json:2:7", "expected ':' after the key, found '2'"},
        {"[1,]", "a.json:1:3", "a comma before ']'"},
        {"{\"a\":1,}", "a.json:1:7", "a comma before '}'"},
        {"[1 2]", "a.json:1:4", "expected ',' or ']', found '2'"},
        {"{} x", "a.json:1:4", "expected nothing after the value, found 'x'"},
        {"{\"a\":1,\"b\":2,\n\"a\":3}", "a.json:2:1", "the key \"a\" stands twice in one object"},
        {"{\"a\":1,\"\\u0061\":3}", "a.json:1:8", "the key \"a\" stands twice in one object"},
        {"[\"\xc3\xa4\xe2\x82\xac\", \"\x80\"]", "a.json:1:9", "the byte 0x80 here is not UTF-8"},
        {"[\"\\ud800\"]", "a.json:1:3", "a high surrogate without a low one after it"},
        {"[\"\\ud800\\u0041\"]", "a.json:1:3", "a high surrogate without a low one after it"},
        {"[\"\\udc00\"]", "a.json:1:3", "a low surrogate without a high one before it"},
        {"[\"a\nb\"]", "a.json:1:4", "a control character (0x0a) in a string"},
        {"[\"a", "a.json:1:4", "a string does not end"},
        {"\xef\xbb\xbf{}", "a.json:1:1", "the text begins with a byte order mark"},
        {"[01]", "a.json:1:2", "a number with a leading zero"},
        {"// x\n{}", "a.json:1:1", "expected a value, found '/'"},
        {"['a']", "a.json:1:2", "expected a value, found '''"},
        {"[\"\\x\"]", "a.json:1:4",
         "expected one of \" \\ / b f n r t u after a backslash, found 'x'"},
        {"[tru]", "a.json:1:2", "expected a value, found 't'"},
        {"[1}", "a.json:1:3", "expected ',' or ']', found '}'"}};
    struct error error;
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        assert_int_equal(check(refusals[i].text, NULL, &error), JSON_REFUSED);
        assert_string_equal(error.what, refusals[i].what);
        assert_string_equal(error.where, refusals[i].where);
    }
    check("\xef\xbb\xbf{}", NULL, &error);
    assert_string_equal(error.mend, "save it as UTF-8 without a byte order mark");
}

static void test_tokens_come_in_document_order_with_decoded_strings(void **state)
{
    static const char text[] = " {\"k\\n\": [\"\\ud834\\udd1e\", -1.5e+3, true, null]} ";
    static const enum json_type types[] = {
        JSON_OBJECT_OPEN, JSON_KEY,         JSON_ARRAY_OPEN,   JSON_STRING, JSON_NUMBER, JSON_TRUE,
        JSON_NULL,        JSON_ARRAY_CLOSE, JSON_OBJECT_CLOSE, JSON_END,    JSON_END};
    static const char *const strings[] = {NULL, "k\n", NULL, "\xf0\x9d\x84\x9e", "-1.5e+3"};
    struct json_reader reader;
    struct json_token token;
    (void)state;
    json_reader_init(&reader, slice_string(text), "a.json", NULL);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        assert_int_equal(json_reader_next(&reader, NULL, &token), 0);
        assert_int_equal(token.type, types[i]);
        if (i < sizeof strings / sizeof strings[0] && strings[i])
            assert_true(slice_equal_string(token.string, strings[i]));
    }
    json_reader_deinit(&reader);
}

static void test_comments_are_read_only_where_allowed(void **state)
{
    const struct json_options jsonc = {.comments = true};
    struct error error;
    (void)state;
    assert_int_equal(
        check("// a\n{ /* b\n */ \"a\": /**/ [ 1 // c\n, 2 ] } // end", &jsonc, &error), 0);
    assert_int_equal(check("{\"a\": \"// no comment\"}", &jsonc, &error), 0);
    assert_int_equal(check("{} /* open", &jsonc, &error), JSON_REFUSED);
    assert_string_equal(error.where, "a.json:1:4");
    assert_int_equal(check("[1, /* x */ ]", &jsonc, &error), JSON_REFUSED);
    assert_string_equal(error.what, "a comma before ']'");
    assert_int_equal(check("{} // \x80", &jsonc, &error), JSON_REFUSED);
    assert_int_equal(check("[1] /* x */", NULL, &error), JSON_REFUSED);
}

static void test_depth_and_size_are_bounded(void **state)
{
    struct json_options options = {.depth_max = 3};
    struct error error;
    char deep[3000];
    (void)state;
    assert_int_equal(check("[[[]]]", &options, &error), 0);
    assert_int_equal(check("[[[[]]]]", &options, &error), JSON_REFUSED);
    assert_string_equal(error.what, "nested deeper than 3 arrays and objects");
    memset(deep, '[', 1000);
    memset(deep + 1000, ']', 1000);
    deep[2000] = '\0';
    assert_int_equal(check(deep, NULL, &error), JSON_REFUSED);
    options.depth_max = 100000; /* is the limit, 1024 */
    assert_int_equal(check(deep, &options, &error), 0);
    memset(deep, '[', 1025);
    assert_int_equal(check(deep, &options, &error), JSON_REFUSED);
    options.text_max_bytes = 4;
    assert_int_equal(check("[12]", &options, &error), 0);
    assert_int_equal(check("[123]", &options, &error), JSON_REFUSED);
}

static void test_repeated_keys_are_found_in_large_objects(void **state)
{
    enum { KEYS = 5000, TEXT_MAX = KEYS * 32 };
    char *text = malloc(TEXT_MAX);
    struct error error;
    (void)state;
    for (int twin = 0; twin < 2; twin++) {
        size_t n = (size_t)snprintf(text, TEXT_MAX, "{");
        for (int i = 0; i < KEYS; i++)
            n += (size_t)snprintf(text + n, TEXT_MAX - n, "\n\"k%d\":{\"k%d\":0},",
                                  twin && i == 4321 ? 17 : i, i);
        snprintf(text + n - 1, TEXT_MAX - n + 1, "}");
        assert_int_equal(check(text, NULL, &error), twin ? JSON_REFUSED : 0);
    }
    assert_string_equal(error.where, "a.json:4323:1");
    assert_string_equal(error.what, "the key \"k17\" stands twice in one object");
    free(text);
}

static void test_a_key_may_return_in_another_object(void **state)
{
    const struct json_options grammar = {.repeated_keys = true};
    struct error error;
    (void)state;
    assert_int_equal(check("{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":2}]}", NULL, &error),
                     0);
    assert_int_equal(check("{\"\\u0061\":{\"\\u0061\":1,\"b\":1},\"b\":1}", NULL, &error), 0);
    assert_int_equal(check("{\"\\u0061\":{\"\\u0061\":1,\"b\":1},\"b\":1,\"a\":1}", NULL, &error),
                     JSON_REFUSED);
    assert_int_equal(check("{\"a\":1,\"a\":1}", &grammar, &error), 0);
}

static void test_a_refused_text_stays_refused(void **state)
{
    struct json_reader reader;
    struct json_token token;
    (void)state;
    json_reader_init(&reader, slice_string("x"), "a.json", NULL);
    assert_int_equal(json_reader_next(&reader, NULL, &token), JSON_REFUSED);
    assert_int_equal(json_reader_next(&reader, NULL, &token), JSON_REFUSED);
    json_reader_deinit(&reader);
}

/* The JSON parsing test suite: y_ must be accepted, n_ refused, i_ is left to the implementation.
 */
static int judge_file(const char *folder, const char *name)
{
    static uint8_t content[1 << 20];
    const struct json_options grammar = {.repeated_keys = true};
    char path[PATH_MAX];
    struct json_document *doc = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(content, 1, sizeof content, file);
    assert_true(n < sizeof content);
    fclose(file);
    int r = json_check(slice_make(content, n), name, &grammar, NULL);
    assert_true(r == 0 || r == JSON_REFUSED);
    if ((name[0] == 'y' && r) || (name[0] == 'n' && !r))
        fail_msg("%s was %s", name, r ? "refused" : "accepted");
    /* By default a key given twice is refused as well: nothing else may differ. */
    int by_default = json_check(slice_make(content, n), name, NULL, NULL);
    assert_int_equal(by_default, strstr(name, "duplicated_key") ? JSON_REFUSED : r);
    int with_tree = json_document_parse(slice_make(content, n), name, &grammar, NULL, &doc);
    assert_true(with_tree == 0 || with_tree == JSON_REFUSED);
    json_document_free(doc);
    /* Two documents of the suite are refused only by the tree, because of U+0000. */
    if (name[0] == 'y' && with_tree)
        assert_true(strstr(name, "null_in_key") || strstr(name, "null_escape") ||
                    strstr(name, "escaped_zero"));
    return 1;
}

static void test_the_json_parsing_suite_is_judged_right(void **state)
{
    const char *shared = getenv("SLUICE_SHARED"), *ci = getenv("CI");
    char folder[PATH_MAX - 256];
    int count = 0;
    (void)state;
    snprintf(folder, sizeof folder, "%s/conformance/json-parsing/test_parsing",
             shared ? shared : SHARED_DEFAULT);
    DIR *dir = opendir(folder);
    if (!dir && !(ci && strcmp(ci, "true") == 0))
        skip();
    assert_non_null(dir); /* under CI=true the suite must be there */
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            count += judge_file(folder, entry->d_name);
    closedir(dir);
    assert_true(count > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mistake_is_named_with_line_and_column),
        cmocka_unit_test(test_tokens_come_in_document_order_with_decoded_strings),
        cmocka_unit_test(test_comments_are_read_only_where_allowed),
        cmocka_unit_test(test_depth_and_size_are_bounded),
        cmocka_unit_test(test_repeated_keys_are_found_in_large_objects),
        cmocka_unit_test(test_a_key_may_return_in_another_object),
        cmocka_unit_test(test_a_refused_text_stays_refused),
        cmocka_unit_test(test_the_json_parsing_suite_is_judged_right)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
