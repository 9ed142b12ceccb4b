/* "sluice streams --consumers" and "sluice forget" on a store that the daemon's own code wrote. */
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
#include "cli/consumers.h"
#include "cli/forget.h"
#include "event/event.h"
#include "json/document.h"
#include "store/store.h"
#include "store/store_config.h"

static char directory[64];
static char database[256];
static struct store_config config;
static struct store *store;
static char *printed;
static size_t printed_len;

static void fill(const char *stream_name, unsigned count)
{
    uint32_t stream;
    uint64_t offset;
    assert_int_equal(store_stream(store, stream_name, &stream), 0);
    for (unsigned i = 0; i < count; i++) {
        const struct event event = {.topic = SLICE_LITERAL("site/a"),
                                    .device = SLICE_LITERAL("a"),
                                    .type = SLICE_LITERAL("test"),
                                    .payload = SLICE_LITERAL("payload"),
                                    .received_us = INT64_C(1700000000000000),
                                    .time_us = EVENT_NO_TIME};
        assert_int_equal(store_append(store, stream, &event, &offset), 0);
    }
    assert_int_equal(store_commit(store), 0);
}

static void add(const char *consumer, const char *stream_name, enum store_lane lane, uint64_t next,
                uint64_t end)
{
    struct store_range_spec spec = {
        .consumer = consumer, .lane = lane, .next_offset = next, .end_offset = end};
    int64_t id;
    assert_int_equal(store_stream(store, stream_name, &spec.stream), 0);
    assert_int_equal(store_range_add(store, &spec, &id), 0);
}

static int setup(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    strcpy(directory, "/tmp/sluice-consumers-XXXXXX");
    if (!mkdtemp(directory) || config_section_init(&store_section, &config))
        return -1;
    const struct store_options options = {
        .data_dir = directory, .gateway_id = "gw", .config = &config, .clock = &clock_system};
    if (store_new(&options, &store) || store_open(store, &error))
        return -1;
    snprintf(database, sizeof database, "%s", store_path(store));
    fill("events", 100);
    fill("other", 40);
    add("gone", "events", STORE_LANE_BACKLOG, 10, 30);
    add("gone", "events", STORE_LANE_LIVE, 60, STORE_RANGE_OPEN);
    add("gone", "other", STORE_LANE_LIVE, 40, STORE_RANGE_OPEN);
    add("here", "events", STORE_LANE_LIVE, 70, STORE_RANGE_OPEN);
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

static int consumers(bool json)
{
    free(printed);
    FILE *out = open_memstream(&printed, &printed_len);
    int exit_code = cli_consumers(database, json, out);
    fclose(out);
    return exit_code;
}

static int forget(const char *upstream, const char *stream)
{
    free(printed);
    FILE *out = open_memstream(&printed, &printed_len);
    int exit_code = cli_forget(directory, upstream, stream, out);
    fclose(out);
    return exit_code;
}

static unsigned lines(void)
{
    unsigned count = 0;
    for (const char *at = printed; (at = strchr(at, '\n')); at++)
        count++;
    return count;
}

static double number(const cJSON *line, const char *key)
{
    return cJSON_GetObjectItem(line, key)->valuedouble;
}

static void test_ranges_are_listed_with_their_lag(void **state)
{
    (void)state;
    assert_int_equal(consumers(false), CLI_OK);
    assert_int_equal(lines(), 5);
    assert_non_null(strstr(printed, "backlog"));
    assert_int_equal(consumers(true), CLI_OK);
    assert_int_equal(lines(), 4);
    cJSON *line = cJSON_Parse(strtok(printed, "\n"));
    assert_string_equal(cJSON_GetObjectItem(line, "upstream")->valuestring, "gone");
    assert_string_equal(cJSON_GetObjectItem(line, "stream")->valuestring, "events");
    assert_string_equal(cJSON_GetObjectItem(line, "lane")->valuestring, "backlog");
    assert_true(number(line, "next_offset") == 10);
    assert_true(number(line, "end_offset") == 30);
    assert_true(number(line, "events") == 20);
    double bytes = number(line, "bytes");
    assert_true(bytes > 20 * 7);
    cJSON_Delete(line);
    line = cJSON_Parse(strtok(NULL, "\n"));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(line, "end_offset")));
    assert_true(number(line, "events") == 40);
    assert_true(number(line, "bytes") == 2 * bytes);
    cJSON_Delete(line);
}

static void test_forgetting_is_refused_while_the_store_is_in_use(void **state)
{
    (void)state;
    assert_int_equal(forget("gone", NULL), CLI_FAILED);
    assert_int_equal(consumers(true), CLI_OK);
    assert_int_equal(lines(), 4);
}

static void test_forgetting_says_what_it_releases(void **state)
{
    (void)state;
    store = store_free(store);
    assert_int_equal(forget("nobody", NULL), CLI_FAILED);
    assert_int_equal(forget("here", "other"), CLI_FAILED);
    assert_int_equal(lines(), 0);
    assert_int_equal(forget("gone", "other"), CLI_OK);
    assert_int_equal(lines(), 2);
    assert_int_equal(forget("gone", NULL), CLI_OK);
    assert_int_equal(lines(), 3);
    /* From the backlog's 10 to where the other one stands. */
    char lane[32];
    unsigned next, events, released;
    const char *row = strchr(printed, '\n') + 1;
    assert_int_equal(sscanf(row, "events %31s %u %u %u", lane, &next, &events, &released), 4);
    assert_string_equal(lane, "backlog");
    assert_int_equal(next, 10);
    assert_int_equal(events, 20);
    assert_int_equal(released, 60);
    assert_int_equal(consumers(true), CLI_OK);
    assert_int_equal(lines(), 1);
    assert_non_null(strstr(printed, "\"here\""));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_ranges_are_listed_with_their_lag),
        TEST(test_forgetting_is_refused_while_the_store_is_in_use),
        TEST(test_forgetting_says_what_it_releases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
