#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_every_metric_has_a_complete_row(void **state)
{
    (void)state;
    for (int m = 0; m < METRIC_COUNT; m++) {
        const struct metric_row *row = &metrics_table[m];
        assert_non_null(row->name);
        assert_non_null(row->field);
        assert_non_null(row->help);
        assert_int_equal(strncmp(row->name, "sluice_", 7), 0);
        size_t n = strlen(row->name);
        int total = n > 6 && strcmp(row->name + n - 6, "_total") == 0;
        int gauge = row->type == METRIC_GAUGE || row->type == METRIC_FRACTION_GAUGE;
        assert_int_equal(total, !gauge); /* Prometheus naming */
    }
}

static void test_a_family_is_told_apart_by_labels_and_agrees_otherwise(void **state)
{
    (void)state;
    for (int a = 0; a < METRIC_COUNT; a++)
        for (int b = 0; b < a; b++) {
            const struct metric_row *x = &metrics_table[a], *y = &metrics_table[b];
            if (x->group == y->group)
                assert_string_not_equal(x->field, y->field);
            if (strcmp(x->name, y->name))
                continue;
            assert_int_equal(a - b > 0 && !strcmp(metrics_table[a - 1].name, x->name), 1);
            assert_string_equal(x->help, y->help);
            assert_int_equal(x->type, y->type);
            assert_non_null(x->labels);
            assert_string_not_equal(x->labels, y->labels);
        }
}

static void test_a_set_is_found_again_by_its_labels(void **state)
{
    (void)state;
    struct metric_set *a = metric_set_get(METRIC_GROUP_STREAM, "events", NULL);
    struct metric_set *b = metric_set_get(METRIC_GROUP_STREAM, "alerts", NULL);
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(a, metric_set_get(METRIC_GROUP_STREAM, "events", NULL));
    assert_ptr_not_equal(a, metric_set_get(METRIC_GROUP_UPSTREAM, "events", NULL));
    metric_add(a, METRIC_STREAM_APPENDED_EVENTS, 3);
    metric_add(a, METRIC_STREAM_APPENDED_EVENTS, 2);
    assert_int_equal(metric_get(a, METRIC_STREAM_APPENDED_EVENTS), 5);
    assert_int_equal(metric_get(b, METRIC_STREAM_APPENDED_EVENTS), 0);
    assert_ptr_equal(metric_set_next(NULL, METRIC_GROUP_STREAM), a);
    assert_ptr_equal(metric_set_next(a, METRIC_GROUP_STREAM), b);
    assert_null(metric_set_next(b, METRIC_GROUP_STREAM));
    assert_string_equal(metric_set_label(a, 0), "events");
    assert_string_equal(metric_group_label(METRIC_GROUP_RANGE, 1), "stream");
    metric_add(NULL, METRIC_CONNECTIONS, 1); /* allowed: nothing happens */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_metric_has_a_complete_row),
        cmocka_unit_test(test_a_family_is_told_apart_by_labels_and_agrees_otherwise),
        cmocka_unit_test(test_a_set_is_found_again_by_its_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
