// Klaro: https://github.com/klaro-org/klaro-js. The purpose is the name of a service of its configuration.

export default (say, purpose = "firmsight", klaro) => {
  const manager = klaro.getManager();
  const tell = () => say(manager.confirmed ? (manager.getConsent(purpose) ? "granted" : "denied") : "unknown");
  manager.watch({ update: (_, name) => name == "saveConsents" && tell() });
  tell();
};
