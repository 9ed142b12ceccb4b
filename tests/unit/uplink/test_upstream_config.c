#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "config/read.h"
#include "uplink/upstream_config.h"

static void test_urls_give_host_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host;
        uint16_t port;
    } good[] = {{"mqtt://127.0.0.1:1884", "127.0.0.1", 1884},
                {"mqtt://broker.example.com", "broker.example.com", 1883},
                {"mqtt://broker_1/", "broker_1", 1883},
                {"mqtt://[::1]:65535", "::1", 65535},
                {"mqtt://[2001:db8::1]/", "2001:db8::1", 1883}};
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct upstream_target target;
        assert_int_equal(upstream_url_parse(good[i].url, NULL, &target), 0);
        assert_string_equal(target.host, good[i].host);
        assert_int_equal(target.port, good[i].port);
    }
}

static void test_bad_urls_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *url, *what;
    } bad[] = {{"mqtts://a:8883", "TLS, which is not available in this build"},
               {"tcp://a", "does not start with mqtt://"},
               {"a:1883", "does not start with mqtt://"},
               {"mqtt://", "no valid host"},
               {"mqtt://:1883", "no valid host"},
               {"mqtt://a b", "no valid host"},
               {"mqtt://[127.0.0.1]", "no valid host"},
               {"mqtt://[::1", "no \"]\""},
               {"mqtt://a:0", "port"},
               {"mqtt://a:65536", "port"},
               {"mqtt://a:99999999999999999999", "port"},
               {"mqtt://a:", "port"},
               {"mqtt://a:1883/x", "port"},
               {"mqtt://me:secret@a", "user name or password"}};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct upstream_target target;
        struct error error = ERROR_INIT;
        assert_int_equal(upstream_url_parse(bad[i].url, &error, &target), -EINVAL);
        assert_non_null(strstr(error.what, bad[i].what));
        assert_null(strstr(error.what, "secret"));
        assert_true(error.mend[0] != '\0');
    }
}

static void test_defaults_are_those_documented(void **state)
{
    (void)state;
    struct upstream_config c;
    struct error error = ERROR_INIT;
    assert_int_equal(config_read_text(&upstream_section,
                                      "{\"name\": \"cloud\", \"url\": \"mqtt://h\"}", &error, &c),
                     0);
    assert_string_equal(c.name, "cloud");
    assert_int_equal(c.streams.count, 1);
    assert_string_equal(c.streams.items[0], "events");
    assert_string_equal(c.topic, "${topic}");
    assert_int_equal(c.envelope, UPSTREAM_BINARY);
    assert_int_equal(c.protocol, UPSTREAM_PROTOCOL_AUTO);
    assert_int_equal(c.window, 100);
    assert_int_equal(c.start, RANGE_START_DEFAULT);
    assert_int_equal(c.keep_alive_us, 30000000);
    assert_int_equal(c.ack_timeout_us, 20000000);
    assert_int_equal(c.drain_timeout_us, 3000000);
    assert_int_equal(c.reconnect_min_us, 100000);
    assert_null(c.client_id);
    config_section_deinit(&upstream_section, &c);
}

static void test_settings_that_cannot_work_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *rest, *what;
    } bad[] = {{"\"topic\": \"a/${nothing}\"", "${nothing}"},
               {"\"streams\": []", "empty"},
               {"\"streams\": [\"a\", \"a\"]", "twice"},
               {"\"password\": \"p\"", "username"},
               {"\"window\": 201", "window"},
               {"\"url\": \"mqtts://h\"", "TLS"}};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[256];
        bool url = strstr(bad[i].rest, "\"url\"") != NULL;
        snprintf(text, sizeof(text), "{\"name\": \"cloud\"%s, %s}",
                 url ? "" : ", \"url\": \"mqtt://h\"", bad[i].rest);
        struct upstream_config c;
        struct error error = ERROR_INIT;
        assert_int_not_equal(config_read_text(&upstream_section, text, &error, &c), 0);
        if (!strstr(error.what, bad[i].what) && !strstr(error.where, bad[i].what))
            fail_msg("\"%s\" at \"%s\" does not say \"%s\"", error.what, error.where, bad[i].what);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls_give_host_and_port),
        cmocka_unit_test(test_bad_urls_are_refused_with_the_reason),
        cmocka_unit_test(test_defaults_are_those_documented),
        cmocka_unit_test(test_settings_that_cannot_work_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
