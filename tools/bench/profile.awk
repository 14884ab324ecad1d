# profile.awk: sums the samples of `perf script` up, a line each
#
#   SUBJECT <tab> THREAD <tab> PART <tab> looking or work <tab> FUNCTION <tab> SAMPLES
#
# The input is that of perf script --show-task-events -F comm,pid,tid,time,ip,sym,dso: a line that names
# the thread, then its stack, innermost first, then an empty line. With srcline, each frame has a line
# behind it that says where in the source it is; then that of the innermost stands before FUNCTION.
#
# rounds=1 counts only what a process does while its first thread is named "submitting", which the
# benchmarks do in the round that they measure; the name that it has then again is the subject.
# Without, everything counts, and the subject is "all".

BEGIN {
  FS = "\n"
  OFS = "\t"
}

function flush_sample() {
  if (stack == 0)
    return
  key = thread OFS part OFS (looks ? "looking" : "work") OFS name
  if (!rounds)
    count["all" OFS key]++
  else if (pid in open)
    round[pid, key]++
  stack = 0
}

# COMM pid/tid time: of a sample or of an event. Sets `comm` and `pid`; what follows is returned.
function read_head(line,    ids, rest) {
  if (!match(line, / +[0-9]+\/[0-9]+ +[0-9]+\.[0-9]+: */))
    return ""
  comm = substr(line, 1, RSTART - 1)
  rest = substr(line, RSTART + RLENGTH)
  split(substr(line, RSTART, RLENGTH), ids, /[ \/]+/)
  pid = ids[2]
  return rest
}

function end_round(subject,    key, at) {
  for (key in round) {
    split(key, at, SUBSEP)
    if (at[1] != pid)
      continue
    count[subject OFS at[2]] += round[key]
    delete round[key]
  }
  delete open[pid]
}

# NAME:pid/tid has taken its name.
function take_name(event,    ids, named) {
  if (!rounds || !match(event, /:[0-9]+\/[0-9]+$/))
    return
  split(substr(event, RSTART + 1), ids, "/")
  pid = ids[1]
  named = substr(event, 1, RSTART - 1)
  sub(/^PERF_RECORD_COMM( exec)?: /, "", named)
  if (ids[1] != ids[2])
    return
  if (named == "submitting")
    open[pid] = 1
  else if (pid in open)
    end_round(named)
}

function part_of(dso) {
  if (dso ~ /^\[(vdso|vsyscall)\]$/)
    return "libc"
  # Code that was made while running: oneDNN's kernels.
  if (dso ~ /^(\[(unknown|anon|heap|stack)|\/\/anon|\/memfd:|inlined)/ || dso ~ /(jitted-|perf-)[0-9]+/)
    return "oneDNN"
  if (dso ~ /^\[/ || dso ~ /\.ko(\.[a-z]+)?$/)
    return "kernel"
  sub(/.*\//, "", dso)
  if (dso ~ /^libevent/)
    return "libevent"
  if (dso ~ /^(libdnnl|libgomp)/)
    return "oneDNN"
  if (dso ~ /^(libc|libm|libpthread|librt|libstdc\+\+|libgcc_s|ld-linux[-a-z0-9_]*)[-.]/)
    return "libc"
  return "own"
}

# What the compiler and the linker append to the name in the source.
function plain(symbol) {
  sub(/\.(lto_priv|part|isra|constprop|cold).*/, "", symbol)
  sub(/@.*/, "", symbol)
  sub(/\+0x[0-9a-f]+$/, "", symbol)
  return symbol
}

# A frame that gives the CPU away, or sleeps; `caller` tells this from being taken off it.
function rests(symbol, caller) {
  return symbol ~ /^(__)?sched_yield$|sys_sched_yield$|^do_sched_yield$/ ||
         (symbol == "schedule" && caller !~ /exit_to_user/)
}

# An innermost frame that looks for work, or reads the clock for it.
function looks_around(symbol, part) {
  return symbol ~ /^(count_waiting|count_signals|has_come|has_ended|tnr_dispatcher_rest|relax)$|^tnr_lookout_/ ||
         (part == "libc" && symbol ~ /clock_gettime$/)
}

function take_frame(line,    symbol, dso) {
  sub(/^[ \t]*[0-9a-f]+ /, "", line)
  if (!match(line, / \([^(]*\)$/))
    return
  symbol = plain(substr(line, 1, RSTART - 1))
  dso = part_of(substr(line, RSTART + 2, RLENGTH - 3))
  if (++stack == 1) {
    part = dso
    name = part == "oneDNN" && symbol == "[unknown]" ? "(compiled while running)" : symbol
    looks = looks_around(symbol, part)
  } else if (in_kernel && rests(inner, symbol)) {
    looks = 1
  }
  # Callers beyond the kernel's are a guess: code that is optimized keeps no frame pointers.
  if (stack == 1 || in_kernel) {
    in_kernel = dso == "kernel"
    looks = looks || (!in_kernel && rests(symbol, ""))
  }
  inner = symbol
}

# Of the innermost frame; what is inlined there is known by it.
function take_source(line) {
  if (stack != 1 || !match(line, /[^\/ ]+\.[a-z]+:[0-9]+$/))
    return
  name = substr(line, RSTART) " " name
  looks = looks || name ~ /^lookout\.[ch]:/
}

/^[ \t]*$/ { flush_sample(); next }
/^\t/ { take_frame($0); next }
/^ / { take_source($0); next }
{
  flush_sample()
  event = read_head($0)
  thread = comm
  if (event ~ /^PERF_RECORD_COMM/)
    take_name(event)
}
END {
  flush_sample()
  for (key in count)
    print key, count[key]
}
