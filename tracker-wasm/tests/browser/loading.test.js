// However the script gets onto a page, and whatever surrounds it there: policies, loaders, frames, other tabs, answers that
// come late.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { MOCKS, PACKAGES } from "./managers/managers.js";
import { html, serve } from "./managers/page.js";
import { arrange, cookiesOf, started, startBrowser, stored } from "./setting.js";

const SITES = {
  open: { consent: "not-required" },
  quiet: { consent: "cookieless" },
  brief: { consent: "not-required", days: 30 },
};
const DAY_S = 24 * 60 * 60;

describe("the script on a page", { timeout: 240_000, concurrency: 3 }, () => {
  let browser;

  before(async () => (browser = await startBrowser()));
  after(() => browser.close());

  /** Gives `check` servers and a fresh profile. */
  const on = (check) => async () => {
    const setting = await arrange(SITES, browser);
    const { context, page } = await setting.profile();
    const { recorder, pages, origin, collector } = setting;
    const put = (content, headers = {}) =>
      pages.set("/", { body: `<!doctype html><title>Page</title><body>${content}`, headers });
    try {
      await check({ setting, context, page, recorder, pages, origin, collector, put });
    } finally {
      await context.close();
      await setting.end();
    }
  };
  /** Whatever was to come would have come before an event of now, which is sent in a later batch. */
  const quietly = (page) => page.waitForTimeout(1500);
  const paths = (recorder, origin) => recorder.events("pageview").map(({ url }) => url.replace(origin, ""));

  test("a nonce with 'strict-dynamic' and Trusted Types: everything is fetched, nothing is violated", on(
    async ({ setting, page, recorder, origin, collector, put }) => {
      const policy = `script-src 'nonce-abc' 'strict-dynamic'; connect-src ${collector}; require-trusted-types-for 'script'; trusted-types 'none'`;
      const watch = `<script nonce=abc>violated = []; addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => violated.push(violatedDirective + " " + blockedURI))</script>`;
      put(watch + setting.tag("open", "async nonce=abc") + `<a href="/file.pdf">file</a>`, { "Content-Security-Policy": policy });
      await page.goto(origin);
      await recorder.until("pageview");
      await page.evaluate(() => addEventListener("click", (event) => event.preventDefault()));
      await page.locator("a").click();
      await recorder.until("download");
      const violated = await page.evaluate(() => window.violated);
      // WebAssembly is refused, which the JavaScript build is for.
      assert.deepEqual(violated.filter((violation) => !/wasm-eval/.test(violation)), []);
      assert.ok(recorder.requests.some((request) => /^GET \/lfa\.[0-9a-f]{12}\.js$/.test(request)));
    },
  ));

  test("integrity: the script that was pinned runs, another one doesn't", on(
    async ({ setting, page, recorder, origin, collector, put }) => {
      const script = await (await fetch(`http://127.0.0.1:${new URL(collector).port}/lfa.js`)).arrayBuffer();
      const digest = createHash("sha384").update(Buffer.from(script)).digest("base64");
      put(setting.tag("open", `async crossorigin=anonymous integrity="sha384-${"A".repeat(64)}"`));
      await page.goto(origin);
      await quietly(page);
      assert.deepEqual(recorder.beacons, []);
      put(setting.tag("open", `async crossorigin=anonymous integrity="sha384-${digest}"`));
      await page.goto(origin);
      await recorder.until("pageview");
    },
  ));

  test("a tag manager that strips attributes: the site stands in the address", on(
    async ({ page, recorder, origin, collector, put }) => {
      put(`<script>
        const script = document.createElement("script");
        script.async = true;
        script.src = "${collector}/lfa.js?site=open";
        document.head.append(script);
      </script>`);
      await page.goto(origin);
      await recorder.until("pageview");
      assert.equal(recorder.beacons[0].site, "open");
    },
  ));

  test("a loader that runs scripts after the page has loaded, as Rocket Loader does: counted once", on(
    async ({ page, recorder, origin, collector, put }) => {
      put(`<script type="0123-text/javascript" src="${collector}/lfa.js" data-site="open"></script><script>
        addEventListener("load", () => {
          for (const held of document.querySelectorAll("script[type='0123-text/javascript']")) {
            const script = document.createElement("script");
            for (const { name, value } of held.attributes) if (name !== "type") script.setAttribute(name, value);
            held.before(script);
          }
        });
      </script>`);
      await page.goto(origin);
      await recorder.until("pageview");
      await quietly(page);
      assert.equal(recorder.events("pageview").length, 1);
    },
  ));

  for (const [name, type] of [
    ["held back by its automatic blocking", "text/plain"],
    ["told to ignore it", "text/javascript"],
  ]) {
    test(`Cookiebot, ${name}: silent before the choice, counted after it`, on(
      async ({ page, recorder, pages, origin, collector }) => {
        const manager = MOCKS.Cookiebot;
        await serve(pages, manager);
        const consent = type === "text/plain" ? "statistics" : "ignore";
        const tag = `<script type="${type}" data-cookieconsent="${consent}" async src="${collector}/lfa.js" data-site="asking"></script>`;
        // What Cookiebot does with the scripts that it held back: each is made anew once its category was agreed to.
        const release = `<script>addEventListener("CookiebotOnAccept", () => {
          for (const held of document.querySelectorAll("script[type='text/plain']")) {
            const script = document.createElement("script");
            for (const { name, value } of held.attributes) if (name !== "type") script.setAttribute(name, value);
            held.replaceWith(script);
          }
        })</script>`;
        pages.set("/", html(manager, tag + release, true));
        await page.goto(origin);
        if (type !== "text/plain") await started(page);
        await quietly(page);
        assert.deepEqual(recorder.beacons, []);
        await manager.accept(page);
        await recorder.until("pageview");
        await quietly(page);
        assert.equal(recorder.events("pageview").length, 1);
      },
    ));
  }

  test("two sites on one page: the first counts, the other does nothing", on(
    async ({ setting, page, recorder, origin, put }) => {
      put(setting.tag("open", "") + setting.tag("brief", ""));
      await page.goto(origin);
      await recorder.until("pageview");
      await quietly(page);
      assert.deepEqual([...new Set(recorder.beacons.map(({ site }) => site))], ["open"]);
      assert.equal(recorder.events("pageview").length, 1);
    },
  ));

  test("an id lives as long as the site says", on(async ({ setting, context, page, recorder, origin, put }) => {
    put(setting.tag("brief"));
    await page.goto(origin);
    await recorder.until("pageview");
    const [{ expires }] = await cookiesOf(page);
    assert.ok(Math.abs(expires - Date.now() / 1000 - 30 * DAY_S) < 300, `${expires}`);
    const days = await page.evaluate(() => (Date.parse(localStorage._lfa_expiry) - Date.now()) / 864e5);
    assert.ok(days > 29.9 && days <= 30, `${days}`);
  }));

  test("with data-pageviews=replace a replaced query counts, the same address again doesn't", on(
    async ({ setting, page, recorder, origin, put }) => {
      put(setting.tag("open", "async data-pageviews=replace"));
      await page.goto(origin);
      await recorder.until("pageview");
      for (const [position, query] of ["?filter=a", "?filter=a", "?filter=b"].entries()) {
        await page.evaluate((query) => history.replaceState(null, "", query), query);
        await recorder.until("pageview", [2, 2, 3][position]);
      }
      await quietly(page);
      assert.deepEqual(paths(recorder, origin), ["/", "/?filter=a", "/?filter=b"]);
    },
  ));

  for (const [name, adapter] of [["IAB TCF", /\.\d+\.js$/], ["IAB GPP", /\.\d+\.js$/]]) {
    test(`in a frame the ${name} of the page around it is heard`, on(async ({ setting, page, recorder, pages, origin }) => {
      const manager = PACKAGES[name];
      await serve(pages, manager);
      pages.set("/framed", `<!doctype html><title>Framed</title>${setting.tag("asking")}`);
      const other = `http://other.shop.example:${pages.port}`;
      pages.set("/", html(manager, `<iframe src="${other}/framed"></iframe>`, true));
      await page.goto(origin);
      await recorder.untilRequested(adapter);
      await quietly(page);
      assert.deepEqual(recorder.beacons, []);
      await manager.accept(page);
      const [{ url }] = await recorder.until("pageview");
      assert.equal(url, other + "/framed");
      await manager.withdraw(page);
      await recorder.until("forget");
    }));
  }

  test("in another site's frame, whose storage is apart, a visit counts and nothing is thrown", on(
    async ({ setting, context, page, recorder, pages, origin }) => {
      const thrown = [];
      page.on("pageerror", (error) => thrown.push(error));
      pages.set("/framed", `<!doctype html><title>Framed</title>${setting.tag("open")}`);
      const around = `http://www.firm.co.uk:${pages.port}/around`;
      pages.set("/around", `<!doctype html><title>Around</title><iframe src="${origin}/framed"></iframe>`);
      await page.goto(around);
      const { client } = (await recorder.until("pageview"), recorder.beacons[0]);
      assert.match(client, /^LF1\.1\./);
      // What the frame stores is not the site's own.
      const own = await context.newPage();
      await own.goto(origin + "/framed");
      await recorder.until("pageview", 2);
      assert.notEqual(recorder.beacons.at(-1).client, client);
      assert.deepEqual(thrown, []);
    },
  ));

  for (const [why, waiting] of [
    ["seven days", { since: Date.now() - 7 * DAY_S * 1e3 - 1, tries: 0 }],
    ["six tries", { since: Date.now(), tries: 5 }],
  ]) {
    test(`a beacon is given up after ${why}`, on(async ({ setting, context, page, recorder, origin, put }) => {
      put("");
      await page.goto(origin);
      const body = JSON.stringify({ v: 1, site: "open", consent: "granted", sent: 1, events: [{ id: "waiting", type: "custom" }] });
      const line = JSON.stringify({ body, credentials: "omit", ...waiting });
      await page.evaluate((line) => (localStorage._lfa_queue = line + "\n"), line);
      // The collector is busy, however often it is asked.
      let refused = 0;
      await context.route(/\/lfa$/, (route, request) => {
        if (!request.postData().includes("waiting")) return route.continue();
        refused += 1;
        return route.fulfill({ status: 503, headers: { "Access-Control-Allow-Origin": origin } });
      });
      put(setting.tag("open"));
      await page.goto(origin);
      await page.waitForFunction(() => localStorage._lfa_queue === "\n"); // An empty line: one was given up.
      await quietly(page);
      assert.equal(refused, why === "six tries" ? 1 : 0);
      assert.ok(!recorder.events("custom").length);
    }));
  }

  for (const [site, choice, counted] of [
    ["quiet", "unknown", 1],
    ["open", "unknown", 1],
    ["quiet", "decline", 0],
    ["open", "decline", 0],
  ]) {
    test(`${site}, a manager that is here is heard first: ${choice}`, on(async ({ setting, context, page, recorder, pages, origin }) => {
      const manager = PACKAGES.klaro;
      await serve(pages, manager);
      if (choice === "decline") {
        pages.set("/", html(manager, "", true));
        await page.goto(origin);
        await manager.decline(page);
      }
      pages.set("/", html(manager, setting.tag(site), true));
      let release;
      const released = new Promise((resolve) => (release = resolve));
      await context.route(/\.\d+\.js$/, async (route) => {
        await released;
        await route.continue();
      });
      await page.goto(origin);
      await started(page);
      await quietly(page);
      assert.deepEqual(recorder.beacons, []);
      assert.deepEqual(Object.keys((await stored(page)).cookies).filter((name) => name.startsWith("_lfa")), []);
      release();
      if (counted) await recorder.until("pageview");
      await quietly(page);
      assert.equal(recorder.events("pageview").length, counted);
    }));
  }

  test("another tab of the site doesn't keep an id that was forgotten", on(async ({ setting, context, page, recorder, origin, put }) => {
    put(setting.tag("open"));
    const other = await context.newPage();
    for (const [position, tab] of [page, other].entries()) {
      await tab.goto(origin);
      await recorder.until("pageview", position + 1);
      await tab.waitForFunction(() => performance.getEntriesByType("resource").some(({ name }) => /\.page\.js$/.test(name)));
    }
    await quietly(other);
    await page.evaluate(() => lfa("forget"));
    await recorder.until("forget", 2); // The other tab says so too.
    await other.evaluate(() => history.pushState(null, "", "/later"));
    await quietly(other);
    assert.equal(recorder.events("pageview").length, 2);
    assert.deepEqual((await stored(other)).cookies, {});
  }));

  test("an objection that was made in another tab is obeyed when the page is shown again", on(
    async ({ setting, context, page, recorder, origin, put }) => {
      put(setting.tag("open"));
      await page.goto(origin);
      await recorder.until("pageview");
      await context.addCookies([{ name: "_lfa_consent", value: "false", domain: ".shop.example", path: "/" }]);
      await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange", { bubbles: true })));
      await page.evaluate(() => history.pushState(null, "", "/later"));
      await quietly(page);
      assert.deepEqual(paths(recorder, origin), ["/"]);
    },
  ));

  test("an answer that comes after the withdrawal doesn't bring the id back", on(
    async ({ setting, page, recorder, origin, put }) => {
      put(setting.tag("open"));
      let release;
      const released = new Promise((resolve) => (release = resolve));
      recorder.answering = async ({ client, events }, response) => {
        if (events[0].type !== "pageview") return;
        await released;
        response.setHeader("Set-Cookie", `_lfa=${client}; Path=/; Domain=shop.example; Max-Age=1000; SameSite=Lax`);
      };
      await page.goto(origin);
      await recorder.until("pageview");
      await page.waitForFunction(() => performance.getEntriesByType("resource").some(({ name }) => /\.page\.js$/.test(name)));
      await page.evaluate(() => lfa("consent", "denied"));
      await recorder.until("forget");
      release();
      await page.waitForFunction(() => document.cookie.includes("_lfa="));
      await page.waitForFunction(() => !document.cookie.includes("_lfa="));
    },
  ));

  test("how many beacons were given up is told with the next one", on(async ({ setting, context, page, recorder, origin, put }) => {
    put(setting.tag("open"));
    await page.goto(origin);
    await recorder.until("pageview");
    await page.waitForFunction(() => performance.getEntriesByType("resource").some(({ name }) => /\.page\.js$/.test(name)));
    await context.setOffline(true);
    // Each event is nearly as large as one may be, each beacon as full.
    await page.evaluate(() => {
      for (let number = 0; number < 60; number++) lfa("event", "Large", { number, text: "x".repeat(7000) });
    });
    await page.waitForFunction(() => /\n\n/.test(localStorage._lfa_queue));
    await context.setOffline(false);
    await recorder.until("custom", 20);
    const lost = recorder.beacons.map(({ lost }) => lost ?? 0);
    assert.ok(lost.some((count) => count > 0), `${lost}`);
    await page.waitForFunction(() => !localStorage._lfa_queue);
  }));

  test("what sends again is fetched from another address where the first could not be imported", on(
    async ({ setting, context, page, recorder, origin, put }) => {
      put(setting.tag("open"));
      await context.route(/\.resend\.js$/, (route) => route.abort());
      await page.goto(origin);
      await recorder.until("pageview");
      await page.waitForFunction(() => performance.getEntriesByType("resource").some(({ name }) => /\.page\.js$/.test(name)));
      await context.setOffline(true);
      await page.evaluate(() => history.pushState(null, "", "/offline"));
      await page.waitForFunction(() => localStorage._lfa_queue);
      await context.setOffline(false);
      await recorder.until("pageview", 2);
      assert.deepEqual(paths(recorder, origin), ["/", "/offline"]);
    },
  ));
});
