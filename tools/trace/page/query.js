/* What is typed into the search: words, all of which must fit.
 *   word        in the op's name, composite, file:line, shapes, attributes, group or error
 *   op: in: file: device: group: shape: status:   there only; in: any composite around it
 *   is:         critical, miss, plain, copy-free (alias), held, failed, cancelled, timed-out, unended
 *   longer: shorter:   than a time, such as longer:20us
 *   #12         the op of that number */

const TIME_SUFFIX = { s: 1e9, ms: 1e6, us: 1e3, "µs": 1e3, ns: 1, "": 1e3 };

function termsOf(text) {
  return [...text.matchAll(/(?:(\w+):)?(?:"([^"]*)"?|(\S+))/g)].map(([, key, quoted, plain]) => ({
    key: (key ?? "").toLowerCase(), word: (quoted ?? plain).toLowerCase() }));
}

/* A function of an op; null for an empty query. */
function compileQuery(text, recording) {
  const tests = termsOf(text).filter(({ word }) => word).map(({ key, word }) => testOf(key, word, recording));
  return tests.length ? (op) => tests.every((test) => test(op)) : null;
}

function testOf(key, word, recording) {
  const { ops } = recording, within = (table, textOf) => table.map((entry) => textOf(entry).toLowerCase().includes(word));
  const byColumn = (column, fits) => (op) => fits[ops[column][op]] ?? false;
  const makers = {
    op: () => byColumn("name", within(recording.names, (name) => name)),
    file: () => byColumn("site", within(recording.sites, (site) => `${site.file}:${site.line}`)),
    shape: () => byColumn("plan", within(recording.plans, shapesOf)),
    group: () => byColumn("group", within(recording.names, (name) => name)),
    device: () => byColumn("device", within(recording.devices, (device) => device.name)),
    status: () => byColumn("status", within(recording.statuses, (status) => status)),
    error: () => byColumn("error", within(recording.errors, (error) => error)),
    in: () => insideOf(recording, within(recording.names, (name) => name)),
    is: () => stateTest(word, recording),
    longer: () => (op) => executionOf(recording, op) > timeOf(word),
    shorter: () => (op) => executionOf(recording, op) >= 0 && executionOf(recording, op) < timeOf(word),
  };
  if (makers[key])
    return makers[key]();
  if (/^#\d+$/.test(word))
    return (op) => ops.number[op] === Number(word.slice(1)) || (ops.number[op] >>> 0) === Number(word.slice(1));
  return anywhere(key ? `${key}:${word}` : word, recording);
}

/* The word may also be one with a colon in it, such as a file's. */
function anywhere(word, recording) {
  const { ops } = recording, within = (table, textOf) => table.map((entry) => textOf(entry).toLowerCase().includes(word));
  const names = within(recording.names, (name) => name), errors = within(recording.errors, (error) => error);
  const sites = within(recording.sites, (site) => `${site.composite ?? ""} ${site.file}:${site.line}`);
  const plans = within(recording.plans, (plan) => `${shapesOf(plan)} ${plan.attrs ?? ""}`);
  return (op) => names[ops.name[op]] || sites[ops.site[op]] || plans[ops.plan[op]] || names[ops.group[op]] ||
    errors[ops.error[op]] || false;
}

function shapesOf(plan) {
  return [...(plan.inputs ?? []), ...(plan.outputs ?? [])].join(" ");
}

function insideOf(recording, names) {
  const { name, parent } = recording.ops;
  return (op) => {
    for (let at = parent[op]; at >= 0; at = parent[at])
      if (names[name[at]])
        return true;
    return false;
  };
}

function stateTest(word, recording) {
  const { flags } = recording.ops, { outcome, onPath } = recording;
  const bit = { miss: MISS, plain: PLAIN, alias: ALIAS, held: WAS_HELD }[word];
  if (bit)
    return (op) => (flags[op] & bit) !== 0;
  const end = { failed: FAILED, cancelled: CANCELLED, canceled: CANCELLED, "timed-out": TIMED_OUT, unended: UNFINISHED,
                ok: FINE }[word];
  return word === "critical" ? (op) => onPath[op] === 1 : (op) => outcome[op] === end;
}

function timeOf(word) {
  const [, number, suffix] = /^([\d.]+)\s*([a-zµ]*)$/.exec(word) ?? [0, "0", ""];
  return Number(number) * (TIME_SUFFIX[suffix] ?? 1);
}
