// Orejime 3: https://github.com/empreinte-digitale/orejime. A purpose is the id of one. One that `isMandatory` can't be
// refused, one that `isExempt` is on without being asked for (README, "Special cases").
import { answer, purposes, takingBack } from "../purposes.js";

export default (say, words, { config, manager }) => {
  const told = takingBack(say);
  const flat = (list) => list.flatMap((purpose) => [purpose, ...flat(purpose.purposes || [])]);
  const tell = () => {
    const consents = manager.getAllConsents();
    const counting = purposes(words, "orejime", ["firmsight", "analytics"], (word) => word in consents);
    const isAsked = (word) =>
      flat(config.purposes).every(({ id, isMandatory, isExempt }) => id != word || !(isMandatory || isExempt));
    told(manager.isDirty() ? "unknown" : answer(counting, (word) => consents[word], isAsked));
  };
  // "Dirty" is told after "update", and says whether something is still to be chosen.
  manager.on("dirty", tell);
  tell();
};
