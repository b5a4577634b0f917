// The shell of the tracker: finds its script tag, tells the core what happens on the page, takes readings when the
// core asks for them and performs the effects it answers with. What may be read, stored or sent is decided in the
// core; ../src/lib.rs describes the texts between the two.
//
// The collector replaces the string at the end by {endpoint, sites: {ID: {consent, identify}}} when it serves this
// file; "%CORE%" and "%MANAGERS%" are replaced by `cargo xtask tracker`.
((served) => {
  const page = window;
  // Calls wait in the queue until the core has arrived; later calls go through the same `push`.
  const queue = page.lfa?.q || [];
  if (queue.here) return; // Included twice counts once.
  queue.here = 1;
  (page.lfa = (...call) => {
    queue.push(call);
  }).q = queue;

  const quietly = (action) => {
    try {
      return action();
    } catch {}
  };

  // The script that is running, where that is known; else one that looks like it.
  const script = [document.currentScript, ...document.scripts].find(
    (other, position) => other?.src && (!position || other.dataset.site || /[?&]site=|\/lfa\.js/.test(other.src)),
  );
  if (!script) return;
  const source = new URL(script.src);
  // From the script's address, then attributes of the tag; what `lfa('init', …)` is given goes by the same names and comes
  // on top.
  const options = { ...Object.fromEntries(source.searchParams), ...script.dataset };

  const FIELD = "\x1f";
  const PART = "\x1e";
  const DAY = 864e5;
  const clean = (value) => String(value ?? "").replace(/[\0-\x1f\x7f-\x9f]/g, " ");

  let core;
  let endpoint;
  let state = "";

  // In the order of environment::Reading; the core says when one may be taken.
  const readings = [
    () => document.cookie,
    () => Math.floor((Date.parse(localStorage._lfa_expiry) - Date.now()) / DAY) || "",
    () => location.href,
    () => {
      const { width } = screen;
      const props = {
        language: navigator.language,
        screen: width < 600 ? "small" : width < 1200 ? "medium" : "large",
      };
      return [document.referrer, document.title, document.hidden ? "" : 1, JSON.stringify(props)].map(clean).join(PART);
    },
  ];

  // Browsers refuse a cookie for a public suffix, so which domain is the widest can only be tried.
  let widest;
  const domains = () => {
    const labels = location.hostname.split(".");
    return labels.slice(1).map((_, shorter) => ";domain=" + labels.slice(-2 - shorter).join("."));
  };
  const assign = (cookie, domain) =>
    (document.cookie = cookie + ";path=/;samesite=lax" + (location.protocol == "https:" ? ";secure" : "") + domain);
  const takesCookies = (domain) => {
    const probe = "_lfa_test_cookie_stored=1";
    assign(probe, domain);
    const stored = document.cookie.includes(probe);
    assign(probe + ";max-age=0", domain);
    return stored;
  };

  // A part of the tracker that only some pages need; without it, the rest works.
  const part = (name, ...given) =>
    import(stem + name + ".js").then((module) => module.default(...given)).catch(() => {});
  const watch = (...given) => part("page", { tell, effects, options, endpoint, part }, ...given);

  // While the page is shown, the answer can be waited for; what did not arrive is kept. A page that goes away leaves it to
  // the browser.
  const send = (body, credentials) =>
    fetch(endpoint, { method: "POST", body, keepalive: true, credentials })
      .then(({ status }) => status == 429 || status > 499, () => 1)
      .then((failed) => failed && watch("", body, credentials));

  // By the letters of effects.rs.
  const effects = {
    c: (cookie) => assign(cookie, (widest = widest || domains().find(takesCookies) || "")),
    r: (name) => ["", ...domains()].map((domain) => assign(name + "=;max-age=0", domain)),
    e: (days) => {
      if (days) localStorage._lfa_expiry = new Date(Date.now() + days * DAY).toISOString();
      else delete localStorage._lfa_expiry, delete localStorage._lfa_queue;
    },
    b: (body) => quietly(() => document.hidden && navigator.sendBeacon(endpoint, body)) || send(body, "include"),
    a: (body) => send(body, "omit"),
    t: (delay) => setTimeout(tell, delay, "timer"),
    w: watch,
  };

  const run = (fields) => {
    const input = new TextEncoder().encode(fields.join(FIELD));
    const at = core.reserve(input.length);
    // Running needs no more memory than was reserved.
    const memory = new Uint8Array(core.memory.buffer);
    memory.set(input, at);
    const output = core.run(input.length);
    return new TextDecoder().decode(memory.subarray(output, memory.indexOf(0, output))).split(FIELD);
  };

  const tell = (happened, ...given) =>
    quietly(() => {
      const random = crypto.getRandomValues(new Uint8Array(108));
      // Three UUIDs (RFC 9562, section 5.4): the digits 0 and 1 become any, 8 becomes 8 to b.
      const ids = "10000000-1000-4000-8000-100000000000"
        .repeat(3)
        .replace(/[018]/g, (digit, at) => (digit ^ (random[at] & (15 >> (digit / 4)))).toString(16));
      const known = [happened, Date.now(), ids];
      const taken = Array(4);
      for (;;) {
        const [next, ...answers] = run([state, ...known, ...taken, ...given.map(clean)]);
        if (next) {
          state = next;
          for (const answer of answers) quietly(() => effects[answer[0]](answer.slice(1)));
          return;
        }
        const which = answers[0];
        taken[which] = "=" + (quietly(readings[which]) ?? "");
      }
    });

  const start = (given) => {
    Object.assign(options, given);
    const rules = served.sites?.[options.site] || {};
    endpoint = new URL(options.endpoint || served.endpoint || "/lfa", source).href;
    // First the managers that are here: where one is, nothing begins before it was heard.
    if (options.consentManager != "none") look(250);
    tell(
      "start",
      options.site,
      rules.consent,
      options.consent,
      +!!navigator.globalPrivacyControl,
      +!!rules.identify,
      +/^(1|true)?$/.test(options.consentRemember),
      rules.days || served.days,
      options.pageviews,
    );
  };

  const calls = {
    init: start,
    consent: (choice, by) => tell("consent", choice, by ? 1 : 0),
    pageview: (seen = {}) => tell("pageview", seen.url, seen.title),
    event: (name, props) => tell("event", name, JSON.stringify(props)),
    identify: (who) => tell("identify", JSON.stringify(who, ["email", "first_name", "last_name"])),
    forget: () => tell("forget"),
  };
  const perform = ([name, ...given]) => quietly(() => calls[name](...given));

  // Consent managers give themselves away by a global of theirs; its adapter is fetched and tells what it knows. They may
  // arrive late, so the looks get rarer but don't end for days.
  const managers = "%MANAGERS%".split(" ");
  const look = (delay) => {
    managers.forEach((manager, position) => {
      if (!page[manager]) return;
      managers[position] = ""; // No global's name.
      const say = (choice) => tell("consent", choice, position + 2);
      say("silent");
      // By its number: lists of ad blockers know the managers' names.
      part(position, say, options.consentPurpose, page[manager]);
    });
    if (delay < DAY) setTimeout(look, delay, delay * 2);
  };

  const begin = () => {
    // What the person chose already comes first, so that nothing is sent that the choice forbids; then the start.
    const order = ([name]) => ~"init consent".indexOf(name); // -6, -1, and 0 for all others
    queue.push = perform;
    if (page != parent) part("framed");
    [...queue.splice(0), ["init"]].sort((one, other) => order(one) - order(other)).forEach(perform);

    // Calls of one task are one navigation: routers replace and push in one go, and set the title after that.
    let navigated;
    const changed = (how) => {
      if (!navigated)
        setTimeout(() => {
          tell("navigate", navigated);
          navigated = "";
        });
      if (navigated != "push") navigated = how;
    };
    for (const how of ["push", "replace"]) {
      const original = history[how + "State"];
      history[how + "State"] = function (...given) {
        changed(how);
        return original.apply(this, given);
      };
    }
    addEventListener("popstate", () => changed("push"));
    addEventListener("visibilitychange", () => tell(document.hidden ? "hidden" : "visible"));
    addEventListener("pagehide", () => tell("hidden"));
    addEventListener("pageshow", (event) => event.persisted && tell("restored"));
  };

  const stem = source.href.replace(/(\.js)?([?#].*)?$/, ".%CORE%.");
  fetch(stem + "wasm")
    .then((response) => WebAssembly.instantiateStreaming(response))
    .then((wasm) => wasm.instance.exports)
    .catch(() => import(stem + "js"))
    .then(async (exports) => {
      // In debug mode a part stands between this and the core, and explains.
      core = ("debug" in options && (await part("debug", exports, options, served, managers))) || exports;
      if (document.prerendering) document.addEventListener("prerenderingchange", begin);
      else begin();
    })
    .catch(() => {});
})("%FIRMSIGHT%");
