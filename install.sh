#!/bin/sh
# Installs trashbin as a service on Raspberry Pi OS (or Debian) Bookworm or Trixie, 64-bit.
#
#   sudo ./install.sh               install, or upgrade; run again, it changes nothing
#   sudo ./install.sh --with pca9685   with the library of an optional part, kept by upgrades
#   sudo ./install.sh --uninstall   remove it; configuration, password and events stay
#   sudo ./install.sh --uninstall --purge   remove these too
#
# It asks nothing. What it puts where: README, "Install on a Raspberry Pi". What it added is
# written down in $RECORD, so that --uninstall takes away that and nothing else.
set -eu
umask 022
# pip's cache would be left behind in root's home
export LC_ALL=C DEBIAN_FRONTEND=noninteractive PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1
unset PYTHONPATH PYTHONHOME

USER_NAME=trashbin
DEVICE_GROUPS="gpio video render" # as SupplementaryGroups in the unit
VENV=/opt/trashbin
COMMAND=/usr/local/bin/trashbin
CONFIG=/etc/trashbin/trashbin.yaml
CREDENTIALS=/etc/credstore
STORE=/var/lib/trashbin
RECORD=/usr/local/share/trashbin
UNIT=/etc/systemd/system/trashbin.service
ENABLED=/etc/systemd/system/multi-user.target.wants/trashbin.service
WATCHDOG=/etc/systemd/system.conf.d/60-trashbin-watchdog.conf
WAIT_S=300 # for another apt
HERE=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

changes=0
say() { printf '  %-9s %s\n' "$1" "$2"; }
changed() { changes=$((changes + 1)) && say "$1" "$2"; }
die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}
trap 'exit 1' HUP INT TERM # else what is tidied up at the end would be left behind
has_systemd() { [ -d /run/systemd/system ] && command -v systemctl >/dev/null; }
installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }
# Also where a run before this one stopped it, and was cut off before it could start it again.
at_work() {
    [ -e "$RECORD/stopped" ] ||
        { has_systemd && systemctl is-active trashbin | grep -Eqx 'active|activating|reloading'; }
}

# ---------------------------------------------------------------- is this the right machine?

check_machine() {
    [ "$(id -u)" = 0 ] || die "run it as root: sudo ./install.sh"
    command -v dpkg >/dev/null && command -v apt-get >/dev/null ||
        die "this is no Debian system. It installs on Raspberry Pi OS or Debian, Bookworm or Trixie."
    case $(dpkg --print-architecture) in
    arm64 | amd64) ;;
    armhf | armel | i386)
        die "this system is 32-bit ($(dpkg --print-architecture)). The network's runtime" \
            "(ai-edge-litert) and OpenCV are published for 64-bit systems only, so nothing would" \
            "run. Any Pi from the 3 and Zero 2 W on runs the 64-bit Raspberry Pi OS: choose it in" \
            "Raspberry Pi Imager." ;;
    *) die "there is no build of the network's runtime for $(dpkg --print-architecture); it needs arm64 (a Pi) or amd64." ;;
    esac
    RELEASE=$(. /etc/os-release && printf %s "${VERSION_CODENAME:-}")
    case $RELEASE in
    bookworm) WANTED_PYTHON=3.11 ;;
    trixie) WANTED_PYTHON=3.13 ;;
    *) die "this is '${RELEASE:-an unnamed release}'. It is tested on Bookworm and Trixie only;" \
        "on another system: make .venv/ready, then .venv/bin/trashbin." ;;
    esac
}

# ---------------------------------------------------------------- what it puts there

# Each folder that was not there before is written down, and goes again if it is empty then.
folder() { # MODE OWNER PATH
    if [ ! -d "$3" ]; then
        parent=$(dirname "$3")
        [ -d "$parent" ] || folder 755 root "$parent"
        echo "$3" >>"$RECORD/folders" # first: a run may be killed in between
        mkdir "$3"
        changed new "$3"
    fi
    [ "$(stat -c %a:%U "$3")" = "$1:$2" ] || {
        chown "$2:" "$3" && chmod "$1" "$3"
        changed mended "$3: mode $1, owner $2"
    }
}

# A file of ours, the same as in the source.
file() { # SOURCE TARGET
    if [ "$(stat -c %a:%U:%G "$2" 2>/dev/null)" != 644:root:root ] || ! cmp -s "$1" "$2"; then
        install -m 644 "$1" "$2" || die "$2 could not be written."
        changed written "$2"
        return 0
    fi
    return 1
}

# A package that only some archives have: taken where it is, told where it isn't.
optional() { # PACKAGE WITHOUT-IT
    installed "$1" && return
    if apt-cache show "$1" >/dev/null 2>&1; then
        missing="$missing $1"
    else
        say note "$1 is not in this machine's archives (Raspberry Pi OS has it): $2"
    fi
}

# A system that has just started is often at it by itself. apt can be told to wait for the lock of
# its packages, but not for that of its lists.
apt_update() {
    tries=0
    until told=$(apt-get update -q 2>&1 >/dev/null); do
        case $told in
        *"Could not get lock"*) [ $tries -lt $((WAIT_S / 5)) ] || die "another apt does not end: $told" ;;
        *) die "apt-get update failed: is there a network? $told" ;;
        esac
        [ $tries != 0 ] || say waiting "for another apt: $(printf %s "$told" | grep -om 1 'held by .*' || :)"
        tries=$((tries + 1))
        sleep 5
    done
}

apt_packages() {
    wanted="python3-venv ca-certificates"
    missing=
    for package in $wanted; do installed "$package" || missing="$missing $package"; done
    # asked again only where something is to be fetched anyway, so that a second run fetches nothing
    if [ -n "$missing" ] || [ ! -e "$RECORD/digest" ]; then
        apt_update
    fi
    # Raspberry Pi OS has both; Debian's own archives do not
    optional "python3-picamera2" "cameras go through v4l2"
    # Bookworm's comes with the lock; PyPI has none for Trixie's Python
    [ "$RELEASE" = bookworm ] || optional "python3-lgpio" "no GPIO pin can be reached"
    if [ -n "$missing" ]; then
        # netbase, which Trixie's Python brings, writes one where none is, and leaves it behind
        [ -e /etc/hosts ] || : >"$RECORD/hosts"
        # before it is done, or nothing would know of it where this is killed meanwhile; and not by what
        # has come when it is done, as another apt may have been at work
        # shellcheck disable=SC2086
        apt-get install -s --no-install-recommends $missing | sed -n 's/^Inst \([^ :]*\)[^ ]* (.*/\1/p' |
            sort -u - "$RECORD/packages" >"$RECORD/packages.tmp"
        mv "$RECORD/packages.tmp" "$RECORD/packages"
        # shellcheck disable=SC2086
        apt-get install -y -q -o DPkg::Lock::Timeout=$WAIT_S --no-install-recommends $missing \
            >"$RECORD/apt.tmp" 2>&1 || {
            tail -n 20 "$RECORD/apt.tmp" >&2
            die "apt-get install$missing failed."
        }
        rm -f "$RECORD/apt.tmp"
        changed packages "${missing# }"
    fi
    [ ! -e "$RECORD/hosts" ] || [ -s "$RECORD/hosts" ] || [ ! -e /etc/hosts ] ||
        sha256sum </etc/hosts >"$RECORD/hosts"
    python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    [ "$python" = $WANTED_PYTHON ] ||
        die "python3 is $python here; $RELEASE has $WANTED_PYTHON, and the locked wheels are for that."
}

group_there() { # GROUP
    getent group "$1" >/dev/null || {
        echo "$1" >>"$RECORD/groups"
        groupadd --system "$1"
        changed new "group $1"
    }
}

account() {
    if ! getent passwd $USER_NAME >/dev/null; then
        keep_backups
        echo "$USER_NAME" >>"$RECORD/users"
        useradd --system --user-group --home-dir $STORE --no-create-home --shell /usr/sbin/nologin $USER_NAME
        changed new "user $USER_NAME"
    fi
    for group in $DEVICE_GROUPS; do
        group_there "$group"
        id -nG $USER_NAME | tr ' ' '\n' | grep -qx "$group" || {
            usermod -aG "$group" $USER_NAME
            changed mended "$USER_NAME is in the group $group"
        }
    done
}

# useradd and its like leave the state before their last change in /etc/passwd- and so on, in
# which the user would live on. Where nobody else came or went, they are put back.
keep_backups() {
    mkdir -p "$RECORD/accounts"
    for name in passwd group shadow gshadow; do
        [ ! -e /etc/$name- ] || cp -a /etc/$name- "$RECORD/accounts/"
        [ ! -e /etc/$name ] || sha256sum </etc/$name >"$RECORD/accounts/$name.sum"
    done
}

put_backups_back() {
    for name in passwd group shadow gshadow; do
        [ -e "$RECORD/accounts/$name.sum" ] || continue
        [ "$(sha256sum </etc/$name)" = "$(cat "$RECORD/accounts/$name.sum")" ] || continue
        if [ -e "$RECORD/accounts/$name-" ]; then
            cp -a "$RECORD/accounts/$name-" /etc/$name-
        else
            rm -f /etc/$name-
        fi
    done
}

# Everything that decides what lies in $VENV, as one digest.
digest() {
    (cd "$HERE" && {
        python3 --version
        find trashbin models config labels.txt pyproject.toml "$LOCK" -type f \
            ! -path '*/__pycache__/*' ! -path 'config/demo-store/*' -print0 |
            sort -z | xargs -0 sha256sum
    }) | sha256sum | cut -d' ' -f1
}

# Libraries of optional parts, as pyproject.toml has them: "there" prints the extras that lie in
# $VENV, "lines EXTRA..." the requirements of these.
extras() { # there | lines EXTRA...
    python3 - "$HERE/pyproject.toml" "$VENV" "$@" <<'END'
import re, sys, tomllib
from importlib.metadata import distributions
from pathlib import Path

file, venv, what, *chosen = sys.argv[1:]
known = tomllib.loads(Path(file).read_text())["project"]["optional-dependencies"]

def name(line):
    return re.sub("[-_.]+", "-", re.match(r"[\w.-]+", line)[0]).lower()

if what == "lines":
    for extra in chosen:
        if extra not in known:
            sys.exit(f"install.sh: there is no extra {extra} (there are: {', '.join(known)})")
        print(*known[extra], sep="\n")
else:
    packages = distributions(path=list(map(str, Path(venv).glob("lib/python3*/site-packages"))))
    # a power cut may have emptied the file that has the name
    there = {name(told) for package in packages if (told := package.metadata.get("Name"))}
    print(*(extra for extra, lines in known.items() if {*map(name, lines)} <= there), sep="\n")
END
}

# Those to have: those that are there (where an upgrade was cut off: that were), and $with.
wanted_extras() {
    {
        if [ -e "$RECORD/digest" ]; then extras there; else cat "$RECORD/extras" 2>/dev/null || :; fi
        # shellcheck disable=SC2086
        printf '%s\n' $with
    } | sed '/^$/d' | sort -u | tr '\n' ' '
}

# Their newest wheels that pyproject.toml allows, and that go with the lock; some are built here.
fetch_extras() {
    [ -n "$wanted" ] || return 0
    sed -n 's/^\([A-Za-z0-9._-]*==[^ ;]*\).*/\1/p' "$HERE/$LOCK" >"$work/pins"
    # pep517: Bookworm's pip would build in this environment, whose setuptools is too old for some
    $pip wheel --use-pep517 -c "$work/pins" -r "$work/extras.in" -w "$work/extras" ||
        die "the libraries of ${wanted% } could not be fetched; nothing was changed."
}

install_extras() {
    [ -n "$wanted" ] || return 0
    $pip install --no-index --find-links "$work/extras" -r "$work/extras.in"
}

# While the new version is filled, the old one lies beside it.
room() {
    needed=$(find "$work" -name '*.whl' ! -path "$work/venv/*" -print0 | xargs -0 python3 -c '
import sys, zipfile
unpacked = (info.file_size for file in sys.argv[1:] for info in zipfile.ZipFile(file).infolist())
print(sum(unpacked) * 5 // 4 >> 20)  # with their bytecode, and what a venv has of itself')
    free=$(($(df -Pk "$(dirname $VENV)" | awk 'NR == 2 { print $4 }') / 1024))
    [ "$free" -ge "$needed" ] ||
        die "the new version needs $needed MB in $(dirname $VENV), and $free MB are free there;" \
            "nothing was changed. Make room, and run this again."
}

# Whether the environment sees the system's packages: not while it is filled, so that nothing
# rests on what apt may change; then it does, for picamera2 and lgpio.
system_packages() { # true | false
    sed -i "s/^include-system-site-packages = .*/include-system-site-packages = $1/" "$VENV/pyvenv.cfg"
}

# What a run that failed or was cut off left: the old version is put back.
put_right() {
    rm -rf $VENV.gone
    [ ! -e $VENV.old ] || {
        rm -rf $VENV
        mv $VENV.old $VENV
        say restored "$VENV: the version before" || : # the terminal may be what ended it
    }
    [ ! -e $VENV/pyvenv.cfg ] || system_packages true
}

# At the end, however it comes: after a failure the bin goes back to work with what there is.
tidy() {
    rm -rf "$work"
    put_right || : # whatever that came to, the bin is started
    [ ! -e "$RECORD/stopped" ] || {
        systemctl start --no-block trashbin
        rm -f "$RECORD/stopped"
    }
}

program() {
    LOCK=requirements-$RELEASE.lock
    put_right
    now=$(digest)
    wanted=$(wanted_extras)
    # Fetched and built first: without a network the old version stays, and stays at work.
    work=$(mktemp -d /var/tmp/trashbin-install.XXXXXX)
    trap tidy EXIT
    # shellcheck disable=SC2086
    extras lines $wanted >"$work/extras.in" || exit 1
    was_active=no
    ! at_work || was_active=yes
    if [ "$(cat "$RECORD/digest" 2>/dev/null)" = "$now" ] && "$VENV/bin/trashbin" --version >/dev/null 2>&1; then
        if [ "$wanted" = "$(with='' wanted_extras)" ]; then
            [ -e "$RECORD/stopped" ] || was_active=no
        else
            say fetching "what ${wanted% } needs"
            pip="$VENV/bin/python -m pip --disable-pip-version-check -q"
            fetch_extras
            system_packages false
            install_extras
            system_packages true
            changed written "$VENV: with ${wanted% }"
        fi
        return 0
    fi
    say fetching "what $LOCK names (some 100 MB; minutes on a Pi)"
    python3 -m venv "$work/venv"
    pip="$work/venv/bin/python -m pip --disable-pip-version-check -q"
    $pip download --only-binary :all: --require-hashes -r "$HERE/$LOCK" -d "$work/wheels" ||
        die "the wheels could not be fetched; nothing was changed."
    fetch_extras
    $pip install --no-index --find-links "$work/wheels" hatchling
    mkdir "$work/source"
    (cd "$HERE" && cp -R trashbin models config labels.txt pyproject.toml README.md LICENSE "$work/source/")
    rm -rf "$work/source/config/demo-store" # the events of a demo that ran in this folder
    $pip wheel --no-deps --no-build-isolation -w "$work/own" "$work/source" || die "the wheel could not be built."
    room

    [ $was_active = no ] || {
        touch "$RECORD/stopped"
        systemctl stop trashbin
    }
    # shellcheck disable=SC2086
    printf '%s\n' $wanted >"$RECORD/extras"
    rm -f "$RECORD/digest"
    [ ! -e $VENV ] || mv $VENV $VENV.old
    python3 -m venv "$VENV"
    pip="$VENV/bin/python -m pip --disable-pip-version-check -q"
    $pip install --no-index --find-links "$work/wheels" --require-hashes -r "$HERE/$LOCK"
    $pip install --no-index --no-deps "$work"/own/*.whl
    install_extras
    system_packages true
    "$VENV/bin/trashbin" --version >/dev/null || die "$VENV/bin/trashbin does not start."
    changed written "$VENV: $("$VENV/bin/trashbin" --version), NumPy $("$VENV/bin/python" -c 'import numpy; print(numpy.__version__)')"
}

# The new version is at work, or would be: there is no way back from here.
keep() {
    # in one step: half of it would be put back after a power cut
    [ ! -e $VENV.old ] || mv $VENV.old $VENV.gone
    rm -rf $VENV.gone
    echo "$now" >"$RECORD/digest"
}

configuration() {
    if [ ! -e $CONFIG ]; then
        "$VENV/bin/trashbin" setup --yes --config $CONFIG >/dev/null
        changed written "$CONFIG, to be looked through: sudo trashbin setup"
    else
        before=$(sha256sum <$CONFIG)
        "$VENV/bin/trashbin" check-config --upgrade $CONFIG >/dev/null ||
            say WARNING "$CONFIG has mistakes; the bin stays in safe mode: trashbin check-config $CONFIG"
        [ "$before" = "$(sha256sum <$CONFIG)" ] || changed upgraded "$CONFIG (the old one lies beside it)"
    fi
}

service() {
    reload=no
    # with the unit alone: whoever has disabled it meant that
    if [ ! -e $UNIT ] && [ ! -L $ENABLED ]; then
        ln -s ../trashbin.service $ENABLED
        changed enabled "trashbin.service, from the next boot on"
    fi
    file "$HERE/systemd/trashbin.service" $UNIT && reload=yes
    file "$HERE/systemd/watchdog.conf" $WATCHDOG && {
        reload=yes
        ! has_systemd || systemctl daemon-reexec # takes up RuntimeWatchdogSec now
    }
    # what the hardening must leave open for a part, and the group that it needs
    for extra in $wanted; do
        [ -e "$HERE/systemd/$extra.conf" ] || continue
        [ "$extra" != pca9685 ] || group_there i2c
        folder 755 root $UNIT.d
        ! file "$HERE/systemd/$extra.conf" "$UNIT.d/60-$extra.conf" || reload=yes
    done
    [ -L $ENABLED ] || say note "the bin does not start at boot: sudo systemctl enable trashbin"
    if has_systemd; then
        [ $reload = no ] || {
            systemctl daemon-reload
            ! at_work || was_active=yes
        }
        if [ $was_active = yes ]; then
            # waits until it is ready
            systemctl restart trashbin || {
                touch "$RECORD/stopped"
                systemctl stop trashbin # or its further tries bury the first one's reason
                die "the bin does not start; why: journalctl -u trashbin -n 100"
            }
            rm -f "$RECORD/stopped"
            changed restarted trashbin.service
        fi
    else
        say note "systemd does not run here: the unit lies in its place, and nothing was started"
    fi
}

install_all() {
    check_machine
    echo "trashbin on $(. /etc/os-release && echo "$PRETTY_NAME"), $(dpkg --print-architecture)"
    mkdir -p $RECORD
    touch $RECORD/packages $RECORD/folders
    apt_packages
    account
    program
    folder 755 root /etc/trashbin
    folder 700 root $CREDENTIALS
    folder 750 $USER_NAME $STORE
    [ -z "$(find $STORE ! -user $USER_NAME -print -quit)" ] || {
        chown -R $USER_NAME: $STORE
        changed mended "$STORE belongs to $USER_NAME"
    }
    [ "$(readlink $COMMAND 2>/dev/null)" = $VENV/bin/trashbin ] || {
        ln -sfn $VENV/bin/trashbin $COMMAND
        changed new "$COMMAND"
    }
    configuration
    folder 755 root "$(dirname $WATCHDOG)"
    folder 755 root "$(dirname $ENABLED)"
    service
    keep
    if [ $changes = 0 ]; then
        echo "Nothing to change: it is installed."
    else
        echo "Installed. Next: sudo trashbin setup, then sudo trashbin doctor"
    fi
}

# ---------------------------------------------------------------- taking it away

uninstall() { # PURGE
    [ "$(id -u)" = 0 ] || die "run it as root: sudo ./install.sh --uninstall"
    if has_systemd; then
        systemctl disable --now trashbin 2>/dev/null || true
    fi
    rm -f $ENABLED $UNIT $UNIT.d/60-*.conf $WATCHDOG $COMMAND
    rm -rf $VENV $VENV.old $VENV.gone
    ! has_systemd || systemctl daemon-reload
    if [ "$1" = yes ]; then
        rm -rf /etc/trashbin $STORE $CREDENTIALS/trashbin.mqtt-password
    fi
    remove_packages
    if [ -e $RECORD/users ]; then
        # what stays is root's: its number may go to somebody else
        [ ! -d $STORE ] || chown -R root: $STORE
        ! getent passwd $USER_NAME >/dev/null || userdel $USER_NAME ||
            die "the user $USER_NAME is still needed. End that, and run this again."
        ! getent group $USER_NAME >/dev/null || groupdel $USER_NAME
    fi
    [ ! -e $RECORD/groups ] || while read -r group; do
        [ -n "$(getent group "$group" | cut -d: -f4)" ] || groupdel "$group" || true
    done <$RECORD/groups
    put_backups_back
    [ ! -e $RECORD/folders ] || tac $RECORD/folders | while read -r path; do
        rmdir "$path" 2>/dev/null || true
    done
    rm -rf $RECORD
    if [ "$1" = yes ]; then
        echo "trashbin is gone, with configuration, password and events."
    else
        echo "trashbin is gone. Left: what lies in /etc/trashbin, $CREDENTIALS and $STORE (--purge removes them)."
    fi
}

# The packages that came with it and that nothing else has come to need.
remove_packages() {
    [ -s $RECORD/packages ] || return 0
    ours=$(while read -r package; do ! installed "$package" || echo "$package"; done <$RECORD/packages)
    [ -n "$ours" ] || return 0
    # shellcheck disable=SC2086
    others=$(apt-get -s purge $ours | sed -n 's/^\(Purg\|Remv\) \([^ :]*\).*/\2/p' | sort -u |
        comm -13 $RECORD/packages -)
    if [ -n "$others" ]; then
        echo "The packages that came with it stay: $(echo "$others" | tr '\n' ' ')need them."
        return 0
    fi
    # shellcheck disable=SC2086
    apt-get purge -y -q -o DPkg::Lock::Timeout=$WAIT_S $ours >/dev/null
    # unless somebody has written to it since
    [ ! -s $RECORD/hosts ] || [ "$(sha256sum </etc/hosts)" != "$(cat $RECORD/hosts)" ] || rm /etc/hosts
}

purge=no uninstall=no with=
while [ $# -gt 0 ]; do
    case $1 in
    --uninstall) uninstall=yes ;;
    --purge) purge=yes ;;
    --with)
        [ $# -gt 1 ] || die "--with needs the name of an extra, such as pca9685"
        with="$with $2"
        shift
        ;;
    -h | --help)
        sed -n '2,10s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) die "unknown option $1 (there are --with, --uninstall, --purge and --help)" ;;
    esac
    shift
done
if [ $uninstall = yes ]; then
    uninstall $purge
elif [ $purge = yes ]; then
    die "--purge goes with --uninstall: it removes configuration and events"
else
    install_all
fi
