#include "session/alias.h"

#include <errno.h>
#include <stdlib.h>

#include "base/result.h"
#include "mqtt/topic.h"

void alias_table_init(struct alias_table *table, uint16_t maximum)
{
    *table = (struct alias_table){.maximum = maximum};
}

void alias_table_deinit(struct alias_table *table)
{
    for (uint32_t i = 0; table->topics && i < table->maximum; i++)
        bytes_deinit(&table->topics[i]);
    free(table->topics);
    *table = (struct alias_table){.maximum = 0};
}

static int make_topics(struct alias_table *table)
{
    table->topics = calloc(table->maximum, sizeof *table->topics);
    if (!table->topics)
        return result_origin(-ENOMEM);
    return 0;
}

/* Keeps topic as the one of an alias, in memory of its size. 0, ALIAS_FULL, -ENOMEM. */
static int set_topic(struct alias_table *table, struct bytes *known, struct slice topic)
{
    size_t allowed = MQTT_TOPIC_MAX_BYTES + (size_t)table->maximum * ALIAS_AVERAGE_BYTES;
    size_t others = table->bytes - known->cap;
    if (topic.len > allowed - others)
        return ALIAS_FULL;
    known->len = 0;
    if (known->cap < topic.len || known->cap / 2 > topic.len) {
        table->bytes = others;
        bytes_deinit(known);
        known->max = topic.len; /* no more than that: bytes would double */
    }
    int r = result_fold(bytes_append_slice(known, topic));
    table->bytes = others + known->cap;
    return r;
}

int alias_table_resolve(struct alias_table *table, uint32_t alias, struct slice *topic)
{
    if (alias == 0 || alias > table->maximum)
        return ALIAS_INVALID;
    if (!table->topics && topic->len == 0)
        return ALIAS_UNKNOWN;
    int r = table->topics ? 0 : make_topics(table);
    if (r)
        return r;
    struct bytes *known = &table->topics[alias - 1];
    if (topic->len)
        return set_topic(table, known, *topic);
    if (known->len == 0)
        return ALIAS_UNKNOWN;
    *topic = bytes_slice(known);
    return 0;
}
