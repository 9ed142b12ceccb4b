#include "pipeline/group.h"

bool group_due(const struct group *group, const struct group_limits *limits, int64_t now_us,
               bool nothing_waits)
{
    if (!group->events)
        return false;
    if (group->events >= limits->max_events || group->bytes >= limits->max_bytes)
        return true;
    if (limits->max_delay_us == 0)
        return nothing_waits;
    return now_us >= group_due_us(group, limits);
}

int64_t group_due_us(const struct group *group, const struct group_limits *limits)
{
    return group->events ? group->first_us + limits->max_delay_us : INT64_MAX;
}
