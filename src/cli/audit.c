#include "cli/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "cli/command.h"
#include "crypto/digest.h"
#include "event/event.h"
#include "json/document.h"
#include "store/read.h"

#define STREAM "$audit"

struct audit {
    struct store_reader *reader;
    bool quiet;
    FILE *out;
    char digest[DIGEST_SHA256_TEXT_BYTES]; /* of the record before; "": none was read */
    uint64_t records, broken;
};

static void say_broken(struct audit *a, uint64_t offset, const char *why)
{
    a->broken++;
    fprintf(stderr, "sluice: record %" PRIu64 ": %s\n", offset, why);
}

/* Whether the record names the one before. */
static void check_link(struct audit *a, const struct event *event, uint64_t offset)
{
    struct json_document *document = NULL;
    if (json_document_parse(event->payload, STREAM, NULL, NULL, &document)) {
        say_broken(a, offset, "is no JSON");
        return;
    }
    const cJSON *prev = cJSON_GetObjectItemCaseSensitive(json_document_root(document), "prev");
    const char *named = cJSON_IsString(prev) ? prev->valuestring : NULL;
    if (a->digest[0] && (!named || strcmp(named, a->digest) != 0))
        say_broken(a, offset,
                   named && strcmp(named, "unknown") == 0
                       ? "the gateway could not read the record before it"
                       : "does not name the record before it: one was changed, added or removed");
    json_document_free(document);
}

static int check_segment(struct audit *a, const struct segment *segment, uint64_t from)
{
    struct segment_iterator it;
    struct event event;
    uint64_t offset;
    int r;
    segment_iterator_init(&it, segment, from);
    while (!(r = segment_next(&it, &event, &offset))) {
        check_link(a, &event, offset);
        a->records++;
        r = digest_sha256_text(event.payload, a->digest);
        if (!r && !a->quiet && fprintf(a->out, "%.*s\n", SLICE_PRINT(event.payload)) < 0)
            r = -errno;
        if (r)
            return r;
    }
    return r == SEGMENT_END ? 0 : r;
}

static int check(struct audit *a)
{
    struct store_stream_info info;
    int r = store_read_stream(a->reader, STREAM, &info);
    if (r)
        return r == -ENOENT ? 0 : r;
    for (uint64_t at = info.first_offset; at < info.next_offset;) {
        struct segment *segment = NULL;
        uint64_t skip_to = info.next_offset;
        r = store_read(a->reader, info.stream, at, &segment, &skip_to);
        if (r < 0 || r == STORE_READ_END)
            return r < 0 ? r : 0;
        if (r == STORE_READ_DAMAGED) {
            say_broken(a, at, "is damaged");
            at = skip_to > at ? skip_to : at + 1;
            continue;
        }
        r = check_segment(a, segment, at);
        at = segment_end_offset(segment);
        segment_unref(segment);
        if (r)
            return r;
    }
    return 0;
}

int cli_audit(const char *database, bool quiet, FILE *out)
{
    struct error error = ERROR_INIT;
    struct audit a = {.quiet = quiet, .out = out};
    int r = store_reader_open(database, &error, &a.reader);
    if (!r)
        r = check(&a);
    store_reader_close(a.reader);
    if (!r && fflush(out) == 0) {
        fprintf(stderr, "sluice: %" PRIu64 " records, %" PRIu64 " breaks in the chain\n", a.records,
                a.broken);
        return a.broken ? CLI_FAILED : CLI_OK;
    }
    if (!error.what[0]) {
        error_where(&error, "%s", database);
        error_what(&error, "%s", strerror(r ? -r : errno));
    }
    error_print(&error, stderr);
    return CLI_FAILED;
}
