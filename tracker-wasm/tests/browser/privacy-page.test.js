// The opt-out page and the cookie declaration of the real collector, with and without scripts, to the rows in ClickHouse.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { startCollector } from "./real-collector.js";
import { started, startBrowser, stored, USER_AGENT } from "./setting.js";

const PAGE = (site) => `<!doctype html><title>${site}</title><script async src="/lfa.js" data-site="${site}"></script><h1>${site}</h1>`;
const SITES = { open: "not-required", scriptless: "not-required", required: "required" };

describe("the opt-out page", { timeout: 240_000 }, () => {
  let collector, browser, context;
  const pages = new Map();

  before(async () => {
    collector = await startCollector(SITES, pages);
    browser = await startBrowser();
    for (const site of Object.keys(SITES)) pages.set(`/${site}`, PAGE(site));
    pages.set("/favicon.ico", "");
    pages.set("/frame", '<!doctype html><iframe src="/lfa/privacy"></iframe>');
  });
  after(async () => {
    await browser?.close();
    await collector?.end();
  });
  afterEach(() => context?.close());

  async function profile(options = {}) {
    context = await browser.newContext({ userAgent: USER_AGENT, locale: "en-GB", ...options });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    const posts = [];
    page.on("request", (request) => request.method() === "POST" && posts.push(new URL(request.url()).pathname));
    return { page, complaints, posts };
  }
  async function visit(page, site) {
    await page.goto(`${collector.address}/${site}`);
    await started(page);
  }
  const cookies = async () => Object.fromEntries((await context.cookies()).map(({ name, value }) => [name, value]));
  const rows = (page) => page.locator("tbody tr:visible th").allTextContents();

  test("with scripts: shows cookies and local storage, erases here and in ClickHouse, holds, can be taken back", async () => {
    const { page, complaints, posts } = await profile();
    const counted = page.waitForResponse((response) => response.request().method() === "POST");
    await visit(page, "open");
    assert.equal((await counted).status(), 204);
    await collector.untilLeads("open", (leads) => leads.length === 1);
    const { _lfa: id } = await cookies();
    assert.match(id, /^LF1\.1\.[0-9a-f]{16}\.\d{13}$/);

    await page.goto(`${collector.address}/lfa/privacy?site=open`);
    assert.deepEqual((await rows(page)).sort(), ["_lfa", "_lfa_expiry"]);
    assert.ok((await page.textContent("tbody")).includes(id));
    assert.ok(await page.isHidden("#nothing"));

    await page.click("button[value=erase]");
    assert.match(await page.textContent("[role=status]"), /being erased/);
    assert.deepEqual(await rows(page), ["_lfa_consent"]);
    assert.deepEqual(await cookies(), { _lfa_consent: "false" });
    assert.deepEqual((await stored(page)).storage.filter((name) => name.startsWith("_lfa")), []);
    await collector.untilLeads("open", (leads) => leads.length === 0);

    posts.length = 0;
    await visit(page, "open");
    await page.waitForTimeout(500);
    assert.deepEqual(posts, []);
    // The collector itself obeys too: a beacon from a page that doesn't.
    const status = await page.evaluate(async () => {
      const event = { id: crypto.randomUUID(), at: Date.now(), type: "pageview", url: location.href };
      const beacon = { v: 1, site: "open", consent: "not-required", sent: Date.now(), events: [event] };
      return (await fetch("/lfa", { method: "POST", body: JSON.stringify(beacon) })).status;
    });
    assert.equal(status, 204);

    await page.goto(`${collector.address}/lfa/privacy?site=open`);
    assert.match(await page.textContent("main"), /You have objected/);
    await page.click("button[value=allow]");
    assert.deepEqual(await cookies(), {});
    assert.deepEqual(await rows(page), []);
    assert.ok(await page.isVisible("#nothing"));
    assert.deepEqual(await collector.leads("open"), []);
    await visit(page, "open");
    await collector.untilLeads("open", (leads) => leads.length === 1);
    assert.deepEqual(complaints, []);
  });

  test("without scripts: shows the cookies, erases here and in ClickHouse, in the visitor's language", async () => {
    const with_scripts = await profile();
    await visit(with_scripts.page, "scriptless");
    await collector.untilLeads("scriptless", (leads) => leads.length === 1);
    const state = await context.storageState();
    await context.close();

    const { page } = await profile({ javaScriptEnabled: false, storageState: state, locale: "de-AT" });
    await page.goto(`${collector.address}/lfa/privacy?site=scriptless`);
    assert.deepEqual(await rows(page), ["_lfa"]);
    await page.getByRole("button", { name: "Widersprechen und löschen" }).click();
    assert.match(await page.getByRole("status").textContent(), /Erledigt/);
    assert.deepEqual(await cookies(), { _lfa_consent: "false" });
    await collector.untilLeads("scriptless", (leads) => leads.length === 0);
    await page.getByRole("link", { name: "Français" }).click();
    assert.match(await page.getByRole("heading", { level: 1 }).textContent(), /vie privée/);
    await page.getByRole("button", { name: "Retirer l’opposition" }).click();
    assert.deepEqual(await cookies(), {});
  });

  test("an objection also stops what asked for consent and was granted", async () => {
    const { page, posts } = await profile();
    await visit(page, "required");
    await page.evaluate(() => lfa("consent", "granted"));
    await collector.untilLeads("required", (leads) => leads.length === 1);
    await page.goto(`${collector.address}/lfa/privacy?site=required`);
    await page.click("button[value=object]");
    posts.length = 0;
    await visit(page, "required");
    // A consent manager says again what it was told before the objection.
    await page.evaluate(() => lfa("consent", "granted", "manager"));
    await page.waitForTimeout(500);
    assert.deepEqual(posts, []);
    assert.deepEqual(await cookies(), { _lfa_consent: "false" });
  });

  test("it can't be framed, and another origin's form changes nothing", async () => {
    const { page } = await profile();
    await page.goto(`${collector.address}/frame`);
    const frame = page.frames().find((frame) => frame !== page.mainFrame());
    assert.ok(!(await frame.content()).includes("<form"));
    const other = collector.address.replace("127.0.0.1", "localhost");
    await page.goto(`${other}/open`);
    await page.evaluate((address) => {
      document.body.innerHTML = `<form method=post action="${address}/lfa/privacy"><button name=action value=erase>x</button></form>`;
    }, collector.address);
    const [answer] = await Promise.all([page.waitForResponse((response) => response.url().endsWith("/privacy")), page.click("button")]);
    assert.equal(answer.status(), 403);
    assert.deepEqual((await context.cookies(collector.address)).map(({ name }) => name), []);
  });

  test("it can be used with a screen reader and with weak eyes", async () => {
    const { page } = await profile();
    await context.addCookies([{ name: "_lfa_consent", value: "true", url: collector.address }]);
    await page.goto(`${collector.address}/lfa/privacy`);
    for (const [role, count] of [["main", 1], ["navigation", 1], ["table", 1], ["columnheader", 4], ["rowheader", 1], ["button", 2]]) {
      assert.equal(await page.getByRole(role).count(), count, role);
    }
    const found = await page.evaluate(() => {
      const light = (color) => {
        const [red, green, blue] = color.match(/\d+/g).map((part) => {
          const value = part / 255;
          return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
      };
      const behind = (element) => {
        const { backgroundColor } = getComputedStyle(element);
        return backgroundColor !== "rgba(0, 0, 0, 0)" ? backgroundColor : element.parentElement ? behind(element.parentElement) : "rgb(255, 255, 255)";
      };
      const contrast = (element) => {
        const [dark, bright] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => a - b);
        return (bright + 0.05) / (dark + 0.05);
      };
      const texts = [...document.querySelectorAll("h1, h2, p, a, th, td, button")].filter((element) => element.offsetParent);
      const levels = [...document.querySelectorAll("h1, h2, h3")].map(({ tagName }) => tagName);
      const described = [...document.querySelectorAll("[aria-describedby]")].every((element) => document.getElementById(element.getAttribute("aria-describedby")));
      return { lowest: Math.min(...texts.map(contrast)), levels, described, language: document.documentElement.lang };
    });
    // WCAG 2.2, 1.4.3 asks for 4.5.
    assert.ok(found.lowest >= 4.5, `${found.lowest}`);
    assert.deepEqual(found.levels, ["H1", "H2", "H2"]);
    assert.deepEqual([found.described, found.language], [true, "en"]);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "A");
  });

  test("the cookie declaration names all that the tracker stores, by command as by address", async () => {
    const { page } = await profile();
    await page.addInitScript(() => {
      const assigned = (window.assigned = []);
      const { get, set } = Object.getOwnPropertyDescriptor(Document.prototype, "cookie");
      Object.defineProperty(Document.prototype, "cookie", {
        get,
        set(cookie) {
          assigned.push(cookie.split("=")[0]);
          set.call(this, cookie);
        },
      });
    });
    await visit(page, "open");
    await page.evaluate(() => lfa("consent", "granted"));
    await page.waitForTimeout(1500);
    const seen = new Set([...(await page.evaluate(() => window.assigned)), ...(await stored(page)).storage]);
    const { cookies: items } = await (await fetch(`${collector.address}/lfa/cookies.json?site=open`)).json();
    const declared = items.map(({ name }) => name);
    assert.deepEqual([...seen].filter((name) => !declared.includes(name)), []);
    assert.ok(seen.size >= 3, `${[...seen]}`);
    const lives = Object.fromEntries((await context.cookies()).map(({ name, expires }) => [name, (expires - Date.now() / 1000) / 86_400]));
    for (const { name, life_days: days } of items.filter(({ name }) => name in lives)) {
      assert.ok(lives[name] <= days + 0.1, `${name} lives ${lives[name]} days, declared are ${days}`);
    }
    const typed = await collector.firmsight("site", "cookies", "--id", "open", "--format", "json");
    assert.deepEqual(JSON.parse(typed).cookies, items);
    const section = await collector.firmsight("site", "cookies", "--id", "open", "--language", "fr");
    assert.match(section, /^<section lang="fr"/);
    await page.goto(`${collector.address}/lfa/cookies?site=open`);
    assert.deepEqual(await page.locator("tbody th").allTextContents(), declared);
  });
});
