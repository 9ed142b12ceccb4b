#include "admin/metrics_text.h"

#include <inttypes.h>
#include <string.h>

#include "admin/process.h"
#include "base/metrics.h"

enum { LABELS_MAX = 2, MILLION = 1000000 };

/* The text format escapes \ and line feed everywhere, and quotation marks in label values. */
static int append_escaped(struct bytes *out, const char *text, bool quoted)
{
    int r = 0;
    for (; !r && *text; text++) {
        if (*text == '\n')
            r = bytes_append(out, "\\n", 2);
        else if (*text == '\\' || (quoted && *text == '"'))
            r = bytes_append(out, (char[]){'\\', *text}, 2);
        else
            r = bytes_append_u8(out, (uint8_t)*text);
    }
    return r;
}

static int append_family(struct bytes *out, const char *name, const char *type, const char *help)
{
    int r = bytes_append_format(out, "# HELP %s ", name);
    if (!r)
        r = append_escaped(out, help, false);
    if (!r)
        r = bytes_append_format(out, "\n# TYPE %s %s\n", name, type);
    return r;
}

/* One more label, with whatever has to stand before it. */
static int append_label(struct bytes *out, bool first, const char *name, const char *value)
{
    int r = bytes_append_format(out, "%s%s=\"", first ? "{" : ",", name);
    if (!r)
        r = append_escaped(out, value, true);
    return r ? r : bytes_append_u8(out, '"');
}

static int append_labels(struct bytes *out, const struct metric_row *row,
                         const struct metric_set *set)
{
    bool first = true;
    int r = 0;
    for (unsigned i = 0; !r && i < LABELS_MAX; i++) {
        const char *name = metric_group_label(row->group, i);
        const char *value = metric_set_label(set, i);
        if (!name || !value)
            continue;
        r = append_label(out, first, name, value);
        first = false;
    }
    if (!r && row->labels) {
        r = bytes_append_format(out, "%s%s", first ? "{" : ",", row->labels);
        first = false;
    }
    return r || first ? r : bytes_append_u8(out, '}');
}

static const char *type_name(enum metric_type type)
{
    return type == METRIC_GAUGE || type == METRIC_FRACTION_GAUGE ? "gauge" : "counter";
}

static int append_value(struct bytes *out, enum metric_type type, uint64_t value)
{
    if (type == METRIC_SECONDS_COUNTER || type == METRIC_FRACTION_GAUGE)
        return bytes_append_format(out, " %" PRIu64 ".%06" PRIu64 "\n", value / MILLION,
                                   value % MILLION);
    return bytes_append_format(out, " %" PRIu64 "\n", value);
}

/* The samples of one row: one per set of its group. */
static int append_row(struct bytes *out, enum metric metric)
{
    const struct metric_row *row = &metrics_table[metric];
    const struct metric_set *set = NULL;
    int r = 0;
    while (!r && (set = metric_set_next(set, row->group))) {
        r = bytes_append(out, row->name, strlen(row->name));
        if (!r)
            r = append_labels(out, row, set);
        if (!r)
            r = append_value(out, row->type, metric_get(set, metric));
    }
    return r;
}

static bool family_seen(enum metric metric)
{
    for (enum metric m = 0; m < metric; m++)
        if (strcmp(metrics_table[m].name, metrics_table[metric].name) == 0)
            return true;
    return false;
}

/* A family may be several rows of the table, wherever they stand: the format wants its samples
 * together. */
static int append_table(struct bytes *out)
{
    int r = 0;
    for (enum metric first = 0; !r && first < METRIC_COUNT; first++) {
        const struct metric_row *row = &metrics_table[first];
        if (family_seen(first))
            continue;
        r = append_family(out, row->name, type_name(row->type), row->help);
        for (enum metric m = first; !r && m < METRIC_COUNT; m++)
            if (strcmp(metrics_table[m].name, row->name) == 0)
                r = append_row(out, m);
    }
    return r;
}

static int append_build(struct bytes *out, const char *version)
{
    int r = append_family(out, "sluice_build_info", "gauge", "Version of the program, always 1");
    if (!r)
        r = bytes_append_format(out, "sluice_build_info");
    if (!r)
        r = append_label(out, true, "version", version);
    return r ? r : bytes_append_format(out, "} 1\n");
}

/* The names every Prometheus client library gives to these. */
static int append_process(struct bytes *out)
{
    struct process_sample sample;
    if (process_sample(&sample))
        return 0; /* no /proc: then without them */
    const struct {
        const char *name, *type, *help;
        double value;
    } rows[] = {
        {"process_cpu_seconds_total", "counter", "User and system CPU time spent",
         sample.cpu_seconds},
        {"process_open_fds", "gauge", "Open file descriptors", (double)sample.open_fds},
        {"process_resident_memory_bytes", "gauge", "Resident memory",
         (double)sample.resident_bytes},
        {"process_start_time_seconds", "gauge", "Start of the process, Unix time",
         sample.start_time_seconds},
    };
    int r = 0;
    for (size_t i = 0; !r && i < sizeof rows / sizeof rows[0]; i++) {
        r = append_family(out, rows[i].name, rows[i].type, rows[i].help);
        if (!r) /* 17 digits: no double of that size loses anything, bytes stay whole numbers */
            r = bytes_append_format(out, "%s %.17g\n", rows[i].name, rows[i].value);
    }
    return r;
}

int metrics_text_write(const char *version, struct bytes *out)
{
    int r = append_build(out, version);
    if (!r)
        r = append_table(out);
    return r ? r : append_process(out);
}
