// A withdrawal in a real consent manager, from the page to ClickHouse: what the visitor left there is gone.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { PACKAGES } from "./managers/managers.js";
import { html, open, serve, storedByUs } from "./managers/page.js";
import { startCollector } from "./real-collector.js";
import { startBrowser, startPages, USER_AGENT } from "./setting.js";

const MANAGERS = { klaro: "klaro", vanilla: "vanilla-cookieconsent", tcf: "IAB TCF" };
/** Where a tombstone stays on purpose, so that late events find it. */
const TOMBSTONES = "forgotten";
const PATIENCE_MS = 30_000;

describe("a withdrawal, from the consent manager to ClickHouse", { timeout: 240_000 }, () => {
  let collector, browser;

  before(async () => {
    const sites = Object.fromEntries(Object.keys(MANAGERS).map((id) => [id, "required"]));
    collector = await startCollector(sites);
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await collector?.end();
  });

  /** How many rows of the site each table has that holds something of visitors; those with none are left out. */
  async function rows(site) {
    const tables = await collector.query(
      `SELECT table FROM system.columns WHERE database = 'firmsight' AND name IN ('site', 'visitor')
       AND table IN (SELECT name FROM system.tables WHERE database = 'firmsight' AND engine LIKE '%MergeTree')
       GROUP BY table HAVING count() = 2 ORDER BY table`,
    );
    const counts = {};
    for (const [table] of tables) {
      const [[count]] = await collector.query(`SELECT count() FROM ${table} WHERE site = '${site}'`);
      if (Number(count) > 0) counts[table] = Number(count);
    }
    return counts;
  }
  async function until(what, check) {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
      if (await check()) return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.fail(`waited in vain until ${what}`);
  }

  for (const [site, name] of Object.entries(MANAGERS)) {
    test(`${name}: nothing of the visitor is left, and what comes late is not stored`, async () => {
      const manager = PACKAGES[name];
      const pages = await startPages();
      const context = await browser.newContext({ userAgent: USER_AGENT });
      context.setDefaultTimeout(15_000);
      try {
        await serve(pages, manager);
        const tag = `<script async src="${collector.address}/lfa.js" data-site="${site}"></script>`;
        pages.set("/", html(manager, tag, true));
        const page = await context.newPage();
        const beacons = [];
        page.on("request", (request) => request.method() === "POST" && beacons.push(request.postData()));
        await open(page, `http://127.0.0.1:${pages.port}/`, manager, true);
        await manager.accept(page);
        await until("the visit is stored", async () => (await rows(site)).visits > 0);
        assert.ok((await rows(site)).events > 0);

        await manager.withdraw(page);
        await until("all of it is gone", async () => Object.keys(await rows(site)).join() === TOMBSTONES);
        assert.deepEqual(await page.evaluate(storedByUs), []);
        assert.deepEqual(
          (await context.cookies()).map((cookie) => cookie.name).filter((name) => name.startsWith("_lfa")),
          [],
        );

        // The same events once more, as from a tab that sends its queue late.
        const headers = { "User-Agent": USER_AGENT, Origin: `http://127.0.0.1:${pages.port}` };
        const late = await fetch(`${collector.address}/lfa`, { method: "POST", body: beacons[0], headers });
        assert.equal(late.status, 204);
        await new Promise((resolve) => setTimeout(resolve, 2000));
        assert.deepEqual(Object.keys(await rows(site)), [TOMBSTONES]);
      } finally {
        await context.close();
        await pages.close();
      }
    });
  }
});
