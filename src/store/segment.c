#include "store/read.h"

#include <errno.h>
#include <stdlib.h>

#include "base/result.h"
#include "event/event.h"
#include "store/batch.h"
#include "store/internal.h"

int segment_new(struct segment **ret)
{
    struct segment *segment = calloc(1, sizeof(*segment));
    if (!segment)
        return result_origin(-ENOMEM);
    atomic_init(&segment->references, 1);
    *ret = segment;
    return 0;
}

struct segment *segment_ref(struct segment *segment)
{
    atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
    return segment;
}

struct segment *segment_unref(struct segment *segment)
{
    if (!segment || atomic_fetch_sub_explicit(&segment->references, 1, memory_order_acq_rel) != 1)
        return NULL;
    bytes_deinit(&segment->records);
    free(segment);
    return NULL;
}

void segment_iterator_init(struct segment_iterator *it, const struct segment *segment,
                           uint64_t offset)
{
    *it = (struct segment_iterator){.segment = segment, .next_offset = segment->base_offset};
    struct event skipped;
    uint64_t ignored;
    while (it->next_offset < offset && segment_next(it, &skipped, &ignored) == 0)
        ;
}

int segment_next(struct segment_iterator *it, struct event *ret, uint64_t *ret_offset)
{
    if (it->next_offset >= segment_end_offset(it->segment))
        return SEGMENT_END;
    int r = batch_decode(bytes_slice(&it->segment->records), &it->position, &it->received_us, ret);
    if (r)
        return result_trace(r);
    if (it->segment->corrected && ret->quality == CLOCK_UNSYNCED) {
        ret->received_us =
            (int64_t)((uint64_t)ret->received_us + (uint64_t)it->segment->correction_us);
        ret->quality = CLOCK_CORRECTED;
    }
    *ret_offset = it->next_offset++;
    return 0;
}

uint64_t segment_iterator_bytes(const struct segment_iterator *it)
{
    return it->segment->end_bytes - it->segment->records.len + it->position;
}
