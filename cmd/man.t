#!/bin/sh
# The examples of the manual, run in a folder in which the names they use exist. Before an example stands
#
#   .\" run             shell commands, each with or without a prompt: they succeed, say nothing on standard
#                       error (but how much of training is later than test) and print something (or leave a new file)
#   .\" run: record     a prompt record: brew-score and brew-tokenize take it
#   .\" run: PROGRAM    input of PROGRAM
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"

# ---- the folder ----
tiny=$root/testdata/models/tiny
mkdir "$work/bin" "$work/models"
cd "$work" || exit 1
for name in model SmolLM2-135M-Instruct.gguf models/base models/big models/turbo models/p1; do ln -s "$tiny" "$name"; done
ln -s "$root/testdata/ml-latest-small" .
cp "$root/testdata/movies.task.json" .
{
    head -n 1 ml-latest-small/ratings.csv
    grep '^[1-5]\?[0-9],' ml-latest-small/ratings.csv
} >ratings.csv
sed 's|ml-latest-small/ratings.csv|ratings.csv|; s|"task": "movies"|"task": "jobs"|' movies.task.json >jobs.task.json
sed -i 's|ml-latest-small/ratings.csv|ratings.csv|' movies.task.json
awk -F, 'NR > 1 {printf "{\"userId\":%s,\"movieId\":%s,\"rating\":%s,\"timestamp\":%s}\n", $1, $2, $3, $4}' \
    ratings.csv >events.jsonl
{
    echo userId,movieId
    for m in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do echo "$m,2"; done
} >tonight.csv
brew-promptify --task movies.task.json --split test | head -n 5 >prompts.jsonl
cp prompts.jsonl day.jsonl
brew-tokenize -m model -o a.tar prompts.jsonl && cp a.tar b.tar
brew-tokenize -m model -o train.tar prompts.jsonl
cp train.tar calib.tar
printf '0.9,1\n0.2,0\n0.4,1\n' >other.csv
for m in 1 2 3 4 5; do # a score that gates let pass
    printf '{"id":"%s","item_ids":["a","b"],"targets":[0,1],"meta":{"member":"%s","time":1400000000},"scores":[[0.9,0.1],[0.2,0.8]]}\n' $m $m
done | tee full.jsonl pruned.jsonl valid.jsonl >scores.jsonl
sed 's/"id":"/&t/' scores.jsonl >test.jsonl
awk 'BEGIN {print "request,item,score"; for (m = 1; m <= 5; m++) print m ",a,0.3\n" m ",b,0.6"}' >prod.csv
cat >bin/parallel <<'END_OF_PARALLEL'
#!/bin/sh
# As much of GNU parallel as the manual uses, one after the other.
[ "$1" = -k ] && shift
command=
while [ "$1" != ::: ]; do command="$command $1" && shift; done
shift
for value; do sh -c "$(printf '%s' "$command" | sed "s/{}/$value/g")" || exit; done
END_OF_PARALLEL
chmod +x bin/parallel
PATH=$work/bin:$PATH
touch before

# ---- the examples ----
for page in "$root"/man/*.[1-9]; do
    awk -v name="$(basename "$page")" '
        /^\.\\" run/ {file = sprintf("%s.%d.example", name, ++n); print substr($0, 5) >file; next}
        /^\.Bd/ {on = file != ""; next}
        /^\.Ed/ {on = 0; file = ""}
        on && !/^\./ {print >file}' "$page"
done
for file in *.example; do
    how=$(head -n 1 "$file")
    sed '1d; s/\\e/\\/g; s/\\&//g; s/\\(dq/"/g; s/\\-/-/g; s/^\$ //' "$file" >example
    case $how in
    'run: record')
        tr -d '\n' <example >record && echo >>record
        exits 0 "$file is scored" brew-score -m model record
        exits 0 "and tokenized" brew-tokenize -m model --to jsonl record
        continue
        ;;
    'run: python3')
        python3 -c 'import numpy' 2>/dev/null || {
            skip "$file" "no numpy"
            continue
        }
        run python3 example
        ;;
    'run: '*) run "${how#run: }" example ;;
    *)
        case $(cat example) in *jq*)
            command -v jq >/dev/null || {
                skip "$file" "no jq"
                continue
            }
            ;;
        esac
        run sh -e example
        ;;
    esac
    # a split of each member's own events makes training see later times than test, which is said
    sed -i '/: [0-9.]* % of training events are later than a test question, on average$/d' err
    [ "$status" = 0 ] && [ ! -s err ] && [ -n "$(cat out)$(find . -maxdepth 1 -name '*.*' -newer before ! -name '*.example')" ]
    result $? "$file" || sed 's/^/# /' example err
done
ok "there are examples in every page of a tool" sh -c "for t in $root/man/brew-*.1; do ls \"\$(basename \$t).1.example\"; done"
cd "$root" || exit 1
done_testing
