// Each consent manager, as its package or as a mock of its documented hooks, on a page that holds nothing of ours but
// the script tag: the tracker finds the manager by itself and follows it. In Chromium.
import { after, before, describe } from "node:test";
import { MOCKS, PACKAGES } from "./managers/managers.js";
import { setTraps } from "./managers/page.js";
import { testManagers } from "./managers/suite.js";
import { arrange, startBrowser } from "./setting.js";

// The tests mostly wait; each has servers and a profile of its own.
describe("consent managers", { timeout: 300_000, concurrency: 4 }, () => {
  let browser;

  before(async () => (browser = await startBrowser()));
  after(() => browser.close());

  async function arranged() {
    const setting = await arrange({}, browser);
    const { context, page } = await setting.profile();
    await context.addInitScript(setTraps, new URL(setting.collector).host);
    return { setting, page, end: () => context.close().then(setting.end) };
  }

  testManagers(arranged, "package", PACKAGES);
  testManagers(arranged, "mock", MOCKS);
});
