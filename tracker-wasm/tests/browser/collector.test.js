// From a page in Chromium through the real collector to the reports API.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { startCollector } from "./real-collector.js";
import { started, startBrowser, startPages, USER_AGENT } from "./setting.js";

const SITES = { required: "required", cookieless: "cookieless", open: "not-required" };

describe("the tracker with the real collector", { timeout: 180_000 }, () => {
  let collector, browser, pages, context;

  before(async () => {
    // One after the other: what started is ended, though what comes next may fail.
    collector = await startCollector(SITES);
    browser = await startBrowser();
    pages = await startPages();
  });
  after(async () => {
    await browser?.close();
    await pages?.close();
    await collector?.end();
  });
  afterEach(() => context?.close());

  /** Opens a page of the site in a fresh profile; gives it with the collector's answers to beacons. */
  async function visit(site) {
    context = await browser.newContext({ userAgent: USER_AGENT });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const tag = `<script async src="${collector.address}/lfa.js" data-site="${site}"></script>`;
    pages.set("/", `<!doctype html><title>${site}</title>${tag}`);
    const answers = [];
    page.on("response", (response) => {
      if (response.request().method() === "POST") answers.push(response.status());
    });
    await page.goto(`http://127.0.0.1:${pages.port}/`);
    await started(page);
    return { page, answers };
  }
  const answered = (page) =>
    page.waitForResponse((response) => response.request().method() === "POST").then((response) => response.status());

  /** The site's first lead, once there is one. */
  const lead = async (site) => (await collector.untilLeads(site, (leads) => leads.length > 0))[0];

  test("a visit with consent becomes a lead", async () => {
    const { page, answers } = await visit("required");
    assert.deepEqual(answers, []);
    const [status] = await Promise.all([answered(page), page.evaluate(() => lfa("consent", "granted"))]);
    assert.equal(status, 204);
    assert.match((await lead("required")).name, /Apple/);
  });

  test("a visit without an id becomes a lead where the site is cookieless", async () => {
    await visit("cookieless");
    assert.match((await lead("cookieless")).name, /Apple/);
    assert.deepEqual(await context.cookies(), []);
  });

  test("what the tracker writes is accepted: events, identify, engagement, forget", async () => {
    const { page, answers } = await visit("open");
    for (const call of [
      ["consent", "granted"],
      ["event", "Größe \n 🎉", { nested: [1, { a: "b\n" }] }],
      ["identify", { email: "ada@company.example" }],
      ["pageview", { url: "/virtual", title: "Virtual" }],
      ["forget"],
    ]) {
      await page.evaluate((call) => lfa(...call), call);
      await page.waitForTimeout(1200);
    }
    assert.ok(answers.length >= 3, `${answers}`);
    assert.deepEqual([...new Set(answers)], [204]);
    assert.deepEqual(await context.cookies(), []);
  });
});
