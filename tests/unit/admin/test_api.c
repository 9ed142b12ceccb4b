#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "admin/api.h"
#include "admin/info.h"
#include "admin/status.h"
#include "base/metrics.h"
#include "json/document.h"

static const char *const restart_keys[] = {"admin.tcp", "gateway.data_dir"};

static struct admin_info running(void)
{
    return (struct admin_info){.state = ADMIN_RUNNING,
                               .version = "1.2.3",
                               .gateway_id = "plant7",
                               .epoch = "0123456789abcdef",
                               .now_us = 1700000100000000,
                               .uptime_us = 61500000,
                               .config_file = "/etc/sluice.json",
                               .config_loaded_us = 0,
                               .restart_keys = restart_keys,
                               .restart_key_count = 2};
}

static struct api_answer ask(struct admin_info info, const char *verb, const char *path)
{
    struct api_answer answer = API_ANSWER_INIT;
    assert_int_equal(api_request(&info, verb, path, &answer), 0);
    return answer;
}

static bool body_is(const struct api_answer *answer, const char *text)
{
    return slice_equal_string(bytes_slice(&answer->body), text);
}

static cJSON *body_json(const struct api_answer *answer)
{
    cJSON *json = cJSON_ParseWithLength((const char *)answer->body.data, answer->body.len);
    assert_non_null(json);
    return json;
}

static const cJSON *get(const cJSON *object, const char *name)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!found)
        fail_msg("no key %s", name);
    return found;
}

static int teardown(void **state)
{
    (void)state;
    metric_put(metric_process(), METRIC_STORE_DEGRADED, 0);
    metric_set_trouble(metric_process(), NULL);
    return 0;
}

static void test_healthz_answers_while_the_process_lives(void **state)
{
    (void)state;
    struct admin_info info = running();
    info.state = ADMIN_STARTING;
    struct api_answer answer = ask(info, "GET", "/healthz");
    assert_int_equal(answer.status, 200);
    assert_true(body_is(&answer, "ok\n"));
    api_answer_deinit(&answer);
}

static void test_readyz_says_no_while_the_store_is_degraded(void **state)
{
    (void)state;
    struct api_answer answer = ask(running(), "GET", "/readyz");
    assert_int_equal(answer.status, 200);
    api_answer_deinit(&answer);

    metric_put(metric_process(), METRIC_STORE_DEGRADED, 1);
    answer = ask(running(), "GET", "/readyz");
    assert_int_equal(answer.status, 503);
    assert_true(body_is(&answer, "degraded: the store cannot be written\n"));
    api_answer_deinit(&answer);

    metric_set_trouble(metric_process(), "No space left on device");
    answer = ask(running(), "GET", "/readyz");
    assert_true(body_is(&answer, "degraded: No space left on device\n"));
    api_answer_deinit(&answer);
}

static void test_readyz_says_no_before_and_after_running(void **state)
{
    (void)state;
    struct admin_info info = running();
    info.state = ADMIN_STARTING;
    struct api_answer answer = ask(info, "GET", "/readyz");
    assert_int_equal(answer.status, 503);
    api_answer_deinit(&answer);
    info.state = ADMIN_STOPPING;
    answer = ask(info, "GET", "/readyz");
    assert_int_equal(answer.status, 503);
    assert_true(body_is(&answer, "stopping: the gateway is stopping\n"));
    api_answer_deinit(&answer);
}

static void test_an_unknown_path_is_404_and_shows_the_known_ones(void **state)
{
    (void)state;
    const char *const paths[] = {"/", "", "/metrics/", "/healthz/x", "/api/v1/Status"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct api_answer answer = ask(running(), "GET", paths[i]);
        assert_int_equal(answer.status, 404);
        assert_string_equal(answer.content_type, "application/json");
        cJSON *json = body_json(&answer);
        assert_true(cJSON_IsString(get(json, "error")));
        assert_int_equal(cJSON_GetArraySize(get(json, "methods")), 4);
        cJSON_Delete(json);
        api_answer_deinit(&answer);
    }
}

static void test_a_wrong_verb_is_405_and_says_which_are_allowed(void **state)
{
    (void)state;
    const char *const verbs[] = {"POST", "PUT", "DELETE", "", "GE", "GET, HEAD"};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        struct api_answer answer = ask(running(), verbs[i], "/metrics");
        assert_int_equal(answer.status, 405);
        assert_string_equal(answer.allow, "GET, HEAD");
        api_answer_deinit(&answer);
    }
}

static void test_status_tells_the_gateway(void **state)
{
    (void)state;
    struct api_answer answer = ask(running(), "HEAD", "/api/v1/status");
    assert_int_equal(answer.status, 200);
    cJSON *json = body_json(&answer);
    assert_string_equal(get(json, "version")->valuestring, "1.2.3");
    assert_string_equal(get(json, "gateway")->valuestring, "plant7");
    assert_string_equal(get(json, "epoch")->valuestring, "0123456789abcdef");
    assert_true(get(json, "uptime_seconds")->valuedouble == 61.5);
    assert_string_equal(get(json, "state")->valuestring, "running");
    assert_true(cJSON_IsNull(get(json, "trouble")));
    const cJSON *config = get(json, "config");
    assert_string_equal(get(config, "file")->valuestring, "/etc/sluice.json");
    assert_string_equal(get(config, "loaded_at")->valuestring, "1970-01-01T00:00:00Z");
    assert_int_equal(cJSON_GetArraySize(get(config, "restart_required")), 2);
    cJSON_Delete(json);
    api_answer_deinit(&answer);
}

static void test_status_without_an_open_store_has_nulls(void **state)
{
    (void)state;
    struct admin_info info = {.state = ADMIN_STARTING, .version = "1"};
    struct api_answer answer = ask(info, "GET", "/api/v1/status");
    cJSON *json = body_json(&answer);
    assert_true(cJSON_IsNull(get(json, "gateway")));
    assert_true(cJSON_IsNull(get(json, "epoch")));
    assert_true(cJSON_IsNull(get(get(json, "config"), "file")));
    assert_int_equal(cJSON_GetArraySize(get(get(json, "config"), "restart_required")), 0);
    cJSON_Delete(json);
    api_answer_deinit(&answer);
}

static void test_status_shows_every_row_of_the_table(void **state)
{
    (void)state;
    metric_set_get(METRIC_GROUP_LISTENER, "lan", NULL);
    metric_set_get(METRIC_GROUP_STREAM, "events", NULL);
    metric_set_get(METRIC_GROUP_UPSTREAM, "cloud", NULL);
    metric_set_get(METRIC_GROUP_RANGE, "cloud", "events");
    struct api_answer answer = ask(running(), "GET", "/api/v1/status");
    cJSON *json = body_json(&answer);
    const cJSON *upstream = get(get(json, "upstreams"), "cloud");
    const cJSON *places[METRIC_GROUP_COUNT] = {
        [METRIC_GROUP_PROCESS] = get(json, "store"),
        [METRIC_GROUP_LISTENER] = get(get(json, "listeners"), "lan"),
        [METRIC_GROUP_STREAM] = get(get(json, "streams"), "events"),
        [METRIC_GROUP_UPSTREAM] = upstream,
        [METRIC_GROUP_RANGE] = get(get(upstream, "streams"), "events"),
    };
    for (enum metric m = 0; m < METRIC_COUNT; m++)
        assert_true(cJSON_IsNumber(get(places[metrics_table[m].group], metrics_table[m].field)));
    cJSON_Delete(json);
    api_answer_deinit(&answer);
}

static double lag_seconds(uint64_t oldest_us)
{
    metric_put(metric_set_get(METRIC_GROUP_RANGE, "cloud", "events"), METRIC_RANGE_OLDEST_UNSENT,
               oldest_us);
    struct api_answer answer = ask(running(), "GET", "/api/v1/status");
    cJSON *json = body_json(&answer);
    const cJSON *streams = get(get(get(json, "upstreams"), "cloud"), "streams");
    double lag = get(get(streams, "events"), "lag_seconds")->valuedouble;
    cJSON_Delete(json);
    api_answer_deinit(&answer);
    return lag;
}

static void test_lag_is_how_long_the_oldest_event_has_waited(void **state)
{
    (void)state;
    metric_set_get(METRIC_GROUP_UPSTREAM, "cloud", NULL);
    assert_true(lag_seconds(1700000000000000) == 100);
    assert_true(lag_seconds(1700000099750000) == 0.25);
    assert_true(lag_seconds(0) == 0);                /* none waits */
    assert_true(lag_seconds(1700000200000000) == 0); /* the clock was set back */
}

static void test_no_two_rows_of_a_group_share_a_field(void **state)
{
    (void)state;
    for (enum metric a = 0; a < METRIC_COUNT; a++)
        for (enum metric b = 0; b < a; b++)
            if (metrics_table[a].group == metrics_table[b].group)
                assert_string_not_equal(metrics_table[a].field, metrics_table[b].field);
}

static void test_status_tells_state_and_trouble_of_an_upstream(void **state)
{
    (void)state;
    struct metric_set *set = metric_set_get(METRIC_GROUP_UPSTREAM, "cloud", NULL);
    metric_set_state(set, "backoff");
    metric_set_trouble(set, "connection refused");
    struct api_answer answer = ask(running(), "GET", "/api/v1/status");
    cJSON *json = body_json(&answer);
    const cJSON *upstream = get(get(json, "upstreams"), "cloud");
    assert_string_equal(get(upstream, "state")->valuestring, "backoff");
    assert_string_equal(get(upstream, "trouble")->valuestring, "connection refused");
    cJSON_Delete(json);
    api_answer_deinit(&answer);
}

static void test_status_keeps_64_bits_exact(void **state)
{
    (void)state;
    metric_put(metric_set_get(METRIC_GROUP_STREAM, "events", NULL), METRIC_STREAM_NEXT_OFFSET,
               UINT64_C(9007199254740993));
    struct api_answer answer = ask(running(), "GET", "/api/v1/status");
    assert_int_equal(bytes_append_u8(&answer.body, 0), 0);
    assert_non_null(strstr((char *)answer.body.data, "\"next_offset\":9007199254740993,"));
    api_answer_deinit(&answer);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_teardown(function, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_healthz_answers_while_the_process_lives),
        TEST(test_readyz_says_no_while_the_store_is_degraded),
        TEST(test_readyz_says_no_before_and_after_running),
        TEST(test_an_unknown_path_is_404_and_shows_the_known_ones),
        TEST(test_a_wrong_verb_is_405_and_says_which_are_allowed),
        TEST(test_status_tells_the_gateway),
        TEST(test_status_without_an_open_store_has_nulls),
        TEST(test_status_shows_every_row_of_the_table),
        TEST(test_lag_is_how_long_the_oldest_event_has_waited),
        TEST(test_no_two_rows_of_a_group_share_a_field),
        TEST(test_status_tells_state_and_trouble_of_an_upstream),
        TEST(test_status_keeps_64_bits_exact),
    };
    return cmocka_run_group_tests_name("admin/api", tests, NULL, NULL);
}
