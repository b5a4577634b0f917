// The npm package as somebody installs it: packed, installed into a project of its own, type-checked, bundled, and run in
// Chromium against a recording collector.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { arrange, bundle, run, started, TARGET, typeCheck } from "./support.js";

const PACKAGE = join(TARGET, "npm", "tracker");

describe("the npm package", { timeout: 120_000 }, () => {
  let project, setting, profile;

  before(async () => {
    if (!existsSync(PACKAGE)) throw new Error(`no ${PACKAGE}: run \`cargo xtask test\`, which makes it`);
    project = await mkdtemp(join(tmpdir(), "firmsight-npm-"));
    await writeFile(join(project, "package.json"), '{ "private": true, "type": "module" }');
    await run("npm", ["pack", "--silent", "--pack-destination", project, PACKAGE]);
    const archive = (await readdir(project)).find((name) => name.endsWith(".tgz"));
    const quiet = ["--offline", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"];
    await run("npm", ["install", ...quiet, join(project, archive)], { cwd: project });
    setting = await arrange({ site: {} });
  });
  after(async () => {
    await setting?.end();
    await rm(project, { recursive: true, force: true });
  });
  afterEach(async () => {
    await profile?.context.close();
    setting.recorder.forget();
  });

  const installed = (...path) => join(project, "node_modules", "@firmsight", "tracker", ...path);

  /** Opens a page whose only script is a bundle of this program. */
  async function open(program, { head = "", headers = {} } = {}) {
    setting.pages.set("/app.js", await bundle({ contents: program, resolveDir: project, loader: "ts" }));
    const body = `<!doctype html><title>App</title>${head}<script defer src="/app.js" nonce="n0nce"></script>`;
    setting.pages.set("/", { body, headers });
    profile = await setting.profile();
    await profile.page.goto(setting.origin);
    return profile.page;
  }

  test("it holds what its description promises, and the tracker byte for byte", async () => {
    for (const name of ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "index.js", "index.d.ts"]) {
      assert.ok(existsSync(installed(name)), name);
    }
    const description = JSON.parse(await readFile(installed("package.json"), "utf8"));
    assert.match(description.version, /^\d+\.\d+\.\d+$/);
    const built = (await readdir(join(TARGET, "tracker"))).filter((name) => /\.(js|wasm)$/.test(name));
    assert.ok(built.length >= 3);
    for (const name of built) {
      const copy = await readFile(installed("files", name.replace(/^core\./, "lfa.")));
      assert.ok(copy.equals(await readFile(join(TARGET, "tracker", name))), name);
    }
  });

  test("its types accept right calls and refuse wrong ones", async () => {
    const options = ["--module", "nodenext", "--moduleResolution", "nodenext", "right.ts"];
    await writeFile(
      join(project, "right.ts"),
      `import { lfa, start, type Lfa, type StartOptions } from "@firmsight/tracker";
      const options: StartOptions = { script: "https://stats.example.com/lfa.js", site: "s", consentRemember: true };
      start(options);
      lfa("consent", "granted");
      lfa("consent", "denied", "manager");
      lfa("event", "Name", { amount: 3, list: ["a", { b: null }] });
      lfa("pageview", { url: "/virtual" });
      lfa("pageview");
      lfa("identify", { email: "ada@company.example" });
      lfa("forget");
      const same: Lfa | undefined = window.lfa;
      same?.("init", { site: "s" });`,
    );
    await typeCheck(project, options);
    for (const wrong of [
      'lfa("consent", "maybe")',
      'lfa("consnet", "granted")',
      'lfa("event")',
      'lfa("event", "Name", { at: () => 1 })',
      'lfa("identify", { mail: "a@b.example" })',
      'start({ site: "s" })',
      'start({ script: "/lfa.js" })',
      'start({ script: "/lfa.js", site: "s", consent: "not-required" })',
    ]) {
      await writeFile(join(project, "right.ts"), `import { lfa, start } from "@firmsight/tracker"; ${wrong};`);
      await assert.rejects(typeCheck(project, options), /right\.ts/, wrong);
    }
  });

  test("a bundled page sends a pageview after consent, with calls from before the script arrived", async () => {
    const page = await open(`import { lfa, start } from "@firmsight/tracker";
      lfa("consent", "granted");
      lfa("event", "Early", { from: "bundle" });
      start({ script: "${setting.collector}/lfa.js", site: "site" });
      start({ script: "${setting.collector}/lfa.js", site: "site" });`);
    await started(page);
    const [pageview] = await setting.recorder.until("pageview");
    assert.equal(pageview.title, "App");
    const [event] = await setting.recorder.until("custom");
    assert.equal(event.name, "Early");
    assert.equal(setting.recorder.events("pageview").length, 1);
    assert.equal(setting.recorder.requests.filter((request) => request === "GET /lfa.js").length, 1);
  });

  test("without consent nothing is sent or stored", async () => {
    const page = await open(`import { start } from "@firmsight/tracker";
      start({ script: "${setting.collector}/lfa.js", site: "site" });`);
    await started(page);
    await page.waitForTimeout(300);
    assert.deepEqual(setting.recorder.beacons, []);
    assert.deepEqual(await profile.context.cookies(), []);
  });

  test("it works under a strict policy with a nonce and Trusted Types", async () => {
    const policy =
      `default-src 'none'; script-src 'nonce-n0nce' 'strict-dynamic'; connect-src ${setting.collector}; ` +
      "require-trusted-types-for 'script'; trusted-types firmsight";
    const page = await open(
      `import { lfa, start } from "@firmsight/tracker";
      start({ script: "${setting.collector}/lfa.js", site: "site", nonce: "n0nce" });
      lfa("consent", "granted");`,
      { headers: { "Content-Security-Policy": policy } },
    );
    await started(page);
    await setting.recorder.until("pageview");
  });

  test("its files work from the website itself, and ask for consent", async () => {
    for (const name of await readdir(installed("files"))) {
      const headers = name.endsWith(".wasm") ? { "Content-Type": "application/wasm" } : { "Content-Type": "text/javascript" };
      setting.pages.set(`/stats/${name}`, { body: await readFile(installed("files", name)), headers });
    }
    const page = await open(`import { start } from "@firmsight/tracker";
      start({ script: "/stats/lfa.js", site: "site", endpoint: "${setting.collector}/lfa" });`);
    await started(page);
    await page.waitForTimeout(300);
    assert.deepEqual(setting.recorder.beacons, []);
    await page.evaluate(() => lfa("consent", "granted"));
    await setting.recorder.until("pageview");
    assert.ok(setting.recorder.requests.every((request) => !request.startsWith("GET ")), `${setting.recorder.requests}`);
  });

  test("on a server it does nothing", async () => {
    const program = join(project, "server.js");
    await writeFile(
      program,
      `import { lfa, start } from "@firmsight/tracker";
      start({ script: "/lfa.js", site: "s" }); lfa("event", "x"); console.log(typeof globalThis.lfa);`,
    );
    const { stdout } = await run(process.execPath, [program], { cwd: project });
    assert.equal(stdout.trim(), "undefined");
  });
});
