# shellcheck shell=bash disable=SC2034 # the lists are used by those who source this
# Sourced by quickstart and test: what Debian 12 has to have, and how it gets there.

build_packages=(gcc libc6-dev meson ninja-build pkgconf python3
    libevent-dev libsqlite3-dev libcjson-dev libpaho-mqtt-dev libmbedtls-dev libzstd-dev)
broker_packages=(mosquitto mosquitto-clients)
test_packages=(clang libclang-rt-14-dev libcmocka-dev git nats-server)

say() { printf '==> %s\n' "$*"; }

package_installed() {
    case "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" in
    installed) return 0 ;;
    *) return 1 ;;
    esac
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Installs those of the packages named that are missing; touches nothing when there are none.
install_packages() {
    local package missing=()
    if ! command -v dpkg-query >/dev/null; then
        say "not a Debian system: expecting the equivalents of: $*"
        return 0
    fi
    for package in "$@"; do
        package_installed "$package" || missing+=("$package")
    done
    if [ "${#missing[@]}" -eq 0 ]; then
        say "Debian packages: all there"
        return 0
    fi
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        say "missing Debian packages, and neither root nor sudo to install them: ${missing[*]}" >&2
        return 1
    fi
    say "installing missing Debian packages: ${missing[*]}"
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}"
}
