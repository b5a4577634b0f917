// The files under examples/ that site owners copy, with the collector's address and the site put in.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { MOCKS, PACKAGES } from "../browser/managers/managers.js";
import { serve } from "../browser/managers/page.js";
import { arrange, bundle, EXAMPLES, fromBrowserTests, HERE, JAVASCRIPT, run, started, stored, TARGET, typeCheck } from "./support.js";

const NPM_PACKAGE = join(TARGET, "npm", "tracker");
const packaged = async (file) => ({
  body: await readFile(fromBrowserTests.resolve(file)),
  headers: file.endsWith(".css") ? { "Content-Type": "text/css" } : JAVASCRIPT,
});
const MANAGERS = {
  klaro: { ...PACKAGES.klaro, files: { "/klaro.js": "klaro/dist/klaro.js" } },
  "vanilla-cookieconsent": {
    ...PACKAGES["vanilla-cookieconsent"],
    files: {
      "/cookieconsent.umd.js": "vanilla-cookieconsent/dist/cookieconsent.umd.js",
      "/cookieconsent.css": "vanilla-cookieconsent/dist/cookieconsent.css",
    },
  },
  tarteaucitron: {
    ...PACKAGES.tarteaucitron,
    files: Object.fromEntries(Object.keys(PACKAGES.tarteaucitron.files).map((path) => [path, path.replace("/tarteaucitron/", "tarteaucitronjs/")])),
  },
  orejime: {
    ...PACKAGES.orejime,
    files: { "/orejime.js": "orejime/dist/orejime-standard-en.js", "/orejime-standard.css": "orejime/dist/orejime-standard.css" },
  },
  tcf: PACKAGES["IAB TCF"],
};

describe("examples", { timeout: 240_000 }, () => {
  let setting, recorder, profile;

  before(async () => {
    if (!existsSync(NPM_PACKAGE)) throw new Error(`no ${NPM_PACKAGE}: run \`cargo xtask test\`, which makes it`);
    setting = await arrange({ site: {}, cookieless: { consent: "cookieless" } });
    recorder = setting.recorder;
  });
  after(() => setting.end());
  afterEach(async () => {
    await profile?.context.close();
    recorder.forget();
  });

  const filledIn = (text, site = "site") => text.replaceAll("https://stats.example.com", setting.collector).replaceAll("SITE", site);
  const example = async (path, site) => filledIn(await readFile(join(EXAMPLES, path), "utf8"), site);
  /** Vanilla-cookieconsent hides from browsers that say that they are driven. */
  const undriven = () => Object.defineProperty(Navigator.prototype, "webdriver", { get: () => false });

  async function open(html, { javaScriptEnabled = true } = {}) {
    setting.pages.set("/", html);
    if (javaScriptEnabled) profile = await setting.profile();
    else {
      const context = await setting.browser.newContext({ javaScriptEnabled });
      profile = { context, page: await context.newPage() };
    }
    await profile.context.addInitScript(undriven);
    await profile.page.goto(setting.origin);
    if (javaScriptEnabled) await started(profile.page);
    return profile.page;
  }
  const silence = async (page) => {
    await page.waitForTimeout(400);
    assert.deepEqual(recorder.beacons, []);
    assert.deepEqual(Object.keys((await stored(page)).cookies).filter((name) => name.startsWith("_lfa")), []);
  };

  test("the list of examples names each folder", async () => {
    const list = await readFile(join(EXAMPLES, "README.md"), "utf8");
    for (const entry of await readdir(EXAMPLES)) if (entry !== "README.md") assert.ok(list.includes(`](${entry}`), entry);
    for (const [, path] of list.matchAll(/\]\(([^)]+)\)/g)) assert.ok(existsSync(join(EXAMPLES, path)), path);
  });

  test("plain HTML: silence, a visit after yes, remembered, erased after no", async () => {
    const page = await open(await example("plain-html/index.html"));
    await silence(page);
    await page.click("#yes");
    await recorder.until("pageview");
    await page.reload();
    await recorder.until("pageview", 2);
    assert.ok(await page.isHidden("#banner"));
    await page.click("#settings");
    await page.click("#no");
    await recorder.until("forget");
    assert.deepEqual((await stored(page)).cookies, { _lfa_consent: "false" });
    recorder.forget();
    await page.reload();
    await started(page);
    await page.waitForTimeout(400);
    assert.deepEqual(recorder.beacons, []);
  });

  test("no script: one pixel with the page's address, and none where scripts run", async () => {
    const html = await example("plain-html/noscript.html", "cookieless");
    await open(html, { javaScriptEnabled: false });
    await recorder.untilRequested(/^GET \/lfa\.gif/);
    assert.ok(!recorder.requests.some((request) => request.includes(".js")));
    await profile.context.close();
    recorder.forget();
    await open(html);
    await recorder.until("pageview");
    assert.ok(!recorder.requests.some((request) => request.includes(".gif")));
  });

  for (const [name, manager] of Object.entries(MANAGERS)) {
    test(`${name}: silence, a visit after accepting, erased after withdrawing`, async () => {
      for (const [path, file] of Object.entries(manager.files)) {
        if (typeof file === "string") setting.pages.set(path, await packaged(file));
      }
      if (name === "tcf") await serve(setting.pages, manager);
      const page = await open(await example(`consent-managers/${name}.html`));
      await silence(page);
      await manager.accept(page);
      await recorder.until("pageview");
      await page.reload();
      await recorder.until("pageview", 2);
      await manager.withdraw(page);
      await recorder.until("forget");
      await page.waitForTimeout(100);
      assert.deepEqual(Object.keys((await stored(page)).cookies).filter((cookie) => cookie.startsWith("_lfa")), []);
    });
  }

  test("React: the banner, and each route once", async () => {
    const app = filledIn(`import { createRoot } from "react-dom/client";
      import { StrictMode, useState } from "react";
      import { ConsentBanner, Firmsight } from "./firmsight";
      function App() {
        const [path, setPath] = useState("/");
        const go = (to) => { history.pushState(null, "", to); document.title = to; setPath(to); };
        return <StrictMode>
          <main><button id="go" onClick={() => go("/pricing")}>Go</button>{path}</main>
          <ConsentBanner /><Firmsight script="https://stats.example.com/lfa.js" site="SITE" consentRemember />
        </StrictMode>;
      }
      createRoot(document.querySelector("#root")).render(<App />);`);
    const alias = { "@firmsight/tracker": join(NPM_PACKAGE, "index.js") };
    const entry = { contents: app, resolveDir: join(EXAMPLES, "react"), loader: "tsx" };
    setting.pages.set("/app.js", await bundle(entry, { alias }));
    const page = await open('<!doctype html><title>/</title><div id="root"></div><script defer src="/app.js"></script>');
    await silence(page);
    await page.click("text=Yes");
    await recorder.until("pageview");
    await page.click("#go");
    const pageviews = await recorder.until("pageview", 2);
    assert.deepEqual(pageviews.map(({ url, title }) => [new URL(url).pathname, title]), [["/", "/"], ["/pricing", "/pricing"]]);
    assert.equal(await page.locator("section").count(), 0);
  });

  test("React and Next.js: the types hold", async () => {
    const folder = await mkdtemp(join(HERE, "work-"));
    try {
      await cp(join(EXAMPLES, "next", "app"), join(folder, "app"), { recursive: true });
      await cp(join(EXAMPLES, "react", "firmsight.tsx"), join(folder, "app", "firmsight.tsx"));
      const compilerOptions = {
        jsx: "react-jsx", module: "esnext", moduleResolution: "bundler", lib: ["es2022", "dom"], types: [], strict: true,
        noEmit: true, skipLibCheck: true, target: "es2022", paths: { "@firmsight/tracker": [join(NPM_PACKAGE, "index.d.ts")] },
      };
      await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["app"] }));
      await typeCheck(folder, ["-p", "."]);
      const layout = join(folder, "app", "layout.tsx");
      await writeFile(layout, (await readFile(layout, "utf8")).replace(' site="SITE"', ""));
      await assert.rejects(typeCheck(folder, ["-p", "."]), /site/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("WordPress: the plugin's tag follows the WP Consent API", async () => {
    const plugin = join(EXAMPLES, "wordpress", "firmsight.php");
    await run("php", ["-l", plugin]);
    const runner = join(HERE, "wordpress-runner.php");
    const { stdout } = await run("php", [runner, plugin, `${setting.collector}/lfa.js`, "site"]);
    const { tags, cookies, obeys } = JSON.parse(stdout);
    assert.deepEqual([cookies, obeys], [["_lfa", "_lfa_consent"], true]);
    assert.match(tags, /data-cfasync="false"/);
    const manager = MOCKS["WordPress consent API"];
    await serve(setting.pages, manager);
    const page = await open(`<!doctype html><title>Blog</title><script src="/manager.js"></script>${tags}<body>`);
    await silence(page);
    await manager.accept(page);
    await recorder.until("pageview");
    await manager.withdraw(page);
    await recorder.until("forget");
  });

  test("a page with the tracker shifts no layout and waits for nothing of it", async () => {
    const text = "<p>We sell bolts, nuts and washers to people who build machines.</p>".repeat(100);
    const page = await open(`<!doctype html><title>Cost</title>${setting.tag("cookieless")}<body>${text}`);
    await recorder.until("pageview");
    const seen = await page.evaluate(() => {
      const observer = new PerformanceObserver(() => {});
      observer.observe({ type: "layout-shift", buffered: true });
      const resources = performance.getEntriesByType("resource");
      return {
        shifts: observer.takeRecords().length,
        blocking: resources.filter((entry) => entry.renderBlockingStatus !== "non-blocking").map(({ name }) => name),
        tracker: resources.filter(({ name }) => name.includes("/lfa.")).length,
        elements: document.querySelectorAll("body > :not(p), iframe, img, style, link").length,
      };
    });
    assert.ok(seen.tracker >= 2, `${seen.tracker}`);
    assert.deepEqual([seen.shifts, seen.blocking, seen.elements], [0, [], 0]);
  });
});
