#!/usr/bin/env bash
# shellcheck disable=SC2154 # build and scratch
# Whether a run was disturbed, told without looking at its result: by the pace of its CPUs before and
# after. For peers, which defines build (where the program pace is), scratch, pinned, progress and die.

least_pace=90 # percent of the best pace
seconds_to_learn=2
best=0    # ns: the least that a slice of work has taken on any CPU so far
slowest=0 # ns: the median of the slices on the slowest CPU, when last looked at

# Adds a line for each CPU to $scratch/samples, as pace.c defines them.
sample_pace() {
  local median least
  pinned "$build/pace" >"$scratch/sample" || die "cannot measure the pace of the CPUs"
  slowest=0
  while read -r _ median least; do
    ((slowest >= median)) || slowest=$median
    ((best > 0 && best <= least)) || best=$least
  done <"$scratch/sample"
  cat "$scratch/sample" >>"$scratch/samples"
}

# report.jq judges likewise, and last.
is_undisturbed() { # NS
  (($1 * least_pace <= best * 100))
}

milliseconds() { echo $((${EPOCHREALTIME//[!0-9]/} / 1000)); }

learn_pace() {
  local end=$(($(milliseconds) + seconds_to_learn * 1000))
  progress "how fast the CPUs are"
  while (($(milliseconds) < end)); do
    sample_pace
    sleep 0.02
  done
}

# Looks at once, and until all CPUs are at their pace or the time is over. Fails when they are not.
await_pace() { # MILLISECONDS WHAT-FOR
  local end=$(($(milliseconds) + $1))
  sample_pace
  until is_undisturbed "$slowest"; do
    (($(milliseconds) < end)) || return 1
    progress "$2: waits, CPUs at $((best * 100 / slowest)) % of their pace"
    sleep 0.02
    sample_pace
  done
}
