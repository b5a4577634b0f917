// What of a signal counts, which purposes, and what follows when several signals disagree. In Chromium.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { MOCKS, PACKAGES } from "./managers/managers.js";
import { setTraps } from "./managers/page.js";
import { withVisitor } from "./managers/suite.js";
import { arrange, startBrowser } from "./setting.js";

const OWN_BANNER = MOCKS["a banner of the site's own"];
const { klaro, "vanilla-cookieconsent": vanilla, "IAB TCF": tcf, "IAB GPP": gpp } = PACKAGES;
const { "Google Consent Mode": consentMode, "WordPress consent API": wordpress, Didomi: didomi } = MOCKS;

/** A manager whose page says something first. */
const saying = (inline, manager) => ({ ...manager, steps: [{ inline }, ...manager.steps] });
/** Two managers on one page; their files must not have the same names. */
const both = (one, other) => ({
  files: { ...one.files, ...other.files },
  steps: [...one.steps, ...other.steps],
});
const accept = (manager) => (page) => manager.accept(page);
const purpose = (words) => `async data-consent-purpose="${words}"`;
const accepted = (...purposes) => `window.acceptedPurposes = [${purposes}]`;
const gtag = (kind, analytics) =>
  `(window.dataLayer = window.dataLayer || []).push(((...call) => call)("consent", "${kind}", { analytics_storage: "${analytics}" }));`;

/** Page, what the person does, the script's attributes, and whether a visit is counted; no visit is silence. */
const CASES = [
  ["TCF: storage and content measurement", saying(accepted(1, 8), tcf), accept(tcf), undefined, true],
  ["TCF: storage alone", saying(accepted(1), tcf), accept(tcf), undefined, false],
  ["TCF: audience statistics without storage", saying(accepted(8, 9), tcf), accept(tcf), undefined, false],
  ["TCF: the purposes that the owner chose", saying(accepted(1), tcf), accept(tcf), purpose("__tcfapi=1"), true],
  ["TCF: a word for another manager", saying(accepted(1, 9), tcf), accept(tcf), purpose("analytics"), true],
  ["TCF: GDPR doesn't apply", saying("window.gdprDoesNotApply = true", tcf), undefined, undefined, false],
  [
    "TCF: GDPR doesn't apply, but the person agrees",
    both(saying("window.gdprDoesNotApply = true", tcf), klaro),
    accept(klaro),
    undefined,
    true,
  ],
  ["GPP: storage alone", saying(accepted(1), gpp), accept(gpp), undefined, false],
  [
    "GPP: no objection in a US state is no consent",
    { ...gpp, steps: [{ inline: "window.applicableSection = 'usnat'" }, ...gpp.steps.slice(1)] },
    undefined,
    undefined,
    false,
  ],
  [
    "GPP: no objection in a US state, and the person agrees",
    both({ ...gpp, steps: [{ inline: "window.applicableSection = 'usnat'" }, ...gpp.steps.slice(1)] }, klaro),
    accept(klaro),
    undefined,
    true,
  ],
  [
    "GPP: its Global Privacy Control is an objection",
    both(
      {
        ...gpp,
        steps: [{ inline: "window.applicableSection = 'usca'; window.gpcSignalled = true" }, ...gpp.steps.slice(1)],
      },
      klaro,
    ),
    accept(klaro),
    undefined,
    false,
  ],
  ["Consent Mode: a default is no choice", { files: {}, steps: [{ inline: gtag("default", "granted") }] }, undefined, undefined, false],
  ["Consent Mode: an update is one", { files: {}, steps: [{ inline: gtag("update", "granted") }] }, undefined, undefined, true],
  [
    "Consent Mode: another type, as the owner chose",
    { files: {}, steps: [{ inline: gtag("update", "granted") }] },
    undefined,
    purpose("dataLayer=ad_storage"),
    false,
  ],
  [
    "Consent Mode: a default waits for nobody where another manager asks",
    both({ files: {}, steps: [{ inline: gtag("default", "denied") }] }, klaro),
    accept(klaro),
    undefined,
    true,
  ],
  [
    "two managers, one refuses",
    both({ files: {}, steps: [{ inline: gtag("update", "denied") }] }, klaro),
    accept(klaro),
    undefined,
    false,
  ],
  ["two managers, one isn't answered", both(vanilla, klaro), accept(klaro), undefined, false],
  [
    "two managers, both agreed to",
    both(vanilla, klaro),
    async (page) => {
      await klaro.accept(page);
      await vanilla.accept(page);
    },
    undefined,
    true,
  ],
  ["the purpose that the owner chose", klaro, accept(klaro), purpose("klaro=analytics"), true],
  ["a purpose that the manager doesn't know", klaro, accept(klaro), purpose("klaro=statistics"), false],
  ["a purpose of another manager", klaro, accept(klaro), purpose("CookieConsent=statistics"), true],
  ["two purposes, one unknown", vanilla, accept(vanilla), purpose("analytics, marketing"), false],
  ["no manager is looked for", klaro, accept(klaro), 'async data-consent-manager="none"', false],
  [
    "WordPress: where one has to opt out, having consent is no grant",
    { ...wordpress, steps: [...wordpress.steps, { inline: "wp_fallback_consent_type = 'optout'; wp_has_consent = () => true" }] },
    undefined,
    undefined,
    false,
  ],
  ["Didomi: where nobody has to be asked, nobody agreed", saying("window.consentIsNotRequired = true", didomi), undefined, undefined, false],
  ["a banner of the site's own, and a manager that isn't answered", both(OWN_BANNER, klaro), accept(OWN_BANNER), undefined, false],
];

describe("consent signals", { timeout: 300_000, concurrency: 4 }, () => {
  let browser;

  before(async () => (browser = await startBrowser()));
  after(() => browser.close());

  async function arranged() {
    const setting = await arrange({}, browser);
    const { context, page } = await setting.profile();
    await context.addInitScript(setTraps, new URL(setting.collector).host);
    return { setting, page, end: () => context.close().then(setting.end) };
  }

  for (const [name, manager, act, attributes, counted] of CASES) {
    test(`${name}: ${counted ? "a visit" : "silence"}`, () =>
      withVisitor(
        arranged,
        { ...manager, detected: !attributes?.includes("none") },
        true,
        async ({ page, recorder, visit, settle, assertSilence }) => {
          await visit();
          await settle();
          await act?.(page);
          if (counted) {
            await recorder.until("pageview");
          } else {
            await settle();
            await assertSilence();
          }
        },
        attributes,
      ));
  }

  test("TCF: opening the dialogue again takes nothing back", () =>
    withVisitor(arranged, tcf, true, async ({ page, recorder, visit, settle }) => {
      await visit();
      await tcf.accept(page);
      await recorder.until("pageview");
      await page.evaluate(() => window.reopen());
      await settle();
      assert.deepEqual(recorder.events("forget"), []);
    }));

  for (const [name, manager, reset] of [
    ["Klaro", klaro, () => window.klaro.getManager().resetConsents()],
    ["Orejime", PACKAGES.orejime, () => window.orejime.manager.clearConsents()],
  ]) {
    test(`${name}: a reset is a withdrawal`, () =>
      withVisitor(arranged, manager, true, async ({ page, recorder, visit, stored, settle }) => {
        await visit();
        await settle();
        await manager.accept(page);
        await recorder.until("pageview");
        await page.evaluate(reset);
        await recorder.until("forget");
        assert.deepEqual(await stored(), []);
      }));
  }

  test("a refusal in one manager takes back what another grants", () =>
    withVisitor(arranged, both(consentMode, klaro), true, async ({ page, recorder, visit, stored, settle }) => {
      await visit();
      await consentMode.accept(page);
      await klaro.accept(page);
      await recorder.until("pageview");
      await consentMode.withdraw(page);
      await recorder.until("forget");
      await settle();
      assert.deepEqual(await stored(), []);
    }));
});
