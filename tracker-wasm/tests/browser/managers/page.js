// Puts a consent manager and the tracker on a page, in either order, and looks at what of ours is in the browser.
import { started } from "../setting.js";

/**
 * Runs in the page before anything else: notes what scripts from this host read, by the innermost script frame. The first
 * two frames are the trap's own; Firefox says that they stand in the page.
 */
export function setTraps(host) {
  const touched = (window.touchedByUs = []);
  const note = (name) => {
    const frames = new Error().stack.split("\n").filter((line) => /@|^ +at /.test(line));
    const reader = frames.slice(2).find((line) => line.includes("://"));
    if (reader?.includes(host)) touched.push(name);
  };
  const trap = (owner, name) => {
    const { get, set } = Object.getOwnPropertyDescriptor(owner, name) ?? {};
    if (!get) return;
    Object.defineProperty(owner, name, {
      configurable: true,
      get() {
        note(name);
        return get.call(this);
      },
      set(value) {
        note(name + "=");
        set?.call(this, value);
      },
    });
  };
  for (const name of ["cookie", "referrer", "title"]) trap(Document.prototype, name);
  for (const name of ["localStorage", "sessionStorage", "indexedDB", "caches", "cookieStore", "screen"]) trap(window, name);
  for (const name of ["language", "languages", "userAgent", "platform", "plugins", "hardwareConcurrency"])
    trap(Navigator.prototype, name);
  for (const name of ["width", "height", "availWidth", "availHeight"]) trap(Screen.prototype, name);
  for (const name of ["innerWidth", "innerHeight", "devicePixelRatio"]) trap(window, name);
}

/** What of ours is stored in the browser; runs in the page. */
export async function storedByUs() {
  const names = document.cookie.split("; ").concat(Object.keys(localStorage), Object.keys(sessionStorage));
  const databases = (await indexedDB.databases()).map(({ name }) => name);
  return names
    .map((name) => name.split("=")[0])
    .filter((name) => name.startsWith("_lfa"))
    .concat(databases, await (window.caches?.keys() ?? []))
    .sort();
}

const element = ({ inline, src, ...attributes }) => {
  const list = Object.entries({ ...attributes, ...(src && { src }) });
  return `<script ${list.map(([name, value]) => `${name}="${value}"`).join(" ")}>${inline ?? ""}</script>`;
};

/** The page's HTML: the manager first, or the tracker alone, to which the manager is added later. */
export function html(manager, tag, managerFirst) {
  const scripts = managerFirst ? manager.steps.map(element).join("") + tag : tag;
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>A page</title><body><p>Text${scripts}`;
}

/** Opens the page; where the manager comes later, adds it once the tracker runs. */
export async function open(page, address, manager, managerFirst) {
  await page.goto(address);
  await started(page);
  for (const step of managerFirst ? [] : manager.steps) {
    await page.evaluate(
      ({ inline, ...attributes }) =>
        new Promise((resolve, reject) => {
          const script = Object.assign(document.createElement("script"), attributes, inline && { text: inline });
          Object.assign(script, { onload: resolve, onerror: reject });
          document.head.append(script);
          if (inline) resolve();
        }),
      step,
    );
  }
}

/** Serves the manager's files. */
export async function serve(pages, manager) {
  for (const [path, read] of Object.entries(manager.files)) {
    const type = path.endsWith(".css") ? "text/css" : "text/javascript; charset=utf-8";
    pages.set(path, { body: await read(), headers: { "Content-Type": type } });
  }
}
