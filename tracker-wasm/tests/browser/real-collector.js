// `firmsight serve` on free ports with an embedded store, and a reverse proxy in front whose visitors all come from a company's
// network. The binary is target/release/firmsight, which `cargo xtask build` makes, or what FIRMSIGHT_BINARY names.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const TARGET = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL("../../../target", import.meta.url));
const BINARY = process.env.FIRMSIGHT_BINARY ?? join(TARGET, "release", "firmsight");
/** How long a test waits for what must come before it fails. */
const PATIENCE_MS = 60_000;
/** An address of Apple's own network. */
const COMPANY_ADDRESS = "17.253.144.10";

/**
 * `pages` are HTML by path, served by the proxy itself: website and collector then share an origin. `taken` is called with
 * each beacon that the collector answered with 204.
 */
async function startProxy(collector, pages, taken) {
  const proxy = createServer((request, response) => {
    const page = pages.get(request.url.split("?")[0]);
    if (page !== undefined) return response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(page);
    const headers = { ...request.headers, "x-forwarded-for": COMPANY_ADDRESS };
    const onward = httpRequest(collector + request.url, { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
      if (request.method === "POST" && answer.statusCode === 204) taken(JSON.parse(Buffer.concat(body)));
    });
    onward.on("error", () => response.destroy());
    const body = [];
    request.on("data", (chunk) => body.push(chunk));
    request.pipe(onward);
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${proxy.address().port}`,
    close: () => new Promise((resolve) => proxy.close(resolve).closeAllConnections()),
  };
}

/**
 * Starts everything with these sites, consent modes by id, on the host 127.0.0.1; `settings` are further ones of the
 * collector, as environment variables.
 */
export async function startCollector(sites, pages = new Map(), settings = {}) {
  if (!existsSync(BINARY)) throw new Error(`no ${BINARY}: run \`cargo xtask test\`, which builds it`);
  const folder = await mkdtemp(join(tmpdir(), "firmsight-browser-"));
  const environment = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    // Where the data files are.
    ...(process.env.XDG_CACHE_HOME && { XDG_CACHE_HOME: process.env.XDG_CACHE_HOME }),
    FIRMSIGHT_DATA_DIR: join(folder, "data"),
    FIRMSIGHT_PUBLIC__LISTEN: "127.0.0.1:0",
    FIRMSIGHT_ADMIN__LISTEN: "127.0.0.1:0",
    FIRMSIGHT_PUBLIC__TRUSTED_PROXIES: '["loopback"]',
    FIRMSIGHT_RESOLVER__DNS: "false",
    FIRMSIGHT_SPOOL__SEGMENT_AGE: "200ms",
    ...settings,
  };
  const server = spawn(BINARY, ["serve"], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  let store;
  createInterface({ input: server.stderr }).on("line", (line) => {
    store ??= /embedded ClickHouse started url="([^"]+)"/.exec(line)?.[1];
    console.error(line);
  });
  const addresses = [];
  for await (const line of createInterface({ input: server.stdout })) {
    const found = /http:\/\/[^\s/]+/.exec(line);
    if (found) addresses.push(found[0]);
    if (addresses.length === 2) break;
  }
  assert.equal(addresses.length, 2, "the collector ended before it said where it listens");
  const [publicAddress, adminAddress] = addresses;
  const taken = [];
  const waiting = new Set();
  const proxy = await startProxy(publicAddress, pages, (beacon) => {
    taken.push(...beacon.events);
    for (const look of waiting) look();
  });
  const firmsight = async (...words) => (await promisify(execFile)(BINARY, words, { env: environment })).stdout;
  for (const [id, consent] of Object.entries(sites)) {
    await firmsight("site", "add", "--id", id, "--name", id, "--host", "127.0.0.1", "--consent", consent);
  }
  const token = (await firmsight("key", "create", "--name", "tests")).trim();

  /** What the reports API shows of a site. */
  async function leads(site) {
    const day = (offset) => new Date(Date.now() + offset * 864e5).toISOString().slice(0, 10);
    const query = new URLSearchParams({ start_date: day(-1), end_date: day(1) });
    const headers = { Authorization: `Token token=${token}` };
    const response = await fetch(`${adminAddress}/accounts/${site}/leads?${query}`, { headers });
    assert.equal(response.status, 200, await response.clone().text());
    return (await response.json()).data.map(({ attributes }) => attributes);
  }
  return {
    address: proxy.address,
    adminAddress,
    token,
    firmsight,
    /** Waits until the collector took `count` different pageviews of this path, query and all. */
    untilTaken: (path, count = 1) =>
      new Promise((resolve, reject) => {
        const end = (settle, value) => {
          clearTimeout(limit);
          waiting.delete(look);
          settle(value);
        };
        const shown = ({ type, url }) => type === "pageview" && new URL(url).pathname + new URL(url).search === path;
        const look = () => new Set(taken.filter(shown).map(({ id }) => id)).size >= count && end(resolve);
        const limit = setTimeout(() => end(reject, new Error(`waited for ${count} pageviews of ${path}`)), PATIENCE_MS);
        waiting.add(look);
        look();
      }),
    leads,
    /** Asks the reports API until what it shows of a site passes the test. */
    async untilLeads(site, passes) {
      for (let attempt = 0; attempt < 80; attempt++) {
        const found = await leads(site);
        if (passes(found)) return found;
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      throw new Error(`the reports API of ${site} shows ${JSON.stringify(await leads(site))}`);
    },
    /** Rows of the embedded ClickHouse, whose secret stands in its folder. */
    async query(sql) {
      const configuration = await readFile(join(folder, "data", "clickhouse", "config.xml"), "utf8");
      const [, header, secret] = /<headers><([\w-]+)>(\w+)</.exec(configuration);
      const response = await fetch(`${store}/?database=firmsight&default_format=JSONCompact`, {
        method: "POST",
        headers: { [header]: secret },
        body: sql,
      });
      const answer = await response.text();
      assert.equal(response.status, 200, answer);
      return JSON.parse(answer).data;
    },
    async end() {
      await proxy.close();
      if (server.exitCode === null) {
        server.kill();
        await once(server, "exit");
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}
