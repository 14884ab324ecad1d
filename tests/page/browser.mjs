/* Pages in a headless Chromium. */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

export class Browser {
  static async launch() {
    const args = ["--disable-gpu", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])];
    return new Browser(await chromium.launch({ executablePath: process.env.CHROMIUM, args }));
  }

  constructor(chrome) {
    this.chrome = chrome;
    this.folder = mkdtempSync(join(tmpdir(), "tenor-page-"));
    this.pages = 0;
  }

  /* CPU times of the processes of pages and of the screen, ms: of the main threads of pages, and of
   * all threads. A page in the background draws nothing. */
  async cpuTimes() {
    this.session ??= await this.chrome.newBrowserCDPSession();
    const { processInfo } = await this.session.send("SystemInfo.getProcessInfo"), times = { main: 0, all: 0 };
    for (const { id } of processInfo.filter(({ type }) => ["renderer", "GPU"].includes(type)))
      for (const thread of readdirSync(`/proc/${id}/task`)) {
        const ms = Number(readFileSync(`/proc/${id}/task/${thread}/schedstat`, "utf8").split(" ")[0]) / 1e6;
        times.all += ms;
        times.main += Number(thread) === id && processInfo.find((each) => each.id === id).type === "renderer" ? ms : 0;
      }
    return times;
  }

  async close() {
    await this.chrome.close();
    rmSync(this.folder, { recursive: true });
  }

  /* The page with `recording` (null: without one), offline. What goes wrong in it is listed in
   * `faults`; `address` is where it stands. Without options one tab serves again and again, emptied
   * by leave(): a new one costs a second. */
  async open(recording, { hash = "", ...options } = {}) {
    const file = join(this.folder, `${this.pages++}.html`), address = pathToFileURL(file).href;
    writeFileSync(file, pageWith(recording));
    const usual = Object.keys(options).length === 0, page = usual && this.tab ? this.tab : await this.#tab(options);
    if (usual)
      this.tab = page;
    page.faults.length = 0;
    await page.goto(address + hash);
    await page.waitForFunction(() => window.timeline);
    return Object.assign(page, { address });
  }

  async #tab(options) {
    const context = await this.chrome.newContext({ viewport: { width: 1400, height: 860 }, offline: true, ...options });
    const page = Object.assign(await context.newPage(), { faults: [] }), { faults } = page;
    page.on("pageerror", (error) => faults.push(error.stack));
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && !/willReadFrequently/.test(message.text()) && faults.push(message.text()));
    page.on("request", (request) => /^(file|data|blob|about):/.test(request.url()) || faults.push(`asks for ${request.url()}`));
    return page;
  }

  async leave(page) {
    if (page !== this.tab)
      return page.context().close();
    await page.mouse.move(0, 0);
    await page.emulateMedia({ media: null, colorScheme: null, reducedMotion: null });
    await page.goto("about:blank");
  }
}

function pageWith(recording) {
  const template = readFileSync(process.env.TENOR_PAGE, "utf8");
  if (!recording)
    return template;
  const data = JSON.stringify(recording).replaceAll("<", "\\u003c");
  return template.replace("<!-- RECORDING -->", () => `<script type="application/json" id="recording">${data}</script>`);
}

/* When the page has come to rest: nothing glides, nothing is to be drawn. */
export async function settled(page) {
  await page.waitForFunction(() => !timeline.waiting && !timeline.search.waits && timeline.keys.held.size === 0);
}

/* Where an op is on the screen. */
export function placeOf(page, op) {
  return page.evaluate((op) => {
    const { row, begin, end } = timeline.lanes.placeOf(op), box = byId("stage").getBoundingClientRect();
    return { x: box.left + timeline.view.x((begin + end) / 2), y: box.top + row.lane.top + row.top + row.height / 2 - byId("scroll").scrollTop };
  }, op);
}

/* [begin, end] of what is shown, ns. */
export function viewOf(page) {
  return page.evaluate(() => [timeline.view.begin, timeline.view.end]);
}
