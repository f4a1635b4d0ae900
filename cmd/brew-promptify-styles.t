#!/bin/sh
# brew-promptify: columns of tables in item_meta and meta, and styles: drawn in train, fixed elsewhere, forced.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"

jobs=testdata/promptify/jobs.task.json
world=testdata/world/world.task.json
cp testdata/promptify/*.csv testdata/promptify/*.jsonl "$work"

# Columns of the tables, as of the question; a number is one.
{
    echo job,from,title,company,pay
    awk -F'"' '{print $4}' testdata/promptify/jobs.jsonl | sort -u | while read -r id; do
        echo "$id,2026-01-01,Title $id,Company,10"
        echo "$id,2026-01-05T12:00:00Z,Title $id,Company,20.5"
    done
} >"$work/jobs.csv"
sed 's/"jobs.jsonl", "id": "job"/"jobs.csv", "id": "job", "valid_from": "from", "meta": ["pay", "company"]/
    s/"members.csv", "id": "who"/&, "meta": ["city"]/' "$jobs" >"$work/meta.task.json"
exits 0 "columns of tables" brew-promptify -t "$work/meta.task.json"
is "$(grep -c '"pay":\[[0-9.,]*\],"company":\["Company"' "$work/out")" "$(wc -l <"$work/out")" \
    "stand in item_meta, numbers as numbers"
is "$(grep -o '"time":\[[0-9,.]*\],"pay":\[[0-9.,]*' "$work/out" | sed 's/"time":\[//; s/\],"pay":\[/,/' |
    awk -F, '{for (i = 1; i <= NF / 2; i++) if ($(i + NF / 2) != ($i > 1767614400 ? 20.5 : 10)) bad++
        both[$(NF / 2 + 1)] = 1} END {n = 0; for (b in both) n++; print bad + 0, n}')" "0 2" "as of the question"
is "$(grep -o '"member":"[a-z]*"\|"city":"[^"]*"' "$work/out" | paste - - | sort -u | tr '\t\n' '  ')" \
    '"member":"ann" "city":"Oslo" "member":"bo" "city":"Rome" ' "members' stand in meta"
for name in item_history position; do
    sed "s/\"job\", \"valid_from\"/\"job\", \"meta\": [\"$name\"], \"x\"/" "$work/meta.task.json" |
        sed 's/"x": "from", "meta": [^}]*/"valid_from": "from"/' >"$work/bad.task.json"
    exits 2 "an item's column $name" brew-promptify -t "$work/bad.task.json"
    says "\"items.meta\[0\]\" has the name of what records have anyway" "is refused"
done
sed 's/"meta": \["city"\]/"meta": ["split"]/' "$work/meta.task.json" >"$work/bad.task.json"
exits 2 "a member's column split" brew-promptify -t "$work/bad.task.json"
says '"members.meta\[0\]" has the name of what' "is refused"
sed 's/"value": "action"/&, "meta": ["pay"]/' "$work/meta.task.json" >"$work/bad.task.json"
exits 2 "one name for two columns" brew-promptify -t "$work/bad.task.json"
says '"items.meta" names, too: pay' "is refused"
sed 's/"value": "action"/&, "meta": ["time"]/' "$jobs" >"$work/bad.task.json"
exits 2 "an event's column time" brew-promptify -t "$work/bad.task.json"
says '"events.meta\[0\]" has the name of what' "is refused"

# What is not told cannot leak.
sed 's/{title} at {company}/{item}/; s/, "meta": \["pay", "company"\]//
    s/"jobs.csv", "id": "job", "valid_from": "from"/"jobs.jsonl", "id": "job", "meta": ["title"]/' \
    "$work/meta.task.json" >"$work/untold.task.json"
run brew-promptify -t "$work/untold.task.json" --summary "$work/summary"
is "$(grep -c 'the item table has no valid_from' "$work/summary")" 0 "a column that no prompt tells is no leak"

# Styles: one for a record, everywhere in it.
data=$PWD/testdata/ml-latest-small
cat >"$work/styles.task.json" <<END
{"task": "movies", "events": {"file": "$data/ratings.csv", "member": "userId", "item": "movieId", "time": "timestamp",
  "value": "rating"}, "items": {"file": "$data/movies.csv", "id": "movieId"},
 "actions": [{"name": "liked", "label": " Yes", "min": 4}, {"name": "not liked", "label": " No"}],
 "templates": {"instruction": "Films:", "question": "{title}:"},
 "styles": {"list": {}, "asked": {"question": "Likes {title}?"}, "bare": {"instruction": "", "line": "- {title}:"}},
 "split": {"by": "last", "valid": 0.1, "test": 0.2}}
END
exits 0 "styles" brew-promptify -t "$work/styles.task.json" -o "$work/whole"
sed 's/^ "styles".*//' "$work/styles.task.json" >"$work/none.task.json"
run brew-promptify -t "$work/none.task.json" -o "$work/none"
style() { grep -c "\"split\":\"$1\".*\"style\":\"$2\"\|\"style\":\"$2\".*\"split\":\"$1\"" "$work/whole"; }
is "$(style valid list) $(style test list)" \
    "$(grep -c '"split":"valid"' "$work/whole") $(grep -c '"split":"test"' "$work/whole")" "valid and test have the first"
n=$(grep -c '"split":"train"' "$work/whole")
for name in list asked bare; do
    ok "a third of train is $name" awk -v k="$(style train $name)" -v n="$n" \
        'BEGIN {exit !(k > n / 3 - 2 * sqrt(n) && k < n / 3 + 2 * sqrt(n))}'
done
is "$(grep '"style":"asked"' "$work/whole" | grep -c '"query":"Films:\\n\(Likes [^?]*.*? \(Yes\|No\)\\n\)*","items":\["Likes ')" \
    "$(grep -c '"style":"asked"' "$work/whole")" "lines and questions of a record share it"
is "$(grep '"style":"bare"' "$work/whole" | grep -c '"query":"\(- \|"\)')" "$(grep -c '"style":"bare"' "$work/whole")" \
    "a section may be empty, a line its own"
grep '"style":"list"' "$work/whole" | sed 's/"style":"list",//' >"$work/list"
is "$(sort "$work/list" "$work/none" | uniq -d | wc -l)" "$(wc -l <"$work/list")" "the first is as the task without styles"
words() { sed 's/"query":.*"label_tokens"/"label_tokens"/; s/"answered":[^"]*"lines"/"lines"/; s/"lines":[^"]*//
    s/"style":"[a-z]*",//' "$1"; }
is "$(words "$work/whole" | sha256sum)" "$(words "$work/none" | sha256sum)" "which events are shown and asked stays"
run brew-promptify -t "$work/styles.task.json" -j 3 --memory 1
same "$work/out" "$work/whole" "the same bytes with three threads and little memory"
for shard in 1 2; do brew-promptify -t "$work/styles.task.json" --shard $shard/2; done >"$work/shards"
same "$work/shards" "$work/whole" "two shards one after the other are the whole"
run brew-promptify -t "$work/styles.task.json" --seed 7
ok "another seed draws others" sh -c "! cmp -s $work/out $work/whole"
exits 0 "--style" brew-promptify -t "$work/styles.task.json" --style asked
is "$(grep -c '"style":"asked"' "$work/out")" "$(wc -l <"$work/whole")" "is that of every record"
exits 2 "an unknown style" brew-promptify -t "$work/styles.task.json" --style odd
says '\-\-style odd: .*styles.task.json has no style of this name' "is refused"
exits 2 "a style where there is none" brew-promptify -t "$work/none.task.json" --style list

# Of sources and kinds: near before far, a style's before everybody's.
sed "s/^  \"task\": \"world\",/&\n  \"styles\": {\"own\": {}, \"plain\": {\"instruction\": \"What happened?\", \"question\": \"A {surface}:\"}},/
    s/\"templates\": {\"question\": \"Post on/\"styles\": {\"plain\": {\"question\": \"{text}:\"}}, &/
    s/{\"name\": \"apply\",/{\"name\": \"apply\", \"styles\": {\"plain\": {\"question\": \"Applies?\"}},/
    s/\"file\": \"\([a-z]\)/\"file\": \"$(echo "$PWD" | sed 's/\//\\\//g')\/testdata\/world\/\1/" "$world" >"$work/world.task.json"
exits 0 "styles of sources" brew-promptify -t "$work/world.task.json" --style plain
is "$(grep -c '"query":"What happened?' "$work/out")" "$(wc -l <"$work/out")" "the style's instruction"
is "$(grep '"surface":"feed"' "$work/out" | grep -c '"items":\["Post')" 0 "a source's style stands before its templates"
is "$(grep '"surface":"ads"' "$work/out" | grep -c '"items":\["Ad on')" "$(grep -c '"surface":"ads"' "$work/out")" \
    "a source's templates stand before the task's style"
is "$(grep '"surface":"jobs"' "$work/out" | grep -c '"items":\["Job: [^"]*","Applies?"')" \
    "$(grep -c '"surface":"jobs"' "$work/out")" "a kind's style stands before its question"
run brew-promptify -t "$work/world.task.json" --style own
mv "$work/out" "$work/own"
brew-promptify -t "$world" >"$work/want"
sed 's/"style":"own",//' "$work/own" >"$work/out"
same "$work/out" "$work/want" "the empty style is the task without styles"
sed 's/"styles": {"plain": {"question": "{text}:"}}/"styles": {"odd": {}}/' "$work/world.task.json" >"$work/bad.task.json"
exits 2 "a source's style that the task lacks" brew-promptify -t "$work/bad.task.json"
says 'sources\[1\].styles.odd" is no style' "is refused"
bad() { # JSON MESSAGE
    sed "s/^ \"styles\".*/ \"styles\": $1,/" "$work/styles.task.json" >"$work/bad.task.json"
    exits 2 "styles: $1" brew-promptify -t "$work/bad.task.json"
    says "$2" "are refused"
}
bad '{}' '"styles" must not be empty'
bad '[]' '"styles" must be an object, not'
bad '{"a b": {}}' '"styles.a b" must be made of letters'
bad '{"a": 1}' '"styles.a" must be an object, not'
bad '{"a": {"qestion": "x"}}' '"styles.a.qestion" is not a known key'
bad '{"a": {"question": "{title"}}' '"styles.a.question" has the "{"'
bad '{"a": {"summary": "{nothing}"}}' '"styles.a.summary" has the placeholder {nothing}, but there is no "members"'
sed 's/^ "templates".*//; s/^ "styles".*/ "styles": {"a": {"question": "{title}:"}, "b": {"line": "{title}"}},/' \
    "$work/styles.task.json" >"$work/bad.task.json"
exits 2 "a style without a question" brew-promptify -t "$work/bad.task.json"
says '"styles.b" lacks the key "question"' "is refused"
sed 's/^ "templates".*//; s/^ "styles".*/ "styles": {"a": {"question": "{title}:"}, "b": {"question": "Film {title}:"}},/' \
    "$work/styles.task.json" >"$work/bad.task.json"
exits 0 "styles without templates" brew-promptify -t "$work/bad.task.json"
done_testing
