// What banners have in common in these tests: a choice that is kept for the next visit, and buttons.

const NAME = "manager";

/** What the person chose, on this page or an earlier one: "accept", "decline", or nothing. */
export const chosen = () => localStorage.getItem(NAME);

/** Puts buttons on the page; a click is kept and told. */
export function ask(tell) {
  const banner = document.createElement("div");
  for (const id of ["accept", "decline", "withdraw"]) {
    const button = document.createElement("button");
    button.id = id;
    button.textContent = id;
    button.onclick = () => {
      const choice = id == "accept" ? "accept" : "decline";
      localStorage.setItem(NAME, choice);
      tell(choice);
    };
    banner.append(button);
  }
  const put = () => document.body.append(banner);
  if (document.body) put();
  else addEventListener("DOMContentLoaded", put);
}
