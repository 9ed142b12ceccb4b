#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "config/value.h"

struct number {
    const char *text;
    int outcome;
    int64_t value;
};

static void check(int (*parse)(const char *, int64_t *), const struct number *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t value = -7;
        int r = parse(rows[i].text, &value);
        if (r != rows[i].outcome || value != (r ? -7 : rows[i].value))
            fail_msg("\"%s\" gave %d and %lld", rows[i].text, r, (long long)value);
    }
}

#define CHECK(parse, rows) check(parse, rows, sizeof(rows) / sizeof(rows)[0])

static void test_whole_numbers_cover_all_64_bits(void **state)
{
    static const struct number rows[] = {{"0", 0, 0},
                                         {"-1", 0, -1},
                                         {"9223372036854775807", 0, INT64_MAX},
                                         {"-9223372036854775808", 0, INT64_MIN},
                                         {"9223372036854775808", CONFIG_VALUE_HUGE, 0},
                                         {"-9223372036854775809", CONFIG_VALUE_HUGE, 0},
                                         {"", CONFIG_VALUE_BAD, 0},
                                         {"-", CONFIG_VALUE_BAD, 0},
                                         {"+1", CONFIG_VALUE_BAD, 0},
                                         {"1.0", CONFIG_VALUE_BAD, 0},
                                         {" 1", CONFIG_VALUE_BAD, 0},
                                         {"1x", CONFIG_VALUE_BAD, 0}};
    (void)state;
    CHECK(config_parse_int, rows);
}

static void test_sizes_know_both_families_of_units(void **state)
{
    static const struct number rows[] = {{"0", 0, 0},
                                         {"4096", 0, 4096},
                                         {"100B", 0, 100},
                                         {"1KB", 0, 1000},
                                         {"1kB", 0, 1000},
                                         {"1KiB", 0, 1024},
                                         {"512MiB", 0, 512 << 20},
                                         {"512 MiB", 0, 512 << 20},
                                         {"1MB", 0, 1000000},
                                         {"2GB", 0, INT64_C(2000000000)},
                                         {"1TiB", 0, INT64_C(1) << 40},
                                         {"8191PiB", 0, INT64_C(8191) << 50},
                                         {"8192PiB", CONFIG_VALUE_HUGE, 0},
                                         {"99999999999999999999", CONFIG_VALUE_HUGE, 0},
                                         {"", CONFIG_VALUE_BAD, 0},
                                         {"MiB", CONFIG_VALUE_BAD, 0},
                                         {"-1", CONFIG_VALUE_BAD, 0},
                                         {"1M", CONFIG_VALUE_BAD, 0},
                                         {"1mib", CONFIG_VALUE_BAD, 0},
                                         {"1.5GiB", CONFIG_VALUE_BAD, 0},
                                         {"1  MiB", CONFIG_VALUE_BAD, 0},
                                         {"1 ", CONFIG_VALUE_BAD, 0}};
    (void)state;
    CHECK(config_parse_size, rows);
}

static void test_durations_are_microseconds(void **state)
{
    static const struct number rows[] = {{"0", 0, 0},
                                         {"250", 0, 250000},
                                         {"100ms", 0, 100000},
                                         {"50us", 0, 50},
                                         {"1s", 0, 1000000},
                                         {"1h30m", 0, INT64_C(5400000000)},
                                         {"7d", 0, INT64_C(604800000000)},
                                         {"1w", 0, INT64_C(604800000000)},
                                         {"1m1ms", 0, 60001000},
                                         {"30m1h", CONFIG_VALUE_BAD, 0},
                                         {"1s1s", CONFIG_VALUE_BAD, 0},
                                         {"1h30", CONFIG_VALUE_BAD, 0},
                                         {"1 s", CONFIG_VALUE_BAD, 0},
                                         {"s", CONFIG_VALUE_BAD, 0},
                                         {"-1s", CONFIG_VALUE_BAD, 0},
                                         {"1y", CONFIG_VALUE_BAD, 0},
                                         {"1.5s", CONFIG_VALUE_BAD, 0},
                                         {"", CONFIG_VALUE_BAD, 0},
                                         {"15250285w", CONFIG_VALUE_HUGE, 0},
                                         {"9223372036854775807", CONFIG_VALUE_HUGE, 0}};
    (void)state;
    CHECK(config_parse_duration, rows);
}

static void test_formatted_values_read_back_the_same(void **state)
{
    static const int64_t values[] = {0,          1,       999,     1000,      1024,
                                     1536,       1000000, 1 << 20, INT64_MAX, 604800000000,
                                     5400000000, 90000001};
    char text[CONFIG_VALUE_TEXT_MAX];
    int64_t value = 0;
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(config_parse_size(config_format_size(values[i], text), &value), 0);
        assert_true(value == values[i]);
        assert_int_equal(config_parse_duration(config_format_duration(values[i], text), &value), 0);
        assert_true(value == values[i]);
    }
    assert_string_equal(config_format_size(512 << 20, text), "512MiB");
    assert_string_equal(config_format_size(1000000, text), "1MB");
    assert_string_equal(config_format_size(0, text), "0B");
    assert_string_equal(config_format_duration(INT64_C(604800000000), text), "7d");
    assert_string_equal(config_format_duration(INT64_C(5400000000), text), "1h30m");
}

static void test_addresses_have_a_host_and_a_port_or_a_path(void **state)
{
    static const struct {
        const char *text, *host, *path;
        uint16_t port;
    } good[] = {{"127.0.0.1:1883", "127.0.0.1", NULL, 1883},
                {"[::1]:1", "::1", NULL, 1},
                {"broker-1.example.org:65535", "broker-1.example.org", NULL, 65535},
                {"0.0.0.0:0", "0.0.0.0", NULL, 0},
                {"unix:/run/x", NULL, "/run/x", 0},
                {"[fe80::1%eth0]:80", "fe80::1%eth0", NULL, 80}};
    static const char *const bad[] = {"",        "host",     ":1883",   "host:",   "host:65536",
                                      "host:-1", "::1:1883", "[::1]",   "[::1:1",  "[host]:1",
                                      "a b:1",   "unix:",    "host:1x", "host: 1", "[::1]x:1"};
    struct config_address address;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(config_parse_address(good[i].text, &address), 0);
        assert_int_equal(address.port, good[i].port);
        assert_true(!address.host == !good[i].host && !address.path == !good[i].path);
        if (good[i].host)
            assert_string_equal(address.host, good[i].host);
        if (good[i].path)
            assert_string_equal(address.path, good[i].path);
        config_address_deinit(&address);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(config_parse_address(bad[i], &address), CONFIG_VALUE_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_numbers_cover_all_64_bits),
        cmocka_unit_test(test_sizes_know_both_families_of_units),
        cmocka_unit_test(test_durations_are_microseconds),
        cmocka_unit_test(test_formatted_values_read_back_the_same),
        cmocka_unit_test(test_addresses_have_a_host_and_a_port_or_a_path)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
