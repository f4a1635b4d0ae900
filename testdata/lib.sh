# shellcheck shell=sh
# TAP for shell tests: sourced first by each cmd/*.t, which ends with done_testing.
#
#   root    the source tree (the working folder, too)     work    a fresh folder, removed at the end
#   run CMD...              runs it: $status, and its output in $work/out and $work/err
#   ok NAME CMD...          passes if the command succeeds
#   is GOT WANT NAME        passes if the strings are equal
#   exits STATUS NAME CMD...    runs it and compares its exit status
#   says PATTERN NAME       the last run's standard error matches the basic regular expression
#   same FILE FILE NAME     equal bytes
#   skip NAME WHY           counts as passed
set -u
root=$PWD
: "${BUILD:=$root/build}"
PATH=$BUILD/bin:$PATH
work=$(mktemp -d "${TMPDIR:-/tmp}/brew-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
tests=0
failures=0

result() { # passed?, name
    tests=$((tests + 1))
    if [ "$1" = 0 ]; then
        echo "ok $tests - $2"
    else
        echo "not ok $tests - $2"
        failures=$((failures + 1))
        return 1
    fi
}

run() {
    status=0
    "$@" >"$work/out" 2>"$work/err" || status=$?
}

ok() {
    name=$1
    shift
    passed=0
    "$@" >"$work/ok.log" 2>&1 || passed=1
    result $passed "$name" || sed 's/^/# /' "$work/ok.log"
}

is() {
    passed=0
    [ "$1" = "$2" ] || passed=1
    result $passed "$3" || printf '# got:  %s\n# want: %s\n' "$1" "$2"
}

exits() {
    want=$1 name=$2
    shift 2
    run "$@"
    passed=0
    [ "$status" = "$want" ] || passed=1
    result $passed "$name" || {
        echo "# exit status $status, want $want: $*"
        sed 's/^/# /' "$work/err" | head -20
    }
}

says() {
    passed=0
    grep -q -e "$1" "$work/err" || passed=1
    result $passed "$2" || sed 's/^/# /' "$work/err"
}

same() {
    passed=0
    cmp -s "$1" "$2" || passed=1
    result $passed "$3" || cmp "$1" "$2" 2>&1 | sed 's/^/# /'
}

skip() {
    tests=$((tests + 1))
    echo "ok $tests - $1 # SKIP $2"
}

done_testing() {
    echo "1..$tests"
    [ "$failures" = 0 ]
    exit
}
