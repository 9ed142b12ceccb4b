#ifndef SLUICE_TESTS_STORE_CLOCKS_H
#define SLUICE_TESTS_STORE_CLOCKS_H
/* Events whose received times follow from the fixture's clock. */
#include "fixture.h"

#define CLOCKS_YEAR_US (INT64_C(31556952) * 1000000)
#define CLOCKS_TRUE_BASE_US (56 * CLOCKS_YEAR_US) /* of a wall clock that is right */

/* An event as it is read. */
struct sighting {
    uint64_t offset;
    int64_t received_us;
    enum clock_quality quality;
};

/* Time goes on by a millisecond; an event is received and appended. Its monotonic time. */
static inline int64_t clocks_receive(struct fixture *f, uint32_t stream)
{
    f->now_us += 1000;
    const struct clock_stamp stamp = clock_now(&f->clock);
    const struct event event = {.topic = SLICE_LITERAL("site/a"),
                                .device = SLICE_LITERAL("a"),
                                .type = SLICE_LITERAL("test"),
                                .payload = SLICE_LITERAL("x"),
                                .received_us = stamp.wall_us,
                                .time_us = EVENT_NO_TIME,
                                .quality = stamp.quality,
                                .qos = 1};
    uint64_t offset;
    store_time(f->store, &stamp);
    assert_int_equal(store_append(f->store, stream, &event, &offset), 0);
    return stamp.monotonic_us;
}

static inline void clocks_set(struct fixture *f, int64_t base_us, bool synced)
{
    f->base_us = base_us;
    f->unsynced = !synced;
}

/* Reads the whole stream; how many events there were. */
static inline unsigned clocks_read(struct fixture *f, uint32_t stream, struct sighting *ret,
                                   unsigned max)
{
    struct store_reader *reader;
    struct segment *segment;
    uint64_t offset = 0, skip;
    unsigned count = 0;
    int r;
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    while (!(r = store_read(reader, stream, offset, &segment, &skip))) {
        struct segment_iterator it;
        struct event event;
        segment_iterator_init(&it, segment, offset);
        while (!segment_next(&it, &event, &offset)) {
            assert_in_range(count, 0, max - 1);
            ret[count++] = (struct sighting){offset, event.received_us, event.quality};
        }
        offset = segment_end_offset(segment);
        segment_unref(segment);
    }
    assert_int_equal(r, STORE_READ_END);
    store_reader_close(reader);
    return count;
}

#endif
