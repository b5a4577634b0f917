// What of a signal counts, which purposes, and what follows when several signals disagree. In Chromium.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { MOCKS, PACKAGES } from "./managers/managers.js";
import { setTraps } from "./managers/page.js";
import { withVisitor } from "./managers/suite.js";
import { arrange, startBrowser } from "./setting.js";

const OWN_BANNER = MOCKS["a banner of the site's own"];
const { klaro, "vanilla-cookieconsent": vanilla, "IAB TCF": tcf, "IAB GPP": gpp, tarteaucitron, orejime } = PACKAGES;
const { "Google Consent Mode": consentMode, "WordPress consent API": wordpress, Didomi: didomi } = MOCKS;
const { OneTrust: oneTrust, Cookiebot: cookiebot, "Usercentrics 2": usercentrics2, "Usercentrics 3": usercentrics3 } = MOCKS;
const { CookieYes: cookieYes, Osano: osano, Complianz: complianz } = MOCKS;

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

/** A manager set up otherwise: `change` is put in the place of what `of` finds in its set-up. */
const setUp = (manager, ...changes) => ({
  ...manager,
  steps: manager.steps.map((step) => ({
    ...step,
    ...(step.inline && { inline: changes.reduce((text, [of, change]) => text.replace(of, change), step.inline) }),
  })),
});
const withoutConsent = setUp(tarteaucitron, ["needConsent: true", "needConsent: false"]);
const onByDefault = setUp(tarteaucitron, ["highPrivacy: true", "highPrivacy: true, serviceDefaultState: true"]);
const byGoingOn = setUp(tarteaucitron, ["highPrivacy: true", "highPrivacy: false"]);
const scrollToTheEnd = async (page) => {
  await page.evaluate(() => {
    document.body.style.height = "20000px";
    scrollTo(0, 19000);
  });
  await page.waitForTimeout(300);
};
const nothing = () => {};

/**
 * What is on without an act of the person, or can't be refused, by what the vendors document; the adapter of each names the page.
 * Nothing of it is a grant.
 */
const UNCHOSEN = [
  ["tarteaucitron: a service that needs no consent", withoutConsent, nothing],
  ["tarteaucitron: the same after a refusal", withoutConsent, (page) => page.evaluate(() => tarteaucitron.userInterface.respondAll(false))],
  ["tarteaucitron: a service that is on by default", onByDefault, nothing],
  ["tarteaucitron: going on is taken for a yes, by scrolling", byGoingOn, scrollToTheEnd],
  ["Klaro: a required service, refused", setUp(klaro, ['name: "firmsight"', 'name: "firmsight", required: true']), klaro.decline],
  ["Klaro: everything is required, and refused", setUp(klaro, ['lang: "en"', 'lang: "en", required: true']), klaro.decline],
  [
    "vanilla-cookieconsent: a read-only category, refused",
    setUp(vanilla, ["analytics: {}", "analytics: { enabled: true, readOnly: true }"]),
    vanilla.decline,
  ],
  ["vanilla-cookieconsent: opting out", setUp(vanilla, ["hideFromBots", 'mode: "opt-out", hideFromBots'], ["analytics: {}", "analytics: { enabled: true }"]), nothing],
  ["Orejime: a mandatory purpose, refused", setUp(orejime, ['id: "analytics"', 'id: "analytics", isMandatory: true'], ["],\n        };", ', { id: "other", title: "Other", cookies: [] }],\n        };']), orejime.decline],
  ["OneTrust: a region whose model is implied consent", saying("window.consentModel = 'implied consent'", oneTrust), accept(oneTrust)],
  ["OneTrust: a region where one opts out", saying("window.consentModel = 'opt-out'", oneTrust), accept(oneTrust)],
  ["OneTrust: a group that is always active", oneTrust, accept(oneTrust), purpose("C0001")],
  ["Cookiebot: consent implied by going on", saying("window.consentMethod = 'implied'", cookiebot), accept(cookiebot)],
  ["Cookiebot: a region that asks for none", saying("window.consentMethod = ''", cookiebot), accept(cookiebot)],
  ["Cookiebot: what is necessary", cookiebot, accept(cookiebot), purpose("necessary")],
  ["Usercentrics 2: an implicit consent", saying("window.consentType = 'implicit'", usercentrics2), accept(usercentrics2)],
  ["Usercentrics 2: an essential service", usercentrics2, accept(usercentrics2), purpose("essential")],
  ["Usercentrics 3: an essential service", usercentrics3, accept(usercentrics3), purpose("essential")],
  ["Didomi: a legitimate interest", saying("window.claimedPurposes = ['market_research', 'measure_content_performance']", didomi), accept(didomi)],
  ["Didomi: an essential purpose", didomi, accept(didomi), purpose("essential")],
  ["CookieYes: a law under which one opts out", saying("window.activeLaw = 'ccpa'", cookieYes), accept(cookieYes)],
  ["CookieYes: what is necessary", cookieYes, accept(cookieYes), purpose("necessary")],
  ["Osano: a jurisdiction where one opts out", saying("window.consentModel = 'opt-out'", osano), accept(osano)],
  ["Osano: what is essential", osano, accept(osano), purpose("ESSENTIAL")],
  ["Complianz: a region where one opts out", saying("window.consentType = 'optout'", complianz), accept(complianz)],
  ["Complianz: what is functional", complianz, accept(complianz), purpose("functional")],
  ["WordPress: what is functional", wordpress, accept(wordpress), purpose("functional")],
  ["TCF: a legitimate interest", saying("window.legitimateInterests = [1, 7, 8, 9, 10]; window.acceptedPurposes = []", tcf), accept(tcf)],
  ["GPP: Europe's section where it doesn't apply", saying("window.applicableSections = [-1]", gpp), accept(gpp)],
  [
    "Consent Mode: an update beside a TCF platform for whose visitors the GDPR doesn't apply",
    both(saying("window.gdprDoesNotApply = true", tcf), { files: {}, steps: [{ inline: gtag("update", "granted") }] }),
    nothing,
  ],
].map(([name, manager, act, attributes]) => [name, manager, act, attributes, false]);

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

  for (const [name, manager, act, attributes, counted] of [...CASES, ...UNCHOSEN]) {
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
