# profile.jq: from the lines of profile.awk and of the benchmarks to one report, and from that to tables.
#
#   jq -s -f profile.jq --arg mode dispatch|command …               lines in, one report object out
#   jq -r -f profile.jq --arg mode dispatch-table|command-table …   a report in, text out
#
# Further arguments: $cpus, how many the machine has; $period_ns, CPU time from sample to sample.

def median: sort | if length % 2 == 1 then .[length / 2 | floor]
                   else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def sum(value): map(value) | add // 0;
def parts: ["own", "libevent", "libc", "oneDNN", "kernel"];

# --- reports --------------------------------------------------------------------------------------

def by_part($each): group_by(.part)
  | map({key: .[0].part, value: (sum(.samples) * $each)}) | from_entries;

# From [{thread, part, looking, function, samples}] to an object a thread, a sample being $each.
def threads($each): group_by(.thread) | map(
  map(select(.looking | not)) as $work
  | { thread: .[0].thread, samples: sum(.samples), total: (sum(.samples) * $each),
      work: ($work | sum(.samples) * $each), parts: ($work | by_part($each)),
      looking: (map(select(.looking)) | sum(.samples) * $each),
      functions: (map({function, part, looking, value: (.samples * $each)}) | sort_by(-.value)) });

# The submitting thread, the dispatcher, the workers.
def in_order: sort_by(({submitting: 0, dispatcher: 1}[.thread] // 2), .thread);

def subject:
  map(select(.samples)) as $samples
  | def values($metric): map(select(.metric == $metric).value);
    { workload: .[0].workload, subject: .[0].subject, unit: "ns/op", $cpus,
      runs: (values("cpu") | length), samples: ($samples | sum(.samples)),
      end_to_end: (values("end_to_end") | median), cpu: (values("cpu") | median) }
  | .threads = ((.cpu / .samples) as $each | $samples | threads($each) | in_order)
  | .work = (.threads | sum(.work))
  | .busiest = (.threads | max_by(.work) | {thread, work})
  | .bound = ([.busiest.work, .work / $cpus] | max);

def dispatch_report:
  { profile: "dispatch", results: (group_by([.workload, .subject]) | map(subject)) };

def command_report:
  { profile: "command", unit: "s", samples: sum(.samples),
    threads: (threads($period_ns / 1e9) | sort_by(-.total)) };

# --- tables ---------------------------------------------------------------------------------------

def left($width): . + " " * ([$width - length, 0] | max);
def right($width): " " * ([$width - length, 0] | max) + .;
def cut($width): if length > $width then .[:$width - 1] + "…" else . end;
def trimmed: sub(" +$"; "");
def decimals($n): pow(10; $n) as $scale | (. * $scale | round) as $digits
  | ($digits / $scale | floor | tostring)
    + if $n == 0 then "" else "." + ($digits % $scale | tostring
        | "0" * ([$n - length, 0] | max) + .) end;
def ns: decimals(if . < 9.95 then 1 else 0 end);
def cell(text): (if . == 0 then "-" else text end) | right(11);
def percent($of): 100 * . / $of | decimals(1) + " %";
def part_name: if . == "own" then "own code" else . end;

# Those parts in which any thread worked.
def used_parts: [.[].parts | keys[]] as $used | parts | map(select(IN($used[])));

def title: .function + if .looking then " *" elif .part == "own" then "" else ", " + .part end;

# The first $count functions of each thread, side by side.
def functions($count; show):
  (map("\(.thread) (* looking)" | cut(30) | left(36)) | add | trimmed),
  (range([$count, (map(.functions | length) | max)] | min) as $i
   | map(.functions[$i]
       | if . then (.value | show | right(6)) + " " + (title | cut(28) | left(29)) else " " * 36 end)
   | add | trimmed);

def row($name; value):
  ($name | left(10)) + (map(value // 0 | cell(ns)) | add) + (sum(value // 0) | cell(ns));

def verdict:
  "End to end \(.end_to_end | ns), with \(.cpu / .end_to_end | decimals(1)) CPUs busy."
    + " With this work it is not below \(.bound | ns) on \(.cpus):",
  "\(.busiest.thread) has \(.busiest.work | ns), all together have \(.work | ns).";

def subject_table:
  "\(.workload)  \(.subject), CPU time in ns/op (\(.runs) runs, \(.samples) samples)",
  (.threads
   | ("" | left(10)) + (map(.thread | cut(10) | right(11)) | add) + ("all" | right(11)),
     (used_parts[] as $part | row($part | part_name; .parts[$part])),
     row("work"; .work), row("looking"; .looking), row("total"; .total)),
  verdict,
  "",
  (.threads | functions(10; ns)),
  "";

def dispatch_table:
  (.results | group_by(.workload)[] | sort_by(.subject != "tenor")[] | subject_table);

def everybody:
  . as $threads
  | { thread: "all", total: sum(.total), looking: sum(.looking),
      parts: (used_parts | map({key: ., value: (. as $part | $threads | sum(.parts[$part] // 0))})
              | from_entries) };

def seconds($parts; $of):
  (.thread | cut(16) | left(16)) + (.total | cell(decimals(2)) + (percent($of) | right(9)))
    + (.parts as $have | $parts | map($have[.] // 0 | cell(decimals(2))) | add // "")
    + (.looking | cell(decimals(2)));

def command_table:
  .samples as $samples | .threads | everybody as $all | used_parts as $parts
  | "CPU time in s (\($samples) samples)",
    ("" | left(16)) + ("total" | right(11)) + " " * 9
      + ($parts | map(part_name | right(11)) | add // "") + ("looking" | right(11)),
    (.[:12][] | seconds($parts; $all.total)),
    ($all | seconds($parts; $all.total)),
    ("" | left(36)) + ($parts | map($all.parts[.] | percent($all.total) | right(11)) | add // "")
      + ($all.looking | percent($all.total) | right(11)),
    "",
    "In % of all",
    (.[:3] | functions(12; 100 * . / $all.total | decimals(1)));

if $mode == "dispatch" then dispatch_report
elif $mode == "command" then command_report
elif $mode == "dispatch-table" then dispatch_table
else command_table end
