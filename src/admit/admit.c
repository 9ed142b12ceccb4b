#include "admit/admit.h"

#include "event/event.h"

enum admit_verdict admit_event(struct event *event)
{
    struct slice topic = event->topic;
    const uint8_t *slash = topic.len ? memrchr(topic.data, '/', topic.len) : NULL;
    size_t before = slash ? (size_t)(slash - topic.data) : 0;
    size_t after = slash ? before + 1 : 0;

    event->device = before ? slice_make(topic.data, before) : topic;
    event->type = after < topic.len ? slice_make(topic.data + after, topic.len - after)
                                    : SLICE_LITERAL("message");
    return ADMIT_ACCEPT;
}
