#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* What maintenance logs, as a text. */
static void maintain(struct fixture *f, char *log, size_t size)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/log", f->base);
    int before = dup(STDERR_FILENO);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(before >= 0 && file >= 0);
    fflush(stderr);
    assert_true(dup2(file, STDERR_FILENO) >= 0);
    bool more;
    int r = store_maintain(f->store, &more);
    fflush(stderr);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    ssize_t len = pread(file, log, size - 1, 0);
    assert_true(len >= 0);
    log[len] = '\0';
    close(before);
    close(file);
    assert_int_equal(r, 0);
}

static struct range_feed *attach(struct fixture *f, const char *consumer)
{
    const char *names[] = {"events"};
    struct range_feed *feed;
    assert_int_equal(range_feed_new(consumer, RANGE_START_OLDEST, names, 1, &feed), 0);
    assert_int_equal(store_attach(f->store, feed), 0);
    return feed;
}

static void test_who_does_not_come_and_holds_events_is_named_once(void **state)
{
    struct fixture *f = *state;
    char log[4096];
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 10, 20);
    struct range_feed *here = attach(f, "here"), *gone = attach(f, "gone");
    int64_t id;
    assert_int_equal(store_range_split(f->store, "here", stream, 5, &id), 0);
    const struct store_range_spec replay = {
        .consumer = "asked", .stream = stream, .lane = STORE_LANE_REPLAY, .end_offset = 5};
    assert_int_equal(store_range_add(f->store, &replay, &id), 0);
    store_move_cursor(f->store, gone, 0, 4);
    store_detach(f->store, gone);
    f->now_us += 59 * 1000000;
    maintain(f, log, sizeof(log));
    assert_null(strstr(log, "upstream=")); /* it may still come */
    f->now_us += 2 * 1000000;
    maintain(f, log, sizeof(log));
    assert_non_null(strstr(log, "upstream=\"gone\" stream=events events=6"));
    assert_null(strstr(log, "\"here\""));
    assert_null(strstr(log, "\"asked\""));
    f->now_us += 61 * 1000000;
    maintain(f, log, sizeof(log));
    assert_null(strstr(log, "upstream="));
    /* One that holds nothing yet is named when it does. */
    store_move_cursor(f->store, here, 0, 10);
    store_detach(f->store, here);
    fixture_fill(f, stream, 10, 3, 20);
    f->now_us += 61 * 1000000;
    maintain(f, log, sizeof(log));
    assert_non_null(strstr(log, "upstream=\"here\" stream=events events=3"));
    range_feed_unref(here);
    range_feed_unref(gone);
}

int main(void)
{
    log_set_level(LOG_LEVEL_WARN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_who_does_not_come_and_holds_events_is_named_once,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
