# Prompt records to score records, with the probabilities of a file that jobs-world wrote:
#     jq -c --rawfile p truth.csv --rawfile jobs jobs.csv -f scores.jq prompts.jsonl
# item_meta gets "remote", for slices.
def rows($text): $text | rtrimstr("\n") | split("\n")[1:][] | split(",");
([rows($p) | {key: (.[0] + " " + .[2]),
    value: {" ignored": .[4], " viewed": .[5], " dismissed": .[6], " applied": .[7]}}] | from_entries) as $all
| ([rows($jobs) | {key: .[0], value: any(.[]; . == "remote")}] | from_entries) as $remote
| foreach inputs as $r (null; null;
    $r | del(.query, .items, .lines)
    | .label_tokens as $labels | .meta.request as $request
    | .scores = [.item_ids[] | $all[$request + " " + .] as $p | [$labels[] | $p[.] | tonumber]]
    | .item_meta.remote = [.item_ids[] | $remote[.] // false])
