#include "store/identity.h"

#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct identity some = {
    .epoch = "0123456789abcdef", .machine = "fedcba9876543210", .run = 41, .total = UINT64_MAX};

static int setup(void **state)
{
    int r = fixture_setup(state);
    struct fixture *f = *state;
    return r ? r : mkdir(f->data_dir, 0700);
}

static const char *path_of(const struct fixture *f, char path[160])
{
    snprintf(path, 160, "%s/%s", f->data_dir, IDENTITY_FILE_NAME);
    return path;
}

static size_t get(const struct fixture *f, char text[512])
{
    char path[160];
    int fd = open(path_of(f, path), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, 511);
    assert_in_range(n, 1, 510);
    close(fd);
    text[n] = '\0';
    return (size_t)n;
}

static void put(const struct fixture *f, const char *text, size_t n)
{
    char path[160];
    int fd = open(path_of(f, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), (ssize_t)n);
    close(fd);
}

static void test_what_was_written_is_read(void **state)
{
    struct fixture *f = *state;
    struct identity identity = {.run = 7};
    assert_int_equal(identity_read(f->data_dir, &identity), IDENTITY_NONE);
    assert_int_equal(identity.run, 7);
    assert_int_equal(identity_write(f->data_dir, &some), 0);
    assert_int_equal(identity_read(f->data_dir, &identity), 0);
    assert_string_equal(identity.epoch, some.epoch);
    assert_string_equal(identity.machine, some.machine);
    assert_int_equal(identity.run, some.run);
    assert_true(identity.total == some.total);
    struct identity other = {
        .epoch = "ffffffffffffffff", .machine = IDENTITY_UNKNOWN, .run = 42, .total = 0};
    assert_int_equal(identity_write(f->data_dir, &other), 0);
    assert_int_equal(identity_read(f->data_dir, &identity), 0);
    assert_string_equal(identity.epoch, other.epoch);
    assert_string_equal(identity.machine, IDENTITY_UNKNOWN);
}

static void test_the_file_is_one_line_that_only_its_owner_reads(void **state)
{
    struct fixture *f = *state;
    char text[512], path[160];
    assert_int_equal(identity_write(f->data_dir, &some), 0);
    size_t n = get(f, text);
    assert_memory_equal(text, "sluice-identity 1 epoch=0123456789abcdef run=41 ", 48);
    assert_ptr_equal(strchr(text, '\n'), text + n - 1);
    struct stat st;
    assert_int_equal(stat(path_of(f, path), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_a_file_that_is_not_what_was_written_is_none(void **state)
{
    struct fixture *f = *state;
    char good[512], bad[512];
    struct identity identity = {.run = 7};
    assert_int_equal(identity_write(f->data_dir, &some), 0);
    size_t n = get(f, good);
    for (size_t i = 0; i < n; i++) {
        memcpy(bad, good, n);
        bad[i] ^= 1;
        put(f, bad, n);
        assert_int_equal(identity_read(f->data_dir, &identity), IDENTITY_NONE);
        put(f, good, i);
        assert_int_equal(identity_read(f->data_dir, &identity), IDENTITY_NONE);
    }
    memset(bad, 'x', sizeof(bad));
    memcpy(bad, good, n);
    put(f, bad, n + 1);
    assert_int_equal(identity_read(f->data_dir, &identity), IDENTITY_NONE);
    put(f, bad, sizeof(bad));
    assert_int_equal(identity_read(f->data_dir, &identity), IDENTITY_NONE);
    assert_int_equal(identity.run, 7);
    put(f, good, n);
    assert_int_equal(identity_read(f->data_dir, &identity), 0);
}

static void test_a_failed_write_leaves_the_old_file(void **state)
{
    struct fixture *f = *state;
    char draft[176], path[160];
    assert_int_equal(identity_write(f->data_dir, &some), 0);
    snprintf(draft, sizeof(draft), "%s-new", path_of(f, path));
    assert_int_equal(mkdir(draft, 0700), 0);
    struct identity other = some, identity;
    other.run = 99;
    assert_int_equal(identity_write(f->data_dir, &other), -EISDIR);
    assert_int_equal(identity_read(f->data_dir, &identity), 0);
    assert_int_equal(identity.run, 41);
    assert_int_equal(rmdir(draft), 0);
    assert_int_equal(identity_write(f->data_dir, &other), 0);
    assert_int_not_equal(access(draft, F_OK), 0);
}

static void test_a_machine_is_known_by_a_hash_and_an_empty_id_is_unknown(void **state)
{
    (void)state;
    static const char id[] = "0123456789abcdef0123456789abcdef";
    char one[IDENTITY_MACHINE_MAX_BYTES], two[IDENTITY_MACHINE_MAX_BYTES];
    identity_machine(id, one);
    identity_machine("0123456789abcdef0123456789abcdee", two);
    assert_int_equal(strlen(one), 16);
    assert_string_not_equal(one, two);
    assert_null(strstr(id, one));
    identity_machine(id, two);
    assert_string_equal(one, two);
    identity_machine("", one);
    assert_string_equal(one, IDENTITY_UNKNOWN);
    identity_machine(NULL, one); /* whatever this machine says, always the same */
    identity_machine(NULL, two);
    assert_string_equal(one, two);
    assert_true(one[0]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_written_is_read),
        TEST(test_the_file_is_one_line_that_only_its_owner_reads),
        TEST(test_a_file_that_is_not_what_was_written_is_none),
        TEST(test_a_failed_write_leaves_the_old_file),
        TEST(test_a_machine_is_known_by_a_hash_and_an_empty_id_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
