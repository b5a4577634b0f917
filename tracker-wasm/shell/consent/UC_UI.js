// Usercentrics 2: https://usercentrics.com/docs/web/features/api/control-functionality/. A purpose is a category's
// slug, or the id or name of a data processing service; of a category all services must be agreed to. A service's last
// consent says whether it was "explicit": those of regions without consent, and of essential services, are implicit
// (https://docs.usercentrics.com/cmp_browser_sdk/3.5.0/interfaces/ConsentHistory.html).
import { answerOf, purposes } from "../purposes.js";

export default (say, words, manager) => {
  // Version 3 may bring this name along.
  if (window.__ucCmp) return say("absent");
  const tell = () => {
    if (!manager.isInitialized()) return;
    if (manager.isConsentRequired()) return say("unknown");
    const services = manager.getServicesBaseInfo();
    const named = (word) => services.filter(({ id, name, categorySlug }) => [id, name, categorySlug].includes(word));
    const counting = purposes(words, "UC_UI", ["Firmsight", "functional"], (word) => named(word)[0]);
    const isAsked = ({ isEssential, consent }) =>
      !isEssential && (consent.history || [consent]).slice(-1)[0].type == "explicit";
    say(answerOf(counting, named, ({ consent }) => consent.status, isAsked));
  };
  // A choice is announced when the button is pressed and can be in force a little later.
  for (const event of ["INITIALIZED", "CMP_EVENT"])
    addEventListener("UC_UI_" + event, () => [0, 500].map((delay) => setTimeout(tell, delay)));
  tell();
};
