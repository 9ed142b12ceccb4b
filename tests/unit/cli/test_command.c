#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/command.h"

static const struct cli_command commands[] = {
    {"status", "[--json]", "tells the state of a running daemon", NULL},
    {"tail", "STREAM", "prints events", NULL},
};

static bool json;
static const char *path;
static uint64_t count;

static const struct cli_option options[] = {
    {"--json", NULL, CLI_FLAG, &json, NULL, "as JSON"},
    {"--socket", "-s", CLI_TEXT, &path, "PATH", "where"},
    {"--count", "-n", CLI_NUMBER, &count, "N", "how many"},
};

static struct cli_arguments arguments;

static int read_all(int argc, char **argv)
{
    json = false;
    path = NULL;
    count = 7;
    arguments = (struct cli_arguments){
        .options = options, .option_count = 3, .positional_min = 1, .positional_max = 2};
    return cli_arguments_read(&arguments, &commands[1], argc, argv);
}

#define ARGV(...) ((const char *[]){"tail", __VA_ARGS__})
#define READ(...)                                                                                  \
    read_all((int)(sizeof ARGV(__VA_ARGS__) / sizeof(char *)), (char **)ARGV(__VA_ARGS__))

static void test_options_are_read_in_every_spelling(void **state)
{
    (void)state;
    assert_int_equal(READ("events", "--json", "-s", "/a", "--count=12"), 0);
    assert_true(json);
    assert_string_equal(path, "/a");
    assert_int_equal(count, 12);
    assert_int_equal(arguments.positional_count, 1);
    assert_string_equal(arguments.positionals[0], "events");
    assert_int_equal(READ("--socket=", "events", "--count", "0"), 0);
    assert_string_equal(path, "");
    assert_int_equal(count, 0);
}

static void test_what_is_not_given_keeps_its_value(void **state)
{
    (void)state;
    assert_int_equal(READ("events"), 0);
    assert_false(json);
    assert_null(path);
    assert_int_equal(count, 7);
}

static void test_two_dashes_end_the_options_and_one_is_an_argument(void **state)
{
    (void)state;
    assert_int_equal(READ("-", "--", "--json"), 0);
    assert_false(json);
    assert_string_equal(arguments.positionals[0], "-");
    assert_string_equal(arguments.positionals[1], "--json");
}

/* What a call says on stderr. */
static char said[1024];
#define SAYS(call)                                                                                 \
    ({                                                                                             \
        FILE *old = stderr;                                                                        \
        memset(said, 0, sizeof said);                                                              \
        stderr = fmemopen(said, sizeof said - 1, "w");                                             \
        int says_result = (call);                                                                  \
        fclose(stderr);                                                                            \
        stderr = old;                                                                              \
        says_result;                                                                               \
    })

static void test_mistakes_are_named_with_the_argument(void **state)
{
    (void)state;
    assert_int_equal(SAYS(READ("events", "--jsno")), CLI_ARGUMENTS_WRONG);
    assert_non_null(strstr(said, "--jsno: unknown option"));
    assert_non_null(strstr(said, "did you mean --json?"));
    assert_int_equal(SAYS(READ("events", "-s")), CLI_ARGUMENTS_WRONG);
    assert_non_null(strstr(said, "-s: a value is missing"));
    assert_int_equal(SAYS(READ("events", "--json=1")), CLI_ARGUMENTS_WRONG);
    assert_non_null(strstr(said, "--json: takes no value"));
    assert_int_equal(SAYS(READ("a", "b", "c")), CLI_ARGUMENTS_WRONG);
    assert_non_null(strstr(said, "c: one argument too many"));
    assert_int_equal(SAYS(READ("--json")), CLI_ARGUMENTS_WRONG);
    assert_non_null(strstr(said, "an argument is missing"));
}

static void test_numbers_have_no_sign_no_rest_and_fit(void **state)
{
    (void)state;
    const char *const wrong[] = {"", "-1", "+1", "1x", " 1", "0x10", "18446744073709551616"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(SAYS(READ("events", "-n", wrong[i])), CLI_ARGUMENTS_WRONG);
        assert_int_equal(count, 7);
    }
    assert_int_equal(READ("events", "-n", "18446744073709551615"), 0);
    assert_true(count == UINT64_MAX);
}

static void test_a_command_is_found_by_name_or_suggested(void **state)
{
    (void)state;
    const char *near = NULL;
    assert_ptr_equal(cli_command_find(commands, 2, "tail", &near), &commands[1]);
    assert_null(cli_command_find(commands, 2, "statsu", &near));
    assert_string_equal(near, "status");
    assert_null(cli_command_find(commands, 2, "zzzzzzzz", &near));
    assert_null(near);
}

static void test_the_list_has_a_line_per_command(void **state)
{
    (void)state;
    char text[512] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    cli_commands_print(commands, 2, out);
    fclose(out);
    assert_string_equal(text, "  status [--json]  tells the state of a running daemon\n"
                              "  tail STREAM      prints events\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_are_read_in_every_spelling),
        cmocka_unit_test(test_what_is_not_given_keeps_its_value),
        cmocka_unit_test(test_two_dashes_end_the_options_and_one_is_an_argument),
        cmocka_unit_test(test_mistakes_are_named_with_the_argument),
        cmocka_unit_test(test_numbers_have_no_sign_no_rest_and_fit),
        cmocka_unit_test(test_a_command_is_found_by_name_or_suggested),
        cmocka_unit_test(test_the_list_has_a_line_per_command),
    };
    return cmocka_run_group_tests_name("cli/command", tests, NULL, NULL);
}
