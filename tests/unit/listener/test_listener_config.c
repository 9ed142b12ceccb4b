/* The keys of a listener. */
#include "rig.h"

static void test_defaults_are_those_of_a_loopback_listener(void **state)
{
    (void)state;
    struct listener_config config;
    struct session_limits limits;
    char name[LISTENER_NAME_MAX_BYTES];
    assert_int_equal(config_read_text(&listener_section, "{\"anonymous\": true}", NULL, &config),
                     0);
    listener_config_name(&config, name);
    listener_config_limits(&config, &limits);
    assert_string_equal(name, "127.0.0.1:1883");
    assert_true(limits.anonymous);
    assert_int_equal(limits.max_packet_bytes, 16 << 20);
    assert_int_equal(limits.receive_maximum, 1024);
    assert_int_equal(limits.topic_alias_max, 32);
    assert_int_equal(limits.keep_alive_max_s, 65535);
    assert_int_equal(config.max_connections, 10000);
    assert_int_equal(config.connect_timeout_us, 10000000);
    config_section_deinit(&listener_section, &config);
}

static void test_name_is_made_of_the_address(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"{\"bind\": \"[::1]:1884\", \"anonymous\": true}", "[::1]:1884"},
        {"{\"bind\": \"localhost:1884\", \"anonymous\": true}", "localhost:1884"},
        {"{\"name\": \"lan\", \"bind\": \"0.0.0.0:1883\", \"anonymous\": true}", "lan"}};
    for (size_t i = 0; i < 3; i++) {
        struct listener_config config;
        char name[LISTENER_NAME_MAX_BYTES];
        assert_int_equal(config_read_text(&listener_section, rows[i][0], NULL, &config), 0);
        listener_config_name(&config, name);
        assert_string_equal(name, rows[i][1]);
        config_section_deinit(&listener_section, &config);
    }
}

static void expect_error(const char *text, const char *what, const char *mend)
{
    struct listener_config config;
    struct error error = ERROR_INIT;
    assert_int_equal(config_read_text(&listener_section, text, &error, &config), -EINVAL);
    if (!strstr(error.what, what) || !strstr(error.mend, mend))
        fail_msg("%s: %s (%s)", text, error.what, error.mend);
}

static void test_anonymous_must_be_said(void **state)
{
    (void)state;
    expect_error("{\"bind\": \"0.0.0.0:1883\"}", "nobody could connect", "\"anonymous\": true");
    expect_error("{\"bind\": \"127.0.0.1:1883\", \"anonymous\": false}", "nobody could connect",
                 "\"anonymous\": true");
}

static void test_keys_that_would_promise_protection_are_unknown(void **state)
{
    (void)state;
    expect_error("{\"anonymous\": true, \"users\": \"x\"}", "users", "");
    expect_error("{\"anonymous\": true, \"acl\": \"x\"}", "acl", "");
    expect_error("{\"anonymous\": true, \"tls\": {}}", "tls", "");
    expect_error("{\"anonymous\": true, \"bind\": \"unix:/run/x\"}", "unix", "\"bind\"");
}

static void test_loopback_addresses_are_known(void **state)
{
    (void)state;
    static const struct {
        char host[16];
        bool loopback;
    } rows[] = {{"127.0.0.1", true}, {"127.9.9.9", true}, {"::1", true},
                {"localhost", true}, {"0.0.0.0", false},  {"::", false},
                {"10.0.0.1", false}, {"host", false},     {"127.evil", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char host[16];
        memcpy(host, rows[i].host, sizeof host);
        struct config_address address = {.host = host, .port = 1883};
        assert_int_equal(listener_address_loopback(&address), rows[i].loopback);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_those_of_a_loopback_listener),
        cmocka_unit_test(test_name_is_made_of_the_address),
        cmocka_unit_test(test_anonymous_must_be_said),
        cmocka_unit_test(test_keys_that_would_promise_protection_are_unknown),
        cmocka_unit_test(test_loopback_addresses_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
