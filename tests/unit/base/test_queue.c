#include "base/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct number {
    struct queue_item item;
    int value;
};

static int freed;

static void number_free(struct queue_item *item)
{
    freed++;
    free(item);
}

static struct queue_item *number_new(int value, size_t bytes)
{
    struct number *n = calloc(1, sizeof *n);
    *n = (struct number){.item = {.bytes = bytes, .free = number_free}, .value = value};
    return &n->item;
}

static bool readable(const struct queue *q)
{
    struct pollfd p = {.fd = q->event_fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void test_items_come_out_in_order_and_all_at_once(void **state)
{
    (void)state;
    struct queue q;
    assert_int_equal(queue_init(&q, 1000), 0);
    assert_false(readable(&q));
    for (int i = 0; i < 3; i++) {
        struct queue_item *item = number_new(i, 10);
        assert_int_equal(queue_push(&q, &item), 0);
        assert_null(item);
    }
    assert_true(readable(&q));
    assert_int_equal(queue_bytes(&q), 30);
    struct queue_item *item = queue_take_all(&q);
    assert_false(readable(&q));
    assert_int_equal(queue_bytes(&q), 0);
    for (int i = 0; i < 3; i++) {
        struct queue_item *next = item->next;
        assert_int_equal(((struct number *)item)->value, i);
        item->free(item);
        item = next;
    }
    assert_null(item);
    queue_deinit(&q);
}

static void test_a_full_queue_leaves_the_item_with_the_pusher(void **state)
{
    (void)state;
    struct queue q;
    assert_int_equal(queue_init(&q, 100), 0);
    struct queue_item *item = number_new(0, 500); /* an empty queue takes any size */
    assert_int_equal(queue_push(&q, &item), 0);
    item = number_new(1, 1);
    assert_int_equal(queue_push(&q, &item), QUEUE_FULL);
    assert_non_null(item);
    item->free(item);
    freed = 0;
    queue_deinit(&q);
    assert_int_equal(freed, 1); /* what was still queued */
}

static void test_a_closed_queue_refuses_and_wakes(void **state)
{
    (void)state;
    struct queue q;
    assert_int_equal(queue_init(&q, 100), 0);
    queue_close(&q);
    assert_true(queue_closed(&q));
    assert_true(readable(&q));
    struct queue_item *item = number_new(0, 1);
    assert_int_equal(queue_push(&q, &item), QUEUE_CLOSED);
    item->free(item);
    queue_wait(&q, -1); /* returns */
    queue_deinit(&q);
}

enum { PUSHERS = 4, EACH = 20000 };

static void *push_many(void *data)
{
    struct queue *q = data;
    for (int i = 1; i <= EACH; i++) {
        struct queue_item *item = number_new(i, 1);
        while (queue_push(q, &item) == QUEUE_FULL)
            sched_yield();
    }
    return NULL;
}

static void test_nothing_is_lost_between_threads(void **state)
{
    (void)state;
    struct queue q;
    assert_int_equal(queue_init(&q, 64), 0);
    pthread_t threads[PUSHERS];
    for (int i = 0; i < PUSHERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push_many, &q), 0);
    int64_t sum = 0;
    for (int count = 0; count < PUSHERS * EACH;) {
        queue_wait(&q, -1);
        for (struct queue_item *item = queue_take_all(&q), *next; item; item = next) {
            next = item->next;
            sum += ((struct number *)item)->value;
            count++;
            item->free(item);
        }
    }
    for (int i = 0; i < PUSHERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(sum, (int64_t)PUSHERS * EACH * (EACH + 1) / 2);
    queue_deinit(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_come_out_in_order_and_all_at_once),
        cmocka_unit_test(test_a_full_queue_leaves_the_item_with_the_pusher),
        cmocka_unit_test(test_a_closed_queue_refuses_and_wakes),
        cmocka_unit_test(test_nothing_is_lost_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
