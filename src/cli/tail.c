#include "cli/tail.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "event/event.h"
#include "json/document.h"
#include "store/read.h"

enum { NUMBER_TEXT_MAX = 24 };

/* RFC 4648, section 4. Returns a string to be freed; NULL without memory. */
static char *base64(struct slice s)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc((s.len + 2) / 3 * 4 + 1), *to = text;
    for (size_t i = 0; text && i < s.len; i += 3) {
        size_t n = s.len - i < 3 ? s.len - i : 3;
        uint32_t v = (uint32_t)s.data[i] << 16;
        v |= n > 1 ? (uint32_t)s.data[i + 1] << 8 : 0;
        v |= n > 2 ? (uint32_t)s.data[i + 2] : 0;
        *to++ = letters[v >> 18];
        *to++ = letters[v >> 12 & 63];
        *to++ = n > 1 ? letters[v >> 6 & 63] : '=';
        *to++ = n > 2 ? letters[v & 63] : '=';
    }
    if (text)
        *to = '\0';
    return text;
}

static bool is_text(struct slice s)
{
    return utf8_valid(s) && !(s.len && memchr(s.data, 0, s.len)); /* cJSON keeps C strings */
}

/* Adds name: text, or name_b64 where the bytes are no text. False without memory. */
static bool add_bytes(cJSON *line, const char *name, const char *name_b64, struct slice value)
{
    bool readable = is_text(value);
    CLEANUP_FREE char *copy = readable ? slice_duplicate(value) : base64(value);
    return copy && cJSON_AddStringToObject(line, readable ? name : name_b64, copy);
}

static bool add_time(cJSON *line, const char *name, int64_t wall_us)
{
    char text[CLOCK_TEXT_MAX];
    clock_format(wall_us, text);
    return cJSON_AddStringToObject(line, name, text) != NULL;
}

static bool fill_line(cJSON *line, const struct event *event, uint64_t offset)
{
    static const char *const qualities[] = {
        [CLOCK_UNSYNCED] = "unsynced", [CLOCK_SYNCED] = "synced", [CLOCK_CORRECTED] = "corrected"};
    char number[NUMBER_TEXT_MAX];
    snprintf(number, sizeof number, "%" PRIu64, offset);
    return cJSON_AddRawToObject(line, "offset", number) &&
           add_bytes(line, "topic", "topic_b64", event->topic) &&
           add_bytes(line, "device", "device_b64", event->device) &&
           add_bytes(line, "type", "type_b64", event->type) &&
           add_time(line, "received", event->received_us) &&
           cJSON_AddStringToObject(line, "quality", qualities[event->quality]) &&
           (event->time_us == EVENT_NO_TIME || add_time(line, "time", event->time_us)) &&
           add_bytes(line, "payload", "payload_b64", event->payload);
}

static int print_event(const struct event *event, uint64_t offset, FILE *out)
{
    int r = -ENOMEM;
    cJSON *line = cJSON_CreateObject();
    char *printed = NULL;
    if (line && fill_line(line, event, offset))
        printed = cJSON_PrintUnformatted(line);
    if (printed)
        r = fprintf(out, "%s\n", printed) < 0 ? -errno : 0;
    cJSON_free(printed);
    cJSON_Delete(line);
    return r;
}

struct tail {
    struct store_reader *reader;
    uint32_t stream;
    uint64_t at, end; /* offsets: next to print, first not to print */
    uint64_t count;   /* events still wanted */
    FILE *out;
};

static int print_segment(struct tail *tail, const struct segment *segment)
{
    struct segment_iterator it;
    struct event event;
    uint64_t offset;
    int r = 0;
    segment_iterator_init(&it, segment, tail->at);
    while (tail->count && tail->at < tail->end && !(r = segment_next(&it, &event, &offset))) {
        if (offset >= tail->end) {
            tail->at = tail->end;
            break;
        }
        r = print_event(&event, offset, tail->out);
        if (r)
            return r;
        tail->at = offset + 1;
        tail->count--;
    }
    return r == SEGMENT_END ? 0 : r;
}

/* Retention and damage leave holes; whoever reads must know that there was something. */
static void say_gap(uint64_t from, uint64_t to, const char *why)
{
    if (to > from)
        fprintf(stderr, "sluice: offsets %" PRIu64 " to %" PRIu64 ": %s\n", from, to - 1, why);
}

static int print_batches(struct tail *tail)
{
    while (tail->count && tail->at < tail->end) {
        struct segment *segment = NULL;
        uint64_t skip_to = tail->end;
        int r = store_read(tail->reader, tail->stream, tail->at, &segment, &skip_to);
        if (r < 0)
            return r;
        if (r == STORE_READ_END)
            return 0;
        if (r == STORE_READ_DAMAGED) {
            if (skip_to <= tail->at)
                return -EBADMSG; /* a reader that does not get on would be asked for ever */
            say_gap(tail->at, skip_to, "the batch fails its checksum");
            tail->at = skip_to;
            continue;
        }
        say_gap(tail->at, segment->base_offset, "not in the store any more");
        uint64_t before = tail->at;
        r = print_segment(tail, segment);
        uint64_t next = segment_end_offset(segment);
        segment_unref(segment);
        if (r)
            return r;
        if (tail->at <= before || (tail->count && tail->at < next && tail->at < tail->end))
            return -EBADMSG; /* not the segment asked for, or it held less than it says */
    }
    return 0;
}

static int run(const struct cli_tail_options *options, struct store_reader *reader,
               struct error *error, FILE *out)
{
    struct store_stream_info info;
    int r = store_read_stream(reader, options->stream, &info);
    if (r == -ENOENT) {
        error_where(error, "%s", options->database);
        error_what(error, "there is no stream \"%s\"", options->stream);
        error_mend(error, "\"sluice streams\" lists them");
    }
    if (r)
        return r;
    struct tail tail = {.reader = reader,
                        .stream = info.stream,
                        .at = options->from,
                        .end = info.next_offset,
                        .count = options->count,
                        .out = out};
    if (options->from == CLI_TAIL_FROM_END) {
        uint64_t stored = info.next_offset - info.first_offset;
        tail.at = info.next_offset - (options->count < stored ? options->count : stored);
    }
    return print_batches(&tail);
}

int cli_tail(const struct cli_tail_options *options, FILE *out)
{
    struct error error = ERROR_INIT;
    struct store_reader *reader = NULL;
    int r = store_reader_open(options->database, &error, &reader);
    if (!r)
        r = run(options, reader, &error, out);
    store_reader_close(reader);
    if (!r && fflush(out) == 0)
        return CLI_OK;
    if (!error.what[0]) {
        error_where(&error, "%s", options->database);
        error_what(&error, "%s", strerror(r ? -r : errno));
    }
    error_print(&error, stderr);
    return CLI_FAILED;
}
