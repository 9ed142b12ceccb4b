#include "gap_reader.h"

#include <stdio.h>

#include "event/event.h"
#include "store/read.h"
#include "store/store_config.h"

static int parse(const struct event *event, struct gap_record *ret)
{
    char text[512];
    snprintf(text, sizeof(text), "%.*s", (int)event->payload.len,
             (const char *)event->payload.data);
    return sscanf(text,
                  "{\"stream\":\"%31[^\"]\",\"from\":%llu,\"to\":%llu,\"count\":%llu,"
                  "\"reason\":\"%31[^\"]\",\"upstream\":\"%31[^\"]\"",
                  ret->stream, &ret->from, &ret->to, &ret->count, ret->reason, ret->upstream) == 6
               ? 0
               : -1;
}

int gap_reader_next(struct store_reader *reader, uint64_t *offset,
                    void (*take)(void *data, const struct gap_record *record), void *data)
{
    struct store_stream_info info;
    if (store_read_stream(reader, STORE_STREAM_GATEWAY, &info))
        return -1;
    while (*offset < info.next_offset) {
        struct segment *segment;
        struct segment_iterator it;
        struct event event;
        uint64_t at;
        if (store_read(reader, info.stream, *offset, &segment, &at))
            return -1;
        segment_iterator_init(&it, segment, *offset);
        while (segment_next(&it, &event, &at) == 0) {
            struct gap_record record;
            if (slice_equal(event.type, SLICE_LITERAL("sluice.gap"))) {
                if (parse(&event, &record)) {
                    segment_unref(segment);
                    return -1;
                }
                take(data, &record);
            }
        }
        *offset = segment_end_offset(segment);
        segment_unref(segment);
    }
    return 0;
}
