/* The command table. Everything a command does is in its own file; what only the daemon's loader
 * can tell (run, check, config) is here. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/audit.h"
#include "cli/command.h"
#include "cli/consumers.h"
#include "cli/forget.h"
#include "cli/recover.h"
#include "cli/status.h"
#include "cli/streams.h"
#include "cli/tail.h"
#include "config/reference.h"
#include "gateway.h"
#include "gateway_config.h"
#include "heap.h"
#include "sluice/version.h"
#include "uplink/uplink.h"

#define CONFIG_OPTION(target)                                                                      \
    {                                                                                              \
        "--config", "-c", CLI_TEXT, (target), "FILE", "configuration file (none: the defaults)"    \
    }

/* Reads options of a command; returns -1 to go on, else the exit code. */
static int read_arguments(struct cli_arguments *arguments, const struct cli_command *command,
                          int argc, char **argv)
{
    switch (cli_arguments_read(arguments, command, argc, argv)) {
    case 0:
        return -1;
    case CLI_ARGUMENTS_HELP:
        return CLI_OK;
    default:
        return CLI_USAGE;
    }
}

/* The same for commands whose only option is the configuration file. */
static int read_config_argument(const struct cli_command *command, int argc, char **argv,
                                const char **ret_config)
{
    const struct cli_option options[] = {CONFIG_OPTION(ret_config)};
    struct cli_arguments arguments = {.options = options, .option_count = 1};
    return read_arguments(&arguments, command, argc, argv);
}

static int run_run(const struct cli_command *command, int argc, char **argv)
{
    const char *config = NULL;
    int exit_code = read_config_argument(command, argc, argv, &config);
    if (exit_code >= 0)
        return exit_code;
    heap_init();
    signal(SIGPIPE, SIG_IGN);
    uplink_library_init();
    struct error error = ERROR_INIT;
    unsigned restarts = 0;
    do {
        struct gateway *gateway = NULL;
        exit_code = gateway_new(config, &error, &gateway);
        if (exit_code != GATEWAY_EXIT_OK) {
            error_print(&error, stderr);
            return exit_code;
        }
        gateway_set_restarts(gateway, restarts++);
        exit_code = gateway_run(gateway);
        gateway_free(gateway);
    } while (exit_code == GATEWAY_EXIT_RESTART);
    return exit_code;
}

static int run_check(const struct cli_command *command, int argc, char **argv)
{
    const char *config = NULL;
    int exit_code = read_config_argument(command, argc, argv, &config);
    if (exit_code >= 0)
        return exit_code;
    struct error error = ERROR_INIT;
    struct gateway_config_snapshot *snapshot = NULL;
    if (gateway_config_load(config, &error, &snapshot)) {
        error_print(&error, stderr);
        return CLI_CONFIG;
    }
    char data_dir[GATEWAY_PATH_MAX_BYTES];
    if (gateway_config_data_dir(&snapshot->value, &error, data_dir)) {
        error_print(&error, stderr);
        gateway_config_unref(snapshot);
        return CLI_CONFIG;
    }
    printf("%s: ok (%zu listeners, %zu streams, %zu upstreams; data in %s)\n",
           config ? config : "defaults", snapshot->value.listeners.count,
           snapshot->value.store.streams.count, snapshot->value.upstreams.count, data_dir);
    gateway_config_unref(snapshot);
    return CLI_OK;
}

static int run_config(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments = {.option_count = 0};
    int exit_code = read_arguments(&arguments, command, argc, argv);
    if (exit_code >= 0)
        return exit_code;
    return config_reference(&gateway_config_section, stdout) ? CLI_FAILED : CLI_OK;
}

/* What a configuration says about a path of the running or stopped daemon. */
typedef int path_of(const struct gateway_config *config, struct error *error,
                    char out[GATEWAY_PATH_MAX_BYTES]);

static int find_path(const char *config, path_of *path, char out[GATEWAY_PATH_MAX_BYTES])
{
    struct error error = ERROR_INIT;
    struct gateway_config_snapshot *snapshot = NULL;
    int r = gateway_config_load(config, &error, &snapshot);
    if (!r)
        r = path(&snapshot->value, &error, out);
    gateway_config_unref(snapshot);
    if (r)
        error_print(&error, stderr);
    return r ? CLI_CONFIG : CLI_OK;
}

static int run_status(const struct cli_command *command, int argc, char **argv)
{
    const char *config = NULL, *socket = NULL;
    bool json = false;
    const struct cli_option options[] = {
        CONFIG_OPTION(&config),
        {"--socket", "-s", CLI_TEXT, &socket, "PATH", "admin socket (else the configuration says)"},
        {"--json", NULL, CLI_FLAG, &json, NULL, "print the status document as it is"}};
    struct cli_arguments arguments = {.options = options, .option_count = 3};
    int exit_code = read_arguments(&arguments, command, argc, argv);
    if (exit_code >= 0)
        return exit_code;
    char path[GATEWAY_PATH_MAX_BYTES];
    if (!socket) {
        exit_code = find_path(config, gateway_config_admin_socket, path);
        if (exit_code != CLI_OK)
            return exit_code;
        socket = path;
    }
    return cli_status(socket, json, stdout);
}

static int database_of(const struct gateway_config *config, struct error *error,
                       char out[GATEWAY_PATH_MAX_BYTES])
{
    int r = gateway_config_data_dir(config, error, out);
    size_t n = r ? 0 : strlen(out);
    if (!r)
        snprintf(out + n, GATEWAY_PATH_MAX_BYTES - n, "/%s", STORE_FILE_NAME);
    return r;
}

static int run_streams(const struct cli_command *command, int argc, char **argv)
{
    const char *config = NULL;
    bool json = false, consumers = false;
    const struct cli_option options[] = {
        CONFIG_OPTION(&config),
        {"--consumers", NULL, CLI_FLAG, &consumers, NULL,
         "what is to be sent to whom, and the lag"},
        {"--json", NULL, CLI_FLAG, &json, NULL, "one JSON object a line"}};
    struct cli_arguments arguments = {.options = options, .option_count = 3};
    int exit_code = read_arguments(&arguments, command, argc, argv);
    char path[GATEWAY_PATH_MAX_BYTES];
    if (exit_code < 0 && (exit_code = find_path(config, database_of, path)) == CLI_OK)
        exit_code = consumers ? cli_consumers(path, json, stdout) : cli_streams(path, json, stdout);
    return exit_code;
}

static int run_tail(const struct cli_command *command, int argc, char **argv)
{
    const char *config = NULL;
    struct cli_tail_options tail = {.from = CLI_TAIL_FROM_END, .count = 10};
    const struct cli_option options[] = {
        CONFIG_OPTION(&config),
        {"--from", "-f", CLI_NUMBER, &tail.from, "OFFSET",
         "first offset (default: the end, less -n)"},
        {"--count", "-n", CLI_NUMBER, &tail.count, "N", "events at most (default 10)"}};
    struct cli_arguments arguments = {
        .options = options, .option_count = 3, .positional_min = 1, .positional_max = 1};
    int exit_code = read_arguments(&arguments, command, argc, argv);
    char path[GATEWAY_PATH_MAX_BYTES];
    if (exit_code < 0 && (exit_code = find_path(config, database_of, path)) == CLI_OK) {
        tail.database = path;
        tail.stream = arguments.positionals[0];
        exit_code = cli_tail(&tail, stdout);
    }
    return exit_code;
}

static int run_recover(const struct cli_command *command, int argc, char **argv)
{
    bool check = false;
    const struct cli_option options[] = {
        {"--check", NULL, CLI_FLAG, &check, NULL, "only read, and say what is damaged"}};
    struct cli_arguments arguments = {
        .options = options, .option_count = 1, .positional_min = 1, .positional_max = 1};
    int exit_code = read_arguments(&arguments, command, argc, argv);
    return exit_code >= 0 ? exit_code : cli_recover(arguments.positionals[0], check, stdout);
}

static int run_forget(const struct cli_command *command, int argc, char **argv)
{
    const char *config = NULL;
    const struct cli_option options[] = {CONFIG_OPTION(&config)};
    struct cli_arguments arguments = {
        .options = options, .option_count = 1, .positional_min = 1, .positional_max = 2};
    int exit_code = read_arguments(&arguments, command, argc, argv);
    char path[GATEWAY_PATH_MAX_BYTES];
    if (exit_code < 0 && (exit_code = find_path(config, gateway_config_data_dir, path)) == CLI_OK)
        exit_code =
            cli_forget(path, arguments.positionals[0],
                       arguments.positional_count > 1 ? arguments.positionals[1] : NULL, stdout);
    return exit_code;
}

static int run_audit(const struct cli_command *command, int argc, char **argv)
{
    const char *config = NULL;
    bool quiet = false;
    const struct cli_option options[] = {
        CONFIG_OPTION(&config),
        {"--quiet", "-q", CLI_FLAG, &quiet, NULL, "only check the chain, print no records"}};
    struct cli_arguments arguments = {.options = options, .option_count = 2};
    int exit_code = read_arguments(&arguments, command, argc, argv);
    char path[GATEWAY_PATH_MAX_BYTES];
    if (exit_code < 0 && (exit_code = find_path(config, database_of, path)) == CLI_OK)
        exit_code = cli_audit(path, quiet, stdout);
    return exit_code;
}

static int run_version(const struct cli_command *command, int argc, char **argv)
{
    (void)command;
    (void)argc;
    (void)argv;
    printf("sluice %s\n", SLUICE_VERSION);
    return CLI_OK;
}

static int run_help(const struct cli_command *command, int argc, char **argv);

static const struct cli_command commands[] = {
    {"run", "[-c FILE]", "run the gateway in the foreground", run_run},
    {"check", "[-c FILE]", "check a configuration by the daemon's own loader", run_check},
    {"config", "", "print the reference of all configuration keys with their defaults", run_config},
    {"status", "[-c FILE] [-s SOCKET] [--json]", "show what a running gateway does", run_status},
    {"streams", "[-c FILE] [--consumers] [--json]",
     "list the streams of the store, or who gets them", run_streams},
    {"tail", "[-c FILE] [-f OFFSET] [-n N] STREAM", "print events of a stream as JSON lines",
     run_tail},
    {"audit", "[-c FILE] [-q]", "print the audit trail and check that nobody changed it",
     run_audit},
    {"recover", "[--check] DATA_DIR", "salvage a damaged store while no gateway runs", run_recover},
    {"forget", "[-c FILE] UPSTREAM [STREAM]",
     "give up what is kept for an upstream, while no gateway runs", run_forget},
    {"version", "", "print the version", run_version},
    {"help", "", "print this list", run_help},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *out)
{
    fprintf(out, "usage: sluice COMMAND [OPTIONS]\n\ncommands:\n");
    cli_commands_print(commands, COMMANDS, out);
    fprintf(out, "\n\"sluice COMMAND --help\" lists the options of a command.\n");
}

static int run_help(const struct cli_command *command, int argc, char **argv)
{
    (void)command;
    (void)argc;
    (void)argv;
    print_help(stdout);
    return CLI_OK;
}

int main(int argc, char **argv)
{
    static const char *const aliases[][2] = {
        {"--help", "help"}, {"-h", "help"}, {"--version", "version"}, {"-V", "version"}};
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcmp(name, aliases[i][0]) == 0)
            name = aliases[i][1];
    const char *suggestion = NULL;
    const struct cli_command *command = cli_command_find(commands, COMMANDS, name, &suggestion);
    if (!command) {
        fprintf(stderr, "sluice: unknown command \"%s\"\n", name);
        if (suggestion)
            fprintf(stderr, "  fix: did you mean \"%s\"?\n", suggestion);
        else
            fprintf(stderr, "  fix: \"sluice help\" lists the commands\n");
        return CLI_USAGE;
    }
    return command->run(command, argc - 1, argv + 1);
}
