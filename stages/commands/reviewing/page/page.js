// The queue, the keys and the decisions.

const token = location.hash.slice(1);
const tab = sessionStorage.getItem("tab") || crypto.randomUUID();
sessionStorage.setItem("tab", tab);
const CLASS_KINDS = ["label", "drop", "not_a_car"];
const queue = { ids: [], done: new Set(), total: 0, place: 0 };
let photo = null; // as the server described it
let layer = null; // over the photo
let isBusy = false; // a key must not decide about a photo that is about to be replaced
let match = 0; // the chosen one of the classes that match

// A response of the server. Throws an error with its text.
async function call(address, body) {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const response = await fetch(address, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
  if (response.ok) return response;
  if (response.status === 401) throw new Error("Open the address that `review` printed: its token is new at each start.");
  const { detail } = await response.json().catch(() => ({}));
  throw new Error(typeof detail === "string" ? detail : `the server returned ${response.status}`);
}

const ask = (address, body) => call(address, body).then((response) => response.json());

// One piece of work at a time; its error is shown, and the photo read anew.
async function work(steps) {
  if (isBusy) return;
  isBusy = true;
  byId("notice").hidden = true;
  try {
    await steps();
  } catch (error) {
    byId("notice").textContent = error instanceof TypeError ? "The server does not respond. Start `review` again." : error.message;
    byId("notice").hidden = false;
    if (photo) await open(photo.image_id).catch(() => {});
  }
  isBusy = false;
}

const say = (text) => (byId("state").textContent = text);

async function readQueue() {
  const chosen = Object.fromEntries(new FormData(byId("filter")));
  const result = await ask("/v1/queue", chosen);
  Object.assign(queue, { ids: result.image_ids, done: new Set(result.done), total: result.n_total, place: 0 });
  fillOptions("reason", result.codes, "all reasons");
  fillOptions("label", result.labels, "all classes");
  fillOptions("split", result.splits, "all splits");
  const unread = result.n_unreadable ? ` ${result.n_unreadable} unreadable files are not shown.` : "";
  await show(0, `${queue.ids.length} photos in this list.${unread}`);
}

function fillOptions(name, counts, all) {
  const select = byId("filter").elements[name];
  const chosen = select.value;
  const options = Object.entries(counts).map(([value, count]) => new Option(`${name === "reason" ? words(value) : value} (${count})`, value));
  select.replaceChildren(new Option(all, ""), ...options);
  select.value = chosen;
}

async function show(place, text) {
  queue.place = Math.max(0, Math.min(place, queue.ids.length));
  showProgress();
  if (queue.place === queue.ids.length) {
    showEnd(text);
    return;
  }
  await open(queue.ids[queue.place]);
  say(`${text ? `${text} ` : ""}Photo ${queue.place + 1} of ${queue.ids.length}.`);
  queue.ids.slice(queue.place + 1, queue.place + 3).forEach(prefetch);
}

async function open(id) {
  photo = await ask(`/v1/photos/${id}`);
  byId("end").hidden = true;
  byId("photo").hidden = false;
  endBox();
  endName();
  document.querySelector('[data-action="right"]').disabled = !photo.label;
  layer = showPhoto(photo, (kind) => work(() => change({ kind, is_removed: true })));
}

function showEnd(text) {
  photo = null;
  byId("photo").hidden = true;
  byId("end").hidden = false;
  const left = queue.total - queue.done.size;
  byId("end-title").textContent = left > 0 ? `The end of this list; ${left} photos are not looked at` : "All photos of this list are looked at";
  say(text || "");
}

function showProgress() {
  byId("bar").max = Math.max(queue.total, 1);
  byId("bar").value = queue.done.size;
  byId("count").textContent = `${queue.done.size} of ${queue.total} looked at`;
}

async function change(decision) {
  const expected = photo.decisions.map(({ kind, value }) => ({ kind, value }));
  const result = await ask(`/v1/photos/${photo.image_id}/decision`, { value: "", ...decision, expected, tab });
  photo.decisions = result.decisions;
  queue.done.add(photo.image_id);
  const text = decision.is_removed ? "Removed." : `Saved, ${described({ value: "", ...decision })}.`;
  if (CLASS_KINDS.includes(decision.kind) && !decision.is_removed) {
    await show(queue.place + 1, text);
    return;
  }
  await open(photo.image_id);
  showProgress();
  say(text);
}

async function undo() {
  const { image_id: id } = await ask("/v1/undo", { tab });
  if (!id) {
    say("Nothing to undo in this tab.");
    return;
  }
  const place = queue.ids.indexOf(id);
  queue.done.delete(id);
  if (place >= 0) queue.place = place;
  await open(id);
  if (photo.decisions.length) queue.done.add(id);
  showProgress();
  say(`Undone. Photo ${queue.place + 1} of ${queue.ids.length}.`);
}

async function skip() {
  await ask(`/v1/photos/${photo.image_id}/skip`, {});
  queue.done.add(photo.image_id);
  await show(queue.place + 1, "Skipped.");
}

function startBox() {
  const decided = photo.decisions.find(({ kind }) => kind === "box");
  const corners = decided ? decided.value.split(" ").map(Number) : photo.box && CORNERS.map((name) => photo.box[name]);
  openBox(photo, layer, corners);
  say("Draw the box of the main car, or type its corners.");
}

function endBox() {
  closeBox(layer);
}

function endName() {
  byId("name").value = "";
  showMatches([], 0);
}

const onPhoto = (steps) => () => photo && work(steps);
const actions = {
  right: () => photo && photo.label && work(() => change({ kind: "label", value: photo.label })),
  drop: onPhoto(() => change({ kind: "drop" })),
  not_a_car: onPhoto(() => change({ kind: "not_a_car" })),
  no_mask: onPhoto(() => change({ kind: "no_mask" })),
  box: () => photo && !isBusy && startBox(),
  skip: onPhoto(skip),
  next: onPhoto(() => show(queue.place + 1)),
  previous: () => work(() => show(queue.place - 1)),
  undo: () => work(undo),
};
const label = (value) => photo && work(() => change({ kind: "label", value }));
const keys = { ArrowRight: "next", ArrowLeft: "previous" };

for (const button of document.querySelectorAll("#actions button")) {
  const { key, action } = button.dataset;
  keys[key] = action;
  button.setAttribute("aria-keyshortcuts", key);
  button.append(element("kbd", "", key));
  button.addEventListener("click", actions[action]);
}

function escape() {
  endBox();
  endName();
  document.activeElement.blur();
}

document.addEventListener("keydown", (event) => {
  if (byId("keys").open) return;
  if (event.key === "Escape") escape();
  const isTyping = event.target.closest("input, select, textarea") !== null;
  const isUndo = event.key === "z" && (event.ctrlKey || event.metaKey);
  if (isTyping || event.repeat || event.altKey || ((event.ctrlKey || event.metaKey) && !isUndo)) return;
  const steps = isUndo ? actions.undo : special(event.key) || actions[keys[event.key]];
  if (!steps) return;
  event.preventDefault();
  steps();
});

function special(key) {
  if (key === "?") return () => byId("keys").showModal();
  if (key === "x") return () => byId("name").focus();
  if (key === "f") return openFilters;
  if (key === "Enter" && !byId("box").hidden && !document.activeElement.matches("button")) return () => byId("box").requestSubmit();
  const name = photo && /^[1-5]$/.test(key) ? photo.suggestions[Number(key) - 1] : undefined;
  return name === undefined ? undefined : () => label(name);
}

function openFilters() {
  byId("filters").open = true;
  byId("filter").elements.reason.focus();
}

const matches = () => (photo && byId("name").value.trim() ? matching(byId("name").value, photo.suggestions) : []);
byId("name").addEventListener("input", () => showMatches(matches(), (match = 0)));
byId("name").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const names = matches();
  if (step === undefined || names.length === 0) return;
  event.preventDefault();
  match = (match + step + names.length) % names.length;
  showMatches(names, match);
});
byId("other").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = matches()[match];
  if (name === undefined) return;
  byId("name").blur();
  label(name);
});
byId("matches").addEventListener("click", (event) => event.target.dataset.label && label(event.target.dataset.label));
byId("rows").addEventListener("click", (event) => {
  const pick = event.target.closest(".pick");
  if (pick) label(pick.dataset.label);
});
byId("box").addEventListener("submit", (event) => {
  event.preventDefault();
  document.activeElement.blur();
  work(() => change({ kind: "box", value: readCorners().join(" ") }));
});
byId("box-cancel").addEventListener("click", endBox);
byId("filter").addEventListener("change", () => work(readQueue));
byId("again").addEventListener("click", () => work(readQueue));
byId("undo-end").addEventListener("click", actions.undo);
byId("keys-open").addEventListener("click", () => byId("keys").showModal());
byId("filters").open = matchMedia("(min-width: 60rem)").matches;
work(readQueue);
