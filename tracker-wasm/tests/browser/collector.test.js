// From a page in Chromium through the real collector to the reports API. The binary is target/release/firmsight, which
// `cargo xtask build` makes, or what FIRMSIGHT_BINARY names.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, afterEach, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { started, startBrowser, startPages, USER_AGENT } from "./setting.js";

const TARGET = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL("../../../target", import.meta.url));
const BINARY = process.env.FIRMSIGHT_BINARY ?? join(TARGET, "release", "firmsight");
/** An address of Apple's own network. */
const COMPANY_ADDRESS = "17.253.144.10";
const SITES = { required: "required", cookieless: "cookieless", open: "not-required" };

/** A reverse proxy in front of the collector, whose visitors all come from the company's network. */
async function startProxy(collector) {
  const proxy = createServer((request, response) => {
    const headers = { ...request.headers, "x-forwarded-for": COMPANY_ADDRESS };
    const onward = httpRequest(collector + request.url, { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${proxy.address().port}`,
    close: () => new Promise((resolve) => proxy.close(resolve).closeAllConnections()),
  };
}

describe("the tracker with the real collector", { timeout: 180_000 }, () => {
  let folder, environment, server, proxy, adminAddress, browser, pages, context, token;

  const firmsight = async (...words) => (await promisify(execFile)(BINARY, words, { env: environment })).stdout;

  before(async () => {
    if (!existsSync(BINARY)) throw new Error(`no ${BINARY}: run \`cargo xtask test\`, which builds it`);
    folder = await mkdtemp(join(tmpdir(), "firmsight-browser-"));
    environment = {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      FIRMSIGHT_DATA_DIR: join(folder, "data"),
      FIRMSIGHT_PUBLIC__LISTEN: "127.0.0.1:0",
      FIRMSIGHT_ADMIN__LISTEN: "127.0.0.1:0",
      FIRMSIGHT_PUBLIC__TRUSTED_PROXIES: '["loopback"]',
      FIRMSIGHT_RESOLVER__DNS: "false",
      FIRMSIGHT_SPOOL__SEGMENT_AGE: "200ms",
    };
    server = spawn(BINARY, ["serve"], { env: environment, stdio: ["ignore", "pipe", "inherit"] });
    const addresses = [];
    for await (const line of createInterface({ input: server.stdout })) {
      const found = /http:\/\/[^\s/]+/.exec(line);
      if (found) addresses.push(found[0]);
      if (addresses.length === 2) break;
    }
    assert.equal(addresses.length, 2, "the collector ended before it said where it listens");
    adminAddress = addresses[1];
    proxy = await startProxy(addresses[0]);
    for (const [id, consent] of Object.entries(SITES)) {
      await firmsight("site", "add", "--id", id, "--name", id, "--host", "127.0.0.1", "--consent", consent);
    }
    token = (await firmsight("key", "create", "--name", "tests")).trim();
    [browser, pages] = await Promise.all([startBrowser(), startPages()]);
  });
  after(async () => {
    await browser?.close();
    await pages?.close();
    await proxy?.close();
    if (server?.exitCode === null) {
      server.kill();
      await once(server, "exit");
    }
    await rm(folder, { recursive: true, force: true });
  });
  afterEach(() => context?.close());

  /** Opens a page of the site in a fresh profile; gives it with the collector's answers to beacons. */
  async function visit(site) {
    context = await browser.newContext({ userAgent: USER_AGENT });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const tag = `<script async src="${proxy.address}/lfa.js" data-site="${site}"></script>`;
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

  /** Asks the reports API until it shows a visit of the site. */
  async function lead(site) {
    const day = (offset) => new Date(Date.now() + offset * 864e5).toISOString().slice(0, 10);
    const query = new URLSearchParams({ start_date: day(-1), end_date: day(1) });
    for (let attempt = 0; attempt < 60; attempt++) {
      const response = await fetch(`${adminAddress}/accounts/${site}/leads?${query}`, {
        headers: { Authorization: `Token token=${token}` },
      });
      assert.equal(response.status, 200, await response.clone().text());
      const { data } = await response.json();
      if (data.length > 0) return data[0].attributes;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    throw new Error(`the reports API shows no visit of ${site}`);
  }

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
