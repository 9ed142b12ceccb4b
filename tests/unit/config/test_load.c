#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "config/load.h"

/* Every test gets a directory of its own as the working directory, so that paths in messages are
 * short and known. */
static char home[PATH_MAX];
static char directory[64];

static int enter_directory(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%.40s/sluice-config-XXXXXX", base ? base : P_tmpdir);
    return !getcwd(home, sizeof home) || !mkdtemp(directory) || chdir(directory);
}

static int leave_directory(void **state)
{
    char command[128];
    (void)state;
    if (chdir(home))
        return -1;
    snprintf(command, sizeof command, "rm -rf -- '%s'", directory);
    return system(command);
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct config_document *load_ok(const char *path)
{
    struct config_document *doc = NULL;
    struct error error = ERROR_INIT;
    if (config_load(path, &error, &doc))
        fail_msg("%s: %s", error.where, error.what);
    return doc;
}

static void expect_error(const char *path, int result, const char *where, const char *what,
                         const char *mend)
{
    struct config_document *doc = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(config_load(path, &error, &doc), result);
    assert_null(doc);
    assert_string_equal(error.what, what);
    assert_string_equal(error.where, where);
    if (mend)
        assert_string_equal(error.mend, mend);
    assert_int_equal(config_load(path, NULL, &doc), result);
}

static const cJSON *get(const struct config_document *doc, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(config_document_root(doc), name);
}

static void test_no_file_is_the_empty_document(void **state)
{
    struct config_document *doc = load_ok(NULL);
    (void)state;
    assert_true(cJSON_IsObject(config_document_root(doc)));
    assert_null(config_document_root(doc)->child);
    char *path = config_document_resolve(doc, NULL, "x/y");
    assert_string_equal(path, "x/y");
    free(path);
    config_document_free(doc);
}

static void test_a_file_that_cannot_be_read_is_said_clearly(void **state)
{
    (void)state;
    expect_error("gone.json", -ENOENT, "gone.json",
                 "cannot read gone.json: No such file or directory",
                 "create it, or correct the path");
    mkdir("d.json", 0700);
    expect_error("d.json", -EISDIR, "d.json", "d.json is a directory",
                 "name a file; \"include\": \"d.json/*.json\" in a file reads all of them");
    assert_int_equal(mkfifo("pipe.json", 0600), 0);
    expect_error("pipe.json", -EINVAL, "pipe.json", "pipe.json is not a regular file", NULL);
    put("big.json", "{}");
    assert_int_equal(truncate("big.json", CONFIG_FILE_MAX_BYTES + 1), 0);
    expect_error("big.json", -EFBIG, "big.json", "big.json is larger than 1024 KiB", NULL);
    put("locked.json", "{}");
    chmod("locked.json", 0);
    if (geteuid() != 0) /* root reads everything */
        expect_error("locked.json", -EACCES, "locked.json",
                     "cannot read locked.json: Permission denied", NULL);
}

static void test_included_objects_merge(void **state)
{
    (void)state;
    mkdir("conf.d", 0700);
    put("main.json", "{\"include\": [\"more.json\", \"conf.d/*.json\", \"none.d/*.json\"],\n"
                     " \"streams\": {\"a\": {\"x\": 1}}, \"own\": true}");
    put("more.json", "{\"streams\": {\"a\": {\"y\": 2}, \"b\": {}}}");
    put("conf.d/10.json", "{\"streams\": {\"c\": {}}, \"list\": [1]}");
    put("conf.d/20.json", "{\"streams\": {\"a\": {\"z\": 3}}}");
    put("conf.d/.hidden.json", "nonsense");
    put("conf.d/note.txt", "nonsense");
    struct config_document *doc = load_ok("main.json");
    char *text = cJSON_PrintUnformatted(config_document_root(doc));
    assert_string_equal(text, "{\"streams\":{\"a\":{\"x\":1,\"y\":2,\"z\":3},\"b\":{},\"c\":{}},"
                              "\"own\":true,\"list\":[1]}");
    cJSON_free(text);
    assert_int_equal(config_document_file_count(doc), 4);
    assert_string_equal(config_document_file(doc, 2), "conf.d/10.json");
    char *path = config_document_resolve(doc, get(doc, "list"), "key.pem");
    assert_string_equal(path, "conf.d/key.pem"); /* relative to the file that holds it */
    free(path);
    config_document_free(doc);
}

static void test_a_clash_names_both_places(void **state)
{
    (void)state;
    put("main.json", "{\"include\": \"more.json\",\n \"a\": {\"b\": 1}}");
    put("more.json", "{\n  \"a\": {\n    \"b\": 1}}");
    expect_error("main.json", -EINVAL, "more.json:3:5",
                 "\"a.b\" is given twice: here and at main.json:2:8",
                 "keep one of them; only objects are merged");
    put("more.json", "{\"a\": [1]}");
    expect_error("main.json", -EINVAL, "more.json:1:2",
                 "\"a\" is given twice: here and at main.json:2:2", NULL);
}

static void test_circles_and_repetitions_are_refused(void **state)
{
    (void)state;
    put("a.json", "{\"include\": \"b.json\"}");
    put("b.json", "{\n\"include\": [\"a.json\"]}");
    expect_error("a.json", -EINVAL, "b.json:2:13",
                 "including a.json goes round in a circle: it is being read already",
                 "remove this include");
    put("b.json", "{\"include\": \"./b.json\"}");
    expect_error("a.json", -EINVAL, "b.json:1:13",
                 "including ./b.json goes round in a circle: it is being read already", NULL);
    put("b.json", "{}");
    put("c.json", "{\"include\": [\"b.json\", \"b.json\"]}");
    expect_error("c.json", -EINVAL, "c.json:1:24", "b.json is included twice",
                 "remove one of the includes");
}

static void test_depth_and_number_of_files_are_bounded(void **state)
{
    char name[32], text[64];
    (void)state;
    for (int i = 0; i <= 9; i++) {
        snprintf(name, sizeof name, "d%d.json", i);
        snprintf(text, sizeof text, i < 9 ? "{\"include\": \"d%d.json\"}" : "{}", i + 1);
        put(name, text);
    }
    expect_error("d0.json", -EINVAL, "d8.json:1:13", "files include each other deeper than 8",
                 NULL);
    config_document_free(load_ok("d1.json"));
    mkdir("many", 0700);
    for (int i = 0; i < CONFIG_FILES_MAX; i++) {
        snprintf(name, sizeof name, "many/%03d.json", i);
        put(name, "{}");
    }
    put("many.json", "{\"include\": \"many/*.json\"}");
    expect_error("many.json", -EINVAL, "many.json:1:13", "more than 256 configuration files", NULL);
    unlink("many/000.json");
    config_document_free(load_ok("many.json"));
}

static void test_bad_includes_are_refused_where_they_stand(void **state)
{
    (void)state;
    put("a.json", "{\"include\": 1}");
    expect_error("a.json", -EINVAL, "a.json:1:13", "include must name files, not a number", NULL);
    put("a.json", "{\"include\": [\"\"]}");
    expect_error("a.json", -EINVAL, "a.json:1:14", "include must name files, not an empty string",
                 NULL);
    put("a.json", "{\"include\": \"gone.json\"}");
    expect_error("a.json", -ENOENT, "a.json:1:13",
                 "cannot read gone.json: No such file or directory", NULL);
    put("b.json", "{\"x\": }");
    put("a.json", "{\"include\": \"b.json\"}");
    expect_error("a.json", -EINVAL, "b.json:1:7", "expected a value, found '}'", NULL);
    put("b.json", "[]");
    expect_error("a.json", -EINVAL, "b.json:1:1",
                 "the configuration must be an object, not an array", NULL);
}

static const char *string_of(const struct config_document *doc, const char *name)
{
    const cJSON *node = get(doc, name);
    assert_true(cJSON_IsString(node));
    return node->valuestring;
}

static void test_env_and_secret_files_are_substituted_and_marked(void **state)
{
    (void)state;
    mkdir("sub", 0700);
    put("sub/token", "s3cret\n");
    chmod("sub/token", 0600);
    setenv("SLUICE_TEST_NAME", "plant7", 1);
    put("main.json", "{\"include\": \"${env:SLUICE_TEST_INCLUDE}\", \"plain\": \"x\",\n"
                     " \"name\": \"<${env:SLUICE_TEST_NAME}-${env:SLUICE_TEST_NAME}>\"}");
    put("sub/more.json", "{\"token\": \"${file:token}\", \"list\": [\"${env:SLUICE_TEST_NAME}\"]}");
    setenv("SLUICE_TEST_INCLUDE", "sub/more.json", 1);
    struct config_document *doc = load_ok("main.json");
    assert_string_equal(string_of(doc, "name"), "<plant7-plant7>");
    assert_string_equal(string_of(doc, "token"), "s3cret");
    assert_string_equal(get(doc, "list")->child->valuestring, "plant7");
    assert_int_equal(config_document_origin(doc, get(doc, "plain")), CONFIG_WRITTEN);
    assert_int_equal(config_document_origin(doc, get(doc, "name")), CONFIG_FROM_ENV);
    assert_int_equal(config_document_origin(doc, get(doc, "token")), CONFIG_FROM_FILE);
    assert_int_equal(config_document_origin(doc, get(doc, "list")->child), CONFIG_FROM_ENV);
    config_document_free(doc);
}

static void test_other_templates_stay_and_escapes_are_taken_off(void **state)
{
    static const char text[] =
        "{\"a\": \"${topic}/${device}/${stream}/${gateway}\", \"b\": \"$${env:HOME}\","
        "\"c\": \"$5 $ $$ ${\", \"d\": \"${machine_idx}${environment}\", \"e\": \"$$${x}\"}";
    struct config_document *doc = NULL;
    (void)state;
    assert_int_equal(config_load_text(slice_string(text), "text", NULL, &doc), 0);
    assert_string_equal(string_of(doc, "a"), "${topic}/${device}/${stream}/${gateway}");
    assert_string_equal(string_of(doc, "b"), "${env:HOME}");
    assert_string_equal(string_of(doc, "c"), "$5 $ $$ ${");
    assert_string_equal(string_of(doc, "d"), "${machine_idx}${environment}");
    assert_string_equal(string_of(doc, "e"), "$${x}");
    config_document_free(doc);
}

static void test_a_substituted_value_is_not_substituted_again(void **state)
{
    struct config_document *doc = NULL;
    (void)state;
    setenv("SLUICE_TEST_TEXT", "${env:SLUICE_TEST_NAME}", 1);
    assert_int_equal(
        config_load_text(slice_string("{\"a\": \"${env:SLUICE_TEST_TEXT}\"}"), "text", NULL, &doc),
        0);
    assert_string_equal(string_of(doc, "a"), "${env:SLUICE_TEST_NAME}");
    config_document_free(doc);
}

static void test_secrets_others_can_read_are_refused(void **state)
{
    char mend[256];
    (void)state;
    put("main.json", "{\"a\":\n \"${file:token}\"}");
    put("token", "s3cret");
    chmod("token", 0640);
    expect_error("main.json", -EPERM, "main.json:2:2",
                 "the secret file token is open to group or others (mode 0640)", "chmod 600 token");
    chmod("token", 0604);
    expect_error("main.json", -EPERM, "main.json:2:2",
                 "the secret file token is open to group or others (mode 0604)", NULL);
    chmod("token", 0600);
    config_document_free(load_ok("main.json"));
    if (geteuid() == 0) { /* only root can make a file of somebody else's */
        assert_int_equal(chown("token", 12345, 0), 0);
        snprintf(mend, sizeof mend, "chown %u token", (unsigned)geteuid());
        expect_error("main.json", -EPERM, "main.json:2:2",
                     "the secret file token belongs to user 12345, not to us or root", mend);
    }
}

static void test_secrets_that_are_no_secret_files_are_refused(void **state)
{
    (void)state;
    put("main.json", "{\"a\": \"${file:token}\"}");
    expect_error("main.json", -ENOENT, "main.json:1:7",
                 "cannot read token: No such file or directory", NULL);
    mkdir("token", 0700);
    expect_error("main.json", -EISDIR, "main.json:1:7", "token is a directory", "");
    rmdir("token");
    mkfifo("token", 0600);
    expect_error("main.json", -EINVAL, "main.json:1:7", "token is not a regular file", NULL);
    unlink("token");
    put("token", "\xff");
    chmod("token", 0600);
    expect_error("main.json", -EINVAL, "main.json:1:7", "what token holds is not UTF-8 text", NULL);
    put("token", "");
    assert_int_equal(truncate("token", 3), 0); /* three NULs */
    expect_error("main.json", -EINVAL, "main.json:1:7", "what token holds is not UTF-8 text", NULL);
    assert_int_equal(truncate("token", CONFIG_SECRET_MAX_BYTES + 1), 0);
    expect_error("main.json", -EFBIG, "main.json:1:7", "token is larger than 64 KiB", NULL);
}

static void test_bad_substitutions_are_refused(void **state)
{
    (void)state;
    unsetenv("SLUICE_TEST_UNSET");
    put("main.json", "{\"a\": \"${env:SLUICE_TEST_UNSET}\"}");
    expect_error("main.json", -EINVAL, "main.json:1:7",
                 "the environment variable SLUICE_TEST_UNSET is not set",
                 "set it where the service is started (systemd: Environment=SLUICE_TEST_UNSET=…)");
    put("main.json", "{\"a\": \"${env:NO-NAME}\"}");
    expect_error("main.json", -EINVAL, "main.json:1:7",
                 "\"NO-NAME\" is not the name of an environment variable", NULL);
    put("main.json", "{\"a\": \"x ${env:HOME\"}");
    expect_error("main.json", -EINVAL, "main.json:1:7", "${env: is not closed by }",
                 "write $${ for a literal ${");
    put("main.json", "{\"a\": \"${file:}\"}");
    expect_error("main.json", -EINVAL, "main.json:1:7",
                 "${file:…} needs a path of less than 4096 bytes", NULL);
}

static void test_the_machine_id_is_substituted_or_its_lack_is_said(void **state)
{
    struct config_document *doc = NULL;
    struct error error = ERROR_INIT;
    char id[64] = "";
    FILE *file = fopen("/etc/machine-id", "r");
    (void)state;
    if (file) {
        if (!fgets(id, sizeof id, file))
            id[0] = '\0';
        fclose(file);
    }
    id[strcspn(id, "\n")] = '\0';
    int r = config_load_text(slice_string("{\"a\": \"gw-${machine_id}\"}"), "text", &error, &doc);
    if (strlen(id) == 32) {
        assert_int_equal(r, 0);
        assert_memory_equal(string_of(doc, "a"), "gw-", 3);
        assert_string_equal(string_of(doc, "a") + 3, id);
        config_document_free(doc);
    } else {
        assert_true(r < 0);
        assert_string_equal(error.where, "text:1:7");
        assert_string_equal(error.mend,
                            "create it with systemd-machine-id-setup, or give a fixed value");
    }
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_file_is_the_empty_document),
        IN_DIRECTORY(test_a_file_that_cannot_be_read_is_said_clearly),
        IN_DIRECTORY(test_included_objects_merge),
        IN_DIRECTORY(test_a_clash_names_both_places),
        IN_DIRECTORY(test_circles_and_repetitions_are_refused),
        IN_DIRECTORY(test_depth_and_number_of_files_are_bounded),
        IN_DIRECTORY(test_bad_includes_are_refused_where_they_stand),
        IN_DIRECTORY(test_env_and_secret_files_are_substituted_and_marked),
        cmocka_unit_test(test_other_templates_stay_and_escapes_are_taken_off),
        cmocka_unit_test(test_a_substituted_value_is_not_substituted_again),
        IN_DIRECTORY(test_secrets_others_can_read_are_refused),
        IN_DIRECTORY(test_secrets_that_are_no_secret_files_are_refused),
        IN_DIRECTORY(test_bad_substitutions_are_refused),
        cmocka_unit_test(test_the_machine_id_is_substituted_or_its_lack_is_said)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
