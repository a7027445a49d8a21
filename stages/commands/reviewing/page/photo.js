// One photo: what the server says of it. Its texts only ever become text nodes.

const N_DIGITS = 5;
const N_MATCHES = 8;
const KEPT = 12; // photos whose pictures stay in memory
const pictures = new Map(); // by address: a promise of a URL of the picture in memory

function load(id, kind) {
  const address = `/v1/photos/${id}/${kind}`;
  if (!pictures.has(address)) {
    pictures.set(address, call(address).then((response) => response.blob()).then(URL.createObjectURL));
    if (pictures.size > 3 * KEPT) forget(pictures.keys().next().value);
  }
  return pictures.get(address);
}

function forget(address) {
  pictures.get(address).then(URL.revokeObjectURL, () => {});
  pictures.delete(address);
}

const prefetch = (id) => ["photo", "crop", "mask"].forEach((kind) => load(id, kind).catch(() => {}));

// Fill `frame` with a picture, or with the reason for none. The one of the photo before is removed at once.
async function showPicture(frame, id, kind, alt, ...layers) {
  const image = element("img");
  image.alt = alt;
  frame.replaceChildren(image, ...layers);
  try {
    image.src = await load(id, kind);
    await image.decode();
  } catch (error) {
    image.replaceWith(element("p", "missing", `no ${kind}: ${words(error.message)}`));
  }
}

const words = (code) => code.replaceAll("_", " ");
const percent = (value) => `${Math.round(100 * value)} %`;

function showPhoto(photo, remove) {
  const layer = boxLayer(photo.width, photo.height);
  byId("label").textContent = `label: ${photo.label || "none"}`;
  byId("where").textContent = [photo.path, photo.split].filter(Boolean).join(", ");
  byId("reasons").replaceChildren(...reasonItems(photo));
  byId("near").replaceChildren(...photo.near_duplicates.map(nearDuplicate));
  showDecisions(photo, layer, remove);
  showPicture(byId("frame"), photo.image_id, "photo", `photo ${photo.path}`, layer);
  // Its size before it is loaded: nothing moves then, and a box can be drawn at once.
  byId("frame").style.setProperty("--ratio", photo.width / photo.height);
  showPicture(byId("crop"), photo.image_id, "crop", `crop of ${photo.path}`);
  showPicture(byId("mask"), photo.image_id, "mask", `crop of ${photo.path}, its background tinted`);
  showClasses(photo);
  return layer;
}

function reasonItems(photo) {
  const items = photo.reasons.map(({ code, text }) => element("li", "", element("span", "badge", words(code)), text));
  if (photo.suggested_label) items[0].append(element("strong", "", ` Suggested: ${photo.suggested_label}.`));
  return items;
}

function nearDuplicate(other) {
  const image = element("img");
  image.alt = `near-duplicate ${other.path}`;
  load(other.image_id, "small").then((url) => (image.src = url), () => image.remove());
  return element("li", "", image, other.label);
}

function showDecisions(photo, layer, remove) {
  const items = photo.decisions.map((decision) => {
    const button = element("button", "button", "remove");
    button.type = "button";
    button.addEventListener("click", () => remove(decision.kind));
    const by = decision.who ? element("small", "", `by ${decision.who}`) : "";
    return element("li", "", element("span", "", described(decision)), by, button);
  });
  byId("decisions").replaceChildren(...items);
  const drawn = photo.decisions.find(({ kind }) => kind === "box");
  drawBox(layer, photo.box && CORNERS.map((name) => photo.box[name]), "chosen");
  drawBox(layer, drawn ? drawn.value.split(" ").map(Number) : null, "decided");
}

function described({ kind, value }) {
  const texts = { label: `it is ${value}`, drop: "drop", not_a_car: "not a car", box: `the box is ${value}`, no_mask: "do not cut out" };
  return `decided: ${texts[kind]}`;
}

function showClasses(photo) {
  const [first, ...others] = photo.predictors.map((name) => element("th", "", name));
  byId("predictors").replaceChildren(element("th", "", "class"), ...(first ? [first, ...others] : []));
  byId("rows").replaceChildren(...photo.rows.map((row) => classRow(row, photo)));
}

function classRow({ label, probabilities }, photo) {
  const rank = photo.suggestions.indexOf(label);
  const pick = element("button", "pick");
  pick.type = "button";
  pick.dataset.label = label;
  if (rank < N_DIGITS) pick.append(element("kbd", "", String(rank + 1)));
  pick.append(label);
  pick.setAttribute("aria-label", `it is ${label}`);
  const cells = probabilities.map((value, number) => element("td", "", ...(number === 0 ? [bar(value), " "] : []), percent(value)));
  const name = element("th", "", pick, label === photo.label ? " label" : "");
  name.scope = "row";
  return element("tr", label === photo.label ? "own" : "", name, ...cells);
}

function bar(value) {
  const made = element("meter");
  made.value = value;
  made.setAttribute("aria-hidden", "true");
  return made;
}

// Classes whose names have all words of the text, the likeliest first.
function matching(text, suggestions) {
  const parts = text.toLowerCase().split(/\s+/).filter(Boolean);
  return suggestions.filter((name) => parts.every((part) => name.toLowerCase().includes(part))).slice(0, N_MATCHES);
}

function showMatches(names, place) {
  const items = names.map((name, number) => {
    const item = element("li", "", name);
    item.id = `match-${number}`;
    item.dataset.label = name;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", String(number === place));
    return item;
  });
  byId("matches").replaceChildren(...items);
  byId("matches").hidden = names.length === 0;
  byId("name").setAttribute("aria-expanded", String(names.length > 0));
  byId("name").setAttribute("aria-activedescendant", names.length ? `match-${place}` : "");
}
