// Show the rows of a table whose class contains the text of its box; the fold is open meanwhile.
for (const table of document.querySelectorAll(".rows")) {
  const box = table.querySelector("input[type=search]");
  if (!box) continue;
  const rows = [...table.querySelectorAll("tr[data-row]")];
  const fold = table.querySelector("details");
  box.closest(".search").hidden = false;
  box.addEventListener("input", () => {
    const text = box.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.dataset.row.toLowerCase().includes(text);
    fold.open = text !== "";
    const shown = rows.filter((row) => !row.hidden).length;
    table.querySelector(".found").textContent = text ? `${shown} of ${rows.length} classes` : "";
  });
}
