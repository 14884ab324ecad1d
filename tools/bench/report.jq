# report.jq: from the lines that bench.h defines to one report, and from that to tables.
#
#   jq -s -f report.jq --arg mode merge …   lines in, one report object out
#   jq -r -f report.jq --arg mode table …   a report in, text out
#
# A line also has pace_ns: how long pace.c's work took on the slowest CPU, before or after the run. $samples
# are all lines of pace.c, $paces the pace_ns of all runs, whether they count or not, and $least_pace
# how much of the best pace an undisturbed run has, in percent.

def median: sort | if length % 2 == 1 then .[length / 2 | floor]
                   else (.[length / 2 - 1] + .[length / 2]) / 2 end;

def rows: split("\n") | map(select(. != "") | split(" ") | map(tonumber));
def us: . / 10 | round / 100;

def is_disturbed($best): . * $least_pace > $best * 100;

def pace($best):
  ($paces | rows | map(.[0])) as $runs
  | { best_us: ($best | us),
      per_cpu: ($samples | rows | group_by(.[0])
        | map({cpu: .[0][0], best_us: (map(.[2]) | min | us), median_us: (map(.[1]) | median | us)})),
      undisturbed_runs: ($runs | map(select(is_disturbed($best) | not)) | length),
      runs: ($runs | length) };

def merge:
  ($samples | rows | map(.[2]) | min) as $best
  | { bench: "dispatch",
      cpus: $cpus,
      pace: pace($best),
      results: (group_by([.workload, .subject, .metric])
        | map({ workload: .[0].workload, subject: .[0].subject, metric: .[0].metric,
                unit: .[0].unit, median: (map(.value) | median), min: (map(.value) | min),
                max: (map(.value) | max), repeats: length,
                disturbed: (map(select(.pace_ns | is_disturbed($best))) | length),
                ops: .[0].ops, cpus: $cpus })) };

def titles: {
  W1: "a chain of dependent ops on one device",
  W2: "independent ops on one device",
  W3: "a chain that alternates between two devices",
  W3wait: "the same, where a worker itself waits for the other device's op",
  W4: "a binary reduction tree on one device",
  W4x2: "a binary reduction tree, half of it on each of two devices",
  W5: "memory of ops queued behind a blocked first one",
  W6: "latency of one op from idle, submit to callback",
  W6wait: "latency of one op from idle, submit to the end of a blocking wait" };

def subjects: ["tenor", "floor", "blocking", "libuv chained", "libuv fifo", "OpenMP depend",
               "oneTBB task_group", "oneTBB flow_graph", "StarPU explicit", "StarPU tags",
               "StarPU data"];

# The first is what the workload is about.
def columns: if . == "W5" then ["bytes_in_flight"]
             elif startswith("W6") then ["p50", "p99", "cpu", "context_switches", "wakes",
                                         "allocations"]
             else ["end_to_end", "submit", "cpu", "context_switches", "wakes",
                   "allocations"] end;

def heading: { end_to_end: "end to end ns/op", submit: "submit", cpu: "CPU",
               context_switches: "switches", wakes: "wakes", allocations: "allocs",
               bytes_in_flight: "bytes/op", p50: "p50 ns", p99: "p99 ns" }[.];

def left($width): . + " " * ([$width - length, 0] | max);
def right($width): " " * ([$width - length, 0] | max) + .;

def thousands: tostring | if length > 3 then (.[:-3] | thousands) + "," + .[-3:] else . end;
def decimals($n): pow(10; $n) as $scale | (. * $scale | round) as $digits
  | ($digits / $scale | floor | thousands)
    + if $n == 0 then "" else "." + ($digits % $scale | tostring
        | "0" * ([$n - length, 0] | max) + .) end;
def number($metric):
  if IN($metric; "context_switches", "wakes", "allocations")
  then decimals(if . < 10 then 3 else 0 end)
  else decimals(if . < 10 then 1 else 0 end) end;
def ratio: if . < 10 then decimals(2) elif . < 100 then decimals(1) else decimals(0) end;

def in_order: . as $present | (subjects | map(select(IN($present[])))) + ($present - subjects);

def mark: if .disturbed > 0 then "~" else "" end;

# A missing figure is a dash.
def figure($metric):
  if . == null then "-" elif .median == 0 then "0" else .median | number($metric) end;
def spread($metric):
  if .repeats < 2 then "" else "(\(.min | number($metric)) – \(.max | number($metric)))" end;

# [{subject, metric, …}] to {subject: {metric: …}}
def by_subject: group_by(.subject)
  | map({key: .[0].subject, value: (map({key: .metric, value: .}) | from_entries)}) | from_entries;

# tenor, and the floor where tenor was not run.
def reference($lead): if .tenor[$lead] then "tenor" else "floor" end;

def row($columns; $subject; $figures; $reference):
  $columns[0] as $lead | $figures[$lead] as $first
  | ($subject | left(18)) + ($first.ops // null | if . then thousands else "" end | right(10))
    + ($first | mark + figure($lead) | right(18)) + " " + ($first | spread($lead) | left(23))
    + (if $reference then $first.median / $reference.median | ratio else "-" end | right(8))
    + ([$columns[1:][] as $metric | $figures[$metric] | figure($metric) | right(10)] | add // "");

def table($workload):
  by_subject as $figures | ($workload | columns) as $columns | $columns[0] as $lead
  | ($figures | reference($lead)) as $reference
  | "\($workload)  \(titles[$workload] // "")",
    ("" | left(18)) + ("ops" | right(10)) + ($lead | heading | right(18)) + " "
      + ("(min – max)" | left(23)) + ("× \($reference)" | right(8))
      + ($columns[1:] | map(heading | right(10)) | add // ""),
    ($figures | keys | in_order[] | select($figures[.][$lead])
      | row($columns; .; $figures[.]; $figures[$reference][$lead])),
    "";

# One line a subject, one ratio a workload.
def summary:
  (group_by(.workload) | map({key: .[0].workload, value: by_subject}) | from_entries) as $all
  | (if any(.subject == "tenor") then "tenor" else "floor" end) as $reference
  | "In short, × \($reference): end to end, in W5 bytes, in W6 p50",
    ("" | left(18)) + ($all | keys | map(right(9)) | add // ""),
    (map(.subject) | unique | in_order[] as $subject
      | ($subject | left(18))
        + ($all | to_entries | map((.key | columns[0]) as $lead
            | .value[$reference][$lead] as $base | .value[$subject][$lead]
            | if . and $base
              then ([., $base] | max_by(.disturbed) | mark) + (.median / $base.median | ratio)
              else "-" end | right(9)) | add)),
    "";

def undisturbed:
  "All CPUs were at \($least_pace) % of the best pace or more before and after \(.pace.undisturbed_runs) of \(.pace.runs) runs.",
  if any(.results[]; .disturbed > 0) | not then empty else
  "~: the figure rests on runs of which at least one was disturbed." end;

def placement: if . == "any" then "threads placed by the scheduler"
               else "pinned to CPU \(.)" end;

def tables:
  . as $report
  | ([.results[].repeats] | max // 0) as $repeats
  | (if $repeats == 1 then "one run" else "medians of \($repeats) interleaved runs" end) as $runs
  | "Dispatch, \($report.cpus | placement), \($runs).",
    "",
    (.results | group_by(.workload)[] | table(.[0].workload)),
    (.results | summary),
    undisturbed,
    "submit: CPU time of the submitting thread until its last submit returned, ns/op. CPU: that of",
    "the whole process, ns/op. Switches, eventfd wakes and allocations: per op. Dash: not counted.",
    if any(.results[]; .workload | startswith("W6")) | not then empty else
    "In W6 every op comes after 200 µs of rest, and CPU covers these: 100,000 and more tells that",
    "the subject's threads were spinning and not asleep." end;

if $mode == "merge" then merge else tables end
