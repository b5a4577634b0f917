// Klaro: https://github.com/klaro-org/klaro-js. A purpose is the name of a service, or a purpose that services have:
// then all of them must be agreed to. A service that is `required` can't be refused (dist/config.js of the package).
import { answerOf, purposes, takingBack, when } from "../purposes.js";

export default (say, words, klaro) => {
  const told = takingBack(say);
  when(
    () => klaro.getManager(),
    (manager) => {
      const named = (word) =>
        manager.config.services.filter(({ name, purposes }) => name == word || (purposes || []).includes(word));
      const counting = purposes(words, "klaro", ["firmsight", "analytics"], (word) => named(word)[0]);
      const isAsked = ({ required = manager.config.required }) => !required;
      // What is ticked in the dialogue counts once it is saved.
      const agreed = ({ name }) => manager.savedConsents[name];
      const update = () => told(manager.confirmed ? answerOf(counting, named, agreed, isAsked) : "unknown");
      manager.watch({ update });
      update();
    },
  );
};
