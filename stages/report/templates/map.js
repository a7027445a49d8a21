// Show the photo nearest to the pointer, or the next one in the direction of an arrow key, and mark its class.
// Photos that the filters leave out are dimmed and cannot be chosen.
const map = document.querySelector(".map");
if (map) {
  const drawing = map.querySelector("svg");
  const note = map.querySelector(".map-note");
  const points = [...drawing.querySelectorAll("circle")];
  const columns = Number(map.dataset.columns);
  const side = 2 * Number(map.dataset.tile);
  const REACH = 24; // pixels of the screen
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  let chosen = null;

  const place = (point) => [point.cx.baseVal.value, point.cy.baseVal.value];

  function choose(point) {
    if (point === chosen) return;
    chosen?.classList.remove("chosen");
    chosen = point;
    drawing.classList.toggle("pointing", point !== null);
    note.hidden = point === null;
    if (point === null) return;
    point.classList.add("chosen");
    for (const one of points) one.classList.toggle("same", one.dataset.class === point.dataset.class);
    const number = points.indexOf(point);
    const tile = note.querySelector(".tile");
    tile.style.backgroundSize = `${columns * side}px`;
    tile.style.backgroundPosition = `${-side * (number % columns)}px ${-side * Math.floor(number / columns)}px`;
    const { class: label, split, path, issue } = point.dataset;
    tile.setAttribute("aria-label", `Crop of ${path}`);
    note.querySelector("p").textContent = [`${label}, ${split}`, path, issue].filter(Boolean).join("; ");
  }

  // The point of the least `cost` of its offset from [x, y]; none where all are infinite.
  function nearest([x, y], cost) {
    let best = null;
    let least = Infinity;
    for (const point of points) {
      if (point === chosen || point.classList.contains("dim")) continue;
      const [px, py] = place(point);
      const value = cost(px - x, py - y);
      if (value < least) [best, least] = [point, value];
    }
    return best;
  }

  function pointAt(event) {
    const frame = drawing.getBoundingClientRect();
    const scale = drawing.viewBox.baseVal.width / frame.width;
    const at = [scale * (event.clientX - frame.left), scale * (event.clientY - frame.top)];
    const distance = (dx, dy) => (Math.hypot(dx, dy) > scale * REACH ? Infinity : Math.hypot(dx, dy));
    const other = nearest(at, distance);
    const offset = (point) => Math.hypot(place(point)[0] - at[0], place(point)[1] - at[1]);
    if (chosen && offset(chosen) <= (other ? offset(other) : scale * REACH)) return;
    choose(other);
  }

  drawing.addEventListener("pointermove", pointAt);
  drawing.addEventListener("pointerdown", pointAt);
  drawing.addEventListener("keydown", (event) => {
    if (event.key === "Escape") choose(null);
    const direction = KEYS[event.key];
    if (!direction) return;
    event.preventDefault();
    const [right, down] = direction;
    const along = (dx, dy) => dx * right + dy * down;
    const across = (dx, dy) => Math.abs(dx * down) + Math.abs(dy * right);
    const cost = (dx, dy) => (along(dx, dy) > 0 && across(dx, dy) <= along(dx, dy) ? Math.hypot(dx, dy) : Infinity);
    const middle = [500, drawing.viewBox.baseVal.height / 2];
    const next = chosen ? nearest(place(chosen), cost) : nearest(middle, Math.hypot);
    if (next) choose(next);
  });

  function dim() {
    for (const point of points) point.classList.toggle("dim", !matches(point));
    if (chosen?.classList.contains("dim")) choose(null);
  }
  form.addEventListener("change", dim);
  addEventListener("hashchange", dim);
  dim();
}
