#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "admin/metrics_text.h"
#include "base/bytes.h"
#include "base/metrics.h"

static struct bytes page = BYTES_INIT(1 << 20);

static const char *render(void)
{
    bytes_deinit(&page);
    assert_int_equal(metrics_text_write("1.2.3", &page), 0);
    assert_int_equal(bytes_append_u8(&page, 0), 0);
    return (const char *)page.data;
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

static int setup(void **state)
{
    (void)state;
    metric_set_get(METRIC_GROUP_LISTENER, "lan", NULL);
    metric_set_get(METRIC_GROUP_STREAM, "events", NULL);
    metric_set_get(METRIC_GROUP_UPSTREAM, "cloud", NULL);
    metric_set_get(METRIC_GROUP_RANGE, "cloud", "events");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bytes_deinit(&page);
    return 0;
}

static void test_every_row_of_the_table_has_a_sample(void **state)
{
    (void)state;
    const char *text = render();
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        char line[512];
        const char *first = metric_group_label(metrics_table[m].group, 0);
        const char *fixed = metrics_table[m].labels;
        snprintf(line, sizeof line, "\n%s%s", metrics_table[m].name, first || fixed ? "{" : " ");
        if (!strstr(text, line) || (fixed && !strstr(text, fixed)))
            fail_msg("no sample of %s", metrics_table[m].name);
    }
}

static void test_each_family_is_introduced_once_and_stands_together(void **state)
{
    (void)state;
    const char *text = render();
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        char line[512];
        snprintf(line, sizeof line, "# HELP %s ", metrics_table[m].name);
        assert_int_equal(count(text, line), 1);
        snprintf(line, sizeof line, "# TYPE %s %s\n", metrics_table[m].name,
                 strstr(metrics_table[m].name, "_total") ? "counter" : "gauge");
        assert_int_equal(count(text, line), 1);
        /* All samples of that name follow its TYPE line without another comment between. */
        const char *family = strstr(text, line) + strlen(line);
        const char *end = strchr(family, '#');
        char *part = strndup(family - 1, end ? (size_t)(end - family + 1) : strlen(family - 1));
        snprintf(line, sizeof line, "\n%s%s", metrics_table[m].name,
                 metrics_table[m].labels || metric_group_label(metrics_table[m].group, 0) ? "{"
                                                                                          : " ");
        assert_int_equal(count(part, line), count(text, line));
        free(part);
    }
}

static void test_labels_stand_in_the_order_of_the_group(void **state)
{
    (void)state;
    metric_put(metric_set_get(METRIC_GROUP_RANGE, "cloud", "events"), METRIC_RANGE_LAG_EVENTS, 42);
    metric_put(metric_set_get(METRIC_GROUP_LISTENER, "lan", NULL), METRIC_EVENTS_RECEIVED_QOS1, 7);
    const char *text = render();
    assert_non_null(
        strstr(text, "\nsluice_range_lag_events{upstream=\"cloud\",stream=\"events\"} 42\n"));
    assert_non_null(strstr(text, "\nsluice_events_received_total{listener=\"lan\",qos=\"1\"} 7\n"));
}

static void test_label_values_are_escaped(void **state)
{
    (void)state;
    metric_put(metric_set_get(METRIC_GROUP_STREAM, "a\"b\\c\nd", NULL), METRIC_STREAM_FULL, 1);
    assert_non_null(strstr(render(), "sluice_stream_full{stream=\"a\\\"b\\\\c\\nd\"} 1\n"));
}

static void test_fractions_are_kept_in_millionths_and_shown_as_numbers(void **state)
{
    (void)state;
    metric_put(metric_process(), METRIC_STORE_WRITE_AMPLIFICATION, 1250000);
    assert_non_null(strstr(render(), "\nsluice_store_write_amplification_ratio 1.250000\n"));
}

static void test_seconds_are_kept_in_microseconds_and_shown_in_seconds(void **state)
{
    (void)state;
    metric_add(metric_process(), METRIC_COMMIT_SECONDS, 12000345);
    assert_non_null(strstr(render(), "\nsluice_store_commit_seconds_total 12.000345\n"));
}

static void test_64_bits_stay_exact(void **state)
{
    (void)state;
    metric_put(metric_set_get(METRIC_GROUP_STREAM, "events", NULL), METRIC_STREAM_NEXT_OFFSET,
               UINT64_C(9007199254740993));
    assert_non_null(strstr(render(), "{stream=\"events\"} 9007199254740993\n"));
}

static double sample(const char *text, const char *name)
{
    char line[128];
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(text, line);
    assert_non_null(at);
    return strtod(at + strlen(line), NULL);
}

static void test_the_process_is_described_by_the_usual_names(void **state)
{
    (void)state;
    double now = (double)time(NULL);
    const char *text = render();
    assert_non_null(strstr(text, "\nsluice_build_info{version=\"1.2.3\"} 1\n"));
    assert_true(sample(text, "process_resident_memory_bytes") > 100e3);
    assert_true(sample(text, "process_resident_memory_bytes") < 100e9);
    assert_true(sample(text, "process_cpu_seconds_total") >= 0);
    assert_true(sample(text, "process_start_time_seconds") > now - 600);
    assert_true(sample(text, "process_start_time_seconds") < now + 5);
    double before = sample(text, "process_open_fds");
    FILE *one_more = fopen("/dev/null", "re");
    assert_true(sample(render(), "process_open_fds") == before + 1);
    fclose(one_more);
}

/* name{labels} value, and nothing else, in lines that end. */
static void test_every_line_has_the_shape_of_the_format(void **state)
{
    (void)state;
    render();
    char *text = (char *)page.data;
    assert_int_equal(text[page.len - 2], '\n');
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "# HELP ", 7) == 0 || strncmp(line, "# TYPE ", 7) == 0)
            continue;
        char *at = line + strspn(line, "abcdefghijklmnopqrstuvwxyz_0123456789");
        assert_true(at > line && (*at == '{' || *at == ' '));
        char *value = strrchr(line, ' ');
        assert_true(at == value || value[-1] == '}');
        char *end;
        strtod(value + 1, &end);
        assert_true(end > value + 1 && *end == '\0');
    }
}

static void test_a_page_beyond_the_maximum_is_an_outcome(void **state)
{
    (void)state;
    struct bytes small = BYTES_INIT(256);
    assert_int_equal(metrics_text_write("1", &small), BYTES_FULL);
    bytes_deinit(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_of_the_table_has_a_sample),
        cmocka_unit_test(test_each_family_is_introduced_once_and_stands_together),
        cmocka_unit_test(test_labels_stand_in_the_order_of_the_group),
        cmocka_unit_test(test_label_values_are_escaped),
        cmocka_unit_test(test_fractions_are_kept_in_millionths_and_shown_as_numbers),
        cmocka_unit_test(test_seconds_are_kept_in_microseconds_and_shown_in_seconds),
        cmocka_unit_test(test_64_bits_stay_exact),
        cmocka_unit_test(test_the_process_is_described_by_the_usual_names),
        cmocka_unit_test(test_every_line_has_the_shape_of_the_format),
        cmocka_unit_test(test_a_page_beyond_the_maximum_is_an_outcome),
    };
    return cmocka_run_group_tests_name("admin/metrics_text", tests, setup, teardown);
}
