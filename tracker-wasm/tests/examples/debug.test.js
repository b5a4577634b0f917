// What the tracker says in the console with `data-debug`: why something was or wasn't sent.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { PACKAGES } from "../browser/managers/managers.js";
import { serve } from "../browser/managers/page.js";
import { arrange, started } from "./support.js";

describe("the debug mode", { timeout: 120_000 }, () => {
  let setting, recorder, profile, said;

  before(async () => {
    setting = await arrange({ open: { consent: "not-required" }, cookieless: { consent: "cookieless" }, asks: {} });
    recorder = setting.recorder;
  });
  after(() => setting.end());
  afterEach(async () => {
    await profile.context.close();
    recorder.forget();
  });

  const PLAIN = (site) => setting.tag(site, "async data-debug");
  async function open(head, { path = "/", beforehand, ...options } = {}) {
    setting.pages.set("/", `<!doctype html><title>Debug</title>${head}<body><p>Text`);
    profile = await setting.profile(options);
    said = [];
    profile.page.on("console", (message) => {
      const [text, , ...words] = message.text().split(/(font-weight:bold )/);
      if (text.startsWith("%cFirmsight")) said.push(words.join(""));
    });
    await beforehand?.(profile);
    await profile.page.goto(setting.origin + path);
    await started(profile.page);
    return profile.page;
  }
  /** Waits until something like this was said. */
  async function hears(...patterns) {
    for (const pattern of patterns) {
      for (let attempt = 0; !said.some((text) => pattern.test(text)); attempt++) {
        assert.ok(attempt < 50, `not said: ${pattern}; but:\n${said.join("\n")}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  test("it is fetched only when it is asked for", async () => {
    const page = await open(setting.tag("open"));
    await recorder.until("pageview");
    await page.waitForTimeout(300);
    assert.deepEqual(said, []);
    assert.ok(!recorder.requests.some((request) => request.includes("debug")));
  });

  test("a page without consent, and what a custom event lacks then", async () => {
    const page = await open(PLAIN("asks"));
    await hears(/Site asks, consent mode required/, /nobody has said yes: no consent manager on this page has a say/);
    await page.evaluate(() => lfa("event", "Quote"));
    await hears(/The event Quote was not counted: the site asks for consent/);
    assert.deepEqual(recorder.beacons, []);
    await page.evaluate(() => lfa("consent", "granted"));
    await hears(
      /The page itself says: granted/,
      /Events are sent with an id: consent was granted/,
      /Stores the cookie _lfa_consent/,
      /Stores the cookie _lfa\./,
      /Sends pageview http:\/\/www\.shop\.example.* \(consent granted, with an id\)/,
      /The collector took pageview/,
    );
    await page.evaluate(() => lfa("identify", { email: "a@company.example" }));
    await hears(/identify was not counted: the site does not allow it/);
    await page.evaluate(() => history.replaceState(null, "", "?filter=1"));
    await hears(/A pageview of the new address was not counted: the address is the same but for/);
    await page.evaluate(() => lfa("consent", "denied"));
    await hears(/The page itself says: denied/, /no consent: the page itself said denied/, /Removes the cookie _lfa\./);
  });

  test("a cookieless site, by the script's address alone", async () => {
    await open(`<script async src="${setting.collector}/lfa.js?site=cookieless&debug"></script>`);
    await hears(/consent mode cookieless/, /without an id, and nothing is stored/, /Sends pageview .*consent unknown, without an id/);
  });

  test("Global Privacy Control", async () => {
    await open(PLAIN("open"), { gpc: true });
    await hears(/The browser sends Global Privacy Control/, /Nothing is read, stored or sent: the browser sends Global/);
  });

  test("a script tag without a site", async () => {
    await open(`<script async src="${setting.collector}/lfa.js" data-debug></script>`);
    await open(`<script async src="${setting.collector}/lfa.js" data-debug data-site="unheard-of"></script>`);
    await hears(/names no settings of this site/);
  });

  test("which consent manager said what", async () => {
    const manager = PACKAGES.klaro;
    await serve(setting.pages, manager);
    const scripts = manager.steps.map(({ inline, src }) => (src ? `<script defer src="${src}"></script>` : `<script>${inline}</script>`));
    const page = await open(`<meta charset=utf-8>${scripts.join("")}${PLAIN("asks")}`);
    await hears(/The consent manager klaro says: that there is no choice yet/);
    await manager.accept(page);
    await hears(/The consent manager klaro says: granted/, /The collector took pageview/);
    await manager.withdraw(page);
    await hears(/no consent: the consent manager klaro said denied/);
  });

  test("an objection from an earlier page outweighs a manager's grant", async () => {
    const page = await open(PLAIN("asks"), {
      beforehand: ({ context }) => context.addCookies([{ name: "_lfa_consent", value: "false", domain: ".shop.example", path: "/" }]),
    });
    await page.evaluate(() => lfa("consent", "granted", "manager"));
    await hears(/A consent manager that the page speaks for says: granted/);
    await page.evaluate(() => lfa("event", "Quote"));
    await hears(/The event Quote was not counted: an objection from an earlier page is stored/);
    assert.deepEqual(recorder.beacons, []);
  });

  for (const [name, answer, expected] of [
    [
      "a refusal with its rule",
      { status: 403, contentType: "application/problem+json", body: JSON.stringify({ status: 403, rule: "host", field: "events[0].url", detail: "the page's host is not one of the site's hosts" }) },
      /The collector refused pageview .* with 403, rule host: the page's host is not one of the site's hosts \(events\[0\]\.url\)/,
    ],
    ["a refusal in other words", { status: 502, body: "<html>" }, /refused pageview .* with 502, rule unknown: no explanation/],
  ]) {
    test(`the collector's answer: ${name}`, async () => {
      const headers = { "Access-Control-Allow-Origin": setting.origin, "Access-Control-Allow-Credentials": "true" };
      await open(PLAIN("open"), { beforehand: ({ page }) => page.route(`${setting.collector}/lfa`, (route) => route.fulfill({ ...answer, headers })) });
      await hears(expected);
    });
  }

  test("the collector's answer: none that may be read", async () => {
    await open(PLAIN("open"), { beforehand: ({ page }) => page.route(`${setting.collector}/lfa`, (route) => route.abort()) });
    await hears(/No answer that may be read to pageview .*www\.shop\.example.* is not among the site's hosts/);
  });
});
