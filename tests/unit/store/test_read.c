#include "fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "hold_vfs.h"

static struct store_reader *open_reader(struct fixture *f)
{
    struct store_reader *reader;
    struct error error = ERROR_INIT;
    if (store_reader_open(store_path(f->store), &error, &reader))
        fail_msg("%s: %s", error.where, error.what);
    return reader;
}

/* Three batches of ten: offsets 0, 10, 20. */
static uint32_t three_batches(struct fixture *f)
{
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned i = 0; i < 3; i++)
        fixture_fill(f, stream, 10 * i, 10, 100);
    return stream;
}

static void expect_segment(struct store_reader *reader, uint32_t stream, uint64_t offset,
                           uint64_t base)
{
    struct segment *segment;
    uint64_t skip;
    assert_int_equal(store_read(reader, stream, offset, &segment, &skip), 0);
    assert_int_equal(segment->base_offset, base);
    assert_int_equal(segment->stream, stream);
    segment_unref(segment);
}

static void test_any_offset_finds_its_batch(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = three_batches(f);
    struct store_reader *reader = open_reader(f);
    struct segment *segment;
    uint64_t skip;
    for (uint64_t offset = 0; offset < 30; offset++)
        expect_segment(reader, stream, offset, offset / 10 * 10);
    assert_int_equal(store_read(reader, stream, 30, &segment, &skip), STORE_READ_END);
    assert_int_equal(store_read(reader, stream, UINT64_MAX, &segment, &skip), STORE_READ_END);
    assert_int_equal(store_read(reader, stream + 1, 0, &segment, &skip), STORE_READ_END);
    store_reader_close(reader);
}

static void test_a_gap_leads_to_the_next_batch(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = three_batches(f);
    struct store_reader *reader = open_reader(f);
    fixture_sql(store_path(f->store), "DELETE FROM batch WHERE (key & 0xffffffffffff) = 10");
    expect_segment(reader, stream, 9, 0);
    for (uint64_t offset = 10; offset < 20; offset++)
        expect_segment(reader, stream, offset, 20);
    fixture_sql(store_path(f->store), "DELETE FROM batch WHERE (key & 0xffffffffffff) = 0");
    expect_segment(reader, stream, 0, 20);
    store_reader_close(reader);
}

static void test_damage_in_any_column_is_seen_and_can_be_passed_over(void **state)
{
    static const char *const damages[] = {"n = n + 1",
                                          "t_min = t_min - 1",
                                          "t_max = t_max + 1",
                                          "codec = 1 - codec",
                                          "raw_bytes = raw_bytes + 1",
                                          "end_bytes = end_bytes + 1",
                                          "crc = crc + 1",
                                          "end_stored = end_stored + 1",
                                          "data = zeroblob(length(data))",
                                          "data = substr(data, 2)",
                                          "data = x''",
                                          "n = 0",
                                          "n = -1"};
    struct fixture *f = *state;
    uint32_t stream = three_batches(f);
    struct store_reader *reader = open_reader(f);
    const char *path = store_path(f->store);
    fixture_sql(path, "CREATE TABLE kept AS SELECT * FROM batch");
    for (unsigned i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        char sql[160];
        snprintf(sql, sizeof(sql), "UPDATE batch SET %s WHERE (key & 0xffffffffffff) = 10",
                 damages[i]);
        fixture_sql(path, sql);
        struct segment *segment = NULL;
        uint64_t skip = 0;
        int r = store_read(reader, stream, 10, &segment, &skip);
        if (r != STORE_READ_DAMAGED)
            fail_msg("%s: %d", damages[i], r);
        assert_int_equal(skip, 20);
        assert_null(segment);
        expect_segment(reader, stream, skip, 20);
        fixture_sql(path, "DELETE FROM batch; INSERT INTO batch SELECT * FROM kept");
    }
    /* The last one: what comes after begins where it ought to end. */
    fixture_sql(path, "UPDATE batch SET crc = 0 WHERE (key & 0xffffffffffff) = 20");
    struct segment *segment;
    uint64_t skip;
    assert_int_equal(store_read(reader, stream, 25, &segment, &skip), STORE_READ_DAMAGED);
    assert_int_equal(skip, 30);
    store_reader_close(reader);
}

static void test_a_reader_holds_no_snapshot_between_calls(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = three_batches(f);
    struct store_reader *reader = open_reader(f);
    expect_segment(reader, stream, 0, 0);
    struct store_stream_info info;
    assert_int_equal(store_read_stream(reader, "events", &info), 0);
    /* A checkpoint that truncates needs every reader gone. */
    assert_int_equal(fixture_sql(store_path(f->store), "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
    char wal[160];
    snprintf(wal, sizeof(wal), "%s-wal", store_path(f->store));
    FILE *file = fopen(wal, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    assert_int_equal(ftell(file), 0);
    fclose(file);
    /* And it sees what is committed later. */
    fixture_fill(f, stream, 30, 1, 100);
    expect_segment(reader, stream, 30, 30);
    store_reader_close(reader);
}

static void test_streams_are_listed_with_their_extent(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = three_batches(f), other = fixture_stream(f, "other");
    struct store_reader *reader = open_reader(f);
    struct store_stream_info info;
    assert_int_equal(store_read_stream(reader, "events", &info), 0);
    assert_int_equal(info.stream, stream);
    assert_int_equal(info.first_offset, 0);
    assert_int_equal(info.next_offset, 30);
    assert_in_range(info.end_bytes, 3000, 6000);
    assert_in_range(info.stored_bytes, 3000, 6000);
    assert_int_equal(store_read_stream(reader, "other", &info), 0);
    assert_int_equal(info.next_offset, 0);
    assert_int_equal(store_read_stream(reader, "none", &info), -ENOENT);
    char name[STORE_STREAM_NAME_MAX_BYTES];
    uint32_t at = 0;
    static const char *const own[] = {"$gateway", "$dlq", "$audit"};
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(store_read_next_stream(reader, &at, name), 0);
        assert_string_equal(name, own[i]);
    }
    assert_int_equal(store_read_next_stream(reader, &at, name), 0);
    assert_int_equal(at, stream);
    assert_string_equal(name, "events");
    assert_int_equal(store_read_next_stream(reader, &at, name), 0);
    assert_int_equal(at, other);
    assert_string_equal(name, "other");
    assert_int_equal(store_read_next_stream(reader, &at, name), STORE_READ_END);
    store_reader_close(reader);
}

static void test_a_file_that_is_not_a_store_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct error error = ERROR_INIT;
    struct store_reader *reader;
    snprintf(path, sizeof(path), "%s/none.db", f->base);
    assert_true(store_reader_open(path, &error, &reader) < 0);
    assert_string_equal(error.where, path);
    fixture_sql(path, "CREATE TABLE batch(key)");
    error = (struct error)ERROR_INIT;
    assert_int_equal(store_reader_open(path, &error, &reader), -EINVAL);
    assert_true(error.what[0] && error.mend[0]);
    fixture_open(f);
    fixture_sql(store_path(f->store), "PRAGMA user_version=3");
    assert_int_equal(store_reader_open(store_path(f->store), &error, &reader), -EINVAL);
}

struct concurrent {
    struct fixture *f;
    uint32_t stream;
    char path[128];
    unsigned count;
};

/* Follows the stream until it has seen all events. */
static void *follow(void *data)
{
    struct concurrent *c = data;
    struct store_reader *reader;
    if (store_reader_open(c->path, NULL, &reader))
        return NULL;
    uint64_t offset = 0;
    while (offset < c->count) {
        struct segment *segment;
        uint64_t skip;
        int r = store_read(reader, c->stream, offset, &segment, &skip);
        if (r == STORE_READ_END)
            continue;
        if (r)
            break;
        struct segment_iterator it;
        segment_iterator_init(&it, segment, offset);
        struct event event;
        uint64_t at;
        while (!segment_next(&it, &event, &at) && at == offset)
            offset++;
        segment_unref(segment);
    }
    store_reader_close(reader);
    return (void *)(uintptr_t)offset;
}

static void test_reading_goes_on_beside_writing_and_checkpoints(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct concurrent c = {.f = f, .stream = fixture_stream(f, "events"), .count = 3000};
    snprintf(c.path, sizeof(c.path), "%s", store_path(f->store));
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, follow, &c), 0);
    for (unsigned i = 0; i < c.count / 100; i++) {
        bool more;
        fixture_fill(f, c.stream, 100 * i, 100, 4000);
        assert_int_equal(store_maintain(f->store, &more), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        void *seen;
        assert_int_equal(pthread_join(threads[i], &seen), 0);
        assert_int_equal((uintptr_t)seen, c.count);
    }
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    hold_vfs_install();
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_any_offset_finds_its_batch),
        TEST(test_a_gap_leads_to_the_next_batch),
        TEST(test_damage_in_any_column_is_seen_and_can_be_passed_over),
        TEST(test_a_reader_holds_no_snapshot_between_calls),
        TEST(test_streams_are_listed_with_their_extent),
        TEST(test_a_file_that_is_not_a_store_is_refused),
        TEST(test_reading_goes_on_beside_writing_and_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
