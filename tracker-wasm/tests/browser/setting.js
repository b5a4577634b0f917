// What every test here stands on: one Chromium, a server for pages, a recording collector, and names for both that
// resolve to this machine only.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { startRecorder } from "./recorder.js";

const CHROMIUM = process.env.FIRMSIGHT_CHROMIUM ?? "/usr/bin/chromium";
// The real collector drops what says that it is headless.
export const USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP *.shop.example 127.0.0.1, MAP *.firm.co.uk 127.0.0.1, MAP *.studio.photography 127.0.0.1",
];

function checkChromium() {
  if (!existsSync(CHROMIUM)) throw new Error(`no ${CHROMIUM}: run \`cargo xtask test\`, which installs it`);
}

export async function startBrowser() {
  checkChromium();
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ARGUMENTS,
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
}

/** A Chromium that nobody steers: a browser under playwright never prerenders. Gives a function that ends it. */
export async function startUnsteered(address) {
  checkChromium();
  const profile = await mkdtemp(join(tmpdir(), "firmsight-chromium-"));
  const headless = ["--headless=new", `--user-data-dir=${profile}`, `--user-agent=${USER_AGENT}`];
  const browser = spawn(CHROMIUM, [...ARGUMENTS, ...headless, address], { stdio: "ignore", detached: true });
  return async () => {
    process.kill(-browser.pid);
    await once(browser, "exit");
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
}

/** Serves what `pages` maps paths to: HTML, or {body, headers}. */
export async function startPages() {
  const pages = new Map();
  const requested = new Set();
  const server = createServer((request, response) => {
    requested.add(request.url.split("?")[0]);
    const found = pages.get(request.url.split("?")[0]);
    const { body, headers } = typeof found === "object" ? found : { body: found, headers: {} };
    response.writeHead(found === undefined ? 404 : 200, { "Content-Type": "text/html; charset=utf-8", ...headers });
    response.end(body ?? "");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    set: (path, page) => pages.set(path, page),
    /** Whether somebody asked for it. */
    wasRequested: (path) => requested.has(path),
    port: server.address().port,
    close: () => new Promise((resolve) => server.close(resolve).closeAllConnections()),
  };
}

/** Runs in the page before anything else: notes each look at what tells browsers or people apart. */
function setTraps() {
  const touched = (window.touched = []);
  const trap = (owner, name) => {
    const { get, set } = Object.getOwnPropertyDescriptor(owner, name);
    Object.defineProperty(owner, name, {
      configurable: true,
      get() {
        touched.push(name);
        return get.call(this);
      },
      set(value) {
        touched.push(name + "=");
        set?.call(this, value);
      },
    });
  };
  for (const name of ["cookie", "referrer", "title"]) trap(Document.prototype, name);
  for (const name of ["localStorage", "sessionStorage", "indexedDB", "screen"]) trap(window, name);
  for (const name of ["language", "languages", "userAgent", "platform", "plugins"]) trap(Navigator.prototype, name);
  for (const name of ["width", "height"]) trap(Screen.prototype, name);
}

/** The setting without a browser; `sites` is what the collector says of its sites. */
export async function arrangeServers(sites) {
  const [pages, recorder] = await Promise.all([startPages(), startRecorder(sites)]);
  const collector = `http://collect.shop.example:${recorder.port}`;
  return {
    pages,
    recorder,
    collector,
    origin: `http://www.shop.example:${pages.port}`,
    /** The script tag of the documentation. */
    tag: (site, attributes = "async") => `<script ${attributes} src="${collector}/lfa.js" data-site="${site}"></script>`,
    end: () => Promise.all([pages.close(), recorder.close()]),
  };
}

/** The whole setting. A browser that is shared stays open. */
export async function arrange(sites, shared) {
  const [browser, servers] = await Promise.all([shared ?? startBrowser(), arrangeServers(sites)]);
  return {
    ...servers,
    browser,
    /** A fresh browser profile with one tab. */
    async profile({ gpc = false, traps = false } = {}) {
      const context = await browser.newContext({ userAgent: USER_AGENT });
      context.setDefaultTimeout(10_000);
      if (traps) await context.addInitScript(setTraps);
      if (gpc) {
        await context.addInitScript(() =>
          Object.defineProperty(Navigator.prototype, "globalPrivacyControl", { get: () => true }),
        );
      }
      return { context, page: await context.newPage() };
    },
    async end() {
      if (!shared) await browser.close();
      await servers.end();
    },
  };
}

/** Waits until the tracker has started, with or without leave to do anything. */
export const started = (page) => page.waitForFunction(() => window.lfa?.q && Object.hasOwn(window.lfa.q, "push"));

/**
 * The browser's cookies, after what the page wrote.
 *
 * Chromium writes a page's cookies into another process and doesn't wait for that; a cookie that the page reads comes
 * after what it wrote, so one is read before the browser is asked for all of them.
 */
export async function cookiesOf(page) {
  await page.evaluate(() => void document.cookie);
  return page.context().cookies();
}

/** What is stored in the browser for the page. */
export async function stored(page) {
  const cookies = await cookiesOf(page);
  const storage = await page.evaluate(() => Object.keys(localStorage).concat(Object.keys(sessionStorage)));
  return { cookies: Object.fromEntries(cookies.map(({ name, value }) => [name, value])), storage };
}
