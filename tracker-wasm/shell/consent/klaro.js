// Klaro: https://github.com/klaro-org/klaro-js. A purpose is the name of a service, or a purpose that services have:
// then all of them must be agreed to.
import { answer, purposes, takingBack, when } from "../purposes.js";

export default (say, words, klaro) => {
  const told = takingBack(say);
  when(
    () => klaro.getManager(),
    (manager) => {
      const named = (word) =>
        manager.config.services.filter(({ name, purposes }) => name == word || (purposes || []).includes(word));
      const counting = purposes(words, "klaro", ["firmsight", "analytics"], (word) => named(word)[0]);
      const agreed = (word) => answer(named(word), ({ name }) => manager.savedConsents[name]) == "granted";
      // What is ticked in the dialogue counts once it is saved.
      const update = () => told(manager.confirmed ? answer(counting, agreed) : "unknown");
      manager.watch({ update });
      update();
    },
  );
};
