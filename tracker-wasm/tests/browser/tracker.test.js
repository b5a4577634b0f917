import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { arrange, cookiesOf, startBrowser, started, startUnsteered, stored } from "./setting.js";

const CLIENT_ID = /^LF1\.1\.[0-9a-f]{16}\.\d{13}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const SITES = {
  shop: { consent: "not-required", identify: true },
  open: { consent: "not-required" },
  quiet: { consent: "cookieless" },
};

describe("the tracker", { timeout: 120_000 }, () => {
  let browser, setting, recorder, profile;

  before(async () => (browser = await startBrowser()));
  after(() => browser.close());
  // Servers of its own for each test: what a browser still sends for a page that was closed arrives at nobody's.
  beforeEach(async () => {
    setting = await arrange(SITES, browser);
    recorder = setting.recorder;
  });
  afterEach(async () => {
    await profile?.context.close();
    await setting.end();
  });

  /** Opens a page with this content in a fresh profile. */
  async function visit(content, { path = "/", headers = {}, origin = setting.origin, ...options } = {}) {
    setting.pages.set(path.split("?")[0], { body: `<!doctype html><title>A page</title>${content}`, headers });
    setting.pages.set("/away", "<!doctype html><title>Away</title>");
    profile = await setting.profile(options);
    await profile.page.goto(origin + path);
    return profile.page;
  }
  const leave = (page) => page.goto(setting.origin + "/away");
  const say = (page, ...call) => page.evaluate((call) => window.lfa(...call), call);
  /** Gives everything under way time to arrive: a custom event sent last has arrived, so what was before has too. */
  const settle = (page) => page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 300)));

  describe("where consent is required", () => {
    test("nothing is read, stored or sent before a choice", async () => {
      const page = await visit(setting.tag("required"), { traps: true, path: "/silent?utm_source=x" });
      await started(page);
      await say(page, "event", "Too early", { price: 1 });
      await page.evaluate(() => history.pushState({}, "", "/elsewhere"));
      await settle(page);
      assert.deepEqual(await page.evaluate(() => window.touched), []);
      await leave(page);
      assert.deepEqual(await stored(page), { cookies: {}, storage: [] });
      const files = recorder.requests.map((request) => request.replace(/\.[0-9a-f]{12}\./, ".HASH."));
      assert.deepEqual(files, ["GET /lfa.js", "GET /lfa.HASH.wasm"]);
    });

    test("cookie and beacon come after consent is granted", async () => {
      const page = await visit(setting.tag("required"));
      await started(page);
      await say(page, "consent", "granted");
      const [pageview] = await recorder.until("pageview");
      const [beacon] = recorder.beacons;
      assert.equal(beacon.v, 1);
      assert.equal(beacon.site, "required");
      assert.equal(beacon.consent, "granted");
      assert.match(beacon.headers["content-type"], /^text\/plain/);
      assert.match(pageview.id, UUID);
      assert.equal(pageview.url, setting.origin + "/");
      assert.equal(pageview.title, "A page");
      const { cookies, storage } = await stored(page);
      assert.match(cookies._lfa, CLIENT_ID);
      assert.deepEqual(cookies, { _lfa: beacon.client, _lfa_consent: "true" });
      assert.deepEqual(storage, ["_lfa_expiry"]);
      const [cookie] = await cookiesOf(profile.page);
      assert.equal(cookie.domain, ".shop.example");
      assert.equal(cookie.sameSite, "Lax");
    });

    test("the visitor stays the same on the next page, and the id is taken over from an existing cookie", async () => {
      const existing = "LF1.1.0123456789abcdef.1700000000000";
      const page = await visit(setting.tag("required") + "<script>lfa=function(){(lfa.q=lfa.q||[]).push(arguments)}</script>");
      await profile.context.addCookies([{ name: "_lfa", value: existing, domain: ".shop.example", path: "/" }]);
      for (let count = 1; count <= 2; count++) {
        await page.goto(setting.origin + "/?" + count);
        await started(page);
        await say(page, "consent", "granted");
        await recorder.until("pageview", count);
      }
      assert.deepEqual([...new Set(recorder.beacons.map((beacon) => beacon.client))], [existing]);
    });

    test("a refusal stores only the refusal", async () => {
      const page = await visit(setting.tag("required"));
      await started(page);
      await say(page, "consent", "denied");
      await leave(page);
      assert.deepEqual(await stored(page), { cookies: { _lfa_consent: "false" }, storage: [] });
      assert.deepEqual(recorder.beacons, []);
    });

    test("a refusal that a consent manager keeps stores nothing at all", async () => {
      const page = await visit(setting.tag("required"), { traps: true });
      await started(page);
      await say(page, "consent", "denied", "manager");
      await settle(page);
      assert.deepEqual(await page.evaluate(() => window.touched), []);
      assert.deepEqual((await stored(page)).cookies, {});
    });

    test("a withdrawal removes everything and tells the collector", async () => {
      const page = await visit(setting.tag("required"));
      await started(page);
      await say(page, "consent", "granted");
      await recorder.until("pageview");
      const { client } = recorder.beacons[0];
      await say(page, "consent", "denied");
      await recorder.until("forget");
      assert.equal(recorder.beacons.at(-1).client, client);
      await say(page, "event", "Too late");
      await leave(page);
      assert.deepEqual(await stored(page), { cookies: { _lfa_consent: "false" }, storage: [] });
      assert.deepEqual(recorder.events().map(({ type }) => type), ["pageview", "forget"]);
    });

    test("forget removes everything and tells the collector, even before a choice on this page", async () => {
      const page = await visit(setting.tag("required"));
      await started(page);
      await say(page, "consent", "granted");
      await recorder.until("pageview");
      await page.reload();
      await started(page);
      await say(page, "forget");
      await recorder.until("forget");
      assert.equal(recorder.beacons.at(-1).client, recorder.beacons[0].client);
      assert.deepEqual(await stored(page), { cookies: {}, storage: [] });
    });

    test("a remembered choice is looked up where the page asks for that", async () => {
      const page = await visit(setting.tag("required", "async data-consent-remember"));
      await started(page);
      await say(page, "consent", "granted");
      await recorder.until("pageview");
      await page.reload();
      await recorder.until("pageview", 2);
      assert.equal(recorder.beacons[0].client, recorder.beacons.at(-1).client);
    });
  });

  describe("where a site is cookieless", () => {
    test("events come without an id, nothing is stored, and no cookie travels", async () => {
      const page = await visit(setting.tag("quiet"));
      await recorder.until("pageview");
      await leave(page);
      await recorder.until("engagement");
      for (const beacon of recorder.beacons) {
        assert.equal(beacon.consent, "unknown");
        assert.ok(!("client" in beacon));
        assert.ok(!("cookie" in beacon.headers));
      }
      assert.deepEqual(await stored(page), { cookies: {}, storage: [] });
    });

    test("a refusal is remembered on the next page", async () => {
      const page = await visit(setting.tag("quiet"));
      await recorder.until("pageview");
      await say(page, "consent", "denied");
      await page.reload();
      await started(page);
      await leave(page);
      assert.equal(recorder.events().length, 1);
      assert.deepEqual((await stored(page)).cookies, { _lfa_consent: "false" });
    });

    test("Global Privacy Control silences it until consent is granted", async () => {
      const page = await visit(setting.tag("quiet"), { gpc: true });
      await started(page);
      await settle(page);
      assert.deepEqual(recorder.beacons, []);
      assert.deepEqual((await stored(page)).cookies, {});
      await say(page, "consent", "granted");
      await recorder.until("pageview");
      assert.equal(recorder.beacons[0].consent, "granted");
    });

    test("a page can make it stricter", async () => {
      const page = await visit(setting.tag("quiet", "async data-consent=required"));
      await started(page);
      await leave(page);
      assert.deepEqual(recorder.beacons, []);
    });
  });

  describe("where no consent is required", () => {
    test("it works at once, with an id", async () => {
      await visit(setting.tag("open"));
      await recorder.until("pageview");
      assert.equal(recorder.beacons[0].consent, "not-required");
      assert.match(recorder.beacons[0].client, CLIENT_ID);
    });

    test("time on the page arrives when it is left", async () => {
      const page = await visit(setting.tag("open"));
      const [pageview] = await recorder.until("pageview");
      await settle(page);
      await leave(page);
      // The page of the test before may say late that it was closed.
      const own = ({ page }) => page === pageview.id;
      let engagement;
      for (let count = 1; !engagement; count++) engagement = (await recorder.until("engagement", count)).find(own);
      assert.ok(engagement.visible_ms >= 300, `${engagement.visible_ms} ms`);
    });

    test("Global Privacy Control silences it", async () => {
      const page = await visit(setting.tag("open"), { gpc: true });
      await started(page);
      await leave(page);
      assert.deepEqual(recorder.beacons, []);
      assert.deepEqual(await stored(page), { cookies: {}, storage: [] });
    });

    test("identify arrives only with an explicit grant, on a site that allows it", async () => {
      const person = { email: "ada@company.example", first_name: "Ada", salary: 1 };
      const page = await visit(setting.tag("shop"));
      await recorder.until("pageview");
      await say(page, "identify", person);
      await say(page, "consent", "granted");
      await say(page, "identify", person);
      const [event] = await recorder.until("identify");
      assert.deepEqual(event.props, { email: "ada@company.example", first_name: "Ada" });
      await leave(page);
      assert.equal(recorder.events("identify").length, 1);
    });

    for (const host of ["localhost", "127.0.0.1"]) {
      test(`on ${host} the cookie belongs to the host alone`, async () => {
        await visit(setting.tag("open"), { origin: `http://${host}:${setting.pages.port}` });
        await recorder.until("pageview");
        const [cookie] = await cookiesOf(profile.page);
        assert.equal(cookie.domain, host);
      });
    }

    test("events keep name and properties, whatever characters they hold", async () => {
      const name = 'Größe "XL" \u001f \\ 🎉';
      const page = await visit(setting.tag("open"));
      await say(page, "event", name, { nested: [1, { "a\u001e": "b\n" }] });
      const [event] = await recorder.until("custom");
      assert.equal(event.name, name.replace("\u001f", " "));
      assert.deepEqual(event.props, { nested: [1, { "a\u001e": "b\n" }] });
    });
  });

  describe("pages are counted once", () => {
    test("calls before the tracker has arrived are kept", async () => {
      await visit(
        `<script>window.lfa=window.lfa||function(){(lfa.q=lfa.q||[]).push(arguments)};
         const early = window.lfa;
         lfa("event","Early",{n:1}); lfa("consent","granted");
         addEventListener("load",()=>setTimeout(()=>early("event","Late",{n:2}),200))</script>${setting.tag("required")}`,
      );
      const events = await recorder.until("custom", 2);
      assert.deepEqual(events.map(({ name }) => name), ["Early", "Late"]);
      assert.equal(recorder.events("pageview").length, 1);
      assert.equal(events[0].page, recorder.events("pageview")[0].id);
    });

    test("addresses that change in place count by path and by push, and never twice", async () => {
      const page = await visit(setting.tag("open"), { path: "/app" });
      await recorder.until("pageview");
      const steps = [
        ["pushState", "/app"], // the same address
        ["pushState", "/app#part"], // only the fragment
        ["replaceState", "/app?filter=a"], // only the query, replaced
        ["pushState", "/app?page=2"], // counted
        ["replaceState", "/app/redirected"], // counted
        ["replaceState", "/app/redirected"],
        ["pushState", "/app/detail"], // counted
      ];
      for (const [method, url] of steps) {
        await page.evaluate(([method, url]) => history[method]({}, "", url), [method, url]);
        await settle(page);
      }
      await page.evaluate(() => {
        history.replaceState({}, "", location.href);
        history.pushState({}, "", "/app/detail?tab=2"); // counted, as routers do it
      });
      await settle(page);
      await page.goBack(); // counted
      await recorder.until("pageview", 6);
      await settle(page);
      const counted = recorder.events("pageview").map(({ url }) => url.replace(setting.origin, ""));
      assert.deepEqual(counted, [
        "/app",
        "/app?page=2",
        "/app/redirected",
        "/app/detail",
        "/app/detail?tab=2",
        "/app/detail",
      ]);
      assert.equal(recorder.events("pageview")[1].referrer, setting.origin + "/app?filter=a");
    });

    test("a page that comes back out of the back/forward cache is one more pageview", async () => {
      const page = await visit(setting.tag("open"), { path: "/start" });
      await recorder.until("pageview");
      await page.evaluate(() => addEventListener("pageshow", (event) => (window.persisted = event.persisted)));
      await leave(page);
      await page.goBack({ waitUntil: "commit" });
      await page.waitForFunction(() => "persisted" in window, null, { timeout: 10_000 });
      assert.equal(await page.evaluate(() => window.persisted), true, "Chromium did not use its back/forward cache");
      await recorder.until("pageview", 2);
      await settle(page);
      const [first, second, ...more] = recorder.events("pageview");
      assert.equal(first.url, second.url);
      assert.notEqual(first.id, second.id);
      assert.deepEqual(more, []);
      assert.equal(recorder.beacons[0].client, recorder.beacons.at(-1).client);
    });

    test("a page that is prerendered is counted when it is shown", async () => {
      // The first page goes on once the second, prerendered, has fetched the core and had time to count too early.
      const rules = JSON.stringify({ prerender: [{ source: "list", urls: ["/next"], eagerness: "immediate" }] });
      const script = `setInterval(async () => { if ((await fetch("/go-on")).ok) location.href = "/next" }, 100)`;
      setting.pages.set("/next", `<!doctype html><title>Next</title>${setting.tag("open")}`);
      setting.pages.set("/first", `<script type=speculationrules>${rules}</script><script>${script}</script>`);
      const end = await startUnsteered(`http://localhost:${setting.pages.port}/first`);
      try {
        await recorder.untilRequested(/\.wasm$/);
        await new Promise((resolve) => setTimeout(resolve, 500));
        assert.deepEqual(recorder.events(), []);
        setting.pages.set("/go-on", "yes");
        const [pageview] = await recorder.until("pageview");
        await new Promise((resolve) => setTimeout(resolve, 500));
        assert.match(pageview.url, /\/next$/);
        assert.equal(recorder.events("pageview").length, 1);
        const loads = recorder.requests.filter((request) => request.endsWith(".wasm"));
        assert.equal(loads.length, 1, "the page was loaded anew instead of being activated");
      } finally {
        await end();
      }
    });

    test("a script that is included twice counts once", async () => {
      const page = await visit(setting.tag("open") + setting.tag("open", "defer"));
      await recorder.until("pageview");
      await leave(page);
      await recorder.until("engagement");
      assert.equal(recorder.events("pageview").length, 1);
    });

    const inject = (source) =>
      `<script>const s=document.createElement("script");s.src="${source}";s.dataset.site="open";document.head.append(s)</script>`;
    const queued = `<script>lfa=function(){(lfa.q=lfa.q||[]).push(arguments)};lfa("init",{site:"open"})</script>`;
    for (const [how, tag] of Object.entries({
      blocking: () => setting.tag("open", ""),
      deferred: () => setting.tag("open", "defer"),
      injected: inject,
      "with the site in the address": (source) => `<script async src="${source}?site=open"></script>`,
      "with the site by init": (source) => `${queued}<script async src="${source}"></script>`,
    })) {
      test(`it works ${how}`, async () => {
        await visit(tag(`${setting.collector}/lfa.js`));
        const [{ url }] = await recorder.until("pageview");
        assert.equal(url, setting.origin + "/");
        assert.equal(recorder.beacons[0].site, "open");
      });
    }
  });

  describe("on difficult pages", () => {
    test("under a strict Content-Security-Policy the JavaScript build runs", async () => {
      const { collector } = setting;
      const policy = `default-src 'none'; script-src 'self' ${collector}; connect-src ${collector}`;
      const page = await visit(setting.tag("open"), { headers: { "Content-Security-Policy": policy } });
      await recorder.until("pageview");
      await leave(page);
      await recorder.until("engagement");
      assert.ok(recorder.requests.some((request) => /\/lfa\.[0-9a-f]{12}\.js$/.test(request)), "the fallback was not fetched");
      assert.match(recorder.beacons[0].client, CLIENT_ID);
    });

    test("nothing is thrown where storage is forbidden", async () => {
      const errors = [];
      setting.pages.set("/frame", `<!doctype html>${setting.tag("open")}`);
      const page = await visit(`<iframe sandbox=allow-scripts src=/frame></iframe>`);
      page.on("pageerror", (error) => errors.push(error));
      const [pageview] = await recorder.until("pageview");
      assert.match(pageview.url, /\/frame$/);
      assert.deepEqual(errors, []);
    });

    test("nonsense in calls throws nothing and breaks nothing", async () => {
      const page = await visit(setting.tag("open"));
      await started(page);
      const thrown = await page.evaluate(() => {
        const loop = {};
        loop.loop = loop;
        try {
          lfa();
          lfa("no such call");
          lfa("event");
          lfa("event", "Loop", loop);
          lfa("consent", { a: 1 });
          lfa("identify");
          lfa("pageview", null);
          lfa("init", null);
          lfa("event", Symbol("x"));
          lfa("event", "Good");
        } catch (error) {
          return String(error);
        }
      });
      assert.equal(thrown, undefined);
      const [event] = await recorder.until("custom");
      assert.deepEqual([event.name, recorder.events("custom").at(-1).name], ["Symbol(x)", "Good"]);
    });
  });
});
