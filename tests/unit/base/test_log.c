#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"

/* Runs body with stderr in a file and returns the text. */
static char text[1 << 16];

static void capture(void (*body)(void))
{
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    body();
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = '\0';
    fclose(file);
}

static void one_line(void)
{
    log_info("room", "something happened", "n=%d who=%s", 7, LOG_QUOTE(SLICE_LITERAL("a\"b\nc")));
}

static void test_a_line_is_logfmt_and_cannot_be_forged(void **state)
{
    (void)state;
    capture(one_line);
    assert_non_null(strstr(text, "level=info room=room msg=\"something happened\" n=7 "));
    assert_non_null(strstr(text, "who=\"a\\x22b\\x0ac\"\n"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void many_lines(void)
{
    for (int i = 0; i < 3 * LOG_BURST; i++)
        log_warn("room", "again", "i=%d", i);
}

static void test_a_site_that_repeats_itself_is_held_back(void **state)
{
    (void)state;
    capture(many_lines);
    int lines = 0;
    for (const char *p = text; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, LOG_BURST);
}

static void test_levels_below_the_set_one_are_silent(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    capture(one_line);
    log_set_level(LOG_LEVEL_INFO);
    assert_string_equal(text, "");
}

static void long_line(void)
{
    char big[3 * LOG_LINE_MAX_BYTES];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    log_info("room", "long", "value=%s", big);
    log_info("room", "quoted", "value=%s", LOG_QUOTE(slice_string(big)));
}

static void test_long_lines_are_cut_and_stay_lines(void **state)
{
    (void)state;
    capture(long_line);
    char *newline = strchr(text, '\n');
    assert_non_null(newline);
    assert_true(newline - text < LOG_LINE_MAX_BYTES);
    assert_non_null(strstr(newline, "x…\"\n"));
}

int main(void)
{
    unsetenv("JOURNAL_STREAM");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_is_logfmt_and_cannot_be_forged),
        cmocka_unit_test(test_a_site_that_repeats_itself_is_held_back),
        cmocka_unit_test(test_levels_below_the_set_one_are_silent),
        cmocka_unit_test(test_long_lines_are_cut_and_stay_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
