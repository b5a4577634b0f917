// Axeptio as https://support.axeptio.eu/hc/en-gb/articles/30301699182225-Listen-to-SDK-events describes it.
import { ask, chosen } from "../buttons.js";

const choices = (choice) => ({ $$completed: true, firmsight: choice == "accept", other: false });
const listeners = [];

setTimeout(() => {
  const sdk = (window.axeptioSDK = {
    userPreferencesManager: { choices: chosen() ? choices(chosen()) : {} },
    on: (event, listener) => event == "cookies:complete" && listeners.push(listener),
  });
  const tell = (choice) => {
    sdk.userPreferencesManager.choices = choices(choice);
    for (const listener of listeners) listener(choices(choice));
  };
  const callbacks = (window._axcb = window._axcb || []);
  callbacks.push = (callback) => callback(sdk);
  callbacks.splice(0).forEach(callbacks.push);
  if (chosen()) tell(chosen());
  ask(tell);
}, 50);
