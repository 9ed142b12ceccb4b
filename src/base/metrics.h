#ifndef SLUICE_BASE_METRICS_H
#define SLUICE_BASE_METRICS_H
/*
 * Metrics: one row per metric in metrics_table, from which /metrics, /api/v1/status and the
 * reference are made. A metric belongs to a group; a group has one set of cells per labelled thing
 * (a listener, a stream, an upstream), the process group exactly one. Cells are relaxed atomics:
 * any thread adds, any thread reads, nobody waits. Hot paths add once per batch, not per event.
 */
#include <stdatomic.h>
#include <stdint.h>

enum metric_group {
    METRIC_GROUP_PROCESS,  /* no labels */
    METRIC_GROUP_LISTENER, /* listener="name" */
    METRIC_GROUP_STREAM,   /* stream="name" */
    METRIC_GROUP_UPSTREAM, /* upstream="name" */
    METRIC_GROUP_RANGE,    /* upstream="name",stream="name" */
    METRIC_GROUP_COUNT
};

enum metric_type {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_SECONDS_COUNTER, /* kept in microseconds */
    METRIC_FRACTION_GAUGE   /* kept in millionths */
};

enum metric {
    /* process */
    METRIC_START_TIME,
    METRIC_RELOADS_OK,
    METRIC_RELOADS_REFUSED,
    METRIC_EVENTS_ADMITTED,
    METRIC_EVENTS_DROPPED_QOS0_FULL,
    METRIC_EVENTS_DROPPED_TOO_LARGE,
    METRIC_EVENTS_REJECTED_FULL,
    METRIC_COMMITS,
    METRIC_COMMIT_SECONDS,
    METRIC_COMMIT_FAILURES,
    METRIC_STORE_DEGRADED,
    METRIC_STORE_EPOCHS,
    METRIC_STORE_DATABASE_BYTES,
    METRIC_STORE_WAL_BYTES,
    METRIC_STORE_SHM_BYTES,
    METRIC_STORE_USED_BYTES,
    METRIC_NOTICES_LOST,
    METRIC_DEAD_LETTERS,
    METRIC_CHECKPOINTS,
    METRIC_CURSOR_COMMITS,
    METRIC_STORE_QUARANTINES,
    METRIC_STORE_WRITTEN_BYTES,
    METRIC_STORE_FLASH_BYTES,
    METRIC_STORE_SYNCS,
    METRIC_STORE_WRITTEN_BYTES_HOUR,
    METRIC_STORE_WRITTEN_BYTES_DAY,
    METRIC_STORE_FLASH_BYTES_HOUR,
    METRIC_STORE_FLASH_BYTES_DAY,
    METRIC_STORE_SYNCS_HOUR,
    METRIC_STORE_WRITE_AMPLIFICATION,
    METRIC_STORE_FLASH_LIFE,
    METRIC_STORE_COMMIT_DELAY,
    METRIC_INGEST_IN_FLIGHT_BYTES,
    /* listener */
    METRIC_CONNECTIONS,
    METRIC_CONNECTIONS_ACCEPTED,
    METRIC_CONNECTIONS_REFUSED,
    METRIC_CONNECTIONS_CLOSED_CLIENT,
    METRIC_CONNECTIONS_CLOSED_ERROR,
    METRIC_CONNECTIONS_CLOSED_KEEP_ALIVE,
    METRIC_CONNECTIONS_CLOSED_TAKEOVER,
    METRIC_CONNECTIONS_CLOSED_SHUTDOWN,
    METRIC_CONNECTIONS_PAUSED,
    METRIC_RECEIVED_BYTES,
    METRIC_SENT_BYTES,
    METRIC_EVENTS_RECEIVED_QOS0,
    METRIC_EVENTS_RECEIVED_QOS1,
    METRIC_EVENTS_ACKNOWLEDGED,
    METRIC_EVENTS_UNACKNOWLEDGED_GONE,
    METRIC_PUBLISH_REFUSED,
    /* stream */
    METRIC_STREAM_APPENDED_EVENTS,
    METRIC_STREAM_APPENDED_BYTES,
    METRIC_STREAM_FIRST_OFFSET,
    METRIC_STREAM_NEXT_OFFSET,
    METRIC_STREAM_BYTES,
    METRIC_STREAM_EVICTED_EVENTS,
    METRIC_STREAM_DROPPED_EVENTS,
    METRIC_STREAM_FULL,
    METRIC_STREAM_REPACKED_BATCHES,
    /* upstream */
    METRIC_UPSTREAM_CONNECTED,
    METRIC_UPSTREAM_CONNECTS,
    METRIC_UPSTREAM_CONNECT_FAILURES,
    METRIC_UPSTREAM_DISCONNECTS,
    METRIC_UPSTREAM_FORWARDED_EVENTS,
    METRIC_UPSTREAM_FORWARDED_BYTES,
    METRIC_UPSTREAM_SENT_MESSAGES,
    METRIC_UPSTREAM_SEND_FAILURES,
    METRIC_UPSTREAM_IN_FLIGHT,
    METRIC_UPSTREAM_WINDOW,
    METRIC_UPSTREAM_READS,
    METRIC_UPSTREAM_SKIPPED_EVENTS,
    /* range */
    METRIC_RANGE_NEXT_OFFSET,
    METRIC_RANGE_LAG_EVENTS,
    METRIC_RANGE_LAG_BYTES,
    METRIC_RANGE_OLDEST_UNSENT,
    METRIC_COUNT
};

struct metric_row {
    enum metric_group group;
    enum metric_type type;
    const char *name;   /* Prometheus name with unit and _total; never changes once released */
    const char *labels; /* fixed labels of this row ("reason=\"x\""), or NULL */
    const char *field;  /* its key in /api/v1/status */
    const char *help;
};

extern const struct metric_row metrics_table[METRIC_COUNT];

struct metric_set; /* the cells of one labelled thing */

/* The set of the process group. Never NULL. */
struct metric_set *metric_process(void);

/* Finds or makes the set of a group for its label values (second only for METRIC_GROUP_RANGE, else
 * NULL). Sets live until the process ends, so that counters survive a reload; their number is
 * bounded by the configuration. NULL only without memory. Any thread, takes a lock: not for the hot
 * path. */
struct metric_set *metric_set_get(enum metric_group group, const char *first, const char *second);

/* set may be NULL (tests): then nothing happens. The metric must be of the set's group (asserted).
 */
void metric_add(struct metric_set *set, enum metric metric, uint64_t n);
void metric_sub(struct metric_set *set, enum metric metric, uint64_t n); /* gauges */
void metric_put(struct metric_set *set, enum metric metric, uint64_t value);
uint64_t metric_get(const struct metric_set *set, enum metric metric);

/* A state of the thing in one word, and the last trouble in one sentence; static strings only. */
void metric_set_state(struct metric_set *set, const char *state);
void metric_set_trouble(struct metric_set *set, const char *trouble); /* NULL: none */

/* Reading. metric_set_next(NULL, g) is the first set of a group, NULL the end. Any thread. */
const struct metric_set *metric_set_next(const struct metric_set *set, enum metric_group group);
const char *metric_set_label(const struct metric_set *set, unsigned which); /* 0 or 1; NULL: none */
const char *metric_set_get_state(const struct metric_set *set);             /* NULL: none */
const char *metric_set_get_trouble(const struct metric_set *set);           /* NULL: none */

/* Label names of a group, by position; NULL beyond the last. */
const char *metric_group_label(enum metric_group group, unsigned which);

#endif
