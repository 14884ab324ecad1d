/* What is exported, as speedscope and Perfetto load it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Browser } from "./browser.mjs";
import { Perfetto, Speedscope, noPerfetto } from "./viewers.mjs";

let browser, json;
before(async () => {
  browser = await Browser.launch();
  execFileSync(process.env.TRACED, { env: { ...process.env, TENOR_TRACE: inFolder("traced") } });
  json = exported("json");
});
after(() => browser.close());

const inFolder = (name) => join(browser.folder, name);

function exported(format) {
  const path = inFolder(`traced.${format}.json`);
  execFileSync(process.env.TENOR, ["trace", "export", "--format", format, "--output", path, inFolder("traced")]);
  return readFileSync(path, "utf8");
}

const eventsOf = (text, phases) => JSON.parse(text).traceEvents.filter(({ ph }) => phases.includes(ph));
const sorted = (list) => [...list].sort();

/* "process / thread" of all that have slices or moments. */
function threadsOf(text, phases) {
  const named = (name) => new Map(eventsOf(text, "M").filter((event) => event.name === name)
    .map(({ pid, tid, args }) => [name === "process_name" ? pid : `${pid} ${tid}`, args.name]));
  const processes = named("process_name"), threads = named("thread_name");
  return sorted(new Set(eventsOf(text, phases).map(({ pid, tid }) => `${processes.get(pid)} / ${threads.get(`${pid} ${tid}`)}`)));
}

describe("Perfetto", { skip: noPerfetto }, () => {
  let perfetto;
  before(async () => { perfetto = await Perfetto.open(browser, json); });

  test("has nothing to complain of", async () => {
    const complaints = "select name, value from stats where value > 0 and severity in ('error', 'data_loss')";
    assert.deepEqual(await perfetto.query(complaints), []);
  });

  test("tells of a wrong trace", async () => {
    const broken = JSON.stringify({ traceEvents: [{ ph: "X", name: "early", ts: -5, dur: 1, pid: 1, tid: 1 }, { ph: "X", name: "late", ts: 5, dur: 1, pid: 1, tid: 1 }] });
    const other = await Perfetto.open(browser, broken);
    assert.deepEqual(await other.query("select name from slice"), [["late"]]);
    assert.notDeepEqual(await other.query("select name from stats where value > 0 and severity = 'error'"), []);
  });

  test("has every slice, with its time, its length and its arguments", async () => {
    const slices = await perfetto.query("select ts, dur, slice.name, category, extract_arg(arg_set_id, 'args.site') from slice join thread_track on thread_track.id = track_id");
    const written = eventsOf(json, "Xi").map(({ ts, dur, name, cat, args }) =>
      [Math.round(ts * 1000), Math.round((dur ?? 0) * 1000), name, cat, args?.site ?? null]);
    assert.ok(written.length > 100);
    assert.deepEqual(sorted(slices.map(String)), sorted(written.map(String)));
  });

  test("names processes and threads, and nests their slices", async () => {
    const threads = await perfetto.query("select distinct process.name || ' / ' || thread.name from slice join thread_track on thread_track.id = track_id join thread using (utid) join process on process.upid = thread.upid");
    assert.deepEqual(sorted(threads.flat()), threadsOf(json, "Xi"));
    const within = await perfetto.query("select child.ts - mother.ts, mother.ts + mother.dur - child.ts - child.dur from slice child join slice mother on child.parent_id = mother.id");
    assert.ok(within.length > 10 && within.flat().every((room) => room >= 0), `${within}`);
    const [[apart]] = await perfetto.query("select count() from slice a join slice b using (track_id) where a.depth = b.depth and a.ts < b.ts and b.ts < a.ts + a.dur");
    assert.equal(apart, 0);
  });

  test("draws an arrow from each op to each that depends on it", async () => {
    const numberOf = (slice) => `extract_arg(${slice}.arg_set_id, 'args.op')`;
    const arrows = await perfetto.query(`select ${numberOf("a")}, ${numberOf("b")} from flow join slice a on a.id = slice_out join slice b on b.id = slice_in`);
    const ends = (phase) => new Map(eventsOf(json, phase).map(({ id, ...event }) => [id, event])), from = ends("s"), to = ends("f");
    const opAt = ({ ts, pid, tid }) => eventsOf(json, "X").find((slice) =>
      slice.pid === pid && slice.tid === tid && slice.ts <= ts && ts < slice.ts + slice.dur).args.op;
    assert.ok(from.size > 20);
    assert.deepEqual(sorted(arrows.map(String)), sorted([...from.keys()].map((id) => String([opAt(from.get(id)), opAt(to.get(id))]))));
  });

  test("nests composites", async () => {
    const composites = await perfetto.query("select slice.name, depth, extract_arg(slice.arg_set_id, 'args.op'), slice.dur from slice where category = 'composite'");
    assert.equal(composites.length, eventsOf(json, "b").length);
    assert.deepEqual(sorted(new Set(composites.map(([name]) => name))), ["attention", "block", "linear_with_relu", "model"]);
    assert.ok(composites.every(([, , , duration]) => duration > 0));
    assert.ok(composites.some(([name, depth]) => name === "linear_with_relu" && depth === 2), `${composites}`);
    const outer = await perfetto.query("select distinct mother.name || ' / ' || child.name from slice child join slice mother on child.parent_id = mother.id where child.category = 'composite'");
    for (const [pair] of outer)
      assert.ok(["model / block", "block / linear_with_relu", "block / attention"].includes(pair), pair);
  });

  test("has a track for each counter and place, with its values", async () => {
    const values = await perfetto.query("select name, ts, value from counter join counter_track on counter_track.id = track_id");
    const written = eventsOf(json, "C").map(({ name, ts, args }) => Object.entries(args).map(([place, value]) => [`${name} ${place}`, Math.round(ts * 1000), value])).flat();
    assert.deepEqual(sorted(values.map(String)), sorted(written.map(String)));
    const tracks = new Set(written.map(([name]) => name));
    for (const name of ["memory (bytes) cpu:0", "queued (ops) cpu:1", "in flight (ops) host"])
      assert.ok(tracks.has(name), `${name} is not among ${[...tracks]}`);
  });
});

describe("speedscope", () => {
  for (const format of ["json", "slices"])
    test(`loads --format ${format} without a complaint, a thread by its name`, async () => {
      const text = exported(format), viewer = await Speedscope.open(browser, inFolder(`traced.${format}.json`));
      assert.deepEqual(viewer.complaints, []);
      const threads = (await viewer.threads()).map((line) => line.replace(/^(.*) \(pid \d+\), (.*) \(tid \d+\)$/, "$1 / $2"));
      assert.deepEqual(sorted(threads), threadsOf(text, "X"));
      await viewer.page.close();
    });

  test("sums up by op", async () => {
    const text = exported("slices"), viewer = await Speedscope.open(browser, inFolder("traced.slices.json"));
    await viewer.choose("worker of cpu:0");
    const { pid, tid } = eventsOf(text, "M").find(({ args }) => args.name === "worker of cpu:0");
    const names = eventsOf(text, "X").filter((event) => event.pid === pid && event.tid === tid).map(({ name }) => name);
    assert.ok(names.filter((name) => name === "matmul").length > 5);
    assert.deepEqual(sorted(await viewer.names()), sorted(new Set(names)));
    if (process.env.TENOR_PAGE_PICTURES)
      await viewer.page.screenshot({ path: join(process.env.TENOR_PAGE_PICTURES, "speedscope.png") });
    await viewer.page.close();
  });
});
