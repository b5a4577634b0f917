// Pages with consent managers: as they come from npm, and where they come from their vendor's network alone, mocks that
// do what the vendor documents. Each has the steps that put it on a page, in order, and what a
// person does in it. The steps hold nothing of ours: the tracker finds the manager by itself.
import { build } from "esbuild";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const HERE = dirname(fileURLToPath(import.meta.url));

const fromPackage = (file) => () => readFile(require.resolve(file));
/** One of the scripts in this folder together with the packages it imports, as a browser takes it. */
const bundled = (file) => async () => {
  const { outputFiles } = await build({
    entryPoints: [join(HERE, file)],
    bundle: true,
    format: "iife",
    write: false,
    logLevel: "error",
  });
  return Buffer.from(outputFiles[0].contents);
};

// Both playwright and puppeteer have locators, which wait.
const click = (page, selector) => page.locator(selector).click();
/** Clicks until the button is gone: tarteaucitron's answer to clicks half a second after they are shown. */
const press = async (page, selector) => {
  const isShown = () => page.evaluate((button) => Boolean(document.querySelector(button)?.getClientRects().length), selector);
  do {
    await click(page, selector);
    await sleep(100);
  } while (await isShown());
};
const TARTEAUCITRON = "tarteaucitronjs/";

export const PACKAGES = {
  klaro: {
    files: { "/klaro.js": fromPackage("klaro/dist/klaro.js") },
    steps: [
      {
        inline: `window.klaroConfig = {
          lang: "en",
          acceptAll: true,
          translations: { en: { purposes: { analytics: "Analytics" } } },
          services: [{ name: "firmsight", purposes: ["analytics"] }],
        };`,
      },
      { src: "/klaro.js" },
    ],
    accept: (page) => click(page, ".cm-btn-success"),
    decline: (page) => click(page, ".cn-decline"),
    withdraw: (page) =>
      page.evaluate(() => {
        const manager = klaro.getManager();
        manager.updateConsent("firmsight", false);
        manager.saveAndApplyConsents();
      }),
  },
  "vanilla-cookieconsent": {
    files: { "/cookieconsent.js": fromPackage("vanilla-cookieconsent/dist/cookieconsent.umd.js") },
    steps: [
      { src: "/cookieconsent.js" },
      {
        inline: `CookieConsent.run({
          hideFromBots: false, // a browser under test says that it is one
          categories: { necessary: { enabled: true, readOnly: true }, analytics: {} },
          language: { default: "en", translations: { en: {
            consentModal: { title: "Cookies", acceptAllBtn: "Yes", acceptNecessaryBtn: "No" },
            preferencesModal: { sections: [] },
          } } },
        });`,
      },
    ],
    accept: (page) => click(page, "[data-role=all]"),
    decline: (page) => click(page, "[data-role=necessary]"),
    withdraw: (page) => page.evaluate(() => CookieConsent.acceptCategory([])),
  },
  tarteaucitron: {
    files: Object.fromEntries(
      ["tarteaucitron.js", "tarteaucitron.services.js", "lang/tarteaucitron.en.js", "css/tarteaucitron.css"]
        .concat("advertising.js")
        .map((file) => ["/tarteaucitron/" + file, fromPackage(TARTEAUCITRON + file)]),
    ),
    steps: [
      { src: "/tarteaucitron/tarteaucitron.js" },
      {
        inline: `window.tarteaucitronForceLanguage = "en";
        tarteaucitron.init({ privacyUrl: "", bodyPosition: "bottom", orientation: "bottom", highPrivacy: true,
          DenyAllCta: true, AcceptAllCta: true, handleBrowserDNTRequest: false, showIcon: false, useExternalCss: false });
        tarteaucitron.services.firmsight = {
          key: "firmsight", type: "analytic", name: "Firmsight", uri: "/", needConsent: true, cookies: [], js() {},
        };
        (tarteaucitron.job = tarteaucitron.job || []).push("firmsight");`,
      },
    ],
    accept: (page) => press(page, "#tarteaucitronPersonalize2"),
    decline: (page) => press(page, "#tarteaucitronAllDenied2"),
    withdraw: (page) => page.evaluate(() => tarteaucitron.userInterface.respondAll(false)),
  },
  orejime: {
    files: { "/orejime.js": fromPackage("orejime/dist/orejime-standard-en.js") },
    steps: [
      {
        inline: `window.orejimeConfig = {
          privacyPolicyUrl: "/",
          purposes: [{ id: "analytics", title: "Analytics", description: "", cookies: [] }],
        };`,
      },
      { src: "/orejime.js" },
    ],
    accept: (page) => click(page, ".orejime-Banner-saveButton"),
    decline: (page) => click(page, ".orejime-Banner-declineButton"),
    withdraw: (page) => page.evaluate(() => orejime.manager.declineAll()),
  },
  "IAB TCF": {
    files: { "/stub.js": bundled("tcf-stub.js"), "/cmp.js": bundled("tcf-cmp.js") },
    steps: [{ src: "/stub.js" }, { src: "/cmp.js" }],
    accept: (page) => click(page, "#accept"),
    decline: (page) => click(page, "#decline"),
    withdraw: (page) => click(page, "#withdraw"),
  },
  // Its European section asks like the TCF; those of US states are in gpp.test.js, since they only know objections.
  "IAB GPP": {
    files: { "/cmp.js": bundled("gpp-cmp.js") },
    steps: [{ inline: "window.applicableSection = 'tcfeuv2'" }, { src: "/cmp.js" }],
    accept: (page) => click(page, "#accept"),
    decline: (page) => click(page, "#decline"),
    withdraw: (page) => click(page, "#withdraw"),
  },
};

const mocked = (name, attributes = {}) => ({
  files: { "/manager.js": bundled(`mocks/${name}.js`) },
  steps: [{ src: "/manager.js", ...attributes }],
  accept: (page) => click(page, "#accept"),
  decline: (page) => click(page, "#decline"),
  withdraw: (page) => click(page, "#withdraw"),
});

export const MOCKS = {
  OneTrust: mocked("onetrust"),
  Cookiebot: mocked("cookiebot", { id: "Cookiebot" }),
  "Usercentrics 2": mocked("usercentrics-2"),
  "Usercentrics 3": mocked("usercentrics-3"),
  Didomi: mocked("didomi"),
  Axeptio: mocked("axeptio"),
  CookieYes: mocked("cookieyes"),
  Osano: mocked("osano"),
  "WordPress consent API": mocked("wordpress"),
  Complianz: mocked("complianz"),
  "Google Consent Mode": mocked("consent-mode"),
  "a banner of the site's own": { ...mocked("own-banner"), detected: false },
};
