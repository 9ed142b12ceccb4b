#include "store/checkpointer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/queue.h"
#include "base/result.h"
#include "store/database.h"

struct checkpointer {
    struct queue requests, answers;
    struct queue_item item;            /* the one that goes to and fro */
    struct checkpointer_answer answer; /* whose the item is */
    bool busy;                         /* the writer's view: the item is not here */
    struct database database;
    pthread_t thread;
    bool started;
};

/* SQLite syncs the database only when a checkpoint has reached the end of the log, which beside a
 * writer it seldom does. Without this the writer's short tail would have to sync all that was
 * copied here. It changes nothing about when the log may start over. */
static int sync_database(struct checkpointer *c)
{
    sqlite3_file *file = NULL;
    int code =
        sqlite3_file_control(c->database.db, "main", SQLITE_FCNTL_FILE_POINTER, (void *)&file);
    if (code == SQLITE_OK && file && file->pMethods)
        code = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    return code == SQLITE_OK ? 0 : result_origin(database_result(c->database.db, code));
}

static void run_one(struct checkpointer *c)
{
    struct checkpointer_answer answer = {.in_log = -1, .copied = -1};
    int code = sqlite3_wal_checkpoint_v2(c->database.db, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                         &answer.in_log, &answer.copied);
    if (code != SQLITE_OK)
        answer.result = database_result(c->database.db, code);
    else if (answer.copied > 0)
        answer.result = sync_database(c);
    c->answer = answer;
}

static void *run(void *argument)
{
    struct checkpointer *c = argument;
    pthread_setname_np(pthread_self(), "checkpointer");
    while (!queue_closed(&c->requests)) {
        queue_wait(&c->requests, -1);
        struct queue_item *item = queue_take_all(&c->requests);
        if (!item)
            continue;
        run_one(c);
        int r = queue_push(&c->answers, &item);
        assert(r == 0); /* one item, never closed */
        (void)r;
    }
    return NULL;
}

static void item_free(struct queue_item *item)
{
    (void)item; /* is a part of struct checkpointer */
}

static int start(struct checkpointer *c, const char *path)
{
    int r = queue_init(&c->requests, sizeof(c->item));
    if (!r)
        r = queue_init(&c->answers, sizeof(c->item));
    if (!r)
        r = database_open(&c->database, path, SQLITE_OPEN_READWRITE);
    /* The log must be on the disk before the database is written, and the database before the log
     * may be overwritten. Reading once lets the connection find the log. */
    int64_t ignored;
    if (!r)
        r = database_exec(&c->database, "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0");
    if (!r)
        r = database_number(&c->database, SQL_USER_VERSION, &ignored);
    if (r)
        return result_trace(r < 0 ? r : -EBADMSG);
    r = pthread_create(&c->thread, NULL, run, c);
    c->started = r == 0;
    return r ? result_origin(-r) : 0;
}

int checkpointer_new(const char *path, struct checkpointer **ret)
{
    struct checkpointer *c = calloc(1, sizeof(*c));
    if (!c)
        return result_origin(-ENOMEM);
    c->requests.event_fd = c->answers.event_fd = -1;
    c->item = (struct queue_item){.bytes = sizeof(c->item), .free = item_free};
    int r = start(c, path);
    if (r) {
        checkpointer_free(c);
        return result_trace(r);
    }
    *ret = c;
    return 0;
}

struct checkpointer *checkpointer_free(struct checkpointer *c)
{
    if (!c)
        return NULL;
    if (c->started) {
        queue_close(&c->requests);
        pthread_join(c->thread, NULL);
    }
    database_close(&c->database);
    queue_deinit(&c->requests);
    queue_deinit(&c->answers);
    free(c);
    return NULL;
}

void checkpointer_request(struct checkpointer *c)
{
    assert(!c->busy);
    struct queue_item *item = &c->item;
    int r = queue_push(&c->requests, &item);
    assert(r == 0); /* one item, closed only at the end */
    (void)r;
    c->busy = true;
}

bool checkpointer_busy(const struct checkpointer *c)
{
    return c->busy;
}

bool checkpointer_take(struct checkpointer *c, bool wait, struct checkpointer_answer *ret)
{
    if (!c->busy)
        return false;
    struct queue_item *item;
    while (!(item = queue_take_all(&c->answers)) && wait)
        queue_wait(&c->answers, -1);
    if (!item)
        return false;
    c->busy = false;
    *ret = c->answer;
    return true;
}
