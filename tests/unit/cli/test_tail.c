/* "sluice tail" and "sluice streams" on a store that the daemon's own code wrote, while that store
 * is open and after it was closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "base/error.h"
#include "cli/command.h"
#include "cli/streams.h"
#include "cli/tail.h"
#include "event/event.h"
#include "json/document.h"
#include "store/store.h"
#include "store/store_config.h"

enum { EVENTS = 25, EVENTS_PER_COMMIT = 4 };

static char directory[64];
static char database[256];
static struct store_config config;
static struct store *store;
static char *printed;
static size_t printed_len;

static struct event make_event(struct slice payload)
{
    return (struct event){.topic = SLICE_LITERAL("site/a/telemetry"),
                          .device = SLICE_LITERAL("a"),
                          .type = SLICE_LITERAL("telemetry"),
                          .payload = payload,
                          .received_us = INT64_C(1700000000000000),
                          .time_us = EVENT_NO_TIME,
                          .quality = CLOCK_SYNCED,
                          .qos = 1};
}

static void append(const char *stream_name, const struct event *event)
{
    uint32_t stream;
    uint64_t offset;
    assert_int_equal(store_stream(store, stream_name, &stream), 0);
    assert_int_equal(store_append(store, stream, event, &offset), 0);
}

static void append_numbers(void)
{
    for (int i = 0; i < EVENTS; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        struct event event = make_event(slice_string(text));
        append("events", &event);
        if (i % EVENTS_PER_COMMIT == EVENTS_PER_COMMIT - 1 || i == EVENTS - 1)
            assert_int_equal(store_commit(store), 0);
    }
}

static int setup(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    strcpy(directory, "/tmp/sluice-tail-XXXXXX");
    if (!mkdtemp(directory) || config_section_init(&store_section, &config))
        return -1;
    const struct store_options options = {
        .data_dir = directory, .gateway_id = "gw", .config = &config, .clock = &clock_system};
    if (store_new(&options, &store) || store_open(store, &error))
        return -1;
    snprintf(database, sizeof database, "%s", store_path(store));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    store = store_free(store);
    config_section_deinit(&store_section, &config);
    free(printed);
    printed = NULL;
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}

static int tail(const char *stream, uint64_t from, uint64_t count)
{
    const struct cli_tail_options options = {
        .database = database, .stream = stream, .from = from, .count = count};
    free(printed);
    FILE *out = open_memstream(&printed, &printed_len);
    int exit_code = cli_tail(&options, out);
    fclose(out);
    return exit_code;
}

static int streams(bool json)
{
    free(printed);
    FILE *out = open_memstream(&printed, &printed_len);
    int exit_code = cli_streams(database, json, out);
    fclose(out);
    return exit_code;
}

/* That the lines printed are the events numbered first to end - 1, at those offsets. */
static void expect_numbers(unsigned first, unsigned end)
{
    char *save = NULL;
    for (char *line = strtok_r(printed, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        cJSON *json = cJSON_Parse(line);
        char number[16];
        snprintf(number, sizeof number, "%u", first);
        assert_non_null(json);
        assert_true(cJSON_GetObjectItem(json, "offset")->valuedouble == first);
        assert_string_equal(cJSON_GetObjectItem(json, "payload")->valuestring, number);
        cJSON_Delete(json);
        first++;
    }
    assert_int_equal(first, end);
}

static void test_the_last_events_are_the_default(void **state)
{
    (void)state;
    append_numbers();
    assert_int_equal(tail("events", CLI_TAIL_FROM_END, 10), CLI_OK);
    expect_numbers(EVENTS - 10, EVENTS);
    assert_int_equal(tail("events", CLI_TAIL_FROM_END, 1000), CLI_OK);
    expect_numbers(0, EVENTS);
    assert_int_equal(tail("events", CLI_TAIL_FROM_END, 0), CLI_OK);
    expect_numbers(0, 0);
}

static void test_events_from_an_offset_on(void **state)
{
    (void)state;
    append_numbers();
    assert_int_equal(tail("events", 6, 3), CLI_OK);
    expect_numbers(6, 9);
    assert_int_equal(tail("events", 0, CLI_TAIL_ALL), CLI_OK);
    expect_numbers(0, EVENTS);
    assert_int_equal(tail("events", EVENTS, CLI_TAIL_ALL), CLI_OK);
    expect_numbers(0, 0);
    assert_int_equal(tail("events", UINT64_MAX - 1, CLI_TAIL_ALL), CLI_OK);
    expect_numbers(0, 0);
}

static void test_a_closed_store_is_read_as_well(void **state)
{
    (void)state;
    append_numbers();
    store = store_free(store);
    assert_int_equal(tail("events", 20, CLI_TAIL_ALL), CLI_OK);
    expect_numbers(20, EVENTS);
}

static void test_a_line_holds_the_event(void **state)
{
    (void)state;
    struct event event = make_event(SLICE_LITERAL("{\"t\":21.5}"));
    event.time_us = INT64_C(1600000000000000);
    append("events", &event);
    assert_int_equal(store_commit(store), 0);
    assert_int_equal(tail("events", 0, CLI_TAIL_ALL), CLI_OK);
    assert_string_equal(printed, "{\"offset\":0,\"topic\":\"site/a/telemetry\",\"device\":\"a\","
                                 "\"type\":\"telemetry\",\"received\":\"2023-11-14T22:13:20Z\","
                                 "\"quality\":\"synced\",\"time\":\"2020-09-13T12:26:40Z\","
                                 "\"payload\":\"{\\\"t\\\":21.5}\"}\n");
}

static void test_bytes_that_are_no_text_are_base64(void **state)
{
    (void)state;
    static const struct {
        struct slice payload;
        const char *expected;
    } rows[] = {
        {SLICE_LITERAL(""), "\"payload\":\"\"}"},
        {SLICE_LITERAL("gr\xc3\xbc\n"), "\"payload\":\"gr\xc3\xbc\\n\"}"},
        {SLICE_LITERAL("\xff"), "\"payload_b64\":\"/w==\"}"},
        {SLICE_LITERAL("\xff\xfe"), "\"payload_b64\":\"//4=\"}"},
        {SLICE_LITERAL("a\0b"), "\"payload_b64\":\"YQBi\"}"},
        {SLICE_LITERAL("\x00\x10\x83\xfb"), "\"payload_b64\":\"ABCD+w==\"}"},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    for (size_t i = 0; i < ROWS; i++) {
        struct event event = make_event(rows[i].payload);
        append("events", &event);
    }
    assert_int_equal(store_commit(store), 0);
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(tail("events", i, 1), CLI_OK);
        assert_non_null(strstr(printed, rows[i].expected));
    }
}

static void test_what_is_not_committed_is_not_shown(void **state)
{
    (void)state;
    struct event event = make_event(SLICE_LITERAL("x"));
    append("events", &event);
    assert_int_equal(tail("events", 0, CLI_TAIL_ALL), CLI_OK);
    expect_numbers(0, 0);
}

static void test_an_unknown_stream_or_database_fails(void **state)
{
    (void)state;
    assert_int_equal(tail("nothing", 0, CLI_TAIL_ALL), CLI_FAILED);
    strcat(database, ".missing");
    assert_int_equal(tail("events", 0, CLI_TAIL_ALL), CLI_FAILED);
    assert_int_equal(streams(false), CLI_FAILED);
    assert_int_equal(access(database, F_OK), -1); /* looking makes no database */
}

/* Runs SQL on the file of the closed store. */
static void change(const char *sql)
{
    sqlite3 *db;
    store = store_free(store);
    assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_close(db);
}

/* What tail says on stderr meanwhile, in said. */
static char said[512];
static int tail_said(uint64_t from)
{
    FILE *old = stderr;
    memset(said, 0, sizeof said);
    stderr = fmemopen(said, sizeof said - 1, "w");
    int exit_code = tail("events", from, CLI_TAIL_ALL);
    fclose(stderr);
    stderr = old;
    return exit_code;
}

static void test_a_damaged_batch_is_said_and_passed_over(void **state)
{
    (void)state;
    append_numbers();
    change("UPDATE batch SET crc = crc + 1 WHERE key & 0xffffffffffff = 20");
    assert_int_equal(tail_said(18), CLI_OK);
    assert_non_null(strstr(printed, "\"payload\":\"19\"}\n{\"offset\":24,"));
    assert_string_equal(said, "sluice: offsets 20 to 23: the batch fails its checksum\n");
}

static void test_a_damaged_last_batch_ends_the_tail(void **state)
{
    (void)state;
    append_numbers();
    change("UPDATE batch SET crc = crc + 1 WHERE key & 0xffffffffffff = 24");
    assert_int_equal(tail_said(20), CLI_OK);
    expect_numbers(20, 24);
    assert_string_equal(said, "sluice: offsets 24 to 24: the batch fails its checksum\n");
}

static void test_a_hole_is_said(void **state)
{
    (void)state;
    append_numbers();
    change("DELETE FROM batch WHERE key & 0xffffffffffff = 20");
    assert_int_equal(tail_said(18), CLI_OK);
    assert_non_null(strstr(printed, "\"payload\":\"19\"}\n{\"offset\":24,"));
    assert_string_equal(said, "sluice: offsets 20 to 23: not in the store any more\n");
}

static void test_streams_are_listed(void **state)
{
    (void)state;
    append_numbers();
    struct event event = make_event(SLICE_LITERAL("x"));
    append("alerts", &event);
    assert_int_equal(store_commit(store), 0);
    assert_int_equal(streams(false), CLI_OK);
    assert_memory_equal(printed, "STREAM    FIRST  NEXT  EVENTS  ", 31);
    assert_non_null(strstr(printed, "\nevents        0    25      25  "));
    assert_non_null(strstr(printed, "\nalerts        0     1       1  "));
    assert_int_equal(streams(true), CLI_OK);
    assert_non_null(strstr(printed, "{\"stream\":\"events\",\"first_offset\":0,\"next_offset\":25,"
                                    "\"events\":25,\"bytes\":"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_last_events_are_the_default),
        TEST(test_events_from_an_offset_on),
        TEST(test_a_closed_store_is_read_as_well),
        TEST(test_a_line_holds_the_event),
        TEST(test_bytes_that_are_no_text_are_base64),
        TEST(test_what_is_not_committed_is_not_shown),
        TEST(test_an_unknown_stream_or_database_fails),
        TEST(test_a_damaged_batch_is_said_and_passed_over),
        TEST(test_a_damaged_last_batch_ends_the_tail),
        TEST(test_a_hole_is_said),
        TEST(test_streams_are_listed),
    };
    return cmocka_run_group_tests_name("cli/tail", tests, NULL, NULL);
}
