// What these tests share: the setting of the browser tests, bundling, type checking.
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export { arrange, startBrowser, started, stored } from "../browser/setting.js";

export const run = promisify(execFile);
export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
export const EXAMPLES = join(ROOT, "examples");
export const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
export const HERE = dirname(fileURLToPath(import.meta.url));
export const JAVASCRIPT = { "Content-Type": "text/javascript; charset=utf-8" };

export const fromBrowserTests = createRequire(new URL("../browser/setting.js", import.meta.url));
const { build } = fromBrowserTests("esbuild");

/** Bundles a program for the browser, as a site's own build would; packages come from these tests' folder too. */
export async function bundle(entry, { define = {}, ...more } = {}) {
  const { outputFiles } = await build({
    ...(typeof entry === "string" ? { entryPoints: [entry] } : { stdin: entry }),
    bundle: true,
    write: false,
    format: "iife",
    jsx: "automatic",
    nodePaths: [join(HERE, "node_modules")],
    define: { "process.env.NODE_ENV": '"production"', ...define },
    logLevel: "error",
    ...more,
  });
  return { body: Buffer.from(outputFiles[0].contents), headers: JAVASCRIPT };
}

/** Type-checks TypeScript files strictly; fails with the compiler's words. */
export async function typeCheck(folder, options) {
  const compiler = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  const common = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--lib", "es2022,dom"];
  try {
    await run(process.execPath, [compiler, ...common, ...options], { cwd: folder });
  } catch (error) {
    throw new Error(error.stdout || error.message);
  }
}
