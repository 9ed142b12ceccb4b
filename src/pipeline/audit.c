#include "pipeline/audit.h"

#include <stdio.h>

#include "base/error.h"
#include "base/result.h"
#include "event/event.h"
#include "event/notice.h"
#include "store/read.h"
#include "store/store.h"
#include "store/store_config.h"

/* The digest of the last record of segment. 0, -EBADMSG. */
static int digest_last(const struct segment *segment, char ret[DIGEST_SHA256_TEXT_BYTES])
{
    struct segment_iterator it;
    struct event event;
    uint64_t offset;
    segment_iterator_init(&it, segment, segment_end_offset(segment) - 1);
    int r = segment_next(&it, &event, &offset);
    return r ? result_fold(r) : digest_sha256_text(event.payload, ret);
}

/* Looked up once in a run; afterwards every record passes through here. */
static int read_last(const struct store *store, char ret[DIGEST_SHA256_TEXT_BYTES])
{
    struct error error = ERROR_INIT;
    struct store_reader *reader = NULL;
    struct store_stream_info info;
    struct segment *segment = NULL;
    uint64_t skip_to;
    int r = store_reader_open(store_path(store), &error, &reader);
    if (!r)
        r = store_read_stream(reader, STORE_STREAM_AUDIT, &info);
    ret[0] = '\0';
    if (!r && info.next_offset > info.first_offset) {
        r = store_read(reader, info.stream, info.next_offset - 1, &segment, &skip_to);
        if (!r)
            r = digest_last(segment, ret);
    }
    segment_unref(segment);
    store_reader_close(reader);
    return result_fold(r);
}

void audit_add(struct audit *a, struct store *store, struct notice *notice)
{
    if (!a->known) {
        a->known = read_last(store, a->prev) == 0;
        if (!a->known)
            snprintf(a->prev, sizeof(a->prev), "unknown");
    }
    notice_add_text(notice, "prev", a->prev[0] ? a->prev : NULL);
    /* What was not stored is no link: the record before it stays the last one, which the database
     * may not have yet. */
    if (store_notice(store, notice) == 0)
        a->known = digest_sha256_text(bytes_slice(&notice->json), a->prev) == 0;
}
