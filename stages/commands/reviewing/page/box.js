// The box of the main car: drawn over the photo, in pixels of the upright photo of full size.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const CORNERS = ["x_min", "y_min", "x_max", "y_max"];
const byId = (id) => document.getElementById(id);

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

// A layer over a photo of width x height pixels, whatever the size that it is shown at.
function boxLayer(width, height) {
  const layer = document.createElementNS(SVG, "svg");
  layer.setAttribute("viewBox", `0 0 ${width} ${height}`);
  layer.setAttribute("preserveAspectRatio", "none");
  layer.setAttribute("aria-hidden", "true");
  return layer;
}

function drawBox(layer, corners, className) {
  layer.querySelectorAll(`.${className}`).forEach((old) => old.remove());
  if (corners === null) return;
  const rect = document.createElementNS(SVG, "rect");
  const [x, y, right, bottom] = corners;
  const attributes = { class: className, x, y, width: Math.max(0, right - x), height: Math.max(0, bottom - y) };
  for (const [name, value] of Object.entries(attributes)) rect.setAttribute(name, value);
  layer.append(rect);
}

// The pixel of the photo under the pointer, within the photo.
function pointOf(event, layer, photo) {
  const shown = layer.getBoundingClientRect();
  const scaled = (offset, size, pixels) => Math.min(Math.max(Math.round((offset / size) * pixels), 0), pixels);
  return [
    scaled(event.clientX - shown.left, shown.width, photo.width),
    scaled(event.clientY - shown.top, shown.height, photo.height),
  ];
}

const fields = () => CORNERS.map((name) => byId("box").elements[name]);

function writeCorners(corners) {
  fields().forEach((field, number) => (field.value = Math.round(corners[number])));
}

function openBox(photo, layer, corners) {
  const size = [photo.width, photo.height, photo.width, photo.height];
  fields().forEach((field, number) => (field.max = size[number]));
  writeCorners(corners || [0, 0, photo.width, photo.height]);
  byId("box").hidden = false;
  layer.classList.add("drawing");
  let start = null;
  layer.onpointerdown = (event) => {
    start = pointOf(event, layer, photo);
    layer.setPointerCapture(event.pointerId);
    event.preventDefault();
  };
  layer.onpointermove = (event) => {
    if (start === null) return;
    const end = pointOf(event, layer, photo);
    writeCorners([0, 1].map((axis) => Math.min(start[axis], end[axis])).concat([0, 1].map((axis) => Math.max(start[axis], end[axis]))));
    drawBox(layer, readCorners(), "drawn");
  };
  layer.onpointerup = () => (start = null);
  layer.onpointercancel = layer.onpointerup;
  byId("box").oninput = () => drawBox(layer, readCorners(), "drawn");
  drawBox(layer, readCorners(), "drawn");
  fields()[0].focus();
}

function closeBox(layer) {
  byId("box").hidden = true;
  if (!layer) return;
  layer.classList.remove("drawing");
  layer.onpointerdown = layer.onpointermove = layer.onpointerup = layer.onpointercancel = null;
  drawBox(layer, null, "drawn");
}

function readCorners() {
  return fields().map((field) => Number(field.value));
}
