// Every transition of the consent states (tracker-wasm/src/consent.rs) in Chromium, on sites of each mode, as the page and
// as a consent manager say it: what is stored and what was sent after each.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { arrange, started, startBrowser, stored } from "./setting.js";

const SITES = { asking: {}, quiet: { consent: "cookieless" }, open: { consent: "not-required" } };
const ID = ["_lfa"];
const AGREED = ["_lfa", "_lfa_consent=true"];
const REFUSED = ["_lfa_consent=false"];

/**
 * What is said, one after the other, and what follows in all: site, [said, what is stored then, events sent until then].
 * "granted" and "denied" are the page's words; with "manager" a manager says them.
 */
const CASES = [
  ["asking", ["", [], ""], ["granted", AGREED, "pageview"], ["denied", REFUSED, "pageview forget"], ["granted", AGREED, "pageview forget pageview"]],
  ["asking", ["", [], ""], ["denied", REFUSED, ""], ["denied", REFUSED, ""], ["granted", AGREED, "pageview"]],
  ["asking", ["", [], ""], ["granted", AGREED, "pageview"], ["granted", AGREED, "pageview"], ["forget", [], "pageview forget"]],
  ["asking", ["", [], ""], ["forget", [], ""], ["granted", AGREED, "pageview"]],
  ["asking", ["", [], ""], ["denied", REFUSED, ""], ["forget", REFUSED, ""]],
  ["asking", ["", [], ""], ["granted manager", AGREED, "pageview"], ["denied manager", [], "pageview forget"], ["granted manager", AGREED, "pageview forget pageview"]],
  ["asking", ["", [], ""], ["denied manager", [], ""], ["granted", [], ""], ["granted manager", AGREED, "pageview"]],
  ["asking", ["", [], ""], ["denied", REFUSED, ""], ["granted manager", REFUSED, ""]],
  ["quiet", ["", [], "pageview"], ["granted", AGREED, "pageview"], ["denied", REFUSED, "pageview forget"]],
  ["quiet", ["", [], "pageview"], ["denied", REFUSED, "pageview"], ["granted", AGREED, "pageview pageview"]],
  ["quiet", ["", [], "pageview"], ["denied manager", [], "pageview"]],
  ["open", ["", ID, "pageview"], ["granted", AGREED, "pageview"], ["denied", REFUSED, "pageview forget"]],
  ["open", ["", ID, "pageview"], ["denied", REFUSED, "pageview forget"], ["granted", AGREED, "pageview forget pageview"]],
  ["open", ["", ID, "pageview"], ["denied manager", [], "pageview forget"], ["forget", [], "pageview forget"]],
  ["open", ["", ID, "pageview"], ["forget", [], "pageview forget"], ["granted", AGREED, "pageview forget pageview"]],
];

describe("states of consent", { timeout: 180_000, concurrency: 4 }, () => {
  let browser;

  before(async () => (browser = await startBrowser()));
  after(() => browser.close());

  for (const [site, ...steps] of CASES) {
    test(`${site}: ${steps.map(([said]) => said || "nothing").join(", ")}`, async () => {
      const setting = await arrange(SITES, browser);
      const { context, page } = await setting.profile();
      try {
        setting.pages.set("/", `<!doctype html><title>States</title>${setting.tag(site)}`);
        await page.goto(setting.origin);
        await started(page);
        for (const [said, kept, sent] of steps) {
          const [word, by] = said.split(" ");
          if (word === "forget") await page.evaluate(() => lfa("forget"));
          else if (word) await page.evaluate(([word, by]) => lfa("consent", word, by), [word, by]);
          const wanted = sent.split(" ").filter(Boolean);
          for (const type of new Set(wanted)) await setting.recorder.until(type, wanted.filter((other) => other === type).length);
          // What should not come would come with what is sent last: the core sends at once or after a second.
          if (word) await page.waitForTimeout(100);
          const { cookies } = await stored(page);
          const shown = Object.entries(cookies).map(([name, value]) => (name === "_lfa" ? name : `${name}=${value}`));
          assert.deepEqual(shown.sort(), kept, said);
          assert.deepEqual(setting.recorder.events().map(({ type }) => type), wanted, said);
        }
      } finally {
        await context.close();
        await setting.end();
      }
    });
  }
});
