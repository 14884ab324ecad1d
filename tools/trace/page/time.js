/* Durations and moments as people read them. All times are in ns. */

const TIME_UNITS = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];

function unitOf(ns) {
  return TIME_UNITS.find(([size]) => Math.abs(ns) >= size) ?? TIME_UNITS[3];
}

/* Formats of numbers with at least `least` and at most `most` digits behind the point: slow to make. */
const numberFormats = new Map();

function formatNumber(number, least, most) {
  const key = least * 32 + most;
  if (!numberFormats.has(key))
    numberFormats.set(key, new Intl.NumberFormat("en-US", { minimumFractionDigits: least, maximumFractionDigits: most }));
  return numberFormats.get(key).format(number);
}

function trimmed(number, digits) {
  return formatNumber(number, 0, digits);
}

/* "1.23 ms": three digits that count. */
function formatDuration(ns) {
  const [size, unit] = unitOf(ns);
  const value = ns / size;
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${trimmed(value, unit === "ns" ? 0 : digits)} ${unit}`;
}

/* A moment, exact to `step`. */
function formatMoment(ns, step = 1) {
  const [size, unit] = unitOf(Math.max(Math.abs(ns), step));
  const digits = Math.max(0, Math.ceil(Math.log10(size) - Math.log10(Math.max(step, 1)) - 1e-9));
  return `${formatNumber(Math.abs(ns) < step / 2 ? 0 : ns / size, digits, digits)} ${unit}`;
}

/* The distance of a ruler's ticks: 1, 2 or 5 times a power of ten, at least `least`. */
function tickStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  const factor = [1, 2, 5, 10].find((f) => f * power >= least - 1e-9);
  return Math.max(1, factor * power);
}

const BYTE_UNITS = [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]];

function formatBytes(bytes) {
  const [size, unit] = BYTE_UNITS.find(([s]) => Math.abs(bytes) >= s) ?? BYTE_UNITS[3];
  return `${trimmed(bytes / size, size === 1 ? 0 : 2)} ${unit}`;
}

const COUNT_UNITS = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];

/* "1.2 M": with what is counted behind it. */
function formatCount(count, what = "") {
  if (Math.abs(count) < 1e4)
    return `${trimmed(count, 2)}${what && " " + what}`;
  const [size, unit] = COUNT_UNITS.find(([s]) => Math.abs(count) >= s);
  return `${trimmed(count / size, 2)} ${unit}${what}`;
}

function formatValue(value, unit) {
  if (unit === "bytes")
    return formatBytes(value);
  if (unit === "ns")
    return formatDuration(value);
  return unit === "%" ? `${trimmed(value, 1)} %` : formatCount(value, unit);
}

function formatShare(part, whole) {
  return whole > 0 ? `${trimmed((100 * part) / whole, part / whole < 0.1 ? 1 : 0)} %` : "–";
}

function plural(count, noun) {
  return `${trimmed(count, 0)} ${noun}${count === 1 ? "" : "s"}`;
}
