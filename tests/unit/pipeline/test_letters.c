#include "pipeline/letters.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "config/read.h"
#include "event/attribute.h"
#include "event/ingest.h"
#include "event/letter.h"
#include "store/range.h"
#include "store/read.h"
#include "store/store.h"
#include "store/store_config.h"

enum { EVENTS_MAX = 64, TEXT_MAX = 512 };

static struct {
    char dir[64];
    int64_t now_us, wall_us;
    struct clock clock;
    struct store_config config;
    struct alarms_config alarms;
    struct store *store;
    struct letters letters;
    /* What read_stream() found. */
    unsigned count;
    char payloads[EVENTS_MAX][TEXT_MAX], topics[EVENTS_MAX][TEXT_MAX];
    char attributes[EVENTS_MAX][TEXT_MAX]; /* name=value; */
} f;

static int64_t monotonic(void *data)
{
    (void)data;
    return f.now_us;
}

static int64_t wall(void *data)
{
    (void)data;
    return f.wall_us;
}

static bool synced(void *data)
{
    (void)data;
    return true;
}

static void begin(void)
{
    struct error error = ERROR_INIT;
    const struct store_options options = {
        .data_dir = f.dir, .gateway_id = "gw/1", .config = &f.config, .clock = &f.clock};
    assert_int_equal(store_new(&options, &f.store), 0);
    assert_int_equal(store_open(f.store, &error), 0);
    letters_init(&f.letters, f.store, &f.alarms);
}

static void end(void)
{
    letters_deinit(&f.letters);
    f.store = store_free(f.store);
}

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    strcpy(f.dir, "/tmp/sluice-test-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    f.now_us = 1000000;
    f.wall_us = INT64_C(1790000000000000);
    f.clock = (struct clock){monotonic, wall, synced, NULL};
    struct error error = ERROR_INIT;
    assert_int_equal(config_read_text(&store_section, "{}", &error, &f.config), 0);
    begin();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    end();
    config_section_deinit(&store_section, &f.config);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", f.dir);
    return system(command);
}

static void note_event(const struct event *event)
{
    assert_in_range(f.count, 0, EVENTS_MAX - 1);
    snprintf(f.payloads[f.count], TEXT_MAX, "%.*s", SLICE_PRINT(event->payload));
    snprintf(f.topics[f.count], TEXT_MAX, "%.*s", SLICE_PRINT(event->topic));
    size_t len = 0;
    struct slice list = event->attributes;
    struct attribute a;
    while (attribute_next(&list, &a) == 0)
        len += (size_t)snprintf(f.attributes[f.count] + len, TEXT_MAX - len, "%.*s=%.*s;",
                                SLICE_PRINT(a.name), SLICE_PRINT(a.value));
    f.count++;
}

/* Writes what is due (all: everything) and commits; then reads what the stream holds. */
static void write_and_read(const char *stream, bool taking, bool all)
{
    while (letters_write(&f.letters, 4 << 20))
        assert_int_equal(store_commit(f.store), 0);
    letters_look(&f.letters, f.now_us, taking, all);
    assert_int_equal(store_commit(f.store), 0);
    struct store_reader *reader;
    struct store_stream_info info;
    assert_int_equal(store_reader_open(store_path(f.store), NULL, &reader), 0);
    assert_int_equal(store_read_stream(reader, stream, &info), 0);
    f.count = 0;
    for (uint64_t at = info.first_offset; at < info.next_offset;) {
        struct segment *segment;
        struct segment_iterator it;
        struct event event;
        uint64_t offset;
        assert_int_equal(store_read(reader, info.stream, at, &segment, &offset), 0);
        segment_iterator_init(&it, segment, at);
        while (segment_next(&it, &event, &offset) == 0)
            note_event(&event);
        at = segment_end_offset(segment);
        segment_unref(segment);
    }
    store_reader_close(reader);
}

/* How many of the payloads read contain text. */
static unsigned with(const char *text)
{
    unsigned found = 0;
    for (unsigned i = 0; i < f.count; i++)
        found += strstr(f.payloads[i], text) != NULL;
    return found;
}

static void test_a_run_of_losses_is_one_gap_record(void **state)
{
    (void)state;
    static const char reason[] = "qos0_full", other[] = "too_large", events[] = "events";
    for (int i = 0; i < 100; i++) {
        losses_add(&f.letters.losses, events, reason, f.now_us);
        f.now_us += 1000;
    }
    losses_add(&f.letters.losses, events, other, f.now_us);
    write_and_read("$gateway", true, false);
    assert_int_equal(with("\"events\""), 0); /* they may go on */
    assert_true(letters_due_us(&f.letters) <= f.now_us + 1000000);
    f.now_us += 1000001;
    write_and_read("$gateway", true, false);
    assert_int_equal(with("{\"stream\":\"events\",\"from\":null,\"to\":null,\"count\":100,"
                          "\"reason\":\"qos0_full\"}"),
                     1);
    assert_int_equal(with("\"count\":1,\"reason\":\"too_large\"}"), 1);
    assert_string_equal(f.topics[f.count - 1], "sluice/gw_1/gap");
}

static void test_losses_that_do_not_end_are_told_every_ten_seconds(void **state)
{
    (void)state;
    static const char reason[] = "qos0_full", events[] = "events";
    for (int i = 0; i < 250; i++) {
        losses_add(&f.letters.losses, events, reason, f.now_us);
        f.now_us += 100000;
        letters_look(&f.letters, f.now_us, true, false);
    }
    write_and_read("$gateway", true, true);
    assert_int_equal(with("\"reason\":\"qos0_full\""), 3);
}

static void push_audit(const char *action)
{
    struct notice_item *item;
    assert_int_equal(notice_item_new(NOTICE_AUDIT, &item), 0);
    notice_add_text(&item->notice, "actor", "somebody");
    notice_add_text(&item->notice, "action", action);
    letters_take(&f.letters, &item->item);
}

static void test_audit_records_are_chained_over_restarts(void **state)
{
    (void)state;
    push_audit("one");
    push_audit("two");
    write_and_read("$audit", true, false);
    end();
    begin();
    push_audit("three");
    write_and_read("$audit", true, false);
    assert_int_equal(f.count, 3);
    assert_non_null(strstr(f.payloads[0], "\"action\":\"one\",\"prev\":null}"));
    for (unsigned i = 1; i < 3; i++) {
        char digest[DIGEST_SHA256_TEXT_BYTES], member[128];
        assert_int_equal(digest_sha256_text(slice_string(f.payloads[i - 1]), digest), 0);
        snprintf(member, sizeof(member), "\"prev\":\"%s\"}", digest);
        assert_non_null(strstr(f.payloads[i], member));
    }
}

static void test_an_audit_record_that_cannot_be_stored_breaks_no_chain(void **state)
{
    (void)state;
    static char endless[2 * NOTICE_MAX_BYTES];
    memset(endless, 'x', sizeof(endless) - 1);
    push_audit("one");
    push_audit(endless);
    push_audit("two");
    write_and_read("$audit", true, false);
    assert_int_equal(f.count, 2);
    char digest[DIGEST_SHA256_TEXT_BYTES], member[128];
    assert_int_equal(digest_sha256_text(slice_string(f.payloads[0]), digest), 0);
    snprintf(member, sizeof(member), "\"prev\":\"%s\"}", digest);
    assert_non_null(strstr(f.payloads[1], member));
}

static void test_a_dead_letter_keeps_its_event_and_says_why(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct bytes list = BYTES_INIT(256);
    const struct attribute user = {
        .kind = ATTRIBUTE_USER, .name = SLICE_LITERAL("unit"), .value = SLICE_LITERAL("C")};
    assert_int_equal(attribute_append(&list, &user), 0);
    memcpy(memory, "payload", 7);
    const struct event event = {.topic = SLICE_LITERAL("a/b"),
                                .device = SLICE_LITERAL("a"),
                                .type = SLICE_LITERAL("b"),
                                .attributes = bytes_slice(&list),
                                .payload = slice_make(memory, 7),
                                .time_us = EVENT_NO_TIME,
                                .received_us = 5,
                                .qos = 1};
    struct dead_letter *letter;
    uint64_t before = metric_get(metric_process(), METRIC_DEAD_LETTERS);
    assert_int_equal(dead_letter_new(&event, "events", 17, "nobody wants it", "cloud", &letter), 0);
    memset(memory, 'x', sizeof(memory)); /* it has its own copy */
    bytes_deinit(&list);
    letters_take(&f.letters, &letter->item);
    write_and_read("$dlq", true, false);
    assert_int_equal(f.count, 1);
    assert_string_equal(f.payloads[0], "payload");
    assert_string_equal(f.topics[0], "sluice/gw_1/dlq");
    assert_string_equal(f.attributes[0],
                        "originid=events/17;origintopic=a/b;deadreason=nobody wants it;"
                        "deadupstream=cloud;unit=C;");
    assert_int_equal(metric_get(metric_process(), METRIC_DEAD_LETTERS) - before, 1);
}

static void post_letter(uint64_t offset, size_t bytes)
{
    uint8_t *payload = malloc(bytes);
    assert_non_null(payload);
    for (size_t i = 0; i < bytes; i++)
        payload[i] = (uint8_t)(random() >> 7);
    const struct event event = {.topic = SLICE_LITERAL("a/b"),
                                .device = SLICE_LITERAL("a"),
                                .type = SLICE_LITERAL("b"),
                                .payload = slice_make(payload, bytes),
                                .time_us = EVENT_NO_TIME,
                                .received_us = 5};
    struct dead_letter *letter;
    assert_int_equal(dead_letter_new(&event, "events", offset, "too large", "cloud", &letter), 0);
    letters_take(&f.letters, &letter->item);
    free(payload);
}

static void limit_dead_letters(int64_t max_bytes)
{
    for (size_t i = 0; i < f.config.streams.count; i++)
        if (strcmp(f.config.streams.items[i].name, STORE_STREAM_DEAD_LETTERS) == 0)
            f.config.streams.items[i].max_bytes = max_bytes;
}

static void test_a_flood_of_dead_letters_is_stored_commit_by_commit(void **state)
{
    (void)state;
    limit_dead_letters(64 * 1024);
    struct range_feed *feed;
    const char *names[] = {STORE_STREAM_DEAD_LETTERS};
    assert_int_equal(range_feed_new("cloud", RANGE_START_OLDEST, names, 1, &feed), 0);
    assert_int_equal(store_attach(f.store, feed), 0);
    uint64_t stored = metric_get(metric_process(), METRIC_DEAD_LETTERS);
    uint64_t lost = metric_get(metric_process(), METRIC_NOTICES_LOST);
    for (unsigned i = 0; i < 100; i++)
        post_letter(i, 2000);
    write_and_read("$gateway", true, false);
    assert_int_equal(metric_get(metric_process(), METRIC_DEAD_LETTERS) - stored, 100);
    assert_int_equal(metric_get(metric_process(), METRIC_NOTICES_LOST) - lost, 0);
    store_detach(f.store, feed);
    range_feed_unref(feed);
}

static void test_a_dead_letter_that_cannot_be_stored_is_a_gap(void **state)
{
    (void)state;
    limit_dead_letters(64 * 1024);
    post_letter(17, 100000);
    write_and_read("$gateway", true, false);
    assert_int_equal(with("{\"stream\":\"events\",\"from\":17,\"to\":18,\"count\":1,"
                          "\"reason\":\"too large\",\"upstream\":\"cloud\"}"),
                     1);
}

/* Of the only consumer, as committed. */
static uint64_t fixture_cursor(void)
{
    sqlite3 *db;
    sqlite3_stmt *row;
    assert_int_equal(sqlite3_open(store_path(f.store), &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT next_offset FROM \"range\"", -1, &row, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    uint64_t next = (uint64_t)sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return next;
}

static void post_move(struct range_feed *feed, uint64_t next_offset)
{
    struct queue_item *move;
    assert_int_equal(range_cursor_move_new(feed, 0, next_offset, 1, &move), 0);
    letters_take(&f.letters, move);
}

static void test_no_cursor_passes_an_event_whose_dead_letter_waits(void **state)
{
    (void)state;
    struct range_feed *feed;
    const char *names[] = {"events"};
    assert_int_equal(range_feed_new("cloud", RANGE_START_OLDEST, names, 1, &feed), 0);
    assert_int_equal(store_attach(f.store, feed), 0);
    const struct event event = {.topic = SLICE_LITERAL("a/b"),
                                .device = SLICE_LITERAL("a"),
                                .type = SLICE_LITERAL("b"),
                                .payload = SLICE_LITERAL("x"),
                                .time_us = EVENT_NO_TIME};
    uint32_t stream;
    uint64_t offset;
    assert_int_equal(store_stream(f.store, "events", &stream), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(store_append(f.store, stream, &event, &offset), 0);
    assert_int_equal(store_commit(f.store), 0);
    assert_int_equal(store_append(f.store, stream, &event, &offset), 0);
    post_move(feed, 1);
    post_letter(1, 100);
    post_move(feed, 2);
    post_move(feed, 3);
    assert_true(letters_write(&f.letters, 1));
    assert_int_equal(store_commit(f.store), 0);
    assert_int_equal(fixture_cursor(), 1);
    assert_false(letters_write(&f.letters, 1));
    assert_int_equal(store_commit(f.store), 0);
    assert_int_equal(fixture_cursor(), 3);
    store_detach(f.store, feed);
    range_feed_unref(feed);
}

static void test_the_store_alarm_comes_late_and_goes_at_once(void **state)
{
    (void)state;
    f.alarms = (struct alarms_config){.disk_fill_percent = 0};
    for (int i = 0; i < 4; i++) {
        f.now_us += 2000000;
        write_and_read("$gateway", i < 2, false);
    }
    assert_int_equal(with("\"subject\":\"store\""), 0);
    for (int i = 0; i < 6; i++) {
        f.now_us += 2000000;
        write_and_read("$gateway", false, false);
    }
    assert_int_equal(with("\"subject\":\"store\",\"raised\":true"), 1);
    f.now_us += 6000000;
    write_and_read("$gateway", true, false);
    assert_int_equal(with("\"subject\":\"store\",\"raised\":true"), 1);
    assert_int_equal(with("\"subject\":\"store\",\"raised\":false"), 1);
}

static void test_the_disk_alarm_has_a_margin(void **state)
{
    (void)state;
    f.alarms = (struct alarms_config){.disk_fill_percent = 99};
    f.config.disk.max_bytes = 100 << 20;
    metric_put(metric_process(), METRIC_STORE_WAL_BYTES, 0);
    static const struct {
        uint64_t used_mib;
        unsigned raised, over;
    } steps[] = {{90, 0, 0}, {99, 1, 0}, {97, 1, 0}, {99, 1, 0}, {60, 1, 1}, {99, 2, 1}};
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        metric_put(metric_process(), METRIC_STORE_USED_BYTES, steps[i].used_mib << 20);
        f.now_us += 5000001;
        letters_look(&f.letters, f.now_us, true, false);
        write_and_read("$gateway", true, false);
        assert_int_equal(with("\"subject\":\"disk\",\"raised\":true"), steps[i].raised);
        assert_int_equal(with("\"subject\":\"disk\",\"raised\":false"), steps[i].over);
    }
    f.config.disk.max_bytes = 0;
}

/* Whatever the wall clock says meanwhile. */
static void test_the_lag_alarm_names_the_upstream(void **state)
{
    (void)state;
    f.alarms = (struct alarms_config){.lag_us = INT64_C(60) * 1000000};
    struct metric_set *range = metric_set_get(METRIC_GROUP_RANGE, "cloud", "events");
    const int64_t decade = INT64_C(10) * 365 * 24 * 3600;
    static const struct {
        int64_t seconds, decades;
        uint64_t next, lag;
        unsigned raised, over;
    } steps[] = {
        {10, 0, 0, 0, 0, 0},  {10, 0, 0, 7, 0, 0},   {50, 1, 0, 7, 0, 0},
        {20, -3, 0, 7, 1, 0}, {3600, 0, 7, 2, 1, 0}, /* passed, but far behind */
        {10, 1, 9, 1, 1, 1},  {10, 0, 10, 0, 1, 1},
    };
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        f.now_us += steps[i].seconds * 1000000;
        f.wall_us += (steps[i].seconds + steps[i].decades * decade) * 1000000;
        metric_put(range, METRIC_RANGE_NEXT_OFFSET, steps[i].next);
        metric_put(range, METRIC_RANGE_LAG_EVENTS, steps[i].lag);
        metric_put(range, METRIC_RANGE_OLDEST_UNSENT, steps[i].lag ? 1 : 0);
        write_and_read("$gateway", true, false);
        assert_int_equal(with("\"subject\":\"lag\",\"raised\":true,\"upstream\":\"cloud\","
                              "\"stream\":\"events\",\"lag_seconds\":70,\"lag_events\":7}"),
                         steps[i].raised);
        assert_int_equal(with("\"subject\":\"lag\",\"raised\":false"), steps[i].over);
    }
}

/* Never quite there and never far behind: no alarm. */
static void test_an_upstream_that_keeps_up_raises_no_alarm_for_lag(void **state)
{
    (void)state;
    f.alarms = (struct alarms_config){.lag_us = INT64_C(60) * 1000000};
    struct metric_set *range = metric_set_get(METRIC_GROUP_RANGE, "cloud", "events");
    for (unsigned i = 1; i <= 60; i++) {
        f.now_us += 6000000;
        metric_put(range, METRIC_RANGE_NEXT_OFFSET, 100 * (i - 1));
        metric_put(range, METRIC_RANGE_LAG_EVENTS, 100);
        write_and_read("$gateway", true, false);
    }
    assert_int_equal(with("\"subject\":\"lag\""), 0);
    metric_put(range, METRIC_RANGE_LAG_EVENTS, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_run_of_losses_is_one_gap_record),
        TEST(test_losses_that_do_not_end_are_told_every_ten_seconds),
        TEST(test_audit_records_are_chained_over_restarts),
        TEST(test_an_audit_record_that_cannot_be_stored_breaks_no_chain),
        TEST(test_a_dead_letter_keeps_its_event_and_says_why),
        TEST(test_a_flood_of_dead_letters_is_stored_commit_by_commit),
        TEST(test_a_dead_letter_that_cannot_be_stored_is_a_gap),
        TEST(test_no_cursor_passes_an_event_whose_dead_letter_waits),
        TEST(test_the_store_alarm_comes_late_and_goes_at_once),
        TEST(test_the_disk_alarm_has_a_margin),
        TEST(test_the_lag_alarm_names_the_upstream),
        TEST(test_an_upstream_that_keeps_up_raises_no_alarm_for_lag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
