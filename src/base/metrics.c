#include "base/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ROW(group, type, name, labels, field, help)                                                \
    { METRIC_GROUP_##group, METRIC_##type, name, labels, field, help }

/* One line a row: a table reads as a table. */
/* clang-format off */
const struct metric_row metrics_table[METRIC_COUNT] = {
    [METRIC_START_TIME] = ROW(PROCESS, GAUGE, "sluice_start_time_seconds", NULL, "start_time", "Start of the process, Unix time"),
    [METRIC_RELOADS_OK] = ROW(PROCESS, COUNTER, "sluice_config_reloads_total", "result=\"ok\"", "reloads_ok", "Configuration reloads"),
    [METRIC_RELOADS_REFUSED] = ROW(PROCESS, COUNTER, "sluice_config_reloads_total", "result=\"refused\"", "reloads_refused", "Configuration reloads"),
    [METRIC_EVENTS_ADMITTED] = ROW(PROCESS, COUNTER, "sluice_events_admitted_total", NULL, "events_admitted", "Events that passed admission"),
    [METRIC_EVENTS_DROPPED_QOS0_FULL] = ROW(PROCESS, COUNTER, "sluice_events_dropped_total", "reason=\"qos0_full\"", "events_dropped_qos0_full", "Events that were not stored"),
    [METRIC_EVENTS_DROPPED_TOO_LARGE] = ROW(PROCESS, COUNTER, "sluice_events_dropped_total", "reason=\"too_large\"", "events_dropped_too_large", "Events that were not stored"),
    [METRIC_EVENTS_REJECTED_FULL] = ROW(PROCESS, COUNTER, "sluice_events_rejected_total", "reason=\"full\"", "events_rejected_full", "Events refused with a reason code, or by closing where MQTT 3.1.1 has none"),
    [METRIC_COMMITS] = ROW(PROCESS, COUNTER, "sluice_store_commits_total", NULL, "commits", "Synced commits"),
    [METRIC_COMMIT_SECONDS] = ROW(PROCESS, SECONDS_COUNTER, "sluice_store_commit_seconds_total", NULL, "commit_seconds", "Time spent in commits, sync included"),
    [METRIC_COMMIT_FAILURES] = ROW(PROCESS, COUNTER, "sluice_store_commit_failures_total", NULL, "commit_failures", "Commits that failed and are tried again"),
    [METRIC_STORE_DEGRADED] = ROW(PROCESS, GAUGE, "sluice_store_degraded", NULL, "degraded", "1 while the store cannot be written and nothing is acknowledged"),
    [METRIC_STORE_EPOCHS] = ROW(PROCESS, COUNTER, "sluice_store_epochs_total", NULL, "epochs", "Changes of the epoch since the database was made"),
    [METRIC_STORE_DATABASE_BYTES] = ROW(PROCESS, GAUGE, "sluice_store_bytes", "file=\"database\"", "database_bytes", "Size of the store's files"),
    [METRIC_STORE_WAL_BYTES] = ROW(PROCESS, GAUGE, "sluice_store_bytes", "file=\"wal\"", "wal_bytes", "Size of the store's files"),
    [METRIC_STORE_SHM_BYTES] = ROW(PROCESS, GAUGE, "sluice_store_bytes", "file=\"shm\"", "shm_bytes", "Size of the store's files"),
    [METRIC_STORE_USED_BYTES] = ROW(PROCESS, GAUGE, "sluice_store_used_bytes", NULL, "used_bytes", "Pages of the database in use, free ones not counted"),
    [METRIC_NOTICES_LOST] = ROW(PROCESS, COUNTER, "sluice_store_notices_lost_total", NULL, "notices_lost", "Gap records and other notices of the gateway that could not be stored"),
    [METRIC_DEAD_LETTERS] = ROW(PROCESS, COUNTER, "sluice_dead_letters_total", NULL, "dead_letters", "Events given up and kept in $dlq with the reason"),
    [METRIC_CHECKPOINTS] = ROW(PROCESS, COUNTER, "sluice_store_checkpoints_total", NULL, "checkpoints", "WAL checkpoints"),
    [METRIC_CURSOR_COMMITS] = ROW(PROCESS, COUNTER, "sluice_store_cursor_commits_total", NULL, "cursor_commits", "Commits made for cursor moves alone"),
    [METRIC_STORE_QUARANTINES] = ROW(PROCESS, GAUGE, "sluice_store_quarantines", NULL, "quarantines", "Damaged databases kept aside"),
    [METRIC_STORE_WRITTEN_BYTES] = ROW(PROCESS, COUNTER, "sluice_store_written_bytes_total", NULL, "written_bytes", "Bytes the store has handed to the file system, over all runs"),
    [METRIC_STORE_FLASH_BYTES] = ROW(PROCESS, COUNTER, "sluice_store_flash_bytes_total", NULL, "flash_bytes", "Estimate of what that is for the disk: blocks of 4 KiB touched between two syncs, over all runs"),
    [METRIC_STORE_SYNCS] = ROW(PROCESS, COUNTER, "sluice_store_syncs_total", NULL, "syncs", "Syncs of the store's files, over all runs"),
    [METRIC_STORE_WRITTEN_BYTES_HOUR] = ROW(PROCESS, GAUGE, "sluice_store_written_bytes_per_hour", NULL, "written_bytes_per_hour", "Bytes written in the last hour of running time"),
    [METRIC_STORE_WRITTEN_BYTES_DAY] = ROW(PROCESS, GAUGE, "sluice_store_written_bytes_per_day", NULL, "written_bytes_per_day", "Bytes written in the last 24 h of running time; at the same rate, if it runs for less"),
    [METRIC_STORE_FLASH_BYTES_HOUR] = ROW(PROCESS, GAUGE, "sluice_store_flash_bytes_per_hour", NULL, "flash_bytes_per_hour", "Estimate of what the last hour of running time was for the disk"),
    [METRIC_STORE_FLASH_BYTES_DAY] = ROW(PROCESS, GAUGE, "sluice_store_flash_bytes_per_day", NULL, "flash_bytes_per_day", "Estimate of what the last 24 h of running time were for the disk: what commit.write_budget limits"),
    [METRIC_STORE_SYNCS_HOUR] = ROW(PROCESS, GAUGE, "sluice_store_syncs_per_hour", NULL, "syncs_per_hour", "Syncs in the last hour of running time"),
    [METRIC_STORE_WRITE_AMPLIFICATION] = ROW(PROCESS, FRACTION_GAUGE, "sluice_store_write_amplification_ratio", NULL, "write_amplification", "Bytes for the disk per byte of records committed, last 24 h; 0: not known"),
    [METRIC_STORE_FLASH_LIFE] = ROW(PROCESS, GAUGE, "sluice_store_flash_life_seconds", NULL, "flash_life_seconds", "Running time until disk.endurance is used up, at the rate of the last 24 h; 0: not known"),
    [METRIC_STORE_COMMIT_DELAY] = ROW(PROCESS, FRACTION_GAUGE, "sluice_store_commit_delay_seconds", NULL, "commit_delay_seconds", "How long events wait for others to share a commit with: commit.max_delay, or more where commit.write_budget asks for it"),
    [METRIC_INGEST_IN_FLIGHT_BYTES] = ROW(PROCESS, GAUGE, "sluice_ingest_in_flight_bytes", NULL, "in_flight_bytes", "Received and not yet answered"),

    [METRIC_CONNECTIONS] = ROW(LISTENER, GAUGE, "sluice_listener_connections", NULL, "connections", "Open connections"),
    [METRIC_CONNECTIONS_ACCEPTED] = ROW(LISTENER, COUNTER, "sluice_listener_connections_accepted_total", NULL, "accepted", "Connections accepted"),
    [METRIC_CONNECTIONS_REFUSED] = ROW(LISTENER, COUNTER, "sluice_listener_connections_refused_total", NULL, "refused", "Connections refused at CONNECT or by the connection limit"),
    [METRIC_CONNECTIONS_CLOSED_CLIENT] = ROW(LISTENER, COUNTER, "sluice_listener_connections_closed_total", "reason=\"client\"", "closed_client", "Connections ended"),
    [METRIC_CONNECTIONS_CLOSED_ERROR] = ROW(LISTENER, COUNTER, "sluice_listener_connections_closed_total", "reason=\"protocol_error\"", "closed_error", "Connections ended"),
    [METRIC_CONNECTIONS_CLOSED_KEEP_ALIVE] = ROW(LISTENER, COUNTER, "sluice_listener_connections_closed_total", "reason=\"keep_alive\"", "closed_keep_alive", "Connections ended"),
    [METRIC_CONNECTIONS_CLOSED_TAKEOVER] = ROW(LISTENER, COUNTER, "sluice_listener_connections_closed_total", "reason=\"takeover\"", "closed_takeover", "Connections ended"),
    [METRIC_CONNECTIONS_CLOSED_SHUTDOWN] = ROW(LISTENER, COUNTER, "sluice_listener_connections_closed_total", "reason=\"shutdown\"", "closed_shutdown", "Connections ended"),
    [METRIC_CONNECTIONS_PAUSED] = ROW(LISTENER, GAUGE, "sluice_listener_connections_paused", NULL, "paused", "Connections not being read because the gateway holds as much as it may"),
    [METRIC_RECEIVED_BYTES] = ROW(LISTENER, COUNTER, "sluice_listener_received_bytes_total", NULL, "received_bytes", "Bytes received"),
    [METRIC_SENT_BYTES] = ROW(LISTENER, COUNTER, "sluice_listener_sent_bytes_total", NULL, "sent_bytes", "Bytes sent"),
    [METRIC_EVENTS_RECEIVED_QOS0] = ROW(LISTENER, COUNTER, "sluice_events_received_total", "qos=\"0\"", "received_qos0", "Events received"),
    [METRIC_EVENTS_RECEIVED_QOS1] = ROW(LISTENER, COUNTER, "sluice_events_received_total", "qos=\"1\"", "received_qos1", "Events received"),
    [METRIC_EVENTS_ACKNOWLEDGED] = ROW(LISTENER, COUNTER, "sluice_events_acknowledged_total", NULL, "acknowledged", "Events committed, synced and acknowledged"),
    [METRIC_EVENTS_UNACKNOWLEDGED_GONE] = ROW(LISTENER, COUNTER, "sluice_events_unacknowledged_total", "reason=\"connection_gone\"", "unacknowledged_gone", "Events stored whose sender had gone before the PUBACK"),
    [METRIC_PUBLISH_REFUSED] = ROW(LISTENER, COUNTER, "sluice_publish_refused_total", NULL, "publish_refused", "PUBLISH packets and wills that were refused"),

    [METRIC_STREAM_APPENDED_EVENTS] = ROW(STREAM, COUNTER, "sluice_stream_appended_events_total", NULL, "appended_events", "Events committed to the stream"),
    [METRIC_STREAM_APPENDED_BYTES] = ROW(STREAM, COUNTER, "sluice_stream_appended_bytes_total", NULL, "appended_bytes", "Record bytes committed to the stream, before compression"),
    [METRIC_STREAM_FIRST_OFFSET] = ROW(STREAM, GAUGE, "sluice_stream_first_offset", NULL, "first_offset", "Oldest offset still stored"),
    [METRIC_STREAM_NEXT_OFFSET] = ROW(STREAM, GAUGE, "sluice_stream_next_offset", NULL, "next_offset", "Offset the next event gets"),
    [METRIC_STREAM_BYTES] = ROW(STREAM, GAUGE, "sluice_stream_bytes", NULL, "bytes", "Stored batch bytes of the stream, compressed"),
    [METRIC_STREAM_EVICTED_EVENTS] = ROW(STREAM, COUNTER, "sluice_stream_evicted_events_total", NULL, "evicted_events", "Sent events that retention removed"),
    [METRIC_STREAM_DROPPED_EVENTS] = ROW(STREAM, COUNTER, "sluice_stream_dropped_events_total", NULL, "dropped_events", "Events dropped before every upstream had them (when_full drop_oldest); gap records tell which"),
    [METRIC_STREAM_FULL] = ROW(STREAM, GAUGE, "sluice_stream_full", NULL, "full", "1 while the stream takes nothing because max_bytes holds unsent events"),
    [METRIC_STREAM_REPACKED_BATCHES] = ROW(STREAM, COUNTER, "sluice_stream_repacked_batches_total", NULL, "repacked_batches", "Small batches that were re-packed into larger ones"),

    [METRIC_UPSTREAM_CONNECTED] = ROW(UPSTREAM, GAUGE, "sluice_upstream_connected", NULL, "connected", "1 while connected"),
    [METRIC_UPSTREAM_CONNECTS] = ROW(UPSTREAM, COUNTER, "sluice_upstream_connects_total", NULL, "connects", "Connections established"),
    [METRIC_UPSTREAM_CONNECT_FAILURES] = ROW(UPSTREAM, COUNTER, "sluice_upstream_connect_failures_total", NULL, "connect_failures", "Connection attempts that failed"),
    [METRIC_UPSTREAM_DISCONNECTS] = ROW(UPSTREAM, COUNTER, "sluice_upstream_disconnects_total", NULL, "disconnects", "Connections lost or ended by the upstream"),
    [METRIC_UPSTREAM_FORWARDED_EVENTS] = ROW(UPSTREAM, COUNTER, "sluice_upstream_forwarded_events_total", NULL, "forwarded_events", "Events acknowledged by the upstream"),
    [METRIC_UPSTREAM_FORWARDED_BYTES] = ROW(UPSTREAM, COUNTER, "sluice_upstream_forwarded_payload_bytes_total", NULL, "forwarded_bytes", "Payload bytes acknowledged by the upstream"),
    [METRIC_UPSTREAM_SENT_MESSAGES] = ROW(UPSTREAM, COUNTER, "sluice_upstream_sent_messages_total", NULL, "sent_messages", "PUBLISH packets handed to the client, repeats included"),
    [METRIC_UPSTREAM_SEND_FAILURES] = ROW(UPSTREAM, COUNTER, "sluice_upstream_send_failures_total", NULL, "send_failures", "Messages the upstream refused or that could not be sent"),
    [METRIC_UPSTREAM_IN_FLIGHT] = ROW(UPSTREAM, GAUGE, "sluice_upstream_in_flight_messages", NULL, "in_flight", "Messages sent and not yet acknowledged"),
    [METRIC_UPSTREAM_WINDOW] = ROW(UPSTREAM, GAUGE, "sluice_upstream_window_messages", NULL, "window", "Messages that may be in flight: the smaller of our window and the server's Receive Maximum"),
    [METRIC_UPSTREAM_READS] = ROW(UPSTREAM, COUNTER, "sluice_upstream_store_reads_total", NULL, "store_reads", "Batches read back from the store because they were not in memory any more"),
    [METRIC_UPSTREAM_SKIPPED_EVENTS] = ROW(UPSTREAM, COUNTER, "sluice_upstream_skipped_events_total", NULL, "skipped_events", "Events that could not be forwarded and were passed over, each with a log line"),

    [METRIC_RANGE_NEXT_OFFSET] = ROW(RANGE, GAUGE, "sluice_range_next_offset", NULL, "next_offset", "First offset the upstream has not acknowledged"),
    [METRIC_RANGE_LAG_EVENTS] = ROW(RANGE, GAUGE, "sluice_range_lag_events", NULL, "lag_events", "Events stored and not yet acknowledged by the upstream"),
    [METRIC_RANGE_LAG_BYTES] = ROW(RANGE, GAUGE, "sluice_range_lag_bytes", NULL, "lag_bytes", "Record bytes stored and not yet acknowledged by the upstream"),
    [METRIC_RANGE_OLDEST_UNSENT] = ROW(RANGE, FRACTION_GAUGE, "sluice_range_oldest_unsent_timestamp_seconds", NULL, "oldest_unsent_timestamp", "Unix time at which the oldest event that the upstream has not acknowledged was received; 0: there is none"),
};
/* clang-format on */

struct metric_set {
    enum metric_group group;
    char *labels[2];
    struct metric_set *_Atomic next; /* sets are only ever appended */
    _Atomic(const char *) state;
    _Atomic(const char *) trouble;
    _Atomic uint64_t cells[METRIC_COUNT];
};

static struct metric_set process_set = {.group = METRIC_GROUP_PROCESS};
static pthread_mutex_t append_lock = PTHREAD_MUTEX_INITIALIZER;

struct metric_set *metric_process(void)
{
    return &process_set;
}

static int label_equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

struct metric_set *metric_set_get(enum metric_group group, const char *first, const char *second)
{
    pthread_mutex_lock(&append_lock);
    struct metric_set *set = &process_set, *next;
    for (; (next = atomic_load(&set->next)); set = next)
        if (next->group == group && label_equal(next->labels[0], first) &&
            label_equal(next->labels[1], second))
            break;
    if (!next && (next = calloc(1, sizeof *next))) {
        next->group = group;
        next->labels[0] = first ? strdup(first) : NULL;
        next->labels[1] = second ? strdup(second) : NULL;
        atomic_store(&set->next, next);
    }
    pthread_mutex_unlock(&append_lock);
    return next;
}

static void check(const struct metric_set *set, enum metric metric)
{
    assert(metrics_table[metric].group == set->group);
    (void)set;
    (void)metric;
}

void metric_add(struct metric_set *set, enum metric metric, uint64_t n)
{
    if (!set)
        return;
    check(set, metric);
    atomic_fetch_add_explicit(&set->cells[metric], n, memory_order_relaxed);
}

void metric_sub(struct metric_set *set, enum metric metric, uint64_t n)
{
    if (!set)
        return;
    check(set, metric);
    atomic_fetch_sub_explicit(&set->cells[metric], n, memory_order_relaxed);
}

void metric_put(struct metric_set *set, enum metric metric, uint64_t value)
{
    if (!set)
        return;
    check(set, metric);
    atomic_store_explicit(&set->cells[metric], value, memory_order_relaxed);
}

uint64_t metric_get(const struct metric_set *set, enum metric metric)
{
    check(set, metric);
    return atomic_load_explicit(&set->cells[metric], memory_order_relaxed);
}

void metric_set_state(struct metric_set *set, const char *state)
{
    if (set)
        atomic_store_explicit(&set->state, state, memory_order_relaxed);
}

void metric_set_trouble(struct metric_set *set, const char *trouble)
{
    if (set)
        atomic_store_explicit(&set->trouble, trouble, memory_order_relaxed);
}

const struct metric_set *metric_set_next(const struct metric_set *set, enum metric_group group)
{
    if (!set && group == METRIC_GROUP_PROCESS)
        return &process_set;
    const struct metric_set *next = set ? set : &process_set;
    while ((next = atomic_load(&next->next)))
        if (next->group == group)
            return next;
    return NULL;
}

const char *metric_set_label(const struct metric_set *set, unsigned which)
{
    return which < 2 ? set->labels[which] : NULL;
}

const char *metric_set_get_state(const struct metric_set *set)
{
    return atomic_load_explicit(&set->state, memory_order_relaxed);
}

const char *metric_set_get_trouble(const struct metric_set *set)
{
    return atomic_load_explicit(&set->trouble, memory_order_relaxed);
}

const char *metric_group_label(enum metric_group group, unsigned which)
{
    static const char *const names[METRIC_GROUP_COUNT][2] = {
        [METRIC_GROUP_LISTENER] = {"listener"},
        [METRIC_GROUP_STREAM] = {"stream"},
        [METRIC_GROUP_UPSTREAM] = {"upstream"},
        [METRIC_GROUP_RANGE] = {"upstream", "stream"},
    };
    return which < 2 ? names[group][which] : NULL;
}
