// The proof that no visit is missed and none counted twice: scripted sessions in Chromium against the real collector.
// Each knows which pageviews it causes; in the end the reports API must show exactly these, page by page. Sixty sessions,
// or as many as FIRMSIGHT_SESSIONS says.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startCollector } from "./real-collector.js";
import { started, startBrowser, startPages, startUnsteered, USER_AGENT } from "./setting.js";

const SESSIONS = Number(process.env.FIRMSIGHT_SESSIONS ?? 60);
/** Sessions that run at the same time. */
const AT_ONCE = 6;
const PATIENCE_MS = 60_000;

describe(`${SESSIONS} scripted sessions`, { timeout: 120_000 + SESSIONS * 6_000 }, () => {
  let collector, browser, pages, origin;
  /** How often each path is to be counted. */
  const expected = new Map();

  before(async () => {
    const settings = { FIRMSIGHT_LIMITS__BEACONS_PER_ADDRESS_PER_MINUTE: "0" };
    collector = await startCollector({ open: "not-required" }, new Map(), settings);
    browser = await startBrowser();
    pages = await startPages();
    origin = `http://127.0.0.1:${pages.port}`;
  });
  after(async () => {
    await browser?.close();
    await pages?.close();
    await collector?.end();
  });

  const tag = () => `<script async src="${collector.address}/lfa.js" data-site=open></script>`;
  /** Until the part that keeps what did not arrive is here. */
  const watched = (page) =>
    page.waitForFunction(() => performance.getEntriesByType("resource").some(({ name }) => /\.page\.js$/.test(name)));
  const serve = (path, content = tag()) => pages.set(path, `<!doctype html><title>${path}</title><body>${content}`);

  /** Until the collector has taken a pageview of each path; only then does the session go on, and must not lose it later. */
  const arrived = (...paths) => {
    for (const path of paths) expected.set(path, (expected.get(path) ?? 0) + 1);
    return Promise.all(paths.map((path) => collector.untilTaken(path, expected.get(path))));
  };
  const push = (page, path) => page.evaluate((path) => history.pushState(null, "", path), path);
  /** Until so many beacons wait in the browser. */
  const kept = (page, count) =>
    page.waitForFunction((count) => localStorage._lfa_queue?.split("\n").length > count, count);

  const sessions = {
    async "from page to page"(page, path) {
      for (const name of ["/a", "/b", "/c"]) {
        serve(path + name);
        await page.goto(origin + path + name);
        await arrived(path + name);
      }
    },
    async "from page to page, without waiting"(page, path) {
      for (const name of ["/a", "/b", "/c"]) {
        serve(path + name);
        await page.goto(origin + path + name);
        await started(page);
      }
      serve(path + "/away", "");
      await page.goto(origin + path + "/away");
      await arrived(path + "/a", path + "/b", path + "/c");
    },
    async "in a single-page app"(page, path) {
      serve(path);
      await page.goto(origin + path);
      await arrived(path);
      await page.evaluate((path) => history.replaceState(null, "", path + "?filter=1"), path); // not counted
      await push(page, path + "/detail");
      await arrived(path + "/detail");
      await page.evaluate(() => (location.hash = "part")); // not counted
      await page.evaluate((path) => {
        history.replaceState(null, "", path + "/redirected");
        history.pushState(null, "", path + "/target");
      }, path); // one navigation
      await arrived(path + "/target");
    },
    async "out of the back/forward cache"(page, path) {
      serve(path);
      serve(path + "/next");
      await page.goto(origin + path);
      await arrived(path);
      await page.goto(origin + path + "/next");
      await arrived(path + "/next");
      await page.goBack({ waitUntil: "commit" });
      await arrived(path);
    },
    async "with the script twice"(page, path) {
      serve(path, tag() + tag().replace("async", "defer"));
      await page.goto(origin + path);
      await arrived(path);
      await push(page, path + "/more");
      await arrived(path + "/more");
    },
    async "whose tab is killed"(page, path) {
      serve(path);
      await page.goto(origin + path);
      await arrived(path);
      await push(page, path + "/more");
      await arrived(path + "/more");
      const devtools = await page.context().newCDPSession(page);
      await Promise.race([devtools.send("Page.crash").catch(() => {}), new Promise((end) => page.once("crash", end))]);
    },
    async "offline, then online"(page, path) {
      serve(path);
      await page.goto(origin + path);
      await arrived(path);
      await watched(page);
      await page.context().setOffline(true);
      for (const [position, name] of ["/one", "/two"].entries()) {
        await push(page, path + name);
        await kept(page, position + 1);
      }
      await page.context().setOffline(false);
      await arrived(path + "/one", path + "/two");
    },
    async "offline until the next page"(page, path) {
      serve(path);
      serve(path + "/later");
      await page.goto(origin + path);
      await arrived(path);
      await watched(page);
      await page.context().setOffline(true);
      await push(page, path + "/kept");
      await kept(page, 1);
      await page.context().setOffline(false);
      await page.goto(origin + path + "/later");
      await arrived(path + "/later", path + "/kept");
    },
    async "that leaves at once"(page, path) {
      serve(path);
      serve(path + "/away", "");
      await page.goto(origin + path);
      await started(page);
      await page.goto(origin + path + "/away");
      await arrived(path);
    },
  };

  /** Chromium prerenders only where nobody steers it, so that a browser of its own is started. */
  async function prerendered(path) {
    const rules = JSON.stringify({ prerender: [{ source: "list", urls: [path + "/next"], eagerness: "immediate" }] });
    const goOn = `setInterval(async () => { if ((await fetch("${path}/go-on")).ok) location.href = "${path}/next" }, 100)`;
    serve(path + "/next");
    serve(path, `<script type=speculationrules>${rules}</script><script>${goOn}</script>`);
    const end = await startUnsteered(origin + path);
    try {
      for (const deadline = Date.now() + PATIENCE_MS; !pages.wasRequested(path + "/next"); ) {
        assert.ok(Date.now() < deadline, "Chromium did not prerender");
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      pages.set(path + "/go-on", "yes");
      await arrived(path + "/next");
    } finally {
      await end();
    }
  }

  async function session(number) {
    const path = `/session/${number}`;
    if (number % 50 === 49) return prerendered(path);
    const kinds = Object.entries(sessions);
    const [name, run] = kinds[number % kinds.length];
    const context = await browser.newContext({ userAgent: USER_AGENT });
    context.setDefaultTimeout(30_000);
    try {
      await run(await context.newPage(), path);
    } catch (error) {
      throw new Error(`session ${number}, ${name}`, { cause: error });
    } finally {
      await context.close();
    }
  }

  /** How often the reports API shows each path. */
  async function stored() {
    const day = (offset) => new Date(Date.now() + offset * 864e5).toISOString().slice(0, 10);
    const counted = new Map();
    for (let number = 1, more = true; more; number++) {
      const query = new URLSearchParams({ start_date: day(-1), end_date: day(1), "page[size]": 100, "page[number]": number });
      const response = await fetch(`${collector.adminAddress}/accounts/open/visits?${query}`, {
        headers: { Authorization: `Token token=${collector.token}` },
      });
      const { data } = await response.json();
      assert.equal(response.status, 200);
      for (const { attributes } of data) {
        for (const { page_url } of attributes.visit_route) {
          const { pathname, search } = new URL(page_url);
          counted.set(pathname + search, (counted.get(pathname + search) ?? 0) + 1);
        }
      }
      more = data.length > 0;
    }
    return counted;
  }
  const sum = (counted) => [...counted.values()].reduce((total, count) => total + count, 0);

  test("expected and stored pageviews are equal, page by page", async () => {
    let next = 0;
    const failed = [];
    const worker = async () => {
      while (next < SESSIONS) await session(next++).catch((error) => failed.push(`${error.message}: ${error.cause?.message}`));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    assert.deepEqual(failed, []);
    let counted;
    for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; ) {
      counted = await stored();
      if (sum(counted) >= sum(expected)) break;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    // Once more, for what comes twice.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    counted = await stored();
    console.log(`${SESSIONS} sessions, pageviews: ${sum(expected)} expected, ${sum(counted)} stored`);
    assert.deepEqual(Object.fromEntries([...counted].sort()), Object.fromEntries([...expected].sort()));
  });
});
