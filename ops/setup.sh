#!/bin/sh
# The steps of the set-up, one per call; the Makefile knows when each is due.
#
#   setup.sh venv               .venv, with Python 3.11 or later
#   setup.sh install LOCK       what a lock names, into .venv, hashes checked, and the project itself
#   setup.sh ministack          the table service, in an environment of its own: it pins what we do not want
#   setup.sh packages LIST STAMP   Debian packages of a list that are missing
#   setup.sh kcl                the Kinesis Client Library, into .venv, its jars checked
set -eu

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
export HOME="${HOME:-/tmp}"

say() { printf 'set-up: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

python() {
    for name in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
        command -v "$name" >/dev/null 2>&1 || continue
        "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        "$name" -c 'import sys; print(sys.executable)'
        return
    done
    fail "Python 3.11 or later is missing; install it (Debian: apt-get install python3 python3-venv)" \
        "or name one: make setup PYTHON=/path/to/python"
}

new_environment() {
    found=$(python)
    say "a Python environment in $1 ($("$found" --version))"
    "$found" -m venv --clear "$1" || fail "Python's venv module does not work; Debian: apt-get install python3-venv"
}

installed() { dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

packages() {
    command -v dpkg-query >/dev/null 2>&1 || fail "this is no Debian; install what $1 names by hand," \
        "then: touch $2"
    missing=""
    for package in $(sed 's/#.*//' "$1"); do
        installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "Debian packages:$missing"
    root=""
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || fail "these need root; as root run: apt-get install$missing"
        root=sudo
    fi
    log=$(mktemp)
    install="$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"
    # shellcheck disable=SC2086
    if $install $missing >"$log" 2>&1 || { $root apt-get update -q >"$log" 2>&1 && $install $missing >"$log" 2>&1; }; then
        rm -f "$log"
        return 0
    fi
    tail -n 5 "$log" >&2
    rm -f "$log"
    fail "these could not be installed; try: $root apt-get update && $root apt-get install$missing"
}

# The library's build fetches jars without looking at what comes; they are compared with our list before anything of it
# is installed or run. What it needs of Python to be built is locked too; at run time it needs nothing (boto3, which it
# names, is its samples' business).
kcl() {
    mkdir -p .tools
    new_environment .tools/kcl
    .tools/kcl/bin/python -m pip install -q --require-hashes -r requirements-kcl-build.lock
    say "the Kinesis Client Library (33 MB of jars)"
    .tools/kcl/bin/python -m pip wheel -q --no-deps --no-build-isolation --require-hashes -r requirements-kcl.lock \
        -w .tools/kcl/wheels
    .tools/kcl/bin/python -m zipfile -e .tools/kcl/wheels/amazon_kclpy-*.whl .tools/kcl/unpacked
    if ! (cd .tools/kcl/unpacked/amazon_kclpy/jars && LC_ALL=C && sha256sum -- *.jar) \
        | diff ops/kcl-jars.sha256 - >.tools/kcl/differences; then
        sed -n 's/^> [0-9a-f]*  /set-up: not as in ops\/kcl-jars.sha256: /p; s/^< [0-9a-f]*  /set-up: expected: /p' \
            .tools/kcl/differences >&2
        fail "the library's jars are not those that we know; nothing of it was installed"
    fi
    .venv/bin/python -m pip install -q --no-deps --no-index --force-reinstall .tools/kcl/wheels/amazon_kclpy-*.whl
    archive "$(.venv/bin/python -c 'from streams.kcl import jars; print(jars())')"
}

# The daemon's classes as Java wants them in memory, so that it starts two seconds sooner: a daemon that finds no service
# is left to look for a while, and told to write them down when it ends. Without the archive it works as well.
archive() {
    say "an archive of the daemon's classes, in $1"
    rm -f "$1/herald.jsa"
    work=$(mktemp -d)
    cat >"$work/properties" <<EOF
executableName = /bin/true
streamName = none
applicationName = none
AwsCredentialsProvider = DefaultCredentialsProvider
processingLanguage = python
regionName = us-east-1
initialPositionInStream = TRIM_HORIZON
kinesisEndpoint = http://127.0.0.1:9
dynamoDBEndpoint = http://127.0.0.1:9
metricsLevel = NONE
retrievalMode = POLLING
idleTimeBetweenReadsInMillis = 250
disableWorkerMetrics = true
clientVersionConfig = CLIENT_VERSION_CONFIG_3X
EOF
    .venv/bin/python -c 'from streams.kcl_daemon import LOGBACK; print(LOGBACK)' >"$work/logback.xml"
    AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none timeout -s TERM 12 java -XX:ArchiveClassesAtExit="$1/herald.jsa" \
        -Xlog:disable -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$1/*" \
        software.amazon.kinesis.multilang.MultiLangDaemon \
        --properties-file "$work/properties" --log-configuration "$work/logback.xml" >/dev/null 2>&1 || true
    rm -rf "$work"
    [ -f "$1/herald.jsa" ] || say "it could not be made; the daemon will start as well, only later"
}

case "$1" in
venv)
    new_environment .venv
    ;;
install)
    say "what $2 names, into .venv"
    .venv/bin/python -m pip install -q --require-hashes -r "$2"
    .venv/bin/python -m pip install -q --no-deps --no-build-isolation -e .
    ;;
ministack)
    mkdir -p .tools
    new_environment .tools/ministack
    say "what requirements-ministack.lock names, into .tools/ministack"
    .tools/ministack/bin/python -m pip install -q --require-hashes -r requirements-ministack.lock
    ;;
packages)
    packages "$2" "$3"
    ;;
kcl)
    kcl
    ;;
*)
    fail "there is no step $1"
    ;;
esac
