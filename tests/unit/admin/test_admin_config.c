#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "admin/admin_config.h"
#include "base/error.h"
#include "config/read.h"

static void test_by_default_there_is_no_network_door(void **state)
{
    (void)state;
    struct admin_config config;
    assert_int_equal(config_section_init(&admin_section, &config), 0);
    assert_null(config.socket);
    assert_null(config.tcp.host);
    config_section_deinit(&admin_section, &config);
}

static void test_socket_and_tcp_are_read(void **state)
{
    (void)state;
    struct admin_config config;
    struct error error = ERROR_INIT;
    assert_int_equal(config_read_text(&admin_section,
                                      "{\"socket\": \"/run/s.sock\", \"tcp\": \"127.0.0.1:9464\"}",
                                      &error, &config),
                     0);
    assert_string_equal(config.socket, "/run/s.sock");
    assert_string_equal(config.tcp.host, "127.0.0.1");
    assert_int_equal(config.tcp.port, 9464);
    config_section_deinit(&admin_section, &config);
}

static void test_a_unix_socket_as_tcp_is_refused_with_the_remedy(void **state)
{
    (void)state;
    struct admin_config config;
    struct error error = ERROR_INIT;
    assert_int_equal(
        config_read_text(&admin_section, "{\"tcp\": \"unix:/run/s.sock\"}", &error, &config),
        -EINVAL);
    assert_non_null(strstr(error.mend, "\"socket\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_default_there_is_no_network_door),
        cmocka_unit_test(test_socket_and_tcp_are_read),
        cmocka_unit_test(test_a_unix_socket_as_tcp_is_refused_with_the_remedy),
    };
    return cmocka_run_group_tests_name("admin/admin_config", tests, NULL, NULL);
}
