#ifndef SLUICE_SESSION_ALIAS_H
#define SLUICE_SESSION_ALIAS_H
/*
 * Topic aliases of one connection, inbound [MQTT-3.3.2-8] to [MQTT-3.3.2-12]. Lives and dies with
 * the connection. Bounded: maximum aliases, and their topics together: a client may have one of the
 * longest, or all with ALIAS_AVERAGE_BYTES, not all of them with the longest.
 */
#include <stdint.h>

#include "base/bytes.h"

enum { ALIAS_AVERAGE_BYTES = 256 }; /* of a topic, per alias granted */

struct alias_table {
    struct bytes *topics; /* owned, maximum entries; NULL until the first alias is used */
    size_t bytes;         /* memory of the topics */
    uint16_t maximum;     /* aliases 1..maximum; 0: none */
};

void alias_table_init(struct alias_table *table, uint16_t maximum);
void alias_table_deinit(struct alias_table *table);

enum alias_outcome {
    ALIAS_INVALID = 1, /* above the maximum, or 0 [MQTT-3.3.2-9]: 0x94 */
    ALIAS_UNKNOWN = 2, /* no topic and nothing was set before: 0x82 */
    ALIAS_FULL = 3     /* the topics of all aliases are too long together: 0x97 */
};

/* Sets alias to *topic if that is not empty, else fills *topic with what alias was set to; that is
 * borrowed until the next call. 0, an enum alias_outcome, -ENOMEM. */
int alias_table_resolve(struct alias_table *table, uint32_t alias, struct slice *topic);

#endif
