// Sends photos to /v1/predict and shows the responses. Texts of files and responses only ever become text nodes.
"use strict";

const AT_ONCE = 4; // photos in a request: the first responses come soon
const MAX_BYTES = 32e6; // of a request, but for a single photo
const TRIES = 5; // while the server has no place for more
const MARKS = ["unknown", "unsure"]; // of a note, shown beside the name
const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const waiting = []; // {file, card}
let isSending = false;
let token = "";

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function add(files) {
  for (const file of files) {
    const card = element("li", "", element("p", "title", file.name), element("p", "soft", "waiting"));
    byId("results").append(card);
    waiting.push({ file, card });
  }
  byId("more").hidden = byId("results").children.length === 0;
  send();
}

async function send() {
  if (isSending) return;
  isSending = true;
  while (waiting.length > 0) {
    const batch = waiting.splice(0, fitting());
    byId("state").textContent = `classifying; ${waiting.length + batch.length} to go`;
    try {
      const predicted = await request(batch.map((item) => item.file));
      if (predicted === null) {
        waiting.unshift(...batch);
        break;
      }
      batch.forEach((item, number) => show(item, predicted[number]));
    } catch (error) {
      batch.forEach((item) => refuse(item, error.message));
    }
  }
  if (waiting.length === 0) byId("state").textContent = "";
  isSending = false;
}

// The number of photos for the next request.
function fitting() {
  let bytes = 0;
  const tooMany = waiting.slice(0, AT_ONCE).findIndex(({ file }, n) => (bytes += file.size) > MAX_BYTES && n > 0);
  return tooMany === -1 ? AT_ONCE : tooMany;
}

// The predictions for the files; null where the server wants a token. Throws an error with the server's text.
async function request(files) {
  for (let tries = 1; ; tries += 1) {
    const body = new FormData();
    files.forEach((file) => body.append("files", file, file.name));
    const options = { method: "POST", body, headers: authorization() };
    const response = await fetch(`/v1/predict?inputs=true&explain=${byId("explain").checked}`, options);
    if (response.status === 401) {
      askForToken();
      return null;
    }
    if (response.status !== 429 || tries === TRIES) return (await read(response)).photos;
    byId("state").textContent = "the server is busy; trying again";
    await new Promise((done) => setTimeout(done, 1000 * Number(response.headers.get("Retry-After") || 1)));
  }
}

function authorization() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

function askForToken() {
  byId("access").hidden = false;
  byId("token").focus();
  byId("state").textContent = token ? "That is not the token of this server." : "This server needs a token.";
}

async function read(response) {
  const content = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Error(typeof content.detail === "string" ? content.detail : `the server returned ${response.status}`);
  }
  return content;
}

async function showCard() {
  if (!byId("card").open) return;
  try {
    const response = await fetch("/v1/model", { headers: authorization() });
    if (response.status === 401) {
      askForToken();
      byId("card").open = false;
      return;
    }
    byId("card-text").textContent = (await read(response)).card || "This bundle has no model card.";
  } catch (error) {
    byId("card-text").textContent = error.message;
  }
}

function refuse(item, text) {
  item.card.replaceChildren(element("p", "title", item.file.name), element("p", "reason", text));
}

function show({ file, card }, result) {
  const title = element("p", "title", file.name);
  const marks = result.note.split(", ").filter((code) => MARKS.includes(code));
  for (const code of result.reason ? [result.reason] : marks) title.append(" ", element("span", "badge", code));
  card.replaceChildren(images(file, result), title);
  if (result.predictions.length > 0) card.append(classes(result.predictions));
  if (result.explanation) card.append(element("p", result.reason ? "reason" : "soft", result.explanation));
}

function images(file, result) {
  const shown = result.inputs.map((input) => {
    const image = picture(`data:image/jpeg;base64,${input.jpeg}`, `what models with the input ${input.input} see`);
    return element("figure", "shown", image, element("figcaption", "", input.input));
  });
  if (result.heat_map) {
    const label = result.predictions[0].label;
    const image = picture(result.heat_map, `heat map: where the models looked for ${label}`);
    shown.push(element("figure", "shown", image, element("figcaption", "", `where the models looked for ${label}`)));
  }
  return element("div", "images", element("div", "photo", photo(file, result)), ...shown);
}

// The photo with the chosen box, as the browser shows it: upright by its EXIF data.
function photo(file, result) {
  const frame = element("div", "image");
  const image = picture(URL.createObjectURL(file), file.name);
  image.addEventListener("load", () => URL.revokeObjectURL(image.src));
  image.addEventListener("error", () => {
    URL.revokeObjectURL(image.src);
    frame.replaceWith(element("p", "missing", "This browser cannot show the file."));
  });
  frame.append(image);
  if (result.box) frame.append(box(result));
  return frame;
}

function picture(source, description) {
  const image = element("img");
  image.src = source;
  image.alt = description;
  return image;
}

function box({ box: corners, width, height }) {
  const drawing = document.createElementNS(SVG, "svg");
  const rect = document.createElementNS(SVG, "rect");
  const { x_min: x, y_min: y, x_max: right, y_max: bottom } = corners;
  const attributes = { class: "chosen", x, y, width: right - x, height: bottom - y };
  for (const [name, value] of Object.entries(attributes)) rect.setAttribute(name, value);
  drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", `box of the main car, score ${corners.score.toFixed(2)}`);
  drawing.append(rect);
  return drawing;
}

function classes(predictions) {
  const table = element("div", "classes");
  predictions.forEach(({ label, probability }, number) => {
    const bar = element("meter");
    bar.value = probability;
    bar.setAttribute("aria-label", `probability of ${label}`);
    const value = element("data", "", `${(100 * probability).toFixed(1)} %`);
    value.value = String(probability);
    table.append(element("span", number === 0 ? "first" : "", label), bar, value);
  });
  return table;
}

for (const id of ["files", "camera"]) {
  byId(id).addEventListener("change", (event) => {
    add([...event.target.files]);
    event.target.value = "";
  });
}
byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  byId("access").hidden = true;
  send();
});
byId("card").addEventListener("toggle", showCard);
byId("clear").addEventListener("click", () => {
  waiting.length = 0;
  byId("results").replaceChildren();
  byId("more").hidden = true;
  byId("state").textContent = "";
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    byId("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") add([...event.dataTransfer.files]);
  });
}
