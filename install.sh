#!/bin/sh
# Install lora-post on this machine, or upgrade it: Debian 12, Raspberry Pi OS 12, or newer. See --help.
set -eu

PREFIX=/opt/lora-post
LINK=/usr/local/bin/lora-post
CONFIG=/etc/lora-post/lora-post.toml
STATE=/var/lib/lora-post
WHEELS=/var/cache/lora-post/wheels
UNITS="lora-post-radio.socket lora-post-radio.service lora-post.service"
SOURCE=$(cd "$(dirname "$0")" && pwd)

usage() {
    cat <<END
Install lora-post on this machine, or upgrade it to the version in this folder.

    sudo sh install.sh                                          frames by UDP, from a packet forwarder
    sudo sh install.sh -- /opt/lora_gateway/lora_gateway --raw  frames from a radio program
    sudo sh install.sh --username me                            with an account of Waziup Cloud
    sudo sh install.sh --uninstall                              keeps configuration and queued readings
    sudo sh install.sh --uninstall --purge                      removes them too

It may be run again at any time: a configuration and a spool that are there are kept, and what was downloaded once is
not downloaded again. It writes to:

    $PREFIX             the program, about 81 MB; the first time it downloads about 11 MB
    $LINK    a link to its command
    $CONFIG   a configuration that works, unless there is one
    $STATE         readings that wait to be sent (the service makes it)
    $WHEELS   what was downloaded, for the next time
    /etc/systemd/system      the service, which starts now and at each boot

  --username NAME  your account of Waziup Cloud, for a new configuration; the password is asked for
  --dry-run        say what would be done, and do nothing
  --no-start       install the service, and do not start it
  --uninstall      stop it and remove the program;  --purge: the configuration and the queue too
END
}

say() { printf '%s\n' "$*"; }
stop() { printf 'Error: %s\n' "$1" >&2; printf 'fix: %s\n' "$2" >&2; exit 1; }
step() { # step TEXT COMMAND…: say it, and do it unless it is a dry run
    printf -- '- %s\n' "$1"
    shift
    [ "$dry_run" = 1 ] || "$@"
}

dry_run=0 uninstall=0 purge=0 start=1 username=
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit ;;
        --dry-run) dry_run=1 ;;
        --no-start) start=0 ;;
        --uninstall) uninstall=1 ;;
        --purge) purge=1 ;;
        --username) [ $# -gt 1 ] || stop "--username has no name" "give your account of Waziup Cloud"; shift; username=$1 ;;
        --) shift; break ;;
        *) stop "there is no option $1" "see: sh install.sh --help" ;;
    esac
    shift
done
# What is left in "$@" is the radio program.

runs_systemd() { [ -d /run/systemd/system ]; }

find_python() {
    for python in python3 python3.13 python3.12 python3.11; do
        if command -v "$python" >/dev/null && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            return
        fi
    done
    stop "there is no Python 3.11 or newer" "use Debian 12, Raspberry Pi OS 12 (bookworm), or newer"
}

install_venv_package() {
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null ||
        stop "python3-venv cannot be installed" "sudo apt-get update && sudo apt-get install python3-venv"
}

# Install from what was downloaded before; else download what is missing, keep it, and install from that.
install_program() {
    mkdir -p "$WHEELS"
    [ -x "$PREFIX/bin/python" ] || "$python" -m venv "$PREFIX"
    pip() { "$PREFIX/bin/python" -m pip -q --disable-pip-version-check "$@"; }
    if ! PIP_NO_INDEX=1 PIP_FIND_LINKS=$WHEELS pip install --upgrade "$SOURCE" 2>/dev/null; then
        pip wheel --find-links "$WHEELS" -w "$WHEELS" 'hatchling>=1.25' &&
            PIP_FIND_LINKS=$WHEELS pip wheel --find-links "$WHEELS" -w "$WHEELS" "$SOURCE" &&
            rm -f "$WHEELS"/lora_post-*.whl &&
            PIP_NO_INDEX=1 PIP_FIND_LINKS=$WHEELS pip install --upgrade "$SOURCE" ||
            stop "the program cannot be installed; nothing that runs was changed" "see pip's message above; is there a link?"
    fi
}

link_command() { ln -sf "$PREFIX/bin/lora-post" "$LINK"; }

# init FROM…: arguments of `lora-post init`
write_configuration() {
    if [ -n "$username" ]; then
        set -- "$@" --username "$username"
    fi
    "$PREFIX/bin/lora-post" init "$CONFIG" "$@"
}

install_service() {
    "$PREFIX/bin/lora-post" service install -c "$CONFIG" -- "$@"
    install -d -o lora-post -g lora-post -m 750 "$STATE"
}

# As the service's user, who may do less than root.
test_configuration() { runuser -u lora-post -- "$PREFIX/bin/lora-post" check --offline -c "$CONFIG"; }

start_service() {
    systemctl daemon-reload && systemctl enable --now lora-post && systemctl restart lora-post ||
        stop "the service does not start" "see: journalctl -u lora-post"
}

say_javascript() {
    [ "$(getconf LONG_BIT)" = 32 ] || return 0
    say "JavaScript codecs: there is no ready-made engine for 32-bit systems. Decoders in Python, and those that come with"
    say "lora-post, need none. To have it, build it here once (some minutes on a Pi 3):"
    say "  sudo apt-get install build-essential python3-dev && sudo $PREFIX/bin/pip install quickjs-ng"
}

remove_service() {
    if runs_systemd; then
        for unit in $UNITS; do systemctl disable --now "$unit" 2>/dev/null || true; done
    fi
    for unit in $UNITS; do rm -f "/etc/systemd/system/$unit" "/etc/systemd/system/multi-user.target.wants/$unit"; done
    rm -f /etc/sysusers.d/lora-post.conf
    if runs_systemd; then systemctl daemon-reload; fi
}

remove_program() { rm -rf "$PREFIX" "$LINK" "$(dirname "$WHEELS")"; }

remove_data() {
    rm -rf "$(dirname "$CONFIG")" "$STATE"
    if id lora-post >/dev/null 2>&1; then userdel lora-post; fi
}

[ "$dry_run" = 1 ] || [ "$(id -u)" = 0 ] || stop "only root may do this" "sudo sh install.sh, or --dry-run to see what it does"

if [ "$uninstall" = 1 ]; then
    step "stop the service and remove its units" remove_service
    step "remove $PREFIX, $LINK and what was downloaded" remove_program
    if [ "$purge" = 1 ]; then
        step "remove the configuration, the queued readings and the user lora-post" remove_data
    else
        say "Kept: $(dirname "$CONFIG"), $STATE and the user lora-post. --uninstall --purge removes them."
    fi
    exit
fi

find_python
"$python" -c 'import venv, ensurepip' 2>/dev/null || step "install the package python3-venv" install_venv_package
was_there=0
[ ! -e "$CONFIG" ] || was_there=1
step "install the program into $PREFIX (81 MB; downloads 11 MB the first time)" install_program
step "link its command to $LINK" link_command
if [ "$was_there" = 1 ]; then
    say "- keep the configuration $CONFIG"
elif [ $# -gt 0 ]; then
    step "write a configuration that reads the radio program: $CONFIG" write_configuration --url stdin:
else
    step "write a configuration that takes UDP from a packet forwarder: $CONFIG" write_configuration
fi
step "install the service, and its user lora-post" install_service "$@"
step "test the configuration" test_configuration
if [ "$start" = 1 ] && { runs_systemd || [ "$dry_run" = 1 ]; }; then
    step "start it, now and at each boot" start_service
else
    say "- not started; to start it: sudo systemctl enable --now lora-post"
fi
say_javascript
[ "$dry_run" = 1 ] || say "Done. What is heard: journalctl -fu lora-post; the page: http://localhost:8080/; devices: $CONFIG"
