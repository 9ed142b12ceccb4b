#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "uplink/lane.h"

static uint64_t wanted(const struct lane *lane, uint64_t head)
{
    uint64_t offset = UINT64_MAX;
    assert_true(lane_wants(lane, head, &offset));
    return offset;
}

/* Sends what is wanted n times; returns the slot of the last. */
static unsigned send(struct lane *lane, uint64_t head, unsigned n)
{
    unsigned slot = 0;
    while (n--)
        slot = lane_sent(lane, wanted(lane, head));
    return slot;
}

static void test_offsets_go_out_in_order_up_to_the_head(void **state)
{
    (void)state;
    struct lane lane;
    lane_init(&lane, 7);
    for (uint64_t i = 7; i < 10; i++)
        assert_int_equal(lane_sent(&lane, wanted(&lane, 10)), i - 7);
    uint64_t offset;
    assert_false(lane_wants(&lane, 10, &offset));
    assert_true(lane_wants(&lane, 11, &offset));
    assert_int_equal(offset, 10);
}

static void test_cursor_moves_over_the_longest_acknowledged_prefix_only(void **state)
{
    (void)state;
    struct lane lane;
    lane_init(&lane, 0);
    send(&lane, 100, 4);
    assert_true(lane_acknowledge(&lane, 1));
    assert_true(lane_acknowledge(&lane, 3));
    assert_int_equal(lane.cursor, 0);
    assert_int_equal(lane.acknowledged, 0);
    assert_true(lane_acknowledge(&lane, 0));
    assert_int_equal(lane.cursor, 2);
    assert_true(lane_acknowledge(&lane, 2));
    assert_int_equal(lane.cursor, 4);
    assert_int_equal(lane.acknowledged, 4);
    assert_int_equal(lane.sent, 0);
}

static void test_an_answer_counts_once(void **state)
{
    (void)state;
    struct lane lane;
    lane_init(&lane, 0);
    send(&lane, 100, 2);
    assert_true(lane_acknowledge(&lane, 1));
    assert_false(lane_acknowledge(&lane, 1));
    assert_false(lane_acknowledge(&lane, 9));
    assert_false(lane_acknowledge(&lane, LANE_SLOTS));
    assert_int_equal(lane.sent, 1);
}

static void test_after_a_loss_only_what_is_unacknowledged_goes_out_again_in_order(void **state)
{
    (void)state;
    struct lane lane;
    lane_init(&lane, 10);
    send(&lane, 100, 5); /* 10..14 */
    lane_acknowledge(&lane, 1);
    lane_acknowledge(&lane, 3);
    lane_lose(&lane);
    static const uint64_t expected[] = {10, 12, 14, 15};
    for (unsigned i = 0; i < 4; i++) {
        uint64_t offset = wanted(&lane, 100);
        assert_int_equal(offset, expected[i]);
        lane_sent(&lane, offset);
    }
    assert_int_equal(lane.cursor, 10);
    for (unsigned slot = 0; slot <= 5; slot++)
        lane_acknowledge(&lane, slot);
    assert_int_equal(lane.cursor, 16);
    assert_int_equal(lane.acknowledged, 6);
}

static void test_a_refused_event_goes_out_before_new_ones_and_is_counted(void **state)
{
    (void)state;
    struct lane lane;
    lane_init(&lane, 0);
    send(&lane, 100, 3);
    assert_true(lane_refuse(&lane, 1, true));
    assert_int_equal(wanted(&lane, 100), 1);
    assert_int_equal(lane_attempts(&lane, 1), 1);
    lane_sent(&lane, 1);
    assert_true(lane_refuse(&lane, 1, false));
    assert_int_equal(lane_attempts(&lane, 1), 1);
    lane_acknowledge(&lane, 0);
    lane_acknowledge(&lane, 2);
    assert_int_equal(lane.cursor, 1);
    lane_skip(&lane, 1, 2);
    assert_int_equal(lane.cursor, 3);
    assert_int_equal(lane.acknowledged, 2); /* what was given up was not acknowledged */
    assert_int_equal(wanted(&lane, 100), 3);
    assert_int_equal(lane_attempts(&lane, 3), 0);
}

static void test_attempts_survive_a_loss(void **state)
{
    (void)state;
    struct lane lane;
    lane_init(&lane, 0);
    unsigned slot = send(&lane, 100, 1);
    for (unsigned i = 0; i < 300; i++) {
        lane_refuse(&lane, slot, true);
        lane_sent(&lane, 0);
    }
    lane_lose(&lane);
    assert_int_equal(lane_attempts(&lane, 0), UINT8_MAX);
}

static void test_a_withdrawn_event_is_wanted_again(void **state)
{
    (void)state;
    struct lane lane;
    lane_init(&lane, 5);
    lane_withdraw(&lane, lane_sent(&lane, 5));
    assert_int_equal(wanted(&lane, 100), 5);
    assert_int_equal(lane_attempts(&lane, 5), 0);
    assert_int_equal(lane.sent, 0);
}

static void test_a_gap_moves_the_cursor_once_all_before_it_is_done(void **state)
{
    (void)state;
    struct lane lane;
    lane_init(&lane, 0);
    unsigned slot = send(&lane, 5000, 1);
    lane_skip(&lane, 1, 4000);
    assert_int_equal(lane.cursor, 0);
    assert_int_equal(wanted(&lane, 5000), 4000);
    lane_acknowledge(&lane, slot);
    assert_int_equal(lane.cursor, 4000);
    assert_int_equal(lane.acknowledged, 1);
    lane_skip(&lane, 4000, 4500);
    assert_int_equal(lane.cursor, 4500);
}

static void test_the_ring_bounds_what_stands_between_cursor_and_next(void **state)
{
    (void)state;
    struct lane lane;
    lane_init(&lane, 0);
    send(&lane, 100000, LANE_SLOTS);
    for (unsigned slot = 1; slot < LANE_SLOTS; slot++)
        lane_acknowledge(&lane, slot);
    uint64_t offset;
    assert_false(lane_wants(&lane, 100000, &offset));
    lane_acknowledge(&lane, 0);
    assert_int_equal(lane.cursor, LANE_SLOTS);
    assert_true(lane_wants(&lane, 100000, &offset));
}

/* Any order of answers, refusals and losses: every offset is acknowledged, none is passed over, and
 * the cursor never stands beyond one that is not done. */
static void test_any_course_of_events_acknowledges_everything(void **state)
{
    (void)state;
    enum { EVENTS = 3000, WINDOW = 100 };
    static unsigned char done[EVENTS];
    memset(done, 0, sizeof(done));
    struct lane lane;
    lane_init(&lane, 0);
    uint64_t slots[LANE_SLOTS];
    bool out[LANE_SLOTS] = {false};
    srand(4711);
    while (lane.cursor < EVENTS) {
        uint64_t offset;
        if (lane.sent < WINDOW && rand() % 2 && lane_wants(&lane, EVENTS, &offset)) {
            unsigned slot = lane_sent(&lane, offset);
            slots[slot] = offset;
            out[slot] = true;
        }
        unsigned slot = (unsigned)rand() % LANE_SLOTS;
        if (out[slot] && rand() % 10 == 0) {
            assert_true(lane_refuse(&lane, slot, true));
            out[slot] = false;
        } else if (out[slot]) {
            assert_true(lane_acknowledge(&lane, slot));
            assert_int_equal(done[slots[slot]]++, 0);
            out[slot] = false;
        }
        if (rand() % 1000 == 0) {
            lane_lose(&lane);
            memset(out, 0, sizeof(out));
        }
        for (uint64_t i = lane.cursor > 300 ? lane.cursor - 300 : 0; i < lane.cursor; i++)
            assert_int_equal(done[i], 1);
    }
    assert_int_equal(lane.acknowledged, EVENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offsets_go_out_in_order_up_to_the_head),
        cmocka_unit_test(test_cursor_moves_over_the_longest_acknowledged_prefix_only),
        cmocka_unit_test(test_an_answer_counts_once),
        cmocka_unit_test(test_after_a_loss_only_what_is_unacknowledged_goes_out_again_in_order),
        cmocka_unit_test(test_a_refused_event_goes_out_before_new_ones_and_is_counted),
        cmocka_unit_test(test_attempts_survive_a_loss),
        cmocka_unit_test(test_a_withdrawn_event_is_wanted_again),
        cmocka_unit_test(test_a_gap_moves_the_cursor_once_all_before_it_is_done),
        cmocka_unit_test(test_the_ring_bounds_what_stands_between_cursor_and_next),
        cmocka_unit_test(test_any_course_of_events_acknowledges_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
