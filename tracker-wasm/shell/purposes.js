// What the adapters of consent managers have in common; it is bundled into each.

/**
 * The purposes that count: the owner's words for this manager (`data-consent-purpose="analytics"`, or with several
 * managers `"klaro=analytics, Cookiebot=statistics"`), else the first of the defaults that the manager knows.
 */
export const purposes = (words, manager, defaults, known) => {
  const chosen = (words || "")
    .split(",")
    .map((word) => word.trim().split("="))
    .filter(([name, purpose]) => name && (!purpose || name == manager))
    .map((word) => word.pop());
  return chosen.length ? chosen : known ? defaults.filter(known).slice(0, 1) : defaults;
};

/**
 * The answer to a choice that was made: yes only if every purpose was agreed to, and there is one. A grant is an act of the
 * person: one of a purpose that is on without it, because it can't be refused or is on by default, is none, "essential".
 */
export const answer = (purposes, agreed, isAsked = () => true) =>
  !purposes.length || !purposes.every(agreed) ? "denied" : purposes.every(isAsked) ? "granted" : "essential";

/** The same where a purpose is a word for several services, all of which must be agreed to. */
export const answerOf = (words, named, agreed, isAsked) =>
  words.every((word) => named(word)[0]) ? answer(words.flatMap(named), agreed, isAsked) : "denied";

/** Whoever agreed and is to be asked again, because the manager was reset, doesn't agree any more. */
export const takingBack = (say) => {
  let agreed;
  return (choice) => {
    say(agreed && choice == "unknown" ? "denied" : choice);
    agreed = choice == "granted";
  };
};

/** Goes on once something is found; a manager's global can be there before the manager is ready. */
export const when = (find, use) => {
  let found;
  try {
    found = find();
  } catch {}
  if (found) use(found);
  else setTimeout(when, 250, find, use);
};
