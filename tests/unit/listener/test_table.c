/* Handles and lists of connections. */
#include "rig.h"

static void test_reused_slot_has_another_handle(void **state)
{
    (void)state;
    struct conn_table table = CONN_TABLE_INIT;
    struct conn a, b;
    uint64_t first = 0, second = 0;
    assert_int_equal(conn_table_add(&table, &a, 3, &first), 0);
    assert_int_not_equal(first, 0);
    assert_int_equal(conn_handle_listener(first), 3);
    assert_ptr_equal(conn_table_get(&table, first), &a);
    conn_table_remove(&table, first);
    assert_null(conn_table_get(&table, first));
    assert_int_equal(conn_table_add(&table, &b, 4, &second), 0);
    assert_int_equal(conn_handle_slot(first), conn_handle_slot(second));
    assert_null(conn_table_get(&table, first));
    assert_ptr_equal(conn_table_get(&table, second), &b);
    assert_null(conn_table_get(&table, 0));
    assert_null(conn_table_get(&table, UINT64_MAX));
    conn_table_remove(&table, second);
    conn_table_deinit(&table);
}

static void test_table_grows_and_walks_over_what_is_there(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    static struct conn conns[MANY];
    static uint64_t handles[MANY];
    struct conn_table table = CONN_TABLE_INIT;
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(conn_table_add(&table, &conns[i], 0, &handles[i]), 0);
    for (size_t i = 0; i < MANY; i += 2)
        conn_table_remove(&table, handles[i]);
    uint32_t position = 0, seen = 0;
    struct conn *conn;
    while ((conn = conn_table_next(&table, &position))) {
        assert_int_equal((conn - conns) % 2, 1);
        seen++;
    }
    assert_int_equal(seen, MANY / 2);
    for (size_t i = 1; i < MANY; i += 2) {
        assert_ptr_equal(conn_table_get(&table, handles[i]), &conns[i]);
        conn_table_remove(&table, handles[i]);
    }
    conn_table_deinit(&table);
}

static void test_lists_keep_order_and_hold_each_once(void **state)
{
    (void)state;
    static struct conn conns[4];
    struct conn_list list;
    conn_list_init(&list);
    for (size_t i = 0; i < 4; i++)
        conn_list_add(&list, &conns[i], CONN_LIST_DIRTY);
    conn_list_add(&list, &conns[0], CONN_LIST_DIRTY);
    conn_list_remove(&list, &conns[3], CONN_LIST_DIRTY); /* last */
    conn_list_remove(&list, &conns[1], CONN_LIST_DIRTY); /* middle */
    conn_list_remove(&list, &conns[1], CONN_LIST_DIRTY);
    conn_list_add(&list, &conns[1], CONN_LIST_DIRTY);
    static const size_t order[] = {0, 2, 1};
    for (size_t i = 0; i < 3; i++) {
        assert_ptr_equal(list.first, &conns[order[i]]);
        conn_list_remove(&list, list.first, CONN_LIST_DIRTY);
    }
    assert_null(list.first);
    assert_ptr_equal(list.last, &list.first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reused_slot_has_another_handle),
        cmocka_unit_test(test_table_grows_and_walks_over_what_is_there),
        cmocka_unit_test(test_lists_keep_order_and_hold_each_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
