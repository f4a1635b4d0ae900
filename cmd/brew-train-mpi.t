#!/bin/sh
# brew-train and brew-distill as several ranks of Open MPI: the same bits each time, stopped, killed and hung.
# What ranks do together is tried without MPI in lib/train/ranks_test.c.
# shellcheck source=testdata/lib.sh
. "$PWD/testdata/lib.sh"
tiny=$root/testdata/models/tiny
cd "$work" || exit 1

awk 'BEGIN {
    for (r = 0; r < 50; r++) {
        item = 30 + r * 7 % 20
        printf "{\"query\":[%d,%d,5],\"items\":[[%d],[%d]],\"label_token_ids\":[11,12],\"targets\":[%d,%d]}\n", \
            20 + r, 80 - r, item, item + 1, item % 2, (item + 1) % 2
    }
}' >train.jsonl
head -n 9 train.jsonl >valid.jsonl
untimed() { sed 's/,"seconds":.*//' "$1/metrics.jsonl"; }

# ---- without the plug-in ----
export BREW_MPI="$work/none.so"
exits 2 "a launcher, and no plug-in" env OMPI_COMM_WORLD_SIZE=2 brew-train -m "$tiny" -o x train.jsonl
says 'an MPI launcher started 2 processes: the plug-in for MPI cannot be loaded' "is refused"
exits 2 "no plug-in" brew-train --mpi on -m "$tiny" -o x train.jsonl
ok "a launcher of one process" env OMPI_COMM_WORLD_SIZE=1 brew-train -q -m "$tiny" -o one --steps 1 train.jsonl
ok "--mpi off" env PMI_SIZE=2 brew-train -q --mpi off -m "$tiny" -o off --steps 1 train.jsonl
unset BREW_MPI

why=
mpirun --version 2>/dev/null | grep -q 'Open MPI' || why="there is no mpirun of Open MPI"
[ -e "$BUILD/lib/brew/brew-mpi.so" ] || why="brew-mpi.so is not built here: it needs mpicc"
if [ -n "$why" ]; then
    skip "several ranks" "$why"
    cd "$root" || exit 1
    done_testing
fi
# As root, in a container without ssh, with more ranks than processors; libmpi keeps what it allocated.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_plm_rsh_agent=sh ASAN_OPTIONS=detect_leaks=0

# Each rank leaves its process id in pids/RANK.
cat >rank <<'END'
#!/bin/sh
mkdir -p pids
echo $$ >"pids/$OMPI_COMM_WORLD_RANK.new"
mv "pids/$OMPI_COMM_WORLD_RANK.new" "pids/$OMPI_COMM_WORLD_RANK"
exec "$@"
END
chmod +x rank
# shellcheck disable=SC2317 # called through ok and exits
ranks() { # how many, command...
    r_n=$1
    shift
    rm -rf pids
    mpirun -q --oversubscribe --bind-to none -n "$r_n" ./rank "$@"
}
# shellcheck disable=SC2317
shared() { # how many, out, options...
    s_n=$1 s_out=$2
    shift 2
    ranks "$s_n" brew-train -q -m "$tiny" -o "$s_out" --precision f32 --lr 0.01 "$@"
}

# shellcheck disable=SC2317
near() { # FILE FILE: numbers within a thousandth
    paste "$1" "$2" | awk '{d = ($1 - $2) / $2; if (!(d * d < 1e-6)) exit 1} END {exit !NR}'
}

# ---- the same each time ----
ok "one process" brew-train -q -m "$tiny" -o alone --precision f32 --lr 0.01 --epochs 4 train.jsonl
ok "one rank" shared 1 one-rank --mpi on --epochs 4 train.jsonl
same one-rank/model.safetensors alone/model.safetensors "gives the same bits"
for n in 2 4; do
    ok "$n ranks" shared $n "n$n" --epochs 4 --valid valid.jsonl --summary s.json train.jsonl
    ok "again, with 2 threads each" shared $n "again$n" --epochs 4 --valid valid.jsonl -j 2 train.jsonl
    same "n$n/model.safetensors" "again$n/model.safetensors" "the same bits"
    untimed "n$n" >want
    untimed "again$n" >got
    same got want "and log"
    untimed "n$n" | sed 's/.*"loss":\([0-9.]*\).*/\1/' >got
    untimed alone | sed 's/.*"loss":\([0-9.]*\).*/\1/' >want
    ok "with the losses of one process" near got want
    ok "the model says so" grep -q "\"ranks\":$n," "n$n/brew.json"
done
is "$(grep -o '"steps":[0-9]*' s.json)" '"steps":25' "one summary"
ok "in bf16, adapters" ranks 2 brew-train -q -m "$tiny" -o lora --lora 2 --merge --steps 3 train.jsonl
ok "a student" ranks 2 brew-distill -q --teacher "$tiny" -m "$tiny" -o student --steps 3 train.jsonl
ok "of a stream" sh -c "brew-score -m '$tiny' --teacher-stream teacher.tar train.jsonl -o scores"
ok "too" ranks 2 brew-distill -q --teacher teacher.tar -m "$tiny" -o student2 --steps 3 train.jsonl
same student/model.safetensors student2/model.safetensors "the same"
hidden="--hidden 1 --kd-vocab items --history-weight 1 --lm-weight 0.1 --steps 5"
# shellcheck disable=SC2086 # options
ok "of hidden states" ranks 2 brew-distill -q --init "$tiny" --teacher "$tiny" -o hidden2 $hidden train.jsonl
# shellcheck disable=SC2086
ok "as by one process" brew-distill -q --init "$tiny" --teacher "$tiny" -o hidden1 $hidden train.jsonl
untimed hidden2 | sed 's/.*"hidden":\([0-9.]*\).*/\1/' >got
untimed hidden1 | sed 's/.*"hidden":\([0-9.]*\).*/\1/' >want
ok "learns the same" near got want
ok "from a file" shared 2 file --steps 3 train.jsonl
ok "or a pipe" shared 2 pipe --steps 3 --spool spool <train.jsonl
same pipe/model.safetensors file/model.safetensors "the same"

# ---- stopped, killed, hung: and going on ----
# a run long enough that signals find it: mpirun passes SIGTERM on after the time in which it is to end
set -- --epochs 4000 --batch 40 --order shuffle --save-every 20 train.jsonl
begin() { # options...: two ranks in the background, mpirun's process id in $pid; waits for some more steps
    rm -rf pids
    touch run.rows
    [ ! -e run/metrics.jsonl ] || cp run/metrics.jsonl run.rows
    more=$(($(wc -l <run.rows) + 15))
    mpirun -q --oversubscribe --bind-to none -n 2 ./rank brew-train -q -m "$tiny" -o run --precision f32 --lr 0.01 \
        "$@" 2>run.err &
    pid=$!
    while kill -0 $pid && { [ ! -e run/metrics.jsonl ] || [ "$(wc -l <run/metrics.jsonl)" -lt $more ]; }; do
        sleep 0.05
    done
}
finish() {
    status=0
    wait $pid || status=$?
}
# shellcheck disable=SC2317 # called through ok
gone() { # of the ranks none is left, but perhaps as a name that nobody asks for
    for g_file in pids/*; do
        g_line=$(tr '\0' ' ' <"/proc/$(cat "$g_file")/cmdline" 2>/dev/null) && [ -n "$g_line" ] && return 1
    done
    true
}
# shellcheck disable=SC2317
whole() { # the newest checkpoint is
    for w_last in run/checkpoints/step-*; do :; done
    (cd "$w_last" && jq -r '.files | to_entries[] | .value.sha256 + "  " + .key' manifest.json | sha256sum -c)
}
ok "two ranks without a stop" shared 2 straight "$@"
begin "$@"
kill -USR1 $pid
finish
is $status 75 "SIGUSR1 to mpirun: status 75"
ok "a checkpoint" whole
begin "$@"
kill -TERM "$(cat pids/1)"
finish
is $status 75 "SIGTERM to the second rank: status 75"
ok "a checkpoint" whole
export OMPI_MCA_odls_base_sigkill_timeout=3
begin "$@"
kill -TERM $pid
finish
unset OMPI_MCA_odls_base_sigkill_timeout
ok "SIGTERM to mpirun ends it" test $status != 0
ok "all of it" gone
ok "a checkpoint" whole
ok "of the last step" test -e "run/checkpoints/step-$(printf %08d "$(wc -l <run/metrics.jsonl)")"
for rank in 1 0; do
    begin "$@"
    kill -KILL "$(cat pids/$rank)"
    finish
    is $status 137 "rank $rank is killed: mpirun ends"
    ok "and the others" gone
    ok "a checkpoint" whole
done
begin "$@"
kill -STOP "$(cat pids/1)"
hung=$(date +%s)
finish
ok "a rank hangs: mpirun ends" test $status != 0
ok "within a minute" test $(($(date +%s) - hung)) -lt 60
ok "and says why" grep -q '^brew-train: rank 1 has not been heard of for [0-9]* s' run.err
ok "the others end" gone
exits 2 "three ranks" shared 3 run "$@"
says 'run: was begun with ranks 2, now it is 3' "are refused by name"
is "$(grep -c 'was begun' "$work/err")" 1 "once"
ok "two go on" shared 2 run "$@"
same run/model.safetensors straight/model.safetensors "the same model"
untimed run >got
untimed straight >want
same got want "and log"
ok "are finished" shared 2 run "$@"

# ---- refused ----
exits 2 "standard input" sh -c "mpirun -q --oversubscribe -n 2 brew-train -m '$tiny' -o x <train.jsonl"
says 'standard input reaches one of 2 ranks' "is refused"
exits 2 "a small batch" ranks 4 brew-train -m "$tiny" -o x --batch 3 train.jsonl
says '3 leaves some of 4 ranks idle' "is refused"
exits 2 "other options" ranks 2 sh -c "exec brew-train -m '$tiny' -o x --lr 0.00\$((OMPI_COMM_WORLD_RANK + 1)) train.jsonl"
says 'rank 1: differs from rank 0 in lr' "are refused"
exits 2 "too little memory" ranks 2 brew-train -m "$tiny" -o x --memory 2M train.jsonl
says 'too large for 0.002 GB of memory: .*, for each of 2 ranks' "with the arithmetic"
exits 65 "a bad record" sh -c "echo '{}' >>valid.jsonl; mpirun -q --oversubscribe -n 2 brew-train -m '$tiny' -o x valid.jsonl"
is "$(grep -c valid.jsonl:10 "$work/err")" 1 "is named once"
ok "nothing is left of what was refused" test ! -e x
cd "$root" || exit 1
done_testing
