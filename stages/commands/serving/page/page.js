// Sends photos to /v1/predict and shows the answers. Texts of files and answers only ever become text nodes.
"use strict";

const AT_ONCE = 4; // photos in a request: the first answers come soon
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
      const answers = await request(batch.map((item) => item.file));
      if (answers === null) {
        waiting.unshift(...batch);
        break;
      }
      batch.forEach((item, number) => show(item, answers[number]));
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

// The answers for the files; null where the server wants a token. Throws an error with the server's text.
async function request(files) {
  for (let tries = 1; ; tries += 1) {
    const body = new FormData();
    files.forEach((file) => body.append("files", file, file.name));
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const response = await fetch(`/v1/predict?inputs=true&explain=${byId("explain").checked}`, { method: "POST", body, headers });
    if (response.status === 401) {
      byId("access").hidden = false;
      byId("token").focus();
      byId("state").textContent = token ? "That is not the token of this server." : "This server needs a token.";
      return null;
    }
    if (response.status !== 429 || tries === TRIES) return read(response);
    byId("state").textContent = "the server is busy; trying again";
    await new Promise((done) => setTimeout(done, 1000 * Number(response.headers.get("Retry-After") || 1)));
  }
}

async function read(response) {
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Error(typeof answer.detail === "string" ? answer.detail : `the server answered ${response.status}`);
  }
  return answer.photos;
}

function refuse(item, text) {
  item.card.replaceChildren(element("p", "title", item.file.name), element("p", "reason", text));
}

function show({ file, card }, answer) {
  const title = element("p", "title", file.name);
  const marks = answer.note.split(", ").filter((code) => MARKS.includes(code));
  for (const code of answer.reason ? [answer.reason] : marks) title.append(" ", element("span", "badge", code));
  card.replaceChildren(images(file, answer), title);
  if (answer.predictions.length > 0) card.append(classes(answer.predictions));
  if (answer.explanation) card.append(element("p", answer.reason ? "reason" : "soft", answer.explanation));
}

function images(file, answer) {
  const shown = answer.inputs.map((input) => {
    const image = picture(`data:image/jpeg;base64,${input.jpeg}`, `what models with the input ${input.input} see`);
    return element("figure", "shown", image, element("figcaption", "", input.input));
  });
  if (answer.heat_map) {
    const label = answer.predictions[0].label;
    const image = picture(answer.heat_map, `heat map: where the models looked for ${label}`);
    shown.push(element("figure", "shown", image, element("figcaption", "", `where the models looked for ${label}`)));
  }
  return element("div", "images", element("div", "photo", photo(file, answer)), ...shown);
}

// The photo with the chosen box, as the browser shows it: upright by its EXIF data.
function photo(file, answer) {
  const frame = element("div", "image");
  const image = picture(URL.createObjectURL(file), file.name);
  image.addEventListener("load", () => URL.revokeObjectURL(image.src));
  image.addEventListener("error", () => {
    URL.revokeObjectURL(image.src);
    frame.replaceWith(element("p", "missing", "This browser cannot show the file."));
  });
  frame.append(image);
  if (answer.box) frame.append(box(answer));
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
