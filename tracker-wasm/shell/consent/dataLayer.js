// Google Consent Mode v2: https://developers.google.com/tag-platform/security/guides/consent. A purpose is a storage
// type. Calls of gtag() lie in the data layer as `arguments`.
import { answer, purposes } from "../purposes.js";

export default (say, words, layer) => {
  // A word that is meant for another manager on the page is no type of Google's.
  const types = purposes(words, "dataLayer", []).filter((type) => /_storage$|^ad_/.test(type));
  const counting = types[0] ? types : ["analytics_storage"];
  const chosen = {};
  const read = (entries) => {
    for (const entry of entries)
      if (entry && entry[0] == "consent" && entry[1] == "update") Object.assign(chosen, entry[2]);
    // What holds until the person was asked is nobody's choice; tarteaucitron sets such defaults for Google alone.
    // Where the IAB's platform is on the page, its own record says whether anybody was asked; an update doesn't.
    const said = answer(counting, (type) => chosen[type] == "granted");
    say(counting.every((type) => chosen[type]) && (said == "denied" || !window.__tcfapi) ? said : "absent");
  };
  const push = layer.push;
  layer.push = function (...entries) {
    const result = push.apply(this, entries);
    read(entries);
    return result;
  };
  read(layer);
};
