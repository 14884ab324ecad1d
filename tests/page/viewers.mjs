/* The viewers that people open exported recordings with: speedscope, and Perfetto's trace processor,
 * which is what loads a file in its user interface, too. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const PACKAGES = fileURLToPath(new URL("node_modules", import.meta.url));
const PERFETTO = join(PACKAGES, ".perfetto");
const ORIGIN = "http://perfetto.test/"; /* answered from PERFETTO */

/* Why there is no Perfetto; false: there is. */
export const noPerfetto = existsSync(join(PERFETTO, "LICENSE")) ? false : "tests/page/perfetto installs it";

/* The package has the processor for 32 bits only, and its script would take that for 64 where the
 * browser can, which it tries with a module of 23 bytes. */
const WORKER = `const { Module } = WebAssembly;
  WebAssembly.Module = function (bytes) {
    if (bytes.length === 23)
      throw new Error("32 bits");
    return new Module(bytes);
  };
  importScripts("engine_bundle.node.js");`;

const TYPES = { mjs: "text/javascript", js: "text/javascript", wasm: "application/wasm", html: "text/html" };

function answer(route) {
  const name = new URL(route.request().url()).pathname.slice(1) || "index.html";
  const body = { "index.html": "<!doctype html>", "worker.js": WORKER }[name] ?? readFileSync(join(PERFETTO, name));
  return route.fulfill({ contentType: TYPES[name.split(".").at(-1)], body });
}

/* In the page: connects the worker with the script's own reader of its answers. */
async function start() {
  globalThis.process = { env: { NODE_ENV: "production" } };
  const { EngineBase } = await import("./engine.mjs"), { port1, port2 } = new MessageChannel();
  class Engine extends EngineBase {
    mode = "WASM";
    id = "test";

    constructor() {
      super();
      port2.onmessage = ({ data }) => this.onRpcResponseBytes(data);
    }

    rpcSendRequestBytes(bytes) {
      port2.postMessage(bytes);
    }
  }
  new Worker("worker.js").postMessage(port1, [port1]);
  globalThis.engine = new Engine();
}

export class Perfetto {
  /* With the trace loaded. */
  static async open(browser, text) {
    const page = await browser.chrome.newPage();
    await page.route(`${ORIGIN}**`, answer);
    await page.goto(ORIGIN);
    await page.addScriptTag({ type: "module", content: `(${start})().then(() => { globalThis.ready = true; });` });
    await page.waitForFunction(() => globalThis.ready);
    await page.evaluate(async (trace) => {
      await engine.parse(new TextEncoder().encode(trace));
      await engine.notifyEof();
    }, text);
    return new Perfetto(page);
  }

  constructor(page) {
    this.page = page;
  }

  /* The rows, each a list of its columns' values. */
  query(sql) {
    return this.page.evaluate(async (sql) => {
      const result = await engine.query(sql), columns = result.columns(), rows = [];
      for (const row = result.iter({}); row.valid(); row.next())
        rows.push(columns.map((column) => (typeof row.get(column) === "bigint" ? Number(row.get(column)) : row.get(column))));
      return rows;
    }, sql);
  }
}

export class Speedscope {
  /* With the file loaded; what it complains of is in `complaints`. */
  static async open(browser, path) {
    const page = await browser.chrome.newPage({ viewport: { width: 1200, height: 700 } });
    const viewer = new Speedscope(page);
    page.on("pageerror", (error) => viewer.complaints.push(error.message));
    page.on("dialog", (dialog) => viewer.complaints.push(dialog.message()));
    page.on("console", (message) => ["warning", "error"].includes(message.type()) && !/WebGL|GL Driver/.test(message.text()) &&
                                     viewer.complaints.push(message.text()));
    await page.goto(pathToFileURL(join(PACKAGES, "speedscope/dist/release/index.html")).href);
    await page.setInputFiles("input[type=file]", path);
    await page.getByText("Time Order").waitFor();
    await page.getByText(/\(\d+\/\d+\)/).waitFor();
    return viewer;
  }

  constructor(page) {
    this.page = page;
    this.complaints = [];
  }

  /* Opens the list of threads. */
  async #list() {
    await this.page.getByText(/\(\d+\/\d+\)/).click();
    const field = this.page.locator("input[type=text]");
    await field.waitFor();
    return field.locator("xpath=../..");
  }

  /* The threads that it offers, as "process (pid), thread (tid)". */
  async threads() {
    const text = await (await this.#list()).innerText();
    await this.page.keyboard.press("Escape");
    return text.split("\n").filter((line) => line.includes("pid")).map((line) => line.split("\t")[1]);
  }

  async choose(thread) {
    await (await this.#list()).getByText(thread).click();
    await this.page.getByText(new RegExp(`${thread}.*\\(\\d+/\\d+\\)`)).waitFor();
  }

  /* The names of what the thread did, each once. */
  async names() {
    await this.page.getByText("Sandwich").click();
    const rows = this.page.locator("tr:not([title]):has(td:nth-child(3))");
    await rows.first().waitFor();
    return (await rows.locator("td:nth-child(3)").allInnerTexts()).map((name) => name.trim());
  }
}
