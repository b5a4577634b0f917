// Orejime 3: https://github.com/empreinte-digitale/orejime. A purpose is the id of one.
import { answer, purposes } from "../purposes.js";

export default (say, words, { manager }) => {
  const tell = () => {
    const consents = manager.getAllConsents();
    const counting = purposes(words, "orejime", ["firmsight", "analytics"], (word) => word in consents);
    say(manager.isDirty() ? "unknown" : answer(counting, (word) => consents[word]));
  };
  // "Dirty" is told after "update", and says whether something is still to be chosen.
  manager.on("dirty", tell);
  tell();
};
