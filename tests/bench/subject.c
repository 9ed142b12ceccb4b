#include "subject.h"

#include "base/error.h"
#include "config/read.h"
#include "input.h"
#include "store/read.h"

enum { STEPS_MAX = 1 << 24 }; /* of maintenance */

const char subject_large[] =
    "{\"streams\": {\"events\": {\"max_bytes\": \"512GiB\", \"max_age\": \"0\"}}}";
const char subject_small[] =
    "{\"streams\": {\"events\": {\"max_bytes\": \"64KiB\", \"max_age\": \"0\"}}}";

void subject_open(struct subject *subject, const char *settings, const char *directory,
                  bool background)
{
    struct error error = ERROR_INIT;
    if (config_read_text(&store_section, settings, &error, &subject->config))
        fail("settings", error.what);
    const struct store_options options = {.data_dir = directory,
                                          .gateway_id = "bench",
                                          .config = &subject->config,
                                          .clock = &clock_system,
                                          .background_checkpoints = background};
    if (store_new(&options, &subject->store) || store_open(subject->store, &error) ||
        store_stream(subject->store, "events", &subject->stream))
        fail(directory, error.what[0] ? error.what : "the store cannot be opened");
}

void subject_close(struct subject *subject)
{
    subject->store = store_free(subject->store);
    config_section_deinit(&store_section, &subject->config);
}

void subject_append(struct subject *subject, const struct event *event)
{
    uint64_t offset;
    if (store_append(subject->store, subject->stream, event, &offset))
        fail("store_append", "does not take the event");
}

void subject_commit(struct subject *subject)
{
    if (store_commit(subject->store))
        fail("store_commit", "fails");
}

void subject_maintain(struct subject *subject)
{
    bool more = true;
    for (unsigned i = 0; i < STEPS_MAX && more; i++)
        if (store_maintain(subject->store, &more))
            fail("store_maintain", "fails");
}

uint64_t subject_stored_bytes(const char *path)
{
    struct error error = ERROR_INIT;
    struct store_reader *reader;
    struct store_stream_info info;
    if (store_reader_open(path, &error, &reader) || store_read_stream(reader, "events", &info))
        fail(path, "cannot be read");
    store_reader_close(reader);
    return info.stored_bytes;
}
