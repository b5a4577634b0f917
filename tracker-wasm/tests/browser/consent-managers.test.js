// Each consent manager, as its package or as a mock of its documented hooks, on a page that holds nothing of ours but
// the script tag: the tracker finds the manager by itself and follows it.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { MOCKS, PACKAGES } from "./managers/managers.js";
import { html, open, serve, setTraps, storedByUs } from "./managers/page.js";
import { arrange, startBrowser } from "./setting.js";

const OWN_BANNER = "a banner of the site's own";
/** The tracker's own files; they are asked for without any consent, and say nothing. */
const FILES = /^GET \/lfa(\.[0-9a-f]{16}(\.\w+)?)?\.(js|wasm)$/;
const ADAPTER = /^GET \/lfa\.[0-9a-f]{16}\.(?!page)\w+\.js$/;
const ALL = ["_lfa", "_lfa_consent", "_lfa_expiry"];

describe("consent managers", { timeout: 300_000, concurrency: 4 }, () => {
  let browser;

  before(async () => (browser = await startBrowser()));
  after(() => browser.close());

  /** A fresh profile, page server and recorder for one test, so that several can run at once. */
  async function withVisitor(name, manager, managerFirst, check) {
    const setting = await arrange({}, browser);
    const { recorder } = setting;
    const { context, page } = await setting.profile();
    try {
      await serve(setting.pages, manager);
      setting.pages.set("/", html(manager, setting.tag("site"), managerFirst));
      await context.addInitScript(setTraps, new URL(setting.collector).host);
      await check({
        page,
        recorder,
        visit: () => open(page, setting.origin, manager, managerFirst),
        stored: () => page.evaluate(storedByUs),
        /** Waits until the manager was found and heard, and for whatever might come of it. */
        settle: async () => {
          if (name !== OWN_BANNER) await recorder.untilRequested(ADAPTER);
          await page.waitForTimeout(500);
        },
        assertSilence: async () => {
          assert.deepEqual(await page.evaluate(() => window.touchedByUs), []);
          assert.deepEqual(await page.evaluate(storedByUs), []);
          assert.deepEqual(recorder.requests.filter((request) => !FILES.test(request)), []);
        },
      });
    } finally {
      await context.close();
      await setting.end();
    }
  }

  for (const [kind, managers] of Object.entries({ package: PACKAGES, mock: MOCKS })) {
    for (const [name, manager] of Object.entries(managers)) {
      for (const managerFirst of [true, false]) {
        const title = `${name} (${kind}), loaded ${managerFirst ? "before" : "after"} the tracker: `;

        test(title + "silence, visits after accepting, nothing left after withdrawing", () =>
          withVisitor(name, manager, managerFirst, async ({ page, recorder, visit, stored, settle, assertSilence }) => {
            await visit();
            await settle();
            await assertSilence();
            await manager.accept(page);
            await recorder.until("pageview");
            assert.deepEqual(await stored(), ALL);
            // Who comes back is known, without being asked again.
            await visit();
            await recorder.until("pageview", 2);
            await manager.withdraw(page);
            await recorder.until("forget");
            assert.equal(new Set(recorder.beacons.map(({ client }) => client)).size, 1);
            assert.deepEqual(await stored(), []);
            recorder.forget();
            await visit();
            await settle();
            await assertSilence();
          }),
        );

        test(title + "nothing after declining, nor for who comes back", () =>
          withVisitor(name, manager, managerFirst, async ({ page, recorder, visit, settle, assertSilence }) => {
            await visit();
            await settle();
            await manager.decline(page);
            await settle();
            await assertSilence();
            recorder.forget();
            await visit();
            await settle();
            await assertSilence();
          }),
        );
      }
    }
  }
});
