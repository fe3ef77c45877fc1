// Adds a field to every long table that hides the rows without its text. The page is whole without it.
"use strict";
for (const table of document.querySelectorAll("table.filter")) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 20) continue;
  const label = document.createElement("label");
  const field = document.createElement("input");
  field.type = "search";
  label.className = "filter";
  label.append("Only rows with ", field);
  table.parentElement.before(label);
  field.addEventListener("input", () => {
    const text = field.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(text);
  });
  // A link into the table must not lead to a hidden row.
  addEventListener("hashchange", () => {
    const row = document.getElementById(location.hash.slice(1));
    if (!row || !row.hidden || !table.contains(row)) return;
    field.value = "";
    for (const each of rows) each.hidden = false;
    row.scrollIntoView();
  });
}
