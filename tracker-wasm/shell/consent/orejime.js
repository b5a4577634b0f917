// Orejime 3: https://github.com/empreinte-digitale/orejime. A purpose is the id of one.
import { answer, purposes, takingBack } from "../purposes.js";

export default (say, words, { manager }) => {
  const told = takingBack(say);
  const tell = () => {
    const consents = manager.getAllConsents();
    const counting = purposes(words, "orejime", ["firmsight", "analytics"], (word) => word in consents);
    told(manager.isDirty() ? "unknown" : answer(counting, (word) => consents[word]));
  };
  // "Dirty" is told after "update", and says whether something is still to be chosen.
  manager.on("dirty", tell);
  tell();
};
