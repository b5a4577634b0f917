// What every consent manager must come to, in any browser: silence before the choice, visits after a yes, nothing after a
// no, nothing left after a withdrawal; whichever of manager and tracker is there first, and for who comes back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { html, open, serve, storedByUs } from "./page.js";

/** The tracker's own files; they are asked for without any consent, and say nothing. */
const FILES = /^GET \/lfa(\.[0-9a-f]{12}(\.\w+)?)?\.(js|wasm)$/;
const ADAPTER = /^GET \/lfa\.[0-9a-f]{12}\.(?!(page|links|resend|framed)\.)\w+\.js$/;
const ALL = ["_lfa", "_lfa_consent", "_lfa_expiry"];

/**
 * Gives `check` a visitor of a page with the manager, in a browser profile of its own.
 * @param arranged gives {setting, page, end}: servers, and a page in a fresh profile with the traps set
 */
export async function withVisitor(arranged, manager, managerFirst, check, attributes) {
  const { setting, page, end } = await arranged();
  const { recorder } = setting;
  try {
    await serve(setting.pages, manager);
    setting.pages.set("/", html(manager, setting.tag("site", attributes), managerFirst));
    await check({
      setting,
      page,
      recorder,
      visit: () => open(page, setting.origin, manager, managerFirst),
      stored: () => page.evaluate(storedByUs),
      /** Waits until the manager was found and heard, and for whatever might come of it. */
      settle: async () => {
        if (manager.detected !== false) await recorder.untilRequested(ADAPTER);
        await new Promise((resolve) => setTimeout(resolve, 500));
      },
      assertSilence: async () => {
        assert.deepEqual(await page.evaluate(() => window.touchedByUs), []);
        assert.deepEqual(await page.evaluate(storedByUs), []);
        assert.deepEqual(recorder.requests.filter((request) => !FILES.test(request)), []);
      },
    });
  } finally {
    await end();
  }
}

/** Two tests for each manager and order of loading. */
export function testManagers(arranged, kind, managers) {
  for (const [name, manager] of Object.entries(managers)) {
    for (const managerFirst of [true, false]) {
      const title = `${name} (${kind}), loaded ${managerFirst ? "before" : "after"} the tracker: `;

      test(title + "silence, visits after accepting, nothing left after withdrawing", () =>
        withVisitor(arranged, manager, managerFirst, async ({ page, recorder, ...visitor }) => {
          const { visit, stored, settle, assertSilence } = visitor;
          await visit();
          await settle();
          await assertSilence();
          await manager.accept(page);
          await recorder.until("pageview");
          assert.deepEqual(await stored(), ALL);
          // The traps do notice it when something is read.
          assert.ok((await page.evaluate(() => window.touchedByUs)).includes("cookie"));
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
        withVisitor(arranged, manager, managerFirst, async ({ page, recorder, ...visitor }) => {
          const { visit, settle, assertSilence } = visitor;
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
