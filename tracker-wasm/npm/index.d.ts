/** What a person chose. */
export type Choice = "granted" | "denied";

/** A value that JSON can hold. */
export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

/** What `identify` may be told. */
export interface Person {
  email?: string;
  first_name?: string;
  last_name?: string;
}

/** The options of the script tag, by their names in `data-…` attributes written in camel case. */
export interface Options {
  /** The site's id, as in `firmsight site add --id`. */
  site: string;
  /** Makes the site's mode stricter on this page, never less strict. */
  consent?: "required" | "cookieless";
  /** Which purpose, category or service of the consent manager counts. */
  consentPurpose?: string;
  /** `none`: looks for no consent manager; the page says the choice by itself. */
  consentManager?: "none";
  /** In `required` mode: look up the choice that an earlier page stored. */
  consentRemember?: boolean;
  /** Where beacons go, an address or a path on the script's host. */
  endpoint?: string;
  /** Explains in the console why something was or wasn't sent. */
  debug?: boolean;
  /** Options of later versions. */
  [name: string]: string | boolean | undefined;
}

/** Where the tracker comes from, and its options. */
export interface StartOptions extends Options {
  /** Address of the tracker, such as `https://stats.example.com/lfa.js`. */
  script: string;
  /** The nonce of the page's Content-Security-Policy. */
  nonce?: string;
  /** A hash that the script must have (Subresource Integrity); see the documentation for what that costs. */
  integrity?: string;
}

/** The tracker's calls; usable before the script has arrived. */
export interface Lfa {
  /** What the person chose. `by` is `manager` when a consent manager says it, which keeps a refusal itself. */
  (call: "consent", choice: Choice, by?: "manager"): void;
  /** Options for pages whose script tag lost its attributes. */
  (call: "init", options: Options): void;
  /** Counts a pageview by hand. `url` is absolute or begins with `/`. */
  (call: "pageview", page?: { url?: string; title?: string }): void;
  /** An event of your own; properties take up to 8 KiB as JSON. */
  (call: "event", name: string, properties?: { [name: string]: Json }): void;
  /** Who the visitor is; only after an explicit grant and where the site allows it. */
  (call: "identify", person: Person): void;
  /** Erases this visitor here and at the collector. */
  (call: "forget"): void;
}

/** Calls the tracker, now or once it has arrived. Does nothing on a server. */
export declare const lfa: Lfa;

/** Puts the tracker's script tag into the page, once. Does nothing on a server. */
export declare const start: (options: StartOptions) => void;

declare global {
  interface Window {
    lfa?: Lfa;
  }
}
