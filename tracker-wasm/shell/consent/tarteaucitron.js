// tarteaucitron: https://github.com/AmauriC/tarteaucitron.js. A purpose is the key of a service, or a type of services
// ("analytic"): then all of them must be agreed to. A service is on without an act of the person where it has
// `needConsent: false` or is on by default (`serviceDefaultState`), where `highPrivacy` is off, so that scrolling or another
// page is taken for a yes, and where the visitor's country is passed by (`user.bypass`): README of the package.
import { answer, purposes } from "../purposes.js";

export default (say, words, manager) => {
  const named = (word) =>
    (manager.job || []).filter((key) => key == word || (manager.services[key] || {}).type == word);
  const isAsked = (key) => {
    const { serviceDefaultState, highPrivacy } = manager.parameters;
    const { needConsent, defaultState = serviceDefaultState } = manager.services[key];
    return needConsent && defaultState !== true && highPrivacy && !manager.user.bypass;
  };
  const tell = () => {
    const keys = purposes(words, "tarteaucitron", ["firmsight", "analytic"], (word) => named(word)[0]).map(named);
    const known = (services, list) => services[0] && services.every((key) => key in list);
    // Services are added when the page has loaded; before that, nothing is known of an earlier choice.
    if (keys[0] && keys.every((services) => known(services, manager.added)))
      say(
        keys.every((services) => known(services, manager.state))
          ? answer(keys.flat(), (key) => manager.state[key], isAsked)
          : "unknown",
      );
  };
  // The event comes before the state is set, and a choice of an earlier visit is loaded without one.
  const soon = () => setTimeout(tell);
  document.addEventListener("tac.consent_updated", soon);
  for (const event of ["tac.root_available", "tac.close_alert"]) addEventListener(event, soon);
  tell();
};
