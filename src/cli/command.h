#ifndef SLUICE_CLI_COMMAND_H
#define SLUICE_CLI_COMMAND_H
/*
 * The command line: a row per subcommand, and rows for its options. main.c owns the table of
 * commands; each command reads its arguments by a table of struct cli_option.
 *
 *     bool json = false;
 *     const char *socket = NULL;
 *     const struct cli_option options[] = {
 *         {"--json", NULL, CLI_FLAG, &json, NULL, "print the document as it is"},
 *         {"--socket", "-s", CLI_TEXT, &socket, "PATH", "admin socket of the daemon"}};
 *     struct cli_arguments arguments = {.options = options, .option_count = 2};
 *     int exit_code = cli_arguments_read(&arguments, command, argc, argv);
 */
#include <stddef.h>
#include <stdio.h>

/* Exit codes (design: decided). */
enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_CONFIG = 78 };

struct cli_command {
    const char *name;
    const char *usage; /* what follows the name: "[--json]"; "" for nothing */
    const char *help;  /* one line, no full stop */
    /* argv[0] is the name of the command. Returns an exit code. */
    int (*run)(const struct cli_command *command, int argc, char **argv);
};

/* Prints one line per command. */
void cli_commands_print(const struct cli_command *commands, size_t count, FILE *out);

/* The command of that name. NULL: none; then *ret_suggestion is the nearest name, or NULL. */
const struct cli_command *cli_command_find(const struct cli_command *commands, size_t count,
                                           const char *name, const char **ret_suggestion);

enum cli_option_kind {
    CLI_FLAG,  /* bool *: set to true */
    CLI_TEXT,  /* const char **: the argument itself */
    CLI_NUMBER /* uint64_t *: decimal */
};

enum { CLI_OPTIONS_MAX = 32, CLI_POSITIONALS_MAX = 8 };

struct cli_option {
    const char *name;       /* "--socket" */
    const char *short_name; /* "-s", or NULL */
    enum cli_option_kind kind;
    void *target;         /* untouched unless the option is given */
    const char *argument; /* its name in the help; NULL for flags */
    const char *help;     /* one line, no full stop */
};

struct cli_arguments {
    const struct cli_option *options;
    size_t option_count;                          /* at most CLI_OPTIONS_MAX */
    size_t positional_min, positional_max;        /* at most CLI_POSITIONALS_MAX */
    const char *positionals[CLI_POSITIONALS_MAX]; /* (filled) */
    size_t positional_count;                      /* (filled) */
};

/* Outcome beside 0: the command is to end with this exit code; everything has been said (help on
 * stdout, complaints on stderr). */
enum cli_arguments_outcome { CLI_ARGUMENTS_HELP = 1, CLI_ARGUMENTS_WRONG = 2 };

/* Reads argv[1..argc-1]: "--name value", "--name=value", "-n value"; "--" ends the options; --help
 * and -h print the usage. */
int cli_arguments_read(struct cli_arguments *arguments, const struct cli_command *command, int argc,
                       char **argv);

#endif
