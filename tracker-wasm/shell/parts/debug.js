// Says in the console, in sentences, what the tracker does and why it doesn't. Fetched with `data-debug`, or `debug` in the
// script's address; nothing of it is in the base.
//
// It stands between the shell and the core: both talk in texts (../../src/lib.rs), which it reads and passes on unchanged.
// So that answers can be read, beacons are sent with CORS while it is there.

const MODES = ["not-required", "cookieless", "required"];
const [GRANTED, DENIED, WITHDRAWN] = [1, 2, 3];

/** The core's state, by the order in ../../src/state.rs. */
const read = (text = "") => {
  const parts = text.split("\x1e");
  const number = (at) => Number(parts[at]) || 0;
  const [site, client, , page, url] = parts;
  const [mode, choice, objects, identify] = [11, 12, 15, 16].map(number);
  const [granting, denying, undecided, silent] = [17, 18, 19, 20].map(number);
  const held = silent && !choice && !page;
  const permission =
    !site || held || choice >= DENIED || (choice != GRANTED && (objects || mode == 2)) ? "nothing" : choice == GRANTED || mode == 0 ? "id" : "anonymous";
  return { site, client, page, url, mode, choice, objects, identify, granting, denying, undecided, silent, held, permission };
};

export default (core, options, served, names) => {
  const managers = [...names];
  const say = (...words) => console.info("%cFirmsight", "font-weight:bold", ...words);
  const endpoint = new URL(options.endpoint || served.endpoint || "/lfa", import.meta.url).href;
  const decoder = new TextDecoder();

  const source = (number) =>
    number == 0 ? "the page itself" : number == 1 ? "a consent manager that the page speaks for" : `the consent manager ${managers[number - 2]}`;
  const sources = (bits) => [...Array(32).keys()].filter((bit) => bits & (1 << bit)).map(source).join(", ");

  const why = (state) => {
    if (!state.site) return "no site is named: add data-site to the script tag, or ?site= to its address";
    if (state.choice == DENIED || state.choice == WITHDRAWN) {
      if (state.denying) return `no consent: ${sources(state.denying)} said denied`;
      return state.choice == DENIED ? "an objection from an earlier page is stored (_lfa_consent=false)" : "the consent was withdrawn";
    }
    if (state.objects) return "the browser sends Global Privacy Control, and nobody has agreed on this site";
    if (state.held && state.mode < 2) return `${sources(state.silent)} is on this page and has not been heard yet`;
    const waiting = "the site asks for consent (mode required), and ";
    const waits = state.undecided | state.silent;
    if (state.granting && waits) return `${sources(state.granting)} said granted, but ${sources(waits)} has not decided yet`;
    if (waits) return `${waiting}${sources(waits)} has not said anything yet`;
    return `${waiting}nobody has said yes: no consent manager on this page has a say, and the page has not called lfa('consent', 'granted')`;
  };

  const permitted = (state) =>
    ({ nothing: `Nothing is read, stored or sent: ${why(state)}.`, anonymous: "Events are sent without an id, and nothing is stored." })[state.permission] ??
    `Events are sent with an id: ${state.choice == GRANTED ? "consent was granted" : "this site's mode is not-required"}.`;

  const started = (state) => {
    if (!state.site) return say(`Not started: ${why(state)}.`);
    const rule = served.sites?.[state.site];
    say(`Site ${state.site}, consent mode ${MODES[state.mode]}${options.consent ? ` (the page asks for ${options.consent})` : ""}, beacons go to ${endpoint}.`);
    if (!rule) say("The collector's script names no settings of this site: either it has the defaults, or the site's id is wrong.");
    if (state.objects) say("The browser sends Global Privacy Control: without consent on this site nothing happens.");
    if (options.consentManager == "none") say("Consent managers are not looked for (data-consent-manager).");
    say(permitted(state));
  };

  const unhappened = {
    p: () => "A pageview",
    n: () => "A pageview of the new address",
    e: ([name]) => `The event ${name}`,
    i: () => "identify",
  };

  const explain = (before, happened, given, after, effects) => {
    const what = happened[0];
    if (what == "s") return before.site ? undefined : started(after);
    if (what == "c") {
      const [word, number] = given;
      const said = { silent: "nothing yet", unknown: "that there is no choice yet", essential: "that its purpose is on without anybody's choice (it can't be refused, or is on by default), which is no consent", absent: "that it has no say here" }[word] ?? word;
      say(`${source(Number(number))} says: ${said}.`.replace(/^./, (first) => first.toUpperCase()));
      if (before.site && before.permission != after.permission) say(permitted(after));
    } else if (what == "f") say("The visitor is forgotten: everything stored is removed, and the collector is told to erase.");
    else if (what in unhappened) {
      const isNew = what == "p" || what == "n" ? before.page != after.page : effects.length > 0;
      if (isNew) return;
      const reason =
        after.permission == "nothing" ? why(after)
        : what == "n" ? "the address is the same but for its fragment or a replaced query (data-pageviews changes what counts)"
        : what == "i" && !after.identify ? "the site does not allow it: `firmsight site set --identify true`"
        : what == "i" ? "it needs consent that was granted, not only a mode that asks for none"
        : "no pageview is running, or its name is empty";
      say(`${unhappened[what](given)} was not counted: ${reason}.`);
    }
  };

  const effectWords = {
    c: (cookie) => `Stores the cookie ${cookie.split("=")[0]}.`,
    r: (name) => `Removes the cookie ${name}.`,
    e: (days) => (days ? "Stores _lfa_expiry in the local storage." : "Removes what is in the local storage."),
  };

  /** What a beacon holds, in words. */
  const content = (body) => {
    try {
      const { events, client, consent, lost } = JSON.parse(body);
      const before = lost ? `, after ${lost} earlier ones that never arrived and were given up` : "";
      const kinds = events.map(({ type, name, url }) => type + (name ? ` ${name}` : type == "pageview" ? ` ${url}` : ""));
      return `${kinds.join(", ")} (consent ${consent}, ${client ? "with" : "without"} an id)${before}`;
    } catch {
      return "a beacon";
    }
  };
  const answered = async (response, sent) => {
    if (response.ok) return say(`The collector took ${sent}. What it leaves out (robots, own networks, homes) it counts under "drops" in the reports.`);
    const { rule, field, detail } = await response.clone().json().catch(() => ({}));
    say(`The collector refused ${sent} with ${response.status}, rule ${rule ?? "unknown"}: ${detail ?? "no explanation"}${field ? ` (${field})` : ""}.`);
  };
  const fetchOriginal = window.fetch.bind(window);
  window.fetch = (address, how = {}) => {
    if (String(address?.url ?? address) != endpoint || how.method != "POST") return fetchOriginal(address, how);
    const sent = content(how.body);
    say(`Sends ${sent}.`);
    const answer = fetchOriginal(address, { ...how, mode: "cors" });
    answer.then(
      (response) => answered(response, sent),
      () => say(`No answer that may be read to ${sent}: the collector is away, something blocks it (an ad blocker, connect-src of the page's policy), or ${location.host} is not among the site's hosts.`),
    );
    return answer;
  };
  navigator.sendBeacon = ((original) => (address, body) => {
    if (String(address) != endpoint) return original.call(navigator, address, body);
    window.fetch(address, { method: "POST", body, keepalive: true, credentials: "include" }).catch(() => {});
    return true;
  })(navigator.sendBeacon);

  let input;
  return {
    get memory() {
      return core.memory;
    },
    reserve: (length) => (input = core.reserve(length)),
    run(length) {
      const bytes = () => new Uint8Array(core.memory.buffer);
      const [state, happened, , , , , , , ...given] = decoder.decode(bytes().slice(input, input + length)).split("\x1f");
      const output = core.run(length);
      const memory = bytes();
      const [next, ...effects] = decoder.decode(memory.slice(output, memory.indexOf(0, output))).split("\x1f");
      if (next) {
        try {
          explain(read(state), happened, given, read(next), effects);
          for (const effect of effects) if (effectWords[effect[0]]) say(effectWords[effect[0]](effect.slice(1)));
        } catch (error) {
          say("This could not be explained:", error);
        }
      }
      return output;
    },
  };
};
