/* The uplink as a whole: a real store, a real client, a broker that misbehaves to order. The test's
 * thread plays the pipeline. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/metrics.h"
#include "config/read.h"
#include "event/event.h"
#include "event/ingest.h"
#include "event/letter.h"
#include "fake_broker.h"
#include "store/range.h"
#include "store/store.h"
#include "store/store_config.h"
#include "uplink/uplink.h"
#include "uplink/upstream_config.h"

#define DEADLINE_US INT64_C(30000000)
#define FIRST_US INT64_C(1700000000000000) /* when event 0 was received; the others 1 us apart */

struct fixture {
    char dir[256];
    struct store_config store_config;
    struct store *store;
    uint32_t stream;
    uint64_t appended;
    struct fake_broker broker;
    struct upstream_config config;
    struct queue pipeline;
    struct range_feed *feed;
    struct uplink *uplink;
    uint64_t cursor, acknowledged; /* as posted */
    unsigned moves, letters;
    uint64_t buried; /* offset of the last dead letter */
    char buried_reason[64];
    struct metric_set *metrics;
    uint64_t skipped_before, reads_before;
    char name[32];
};

static unsigned serial;

static int64_t now(void)
{
    return clock_monotonic_us(&clock_system);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->dir, sizeof(f->dir), "%s/sluice-uplink-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(config_section_init(&store_section, &f->store_config), 0);
    struct store_options options = {.data_dir = f->dir,
                                    .gateway_id = "gw1",
                                    .config = &f->store_config,
                                    .clock = &clock_system};
    struct error error = ERROR_INIT;
    assert_int_equal(store_new(&options, &f->store), 0);
    if (store_open(f->store, &error))
        fail_msg("%s: %s", error.where, error.what);
    assert_int_equal(store_stream(f->store, "events", &f->stream), 0);
    assert_int_equal(queue_init(&f->pipeline, 1 << 20), 0);
    snprintf(f->name, sizeof(f->name), "up%u", serial++);
    f->metrics = metric_set_get(METRIC_GROUP_UPSTREAM, f->name, NULL);
    *state = f;
    return 0;
}

static void remove_dir(const char *path)
{
    DIR *dir = opendir(path);
    assert_non_null(dir);
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        char file[512];
        snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlink(file);
    }
    closedir(dir);
    rmdir(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    uplink_free(f->uplink);
    if (f->feed)
        store_detach(f->store, f->feed);
    range_feed_unref(f->feed);
    queue_deinit(&f->pipeline);
    store_free(f->store);
    config_section_deinit(&store_section, &f->store_config);
    config_section_deinit(&upstream_section, &f->config);
    fake_broker_stop(&f->broker);
    remove_dir(f->dir);
    free(f);
    return 0;
}

static const struct fake_broker_rules ordinary = {.maximum_qos = -1};

static void start(struct fixture *f, const struct fake_broker_rules *rules, const char *settings)
{
    fake_broker_start(&f->broker, rules);
    char text[512];
    snprintf(text, sizeof(text),
             "{\"name\": \"%s\", \"url\": \"mqtt://127.0.0.1:%u\", \"start\": \"oldest\"%s%s}",
             f->name, f->broker.port, *settings ? ", " : "", settings);
    struct error error = ERROR_INIT;
    if (config_read_text(&upstream_section, text, &error, &f->config))
        fail_msg("%s: %s", error.where, error.what);
    assert_int_equal(range_feed_new(f->config.name, f->config.start,
                                    (const char *const *)f->config.streams.items,
                                    (unsigned)f->config.streams.count, &f->feed),
                     0);
    struct uplink_options options = {
        .config = &f->config, .feed = f->feed, .pipeline = &f->pipeline};
    assert_int_equal(uplink_new(&options, &f->uplink), 0);
    assert_int_equal(store_attach(f->store, f->feed), 0);
    assert_int_equal(range_feed_notify(f->feed, RANGE_ATTACHED), 0);
    assert_int_equal(uplink_start(f->uplink), 0);
}

/* Appends n events in one commit and hands the batch to the feed, if there is one yet. The payload
 * of an event is its offset. */
static void append(struct fixture *f, unsigned n)
{
    while (n--) {
        char payload[32];
        snprintf(payload, sizeof(payload), "%llu", (unsigned long long)f->appended);
        struct event event = {.topic = SLICE_LITERAL("t/1"),
                              .device = SLICE_LITERAL("d"),
                              .type = SLICE_LITERAL("x"),
                              .payload = slice_string(payload),
                              .received_us = FIRST_US + (int64_t)f->appended,
                              .time_us = EVENT_NO_TIME,
                              .qos = 1};
        uint64_t offset = UINT64_MAX;
        assert_int_equal(store_append(f->store, f->stream, &event, &offset), 0);
        assert_int_equal(offset, f->appended++);
    }
    assert_int_equal(store_commit(f->store), 0);
    for (struct segment *segment; f->feed && (segment = store_committed_next(f->store));)
        range_feed_publish(f->feed, 0, segment);
}

/* Takes what the uplink has posted. */
static void take_moves(struct fixture *f)
{
    struct queue_item *next;
    for (struct queue_item *item = queue_take_all(&f->pipeline); item; item = next) {
        next = item->next;
        if (item->kind == INGEST_DEAD_LETTER) {
            const struct dead_letter *letter = (const struct dead_letter *)item;
            assert_string_equal(letter->stream, "events");
            assert_true(letter->upstream[0]);
            assert_true(letter->offset >= f->cursor); /* it comes before the move beyond it */
            f->buried = letter->offset;
            snprintf(f->buried_reason, sizeof f->buried_reason, "%s", letter->reason);
            f->letters++;
            item->free(item);
            continue;
        }
        assert_int_equal(item->kind, INGEST_CURSOR);
        struct range_cursor_move *move = (struct range_cursor_move *)item;
        assert_true(move->next_offset > f->cursor);
        f->cursor = move->next_offset;
        f->acknowledged += move->acknowledged;
        f->moves++;
        item->free(item);
    }
}

static void await_cursor(struct fixture *f, uint64_t cursor)
{
    for (int64_t deadline = now() + DEADLINE_US; f->cursor < cursor;) {
        if (now() > deadline)
            fail_msg("cursor stands at %llu", (unsigned long long)f->cursor);
        queue_wait(&f->pipeline, 100);
        take_moves(f);
    }
}

#define AWAIT(condition)                                                                           \
    for (int64_t deadline = now() + DEADLINE_US; !(condition); usleep(1000))                       \
        if (now() > deadline)                                                                      \
            fail_msg("in vain: %s", #condition);

/* Every offset below the end was acknowledged by the broker; what came twice came on different
 * connections; within a connection offsets rise. Returns how many came more than once. */
static unsigned assert_complete(struct fixture *f, uint64_t end)
{
    unsigned char *seen = calloc(end, 1);
    unsigned repeats = 0;
    long last = -1;
    unsigned connection = 0;
    for (size_t i = 0; i < f->broker.count; i++) {
        const struct fake_broker_message *m = &f->broker.messages[i];
        long offset = atol(m->payload);
        if (m->connection != connection)
            last = -1;
        connection = m->connection;
        assert_true(offset > last && (uint64_t)offset < end);
        last = offset;
        repeats += seen[offset] & 1;
        seen[offset] |= (unsigned char)(1 | m->acknowledged << 1);
    }
    for (uint64_t i = 0; i < end; i++)
        if (seen[i] != 3)
            fail_msg("offset %llu was not acknowledged", (unsigned long long)i);
    free(seen);
    return repeats;
}

static void stop(struct fixture *f)
{
    uplink_request_stop(f->uplink);
    AWAIT(uplink_stopped(f->uplink));
    take_moves(f);
}

static void test_backlog_and_live_events_arrive_once_and_in_order(void **state)
{
    struct fixture *f = *state;
    append(f, 1000);
    start(f, &ordinary, "\"envelope\": \"raw\"");
    await_cursor(f, 1000);
    for (int i = 0; i < 50; i++)
        append(f, 40);
    await_cursor(f, 3000);
    stop(f);
    assert_int_equal(assert_complete(f, 3000), 0);
    assert_int_equal(f->acknowledged, 3000);
    assert_string_equal(f->broker.messages[0].topic, "t/1");
    assert_int_equal(f->broker.level, 5);
    AWAIT(fake_broker_disconnected(&f->broker));
    char client_id[64];
    snprintf(client_id, sizeof(client_id), "sluice-gw1-%s", f->name);
    assert_string_equal(f->broker.client_id, client_id);
    assert_int_equal(metric_get(f->metrics, METRIC_UPSTREAM_FORWARDED_EVENTS), 3000);
    assert_true(f->moves < 60); /* coalesced: at most one per 100 acknowledgements or 200 ms */
}

static void test_live_events_are_sent_from_memory(void **state)
{
    struct fixture *f = *state;
    start(f, &ordinary, "");
    AWAIT(metric_get(f->metrics, METRIC_UPSTREAM_CONNECTED));
    uint64_t reads = metric_get(f->metrics, METRIC_UPSTREAM_READS);
    for (int i = 1; i <= 20; i++) {
        append(f, 5);
        await_cursor(f, (uint64_t)i * 5);
    }
    stop(f);
    assert_int_equal(metric_get(f->metrics, METRIC_UPSTREAM_READS), reads);
    assert_true(f->broker.messages[0].properties_bytes > 100); /* binary is the default */
}

static uint64_t lag(struct fixture *f)
{
    return metric_get(f->feed->ranges[0].metrics, METRIC_RANGE_LAG_EVENTS);
}

static uint64_t lag_bytes(struct fixture *f)
{
    return metric_get(f->feed->ranges[0].metrics, METRIC_RANGE_LAG_BYTES);
}

static void test_the_lag_is_right_in_every_state(void **state)
{
    struct fixture *f = *state;
    struct fake_broker_rules rules = ordinary;
    append(f, 50);
    rules.silent = true;
    start(f, &rules, "\"window\": 10, \"reconnect_min\": \"10ms\"");
    assert_int_equal(lag(f), 50); /* attached, not yet connected */
    AWAIT(metric_get(f->metrics, METRIC_UPSTREAM_IN_FLIGHT) == 10);
    AWAIT(lag_bytes(f) == atomic_load(&f->feed->ranges[0].head_bytes));
    append(f, 30); /* it does not wake a full window, and counts at once */
    assert_int_equal(lag(f), 80);
    assert_int_equal(lag_bytes(f), atomic_load(&f->feed->ranges[0].head_bytes));
    fake_broker_stop(&f->broker);
    AWAIT(!metric_get(f->metrics, METRIC_UPSTREAM_CONNECTED));
    append(f, 20);
    assert_int_equal(lag(f), 100);
    assert_int_equal(lag_bytes(f), atomic_load(&f->feed->ranges[0].head_bytes));
}

static void test_the_lag_closes_with_the_last_acknowledgement(void **state)
{
    struct fixture *f = *state;
    append(f, 500);
    start(f, &ordinary, "");
    await_cursor(f, 500);
    AWAIT(lag(f) == 0 && lag_bytes(f) == 0);
    assert_int_equal(metric_get(f->feed->ranges[0].metrics, METRIC_RANGE_NEXT_OFFSET), 500);
    stop(f);
    append(f, 7);
    assert_int_equal(lag(f), 7);
}

static uint64_t oldest(struct fixture *f)
{
    return metric_get(f->feed->ranges[0].metrics, METRIC_RANGE_OLDEST_UNSENT);
}

static void test_the_oldest_event_not_acknowledged_is_told_by_its_time(void **state)
{
    struct fixture *f = *state;
    struct fake_broker_rules rules = ordinary;
    rules.hold = 10;
    append(f, 55);
    start(f, &rules, "\"window\": 20, \"reconnect_min\": \"10ms\"");
    AWAIT(oldest(f) == FIRST_US + 50); /* the last five wait for five more */
    append(f, 5);
    AWAIT(oldest(f) == 0);
    append(f, 3);
    AWAIT(oldest(f) == FIRST_US + 60);
    /* An outage, during which nothing is sent, keeps it; and what it has read, for no longer. */
    fake_broker_stop(&f->broker);
    AWAIT(!metric_get(f->metrics, METRIC_UPSTREAM_CONNECTED));
    append(f, 40);
    usleep(20000);
    assert_int_equal(oldest(f), FIRST_US + 60);
}

static void test_an_event_that_comes_in_an_outage_is_the_oldest_then(void **state)
{
    struct fixture *f = *state;
    start(f, &ordinary, "\"reconnect_min\": \"10ms\"");
    append(f, 20);
    await_cursor(f, 20);
    AWAIT(oldest(f) == 0);
    fake_broker_stop(&f->broker);
    AWAIT(!metric_get(f->metrics, METRIC_UPSTREAM_CONNECTED));
    append(f, 4);
    AWAIT(oldest(f) == FIRST_US + 20);
    append(f, 1000);
    uint64_t reads = metric_get(f->metrics, METRIC_UPSTREAM_READS);
    for (int i = 0; i < 20; i++) {
        append(f, 1);
        usleep(5000);
    }
    assert_int_equal(oldest(f), FIRST_US + 20);
    assert_int_equal(metric_get(f->metrics, METRIC_UPSTREAM_READS), reads); /* read once */
}

static void test_the_window_is_the_smaller_of_ours_and_receive_maximum(void **state)
{
    struct fixture *f = *state;
    struct fake_broker_rules rules = ordinary;
    rules.receive_maximum = 7;
    rules.hold = 7;
    append(f, 700);
    start(f, &rules, "\"window\": 50");
    await_cursor(f, 700);
    assert_int_equal(f->broker.unacknowledged_most, 7);
    assert_int_equal(metric_get(f->metrics, METRIC_UPSTREAM_WINDOW), 7);
    assert_int_equal(assert_complete(f, 700), 0);
}

static void test_lost_connections_cost_at_most_a_window_of_repeats_each(void **state)
{
    struct fixture *f = *state;
    struct fake_broker_rules rules = ordinary;
    rules.close_after = 300;
    rules.hold = 10;
    append(f, 1000);
    start(f, &rules, "\"window\": 20, \"reconnect_min\": \"10ms\"");
    await_cursor(f, 990); /* fewer than hold may wait unanswered at the end */
    rules = ordinary;
    fake_broker_set(&f->broker, &rules);
    append(f, 20);
    await_cursor(f, 1020);
    stop(f);
    unsigned repeats = assert_complete(f, 1020);
    assert_true(f->broker.connections >= 4);
    assert_true(repeats <= 20 * (f->broker.connections - 1));
    assert_int_equal(f->acknowledged, 1020);
}

static void test_a_server_of_3_1_1_is_met_with_3_1_1(void **state)
{
    struct fixture *f = *state;
    struct fake_broker_rules rules = ordinary;
    rules.refuse_5 = true;
    append(f, 10);
    start(f, &rules, "\"reconnect_min\": \"10ms\"");
    await_cursor(f, 10);
    assert_int_equal(f->broker.level, 4);
    assert_non_null(strstr(f->broker.messages[3].payload, "\"id\":\"events/3\""));
}

static void test_an_event_refused_for_good_is_passed_over_after_five_attempts(void **state)
{
    struct fixture *f = *state;
    struct fake_broker_rules rules = ordinary;
    rules.refuse_payload = "5";
    rules.refuse_reason = 0x87;
    rules.refuse_times = 1000;
    append(f, 20);
    start(f, &rules, "\"envelope\": \"raw\"");
    await_cursor(f, 20);
    stop(f);
    assert_int_equal(f->acknowledged, 19);
    assert_int_equal(metric_get(f->metrics, METRIC_UPSTREAM_SKIPPED_EVENTS), 1);
    assert_int_equal(f->letters, 1);
    assert_int_equal(f->buried, 5);
    assert_string_equal(f->buried_reason, "refused by the upstream");
    assert_int_equal(metric_get(f->metrics, METRIC_UPSTREAM_SEND_FAILURES), 5);
    unsigned tries = 0;
    for (size_t i = 0; i < f->broker.count; i++)
        tries += strcmp(f->broker.messages[i].payload, "5") == 0;
    assert_int_equal(tries, 5);
}

static void test_quota_exceeded_is_waited_out_however_often_it_comes(void **state)
{
    struct fixture *f = *state;
    struct fake_broker_rules rules = ordinary;
    rules.refuse_payload = "5";
    rules.refuse_reason = 0x97;
    rules.refuse_times = 6;
    append(f, 20);
    int64_t began = now();
    start(f, &rules, "\"envelope\": \"raw\"");
    await_cursor(f, 20);
    stop(f);
    assert_int_equal(f->acknowledged, 20);
    assert_int_equal(metric_get(f->metrics, METRIC_UPSTREAM_SKIPPED_EVENTS), 0);
    assert_true(now() - began > 2000000); /* 100 + 200 + ... ms between the attempts */
}

static void test_messages_larger_than_the_server_takes_are_passed_over(void **state)
{
    struct fixture *f = *state;
    struct fake_broker_rules rules = ordinary;
    rules.maximum_packet = 13; /* "t/1" with one digit: 2 + 5 + 2 + 1 + 1 = 11, three digits: 13 */
    append(f, 1002);
    start(f, &rules, "\"envelope\": \"raw\"");
    await_cursor(f, 1002);
    stop(f);
    assert_int_equal(f->acknowledged, 1000);
    assert_int_equal(metric_get(f->metrics, METRIC_UPSTREAM_SKIPPED_EVENTS), 2);
    assert_int_equal(f->letters, 2);
    assert_string_equal(f->buried_reason, "larger than the upstream takes");
}

/* Dead letters that nobody can write would pile up in memory. */
static void test_no_event_is_given_up_while_the_store_cannot_keep_it_aside(void **state)
{
    struct fixture *f = *state;
    struct fake_broker_rules rules = ordinary;
    rules.maximum_packet = 11;
    append(f, 20);
    metric_put(metric_process(), METRIC_STORE_DEGRADED, 1);
    start(f, &rules, "\"envelope\": \"raw\"");
    await_cursor(f, 10);
    usleep(300000);
    take_moves(f);
    metric_put(metric_process(), METRIC_STORE_DEGRADED, 0);
    assert_int_equal(f->letters, 0);
    assert_int_equal(f->cursor, 10);
    await_cursor(f, 20);
    stop(f);
    assert_int_equal(f->letters, 10);
}

static void test_a_server_without_qos_1_is_not_trusted(void **state)
{
    struct fixture *f = *state;
    struct fake_broker_rules rules = ordinary;
    rules.maximum_qos = 0;
    append(f, 3);
    start(f, &rules, "\"reconnect_min\": \"20ms\"");
    AWAIT(metric_get(f->metrics, METRIC_UPSTREAM_CONNECT_FAILURES) >= 2);
    assert_int_equal(fake_broker_count(&f->broker), 0);
    fake_broker_set(&f->broker, &ordinary);
    await_cursor(f, 3);
}

static void test_a_connection_without_acknowledgements_is_made_anew(void **state)
{
    struct fixture *f = *state;
    struct fake_broker_rules rules = ordinary;
    rules.silent = true;
    append(f, 3);
    start(f, &rules, "\"ack_timeout\": \"1s\", \"reconnect_min\": \"50ms\"");
    AWAIT(fake_broker_count(&f->broker) == 3);
    fake_broker_set(&f->broker, &ordinary);
    await_cursor(f, 3);
    assert_int_equal(f->broker.connections, 2);
    assert_in_range(f->broker.connect_us[1] - f->broker.connect_us[0], 1000000, 10000000);
}

static void test_short_lived_connections_are_not_retried_faster_than_the_minimum(void **state)
{
    struct fixture *f = *state;
    struct fake_broker_rules rules = ordinary;
    rules.close_after = 1;
    append(f, 100);
    start(f, &rules, "\"reconnect_min\": \"300ms\", \"window\": 1");
    AWAIT(fake_broker_count(&f->broker) >= 4);
    for (unsigned i = 1; i < 4; i++)
        assert_true(f->broker.connect_us[i] - f->broker.connect_us[i - 1] >= 290000);
}

static void test_stopping_awaits_what_is_in_flight_but_not_for_ever(void **state)
{
    struct fixture *f = *state;
    struct fake_broker_rules rules = ordinary;
    rules.silent = true;
    append(f, 5);
    start(f, &rules, "\"drain_timeout\": \"500ms\"");
    AWAIT(fake_broker_count(&f->broker) == 5);
    int64_t began = now();
    stop(f);
    assert_in_range(now() - began, 450000, 5000000);
    assert_int_equal(f->cursor, 0);
}

static void test_stopping_while_the_server_is_away_is_quick(void **state)
{
    struct fixture *f = *state;
    struct fake_broker_rules rules = ordinary;
    rules.deaf = true;
    append(f, 5);
    start(f, &rules, "");
    AWAIT(metric_get(f->metrics, METRIC_UPSTREAM_CONNECT_FAILURES) >= 1);
    int64_t began = now();
    stop(f);
    assert_in_range(now() - began, 0, 2000000);
    assert_int_equal(f->cursor, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    uplink_library_init();
    const struct CMUnitTest tests[] = {
        TEST(test_backlog_and_live_events_arrive_once_and_in_order),
        TEST(test_live_events_are_sent_from_memory),
        TEST(test_the_lag_is_right_in_every_state),
        TEST(test_the_lag_closes_with_the_last_acknowledgement),
        TEST(test_the_oldest_event_not_acknowledged_is_told_by_its_time),
        TEST(test_an_event_that_comes_in_an_outage_is_the_oldest_then),
        TEST(test_the_window_is_the_smaller_of_ours_and_receive_maximum),
        TEST(test_lost_connections_cost_at_most_a_window_of_repeats_each),
        TEST(test_a_server_of_3_1_1_is_met_with_3_1_1),
        TEST(test_an_event_refused_for_good_is_passed_over_after_five_attempts),
        TEST(test_quota_exceeded_is_waited_out_however_often_it_comes),
        TEST(test_messages_larger_than_the_server_takes_are_passed_over),
        TEST(test_no_event_is_given_up_while_the_store_cannot_keep_it_aside),
        TEST(test_a_server_without_qos_1_is_not_trusted),
        TEST(test_a_connection_without_acknowledgements_is_made_anew),
        TEST(test_short_lived_connections_are_not_retried_faster_than_the_minimum),
        TEST(test_stopping_awaits_what_is_in_flight_but_not_for_ever),
        TEST(test_stopping_while_the_server_is_away_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
