/* An op's journey: the moments of its life that were recorded, with what lies between them. */

const JOURNEY = [
  ["submitted", "submitted", ""],
  ["resolved", "resolved", "in the inbox"],
  ["launched", "launched", "waiting for its inputs"],
  ["began", "taken up", "in the device's queue"],
  ["created", "created", "creating its outputs"],
  ["ended", "executed", "executing"],
  ["completed", "complete", "on its way back"],
];

/* [{name, time, since, phase}]: `phase` names the time from the moment before, `since`. A plain call creates
 * before it submits, so that moments stand in the order in which they came. */
function journeyOf(recording, op) {
  const seen = JOURNEY.map(([column, name, phase]) => ({ name, phase, time: recording.ops[column][op] }))
    .filter((moment) => moment.time >= 0)
    .sort((a, b) => a.time - b.time);
  seen.forEach((moment, i) => {
    moment.since = i ? moment.time - seen[i - 1].time : 0;
  });
  return seen;
}

/* How long an op executed; -1 when it did not. */
function executionOf(recording, op) {
  const { created, began, ended } = recording.ops;
  if (ended[op] < 0)
    return -1;
  const from = created[op] >= began[op] ? created[op] : began[op];
  return from >= 0 && from <= ended[op] ? ended[op] - from : -1;
}
