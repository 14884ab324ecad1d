/* What a reader of the page does, and what the page then shows. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { Browser, placeOf, settled, viewOf } from "./browser.mjs";
import { makeRecording } from "./made.mjs";

const recording = makeRecording(600);
const { ops, names } = recording;
const all = [...ops.number.keys()];
const named = (name) => all.filter((op) => names[ops.name[op]] === name);
let browser, page;

before(async () => { browser = await Browser.launch(); });
after(() => browser.close());
afterEach(async () => {
  assert.deepEqual(page.faults, []);
  await browser.leave(page);
});

async function open(data = recording, options = {}) {
  page = await browser.open(data, options);
  await settled(page);
  return page;
}

const text = (selector) => page.locator(selector).innerText();
const selected = () => page.evaluate(() => timeline.selection.op);
const trimmedCount = (count) => count.toLocaleString("en");
const near = (a, b, within) => assert.ok(Math.abs(a - b) <= within, `${a} is not ${b} ± ${within}`);

/* Selects by a click where the op is drawn, from near. */
async function click(op) {
  await page.evaluate((op) => {
    const { begin, end } = timeline.lanes.placeOf(op);
    timeline.view.show(begin - 2000, end + 2000, false);
  }, op);
  await settled(page);
  const { x, y } = await placeOf(page, op);
  await page.mouse.click(x, y);
  await settled(page);
}

/* [r, g, b] of a canvas at a place of the screen. */
function colourAt(canvas, { x, y }) {
  return page.evaluate(([id, x, y]) => {
    const canvas = byId(id), box = canvas.getBoundingClientRect(), ratio = devicePixelRatio;
    return [...canvas.getContext("2d").getImageData((x - box.left) * ratio, (y - box.top) * ratio, 1, 1).data.slice(0, 3)];
  }, [canvas, x, y]);
}

const hexOf = (rgb) => "#" + rgb.map((part) => part.toString(16).padStart(2, "0")).join("");

describe("what it shows", () => {
  test("says what was recorded, and draws it", async () => {
    await open();
    assert.equal(await text("#title"), "classify");
    assert.match(await text("#facts"), /pid 4711 · .* · 476 ops · 2 devices/);
    const colours = await page.evaluate(() => {
      const { width, height } = byId("base"), data = new Uint32Array(byId("base").getContext("2d").getImageData(0, 0, width, height).data.buffer);
      return new Set(data).size;
    });
    assert.ok(colours > 30, `${colours} colours`);
  });

  test("lanes: threads, dispatcher, devices with their workers, counters", async () => {
    await open();
    const lanes = await page.locator(".heading .name").allInnerTexts();
    assert.deepEqual(lanes, ["Critical path", "main", "reader", "dispatcher", "cpu:0", "cpu:0", "cpu:1", "cpu:1",
                             "memory", "queued", "queued", "dispatcher, CPU"]);
  });

  test("an op has its colour, a failed one another", async () => {
    await open();
    const fine = named("matmul").find((op) => ops.status[op] === 0), failed = all.find((op) => ops.status[op] === 2);
    const colours = await page.evaluate(([a, b]) => [timeline.palette.ofOp(a), timeline.palette.failed, timeline.palette.ofOp(b)], [fine, failed]);
    assert.equal(colours[1], colours[2]);
    for (const [op, colour] of [[fine, colours[0]], [failed, colours[1]]]) {
      await click(op);
      await page.keyboard.press("Escape");
      await page.mouse.move(5, 5);
      await settled(page);
      const place = await placeOf(page, op);
      const begin = await page.evaluate((op) => timeline.view.x(timeline.lanes.placeOf(op).begin), op);
      place.x = begin + 3 + (await page.evaluate(() => byId("stage").getBoundingClientRect().left));
      assert.equal(hexOf(await colourAt("base", place)), colour);
    }
  });

  test("wakes are marks, and say whom", async () => {
    await open();
    const i = recording.events.kind.indexOf(recording.kinds.indexOf("wake")), time = recording.events.start[i];
    const place = await page.evaluate(([time, i]) => {
      timeline.view.show(time - 500, time + 500, false);
      const row = timeline.lanes.rows.find((row) => row.caption === "wakes" && row.pyramid.levels[0].ref.includes(i));
      const box = byId("stage").getBoundingClientRect();
      return { lane: row.lane.title, x: box.left + timeline.view.x(time), y: box.top + row.lane.top + row.top + 4 };
    }, [time, i]);
    await settled(page);
    await page.mouse.move(place.x, place.y);
    assert.equal(place.lane, "dispatcher");
    assert.match(await text("#tooltip"), new RegExp(`wakes ${names[recording.events.name[i]]}`));
  });

  test("on a narrow screen the panel is below", async () => {
    await open(recording, { viewport: { width: 800, height: 700 } });
    const panel = await page.locator("#panel").boundingBox(), lanes = await page.locator("#scroll").boundingBox(), legend = await page.locator("#legend").boundingBox();
    assert.ok(panel.y >= legend.y + legend.height - 1 && panel.y + panel.height <= 701 && panel.height > 150, JSON.stringify(panel));
    assert.ok(lanes.height > 150 && legend.y >= lanes.y + lanes.height - 1, JSON.stringify([lanes, legend]));
  });

  test("deep zoom: down to nanoseconds", async () => {
    await open();
    const op = named("softmax")[3];
    await click(op);
    await page.evaluate((op) => {
      const { end } = timeline.lanes.placeOf(op);
      timeline.view.show(end - 5, end + 5, false);
    }, op);
    await settled(page);
    const [begin, end] = await viewOf(page);
    near(end - begin, 20, 1e-3);
    assert.equal(await text("#span"), "20 ns");
  });
});

describe("moving", () => {
  test("the wheel zooms at the pointer, and pans with shift", async () => {
    await open();
    const stage = await page.locator("#stage").boundingBox(), x = stage.x + 400;
    const under = () => page.evaluate(() => timeline.view.time(400)), before = await under();
    await page.mouse.move(x, stage.y + 200);
    for (let i = 0; i < 5; i++)
      await page.mouse.wheel(0, -200);
    await settled(page);
    const [begin, end] = await viewOf(page);
    assert.ok(end - begin < recording.recording.duration / 3);
    near(await under(), before, (end - begin) / 500);
    await page.keyboard.down("Shift");
    await page.mouse.wheel(0, 300);
    await page.keyboard.up("Shift");
    await settled(page);
    assert.ok((await viewOf(page))[0] > begin);
  });

  test("keys zoom and pan as long as they are held, and show all", async () => {
    await open();
    await page.locator("#scroll").focus();
    const whole = await viewOf(page), length = ([begin, end]) => end - begin;
    await page.keyboard.down("w");
    await page.waitForFunction((limit) => timeline.view.end - timeline.view.begin < limit, length(whole) / 4);
    await page.keyboard.up("w");
    await settled(page);
    const close = await viewOf(page);
    await page.keyboard.press("d");
    await settled(page);
    const right = await viewOf(page);
    assert.ok(right[0] > close[0]);
    await page.keyboard.press("ArrowLeft");
    await settled(page);
    assert.ok((await viewOf(page))[0] < right[0]);
    await page.keyboard.press("s");
    await settled(page);
    assert.ok(length(await viewOf(page)) > length(close));
    await page.keyboard.press("0");
    await settled(page);
    assert.deepEqual((await viewOf(page)).map(Math.round), whole.map(Math.round));
  });

  test("a drag pans; with shift it marks a stretch and shows it", async () => {
    await open();
    await page.evaluate(() => timeline.view.show(1e6, 1.5e6, false));
    await settled(page);
    const stage = await page.locator("#stage").boundingBox(), from = await viewOf(page), y = stage.y + 420;
    await page.mouse.move(stage.x + 500, y);
    await page.mouse.down();
    await page.mouse.move(stage.x + 300, y, { steps: 4 });
    await page.mouse.up();
    await settled(page);
    const moved = await viewOf(page), px = (from[1] - from[0]) / stage.width;
    near(moved[0] - from[0], 200 * px, 2 * px);
    await page.keyboard.down("Shift");
    await page.mouse.move(stage.x + 200, y);
    await page.mouse.down();
    await page.mouse.move(stage.x + 400, y, { steps: 4 });
    await page.mouse.up();
    await page.keyboard.up("Shift");
    await settled(page);
    const shown = await viewOf(page);
    near(shown[0], moved[0] + 200 * px, 2 * px);
    near(shown[1], moved[0] + 400 * px, 2 * px);
  });

  test("the minimap goes where it is clicked", async () => {
    await open();
    await page.evaluate(() => timeline.view.show(0, 2e5, false));
    const map = await page.locator("#minimap").boundingBox();
    await page.mouse.click(map.x + map.width * 0.7, map.y + 20);
    await settled(page);
    const [begin, end] = await viewOf(page);
    near((begin + end) / 2, recording.recording.duration * (0.7 * 1.02 - 0.01), recording.recording.duration / 100);
    near(end - begin, 2e5, 1);
  });

  test("a lane closes and opens", async () => {
    await open();
    const heading = page.getByRole("button", { name: "main" }), height = () => page.evaluate(() => timeline.lanes.height), open_ = await height();
    await heading.click();
    assert.equal(await heading.getAttribute("aria-expanded"), "false");
    assert.ok((await height()) < open_);
    await heading.click();
    assert.equal(await height(), open_);
  });
});

describe("an op", () => {
  test("a click tells everything known of it", async () => {
    await open();
    const op = named("add").find((each) => recording.ops.parent[each] >= 0 && ops.status[each] === 0);
    await click(op);
    assert.equal(await selected(), op);
    const panel = await text("#panel");
    for (const said of [`add #${ops.number[op]}`, "linear", "tools/model/classify.c:41", "f32[64, 128]", "cpu:0", "32 KiB", "submitted", "resolved", "launched",
                        "taken up", "created", "executed", "complete", "median", "Inputs", "Dependents", "from the cache"])
      assert.ok(panel.includes(said), `${said} is not in:\n${panel}`);
  });

  test("its inputs and dependents are a click or a key away, with arrows to them", async () => {
    await open();
    const op = named("softmax").find((each) => ops.dependents_at[each + 1] > ops.dependents_at[each] && ops.inputs_at[each + 1] > ops.inputs_at[each]);
    const input = ops.inputs[ops.inputs_at[op]], dependent = ops.dependents[ops.dependents_at[op]];
    await click(op);
    const drawn = () => page.evaluate(() => {
      const { width, height } = byId("overlay");
      return byId("overlay").getContext("2d").getImageData(0, 0, width, height).data.some((part) => part > 0);
    });
    assert.ok(await drawn());
    await page.locator("#panel section", { hasText: "Inputs" }).getByRole("button").first().click();
    assert.equal(await selected(), input);
    await page.keyboard.press("o");
    assert.equal(await selected(), op);
    await page.keyboard.press("o");
    assert.equal(await selected(), dependent);
    await page.keyboard.press("i");
    assert.equal(await selected(), op);
    await page.keyboard.press("Escape");
    assert.equal(await selected(), -1);
    await page.mouse.move(5, 5);
    await settled(page);
    assert.equal(await drawn(), false);
    assert.match(await text("#panel"), /Overview/);
  });

  test("says what it waited for, and goes there", async () => {
    await open();
    const op = all.find((each) => ops.waited_for[each] >= 0 && ops.ended[ops.waited_for[each]] > ops.submitted[each] + 5000);
    await click(op);
    const section = page.locator("#panel section", { hasText: "Waited for" });
    assert.match(await section.innerText(), new RegExp(`${names[ops.name[ops.waited_for[op]]]}\\s*#${ops.number[ops.waited_for[op]]}\\s*began .* after it`));
    await section.getByRole("button").click();
    assert.equal(await selected(), ops.waited_for[op]);
    const [begin, end] = await viewOf(page), { began, ended } = ops;
    assert.ok(began[ops.waited_for[op]] >= begin && ended[ops.waited_for[op]] <= end);
  });

  test("comma and dot go along the lane", async () => {
    await open();
    const op = named("matmul")[4];
    await click(op);
    await page.keyboard.press(".");
    const next = await selected();
    assert.notEqual(next, op);
    assert.ok(ops.began[next] >= ops.ended[op]);
    assert.equal(ops.device[next], ops.device[op]);
    await page.keyboard.press(",");
    assert.equal(await selected(), op);
  });

  test("a failed op says why", async () => {
    await open();
    const op = all.find((each) => ops.status[each] === 2);
    await click(op);
    const panel = await text("#panel");
    assert.ok(panel.includes("EKERNEL") && panel.includes("the kernel found a NaN in row 3") && panel.includes("failed"), panel);
  });

  test("a composite shows the ops in it, and f fits it", async () => {
    await open();
    const op = all.find((each) => ops.kind[each] === 1 && names[ops.name[each]] === "attention");
    await page.evaluate((each) => timeline.selection.select(each), op);
    assert.match(await text("#panel"), /composite[^]*Ops in it\s*4/);
    await page.locator("#scroll").focus();
    await page.keyboard.press("f");
    await settled(page);
    const [begin, end] = await viewOf(page), children = all.filter((each) => ops.parent[each] === op);
    for (const child of children)
      assert.ok(ops.began[child] >= begin && ops.ended[child] <= end);
  });

  test("the tooltip says what is under the pointer", async () => {
    await open();
    const op = named("softmax")[2];
    await click(op);
    const { x, y } = await placeOf(page, op);
    await page.mouse.move(x + 3, y);
    assert.match(await text("#tooltip"), new RegExp(`softmax #${ops.number[op]}[^]*shapes f32`));
    await page.mouse.move(5, 5);
    assert.equal(await page.locator("#tooltip").isVisible(), false);
  });
});

describe("search", () => {
  test("finds, counts, and goes from match to match", async () => {
    await open();
    await page.keyboard.press("/");
    await page.keyboard.type("relu");
    const matches = all.filter((op) => names[ops.name[op]].includes("relu") || (recording.sites[ops.site[op]]?.composite ?? "").includes("relu"));
    await page.waitForFunction(() => timeline.search.found);
    await settled(page);
    assert.equal(await text("#matches"), `${matches.length} matches`);
    await page.keyboard.press("Enter");
    assert.equal(await selected(), matches[0]);
    await page.keyboard.press("Escape");
    await page.keyboard.press("n");
    assert.equal(await selected(), matches[1]);
    await page.keyboard.press("N");
    await page.keyboard.press("N");
    assert.equal(await selected(), matches.at(-1));
    assert.equal(await text("#matches"), `${matches.length} of ${matches.length}`);
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    assert.equal(await page.inputValue("#query"), "");
    assert.equal(await text("#matches"), "");
  });

  const outcome = (status) => (op) => ops.status[op] === status;
  const longer = (op) => ops.ended[op] >= 0 && ops.ended[op] - ops.created[op] > 20000;
  const cases = {
    "op:matmul": (op) => names[ops.name[op]] === "matmul",
    "in:attention": (op) => ops.parent[op] >= 0 && names[ops.name[ops.parent[op]]] === "attention",
    "file:classify.c:41": (op) => recording.sites[ops.site[op]]?.line === 41,
    "classify.c:41": (op) => recording.sites[ops.site[op]]?.line === 41,
    "device:cpu:1": (op) => ops.device[op] === 1,
    "is:failed": outcome(2), "is:cancelled": outcome(3), "is:timed-out": outcome(4), "status:kernel": outcome(2),
    "is:critical": (op) => recording.path.op.includes(op),
    "is:miss": (op) => (ops.flags[op] & 2) !== 0,
    "longer:20us": longer, "longer:0.02ms op:matmul": (op) => longer(op) && names[ops.name[op]] === "matmul",
    'shape:"f32[128, 128]"': (op) => recording.plans[ops.plan[op]]?.name === "matmul",
    "transpose_b": (op) => recording.plans[ops.plan[op]]?.name === "matmul",
    "nan": outcome(2), "#17": (op) => ops.number[op] === 17, "nothing-such": () => false,
  };
  test("understands its words", async () => {
    await open();
    for (const [query, fits] of Object.entries(cases)) {
      const found = await page.evaluate((query) => {
        timeline.search.find(query);
        return [...timeline.search.found];
      }, query);
      assert.deepEqual(found, all.filter(fits), query);
      assert.ok(found.length > 0 || query === "nothing-such", query);
    }
    assert.equal(await text("#matches"), "nothing matches");
  });

  test("the legend searches, and the rest can be hidden", async () => {
    await open();
    const entry = page.locator("#legend").getByRole("button", { name: /^softmax/ });
    await entry.click();
    assert.equal(await page.inputValue("#query"), "op:softmax");
    assert.equal(await entry.getAttribute("aria-pressed"), "true");
    const op = named("matmul")[5];
    await page.evaluate((op) => {
      const { begin, end } = timeline.lanes.placeOf(op);
      timeline.view.show(begin - 900, end + 900, false);
    }, op);
    const ink = async () => {
      await settled(page);
      return (await colourAt("base", await placeOf(page, op))).reduce((sum, part) => sum + 255 - part, 0);
    };
    const dimmed = await ink();
    await page.getByRole("button", { name: "Only matches" }).click();
    const hidden = await ink();
    assert.ok(hidden < dimmed, `${hidden} < ${dimmed}`);
    await entry.click();
    assert.equal(await page.inputValue("#query"), "");
    assert.ok((await ink()) > dimmed);
  });
});

describe("the page itself", () => {
  test("light, dark, or as the system", async () => {
    await open(recording, { colorScheme: "dark" });
    const ground = () => page.evaluate(() => [getComputedStyle(document.body).backgroundColor, timeline.palette.paper]);
    const dark = await ground();
    await page.keyboard.press("t");
    await settled(page);
    const light = await ground();
    assert.deepEqual([light[1], await page.evaluate(() => timeline.theme.chosen)], ["#ffffff", "light"]);
    assert.notDeepEqual(light, dark);
    await page.keyboard.press("t");
    assert.deepEqual(await ground(), dark);
    await page.keyboard.press("t");
    await page.emulateMedia({ colorScheme: "light" });
    await page.waitForFunction(() => document.documentElement.dataset.theme === "light");
    assert.deepEqual(await ground(), light);
  });

  test("the address keeps the view, the selection and the search", async () => {
    await open();
    const op = named("add")[7];
    await click(op);
    await page.evaluate(() => timeline.search.find("op:add"));
    await page.keyboard.press("t");
    await page.waitForFunction(() => location.hash.includes("theme=light") && location.hash.includes("op="));
    const hash = new URL(page.url()).hash, view = await viewOf(page);
    assert.deepEqual(page.faults, []);
    await browser.leave(page);
    await open(recording, { hash });
    assert.equal(await selected(), op);
    assert.equal(await page.inputValue("#query"), "op:add");
    assert.equal(await page.evaluate(() => timeline.theme.chosen), "light");
    for (const i of [0, 1])
      near((await viewOf(page))[i], view[i], 1);
  });

  test("help opens and closes", async () => {
    await open();
    await page.keyboard.press("?");
    assert.ok(await page.locator("#help").isVisible());
    assert.match(await text("#help"), /zoom at the pointer/);
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#help").isVisible(), false);
  });

  test("the critical path stands out, arrows come at a key", async () => {
    await open();
    const op = recording.path.op.find((each) => each >= 0 && ops.ended[each] >= 0);
    await click(op);
    await page.keyboard.press("Escape");
    const foot = await page.evaluate((op) => {
      const { row, begin } = timeline.lanes.placeOf(op), box = byId("stage").getBoundingClientRect();
      return { x: box.left + timeline.view.x(begin) + 4, y: box.top + row.lane.top + row.top + row.height - 1.5 - byId("scroll").scrollTop };
    }, op);
    assert.equal(hexOf(await colourAt("base", foot)), await page.evaluate(() => timeline.palette.critical));
    for (const [key, id] of [["c", "critical"], ["e", "arrows"]]) {
      await page.keyboard.press(key);
      assert.equal(await page.locator(`#${id}`).getAttribute("aria-pressed"), "true");
      await page.locator(`#${id}`).click();
      assert.equal(await page.locator(`#${id}`).getAttribute("aria-pressed"), "false");
    }
  });

  test("everything that can be pressed has a name, and can be reached by keys", async () => {
    await open();
    await click(named("add")[3]);
    const nameless = await page.evaluate(() => [...document.querySelectorAll("button, input, [role]")]
      .filter((each) => !(each.innerText?.trim() || each.getAttribute("aria-label") || each.title || ["status", "search", "tooltip"].includes(each.getAttribute("role"))))
      .map((each) => each.outerHTML));
    assert.deepEqual(nameless, []);
    await page.evaluate(() => document.activeElement.blur());
    const reached = new Set();
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press("Tab");
      reached.add(await page.evaluate(() => document.activeElement.id));
    }
    for (const id of ["query", "critical", "arrows", "fit", "theme", "ask", "scroll"])
      assert.ok(reached.has(id), `${id} is not reached`);
  });

  test("on paper: the timeline with its names, the legend and the figures", async () => {
    await open(recording, { colorScheme: "dark" });
    const pdf = await page.pdf({ preferCSSPageSize: true, printBackground: true });
    assert.equal(pdf.subarray(0, 5).toString(), "%PDF-");
    const pages = pdf.toString("latin1").match(/\/Type\s*\/Page\b/g).length;
    assert.ok(pages >= 1 && pages <= 3, `${pages} sheets`);
    await settled(page);
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
    assert.ok(await page.locator("#print canvas").isVisible());
    for (const id of ["top", "scroll", "overview"])
      assert.equal(await page.locator(`#${id}`).isVisible(), false, id);
    for (const id of ["legend", "panel"])
      assert.ok(await page.locator(`#${id}`).isVisible(), id);
    await page.evaluate(() => dispatchEvent(new Event("afterprint")));
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
    assert.equal(await page.locator("#print canvas").count(), 0);
  });
});

describe("unusual recordings", () => {
  test("an empty one says so", async () => {
    await open(makeRecording(0));
    assert.match(await text("#empty"), /Nothing was recorded/);
  });

  test("no recording at all is an empty one", async () => {
    await open(null);
    assert.match(await text("#empty"), /Nothing was recorded/);
  });

  test("what is lost or cut off is said first", async () => {
    const data = structuredClone(recording);
    Object.assign(data.recording, { lost: 12345, whole: false, left_out: 7, strangers: 1, flight: true });
    await open(data);
    const banners = await text("#banners");
    for (const said of ["12,345 records were lost", "has no end", `Showing the first ${trimmedCount(data.events.start.length)} of ${trimmedCount(data.events.start.length + 7)} events: 0 µs to`, "tenor trace html --from ", "1 record", "flight recording"])
      assert.ok(banners.includes(said), `${said} is not in: ${banners}`);
  });

  test("a page of a part says of which, and shows no more", async () => {
    const data = structuredClone(recording), { duration } = data.recording;
    Object.assign(data.recording, { begin: Math.round(duration / 2), length: duration * 3 });
    await open(data);
    assert.match(await text("#banners"), /^Showing [\d.]+ ms to [\d.]+ ms of [\d.]+ ms\.$/);
    await page.keyboard.press("0");
    await settled(page);
    const [begin, end] = await viewOf(page);
    near(begin, duration / 2, duration * 0.01);
    near(end, duration, duration * 0.01);
    assert.match(await text("#facts"), new RegExp(await page.evaluate((ns) => formatDuration(ns), duration - data.recording.begin)));
  });

  test("names are text, whatever is in them", async () => {
    const data = structuredClone(recording), evil = "</script><img src=x onerror=\"document.title='evil'\"><!-- & \u2028";
    data.names[ops.name[named("add")[0]]] = evil;
    data.recording.program = evil;
    data.sites.forEach((site) => { site.file = evil; });
    data.errors = data.errors.map(() => evil);
    await open(data);
    await click(named("add")[2]);
    await page.mouse.move(400, 300);
    assert.ok((await text("#panel")).includes("</script><img"));
    assert.equal(await page.locator("img").count(), 0);
    assert.notEqual(await page.title(), "evil");
  });

  test("ops that never ended, and moments that are missing", async () => {
    const data = structuredClone(recording);
    for (let op = 0; op < all.length; op += 3)
      Object.assign(data.ops, { status: data.ops.status.with(op, -1), completed: data.ops.completed.with(op, -1) });
    for (let op = 0; op < all.length; op += 5)
      for (const time of ["submitted", "resolved", "launched", "began", "created", "ended"])
        data.ops[time][op] = -1;
    await open(data);
    await page.evaluate(() => timeline.search.find("is:unended"));
    assert.equal(await page.evaluate(() => timeline.search.found.length), Math.ceil(all.length / 3));
    for (const op of [0, 3, 5, 15, 30])
      await page.evaluate((each) => timeline.selection.select(each), op);
    assert.match(await text("#panel"), /not ended/);
  });

  test("200,000 events", async () => {
    const data = makeRecording(58000);
    assert.ok(data.events.start.length >= 200000);
    await open(data);
    await page.keyboard.press("0");
    for (const key of ["w", "w", "d", "a", "s"]) {
      await page.keyboard.press(key);
      await settled(page);
    }
    await page.evaluate(() => timeline.search.find("op:softmax is:critical"));
    await settled(page);
    await page.evaluate(() => timeline.search.find(""));
    const many = await costOfFrames();
    await browser.leave(page);
    await open();
    const few = await costOfFrames();
    console.log(`# CPU time of a frame: ${many.main.toFixed(1)} ms on the page's thread, ${many.all.toFixed(1)} ms in all; of one with 2,000 events: ` +
                `${few.main.toFixed(1)} ms, ${few.all.toFixed(1)} ms; ${many.perSecond.toFixed(0)} and ${few.perSecond.toFixed(0)} frames a second`);
    assert.ok(many.main < 2.5 * few.main + 3, `${many.main} ms a frame, not ${few.main}`);
  });

  /* CPU time that a frame takes, which other programs on the machine change little: of the page's
   * main thread, which draws, and of all threads that bring it to the screen. ms */
  async function costOfFrames() {
    const FRAMES = 90, before = await browser.cpuTimes();
    const took = await page.evaluate((frames) => new Promise((done) => {
      const { view } = timeline, third = frames / 3, begin = performance.now();
      let n = 0;
      const next = () => {
        if (n === frames)
          return done(performance.now() - begin);
        if (n < third)
          view.zoom(0.93, 500, false);
        else if (n < 2 * third)
          view.pan(40, false);
        else
          view.zoom(1.07, 500, false);
        n++;
        requestAnimationFrame(next);
      };
      view.showAll();
      next();
    }), FRAMES);
    const after = await browser.cpuTimes();
    return { main: (after.main - before.main) / FRAMES, all: (after.all - before.all) / FRAMES, perSecond: FRAMES * 1000 / took };
  }
});
