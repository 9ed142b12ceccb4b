#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "admin/door.h"
#include "base/error.h"
#include "config/key.h"

static char directory[64];
static char path[96];

static int setup(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/sluice-door-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/admin.sock", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static bool exists(void)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* A socket file nobody listens at any more. */
static void leave_stale_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof address), errno);
    close(fd);
    assert_true(exists());
}

static void test_a_unix_door_is_open_to_its_owner_only(void **state)
{
    (void)state;
    struct door door = DOOR_INIT;
    struct error error = ERROR_INIT;
    mode_t old = umask(0);
    assert_int_equal(door_open_unix(&door, path, &error), 0);
    umask(old);
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
    door_close(&door);
    assert_false(exists());
    assert_int_equal(door.fd, -1);
}

static void test_a_socket_left_by_a_dead_process_is_replaced(void **state)
{
    (void)state;
    struct door door = DOOR_INIT;
    leave_stale_socket();
    assert_int_equal(door_open_unix(&door, path, NULL), 0);
    door_close(&door);
}

static void test_a_socket_that_answers_is_left_alone(void **state)
{
    (void)state;
    struct door first = DOOR_INIT, second = DOOR_INIT;
    struct error error = ERROR_INIT;
    assert_int_equal(door_open_unix(&first, path, NULL), 0);
    assert_int_equal(door_open_unix(&second, path, &error), -EADDRINUSE);
    assert_non_null(strstr(error.where, path));
    assert_string_not_equal(error.mend, "");
    door_close(&second);
    assert_true(exists());
    door_close(&first);
}

static void test_a_file_that_is_no_socket_is_left_alone(void **state)
{
    (void)state;
    struct door door = DOOR_INIT;
    struct error error = ERROR_INIT;
    FILE *file = fopen(path, "we");
    fputs("precious", file);
    fclose(file);
    assert_int_equal(door_open_unix(&door, path, &error), -EEXIST);
    assert_string_not_equal(error.what, "");
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_size, 8);
}

static void test_closing_leaves_the_socket_of_a_successor(void **state)
{
    (void)state;
    struct door first = DOOR_INIT, second = DOOR_INIT;
    assert_int_equal(door_open_unix(&first, path, NULL), 0);
    char aside[112];
    snprintf(aside, sizeof aside, "%s.aside", path); /* keeps the inode number from being reused */
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(door_open_unix(&second, path, NULL), 0);
    door_close(&first);
    assert_true(exists());
    door_close(&second);
    assert_false(exists());
    unlink(aside);
}

static void test_a_path_beyond_the_limit_is_refused_with_the_limit(void **state)
{
    (void)state;
    struct door door = DOOR_INIT;
    struct error error = ERROR_INIT;
    char text[DOOR_UNIX_PATH_MAX_BYTES + 2];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(door_open_unix(&door, text, &error), -ENAMETOOLONG);
    assert_non_null(strstr(error.what, "107"));
}

static void test_a_missing_directory_names_the_path(void **state)
{
    (void)state;
    struct door door = DOOR_INIT;
    struct error error = ERROR_INIT;
    char text[112];
    snprintf(text, sizeof text, "%s/missing/a.sock", directory);
    assert_int_equal(door_open_unix(&door, text, &error), -ENOENT);
    assert_non_null(strstr(error.where, text));
}

static void test_port_zero_finds_a_free_port_and_a_taken_one_is_refused(void **state)
{
    (void)state;
    struct door first = DOOR_INIT, second = DOOR_INIT;
    struct error error = ERROR_INIT;
    struct config_address address = {.host = (char[]){"127.0.0.1"}};
    assert_int_equal(door_open_tcp(&first, &address, &error), 0);
    assert_int_not_equal(first.port, 0);
    address.port = first.port;
    assert_int_equal(door_open_tcp(&second, &address, &error), -EADDRINUSE);
    assert_non_null(strstr(error.where, "127.0.0.1"));
    assert_int_equal(second.fd, -1);
    door_close(&first);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_unix_door_is_open_to_its_owner_only),
        TEST(test_a_socket_left_by_a_dead_process_is_replaced),
        TEST(test_a_socket_that_answers_is_left_alone),
        TEST(test_a_file_that_is_no_socket_is_left_alone),
        TEST(test_closing_leaves_the_socket_of_a_successor),
        TEST(test_a_path_beyond_the_limit_is_refused_with_the_limit),
        TEST(test_a_missing_directory_names_the_path),
        TEST(test_port_zero_finds_a_free_port_and_a_taken_one_is_refused),
    };
    return cmocka_run_group_tests_name("admin/door", tests, NULL, NULL);
}
