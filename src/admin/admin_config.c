#include "admin/admin_config.h"

#include <errno.h>

#include "base/error.h"

static const struct config_key admin_keys[] = {
    {"socket", CONFIG_FIELD(PATH, struct admin_config, socket), .max = 107,
     .example = "/run/sluice/sluice.sock",
     .help = "Unix socket of the admin API, at most 107 bytes long; whoever may open the file may "
             "use the API. Without it: sluice.sock in the data directory."},
    {"tcp", CONFIG_FIELD(ADDRESS, struct admin_config, tcp), .example = "127.0.0.1:9464",
     .help = "Address at which the read-only part of the API (health, metrics, status) answers "
             "without authentication. Without it: not on the network at all."},
};

static int check(const void *value, struct error *error)
{
    const struct admin_config *config = value;
    if (!config->tcp.path)
        return 0;
    error_what(error, "\"tcp\" is a unix socket");
    error_mend(error, "give HOST:PORT there, and the path of a unix socket in \"socket\"");
    return -EINVAL;
}

const struct config_section admin_section = {"admin", CONFIG_KEYS(admin_keys),
                                             .size = sizeof(struct admin_config), .check = check};
