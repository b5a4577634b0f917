// A collector that only records: serves the tracker's files as the real one does and keeps what is sent to it.
import { readFile, readdir } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const BUILT = process.env.CARGO_TARGET_DIR
  ? `${process.env.CARGO_TARGET_DIR}/tracker/`
  : fileURLToPath(new URL("../../../target/tracker/", import.meta.url));
/** How long a test waits for what must come before it fails. */
const PATIENCE_MS = 15_000;
const SETTINGS = '"%FIRMSIGHT%"';

/** @returns the tracker's files by the path they are served under */
async function trackerFiles(sites) {
  const files = new Map();
  const names = await readdir(BUILT).catch(() => {
    throw new Error(`no tracker in ${BUILT}: run \`cargo xtask test\``);
  });
  for (const name of names.filter((name) => /\.(js|wasm)$/.test(name))) {
    files.set("/" + name.replace(/^core\./, "lfa."), await readFile(BUILT + name));
  }
  const shell = files.get("/lfa.js").toString();
  const settings = JSON.stringify({ endpoint: "/lfa", sites });
  files.set("/lfa.js", Buffer.from(shell.replace(SETTINGS, () => settings)));
  return files;
}

/** Starts on a free port; `sites` is what the collector says of its sites. */
export async function startRecorder(sites) {
  const files = await trackerFiles(sites);
  /** A test may set `answering`, which is waited for before a beacon is answered and may set headers of the answer. */
  const recorder = { beacons: [], requests: [], listeners: new Set(), answering: undefined };
  const server = createServer((request, response) => {
    const path = request.url.split("?")[0];
    recorder.requests.push(`${request.method} ${path}`);
    for (const listener of recorder.listeners) listener();
    response.setHeader("Access-Control-Allow-Origin", request.headers.origin ?? "*");
    response.setHeader("Access-Control-Allow-Credentials", "true");
    if (request.method === "POST" && path === "/lfa") {
      let body = "";
      request.setEncoding("utf8");
      request.on("data", (chunk) => (body += chunk));
      request.on("end", async () => {
        const beacon = { ...JSON.parse(body), headers: request.headers };
        recorder.beacons.push(beacon);
        for (const listener of recorder.listeners) listener();
        await recorder.answering?.(beacon, response);
        response.writeHead(204).end();
      });
    } else if (files.has(path)) {
      const type = path.endsWith(".wasm") ? "application/wasm" : "text/javascript; charset=utf-8";
      response.writeHead(200, { "Content-Type": type }).end(files.get(path));
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  recorder.port = server.address().port;
  recorder.close = () => new Promise((resolve) => server.close(resolve).closeAllConnections());
  recorder.forget = () => {
    recorder.beacons = [];
    recorder.requests = [];
  };
  /** All events so far. */
  recorder.events = (type) =>
    recorder.beacons.flatMap((beacon) => beacon.events).filter((event) => !type || event.type === type);
  const wait = (what, find) =>
    new Promise((resolve, reject) => {
      const end = (settle, value) => {
        clearTimeout(limit);
        recorder.listeners.delete(look);
        settle(value);
      };
      const look = () => {
        const found = find();
        if (found) end(resolve, found);
      };
      const limit = setTimeout(() => {
        const types = recorder.events().map((event) => event.type);
        end(reject, new Error(`waited for ${what}; requests: [${recorder.requests}], events: [${types}]`));
      }, PATIENCE_MS);
      recorder.listeners.add(look);
      look();
    });
  /** Waits until `count` events of the type have arrived. */
  recorder.until = (type, count = 1) =>
    wait(`${count} ${type}`, () => {
      const found = recorder.events(type);
      return found.length >= count && found;
    });
  /** Waits until something of this name was asked for. */
  recorder.untilRequested = (name) => wait(name, () => recorder.requests.some((request) => name.test(request)));
  return recorder;
}
