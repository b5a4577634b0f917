// Usercentrics 3: https://usercentrics.com/docs/web/implementation/. A purpose is a category, or the id or name of a
// data processing service; of a category all services must be agreed to. Essential services can't be refused.
import { answerOf, purposes } from "../purposes.js";

export default (say, words, manager) => {
  const tell = ({ consent, services }) => {
    const named = (word) =>
      Object.entries(services).filter(([id, { name, category }]) => [id, name, category].includes(word));
    const counting = purposes(words, "__ucCmp", ["Firmsight", "functional"], (word) => named(word)[0]);
    say(
      // Implicit is what holds before anything was chosen.
      consent.type == "EXPLICIT"
        ? answerOf(counting, named, ([, service]) => service.consent.given, ([, service]) => !service.essential)
        : "unknown",
    );
  };
  addEventListener("UC_CONSENT", ({ detail }) => tell(detail));
  return manager.isInitialized().then((ready) => ready && manager.getConsentDetails().then(tell));
};
