"use strict";
// Show the cards of the chosen class, split and outcome; keep the choice in the address, so that it can be shared.
// Open all folds while a filter is set, so that every match is visible.
const form = document.querySelector(".filters");
const selects = [...form.querySelectorAll("select")];

function matches(card) {
  return selects.every((select) => !select.value || card.dataset[select.name].split("\n").includes(select.value));
}

function apply() {
  const isFiltered = selects.some((select) => select.value);
  for (const gallery of document.querySelectorAll(".gallery")) {
    const cards = [...gallery.querySelectorAll("li[data-class]")];
    for (const card of cards) card.hidden = !matches(card);
    for (const fold of gallery.querySelectorAll(":scope > details")) {
      fold.open = isFiltered;
      fold.hidden = !fold.querySelector("li[data-class]:not([hidden])");
    }
    const note = gallery.querySelector(".matching");
    note.hidden = !isFiltered;
    note.textContent = `${cards.filter((card) => !card.hidden).length} of the ${cards.length} shown here match the filter.`;
  }
}

// Links to sections, like #masks, hold no "=" and do not change the filters.
function load() {
  if (!location.hash.includes("=")) return;
  const wanted = new URLSearchParams(location.hash.slice(1));
  for (const select of selects) {
    select.value = wanted.get(select.name) ?? "";
    if (select.selectedIndex < 0) select.value = "";
  }
  apply();
}

function store() {
  const chosen = selects.filter((select) => select.value).map((select) => [select.name, select.value]);
  const address = new URLSearchParams(chosen).toString();
  history.replaceState(null, "", address ? `#${address}` : "#");
  apply();
}

form.hidden = false;
form.addEventListener("change", store);
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", load);
load();
