/* The parts that need no screen. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Browser } from "./browser.mjs";

let browser, page;
before(async () => {
  browser = await Browser.launch();
  page = await browser.open(null);
});
after(() => browser.close());

test("every level of a pyramid has all items, and no block that could not be drawn", async () => {
  const faults = await page.evaluate(() => {
    const faults = [];
    for (let round = 0; round < 40; round++) {
      let time = 0, seed = round + 1;
      const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) / 2 ** 32;
      const begin = [], end = [];
      for (let i = 0; i < 3000; i++) {
        begin.push(time += random() ** 8 * 1e6);
        end.push(time += random() ** 6 * 1e5);
      }
      const refs = Int32Array.from(begin.keys()), pyramid = new Pyramid(refs, (i) => begin[i], (i) => end[i]);
      const busy = end.reduce((sum, e, i) => sum + e - begin[i], 0);
      for (const level of pyramid.levels) {
        const counted = level.count.reduce((a, b) => a + b, 0), spent = level.busy.reduce((a, b) => a + b, 0);
        if (counted !== 3000 || Math.abs(spent - busy) > 1)
          faults.push(`round ${round}: ${counted} items, ${spent} ns of ${busy}`);
        for (let i = 0; i < level.size; i++) {
          const wide = level.end[i] - level.begin[i] > level.width + 1e-6;
          if ((wide && level.count[i] > 1) || (i && level.begin[i] < level.end[i - 1]))
            faults.push(`round ${round}: block ${i} of width ${level.width}`);
          const { ref } = level;
          if (Math.abs(end[ref[i]] - begin[ref[i]] - level.longest[i]) > 1e-6)
            faults.push(`round ${round}: block ${i} does not name its longest item`);
        }
      }
      const widths = pyramid.levels.map((level) => level.width);
      if (pyramid.levels.length < 3 || widths.some((width, i) => i && width <= widths[i - 1]))
        faults.push(`round ${round}: levels of ${widths}`);
      for (let i = 0; i < 50; i++) {
        const from = random() * time, to = from + random() * 1e6, [first, last] = Pyramid.range(pyramid.levels[0], from, to);
        for (const item of refs)
          if (begin[item] <= to && end[item] > from && (item < first || item >= last))
            faults.push(`round ${round}: item ${item} is missing from ${from} to ${to}`);
      }
    }
    return faults;
  });
  assert.deepEqual(faults, []);
});

test("durations, moments, sizes and counts as people read them", async () => {
  const said = await page.evaluate(() => [
    formatDuration(0), formatDuration(999), formatDuration(1234), formatDuration(12345), formatDuration(123456), formatDuration(1.5e9), formatDuration(9e10),
    formatMoment(0, 1000), formatMoment(-1e-9, 5), formatMoment(1234567, 1000), formatMoment(2.5e9, 1e8), formatMoment(1234567890, 1),
    formatBytes(0), formatBytes(1536), formatBytes(5 * 2 ** 30), formatCount(9999), formatCount(12345678, "FLOP"), formatShare(1, 3), formatShare(1, 0), plural(1, "op"), plural(2000, "op")]);
  assert.deepEqual(said, ["0 ns", "999 ns", "1.23 µs", "12.3 µs", "123 µs", "1.5 s", "90 s", "0 µs", "0 ns", "1.235 ms", "2.5 s", "1.234567890 s",
    "0 B", "1.5 KiB", "5 GiB", "9,999", "12.35 MFLOP", "33 %", "–", "1 op", "2,000 ops"]);
});

test("ticks are 1, 2 or 5 times a power of ten, and never less than a nanosecond", async () => {
  const steps = await page.evaluate(() => [0.01, 1, 1.1, 3, 7, 11, 450, 999, 1000, 2.1e9].map(tickStep));
  assert.deepEqual(steps, [1, 1, 2, 5, 10, 20, 500, 1000, 1000, 5e9]);
});

test("a counter's highest value between two moments", async () => {
  const wrong = await page.evaluate(() => {
    const value = Array.from({ length: 777 }, (_, i) => (i * 7919) % 1009), time = value.map((_, i) => i * 10), wrong = [];
    const row = new CounterRow(30, { time, value, unit: "bytes" });
    for (let from = 0; from < 777; from += 13)
      for (let to = from; to < 777; to += 17)
        if (row.highestIn(from, to) !== Math.max(...value.slice(from, to + 1)))
          wrong.push([from, to]);
    return [wrong, row.valueAt(-1), row.valueAt(0), row.valueAt(15), row.valueAt(1e9), value[0], value[1], value[776]];
  });
  assert.deepEqual(wrong[0], []);
  assert.deepEqual(wrong.slice(1, 5), [0, wrong[5], wrong[6], wrong[7]]);
});

/* As tools/trace/page_columns.c does. */
function packed(values) {
  const bytes = [];
  let last = 0n;
  for (const value of values.map(BigInt)) {
    let more = value - last;
    for (more = more < 0n ? -2n * more - 1n : 2n * more; more > 127n; more >>= 7n)
      bytes.push(Number(more & 127n) | 128);
    bytes.push(Number(more));
    last = value;
  }
  return Buffer.from(bytes).toString("base64");
}

test("packed columns are what was packed", async () => {
  const values = [0, 1, -1, 63, 64, -64, -65, 8191, 8192, 2 ** 31, -1, 2 ** 51, -1, 5, 5];
  for (const count of [0, 1, 2, 3, values.length]) {
    const some = values.slice(0, count);
    assert.deepEqual(await page.evaluate((text) => [...column(Float64Array, text)], packed(some)), some);
    assert.deepEqual(await page.evaluate((list) => [...column(Float64Array, list)], some), some);
  }
  assert.deepEqual(await page.evaluate((text) => [...column(Int32Array, text)], packed([7, -1, 2 ** 31 - 1])), [7, -1, 2 ** 31 - 1]);
});

test("how busy a device was, with more than one worker", async () => {
  const [tracks, half, all, late] = await page.evaluate(() => {
    const events = { start: [0, 0, 100, 300], duration: [50, 200, 100, 100] };
    const row = new BusyRow(20, [0, 1, 2, 3], 2, { events });
    return [row.tracks.length, row.busy(0, 100), row.busy(0, 400), row.busy(250, 300)];
  });
  assert.deepEqual([tracks, half, late], [2, 0.75, 0]);
  assert.equal(all, (50 + 200 + 100 + 100) / 800);
});
