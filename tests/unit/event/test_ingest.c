#include "event/ingest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "event/event.h"

static struct ingest_batch *filled(unsigned count)
{
    static struct queue reply;
    struct ingest_batch *batch = NULL;
    assert_int_equal(ingest_batch_new(&reply, &batch), 0);
    batch->received = (struct clock_stamp){.wall_us = 77, .quality = CLOCK_SYNCED};
    for (unsigned i = 0; i < count; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "site/%u", i);
        const struct event event = {
            .topic = slice_string(topic),
            .client = SLICE_LITERAL("c1"),
            .username = SLICE_LITERAL("joe"),
            .content_type = SLICE_LITERAL("text/plain"),
            .attributes = SLICE_LITERAL("\0\0\1a\0\1b"),
            .payload = slice_make(topic, i % 5),
            .qos = 1,
            .retain = i % 2,
            .payload_utf8 = true,
        };
        assert_int_equal(ingest_batch_add(batch, &event, 1000 + i, (uint16_t)(i + 1), 5), 0);
    }
    return batch;
}

static void check(struct ingest_batch *batch, unsigned first, unsigned count)
{
    size_t at = 0;
    assert_int_equal(batch->count, count);
    for (unsigned i = first; i < first + count; i++) {
        struct ingest_record *record = ingest_batch_next(batch, &at);
        assert_non_null(record);
        assert_int_equal(record->connection, 1000 + i);
        assert_int_equal(record->packet_id, i + 1);
        assert_int_equal(record->outcome, INGEST_PENDING);
        struct event event;
        ingest_record_event(batch, record, &event);
        char topic[32];
        snprintf(topic, sizeof topic, "site/%u", i);
        assert_true(slice_equal_string(event.topic, topic));
        assert_true(slice_equal_string(event.client, "c1"));
        assert_true(slice_equal_string(event.username, "joe"));
        assert_true(slice_equal_string(event.content_type, "text/plain"));
        assert_int_equal(event.attributes.len, 7);
        assert_true(slice_equal(event.payload, slice_make(topic, i % 5)));
        assert_int_equal(event.retain, i % 2);
        assert_int_equal(event.received_us, 77);
        assert_int_equal(event.quality, CLOCK_SYNCED);
        assert_true(event.time_us == EVENT_NO_TIME);
    }
    assert_null(ingest_batch_next(batch, &at));
}

static void test_what_goes_in_comes_out(void **state)
{
    (void)state;
    struct ingest_batch *batch = filled(50);
    check(batch, 0, 50);
    ingest_batch_reset(batch);
    check(batch, 0, 0);
    ingest_batch_free(batch);
}

static void test_a_split_loses_and_counts_nothing_twice(void **state)
{
    (void)state;
    struct ingest_batch *batch = filled(10);
    size_t bytes = batch->item.bytes, at = 0;
    for (int i = 0; i < 4; i++)
        ingest_batch_next(batch, &at);
    struct ingest_batch *rest = NULL;
    assert_int_equal(ingest_batch_split(batch, at, &rest), 0);
    check(batch, 0, 4);
    check(rest, 4, 6);
    assert_int_equal(batch->item.bytes + rest->item.bytes, bytes);
    assert_ptr_equal(rest->reply, batch->reply);
    ingest_batch_free(batch);
    ingest_batch_free(rest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_goes_in_comes_out),
        cmocka_unit_test(test_a_split_loses_and_counts_nothing_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
