// The Google Tag Manager template: its sections, its own tests, its permissions, and its code in Chromium. Tag Manager itself
// can't be had offline; the mock does what the documentation of each API and each permission says.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { arrange, EXAMPLES, started } from "./support.js";

const template = readFileSync(join(EXAMPLES, "google-tag-manager", "template.tpl"), "utf8");
const sections = Object.fromEntries(
  template.split(/^___(?=[A-Z_]+___$)/m).slice(1).map((text) => {
    const end = text.indexOf("___\n");
    return [text.slice(0, end), text.slice(end + 4).trim()];
  }),
);
const CODE = sections.SANDBOXED_JS_FOR_WEB_TEMPLATE;

/** What each API needs, as the documentation of permissions says. */
const permissions = new Map(
  JSON.parse(sections.WEB_PERMISSIONS).map(({ instance }) => [
    instance.key.publicId,
    Object.fromEntries(instance.param.map(({ key, value }) => [key, value])),
  ]),
);
const entries = ({ listItem }) =>
  listItem.map(({ mapKey, mapValue }) =>
    Object.fromEntries(mapKey.map(({ string }, at) => [string, mapValue[at].string ?? mapValue[at].boolean])),
  );
function mayAccess(name, right) {
  const found = entries(permissions.get("access_globals").keys).find(({ key }) => key === name);
  assert.ok(found?.[right], `access_globals: ${right} ${name}`);
}
const CHECKS = {
  createArgumentsQueue: (name, queue) => [name, queue].forEach((key) => ["read", "write"].forEach((right) => mayAccess(key, right))),
  callInWindow: (name) => mayAccess(name, "execute"),
  isConsentGranted: (type) => assert.ok(entries(permissions.get("access_consent").consentTypes).find((own) => own.consentType === type)?.read),
  addConsentListener: (type) => CHECKS.isConsentGranted(type),
  injectScript: (address) => {
    const allowed = permissions.get("inject_script").urls.listItem.map(({ string }) => string.replace(/[.*+?/]/g, (sign) => (sign === "*" ? ".*" : "\\" + sign)));
    assert.ok(allowed.some((pattern) => new RegExp(`^${pattern}$`).test(address)), address);
  },
  logToConsole: () => assert.ok(permissions.get("logging")),
  encodeUriComponent: () => {},
};

/** Sandboxed JavaScript sees `require` and `data` and no global of a browser. */
function runSandboxed(code, require, data) {
  const hidden = ["window", "document", "globalThis", "self", "process", "fetch", "setTimeout", "console", "global"];
  new Function("require", "data", ...hidden, `"use strict"; ${code}`)(require, data);
}

describe("the Google Tag Manager template", { timeout: 60_000 }, () => {
  test("it has the gallery's sections, each in its form", () => {
    const expected = [
      "TERMS_OF_SERVICE", "INFO", "TEMPLATE_PARAMETERS", "SANDBOXED_JS_FOR_WEB_TEMPLATE", "WEB_PERMISSIONS", "TESTS", "NOTES",
    ];
    assert.deepEqual(Object.keys(sections), expected);
    const info = JSON.parse(sections.INFO);
    assert.deepEqual([info.type, info.containerContexts], ["TAG", ["WEB"]]);
    const flat = (list) => list.flatMap((one) => (one.subParams ? flat(one.subParams) : [one.name]));
    const parameters = flat(JSON.parse(sections.TEMPLATE_PARAMETERS));
    const used = [...CODE.matchAll(/\bdata\.(\w+)/g)].map(([, name]) => name).filter((name) => !name.startsWith("gtmOn"));
    assert.deepEqual([...new Set(used)].sort(), [...parameters].sort());
    for (const [, name] of CODE.matchAll(/require\('(\w+)'\)/g)) assert.ok(name in CHECKS, name);
  });

  const scenarios = sections.TESTS.split(/^setup: \|-$/m)[0].split(/^- name: /m).slice(1);
  const unindented = (text) => text.split("\n").map((line) => line.trim()).join("\n");
  const setup = unindented(sections.TESTS.split(/^setup: \|-$/m)[1]);
  for (const scenario of scenarios) {
    const [name, rest] = scenario.split(/\n  code: \|-\n/);
    test(`its own test: ${name}`, () => {
      const mocks = new Map();
      const calls = new Map();
      const api = (name) => (...given) => {
        if (!name.startsWith("gtmOn")) CHECKS[name](...given);
        calls.set(name, [...(calls.get(name) ?? []), given]);
        return mocks.get(name)?.(...given);
      };
      mocks.set("encodeUriComponent", encodeURIComponent);
      const called = (name, given) => (calls.get(name) ?? []).some((one) => {
        try {
          assert.deepEqual(one, given);
          return true;
        } catch {
          return false;
        }
      });
      const tools = {
        mock: (name, replacement) => mocks.set(name, replacement),
        runCode: (data) => runSandboxed(CODE, api, { ...data, gtmOnSuccess: api("gtmOnSuccess"), gtmOnFailure: api("gtmOnFailure") }),
        assertThat: (value) => ({ isEqualTo: (expected) => assert.deepEqual(value, expected) }),
        assertApi: (name) => ({
          wasCalled: () => assert.ok(calls.has(name), name),
          wasNotCalled: () => assert.ok(!calls.has(name), name),
          wasCalledWith: (...given) => assert.ok(called(name, given), `${name}: ${JSON.stringify(calls.get(name))}`),
          wasNotCalledWith: (...given) => assert.ok(!called(name, given), name),
        }),
      };
      new Function(...Object.keys(tools), `${setup}\n${unindented(rest)}`)(...Object.values(tools));
    });
  }

  describe("in Chromium", () => {
    let setting, profile;
    before(async () => (setting = await arrange({ site: {} })));
    after(() => setting.end());
    afterEach(async () => {
      await profile.context.close();
      setting.recorder.forget();
    });

    /** A page on which Tag Manager runs the tag; `window.update` changes Consent Mode. */
    async function open(data, consent) {
      const page = `<!doctype html><title>GTM</title><script>
        const consent = ${JSON.stringify(consent)}, listeners = [];
        const update = (type, value) => { consent[type] = value; listeners.forEach(([own, tell]) => own === type && tell(type, value === "granted")); };
        const find = (path) => path.split(".").reduce((at, name) => at && at[name], window);
        const apis = {
          createArgumentsQueue: (name, queue) => {
            window[name] = window[name] || function () { find(queue).push(arguments); };
            if (!find(queue)) window[name][queue.split(".")[1]] = [];
            return window[name];
          },
          callInWindow: (name, ...given) => find(name)(...given),
          encodeUriComponent: encodeURIComponent,
          isConsentGranted: (type) => consent[type] === undefined || consent[type] === "granted",
          addConsentListener: (type, tell) => listeners.push([type, tell]),
          logToConsole: (...given) => console.log(...given),
          injectScript: (src, onload, onerror) => document.head.append(Object.assign(document.createElement("script"), { src, onload, onerror, async: true })),
        };
        const data = { ...${JSON.stringify(data)}, gtmOnSuccess: () => (window.outcome = "success"), gtmOnFailure: () => (window.outcome = "failure") };
        ((require) => { ${CODE} })((name) => apis[name]);
      </script>`;
      setting.pages.set("/", page);
      profile = await setting.profile();
      await profile.page.goto(setting.origin);
      await profile.page.waitForFunction(() => window.outcome);
      return profile.page;
    }
    const data = (more) => ({ script: `${setting.collector}/lfa.js`, site: "site", consentSource: "gtm", consentType: "analytics_storage", ...more });

    test("a denied default sends nothing, a grant counts the page, a withdrawal erases", async () => {
      const page = await open(data(), { analytics_storage: "denied" });
      await started(page);
      await page.waitForTimeout(300);
      assert.deepEqual([setting.recorder.beacons, await profile.context.cookies()], [[], []]);
      await page.evaluate(() => update("analytics_storage", "granted"));
      const [pageview] = await setting.recorder.until("pageview");
      assert.equal(pageview.title, "GTM");
      await page.evaluate(() => update("analytics_storage", "denied"));
      await setting.recorder.until("forget");
      assert.deepEqual(await profile.context.cookies(), []);
    });

    test("where the tracker itself asks, Tag Manager's word alone grants nothing", async () => {
      const page = await open(data({ consentSource: "tracker" }), { analytics_storage: "granted" });
      await started(page);
      await page.waitForTimeout(300);
      assert.deepEqual(setting.recorder.beacons, []);
    });

    test("a collector that is away fails the tag", async () => {
      const page = await open(data({ script: `${setting.collector}/gone.js` }), { analytics_storage: "granted" });
      assert.equal(await page.evaluate(() => window.outcome), "failure");
    });
  });
});
