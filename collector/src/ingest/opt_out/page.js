// What only a script can do on this page: show the local storage and the cookies' last days, and clear the local storage
// after an objection. Without it the page works by its form alone.
(() => {
  const template = document.querySelector("template");
  const table = document.querySelector("table");
  if (table.dataset.clear) {
    for (const row of template.content.querySelectorAll("tr")) localStorage.removeItem(row.dataset.name);
  }
  for (const row of [...template.content.querySelectorAll("tr")]) {
    const value = localStorage.getItem(row.dataset.name);
    if (value === null) continue;
    row.querySelector("td").textContent = value;
    table.tBodies[0].append(row);
    table.hidden = false;
    document.querySelector("#nothing").hidden = true;
  }
  window.cookieStore?.getAll().then((cookies) => {
    for (const { name, expires } of cookies) {
      const row = expires && table.querySelector(`tr[data-name="${CSS.escape(name)}"]`);
      const day = expires && new Date(expires).toLocaleDateString(document.documentElement.lang);
      if (row) row.lastElementChild.append(` (${table.dataset.until} ${day})`);
    }
  });
})();
