#!/bin/sh
# Bad input: testdata/bad/cases.tsv, a case per line of four fields between tabs:
#
#   kind     record   input of brew-score -m MODEL (a prompt record), and of brew-tokenize
#            scores   input of brew-eval
#            task     the task file of brew-promptify
#            events   the events of brew-promptify, CSV with the columns m,i,t,v
#            command  a command line; $M a model, $R a good record, $S good scores, $T a good task, $W a folder
#   status   the expected exit status
#   message  what standard error must say (basic regular expression)
#   input    bytes, as printf %b writes them
#
# No case may crash, print "CANARY" (which stands where personal data would) or leave an output behind.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"

export M="$root/testdata/models/tiny" R="$work/r.jsonl" S="$work/s.jsonl" T="$work/t.json" W="$work"
printf '%s\n' '{"query":"q\n","items":["a:","b:"],"label_tokens":[" Yes"," No"],"targets":[0,1]}' >"$R"
printf '%s\n' '{"id":"1","targets":[0,1],"meta":{"member":"m"},"scores":[[0.7,0.3],[0.2,0.8]]}' >"$S"
printf 'm,i,t,v\n1,1,1,4\n1,2,2,1\n1,1,3,5\n' >"$work/e.csv"
printf 'i,title\n1,Heat\n2,Big\n' >"$work/i.csv"
cat >"$T" <<'END'
{"task":"films","events":{"file":"e.csv","member":"m","item":"i","time":"t","value":"v"},
 "items":{"file":"i.csv","id":"i"},
 "actions":[{"name":"liked","label":" Yes","min":4},{"name":"not","label":" No"}],
 "templates":{"question":"{title}:"},"split":{"by":"last","test":0.5}}
END

case_run() {
    case $kind in
    record)
        run brew-score -m "$M" -o "$work/o" "$work/input"
        score_status=$status
        run brew-tokenize -m "$M" -o "$work/o" "$work/input"
        # What one of the two readers of records refuses, the other must refuse alike.
        [ "$score_status" = "$status" ] || status="$status after brew-score said $score_status"
        ;;
    scores) run brew-eval -o "$work/o" "$work/input" ;;
    task) mv "$work/input" "$work/bad.json" && run brew-promptify --task "$work/bad.json" -o "$work/o" ;;
    events) mv "$work/input" "$work/bad.csv" && run brew-promptify --task "$T" -o "$work/o" "$work/bad.csv" ;;
    command) run sh -c "$input" ;;
    *) status="no kind $kind" ;;
    esac
}

tab=$(printf '\t')
number=0
while IFS=$tab read -r kind want message input; do
    number=$((number + 1))
    printf '%b' "$input" >"$work/input"
    case_run </dev/null
    why=
    [ "$status" = "$want" ] || why="exit status $status, want $want"
    grep -q -e "$message" "$work/err" || why="$why; the message lacks: $message"
    [ "$(wc -l <"$work/err")" -le 3 ] || why="$why; more than three lines"
    ! grep -q CANARY "$work/err" "$work/out" || why="$why; contents are leaked"
    [ ! -e "$work/o" ] || why="$why; an output was left"
    rm -f "$work/o"
    [ -z "$why" ]
    result $? "case $number: $kind: $message" || {
        echo "# $why"
        printf '# %s\n' "$input" | cut -c 1-200
        sed 's/^/# /' "$work/err" | head -5
    }
done <"$root/testdata/bad/cases.tsv"
done_testing
