// Real consent managers, wired as docs/tracker.md says.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, afterEach, before, describe, test } from "node:test";
import { arrange, started, stored } from "./setting.js";

const require = createRequire(import.meta.url);
const MANAGERS = {
  klaro: {
    files: { "/klaro.js": "klaro/dist/klaro.js" },
    content: `<script>
        window.lfa = window.lfa || function () { (lfa.q = lfa.q || []).push(arguments) };
        window.klaroConfig = {
          lang: "en",
          acceptAll: true,
          translations: { en: { purposes: { analytics: "Analytics" } } },
          services: [{
            name: "firmsight",
            purposes: ["analytics"],
            callback: (consent) => lfa("consent", consent ? "granted" : "denied", "manager"),
          }],
        };
      </script>
      <script defer src="/klaro.js"></script>`,
    accept: (page) => page.click(".cm-btn-success"),
    decline: (page) => page.click(".cn-decline"),
    withdraw: (page) =>
      page.evaluate(() => {
        const manager = klaro.getManager();
        manager.updateConsent("firmsight", false);
        manager.saveAndApplyConsents();
      }),
  },
  "vanilla-cookieconsent": {
    files: { "/cookieconsent.js": "vanilla-cookieconsent/dist/cookieconsent.umd.js" },
    content: `<script>
        window.lfa = window.lfa || function () { (lfa.q = lfa.q || []).push(arguments) };
        const tell = () =>
          lfa("consent", CookieConsent.acceptedCategory("analytics") ? "granted" : "denied", "manager");
        addEventListener("cc:onConsent", tell);
        addEventListener("cc:onChange", tell);
      </script>
      <script src="/cookieconsent.js"></script>
      <script>
        CookieConsent.run({
          hideFromBots: false, // a browser under test says that it is one
          categories: { necessary: { enabled: true, readOnly: true }, analytics: {} },
          language: { default: "en", translations: { en: {
            consentModal: { title: "Cookies", acceptAllBtn: "Yes", acceptNecessaryBtn: "No" },
            preferencesModal: { sections: [] },
          } } },
        });
      </script>`,
    accept: (page) => page.click("[data-role=all]"),
    decline: (page) => page.click("[data-role=necessary]"),
    withdraw: (page) => page.evaluate(() => CookieConsent.acceptCategory([])),
  },
};

describe("consent managers", { timeout: 120_000 }, () => {
  let setting, recorder, profile;

  before(async () => {
    setting = await arrange({});
    recorder = setting.recorder;
    setting.pages.set("/away", "<!doctype html>");
  });
  after(() => setting.end());
  afterEach(async () => {
    await profile?.context.close();
    recorder.forget();
  });

  /** What of ours is stored. */
  async function ours(page) {
    const { cookies, storage } = await stored(page);
    return [...Object.keys(cookies), ...storage].filter((name) => name.startsWith("_lfa")).sort();
  }

  for (const [name, { files, content, accept, decline, withdraw }] of Object.entries(MANAGERS)) {
    const visit = async () => {
      for (const [path, file] of Object.entries(files)) {
        const body = await readFile(require.resolve(file));
        setting.pages.set(path, { body, headers: { "Content-Type": "text/javascript; charset=utf-8" } });
      }
      setting.pages.set("/", `<!doctype html><meta charset=utf-8><body>${content}${setting.tag("site")}`);
      profile = await setting.profile();
      await profile.page.goto(setting.origin);
      await started(profile.page);
      return profile.page;
    };

    test(`${name}: nothing before the choice, a visit after accepting, on each page`, async () => {
      const page = await visit();
      assert.deepEqual([await ours(page), recorder.beacons], [[], []]);
      await accept(page);
      await recorder.until("pageview");
      assert.deepEqual(await ours(page), ["_lfa", "_lfa_consent", "_lfa_expiry"]);
      await page.reload();
      await recorder.until("pageview", 2);
      assert.equal(new Set(recorder.beacons.map(({ client }) => client)).size, 1);
    });

    test(`${name}: nothing after declining`, async () => {
      const page = await visit();
      await decline(page);
      await page.reload();
      await started(page);
      await page.goto(setting.origin + "/away");
      assert.deepEqual([await ours(page), recorder.beacons], [[], []]);
    });

    test(`${name}: a withdrawal removes everything and tells the collector`, async () => {
      const page = await visit();
      await accept(page);
      await recorder.until("pageview");
      await withdraw(page);
      await recorder.until("forget");
      assert.deepEqual(await ours(page), []);
    });
  }
});
