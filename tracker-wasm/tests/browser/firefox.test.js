// The tracker with consent managers in Debian's Firefox, steered by WebDriver BiDi, which Firefox speaks by itself.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import puppeteer from "puppeteer-core";
import { MOCKS, PACKAGES } from "./managers/managers.js";
import { setTraps } from "./managers/page.js";
import { testManagers, withVisitor } from "./managers/suite.js";
import { arrangeServers } from "./setting.js";

const FIREFOX = process.env.FIRMSIGHT_FIREFOX ?? "/usr/bin/firefox-esr";
const OWN_BANNER = "a banner of the site's own";

function startFirefox(preferences) {
  if (!existsSync(FIREFOX)) throw new Error(`no ${FIREFOX}: run \`cargo xtask test\`, which installs it`);
  return puppeteer.launch({
    browser: "firefox",
    executablePath: FIREFOX,
    extraPrefsFirefox: { "network.dns.localDomains": "www.shop.example,collect.shop.example", ...preferences },
  });
}

/** What a test needs: servers, and a page in a fresh profile with the traps set. */
const arrangedIn = (browser) => async () => {
  const setting = await arrangeServers({});
  try {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    await page.evaluateOnNewDocument(setTraps, new URL(setting.collector).host);
    return { setting, page, end: () => context.close().then(setting.end) };
  } catch (error) {
    // Servers that go on listening would keep the run from ending.
    await setting.end();
    throw error;
  }
};

// One at a time: Firefox sometimes fails to open a tab while another context's is being closed ("no such frame").
describe("consent managers in Firefox", { timeout: 300_000 }, () => {
  let browser;

  before(async () => (browser = await startFirefox()));
  after(() => browser.close());

  const arranged = () => arrangedIn(browser)();
  const { klaro, "vanilla-cookieconsent": vanilla, "IAB TCF": tcf } = PACKAGES;
  testManagers(arranged, "package", { klaro, "vanilla-cookieconsent": vanilla, "IAB TCF": tcf });
  testManagers(arranged, "mock", { [OWN_BANNER]: MOCKS[OWN_BANNER] });
});

describe("Global Privacy Control in Firefox", { timeout: 120_000 }, () => {
  let browser;

  before(
    async () =>
      (browser = await startFirefox({
        "privacy.globalprivacycontrol.enabled": true,
        "privacy.globalprivacycontrol.functionality.enabled": true,
      })),
  );
  after(() => browser.close());

  test("keeps everything quiet until the person agrees on this site", () =>
    withVisitor(
      arrangedIn(browser),
      MOCKS[OWN_BANNER],
      true,
      async ({ page, recorder, visit, settle, assertSilence }) => {
        await visit();
        await settle();
        assert.equal(await page.evaluate(() => navigator.globalPrivacyControl), true);
        await assertSilence();
        await MOCKS[OWN_BANNER].accept(page);
        await recorder.until("pageview");
        const [{ consent, headers }] = recorder.beacons;
        assert.deepEqual([consent, headers["sec-gpc"]], ["granted", "1"]);
      },
    ));
});
