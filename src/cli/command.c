#include "cli/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config/key.h"

enum { COMMANDS_MAX = 64, OPTION_TEXT_MAX_BYTES = 64 };

void cli_commands_print(const struct cli_command *commands, size_t count, FILE *out)
{
    int width = 0;
    for (size_t i = 0; i < count; i++) {
        int len = (int)(strlen(commands[i].name) + strlen(commands[i].usage));
        width = len > width ? len : width;
    }
    for (size_t i = 0; i < count; i++)
        fprintf(out, "  %s %-*s  %s\n", commands[i].name, width - (int)strlen(commands[i].name),
                commands[i].usage, commands[i].help);
}

const struct cli_command *cli_command_find(const struct cli_command *commands, size_t count,
                                           const char *name, const char **ret_suggestion)
{
    const char *names[COMMANDS_MAX + 1];
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
        if (known < COMMANDS_MAX)
            names[known++] = commands[i].name;
    }
    names[known] = NULL;
    *ret_suggestion = config_suggest(name, names);
    return NULL;
}

static void print_usage(const struct cli_arguments *arguments, const struct cli_command *command,
                        FILE *out)
{
    fprintf(out, "usage: sluice %s%s%s\n\n%s.\n\n", command->name, *command->usage ? " " : "",
            command->usage, command->help);
    for (size_t i = 0; i < arguments->option_count; i++) {
        const struct cli_option *option = &arguments->options[i];
        char text[OPTION_TEXT_MAX_BYTES];
        snprintf(text, sizeof text, "%s%s%s%s%s", option->short_name ? option->short_name : "",
                 option->short_name ? ", " : "", option->name, option->argument ? " " : "",
                 option->argument ? option->argument : "");
        fprintf(out, "  %-24s  %s\n", text, option->help);
    }
    fprintf(out, "  %-24s  %s\n", "-h, --help", "print this");
}

static int complain(const struct cli_command *command, const char *what, const char *about)
{
    fprintf(stderr, "sluice: %s: %s\n  fix: see \"sluice %s --help\"\n", about, what,
            command->name);
    return CLI_ARGUMENTS_WRONG;
}

/* The option that the argument names; what follows "=" goes to *ret_value, else NULL. */
static const struct cli_option *find_option(const struct cli_arguments *arguments,
                                            const char *argument, const char **ret_value)
{
    const char *equals = strncmp(argument, "--", 2) == 0 ? strchr(argument, '=') : NULL;
    size_t len = equals ? (size_t)(equals - argument) : strlen(argument);
    for (size_t i = 0; i < arguments->option_count; i++) {
        const struct cli_option *option = &arguments->options[i];
        if ((strlen(option->name) == len && memcmp(option->name, argument, len) == 0) ||
            (option->short_name && strcmp(option->short_name, argument) == 0)) {
            *ret_value = equals ? equals + 1 : NULL;
            return option;
        }
    }
    return NULL;
}

static bool read_number(const char *text, uint64_t *ret)
{
    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
        return false;
    errno = 0;
    uint64_t value = strtoull(text, NULL, 10);
    if (errno)
        return false;
    *ret = value;
    return true;
}

/* value is NULL for a flag only. */
static int store_option(const struct cli_option *option, const struct cli_command *command,
                        const char *value)
{
    switch (option->kind) {
    case CLI_FLAG:
        *(bool *)option->target = true;
        return 0;
    case CLI_TEXT:
        *(const char **)option->target = value;
        return 0;
    case CLI_NUMBER:
        if (read_number(value, option->target))
            return 0;
        return complain(command, "a number from 0 to 18446744073709551615 is wanted here", value);
    }
    return CLI_ARGUMENTS_WRONG;
}

static int read_option(struct cli_arguments *arguments, const struct cli_command *command, int argc,
                       char **argv, int *at)
{
    const char *argument = argv[*at];
    const char *value = NULL;
    const struct cli_option *option = find_option(arguments, argument, &value);
    if (!option) {
        const char *names[CLI_OPTIONS_MAX + 1];
        size_t count = 0;
        for (; count < arguments->option_count && count < CLI_OPTIONS_MAX; count++)
            names[count] = arguments->options[count].name;
        names[count] = NULL;
        const char *near = config_suggest(argument, names);
        if (near)
            fprintf(stderr, "sluice: did you mean %s?\n", near);
        return complain(command, "unknown option", argument);
    }
    if (option->kind == CLI_FLAG && value)
        return complain(command, "takes no value", option->name);
    if (option->kind != CLI_FLAG && !value) {
        if (*at + 1 >= argc)
            return complain(command, "a value is missing after it", argument);
        value = argv[++*at];
    }
    return store_option(option, command, value);
}

int cli_arguments_read(struct cli_arguments *arguments, const struct cli_command *command, int argc,
                       char **argv)
{
    bool options_end = false;
    arguments->positional_count = 0;
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        int r = 0;
        if (options_end || argument[0] != '-' || argument[1] == '\0') {
            if (arguments->positional_count == arguments->positional_max)
                return complain(command, "one argument too many", argument);
            arguments->positionals[arguments->positional_count++] = argument;
        } else if (strcmp(argument, "--") == 0) {
            options_end = true;
        } else if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            print_usage(arguments, command, stdout);
            return CLI_ARGUMENTS_HELP;
        } else {
            r = read_option(arguments, command, argc, argv, &i);
        }
        if (r)
            return r;
    }
    if (arguments->positional_count < arguments->positional_min)
        return complain(command, "an argument is missing", command->name);
    return 0;
}
