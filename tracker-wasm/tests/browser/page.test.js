// What the part that is fetched after consent does: links, forms, scroll depth, delivery; and where the id is kept.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { arrange, cookiesOf, startBrowser, started } from "./setting.js";

const SITES = { open: { consent: "not-required" }, known: { consent: "not-required", identify: true } };

describe("on a page that may be tracked", { timeout: 180_000 }, () => {
  let browser, setting, recorder, profile;

  before(async () => (browser = await startBrowser()));
  after(() => browser.close());
  // Servers of its own for each test: what a browser still sends for a page that was closed arrives at nobody's.
  beforeEach(async () => {
    setting = await arrange(SITES, browser);
    recorder = setting.recorder;
  });
  afterEach(async () => {
    await profile?.context.close();
    await setting.end();
  });

  /** Opens a page and waits for the part. */
  async function visit(content, { site = "open", attributes = "async", script } = {}) {
    setting.pages.set("/", `<!doctype html><title>Page</title><body>${setting.tag(site, attributes)}${content}`);
    profile = await setting.profile();
    if (script) await profile.context.addInitScript(script);
    const { page } = profile;
    await Promise.all([page.waitForResponse((response) => /\.page\.js$/.test(response.url())), page.goto(setting.origin)]);
    await recorder.until("pageview");
    await page.waitForTimeout(200);
    return page;
  }

  test("links that leave and files that are fetched are told, others are not", async () => {
    const links = ["/inside", "https://other.example/x?y=1#z", "/file.PDF", "/list.xyz", "mailto:a@b.example"];
    const page = await visit(
      links.map((link) => `<a href="${link}"><b>link</b></a>`).join("") + `<a data-lfa-ignore href="/secret.pdf">x</a>`,
    );
    await page.evaluate(() => {
      addEventListener("click", (event) => event.preventDefault());
      for (const link of document.querySelectorAll("a")) (link.firstElementChild ?? link).click();
    });
    const [outbound] = await recorder.until("outbound");
    const downloads = await recorder.until("download");
    assert.deepEqual(outbound.props, { url: "https://other.example/x?y=1" });
    assert.deepEqual(downloads.map(({ props }) => props.url), [setting.origin + "/file.PDF"]);
    assert.equal(outbound.page, recorder.events("pageview")[0].id);
    assert.equal(recorder.events("outbound").length, 1);
  });

  test("a page may name its own endings", async () => {
    const page = await visit(`<a href="/model.xyz">x</a>`, { attributes: `async data-downloads="xyz step"` });
    await page.evaluate(() => {
      addEventListener("click", (event) => event.preventDefault());
      document.querySelector("a").click();
    });
    assert.equal((await recorder.until("download")).length, 1);
  });

  const FORM = `<form id=signup action="/">
    <input name=id value=x> <input name=email value=ada@company.example> <input name=company value=Company>
    <input type=password name=pass value=secret> <input type=hidden name=token value=secret>
    <input autocomplete="billing cc-number" name=card value=4111> <input data-lfa-ignore name=salary value=1>
    <div data-lfa-ignore><input name=inner value=1></div> <input type=checkbox name=news value=yes>
    <textarea name=note>text</textarea> <button name=go>Go</button></form>`;
  const NAMES = ["id", "email", "company", "news", "note"];
  const submit = (page) =>
    page.evaluate(() => {
      addEventListener("submit", (event) => event.preventDefault());
      document.forms[0].requestSubmit();
    });

  test("a form is told by its id and the names of its fields, never by values", async () => {
    const page = await visit(FORM, { site: "known" });
    await page.evaluate(() => lfa("consent", "granted"));
    await submit(page);
    const [form] = await recorder.until("form");
    assert.deepEqual([form.name, form.props], ["signup", { fields: NAMES }]);
  });

  for (const [what, site, grant, values] of [
    ["values are told of fields that the owner names, where somebody agreed and the site may identify", "known", true, { email: "ada@company.example" }],
    ["values are not told where nobody agreed", "known", false, undefined],
    ["values are not told where the site may not identify", "open", true, undefined],
  ]) {
    test(what, async () => {
      const attributes = `async data-form-values="email news pass token card salary inner"`;
      const page = await visit(FORM, { site, attributes });
      if (grant) await page.evaluate(() => lfa("consent", "granted"));
      await submit(page);
      const [form] = await recorder.until("form");
      assert.deepEqual(form.props, values ? { fields: NAMES, values } : { fields: NAMES });
    });
  }

  test("how far down the page was seen is told with its visible time", async () => {
    const page = await visit(`<div style="height:10000px"></div>`);
    await page.evaluate(() => scrollTo(0, 4600));
    await page.waitForTimeout(300);
    await page.goto("about:blank");
    const [{ scroll }] = await recorder.until("engagement");
    assert.ok(scroll >= 45 && scroll <= 60, `${scroll}`);
  });

  test("language and class of screen are told, nothing finer", async () => {
    await visit("");
    const [{ props }] = recorder.events("pageview");
    assert.deepEqual(Object.keys(props).sort(), ["language", "screen"]);
    assert.match(props.screen, /^(small|medium|large)$/);
  });

  test("what happened offline is sent when the browser is online again, once", async () => {
    const page = await visit("");
    await profile.context.setOffline(true);
    await page.evaluate(() => history.pushState(null, "", "/offline"));
    await page.waitForFunction(() => localStorage._lfa_queue);
    await profile.context.setOffline(false);
    const [, { url }] = await recorder.until("pageview", 2);
    assert.equal(url, setting.origin + "/offline");
    await page.waitForFunction(() => !localStorage._lfa_queue);
    assert.equal(recorder.events("pageview").length, 2);
  });

  test("a withdrawal removes what waits to be sent", async () => {
    const page = await visit("");
    await profile.context.setOffline(true);
    await page.evaluate(() => history.pushState(null, "", "/offline"));
    await page.waitForFunction(() => localStorage._lfa_queue);
    await page.evaluate(() => lfa("consent", "denied"));
    await profile.context.setOffline(false);
    await page.waitForTimeout(500);
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);
    assert.deepEqual(recorder.events("pageview").map(({ url }) => url), [setting.origin + "/"]);
  });

  test("routes in the fragment count where the page wants them, other fragments are never sent", async () => {
    const page = await visit("", { attributes: `async data-pageviews="hash"` });
    for (const hash of ["#/orders", "#token=1", "#/orders/7"]) {
      await page.evaluate((hash) => (location.hash = hash), hash);
      await page.waitForTimeout(150);
    }
    await recorder.until("pageview", 4);
    const shown = recorder.events("pageview").map(({ url }) => url.replace(setting.origin, ""));
    assert.deepEqual(shown, ["/", "/#/orders", "/", "/#/orders/7"]);
  });

  test("with manual pageviews only the page's own count", async () => {
    setting.pages.set("/", `<!doctype html>${setting.tag("open", 'async data-pageviews="manual"')}`);
    profile = await setting.profile();
    await profile.page.goto(setting.origin);
    await started(profile.page);
    await profile.page.evaluate(() => history.pushState(null, "", "/pushed"));
    await profile.page.waitForTimeout(300);
    await profile.page.evaluate(() => lfa("pageview", { url: "/mine" }));
    const [{ url }, ...more] = await recorder.until("pageview");
    assert.deepEqual([url, more], [setting.origin + "/mine", []]);
  });

  for (const [host, domain] of [
    ["www.shop.example", ".shop.example"],
    ["a.b.firm.co.uk", ".firm.co.uk"],
    ["www.studio.photography", ".studio.photography"],
    ["localhost", "localhost"],
    ["127.0.0.1", "127.0.0.1"],
  ]) {
    test(`on ${host} the id is kept for ${domain}, the widest domain that takes cookies, and the probe is removed`, async () => {
      setting.pages.set("/", `<!doctype html>${setting.tag("open")}`);
      profile = await setting.profile();
      await profile.page.goto(`http://${host}:${setting.pages.port}`);
      await recorder.until("pageview");
      const cookies = await cookiesOf(profile.page);
      assert.deepEqual(cookies.map((cookie) => [cookie.name, cookie.domain]), [["_lfa", domain]]);
    });
  }

  const FAILING = {
    "cookies that throw": () => {
      const fail = () => {
        throw new DOMException("no", "SecurityError");
      };
      Object.defineProperty(Document.prototype, "cookie", { get: fail, set: fail });
    },
    "cookies that are ignored": () =>
      Object.defineProperty(Document.prototype, "cookie", { get: () => "", set() {} }),
    "a storage that throws": () =>
      Object.defineProperty(window, "localStorage", {
        get() {
          throw new DOMException("no", "SecurityError");
        },
      }),
    "a full storage": () => {
      Storage.prototype.setItem = () => {
        throw new DOMException("full", "QuotaExceededError");
      };
    },
    "no storage at all": () => Object.defineProperty(window, "localStorage", { get: () => null }),
  };
  for (const [name, script] of Object.entries(FAILING)) {
    test(`${name}: nothing is thrown, and the visit arrives`, async () => {
      const errors = [];
      const page = await visit("", { script });
      page.on("pageerror", (error) => errors.push(error));
      await profile.context.setOffline(true);
      await page.evaluate(() => history.pushState(null, "", "/offline"));
      await page.waitForTimeout(200);
      await profile.context.setOffline(false);
      await recorder.until("pageview", 2);
      await page.evaluate(() => lfa("consent", "denied"));
      await recorder.until("forget");
      assert.deepEqual(errors, []);
      const clients = new Set(recorder.beacons.map(({ client }) => client));
      assert.equal(clients.size, 1);
    });
  }
});
