// What a tracker costs a page: `node page-cost.js LOADS NAME=FILE…` prints a table. `cargo xtask bench page-cost` runs it.
//
// The processor is slowed down four times (Emulation.setCPUThrottlingRate). Times are the main thread's own processor
// time from trace events, and a row shows the best of its loads, so that other programs on the machine count little. The
// page runs no script but the tracker: what is beyond the page without one is the tracker's.
import { readFile } from "node:fs/promises";
import { arrange } from "./setting.js";

const SLOWDOWN = 4;
/** How long a load is watched after the page has loaded. */
const WATCHED_MS = 2000;
const CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline", "toplevel", "v8", "blink.user_timing"];
const SCRIPT_EVENTS =
  /^(EvaluateScript|FunctionCall|BlinkScheduler_PerformMicrotaskCheckpoint|RunMicrotasks|TimerFire|EventDispatch|v8\.\w+|M(in|aj)orGC)$/;

const TEXT = "<p>We sell bolts, nuts and washers to people who build machines.</p>".repeat(200);
const page = (head) => `<!doctype html><title>Cost</title><meta name=viewport content="width=device-width">${head}<body>${TEXT}`;

/** How each of the others is put on a page, by the package's name: what its guide shows. */
const SNIPPETS = {
  "@plausible-analytics/tracker": (address) => `<script async src="${address}"></script>`,
  "plausible-tracker": (address) => `<script async src="${address}"></script>`,
  umami: (address) => `<script async src="${address}" data-website-id="94db1cb1-74f4-4a40-ad6c-962362670409"></script>`,
  "@snowplow/browser-tracker": (address, origin) =>
    `<script async src="${address}" onload="snowplow.newTracker('sp', '${origin}', {appId: 'shop'}); snowplow.trackPageView()"></script>`,
  "posthog-js": (address, origin) =>
    `<script>window.posthog = []; posthog._i = [["phc_measured", { api_host: "${origin}" }, "posthog"]]; posthog.__SV = 1</script>` +
    `<script async src="${address}"></script>`,
};

/** What a tracker with a cookie can't do without, and nothing else: what the browser takes for it is nobody's code. */
const FLOOR = `
document.cookie;
document.cookie = "_floor=1;path=/;max-age=86400";
localStorage._floor = 1;
fetch("/collect", { method: "POST", body: "{}", keepalive: true }).then(({ status }) => status);`;

/** Main-thread milliseconds of a trace: all tasks, scripts, and the longest task. */
function cost(events) {
  const isPage = ({ name, args }) => name === "navigationStart" && /^http/.test(args.data?.documentLoaderURL ?? "");
  const { pid, tid } = events.find(isPage);
  const own = events
    .filter((event) => event.pid === pid && event.tid === tid && event.ph === "X" && event.dur !== undefined)
    .sort((a, b) => a.ts - b.ts || b.dur - a.dur);
  const time = (event) => (event.tdur ?? event.dur) / 1000;
  const tasks = own.filter(({ name }) => name === "RunTask");
  let scripts = 0;
  let end = 0;
  for (const event of own.filter(({ name }) => SCRIPT_EVENTS.test(name))) {
    if (event.ts < end) continue; // Inside of one that is counted.
    scripts += time(event);
    end = event.ts + event.dur;
  }
  return {
    all: tasks.reduce((sum, task) => sum + time(task), 0),
    scripts,
    longest: Math.max(0, ...tasks.map(time)),
  };
}

/** Runs in the page: long tasks, layout shifts, and what the first paint had to wait for. */
function observed() {
  const entries = (type) => {
    const observer = new PerformanceObserver(() => {});
    observer.observe({ type, buffered: true });
    return observer.takeRecords();
  };
  return {
    longTasks: entries("longtask").length,
    shift: entries("layout-shift").reduce((sum, { value }) => sum + value, 0),
    blocking: performance.getEntriesByType("resource").filter((entry) => entry.renderBlockingStatus === "blocking").length,
  };
}

async function load(setting, path) {
  const profile = await setting.profile();
  const session = await profile.context.newCDPSession(profile.page);
  await session.send("Emulation.setCPUThrottlingRate", { rate: SLOWDOWN });
  await setting.browser.startTracing(profile.page, { categories: CATEGORIES });
  await profile.page.goto(setting.origin + path, { waitUntil: "load" });
  await profile.page.waitForTimeout(WATCHED_MS);
  const trace = JSON.parse((await setting.browser.stopTracing()).toString());
  const seen = await profile.page.evaluate(observed);
  await profile.context.close();
  return { ...cost(trace.traceEvents), ...seen };
}

const [loads, ...others] = process.argv.slice(2);
const setting = await arrange({ open: { consent: "not-required" }, plain: { consent: "cookieless" } });
const answered = { body: "{}", headers: { "Content-Type": "application/json" } };
for (const path of ["/collect", "/api/send", "/flags/", "/e/", "/com.snowplowanalytics.snowplow/tp2"]) setting.pages.set(path, answered);

const rows = new Map([["no tracker", "/none"]]);
setting.pages.set("/none", page(""));
setting.pages.set("/waiting", page(setting.tag("asks")));
rows.set("Firmsight, before a choice", "/waiting");
setting.pages.set("/counting", page(setting.tag("open")));
rows.set("Firmsight, counting", "/counting");
setting.pages.set("/cookieless", page(setting.tag("plain")));
rows.set("Firmsight, counting without cookies", "/cookieless");
const script = (body) => ({ body, headers: { "Content-Type": "text/javascript; charset=utf-8" } });
setting.pages.set("/floor.js", script(FLOOR));
setting.pages.set("/floor", page('<script async src="/floor.js"></script>'));
rows.set("a cookie read and written, one item stored, one request", "/floor");
for (const other of others) {
  const [title, file] = other.split("=");
  const name = title.slice(0, title.lastIndexOf(" "));
  const address = `/${rows.size}.js`;
  setting.pages.set(address, script(await readFile(file)));
  setting.pages.set(`/${rows.size}`, page(SNIPPETS[name](address, setting.origin)));
  rows.set(title, `/${rows.size}`);
}

try {
  const results = new Map([...rows.keys()].map((title) => [title, []]));
  // In turns, so that what else the machine does hits all alike; the first round warms up.
  for (let round = 0; round <= Number(loads); round++) {
    for (const [title, path] of rows) {
      const result = await load(setting, path);
      if (round > 0) results.get(title).push(result);
    }
  }
  const best = (title, what) => Math.min(...results.get(title).map((result) => result[what]));
  console.log(`\nMain thread, milliseconds of processor time at ${SLOWDOWN}× slowdown, best of ${loads} loads; beyond the`);
  console.log("page without a tracker, but for the longest task; long tasks (over 50 ms) are those of the best load\n");
  console.log("| page | scripts | all | longest task | long tasks | layout shift | render-blocking |");
  console.log("|---|---|---|---|---|---|---|");
  for (const title of rows.keys()) {
    const beyond = (what) => best(title, what) - best("no tracker", what);
    const times = [beyond("scripts"), beyond("all"), best(title, "longest")].map((value) => value.toFixed(1));
    const worst = (what) => Math.max(...results.get(title).map((result) => result[what]));
    console.log(`| ${[title, ...times, best(title, "longTasks"), worst("shift"), worst("blocking")].join(" | ")} |`);
  }
} finally {
  await setting.end();
}
